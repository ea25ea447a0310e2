"""The models of a storage as a drift service sees them: what was registered there or here, and their references."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig, MonitoringConfig
from modelwatch.exceptions import InputError, ModelwatchError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.learnt import WHOLE, taught
from modelwatch.recorder.engine import flush_storage
from modelwatch.service.calibrating import read_learnt
from modelwatch.service.learning import AUTO, Progress, follows
from modelwatch.service.models import ModelBook, RegisteredModel, load_profile
from modelwatch.service.stored import StoredConfigs
from modelwatch.store import check_result_from_json
from modelwatch.store.references import GIVEN

if TYPE_CHECKING:
    from modelwatch.records import CheckResult
    from modelwatch.store import StoredResult, StoreWriter

LEARNING = "learning"
FLUSH_SECONDS = 5.0
HOW = (
    "no reference yet: pass a profile or data of a good time to set_reference, or record predictions with"
    " ProductionMonitoringService for long enough that one can be learnt"
)


class DriftModels:
    """
    Configurations and references, by model.

    Parameters
    ----------
    config
        A configuration file's; it wins over what was registered.
    store
        What was registered and set by whomever; None to know only what this process is told.
    """

    def __init__(self, config: MonitoringConfig, store: StoreWriter | None) -> None:
        self._store = store
        self._stored = StoredConfigs(store) if store is not None else None
        self._book = ModelBook({(m.model_id, m.model_version): m for m in config.models}, lambda _: (None, ()))
        self._listed = config.models
        self._seen: dict[tuple[str, str], ModelMonitoringConfig] = {}
        self._given: dict[str, ReferenceProfile] = {}
        self._lock = threading.Lock()
        for model in config.models:
            self._book.register(model, 0.0)

    def refresh(self, now: float) -> None:
        """Take over what was registered in the store since; retired models are known no more."""
        if self._store is None or self._stored is None:
            return
        with self._lock:
            for config in self._stored():
                key = (config.model_id, config.model_version)
                if self._seen.get(key) is not config:
                    self._seen[key] = config
                    self._book.register(config, now)
            self._book.retired = self._store.retired_models()
            for model in self._book.all():
                if model.config.model_id in self._book.retired:
                    self._book.forget(model)
                    self._seen.pop((model.config.model_id, model.config.model_version), None)

    def get(self, model_id: object) -> RegisteredModel:
        """
        Return a model.

        Raises
        ------
        UnknownModelError
            If nobody registered it; the message lists close matches.
        """
        return self._book.get(model_id)

    def register(self, drift: DriftMonitoringConfig, now: float) -> RegisteredModel:
        """Register a model for its drift alone; one that is known keeps all else that it is configured with."""
        if drift.model_id is None:
            msg = "model_id is required: DriftMonitoringConfig(model_id=...)"
            raise InputError(msg)
        fields: dict[str, Any] = {"model_id": drift.model_id, "performance_metrics": [], "performance_threshold": {}}
        if drift.model_id in self._book:
            fields = self._book.get(drift.model_id).config.model_dump(mode="json", exclude_unset=True)
        fields["drift"] = drift.model_dump(mode="json", exclude_unset=True)
        if "reference" in drift.model_fields_set:
            fields["reference"] = drift.reference
        model = self._book.register(ModelMonitoringConfig.model_validate(fields), now)
        if self._store is not None:
            config = model.config
            self._store.register_model(
                config.model_id, config.model_version, config.model_dump(mode="json", exclude_unset=True), now
            )
        return model

    def latest_check(self, model_id: str) -> tuple[CheckResult, float] | None:
        """Return the result of the last scheduled check of a model, and when that was."""
        stored = [r for r in self._results(model_id) if r.result is not None]
        if not stored:
            return None
        newest = max(stored, key=lambda r: r.last_success_at or 0.0)
        return check_result_from_json(newest.result or {}), newest.last_success_at or newest.checked_at

    def _results(self, model_id: str) -> list[StoredResult]:
        return [r for r in (self._store.latest_results() if self._store is not None else []) if r.model_id == model_id]

    # ── references ───────────────────────────────────────────────────────────────────────────────────────────────

    def set_reference(self, config: ModelMonitoringConfig, profile: ReferenceProfile, now: float) -> None:
        """Compare a model with a profile from now on."""
        if self._store is not None:
            self._store.save_profile(profile.id, profile.to_json())
            self._store.save_reference(config.model_id, profile.id, origin=GIVEN, written=config.reference, set_at=now)
            self._store.drop_learning_rows(config.model_id)
        self._given[config.model_id] = profile

    def reference(self, config: ModelMonitoringConfig, now: float) -> tuple[ReferenceProfile | None, tuple[str, str]]:
        """
        Return the profile that a model is compared with; without one, the state and why.

        The one that was set last stands, unless the configuration names another since; then the one that it names;
        then the one that its recorded counts were made over.
        """
        profile, absence = self._plain_reference(config, now)
        return (None if profile is None else self._taught(profile, config.model_id)), absence

    def _taught(self, profile: ReferenceProfile, model_id: str) -> ReferenceProfile:
        """Return a profile with what production has taught of it, if its own rows had no times."""
        if profile.calibrated or self._store is None:
            return profile
        learnt = read_learnt(self._store, profile, model_id)
        whole = None if learnt is None else learnt.parts.get(WHOLE)
        return taught(profile, whole.hours) if whole is not None and whole.done else profile

    def _plain_reference(
        self, config: ModelMonitoringConfig, now: float
    ) -> tuple[ReferenceProfile | None, tuple[str, str]]:
        profile = self._set_one(config)
        if profile is not None:
            return profile, ("", "")
        problem = ""
        if config.reference != AUTO:
            profile, told = load_profile(config)
            problem = "; ".join(told)
        profile = profile or self._recorded_one(config, now)
        if profile is not None:
            return profile, ("", "")
        return None, ("no_reference", problem) if problem else self._absence(config)

    def _set_one(self, config: ModelMonitoringConfig) -> ReferenceProfile | None:
        given = self._given.get(config.model_id)
        if self._store is None:
            return given
        row = self._store.reference_of(config.model_id)
        if row is None or not follows(row, config.reference):
            return None
        return given if given is not None and given.id == row.profile_id else self._saved(row.profile_id)

    def _recorded_one(self, config: ModelMonitoringConfig, now: float) -> ReferenceProfile | None:
        """Return the profile that the latest recorded counts of a model belong to."""
        if self._store is None:
            return None
        from modelwatch.store.queries import StoreQueries

        since = now - max(config.drift.window_seconds.values())
        with StoreQueries(self._store.folder) as queries:
            found = [(last, profile_id) for _, profile_id, _, last in queries.subjects(config.model_id, since)]
        return self._saved(max(found)[1]) if found else None

    def _saved(self, profile_id: str) -> ReferenceProfile | None:
        text = self._store.load_profile(profile_id) if self._store is not None and profile_id else None
        try:
            return None if text is None else ReferenceProfile.from_json(text)
        except ModelwatchError:
            return None

    def _absence(self, config: ModelMonitoringConfig) -> tuple[str, str]:
        """Return why there is no reference to learn of, or how far the learning of one has come."""
        recorded = {}
        if self._store is not None:
            # What this process recorded a moment ago may be on its way there.
            flush_storage(self._store.folder, FLUSH_SECONDS)
            recorded = self._store.recorded_rows([config.model_id])
        if config.reference != AUTO or config.model_id not in recorded:
            return "no_reference", HOW
        return LEARNING, f"no reference yet: {Progress.of(recorded[config.model_id]).words}"
