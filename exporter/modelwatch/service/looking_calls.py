"""The calls of the public API that look at what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelwatch.service import actions
from modelwatch.service.answers import Result, answers
from modelwatch.service.status import service_status

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts


class LookingCalls:
    """Drift, metrics, history and status; part of ``ProductionMonitoringService``."""

    _parts: Parts
    _clock: Callable[[], float]
    _started_at: float

    @answers
    def monitor_model_drift(
        self,
        model_id: str,
        current_data: Any = None,  # noqa: ANN401 - DataFrame, array, dict of columns, list of dicts
        current_predictions: Any = None,  # noqa: ANN401
        current_targets: Any = None,  # noqa: ANN401
        comprehensive: bool = True,
    ) -> Result:
        """
        Compare data with the model's reference now; on an event loop: ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            A registered model.
        current_data
            The batch to look at: DataFrame, dict of columns, list of dicts or 2-D array of shape (rows, features).
            Without it, the model's own recorded windows are scored.
        current_predictions
            The batch's predictions, shape (rows,).
        current_targets
            Ground truth of the batch; concept drift is not scored in this release, which a warning says.
        comprehensive
            False looks at the features only.

        Returns
        -------
        dict
            status, model_id, drift_detected, drift_types (of "data", "prediction"), severity ("none", "info",
            "warning", "error", "critical"), summary (a sentence), details (by kind of drift: state, severity, reason,
            and by feature score, threshold, n, window, test), top_features (at most five, worst first), performance;
            warnings if there are any. Status and error if the batch can't be read, is empty, or has none of the
            reference's columns.
        """
        return actions.asked_drift(
            self._parts, model_id, current_data, current_predictions, current_targets, comprehensive, self._clock()
        )

    @answers
    def get_service_status(self) -> Result:
        """
        Return how the service and each of its models are; on an event loop: ``await asyncio.to_thread(...)``.

        Returns
        -------
        dict
            status, service_status ("healthy", "degraded" or "unhealthy"), reasons (sentences), uptime_seconds, models
            (a list of dicts: model_id, model_version, health, reasons, predictions, errors, last_prediction_at,
            reference, drift_severity, drift_state, last_check_at, warnings), storage (path, usable, size_bytes,
            shared_counters), checks (who runs them), alerts (active ones, and the channels that somebody delivers to).
        """
        return service_status(self._parts, self._started_at, self._clock())
