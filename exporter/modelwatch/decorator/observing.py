"""Handing one call over to whoever records, as a single row or as a batch; whatever goes wrong is counted."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from modelwatch.decorator.rows import (
    CONTAINERS,
    ONE_ANSWER,
    answers_of,
    readable_features,
    rows_of_call,
    rows_of_failure,
)

Outcome = Literal["ok", "error", "ignored"]
"""How a call ended. Of an ignored one the attempt and its latency count, and nothing else is looked at."""

Details = tuple[Any, Any, Any, Any]
"""What else is said of a call: prediction_id, metadata, timestamp, segment; None where nothing is."""
NO_DETAILS: Details = (None, None, None, None)


class CallRecorder(Protocol):
    """What the wrapper needs to know of whoever records."""

    def record_call(
        self,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        latency_ms: float,
        outcome: Outcome,
        prediction_id: Any = None,  # noqa: ANN401 - becomes text
        metadata: Any = None,  # noqa: ANN401 - a dict, but nobody is told off here
        timestamp: Any = None,  # noqa: ANN401 - seconds or a datetime
        segment: Any = None,  # noqa: ANN401 - becomes text
    ) -> None:
        """Record one call about one row; never raises."""

    def record_batch(
        self,
        rows: int,
        predictions: Any,  # noqa: ANN401 - a column of whatever a model returns
        features: Any,  # noqa: ANN401 - any table
        latency_ms: float,
        outcome: Outcome,
        prediction_id: Any = None,  # noqa: ANN401 - one for all, or a column
        metadata: Any = None,  # noqa: ANN401 - a dict, or one per row
        timestamp: Any = None,  # noqa: ANN401 - one for all, or a column
        segment: Any = None,  # noqa: ANN401 - one for all, or a column
    ) -> None:
        """Record one call about many rows; never raises."""

    def count_fault(self, reason: str) -> None:
        """Count a fault of our own making; never raises."""


def _is_promise(kind: type) -> bool:
    """Return whether a result is only a promise of one (a task, a future), whose end can't be waited for unnoticed."""
    return hasattr(kind, "__await__") or hasattr(kind, "add_done_callback")


def observe(
    who: CallRecorder,
    features: Any,  # noqa: ANN401 - as above
    answer: Any,  # noqa: ANN401 - as above
    latency_ms: float,
    outcome: Outcome,
    batch: bool | None,
    details: Details,
) -> None:
    """Record a call, of a batch if it is one; a batch that can't be read is one attempt, and a fault.

    Parameters
    ----------
    who
        Records.
    features, answer
        What the model was given, and what it answered if it did.
    latency_ms
        How long the call took.
    outcome
        How it ended.
    batch
        Whether it is a batch; None to tell by types and lengths.
    details
        What else is said of it.
    """
    rows = None
    try:
        if outcome != "ok":
            rows = rows_of_failure(features, batch)
        elif batch or type(answer) not in ONE_ANSWER:
            if type(answer) not in CONTAINERS and _is_promise(type(answer)):
                who.count_fault("awaitable")
                answer, outcome = None, "ignored"
            answers = answer if batch is False else answers_of(answer)
            rows = rows_of_call(features, answers, batch)
            if rows is not None:
                features, answer = readable_features(features, rows), answers
    except Exception:  # noqa: BLE001 - the recorder boundary: an arbitrary object's length may raise anything
        who.count_fault("batch")
        features, answer, details = None, None, NO_DETAILS
        outcome = "ignored" if outcome == "ok" else outcome
    if rows is None:
        who.record_call(answer, features, latency_ms, outcome, *details)
    else:
        who.record_batch(rows, answer, features, latency_ms, outcome, *details)
