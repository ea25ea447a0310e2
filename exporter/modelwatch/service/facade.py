"""ProductionMonitoringService: one object that records, scores and alerts. No arithmetic of its own."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, load_config
from modelwatch.decorator import Pick, wrap
from modelwatch.exceptions import InputError, ModelwatchError
from modelwatch.service import actions
from modelwatch.service.parts import Parts
from modelwatch.service.status import service_status
from modelwatch.service.times import iso, seconds_of

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from modelwatch.policy import AlertLevel
    from modelwatch.profile import ReferenceProfile
    from modelwatch.service.call import ModelCaller

P = ParamSpec("P")
R = TypeVar("R")
Result = dict[str, Any]
logger = logging.getLogger("modelwatch")


def _answers(method: Callable[P, Result]) -> Callable[P, Result]:
    """Turn our own errors into ``{"status": "error", "error": …}``."""

    @wraps(method)
    def answering(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except ModelwatchError as error:
            return {"status": "error", "error": str(error)}

    return answering


class ProductionMonitoringService:
    """
    Records predictions, compares them with the model's reference, and alerts.

    Parameters
    ----------
    config_path
        A JSON or YAML file with ``models: [...]``; without one, models are registered in code.
    storage_path
        Folder of the embedded store. Default: ``$MODELWATCH_STORAGE``, else ``/var/lib/modelwatch`` if writable, else
        ``~/.local/state/modelwatch``.
    alert_handlers
        ``{channel: callable(alert_dict)}``, beside the receivers of the configuration.
    registry
        A prometheus_client registry to expose the metrics in; by default one of the service's own
        (:attr:`registry`), which :meth:`start_metrics_server` serves.
    config
        A configuration already loaded, instead of `config_path`.
    clock
        Seconds since 1970; tests pass their own.
    background
        Whether to run the scheduled checks in a background thread where nobody else does.

    Raises
    ------
    ConfigError
        If the configuration file is wrong; the message says where.

    Examples
    --------
    >>> import tempfile
    >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
    ...     _ = service.register_model(ModelMonitoringConfig(model_id="ad_score"))
    ...     answer = service.record_prediction("ad_score", 0.7, {"bid": 1.5}, latency_ms=3.2)
    ...     answer["status"], service.flush()
    ('success', True)
    """

    def __init__(
        self,
        config_path: str | Path | None = None,
        storage_path: str | Path | None = None,
        alert_handlers: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
        *,
        registry: CollectorRegistry | None = None,
        config: MonitoringConfig | None = None,
        clock: Callable[[], float] = time.time,
        background: bool = True,
    ) -> None:
        if config_path is not None and config is not None:
            msg = "pass config_path or config, not both"
            raise InputError(msg)
        loaded = load_config(config_path) if config_path is not None else config or MonitoringConfig()
        self._clock = clock
        self._started_at = clock()
        self._parts = Parts(loaded, storage_path, alert_handlers or {}, registry, clock, background=background)
        self.registry = self._parts.registry
        for model in loaded.models:
            self._parts.registrar.register(model)
        self._parts.wake()

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────

    @_answers
    def register_model(self, config: ModelMonitoringConfig | Mapping[str, Any]) -> Result:
        """
        Register a model, or update it; registering again loses nothing.

        Parameters
        ----------
        config
            A :class:`ModelMonitoringConfig`, or a dict of its fields.

        Returns
        -------
        dict
            status, model_id, registered_at, config; warnings if there are any.
        """
        model = self._parts.registrar.register(config)
        self._parts.wake()
        answer = {
            "status": "success",
            "model_id": model.config.model_id,
            "registered_at": iso(model.registered_at),
            "config": model.config.model_dump(mode="json", exclude={"defaulted": True, "drift": {"defaulted"}}),
        }
        warnings = [*model.warnings, *self._parts.routes.warnings(model.config)]
        return answer | ({"warnings": warnings} if warnings else {})

    def attach_profile(self, model_id: str, profile: ReferenceProfile) -> None:
        """Compare a registered model with a profile that is already in memory (the decorator's ``reference=``)."""
        self._parts.registrar.attach_profile(model_id, profile)

    @property
    def storage(self) -> Path:
        """The folder of the store."""
        return self._parts.folder

    def reference_of(self, model_id: str) -> str:
        """Return what a registered model is compared with, in words."""
        return self._parts.book.get(model_id).reference_state

    def caller(self, model_id: str, version: str | None = None, reference: str | Path | None = None) -> ModelCaller:
        """Return who records the calls of one decorated function; a model that is not registered yet is."""
        return self._parts.registrar.caller(model_id, version, reference)

    def knows(self, model_id: str) -> bool:
        """Return whether a model of that id is registered."""
        return model_id in self._parts.book

    # ── recording: never raises, never blocks ────────────────────────────────────────────────────────────────────

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

    @_answers
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

    # ── the decorator ────────────────────────────────────────────────────────────────────────────────────────────

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

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    @_answers
    def monitor_model_drift(
        self,
        model_id: str,
        current_data: Any = None,  # noqa: ANN401 - DataFrame, array, dict of columns, list of dicts
        current_predictions: Any = None,  # noqa: ANN401
        current_targets: Any = None,  # noqa: ANN401
        comprehensive: bool = True,
    ) -> Result:
        """
        Compare data with the model's reference now.

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
            status, drift_detected, drift_types, severity, summary, details, top_features, performance.
        """
        return actions.asked_drift(
            self._parts, model_id, current_data, current_predictions, current_targets, comprehensive, self._clock()
        )

    @_answers
    def get_service_status(self) -> Result:
        """Return health and reasons of the service and of each model, with traffic, reference, drift and alerts."""
        return service_status(self._parts, self._started_at, self._clock())

    # ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────

    @_answers
    def send_alert(
        self,
        severity: AlertLevel | str,
        message: str,
        data: dict[str, Any] | None = None,
        alert_type: str = "monitoring",
    ) -> Result:
        """
        Send an alert of your own to the channels that its severity goes to.

        Parameters
        ----------
        severity
            An :class:`AlertLevel` or its name, in any case.
        message
            One sentence.
        data
            Anything that helps; ``data["model_id"]`` names the model it is about.
        alert_type
            A word for what kind of alert it is.

        Returns
        -------
        dict
            status, alert_id, timestamp, level, type, message, data, channels.
        """
        return actions.send_alert(self._parts, severity, message, data, alert_type, self._clock())

    @_answers
    def register_alert_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> Result:
        """
        Send alerts of a channel to your own callable, which gets the alert as a dict.

        Returns
        -------
        dict
            status, channel; warnings where ``alerting.mode`` leaves scheduled alerts to Prometheus.
        """
        given: object = handler  # people pass addresses and URLs here, whatever the annotation says
        if not callable(given):
            msg = f"the handler of channel {channel!r} must be callable, got {type(given).__name__}"
            raise InputError(msg)
        warnings = self._parts.add_handler(channel, handler)
        return {"status": "success", "channel": channel} | ({"warnings": warnings} if warnings else {})

    # ── exposition and life ──────────────────────────────────────────────────────────────────────────────────────

    def start_metrics_server(self, port: int = 9100, addr: str = "127.0.0.1") -> int:
        """Serve ``/metrics`` on a thread of its own; return the port (useful with ``port=0``)."""
        return self._parts.serve_metrics(port, addr)

    def close(self) -> None:
        """Flush, stop the threads and the metrics server; idempotent."""
        self._parts.close()

    def __enter__(self) -> ProductionMonitoringService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ModelwatchError):
            self.close()
