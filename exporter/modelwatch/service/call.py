"""Who records the calls of one decorated function."""

from __future__ import annotations

from typing import Any

from modelwatch.decorator import Outcome
from modelwatch.recorder import Recorder
from modelwatch.recorder.segments import with_segment


class ModelCaller:
    """Records calls of one model (a :class:`modelwatch.decorator.CallRecorder`)."""

    __slots__ = ("_model_id", "_record", "_recorder", "_version")

    def __init__(self, recorder: Recorder, model_id: str, version: str | None) -> None:
        self._recorder = recorder
        self._record = recorder.record
        self._model_id = model_id
        self._version = version

    def record_call(
        self,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        latency_ms: float,
        outcome: Outcome,
        prediction_id: Any = None,  # noqa: ANN401 - becomes text
        metadata: Any = None,  # noqa: ANN401 - a dict, but nobody is told off here
        timestamp: Any = None,  # noqa: ANN401 - as a caller has it
        segment: Any = None,  # noqa: ANN401 - becomes text
    ) -> None:
        """Record one call about one row; never raises."""
        # By position: as many keywords cost a tenth of a microsecond more.
        if outcome == "ok" and segment is None:  # the usual case, with nothing to work out
            self._record(
                self._model_id,
                prediction,
                features,
                None,
                metadata,
                latency_ms,
                prediction_id,
                timestamp,
                self._version,
            )
            return
        self._record(
            self._model_id,
            prediction,
            features,
            metadata=with_segment(metadata, segment),
            latency_ms=latency_ms,
            prediction_id=prediction_id,
            timestamp=timestamp,
            model_version=self._version,
            error=outcome == "error",
            counted_only=outcome == "ignored",
        )

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
        """Record one call about many rows; never raises. What can't be read as a batch counts as one attempt."""
        looked_at = outcome == "ok"
        answer = self._recorder.record_many(
            self._model_id,
            predictions if looked_at else [None] * rows,
            features if looked_at else None,
            metadata=metadata,
            latency_ms=latency_ms,
            prediction_ids=_ids(prediction_id, rows),
            timestamps=timestamp,
            segment=segment,
            model_version=self._version,
            errors=outcome == "error",
            counted_only=outcome == "ignored",
        )
        if answer["status"] != "success":
            self.record_call(None, None, latency_ms, "ignored" if looked_at else outcome)

    def count_fault(self, reason: str) -> None:
        """Count a fault of our own making; never raises."""
        self._recorder.count_fault(self._model_id, reason)


def _ids(given: Any, rows: int) -> Any:  # noqa: ANN401 - one for all, or a column
    """Return ids, one per row: of one for all, such as a request's, with the row's number behind it.

    >>> _ids("r-7", 2), _ids(["a", "b"], 2)
    (['r-7.0', 'r-7.1'], ['a', 'b'])
    """
    if not isinstance(given, (str, int)):
        return given
    return [f"{given}.{row}" for row in range(rows)] if rows != 1 else [given]


__all__ = ["ModelCaller"]
