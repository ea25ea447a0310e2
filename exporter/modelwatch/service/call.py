"""Who records the calls of one decorated function."""

from __future__ import annotations

from typing import Any

from modelwatch.decorator import Outcome
from modelwatch.recorder import Recorder


class ModelCaller:
    """Records calls of one model (a :class:`modelwatch.decorator.CallRecorder`)."""

    __slots__ = ("_model_id", "_recorder", "_version")

    def __init__(self, recorder: Recorder, model_id: str, version: str | None) -> None:
        self._recorder = recorder
        self._model_id = model_id
        self._version = version

    def record_call(
        self,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        *,
        metadata: dict[str, Any] | None,
        latency_ms: float,
        prediction_id: str | None,
        timestamp: Any,  # noqa: ANN401 - as a caller has it
        outcome: Outcome,
    ) -> None:
        """Record one call; never raises."""
        self._recorder.record(
            self._model_id,
            prediction,
            features,
            metadata=metadata,
            latency_ms=latency_ms,
            prediction_id=prediction_id,
            timestamp=timestamp,
            model_version=self._version,
            error=outcome == "error",
            counted_only=outcome == "ignored",
        )

    def count_fault(self, reason: str) -> None:
        """Count a fault of our own making; never raises."""
        self._recorder.count_fault(self._model_id, reason)
