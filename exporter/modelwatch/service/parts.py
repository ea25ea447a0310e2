"""The parts of a service and how they are wired: recorder, store, outbox, engine, loop, collectors."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from modelwatch.collector import RecordingCollector, ResultsCollector, start_metrics_server
from modelwatch.config import (
    ModelMonitoringConfig,
    MonitoringConfig,
    channels_without_receiver,
    default_storage_path,
    environment_receivers,
    validate_name,
)
from modelwatch.exceptions import InputError, StorageError, did_you_mean
from modelwatch.notify.engine import AlertEngine
from modelwatch.notify.handlers import build_handlers
from modelwatch.notify.outbox import Outbox
from modelwatch.policy import AlertLevel, Severity, channels_for
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.records import Alert, FlushBatch
from modelwatch.service.call import ModelCaller
from modelwatch.service.jobs import Jobs
from modelwatch.service.loop import CheckLoop
from modelwatch.service.models import ModelBook, RegisteredModel
from modelwatch.service.times import iso
from modelwatch.store import StoreWriter

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries

logger = logging.getLogger("modelwatch")
SEND_ALERT_WAIT = 5.0


class _WakingSink:
    """The store as the recorder sees it; the first flush of a process (also of a forked one) starts its check loop."""

    def __init__(self, store: StoreWriter, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    def commit(self, batch: FlushBatch) -> None:
        """Write the batch, then make sure that somebody looks at it."""
        self._store.commit(batch)
        self._wake()


class Parts:
    """Everything a service is made of; the façade above it only translates calls."""

    def __init__(
        self,
        config: MonitoringConfig,
        storage_path: str | Path | None,
        alert_handlers: Mapping[str, Callable[[dict[str, Any]], Any]],
        registry: CollectorRegistry | None,
        clock: Callable[[], float],
        *,
        background: bool,
    ) -> None:
        self.config = config
        self.clock = clock
        self.folder = default_storage_path(str(storage_path) if storage_path is not None else None, config)
        self.book = ModelBook({(m.model_id, m.model_version): m for m in config.models})
        self.receivers: dict[str, Any] = {**environment_receivers(), **config.alerting.receivers}
        self.store, self.storage_problem = _open_store(self.folder)
        self.outbox = Outbox(build_handlers(self.receivers), on_result=self._count_notification)
        self.handler_channels: set[str] = {"log", *self.receivers}
        for channel, handler in alert_handlers.items():
            self.add_handler(channel, handler)
        self.jobs: Jobs | None = None
        self.loop: CheckLoop | None = None
        if self.store is not None:
            self._wire_checks(self.store, background=background)
        sink = _WakingSink(self.store, self._wake) if self.store is not None else None
        self.recorder = Recorder(self.folder, sink, clock=clock)
        self.registry = registry if registry is not None else CollectorRegistry()
        self._collectors = self._register_collectors()
        self._servers: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def _wire_checks(self, store: StoreWriter, *, background: bool) -> None:
        self.engine = AlertEngine(
            store,
            self.outbox,
            self.channels,
            repeat_interval=self.config.alerting.repeat_interval_seconds,
            hourly_cap=self.config.alerting.hourly_cap,
            clock=self.clock,
        )
        self.jobs = Jobs(
            self.book,
            store,
            self.engine,
            open_queries=self._open_queries,
            timezone=self.config.timezone,
            started_at=self.clock(),
        )
        if background:
            self.loop = CheckLoop(self.jobs, clock=self.clock)

    def _open_queries(self) -> StoreQueries:
        from modelwatch.store.queries import StoreQueries

        return StoreQueries(self.folder)

    def _wake(self) -> None:
        if self.loop is not None and not self._closed:
            self.loop.ensure_running()

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, given: ModelMonitoringConfig | Mapping[str, Any], now: float) -> RegisteredModel:
        """Register or update a model everywhere: book, recorder, store."""
        config = given if isinstance(given, ModelMonitoringConfig) else ModelMonitoringConfig.model_validate(given)
        model = self.book.register(config, now)
        self.recorder.add_model(self._recorded(model))
        if self.store is not None:
            self.store.register_model(
                config.model_id, config.model_version, model.config.model_dump(mode="json", exclude_unset=True), now
            )
            if model.profile is not None:
                self.store.save_profile(model.profile.id, model.profile.to_json())
        self._wake()
        return model

    def attach_profile(self, model_id: str, profile: ReferenceProfile) -> None:
        """Compare a model with a profile that is already in memory."""
        self.book.get(model_id)
        self.book.attach_profile(model_id, profile)
        if self.store is not None:
            self.store.save_profile(profile.id, profile.to_json())
        for model in self.book.all():
            if model.config.model_id == model_id:
                self.recorder.add_model(self._recorded(model))

    def _recorded(self, model: RegisteredModel) -> RecordedModel:
        config = model.config
        latency = config.thresholds.get("latency_ms")
        bounds = (latency.max / 1000.0,) if latency is not None and latency.max is not None else ()
        return RecordedModel(
            model_id=config.model_id,
            model_version=config.model_version,
            task=config.task or (model.profile.task if model.profile is not None else "") or "",
            sampling_rate=config.sampling_rate,
            log_predictions=config.log_predictions,
            latency_bounds=bounds,
            profile=model.profile,
            metadata_keys=config.metadata_keys,
            exclude=config.features.exclude,
            count_interval=config.drift.count_interval_seconds,
            decision_threshold=config.decision_threshold,
        )

    def caller(self, model_id: str, version: str | None, reference: str | Path | None) -> ModelCaller:
        """Return who records the calls of one decorated function; an unlisted model is registered."""
        validate_name(model_id, "model_id")
        if model_id not in self.book or reference is not None:
            listed = self.book.file_config(model_id)
            fields: dict[str, Any] = {"model_id": model_id}
            if listed is None:
                fields["performance_metrics"] = ["latency_ms", "error_rate"]
            if version is not None:
                fields["model_version"] = version
            if reference is not None:
                fields["reference"] = str(reference)
            self.register(fields, self.clock())
        return ModelCaller(self.recorder, model_id, version)

    # ── recording ────────────────────────────────────────────────────────────────────────────────────────────────

    def update_metric(
        self, model_id: str, metric: str, value: float, metadata: dict[str, Any] | None, now: float
    ) -> dict[str, Any]:
        """Store one value of a metric that the model is registered with."""
        config = self.book.get(model_id).config
        if metric not in config.performance_metrics:
            listed = ", ".join(config.performance_metrics) or "none"
            hint = did_you_mean(str(metric), config.performance_metrics)
            msg = f"{metric!r} is not among the performance_metrics of {model_id!r}{hint}; they are: {listed}"
            raise InputError(msg)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"the value of {metric!r} must be a number, got {type(value).__name__}"
            raise InputError(msg) from error
        if number != number or number in (float("inf"), float("-inf")):
            msg = f"the value of {metric!r} must be a finite number, got {number}"
            raise InputError(msg)
        self.recorder.set_metric(model_id, metric, number, now, metadata)
        return {"status": "success", "metric": metric, "value": number, "timestamp": iso(now)}

    # ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────

    def asked_drift(
        self, model_id: str, data: object, predictions: object, targets: object, comprehensive: bool, now: float
    ) -> dict[str, Any]:
        """Score a batch, or the model's recorded windows, and say it as the public API does."""
        from modelwatch import checks

        model = self.book.get(model_id)
        warnings = list(model.warnings)
        if targets is not None:
            warnings.append("current_targets were not used: concept drift is not scored in this release")
        if data is None and predictions is None:
            result = self._windows_now(model, now)
        else:
            result = checks.asked_check(model.config, model.profile, data, predictions if comprehensive else None, now)
        if not comprehensive:
            result = checks.only(result, ("data",))
        report = {"status": "success", "model_id": model_id, **checks.drift_report(result)}
        return report | ({"warnings": warnings} if warnings else {})

    def _windows_now(self, model: RegisteredModel, now: float) -> Any:  # noqa: ANN401 - a CheckResult, imported lazily
        if self.jobs is None:
            msg = f"nothing is stored ({self.storage_problem}): pass current_data"
            raise StorageError(msg)
        self.recorder.flush(SEND_ALERT_WAIT)
        return self.jobs.look(model, now)

    # ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def channels(self, severity: Severity, model_id: str | None) -> tuple[str, ...]:
        """Return the channels that a severity of a model goes to."""
        model_channels = None
        if model_id is not None and model_id in self.book:
            config = self.book.get(model_id).config
            model_channels = config.alert_channels if config.channels_written else None
        return channels_for(
            severity,
            model_channels,
            {channel: self.receivers.get(channel) for channel in sorted(self.handler_channels)},
            self.config.alerting.severity_routing,
            reachable=self.handler_channels,
        )

    def channel_warnings(self, config: ModelMonitoringConfig) -> list[str]:
        """Return a sentence for each of a model's channels that reaches nobody."""
        if not config.channels_written:
            return []
        silent = channels_without_receiver(config, self.config.alerting, self.handler_channels)
        return [f"alert channel {c!r} reaches nobody: no handler or receiver of that name" for c in silent]

    def add_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> None:
        """Send a channel's alerts to a callable."""
        self.outbox.add_handler(validate_name(channel, "channel"), handler)
        self.handler_channels.add(channel)

    def send_alert(
        self, level: AlertLevel, message: str, data: dict[str, Any], alert_type: str, now: float
    ) -> dict[str, Any]:
        """Store and deliver one alert that somebody sent by hand."""
        model_id = data.get("model_id")
        alert = Alert(
            alert_id=uuid.uuid4().hex,
            timestamp=iso(now),
            level=level.value,
            type=alert_type,
            message=str(message),
            data=data,
            model_id=str(model_id) if model_id is not None else "",
            status="firing",
            fingerprint=uuid.uuid4().hex[:16],
            starts_at=iso(now),
        )
        severity = Severity[level.name]
        channels = self.outbox.deliver_now(
            alert.as_dict(), self.channels(severity, alert.model_id or None), SEND_ALERT_WAIT
        )
        if self.store is not None:
            self.store.save_alert(alert, channels)
        shown = {key: getattr(alert, key) for key in ("alert_id", "timestamp", "level", "type", "message", "data")}
        return {"status": "success", **shown, "channels": channels}

    def _count_notification(self, channel: str, ok: bool) -> None:
        if self.store is not None:
            self.store.count_notification(channel, ok)

    # ── exposition and life ──────────────────────────────────────────────────────────────────────────────────────

    def _register_collectors(self) -> list[Any]:
        collectors: list[Any] = [
            RecordingCollector(self.recorder, self.store.storage_id if self.store is not None else None)
        ]
        if self.store is not None:
            collectors.append(ResultsCollector(self.store))
        for collector in collectors:
            self.registry.register(collector)
        return collectors

    def serve_metrics(self, port: int, addr: str) -> int:
        """Serve the registry over HTTP on a thread of its own; return the port."""
        server = start_metrics_server(port, addr, self.registry)
        self._servers.append(server)
        return server.port

    def close(self) -> None:
        """Stop everything in the order in which it depends on each other."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self.loop is not None:
            self.loop.close()
        self.recorder.close()
        self.outbox.close(SEND_ALERT_WAIT)
        for server in self._servers:
            server.close()
        for collector in self._collectors:
            self.registry.unregister(collector)
        if self.jobs is not None:
            self.jobs.close()
        if self.store is not None:
            self.store.close()


def _open_store(folder: Path) -> tuple[StoreWriter | None, str]:
    """Open the store; an unusable folder costs history and drift, never predictions."""
    try:
        return StoreWriter(folder), ""
    except StorageError as error:
        logger.warning("%s; predictions are counted in this process only", error)
        return None, str(error)
