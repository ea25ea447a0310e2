"""Where commands look: the configuration file, the storage folder, and the models that either knows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, default_storage_path, find_config, load_config
from modelwatch.exceptions import ConfigError, InputError, StorageError, UnknownModelError, did_you_mean
from modelwatch.policy import AlertLevel
from modelwatch.store.inspection import StorageFacts, has_database, inspect_storage

__all__ = ["Sources", "known_models", "level_of", "models_named", "open_sources"]

_LISTED = 10


@dataclass(frozen=True)
class Sources:
    """A configuration, or an empty one, and what its storage holds; `problem` says why that is not known."""

    config: MonitoringConfig
    folder: Path
    facts: StorageFacts | None
    problem: str = ""
    now: float = field(default_factory=time.time)


def open_sources(config_path: str | None, storage: str | None) -> Sources:
    """Read the configuration, and look at the storage without changing anything there.

    Raises
    ------
    ConfigError
        If the configuration has mistakes.
    """
    path = config_path or find_config()
    config = load_config(path) if path is not None else MonitoringConfig()
    folder = default_storage_path(storage, config).absolute()
    now = time.time()
    facts, problem = None, f"there is no store in {str(folder)!r}: nothing has been recorded there yet"
    if has_database(folder):
        try:
            facts, problem = inspect_storage(folder, now), ""
        except StorageError as error:
            problem = str(error)
    return Sources(config, folder, facts, problem, now)


def known_models(sources: Sources) -> list[ModelMonitoringConfig]:
    """Return the models of the file, then those that only the storage knows; the last version of an id comes last."""
    in_file = {model.model_id for model in sources.config.models}
    stored = sources.facts.models if sources.facts is not None else ()
    found = []
    for model in sorted(stored, key=lambda model: model.updated_at):
        if model.model_id in in_file or model.retired_at is not None:
            continue
        try:
            found.append(ModelMonitoringConfig.model_validate(model.config))
        except ConfigError:  # of another release
            found.append(ModelMonitoringConfig(model_id=model.model_id, model_version=model.model_version))
    return [*sources.config.models, *found]


def models_named(models: Sequence[ModelMonitoringConfig], model_id: str) -> list[ModelMonitoringConfig]:
    """Return the versions of one model.

    Raises
    ------
    UnknownModelError
        If there is none; the message lists those that there are.
    """
    found = [model for model in models if model.model_id == model_id]
    if not found:
        names = list(dict.fromkeys(model.model_id for model in models))
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        listed = (", ".join(map(repr, names[:_LISTED])) or "none") + more
        hint = did_you_mean(model_id, names)
        raise UnknownModelError(f"no model {model_id[:200]!r} is configured or recorded{hint}; known: {listed}")
    return found


def level_of(severity: str) -> AlertLevel:
    """Return a severity by its name, in any case.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> level_of("Critical")
    <AlertLevel.CRITICAL: 'critical'>
    """
    try:
        return AlertLevel(severity.strip().lower())
    except ValueError:
        names = [str(level) for level in AlertLevel]
        hint = did_you_mean(severity.lower(), names)
        raise InputError(f"--severity must be one of {', '.join(names)}, got {severity[:80]!r}{hint}") from None
