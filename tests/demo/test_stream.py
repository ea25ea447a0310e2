"""The traffic of the demo: its rate, its fault, its late truth."""

import itertools
from typing import Any

import numpy as np
import pytest

from modelwatch.demo.flights import Split
from modelwatch.demo.stream import Fault, FlightStream, LateTruth, Traffic


class Recording:
    """A monitored model and its recorder, reduced to what the traffic needs."""

    def __init__(self) -> None:
        self.features: list[dict[str, Any]] = []
        self.actuals: dict[str, bool] = {}

    def predict(self, features: dict[str, Any]) -> float:
        self.features.append(features)
        return 0.5

    def last_id(self) -> str:
        return f"p{len(self.features)}"

    def record_actual(self, prediction_id: str, late: bool) -> None:
        assert prediction_id not in self.actuals
        self.actuals[prediction_id] = late


@pytest.fixture
def recording() -> Recording:
    return Recording()


def make_traffic(recording: Recording, split: Split, rate: float = 300.0) -> Traffic:
    stream = FlightStream(split.stream)
    return Traffic(stream, recording.predict, recording.last_id, recording.record_actual, LateTruth(2.0, 6.0), rate)


def run(traffic: Traffic, start: float, seconds: float, step: float = 0.02) -> None:
    for tick in range(round(seconds / step) + 1):
        traffic.serve_due(start + tick * step)


def test_flights_come_in_the_order_of_the_split_and_all_again_after_the_last(split: Split) -> None:
    few = split.stream.take(np.arange(5))
    served = list(itertools.islice(FlightStream(few), 15))
    assert [f.features["distance"] for f in served[:5]] == few.columns["distance"].tolist()
    assert [f.late for f in served[:5]] == few.late.tolist()
    for once in (served[5:10], served[10:]):
        assert sorted(map(repr, once)) == sorted(map(repr, served[:5]))
    assert all(type(v) in (str, float) for v in served[0].features.values())


def test_three_hundred_a_second_by_the_clock(recording: Recording, split: Split) -> None:
    traffic = make_traffic(recording, split)
    run(traffic, start=1000.0, seconds=10.0)
    assert traffic.served == len(recording.features) == 3000


def test_a_long_pause_is_not_made_up_for(recording: Recording, split: Split) -> None:
    traffic = make_traffic(recording, split)
    run(traffic, start=0.0, seconds=1.0)
    assert traffic.serve_due(3601.0) == 300
    run(traffic, start=3601.0, seconds=1.0)
    assert traffic.served == pytest.approx(900, abs=1)


def test_the_truth_comes_two_to_six_seconds_later_in_another_order(recording: Recording, split: Split) -> None:
    traffic = make_traffic(recording, split)
    run(traffic, start=0.0, seconds=1.9)
    assert not recording.actuals
    run(traffic, start=1.92, seconds=6.2)
    order = [int(name[1:]) for name in recording.actuals]
    assert traffic.labelled == len(order) > 500
    assert order != sorted(order)
    late = split.stream.late
    assert all(actual == late[int(name[1:]) - 1] for name, actual in recording.actuals.items())
    assert {int(name[1:]) for name in recording.actuals} >= set(range(1, 571))


def test_the_fault_changes_distance_and_a_share_of_the_carriers_and_nothing_else(
    recording: Recording, split: Split
) -> None:
    traffic = make_traffic(recording, split)
    run(traffic, start=0.0, seconds=1.0)
    begin = traffic.served
    traffic.begin_fault(Fault(carrier_share=0.3))
    run(traffic, start=1.0, seconds=10.0)
    end = traffic.served
    traffic.end_fault()
    run(traffic, start=11.0, seconds=1.0)
    plain = list(itertools.islice(FlightStream(split.stream), traffic.served))
    pairs = list(zip((p.features for p in plain), recording.features, strict=True))
    damaged = [i for i, (a, b) in enumerate(pairs) if a != b]
    assert damaged == list(range(begin, end))
    assert all(b["distance"] == round(a["distance"] * 1.609344, 1) for a, b in pairs[begin:end])
    assert all(a[name] == b[name] for a, b in pairs for name in ("origin", "departure", "departure_delay"))
    known = set(split.reference.columns["carrier"]) | set(split.train.columns["carrier"])
    renamed = [b["carrier"] for a, b in pairs[begin:end] if a["carrier"] != b["carrier"]]
    assert not set(renamed) & known
    assert len(renamed) / (end - begin) == pytest.approx(0.3, abs=0.03)
