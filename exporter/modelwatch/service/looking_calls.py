"""The calls of the public API that look at what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelwatch.service import actions, history
from modelwatch.service.answers import Result, answers
from modelwatch.service.status import service_status

if TYPE_CHECKING:
    from modelwatch.policy import AlertLevel
    from modelwatch.service.parts import Parts

Time = datetime | str | float
"""A datetime or ISO-8601 text (local time unless it says otherwise), or seconds since 1970."""


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
            The batch's predictions, shape (rows,), or the scores of its classes, (rows, classes).
        current_targets
            Ground truth of the batch; concept drift is not scored in this release, which a warning says.
        comprehensive
            False looks at the features only.

        Returns
        -------
        dict
            status, model_id, drift_detected, drift_types (of "data", "prediction", "multivariate"), severity ("none",
            "info", "warning", "error", "critical"), summary (a sentence), details (by kind of drift: state, severity,
            reason, and by feature score, threshold, n, window, test), top_features (at most five, worst first),
            performance; warnings if there are any. Status and error if the batch can't be read, is empty, or has none
            of the reference's columns.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from modelwatch import ProductionMonitoringService
        >>> rng = np.random.default_rng(0)
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     _ = service.set_reference("ad_score", {"bid": rng.gamma(2.0, 1.0, 5000)})
        ...     drift = service.monitor_model_drift("ad_score", {"bid": 3 * rng.gamma(2.0, 1.0, 500)})
        >>> drift["drift_types"], drift["severity"] in ["error", "critical"], drift["top_features"]
        (['data'], True, ['bid'])
        """
        return actions.asked_drift(
            self._parts, model_id, current_data, current_predictions, current_targets, comprehensive, self._clock()
        )

    @answers
    def get_model_metrics(
        self,
        model_id: str,
        metric: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        aggregation: str | None = None,
    ) -> Result:
        """
        Return metrics of a model over time: every value given to :meth:`update_model_metric`, and what was recorded.

        Of what was recorded there is a point a minute, over all versions and workers: ``latency_ms`` (mean),
        ``error_rate``, ``prediction_mean`` and ``predictions`` (how many), and, where actuals came with the
        predictions, ``accuracy``, ``mae`` and ``rmse``. It is first waited for what was recorded in this process
        just now, on the thread of a running event loop for a tenth of a second at most.

        Parameters
        ----------
        model_id
            A model that this service or another one on the same storage registered.
        metric
            One metric; without it, those of ``performance_metrics``, the recorder's own and all that are stored.
        start_time, end_time
            The range, both ends included: datetimes (naive ones are local time), ISO-8601 texts or seconds since
            1970. A minute counts if it begins within.
        aggregation
            "mean", "min", "max" or "median" of the points that would be listed, each counting once.

        Returns
        -------
        dict
            status, model_id and metrics: ``{name: [{"timestamp", "value", "metadata"}, …]}``, oldest first, times in
            ISO-8601 UTC. ``metadata`` are those given with the value (``source`` is "update" unless they name one),
            or ``{"source": "recorded", "count": n}`` for a minute with n observations. With an aggregation
            ``{name: {"value", "count"}}``; the value of nothing is None.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ads", "performance_metrics": ["auc"]})
        ...     for value in (0.75, 0.85):
        ...         _ = service.update_model_metric("ads", "auc", value, {"dataset": "june"})
        ...     listed = service.get_model_metrics("ads", "auc")["metrics"]["auc"]
        ...     mean = service.get_model_metrics("ads", "auc", aggregation="mean")["metrics"]
        >>> listed[0]["value"], listed[0]["metadata"]
        (0.75, {'source': 'update', 'dataset': 'june'})
        >>> mean
        {'auc': {'value': 0.8, 'count': 2}}
        """
        return history.model_metrics(self._parts, model_id, metric, start_time, end_time, aggregation)

    @answers
    def get_drift_history(
        self,
        model_id: str,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        limit: int | None = None,
    ) -> Result:
        """
        Return what the scheduled checks of a model found, over all its versions.

        Reads the store, and the first call loads what reads it; on an event loop: ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            A model that this service or another one on the same storage registered.
        start_time, end_time
            The range, both ends included, as for :meth:`get_model_metrics`.
        limit
            The most checks to return: the latest ones.

        Returns
        -------
        dict
            status, model_id and history: a list of checks, oldest first, each with timestamp, model_id,
            model_version, ok (whether the check itself succeeded), duration_seconds, severity, drift_detected (from
            "warning" up), drift_types, profile_id, windows (rows by window) and details by type: state, severity,
            reason and features (score, threshold, severity, window, test).

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     service.get_drift_history("ad_score")["history"]
        []
        """
        return history.drift_history(self._parts, model_id, start_time, end_time, limit)

    @answers
    def get_alerts(
        self,
        model_id: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        level: AlertLevel | str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """
        Return alerts of the past, sent by checks or by :meth:`send_alert`, and what became of them.

        Reads the store, and the first call loads what reads it; on an event loop: ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            Of one model; without it, of all, and those that are about no model.
        start_time, end_time
            The range, both ends included, as for :meth:`get_model_metrics`.
        level
            Only those of one :class:`AlertLevel`.
        status
            Only "firing" or only "resolved" ones.
        limit
            The most alerts to return: the latest ones.

        Returns
        -------
        dict
            status, model_id and alerts: a list of alerts as handlers receive them, newest first, each also with
            channels: ``{channel: "sent" | "queued" | "suppressed" | "failed: why"}``.

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     _ = service.send_alert("warning", "a campaign begins", {"model_id": "ad_score"})
        ...     alerts = service.get_alerts("ad_score", level="warning")["alerts"]
        >>> [(alert["message"], alert["status"], alert["channels"]) for alert in alerts]
        [('a campaign begins', 'firing', {'log': 'sent'})]
        """
        return history.alert_history(self._parts, model_id, start_time, end_time, level, status, limit)

    @answers
    def get_service_status(self) -> Result:
        """
        Return how the service and each of its models are; on an event loop: ``await asyncio.to_thread(...)``.

        Returns
        -------
        dict
            status, service_status ("healthy", "degraded" or "unhealthy"), reasons (sentences), uptime_seconds, models
            (a list of dicts: model_id, model_version, health, reasons, predictions, errors, last_prediction_at,
            reference, drift_severity, drift_state, last_check_at, warnings, of which one tells what of the recordings
            could not be used), storage (path, usable, size_bytes, max_size_bytes, last_cleanup, shared_counters),
            checks (who runs them), alerts (active ones, silences, and the channels that somebody delivers to).

        Examples
        --------
        >>> import tempfile
        >>> from modelwatch import ProductionMonitoringService
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     status = service.get_service_status()
        >>> status["service_status"], [model["model_id"] for model in status["models"]]
        ('healthy', ['ad_score'])
        """
        return service_status(self._parts, self._started_at, self._clock())
