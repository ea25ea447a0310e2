"""Following the store: what another process changed there, this one takes over within seconds."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelwatch.exceptions import StorageError

if TYPE_CHECKING:
    from modelwatch.recorder import Recorder
    from modelwatch.service.models import ModelBook, RegisteredModel
    from modelwatch.service.registration import Registrar
    from modelwatch.store import StoreWriter

logger = logging.getLogger("modelwatch")

FOLLOW_SECONDS = 2.0
"""How old what is known of the store may be before it is read again."""
BACK_OFF_SECONDS = 30.0
"""How long a store that can't be read is left alone: its reader may have waited for seconds."""
WAIT_SECONDS = 5.0


class Follower:
    """
    Runs steps that look into the store, but not more often than every `FOLLOW_SECONDS`.

    It is called before what was recorded is counted, at a scrape and at a round of the checks. A store that can't be
    read changes nothing.

    Parameters
    ----------
    clock
        Seconds since 1970. A clock that is set forward makes what is known old, too.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: list[Callable[[], None]] = []
        self._due = (float("-inf"), float("-inf"))
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def add(self, step: Callable[[], None]) -> None:
        """Run a step too; it may raise StorageError, which is not its end."""
        self._steps.append(step)

    def __call__(self) -> None:
        """Follow, unless that was done a moment ago or somebody does it now."""
        self._after_fork()
        moments = time.monotonic(), self._clock()
        fresh = all(moment < due for moment, due in zip(moments, self._due, strict=True))
        if fresh or not self._lock.acquire(blocking=False):
            return
        try:
            self._follow()
        finally:
            self._lock.release()

    def now(self) -> None:
        """Follow at once: something has just changed."""
        self._after_fork()
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            return
        try:
            self._follow()
        finally:
            self._lock.release()

    def _follow(self) -> None:
        self._wait(FOLLOW_SECONDS)
        try:
            for step in self._steps:
                step()
        except (StorageError, OSError) as error:
            self._wait(BACK_OFF_SECONDS)
            logger.debug("the store can't be followed now: %s", error)

    def _wait(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds, self._clock() + seconds

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            # A lock that another thread held at the fork would never be given back.
            self._lock, self._pid = threading.Lock(), os.getpid()


class Retirement:
    """
    The step that lets go of models which were retired, and takes them back when they are registered again.

    Parameters
    ----------
    store
        Says which are retired.
    book, recorder, registrar
        What has to know.
    """

    def __init__(self, store: StoreWriter, book: ModelBook, recorder: Recorder, registrar: Registrar) -> None:
        self._store = store
        self._book = book
        self._recorder = recorder
        self._registrar = registrar
        self._kept: dict[tuple[str, str], RegisteredModel] = {}

    def __call__(self) -> None:
        """Look which models are retired now."""
        retired = self._store.retired_models()
        for model in self._book.all():
            retired_at = retired.get(model.config.model_id)
            # One that was registered since is about to take the retirement back.
            if retired_at is not None and model.registered_at <= retired_at:
                self._kept[model.config.model_id, model.config.model_version] = model
                self._registrar.forget(model)
        self._book.retired = {model_id: at for model_id, at in retired.items() if model_id not in self._book}
        self._recorder.retire(self._book.retired)
        for key in [key for key in self._kept if key[0] not in retired]:
            model = self._kept.pop(key)
            if key not in {(m.config.model_id, m.config.model_version) for m in self._book.all()}:
                self._registrar.restore(model)
