"""Beside the multiprocess mode of `prometheus_client`, whose endpoints show no collectors but their own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["multiprocess_warning"]

MODULE = "prometheus_client.multiprocess"
VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
RECIPE = (
    'mount them with app.mount("/modelwatch", make_asgi_app()) and let Prometheus scrape that path too, or call'
    " register_collector(registry) wherever the registry of the MultiProcessCollector is made"
)


def multiprocess_warning(registry: CollectorRegistry) -> str:
    """
    Return what to say if an endpoint over `registry` will not show what is registered there; "" if it will.

    Parameters
    ----------
    registry
        Where a service's metrics were registered.
    """
    if registry is not REGISTRY or not any(os.environ.get(name) for name in VARIABLES):
        return ""
    if _holds_multiprocess_collector(registry):
        return ""  # an endpoint over it shows both
    why = "PROMETHEUS_MULTIPROC_DIR is set"
    return f"{why}: endpoints of prometheus_client's multiprocess mode do not show modelwatch's metrics; {RECIPE}"


def _holds_multiprocess_collector(registry: CollectorRegistry) -> bool:
    module = sys.modules.get(MODULE)
    if module is None:
        return False  # nobody has made one
    # A registry does not tell what it holds; where this name changes, nothing is known and nothing said.
    held = list(getattr(registry, "_collector_to_names", {}))
    return any(isinstance(collector, module.MultiProcessCollector) for collector in held)
