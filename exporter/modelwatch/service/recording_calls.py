"""The calls of the public API that are made where predictions are made: they never raise and never block."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from modelwatch.decorator import Pick, wrap
from modelwatch.service import actions
from modelwatch.service.answers import Result, answers
from modelwatch.service.times import seconds_of

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts

P = ParamSpec("P")
R = TypeVar("R")


class RecordingCalls:
    """Recording predictions, ground truth and metric values; part of ``ProductionMonitoringService``."""

    _parts: Parts
    _clock: Callable[[], float]

    def record_prediction(
        self,
        model_id: str,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        actual: Any = None,  # noqa: ANN401
        metadata: dict[str, Any] | None = None,
        latency_ms: float | None = None,
        *,
        prediction_id: str | None = None,
        timestamp: float | datetime | None = None,
        model_version: str | None = None,
        error: Any = None,  # noqa: ANN401
        copy: bool = True,
    ) -> Result:
        """
        Record one prediction; costs about a microsecond and never raises.

        Parameters
        ----------
        model_id
            A registered model.
        prediction
            What the model answered: a score, a number or a label.
        features
            The inputs: a dict by name, or a sequence or 1-D array in the profile's order.
        actual
            Ground truth, if already known; otherwise :meth:`record_actual` later.
        metadata
            Stored with the row (restricted by ``metadata_keys``).
        latency_ms
            How long the prediction took, in milliseconds.
        prediction_id
            Your id, to join ground truth with; one is made if you give none.
        timestamp
            When it happened: seconds since 1970 or a datetime (naive is local time); default now.
        model_version
            Overrides the registered version.
        error
            Anything but None or False: the attempt failed; it is counted, and features are not looked at.
        copy
            False if you promise not to change `features` afterwards; saves half the cost.

        Returns
        -------
        dict
            status, model_id, prediction_id, sampled; on an unknown model or after close: status and error.
        """
        when = timestamp if timestamp is None else seconds_of(timestamp)
        return self._parts.recorder.record(
            model_id,
            prediction,
            features,
            actual=actual,
            metadata=metadata,
            latency_ms=latency_ms,
            prediction_id=prediction_id,
            timestamp=when,
            model_version=model_version,
            error=error,
            copy=copy,
        )

    def record_actual(self, model_id: str, prediction_id: str, actual: Any) -> Result:  # noqa: ANN401
        """Store late ground truth for a prediction, by its id; never raises."""
        return self._parts.recorder.record_actual(model_id, prediction_id, actual)

    @answers
    def update_model_metric(
        self, model_id: str, metric: str, value: float, metadata: dict[str, Any] | None = None
    ) -> Result:
        """
        Store one value of a metric that you computed yourself, and expose it as ``modelwatch_metric_value``.

        Returns
        -------
        dict
            status, metric, value, timestamp; an error for a metric outside the model's ``performance_metrics``.
        """
        return actions.update_metric(self._parts, model_id, metric, value, metadata, self._clock())

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was recorded is visible and stored; False if that did not happen within `timeout` s."""
        return self._parts.recorder.flush(timeout)

    def monitor(
        self,
        model_id: str,
        *,
        features: Pick = None,
        prediction: Pick = None,
        prediction_id: Pick = None,
        metadata: Pick = None,
        timestamp: Pick = None,
        version: str | None = None,
        reference: str | Path | None = None,
        ignore_errors: tuple[type[BaseException], ...] = (),
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """
        Return a decorator that records every call of a predict function; see :func:`modelwatch.monitor`.

        A model that is not registered yet is registered with latency, errors and traffic watched, and drift if
        `reference` names a profile.
        """
        caller = self._parts.registrar.caller(model_id, version, reference)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            return wrap(
                function,
                lambda: caller,
                features=features,
                prediction=prediction,
                prediction_id=prediction_id,
                metadata=metadata,
                timestamp=timestamp,
                ignore_errors=ignore_errors,
            )

        return decorate
