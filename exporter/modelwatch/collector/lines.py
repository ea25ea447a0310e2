"""Lines of the text formats, to the byte as `prometheus_client` writes them, at a fraction of the time.

Nothing but the number changes in the line of a series from scrape to scrape. So what comes before it, with its escaped
labels and the texts of bucket bounds, is kept; and numbers are written by the shortest way for what they mostly are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from prometheus_client.utils import floatToGoString

from modelwatch.conventions import Metric

__all__ = ["Exemplar", "LineCache", "bound_text", "histogram_lines", "number_text", "sample_names", "scalar_lines",
           "title"]  # fmt: skip

PREDICTION_ID = "prediction_id"
_MILLION = 1_000_000
"""From here on `prometheus_client` writes numbers with an exponent, as Go does."""
_TEN_DIGITS = 10**10
"""From here on releases of `prometheus_client` differ in how they write the exponent."""
_SPARE = 1000
_HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")

Labels = tuple[str, ...]
Bounds = tuple[float, ...]
Scalar = tuple[Labels, float]
"""A sample of a counter or gauge: label values and number."""


class Exemplar(NamedTuple):
    """One prediction out of those in a bucket: its id, its value and when it was made."""

    prediction_id: str
    value: float
    at: float

    @property
    def labels(self) -> dict[str, str]:
        """What names it."""
        return {PREDICTION_ID: self.prediction_id}


class ScalarBegins(dict[Labels, str]):
    """The beginnings of the lines of a counter or gauge by label values, made when they are first asked for."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def __missing__(self, labels: Labels) -> str:
        begin = self[labels] = _begin(self._metric.name, self._metric.labels, labels)
        return begin


class HistogramBegins(dict[tuple[Labels, Bounds], tuple[str, ...]]):
    """The same of a histogram: of all its lines, by label values and bounds."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def __missing__(self, key: tuple[Labels, Bounds]) -> tuple[str, ...]:
        begins = self[key] = _histogram_begins(self._metric, *key)
        return begins


class LineCache:
    """
    The beginnings of the lines of one collector's series, kept from scrape to scrape.

    Bounded by what is exposed: series that are gone are forgotten with all others, once they are as many.
    """

    def __init__(self) -> None:
        self._scalars: dict[str, ScalarBegins] = {}
        self._histograms: dict[str, HistogramBegins] = {}

    def scalars(self, metric: Metric) -> ScalarBegins:
        """Return what is kept of a counter or gauge."""
        if metric.name not in self._scalars:
            self._scalars[metric.name] = ScalarBegins(metric)
        return self._scalars[metric.name]

    def histograms(self, metric: Metric) -> HistogramBegins:
        """Return what is kept of a histogram."""
        if metric.name not in self._histograms:
            self._histograms[metric.name] = HistogramBegins(metric)
        return self._histograms[metric.name]

    def trim(self, exposed: int) -> None:
        """Forget everything if that is much more than the `exposed` counters, gauges and histograms."""
        kept = sum(map(len, self._scalars.values())) + sum(map(len, self._histograms.values()))
        if kept > 2 * exposed + _SPARE:
            self._scalars, self._histograms = {}, {}


def scalar_lines(begins: ScalarBegins, samples: Iterable[Scalar]) -> list[str]:
    """Return the lines of a counter or gauge."""
    return [
        f"{begins[labels]}{value}.0\n"
        if type(value) is int and -_MILLION < value < _MILLION
        else f"{begins[labels]}{number_text(value)}\n"
        for labels, value in samples
    ]


def histogram_lines(
    begins: Sequence[str],
    counts: Sequence[int] | Sequence[float],
    total: float,
    exemplars: Mapping[int, Exemplar],
) -> list[str]:
    """
    Return the lines of a histogram.

    Parameters
    ----------
    begins
        Their beginnings, without those of count and sum where these are not shown.
    counts
        Cumulative counts of the buckets, the last being infinity's, and the count once more.
    total
        The sum.
    exemplars
        By the place of their bucket.
    """
    if type(counts[-1]) is int:
        lines = [
            f"{begin}{count}.0\n" if count < _MILLION else f"{begin}{number_text(count)}\n"
            for begin, count in zip(begins, counts, strict=False)
        ]
    else:
        lines = [f"{begin}{number_text(count)}\n" for begin, count in zip(begins, counts, strict=False)]
    if len(begins) > len(counts):
        lines.append(f"{begins[-1]}{number_text(total)}\n")
    for place, (name, value, at) in exemplars.items():
        lines[place] = f'{lines[place][:-1]} # {{{PREDICTION_ID}="{_escaped(name)}"}} {number_text(value)} {at}\n'
    return lines


def number_text(value: float) -> str:
    """
    Return a number as `prometheus_client` writes it.

    >>> number_text(3), number_text(1_234_560), number_text(0.25), number_text(float("inf")), number_text(1e7)
    ('3.0', '1.23456e+06', '0.25', '+Inf', '1e+07')
    """
    if type(value) is int:
        if -_MILLION < value < _MILLION:
            return f"{value}.0"
        if _MILLION <= value < _TEN_DIGITS:
            digits = str(value)
            if digits[-1] != "0":
                return f"{digits[0]}.{digits[1:]}e+0{len(digits) - 1}"
    elif type(value) is float and -_MILLION < value < _MILLION:
        return repr(value)
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def bound_text(bound: float) -> str:
    """Return a bucket's bound as the label ``le`` gives it.

    >>> bound_text(1.0), bound_text(1e7)
    ('1.0', '1e+07')
    """
    return number_text(float(bound))


@lru_cache(maxsize=512)
def title(metric: Metric, *, open_metrics: bool) -> str:
    """Return the lines above the samples of a family, which OpenMetrics names without "_total"."""
    name = metric.name.removesuffix("_total") if open_metrics and metric.type == "counter" else metric.name
    words = _escaped(metric.help) if open_metrics else metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {words}\n# TYPE {name} {metric.type}\n"


@lru_cache(maxsize=512)
def sample_names(metric: Metric) -> tuple[str, ...]:
    """Return the names of a family's samples, of a histogram those of buckets, count and sum."""
    return tuple(metric.name + part for part in (_HISTOGRAM_PARTS if metric.type == "histogram" else ("",)))


def _histogram_begins(metric: Metric, labels: Labels, bounds: Bounds) -> tuple[str, ...]:
    bucket, count, total = sample_names(metric)
    texts = [*map(bound_text, bounds), "+Inf"]
    buckets = [_begin(bucket, (*metric.labels, "le"), (*labels, text)) for text in texts]
    if bounds and not bounds[0] >= 0:
        return tuple(buckets)
    return (*buckets, _begin(count, metric.labels, labels), _begin(total, metric.labels, labels))


def _begin(name: str, names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return f"{name} "
    # As in prometheus_client's families, the last labels may be left out.
    pairs = [f'{label}="{_escaped(value)}"' for label, value in sorted(zip(names, values, strict=False))]
    return f"{name}{{{','.join(pairs)}}} "


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
