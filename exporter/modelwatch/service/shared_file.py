"""The values of a sidecar's configuration file, which applications beside it follow through the store."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelwatch.service.models import ModelBook
    from modelwatch.service.registration import Registrar
    from modelwatch.store import StoreWriter

logger = logging.getLogger("modelwatch")


def file_text(models: Iterable[ModelMonitoringConfig]) -> str:
    """Return what a file says of its models as text; "" if it lists none."""
    listed = [model.model_dump(mode="json", exclude_unset=True) for model in models]
    return json.dumps(listed, sort_keys=True) if listed else ""


class SharedFile:
    """
    The step that takes over what a sidecar's configuration file says of models that are registered here.

    Parameters
    ----------
    store
        Where the sidecar puts it.
    book, registrar
        What has to follow it.
    """

    def __init__(self, store: StoreWriter, book: ModelBook, registrar: Registrar) -> None:
        self._store = store
        self._book = book
        self._registrar = registrar
        self._known = ""

    def __call__(self) -> None:
        """Look whether the file says something else now; if so, merge it anew with what the code says."""
        text = self._store.published_file()
        if text == self._known:
            return
        self._known = text
        models = _models(text)
        self._book.share_file({(model.model_id, model.model_version): model for model in models})
        for model in self._book.all():
            self._registrar.merge_again(model)
        self._registrar.save_waiting()


def _models(text: str) -> list[ModelMonitoringConfig]:
    found = []
    for fields in json.loads(text) if text else []:
        try:
            found.append(ModelMonitoringConfig.model_validate(fields))
        except ConfigError as error:
            logger.warning("what the sidecar's configuration file says of a model can't be read here: %s", error)
    return found
