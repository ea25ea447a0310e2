"""Metric families of `prometheus_client` from the definitions in :mod:`modelwatch.conventions`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from modelwatch.conventions import Metric


class Families:
    """
    The families of one scrape, made anew each time.

    Parameters
    ----------
    metrics
        Which families there are; each is exposed, also without samples, so that its type is always known.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._families: dict[str, Family] = {metric.name: _family(metric) for metric in metrics}

    def add(self, metric: Metric, labels: Sequence[str], value: float) -> None:
        """Add a sample of a counter or gauge; label values in the order of `metric.labels`."""
        family = self._families[metric.name]
        assert isinstance(family, (CounterMetricFamily, GaugeMetricFamily))
        family.add_metric(labels, value)

    def add_histogram(
        self,
        metric: Metric,
        labels: Sequence[str],
        bounds: Sequence[float],
        cells: NDArray[np.int64] | NDArray[np.float64],
        total: float,
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
            Counts per bucket, not cumulative, shape (len(bounds),) or (len(bounds) + 1,) with those above the last.
        total
            Sum of the values. `prometheus_client` leaves it out where the first bound is negative.
        """
        family = self._families[metric.name]
        assert isinstance(family, HistogramMetricFamily)
        up_to = np.cumsum(cells).tolist()
        texts = [bound_text(bound) for bound in bounds]
        buckets = list(zip(texts, up_to, strict=False))
        family.add_metric(labels, [*buckets, ("+Inf", up_to[-1] if up_to else 0)], total)

    def all(self) -> list[Family]:
        """Return the families in their order."""
        return list(self._families.values())


def bound_text(bound: float) -> str:
    """Return a bucket's bound as the label ``le`` gives it.

    >>> bound_text(1.0), bound_text(1e7)
    ('1.0', '1e+07')
    """
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _family(metric: Metric) -> Family:
    if metric.type == "counter":
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    if metric.type == "gauge":
        return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
