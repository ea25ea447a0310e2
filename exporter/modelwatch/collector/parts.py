"""What a registry holds, told apart: what is ours, and so can be written directly, and what is somebody else's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import InfoMetricFamily

from modelwatch.collector.families import Families

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

__all__ = ["Collecting", "Foreign", "OwnCollector", "Part", "SourceCollector", "parts_of"]


class Collecting(Protocol):
    """What `prometheus_client` can read: a registry, a collector."""

    def collect(self) -> Iterable[Family]:
        """Return families."""


Part = Families | Collecting
"""A part of a document: families of ours, or something to be asked."""


class OwnCollector(ABC):
    """A collector of ours: registries of `prometheus_client` collect from it, our own endpoints scrape it."""

    def describe(self) -> list[Family]:
        """Return nothing, so that registering reads nothing."""
        return []

    def collect(self) -> Iterable[Family]:
        """Return all families, for a registry."""
        for part in self.scrape():
            yield from part.all() if isinstance(part, Families) else part.collect()

    @abstractmethod
    def scrape(self) -> Iterable[Part]:
        """Return what is exposed, as it is."""


class SourceCollector(OwnCollector):
    """
    Stands for a registry that is known only when it is asked for.

    Parameters
    ----------
    source
        Returns it; None if there is none now.
    """

    def __init__(self, source: Callable[[], CollectorRegistry | None]) -> None:
        self._source = source

    def scrape(self) -> Iterable[Part]:
        """Return what is exposed there."""
        registry = self._source()
        return () if registry is None else parts_of(registry)


class Foreign:
    """Collectors of others that follow each other, to be written together."""

    def __init__(self, collectors: Iterable[Collecting]) -> None:
        self._collectors = tuple(collectors)

    def collect(self) -> Iterable[Family]:
        """Return the families of all."""
        for collector in self._collectors:
            yield from collector.collect()


class _Target:
    """The target information that a registry may be given; it belongs to no collector."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels

    def collect(self) -> Iterable[Family]:
        yield InfoMetricFamily("target", "Target metadata", value=self._labels)


def parts_of(registry: Collecting) -> Sequence[Part]:
    """
    Return what a registry exposes, in the order in which it collects.

    Examples
    --------
    >>> from prometheus_client import Counter
    >>> registry = CollectorRegistry()
    >>> served = Counter("served", "Requests.", registry=registry)
    >>> [[family.name for family in part.collect()] for part in parts_of(registry)]
    [['served']]
    """
    collectors = _collectors(registry)
    if collectors is None:
        return [registry]
    out: list[Part] = []
    foreign: list[Collecting] = []
    for part in (part for collector in collectors for part in _scraped(collector)):
        if not isinstance(part, Families):
            foreign.append(part)
            continue
        if foreign:
            out.append(Foreign(foreign))
            foreign = []
        out.append(part)
    if foreign:
        out.append(Foreign(foreign))
    return out


def _collectors(registry: Any) -> list[Any] | None:  # noqa: ANN401 - whatever can be collected
    """Return what is registered; None where a registry does not tell, or has a way of its own to collect."""
    held = getattr(registry, "_collector_to_names", None)
    if type(registry).collect is not CollectorRegistry.collect or not isinstance(held, dict):
        return None
    with registry._lock:
        collectors = list(held)
    target = registry.get_target_info()
    return [_Target(target), *collectors] if target else collectors


def _scraped(collector: Any) -> Iterable[Part]:  # noqa: ANN401 - anything that was registered
    return collector.scrape() if isinstance(collector, OwnCollector) else (collector,)
