"""The models that one service knows: configurations from file and code merged, with their reference profiles."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import ModelwatchError, UnknownModelError, did_you_mean
from modelwatch.profile import ReferenceProfile
from modelwatch.recorder.text import label_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

logger = logging.getLogger("modelwatch")

LoadedProfile = tuple[ReferenceProfile | None, tuple[str, ...]]
_NOT_MERGED = {"model_id", "model_version"}


@dataclass(frozen=True)
class RegisteredModel:
    """One registered model version."""

    config: ModelMonitoringConfig
    registered_at: float
    profile: ReferenceProfile | None = None
    warnings: tuple[str, ...] = field(default=())
    followed: tuple[str, int] | None = None
    """Id and revision of the store's reference, if the profile is that."""
    given: ModelMonitoringConfig | None = None
    """What the code said, before a configuration file went over it."""


class ModelBook:
    """
    Registered models by (model_id, model_version); safe to use from many threads.

    Parameters
    ----------
    from_file
        What the configuration file says.
    load
        Returns the profile of a configuration, and what has to be said about it.
    """

    def __init__(
        self,
        from_file: Mapping[tuple[str, str], ModelMonitoringConfig],
        load: Callable[[ModelMonitoringConfig], LoadedProfile] | None = None,
    ) -> None:
        self._from_file = dict(from_file)
        self._shared: dict[tuple[str, str], ModelMonitoringConfig] = {}
        self._load = load or load_profile
        self._models: dict[tuple[str, str], RegisteredModel] = {}
        self._lock = threading.Lock()
        self.retired: Mapping[str, float] = {}
        """Models of this storage that are watched no more."""

    def file_config(self, model_id: str) -> ModelMonitoringConfig | None:
        """Return what the configuration file says of a model, if it lists it."""
        return _by_id(self._from_file, model_id)

    def register(self, config: ModelMonitoringConfig, now: float) -> RegisteredModel:
        """Add or update a model; where file and code disagree the file wins, and a warning says so."""
        merged, warnings = self._merged(config)
        profile, problem = self._load(merged)
        model = RegisteredModel(merged, now, profile, (*merged.warnings, *warnings, *problem), given=config)
        with self._lock:
            # To the end: the version registered last is the one that is meant when none is named.
            before = self._models.pop((merged.model_id, merged.model_version), None)
            if before is not None and before.followed and before.config.reference == merged.reference:
                model = replace(model, profile=before.profile, followed=before.followed)
            self._models[(merged.model_id, merged.model_version)] = model
        return model

    def replace_file(self, from_file: Mapping[tuple[str, str], ModelMonitoringConfig]) -> None:
        """Take over another configuration file; models have to be registered again to follow it."""
        self._from_file = dict(from_file)

    def share_file(self, shared: Mapping[tuple[str, str], ModelMonitoringConfig]) -> None:
        """Follow a sidecar's configuration file too, for models that the own one doesn't list."""
        self._shared = dict(shared)

    def retain(self, keys: Collection[tuple[str, str]]) -> None:
        """Forget all models but these."""
        with self._lock:
            self._models = {key: model for key, model in self._models.items() if key in keys}

    def forget(self, model: RegisteredModel) -> None:
        """Know one model version no more."""
        with self._lock:
            self._models.pop((model.config.model_id, model.config.model_version), None)

    def restore(self, model: RegisteredModel) -> None:
        """Know a model version again, as it was."""
        with self._lock:
            self._models.setdefault((model.config.model_id, model.config.model_version), model)

    def profile(self, profile_id: str) -> ReferenceProfile | None:
        """Return a profile by its id, if a model has it."""
        with self._lock:
            return next((m.profile for m in self._models.values() if m.profile and m.profile.id == profile_id), None)

    def follow(
        self, model: RegisteredModel, profile: ReferenceProfile, mark: tuple[str, int] | None
    ) -> RegisteredModel | None:
        """Compare a model with a profile of the store; None if it was registered anew, or forgotten, meanwhile."""
        key = (model.config.model_id, model.config.model_version)
        with self._lock:
            if self._models.get(key) is not model:
                return None
            fresh = self._models[key] = replace(model, profile=profile, followed=mark)
        return fresh

    @property
    def empty(self) -> bool:
        """Whether no model is registered."""
        return not self._models

    def get(self, model_id: object, model_version: str | None = None) -> RegisteredModel:
        """
        Return a model: that version, else the version of the id that was registered last.

        Raises
        ------
        UnknownModelError
            If no model of that id is registered; the message lists close matches.
        """
        with self._lock:
            named = isinstance(model_id, str)  # arrays, for one, can't be compared with text
            candidates = {version: m for (known, version), m in self._models.items() if named and known == model_id}
            known_ids = sorted({known for known, _ in self._models})
        if not candidates and named and model_id in self.retired:
            msg = f"model {label_text(model_id)!r} is retired: register it again to watch it"
            raise UnknownModelError(msg)
        if not candidates:
            listed = ", ".join(repr(k) for k in known_ids[:10]) or "none"
            text = label_text(model_id)
            hint = did_you_mean(text, known_ids)
            msg = f"no model {text!r} is registered{hint}; registered: {listed}"
            raise UnknownModelError(msg)
        return candidates[model_version] if model_version in candidates else list(candidates.values())[-1]

    def all(self) -> list[RegisteredModel]:
        """Return every registered model, in order of registration."""
        with self._lock:
            return list(self._models.values())

    def __contains__(self, model_id: object) -> bool:
        with self._lock:
            return isinstance(model_id, str) and any(known == model_id for known, _ in self._models)

    def _merged(self, config: ModelMonitoringConfig) -> tuple[ModelMonitoringConfig, list[str]]:
        listed, where = _listed(self._from_file, config), "the configuration file"
        if listed is None:
            listed, where = _listed(self._shared, config), "the sidecar's configuration file"
        if listed is None or listed is config:
            return config, []
        ours: dict[str, Any] = config.model_dump(exclude_unset=True, mode="json")
        theirs: dict[str, Any] = listed.model_dump(exclude_unset=True, mode="json")
        differing = [key for key in theirs if key in ours and ours[key] != theirs[key] and key not in _NOT_MERGED]
        warnings = [
            f"{key} is {ours[key]!r} in code and {theirs[key]!r} in {where}; the file wins" for key in differing
        ]
        merged = {**ours, **{k: v for k, v in theirs.items() if k not in _NOT_MERGED}}
        return ModelMonitoringConfig.model_validate(merged), warnings


def _by_id(configs: Mapping[tuple[str, str], ModelMonitoringConfig], model_id: str) -> ModelMonitoringConfig | None:
    return next((config for (listed, _), config in configs.items() if listed == model_id), None)


def _listed(
    configs: Mapping[tuple[str, str], ModelMonitoringConfig], config: ModelMonitoringConfig
) -> ModelMonitoringConfig | None:
    """Return what a file says of a model: of that version, else of the model."""
    return configs.get((config.model_id, config.model_version)) or _by_id(configs, config.model_id)


def load_profile(config: ModelMonitoringConfig) -> LoadedProfile:
    """Return the model's reference profile, or None with the reason; a missing profile never stops the model."""
    if config.reference == "auto":
        return None, ()
    try:
        return ReferenceProfile.load(config.reference), ()
    except (ModelwatchError, OSError) as error:
        problem = f"reference profile not loaded, drift is not scored: {error}"
        logger.warning("%s: %s", config.model_id, problem)
        return None, (problem,)
