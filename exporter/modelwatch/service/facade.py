"""ProductionMonitoringService: one object that records, scores and alerts. No arithmetic of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, load_config, named_config
from modelwatch.exceptions import InputError, ModelwatchError
from modelwatch.service import given, retirement
from modelwatch.service.alert_calls import AlertCalls
from modelwatch.service.answers import Result, answers
from modelwatch.service.exposing_calls import ExposingCalls
from modelwatch.service.looking_calls import LookingCalls
from modelwatch.service.monitor_call import MonitorCall
from modelwatch.service.parts import Parts
from modelwatch.service.recording_calls import RecordingCalls
from modelwatch.service.references import build_given
from modelwatch.service.times import iso
from modelwatch.service.upkeep_calls import UpkeepCalls

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from modelwatch.service.call import ModelCaller


class ProductionMonitoringService(RecordingCalls, MonitorCall, LookingCalls, AlertCalls, ExposingCalls, UpkeepCalls):
    """
    Records predictions, compares them with the model's reference, and alerts.

    Parameters
    ----------
    config_path
        A JSON or YAML file with ``models: [...]``. Default: ``$MODELWATCH_CONFIG``; without one, models are registered
        in code.
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
    InputError
        If an argument is of no use, such as a handler that can't be called.

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
        given.check_path(storage_path, "storage_path")
        given.check_path(config_path, "config_path")
        given.check_config(config)
        given.check_handlers(alert_handlers)
        given.check_callable(clock, "clock")
        if registry is not None:
            given.check_registry(registry)
        path = named_config() if config_path is None and config is None else config_path
        loaded = load_config(path) if path is not None else config or MonitoringConfig()
        self._clock = clock
        self._started_at = clock()
        self._parts = Parts(loaded, storage_path, alert_handlers or {}, registry, clock, background=background)
        self._record = self._parts.recorder.record
        self.registry = self._parts.exposing.registry
        for model in loaded.models:
            self._parts.registrar.register(model)
        self._parts.follower.now()
        self._parts.wake()

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────

    @answers
    def register_model(self, config: ModelMonitoringConfig | Mapping[str, Any]) -> Result:
        """
        Register a model, or update it; registering again loses nothing, and brings back one that was retired.

        Reads files and writes to the store: on an event loop use ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        config
            A :class:`ModelMonitoringConfig`, or a dict of its fields. The key is (model_id, model_version).

        Returns
        -------
        dict
            status, model_id, registered_at (ISO-8601 UTC), config (a dict); warnings if there are any, for example
            about a channel that reaches nobody, or a store that refuses what is written; status and error if the
            configuration is wrong.
        """
        model = self._parts.registrar.register(config)
        self._parts.follower.now()
        self._parts.wake()
        answer = {
            "status": "success",
            "model_id": model.config.model_id,
            "registered_at": iso(model.registered_at),
            "config": model.config.model_dump(mode="json"),
        }
        routes = self._parts.routes
        warnings = [*model.warnings, *self._parts.storage_warnings()]
        warnings += [*routes.warnings(model.config), *routes.problems(model.config)]
        return answer | ({"warnings": warnings} if warnings else {})

    @answers
    def set_reference(
        self,
        model_id: str,
        profile_or_dataframe: Any,  # noqa: ANN401 - a profile, a path, or any table
        *,
        predictions: Any = None,  # noqa: ANN401 - any column
        timestamps: Any = None,  # noqa: ANN401 - any column
    ) -> Result:
        """
        Compare a model with another reference from now on, in every process that shares this storage.

        It holds until it is set again, or the model's configuration names another reference.

        Builds a profile and may wait for the store, for seconds while others write; on an event loop:
        ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            A registered model; all its versions are meant.
        profile_or_dataframe
            A :class:`ReferenceProfile`, the path of one, or data that one is built from: a DataFrame, dict of columns,
            list of dicts or 2-D array of shape (rows, features).
        predictions, timestamps
            Of data: what the model returned, and when, each of shape (rows,).

        Returns
        -------
        dict
            status, model_id, reference (the profile's id), rows, verdict; warnings if there are any.

        Examples
        --------
        >>> import tempfile
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ads"})
        ...     service.set_reference("ads", {"bid": [float(i) for i in range(2000)]})["rows"]
        2000
        """
        config = self._parts.book.get(model_id).config
        options = {"predictions": predictions, "timestamps": timestamps, "timezone": self._parts.config.timezone}
        profile = build_given(config, profile_or_dataframe, options)
        warnings = [*profile.warnings, *self._parts.references.give(model_id, profile)]
        answer = {"status": "success", "model_id": model_id, "reference": profile.id, "rows": profile.rows,
                  "verdict": profile.verdict}  # fmt: skip
        return answer | ({"warnings": warnings} if warnings else {})

    @answers
    def retire_model(self, model_id: str) -> Result:
        """
        Watch a model no more, all its versions, in every process on this storage; they notice within seconds.

        Its alerts end as "resolved: retired" for those who were told; it is gone from status and metrics; recording it
        is an error result that says so. What was recorded stays until its retention has passed, and registering the
        model again brings it back with its history.

        May wait for the store, for seconds while others write; on an event loop: ``await asyncio.to_thread(...)``.

        Parameters
        ----------
        model_id
            A model that any process on this storage registered.

        Returns
        -------
        dict
            status, model_id, retired_at (ISO-8601 UTC); warnings if it was retired already; on an unknown model, or
            without a store: status and error.

        Examples
        --------
        >>> import tempfile
        >>> with ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False) as service:
        ...     _ = service.register_model({"model_id": "ad_score"})
        ...     service.retire_model("ad_score")["status"], service.record_prediction("ad_score", 0.7, {})["error"]
        ('success', "model 'ad_score' is retired: register it again to record it")
        """
        return retirement.retire_model(self._parts, model_id, self._clock())

    @property
    def storage(self) -> Path:
        """The folder of the store."""
        return self._parts.folder

    def reference_of(self, model_id: str) -> str:
        """Return what a registered model is compared with, in words."""
        return self._parts.references.words(self._parts.book.get(model_id))

    def caller(self, model_id: str, version: str | None = None, reference: str | Path | None = None) -> ModelCaller:
        """Return who records the calls of one decorated function; a model that is not registered yet is."""
        return self._parts.registrar.caller(model_id, version, reference)

    def knows(self, model_id: str) -> bool:
        """Return whether a model of that id is registered."""
        return model_id in self._parts.book

    def close(self) -> None:
        """
        Flush, stop the threads and the metrics server; idempotent. What is called later answers with an error.

        Examples
        --------
        >>> import tempfile
        >>> service = ProductionMonitoringService(storage_path=tempfile.mkdtemp(), background=False)
        >>> service.close()
        >>> service.record_prediction("ad_score", 0.7, {"bid": 1.5})["status"]
        'error'
        """
        self._parts.close()

    def __enter__(self) -> ProductionMonitoringService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ModelwatchError):
            self.close()
