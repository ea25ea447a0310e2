"""Registering models everywhere: in the book, with the recorder, and in the store when the store can be reached."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import StorageError
from modelwatch.names import VERSION_VARIABLE, check_version, validate_name
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.service.call import ModelCaller
from modelwatch.service.models import ModelBook, RegisteredModel

if TYPE_CHECKING:
    from modelwatch.store import StoreWriter

logger = logging.getLogger("modelwatch")


class Registrar:
    """Registers models of one service. What could not be saved at once is saved before the next flush."""

    def __init__(
        self, book: ModelBook, recorder: Recorder, store: StoreWriter | None, clock: Callable[[], float]
    ) -> None:
        self._book = book
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._waiting: dict[tuple[str, str], RegisteredModel] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._complained = False
        self.problem = ""
        """Why the store refused the last registration; "" if it did not."""

    def register(self, given: ModelMonitoringConfig | Mapping[str, Any], *, save_now: bool = True) -> RegisteredModel:
        """
        Register or update a model.

        Parameters
        ----------
        given
            The configuration, or its fields.
        save_now
            False on a predict path, where nothing waits for a database: the next flush saves it.
        """
        config = given if isinstance(given, ModelMonitoringConfig) else ModelMonitoringConfig.model_validate(given)
        config = _with_version(config)
        # One that was retired comes back by being registered later than that, also if the clock was set back since.
        after = math.nextafter(self._book.retired.get(config.model_id, -math.inf), math.inf)
        model = self._book.register(config, max(self._clock(), after))
        self._take(model)
        if save_now:
            self.save_waiting()
        return model

    def follow(self, model: RegisteredModel) -> None:
        """Bin by the profile that a model is compared with from now on."""
        assert model.profile is not None
        config = model.config
        self._recorder.set_profile(config.model_id, config.model_version or None, model.profile)

    def caller(self, model_id: str, version: str | None, reference: str | Path | None) -> ModelCaller:
        """Return who records the calls of one decorated function; an unlisted model is registered."""
        validate_name(model_id, "model_id")
        check_version(version)
        if model_id not in self._book or reference is not None:
            self.register(self._fields(model_id, version, reference), save_now=False)
        return ModelCaller(self._recorder, model_id, version)

    def merge_again(self, model: RegisteredModel) -> None:
        """Register a model as the code did, now that a configuration file says something else of it."""
        again = self._book.register(model.given or model.config, model.registered_at)
        if again.config != model.config:
            self._take(again)

    def forget(self, model: RegisteredModel) -> None:
        """Know a model version no more; what the recorder knows is its own matter."""
        self._book.forget(model)
        self._waiting.pop((model.config.model_id, model.config.model_version), None)

    def restore(self, model: RegisteredModel) -> None:
        """Know a model version again that another process has registered anew."""
        self._book.restore(model)
        self._recorder.add_model(recorded(model))

    def save_waiting(self) -> None:
        """Save the registrations that the store does not have yet; they stay if it can't be reached."""
        if self._store is None or not self._waiting:
            return
        if self._pid != os.getpid():
            # A lock that another thread held at the fork would never be given back.
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            for key, model in list(self._waiting.items()):
                if not self._save(self._store, model):
                    return
                if self._waiting.get(key) is model:
                    del self._waiting[key]
        self._complained = False

    def _save(self, store: StoreWriter, model: RegisteredModel) -> bool:
        config = model.config.model_dump(mode="json", exclude_unset=True)
        try:
            store.register_model(model.config.model_id, model.config.model_version, config, model.registered_at)
            if model.profile is not None:
                store.save_profile(model.profile.id, model.profile.to_json())
                store.note_profile(model.config.model_id, model.config.model_version, model.profile.id)
        except (StorageError, OSError) as error:
            self.problem = str(error)
            if not self._complained:
                self._complained = True
                logger.warning("%s can't be registered in the store yet: %s", model.config.model_id, error)
            return False
        self.problem = ""
        return True

    def _fields(self, model_id: str, version: str | None, reference: str | Path | None) -> dict[str, Any]:
        """Return what a decorator registers: what is known of the model already, and what the decorator says."""
        fields: dict[str, Any] = {"model_id": model_id}
        if model_id in self._book:
            fields = self._book.get(model_id, version).config.model_dump(mode="json", exclude_unset=True)
        elif self._book.file_config(model_id) is None:
            fields["performance_metrics"] = ["latency_ms", "error_rate"]
        if version is not None:
            fields["model_version"] = version
        if reference is not None:
            fields["reference"] = str(reference)
        return fields

    def _take(self, model: RegisteredModel) -> None:
        self._recorder.add_model(recorded(model))
        self._waiting[(model.config.model_id, model.config.model_version)] = model


def _with_version(config: ModelMonitoringConfig) -> ModelMonitoringConfig:
    """Return a configuration with the version that this process serves, if it names none itself."""
    version = os.environ.get(VERSION_VARIABLE, "")
    if not version or "model_version" in config.model_fields_set:
        return config
    fields = config.model_dump(mode="json", exclude_unset=True)
    return ModelMonitoringConfig.model_validate({**fields, "model_version": version})


def recorded(model: RegisteredModel) -> RecordedModel:
    """Return what the recorder needs to know of a model."""
    config = model.config
    latency = config.thresholds.get("latency_ms")
    objective = config.objective
    limits = (None if latency is None else latency.max, None if objective is None else objective.latency_ms)
    bounds = tuple(limit / 1000.0 for limit in limits if limit is not None)
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
        learning=config.reference == "auto" and model.profile is None,
        positive_class=config.positive_class,
        segments=config.segments,
        importance=tuple(config.features.importance.items()),
        metrics=len(config.performance_metrics),
    )


__all__ = ["Registrar", "recorded"]
