"""Which registry exposes which service: two services in one would give the same families twice, which is invalid."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from modelwatch.exceptions import RegistryTakenError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_owners: WeakKeyDictionary[CollectorRegistry, ref[object]] = WeakKeyDictionary()
_lock = threading.Lock()


def claim_registry(registry: CollectorRegistry, owner: object) -> None:
    """
    Say that `owner` exposes its metrics in `registry`.

    Raises
    ------
    RegistryTakenError
        If another owner that is still alive does so already.
    """
    with _lock:
        known = _owners.get(registry)
        if known is not None and known() not in (None, owner):
            msg = (
                "this prometheus_client registry already exposes a modelwatch service; "
                "close that one, or pass registry=CollectorRegistry()"
            )
            raise RegistryTakenError(msg)
        _owners[registry] = ref(owner)


def release_registry(registry: CollectorRegistry) -> None:
    """Give a registry back."""
    with _lock:
        _owners.pop(registry, None)
