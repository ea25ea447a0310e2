"""The text of a registry, as one request wants it: format, selection, compression."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder

from modelwatch.collector.families import Families
from modelwatch.collector.parts import Collecting, parts_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

__all__ = ["Only", "accepts_gzip", "render"]

GZIP_LEVEL = 1
"""Level 4 takes two to three times as long and saves a tenth of the bytes; 1 takes as long as writing the text."""
END = b"# EOF\n"
"""What ends an OpenMetrics document."""
_RENAMING = ("escaping=dots", "escaping=values")
"""Ways to escape names that change ours as well; those who ask for one are rare."""


class Only:
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

    def __init__(self, registry: Collecting, names: Iterable[str]) -> None:
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
    registry: Collecting, accept: str = "", names: Sequence[str] = (), *, compress: bool = False
) -> tuple[bytes, str]:
    r"""
    Return the text of all metrics of a registry, and its content type.

    What is ours is written directly, what is somebody else's by `prometheus_client`; the text is the same as if it had
    written all.

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
    chosen = frozenset(names)
    if content_type.endswith(_RENAMING):
        text = encode(_selected(registry, chosen))
    else:
        text = _document(registry, encode, chosen, open_metrics=content_type.startswith("application/openmetrics-text"))
    return (gzip.compress(text, compresslevel=GZIP_LEVEL) if compress else text), content_type


def _document(
    registry: Collecting, encode: Callable[[Collecting], bytes], names: frozenset[str], *, open_metrics: bool
) -> bytes:
    out = []
    for part in parts_of(registry):
        if isinstance(part, Families):
            out.append(part.text(names, open_metrics=open_metrics).encode())
        else:
            text = encode(_selected(part, names))
            out.append(text.removesuffix(END) if open_metrics else text)
    return b"".join([*out, END] if open_metrics else out)


def _selected(registry: Collecting, names: frozenset[str]) -> Collecting:
    return Only(registry, names) if names else registry


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
