"""What our own endpoints write themselves: to the byte what `prometheus_client` writes of the same families."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from prometheus_client.utils import floatToGoString

from modelwatch.collector import make_wsgi_app, render
from modelwatch.collector.families import Families
from modelwatch.collector.lines import Exemplar, LineCache, number_text
from modelwatch.collector.parts import OwnCollector
from modelwatch.collector.rendering import Only
from modelwatch.conventions import Metric

COUNTER = Metric("modelwatch_x_total", "counter", 'Counted "things".\nAll \\ of them.', ("zone", "model_id"))
GAUGE = Metric("modelwatch_g", "gauge", "A gauge.", ("model_id",))
BARE = Metric("modelwatch_bare", "gauge", "No labels.", ())
HISTOGRAM = Metric("modelwatch_h", "histogram", "Values.", ("model_id", "feature"))
METRICS = (COUNTER, HISTOGRAM, GAUGE, BARE)

TEXT, TEXT_1, OPEN_METRICS = "", "text/plain;version=1.0.0", "application/openmetrics-text;version=1.0.0"
ACCEPTED = (
    TEXT,
    TEXT_1,
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=dots",
    OPEN_METRICS,
    "application/openmetrics-text",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5",
    "application/openmetrics-text;version=1.0.0;escaping=dots",
    "application/openmetrics-text;version=1.0.0;escaping=values",
    "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
)


class Ours(OwnCollector):
    """A collector as ours are: what was added, each time anew, and its lines kept."""

    def __init__(self, adding: Any) -> None:
        self._adding = adding
        self._lines = LineCache()

    def scrape(self) -> list[Families]:
        families = Families(METRICS, self._lines)
        self._adding(families)
        return [families]


def registry_of(*collectors: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def theirs(registry: CollectorRegistry, accept: str, names: Sequence[str] = ()) -> tuple[bytes, str]:
    """Return what `prometheus_client` writes, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(Only(registry, names) if names else registry), content_type


LABEL = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(['a"b', "a\\b", "a\nb", "%s %d", "{}"])
COUNTS = st.integers(0, 20) | st.integers(0, 2**53) | st.integers(10**5, 10**8) | st.sampled_from([10**6, 10**7, 2**62])
FLOATS = st.floats(allow_nan=True) | st.integers(-(2**70), 2**70)
BOUNDS = st.lists(st.floats(allow_nan=False, allow_infinity=False), unique=True, max_size=6).map(sorted)


@st.composite
def histograms(draw: st.DrawFn) -> tuple[Any, ...]:
    bounds = draw(BOUNDS)
    size = len(bounds) + draw(st.integers(0, 1))
    if draw(st.booleans()):
        cells = np.array(draw(st.lists(COUNTS, min_size=size, max_size=size)), np.int64)
    else:
        ratios = st.floats(0, 1e9)
        cells = np.array(draw(st.lists(ratios, min_size=size, max_size=size)), np.float64)
    places = draw(st.sets(st.integers(0, len(bounds)), max_size=2))
    seen = st.builds(Exemplar, st.text('abc-"\\\n9', min_size=1, max_size=20), st.floats(0, 1e9), st.floats(1, 2e9))
    return (
        (draw(LABEL), draw(LABEL)),
        bounds,
        cells,
        draw(st.floats()),
        partial(dict, {place: draw(seen) for place in places}),
    )


@st.composite
def added(draw: st.DrawFn) -> Any:
    """Return what adds some samples; label values differ, as they do in what we expose."""
    counters = draw(st.dictionaries(st.tuples(LABEL, LABEL), COUNTS | st.floats(0, 1e300), max_size=4))
    gauges = draw(st.dictionaries(st.tuples(LABEL), FLOATS, max_size=4))
    found = draw(st.lists(histograms(), max_size=3, unique_by=lambda histogram: histogram[0]))
    bare = draw(st.lists(FLOATS, max_size=1))

    def add(families: Families) -> None:
        for labels, value in counters.items():
            families.add(COUNTER, list(labels), value)
        for one, value in gauges.items():
            families.add(GAUGE, one, value)
        for value in bare:
            families.add(BARE, (), value)
        for labels, bounds, cells, total, exemplars in found:
            families.add_histogram(HISTOGRAM, labels, bounds, cells, total, exemplars)

    return add


@given(adding=added(), accept=st.sampled_from(ACCEPTED))
def test_every_byte_and_the_content_type_are_those_of_prometheus_client(adding: Any, accept: str) -> None:
    registry = registry_of(Ours(adding))
    assert render(registry, accept) == theirs(registry, accept)
    assert render(registry, accept) == theirs(registry, accept)  # with line beginnings that are known now


@given(
    adding=added(),
    accept=st.sampled_from(ACCEPTED),
    names=st.sets(
        st.sampled_from(
            [
                "modelwatch_x_total",
                "modelwatch_x",
                "modelwatch_h",
                "modelwatch_h_bucket",
                "modelwatch_h_count",
                "modelwatch_h_sum",
                "modelwatch_bare",
                "no_such_thing",
            ]
        ),
        min_size=1,
    ),
)
def test_a_selection_is_that_of_prometheus_client(adding: Any, accept: str, names: set[str]) -> None:
    registry = registry_of(Ours(adding))
    assert render(registry, accept, sorted(names)) == theirs(registry, accept, sorted(names))


def parsed(text: bytes, parse: Any) -> list[tuple[Any, ...]]:
    """Return names, types, helps and samples, with a text for NaN, which equals nothing."""
    return [
        (f.name, f.type, f.documentation, [(s.name, s.labels, repr(s.value), repr(s.exemplar)) for s in f.samples])
        for f in parse(text.decode())
    ]


PARSED_LABEL = st.text(st.characters(codec="utf-8", exclude_categories=["Zl", "Zp", "Cc"]), max_size=8)


@given(
    values=st.dictionaries(st.tuples(PARSED_LABEL, PARSED_LABEL), COUNTS, max_size=4),
    gauges=st.dictionaries(st.tuples(PARSED_LABEL), st.floats(), max_size=4),
)
def test_the_parsers_read_the_same_samples_types_and_helps(values: Any, gauges: Any) -> None:
    def adding(families: Families) -> None:
        for labels, value in values.items():
            families.add(COUNTER, labels, value)
            counts = np.array([value, 1, 2])
            exemplars = {1: Exemplar("w-17", 0.5, 1_700_000_000.25)}
            families.add_histogram(HISTOGRAM, labels, [0.25, 1e7], counts, 5.5, partial(dict, exemplars))
        for one, gauge in gauges.items():
            families.add(GAUGE, one, gauge)

    registry = registry_of(Ours(adding))
    for accept, parse in ((TEXT, text_families), (TEXT_1, text_families), (OPEN_METRICS, open_metrics_families)):
        ours = parsed(render(registry, accept)[0], parse)
        assert ours == parsed(theirs(registry, accept)[0], parse)
        assert len(ours) == len(METRICS)


@given(value=COUNTS | FLOATS | st.integers(-100, 2 * 10**6) | st.integers(0, 400).map(lambda n: n * 25_000))
def test_numbers_are_written_as_by_prometheus_client(value: float) -> None:
    assert number_text(value) == floatToGoString(value)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", [np.float64, np.int64, bool])
def test_numbers_of_other_types_are_too(kind: Any) -> None:
    assert number_text(kind(1)) == "1.0"


def one_of_each(families: Families) -> None:
    families.add(COUNTER, ("z", "m"), 3)
    families.add_histogram(
        HISTOGRAM, ("m", "age"), [1.0], np.array([1, 2]), math.pi, lambda: {0: Exemplar("w-1", 0.5, 7.0)}
    )


def ask(registry: CollectorRegistry, **environ: str) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    app = make_wsgi_app(lambda: registry)
    body = b"".join(app({"REQUEST_METHOD": "GET", **environ}, lambda *answer: started.append(answer)))  # type: ignore[arg-type]
    ((status, headers),) = started
    return status, dict(headers), body


@pytest.mark.parametrize("accept", [TEXT, TEXT_1, OPEN_METRICS])
def test_an_endpoint_answers_get_head_gzip_and_a_selection_alike(accept: str) -> None:
    registry = Mixed().registry
    status, headers, body = ask(registry, HTTP_ACCEPT=accept)
    assert (body, headers["Content-Type"]) == theirs(registry, accept)
    assert ask(registry, HTTP_ACCEPT=accept, REQUEST_METHOD="HEAD") == (status, headers, b"")
    _, packed, small = ask(registry, HTTP_ACCEPT=accept, HTTP_ACCEPT_ENCODING="gzip")
    assert (packed["Content-Encoding"], gzip.decompress(small)) == ("gzip", body)
    chosen = ask(registry, HTTP_ACCEPT=accept, QUERY_STRING="name[]=modelwatch_h_count&name[]=odd")[2]
    assert chosen == theirs(registry, accept, ["modelwatch_h_count", "odd"])[0]
    assert chosen.count(b"# TYPE") == 2


def test_exemplars_are_for_open_metrics_only() -> None:
    registry = registry_of(Ours(one_of_each))
    line = b'modelwatch_h_bucket{feature="age",le="1.0",model_id="m"} 1.0'
    assert line + b"\n" in render(registry, TEXT)[0]
    assert line + b' # {prediction_id="w-1"} 0.5 7.0\n' in render(registry, OPEN_METRICS)[0]


class Mixed:
    """Ours between what others registered."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(target_info={"env": "test"})
        Counter("before", "First.", registry=self.registry).inc()
        self.registry.register(Ours(one_of_each))
        Info("after", "Last.", registry=self.registry).info({"a": "b"})

        class Odd:
            """Has a method of the same name as ours, by chance."""

            def scrape(self) -> None:
                raise AssertionError

            def collect(self) -> Iterable[Family]:
                yield GaugeMetricFamily("odd", "Odd.", value=1)

        self.registry.register(Odd())


@pytest.mark.parametrize("accept", ACCEPTED)
def test_what_others_registered_stands_with_ours_in_one_document(accept: str) -> None:
    registry = Mixed().registry
    assert render(registry, accept) == theirs(registry, accept)
    chosen = ["modelwatch_x_total", "odd", "target_info"]
    assert render(registry, accept, chosen) == theirs(registry, accept, chosen)


def test_a_mixed_document_has_each_family_once_and_one_end() -> None:
    text = render(Mixed().registry, OPEN_METRICS)[0]
    names = [family.name for family in open_metrics_families(text.decode())]  # type: ignore[no-untyped-call]
    assert sorted(names) == sorted(
        {"target", "before", "after", "odd", *("modelwatch_" + n for n in "xhg"), "modelwatch_bare"}
    )
    assert text.count(b"# EOF") == 1


def test_a_registry_that_collects_in_a_way_of_its_own_is_asked_in_that_way() -> None:
    class Restricting(CollectorRegistry):
        def collect(self) -> Iterable[Family]:
            return [family for family in super().collect() if family.name != "modelwatch_h"]

    registry = Restricting()
    registry.register(Ours(one_of_each))
    assert b"modelwatch_h" not in render(registry)[0]
    restricted = registry_of(Ours(one_of_each), Counter("c", "C.", registry=None)).restricted_registry(["c_total"])
    assert render(restricted)[0] == choose_encoder("")[0](restricted)


def test_line_beginnings_of_series_that_are_gone_are_forgotten() -> None:
    lines = LineCache()
    for number in range(5000):
        families = Families(METRICS, lines)
        families.add(GAUGE, (str(number),), 1)
        families.add_histogram(HISTOGRAM, (str(number), ""), [0.5], np.array([1]), 1.0)
        families.text()
        kept = len(lines.scalars(GAUGE))
        assert kept <= 1002
    assert kept > 1
