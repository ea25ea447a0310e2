"""Who checks which model: one lease for each in the store, as applications that share it have models of their own."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelwatch.store import StoreWriter

__all__ = ["CheckLeases"]


class CheckLeases:
    """
    The leases of one process.

    Parameters
    ----------
    store
        Where they are.
    model_ids
        Returns the models that this process knows.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self, store: StoreWriter, model_ids: Callable[[], Iterable[str]], clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._model_ids = model_ids
        self._clock = clock
        self._holder = ""
        self._taken_at, self._ttl = 0.0, math.inf
        self._mine: frozenset[str] | None = None
        """Models whose checks are this process's; None for all."""

    def acquire(self, now: float, ttl: float) -> bool:
        """Take or renew the right to check each model; return whether this process has it for any."""
        models = {_name(model_id): model_id for model_id in self._model_ids()}
        held = self._store.acquire_leases(models, self._own_name(), ttl, now)
        self._mine = frozenset(models[name] for name in held)
        self._taken_at, self._ttl = now, ttl
        return bool(held)

    def acquire_all(self, now: float, ttl: float) -> bool:
        """Take or renew the right to check every model there is, and will be; False if another has one of them."""
        names = {_name(model_id) for model_id in self._model_ids()}
        complete = self._store.acquire_leases(names, self._own_name(), ttl, now) == names
        self._mine = None if complete else frozenset()
        return complete

    def take(self, model_id: str, now: float, ttl: float) -> bool:
        """Take or renew the right to check one model, which may be none that this process knows."""
        return self._store.acquire_lease(_name(model_id), self._own_name(), ttl, now)

    def release(self) -> None:
        """Let other processes run the checks at once."""
        self._store.release_leases(self._holder)

    def holds(self, model_id: str) -> bool:
        """Return whether a model is this process's to check, as of the last time that leases were taken."""
        return self._mine is None or model_id in self._mine

    def still_holds(self, model_id: str) -> bool:
        """
        Return whether a model is this process's to check now; renew the leases first if they grow old.

        For work on one model after another: what takes longer than a lease would else have two owners.
        """
        # Whoever has all of them renews them apart from the work.
        if self._mine is not None and not 0.0 <= self._clock() - self._taken_at < self._ttl / 3:
            self.acquire(self._clock(), self._ttl)
        return self.holds(model_id)

    def _own_name(self) -> str:
        # A forked worker is another one.
        if not self._holder.startswith(f"{os.getpid()}-"):
            self._holder = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        return self._holder


def _name(model_id: str) -> str:
    return f"checks of {model_id}"
