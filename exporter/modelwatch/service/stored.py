"""The models that applications registered in a store: which are in use, and how they are configured."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import ConfigError

if TYPE_CHECKING:
    from modelwatch.store import StoredModel, StoreWriter

logger = logging.getLogger("modelwatch")

Key = tuple[str, str]
SUPERSEDED_SECONDS = 3600.0
"""A version that is silent for so long while another predicts has been replaced."""


def in_use(models: Iterable[StoredModel]) -> list[StoredModel]:
    """
    Return the models without those retired, and without versions that were replaced; the last started comes last.

    A version that never predicted may belong to a job that evaluates, or names its versions with each call: it stays.
    """
    listed = [model for model in models if model.retired_at is None]
    newest: dict[str, float] = {}
    for model in listed:
        newest[model.model_id] = max(model.last_prediction_at or 0.0, newest.get(model.model_id, 0.0))
    kept = [
        m
        for m in listed
        if m.last_prediction_at is None or newest[m.model_id] - m.last_prediction_at <= SUPERSEDED_SECONDS
    ]
    return sorted(kept, key=lambda m: m.updated_at)


class StoredConfigs:
    """
    Configurations of the models in use, validated anew only where they changed.

    Parameters
    ----------
    store
        Where applications register their models.
    """

    def __init__(self, store: StoreWriter) -> None:
        self._store = store
        self._known: dict[Key, tuple[str, ModelMonitoringConfig | None]] = {}
        self._lock = threading.Lock()

    def __call__(self) -> list[ModelMonitoringConfig]:
        """Return the configurations, those of the most recently started versions last."""
        found = [self._config(model) for model in in_use(self._store.models())]
        return [config for config in found if config is not None]

    def _config(self, model: StoredModel) -> ModelMonitoringConfig | None:
        """Return a model's configuration; None, and a warning once, if this release can't read it."""
        key, text = (model.model_id, model.model_version), json.dumps(model.config, sort_keys=True)
        with self._lock:
            known_text, known = self._known.get(key, ("", None))
            if known_text == text:
                return known
        try:
            config = ModelMonitoringConfig.model_validate(model.config)
        except ConfigError as error:
            logger.warning("the stored configuration of %r can't be read, the model is skipped: %s", key[0], error)
            config = None
        with self._lock:
            self._known[key] = text, config
        return config
