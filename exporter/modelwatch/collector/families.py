"""What one scrape exposes: kept as it was added, to be read as families of `prometheus_client` or as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Exemplar as FamilyExemplar

from modelwatch.collector.lines import (
    Exemplar,
    LineCache,
    Scalar,
    bound_text,
    histogram_lines,
    sample_names,
    scalar_lines,
    title,
)
from modelwatch.conventions import Metric

__all__ = ["Families"]

Exemplars = Callable[[], Mapping[int, Exemplar]]
"""Returns predictions by the place of the bucket they fell into; asked only where they are shown."""


class _Histogram(NamedTuple):
    """One histogram of a family, by cumulative counts, the last being infinity's."""

    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    up_to: list[int] | list[float]
    total: float
    exemplars: Exemplars


class Families:
    """
    The families of one scrape, made anew each time.

    Parameters
    ----------
    metrics
        Which families there are; each is exposed, also without samples, so that its type is always known.
    lines
        The line beginnings of the scrapes before.
    """

    def __init__(self, metrics: Iterable[Metric], lines: LineCache | None = None) -> None:
        self._lines = LineCache() if lines is None else lines
        self._metrics = tuple(metrics)
        self._scalars: dict[str, list[Scalar]] = {m.name: [] for m in self._metrics if m.type != "histogram"}
        self._histograms: dict[str, list[_Histogram]] = {m.name: [] for m in self._metrics if m.type == "histogram"}

    def add(self, metric: Metric, labels: Sequence[str], value: float) -> None:
        """Add a sample of a counter or gauge; label values in the order of `metric.labels`, the last may be absent."""
        self._scalars[metric.name].append((tuple(labels), value))

    def add_all(self, metric: Metric, labels: Iterable[tuple[str, ...]], values: Iterable[float]) -> None:
        """Add samples of a counter or gauge, as many as there are label values."""
        self._scalars[metric.name] += zip(labels, values, strict=True)

    def add_each(self, metric: Metric, labels: Sequence[str], values: Mapping[str, float]) -> None:
        """Add samples that differ in their last label value only: values by it."""
        self._scalars[metric.name] += [((*labels, name), value) for name, value in values.items()]

    def add_histogram(
        self,
        metric: Metric,
        labels: Sequence[str],
        bounds: Sequence[float],
        cells: NDArray[np.int64] | NDArray[np.float64] | Sequence[int],
        total: float,
        exemplars: Exemplars = dict,
    ) -> None:
        """
        Add a histogram.

        Parameters
        ----------
        labels
            Label values in the order of `metric.labels`.
        bounds
            Ascending upper bounds, without infinity.
        cells
            Counts per bucket, not cumulative; shape (len(bounds),) or (len(bounds) + 1,) with those above the last.
        total
            Sum of the values. `prometheus_client` leaves it out where the first bound is negative.
        exemplars
            What OpenMetrics shows beside the buckets.
        """
        up_to = list(accumulate(cells.tolist() if isinstance(cells, np.ndarray) else cells))
        if len(up_to) == len(bounds):
            up_to.append(up_to[-1] if up_to else 0)
        self._histograms[metric.name].append(_Histogram(tuple(labels), tuple(bounds), up_to, total, exemplars))

    # ── as families of prometheus_client ─────────────────────────────────────────────────────────────────────────

    def all(self) -> list[Family]:
        """Return the families in their order."""
        return [self._family(metric) for metric in self._metrics]

    def _family(self, metric: Metric) -> Family:
        if metric.type == "histogram":
            return self._histogram_family(metric)
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.type == "counter":
            family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
        else:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in self._scalars[metric.name]:
            family.add_metric(labels, value)
        return family

    def _histogram_family(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, bounds, up_to, total, exemplars in self._histograms[metric.name]:
            buckets: list[tuple[str, float] | tuple[str, float, FamilyExemplar]] = [
                *zip([*map(bound_text, bounds), "+Inf"], up_to, strict=True)
            ]
            for place, exemplar in exemplars().items():
                shown = FamilyExemplar(exemplar.labels, exemplar.value, exemplar.at)
                buckets[place] = (*buckets[place][:2], shown)
            family.add_metric(labels, buckets, total)
        return family

    # ── as text ──────────────────────────────────────────────────────────────────────────────────────────────────

    def text(self, names: frozenset[str] = frozenset(), *, open_metrics: bool = False) -> str:
        """
        Return the families as `prometheus_client` would write them, to the byte.

        Parameters
        ----------
        names
            Only these samples, and no family that has none of them; empty for all.
        open_metrics
            In the OpenMetrics format, without its end, instead of Prometheus' own.
        """
        out: list[str] = []
        for metric in self._metrics:
            if names and names.isdisjoint(sample_names(metric)):
                continue
            if metric.type == "histogram":
                lines = self._histogram_lines(metric, names, open_metrics)
            else:
                lines = scalar_lines(self._lines.scalars(metric), self._scalars[metric.name])
            if lines or not names:
                out.append(title(metric, open_metrics=open_metrics))
                out += lines
        self._lines.trim(sum(map(len, self._scalars.values())) + sum(map(len, self._histograms.values())))
        return "".join(out)

    def _histogram_lines(self, metric: Metric, names: frozenset[str], open_metrics: bool) -> list[str]:
        chosen = [not names or name in names for name in sample_names(metric)]
        out: list[str] = []
        known = self._lines.histograms(metric)
        for labels, bounds, up_to, total, exemplars in self._histograms[metric.name]:
            begins = known[labels, bounds]
            lines = histogram_lines(begins, [*up_to, up_to[-1]], total, exemplars() if open_metrics else {})
            if all(chosen):
                out += lines
                continue
            size = len(up_to)
            parts = (lines[:size], lines[size : size + 1], lines[size + 1 :])
            out += [line for part, is_chosen in zip(parts, chosen, strict=True) if is_chosen for line in part]
        return out
