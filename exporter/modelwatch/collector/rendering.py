"""The text of a registry, as one request wants it: format, selection, compression."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family

__all__ = ["Only", "accepts_gzip", "render"]

GZIP_LEVEL = 4


class Only(Collector):
    """
    The samples of a registry that have certain names.

    A registry restricts itself by what its collectors say they have, and ours find that out when they collect.

    Parameters
    ----------
    registry
        What is collected.
    names
        Full names of samples, such as ``modelwatch_prediction_latency_seconds_bucket``.
    """

    def __init__(self, registry: CollectorRegistry, names: Sequence[str]) -> None:
        self._registry = registry
        self._names = frozenset(names)

    def collect(self) -> Iterable[Family]:
        """Return the families that have such samples, with no others."""
        for family in self._registry.collect():
            samples = [sample for sample in family.samples if sample.name in self._names]
            if samples:
                family.samples = samples  # made anew for each collection
                yield family


def render(
    registry: CollectorRegistry, accept: str = "", names: Sequence[str] = (), *, compress: bool = False
) -> tuple[bytes, str]:
    r"""
    Return the text of all metrics of a registry, and its content type.

    Parameters
    ----------
    registry
        What is exposed.
    accept
        The request's header ``Accept``: OpenMetrics for those who ask, else Prometheus' text format.
    names
        Only these samples (``name[]=``); empty for all.
    compress
        Whether to gzip it.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> render(CollectorRegistry(), "application/openmetrics-text")
    (b'# EOF\n', 'application/openmetrics-text; version=1.0.0; charset=utf-8')
    """
    encode, content_type = choose_encoder(accept)
    text = encode(Only(registry, names) if names else registry)
    return (gzip.compress(text, compresslevel=GZIP_LEVEL) if compress else text), content_type


def accepts_gzip(header: str) -> bool:
    """
    Return whether a request's ``Accept-Encoding`` allows gzip.

    Examples
    --------
    >>> accepts_gzip("gzip;q=0.5, br"), accepts_gzip("gzip;q=0"), accepts_gzip("")
    (True, False, False)
    """
    for part in header.split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
