"""Segments, and a version beside its baseline, are scored with the whole of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.learnt import segment_taught, taught
from modelwatch.records import CheckResult, FlushBatch, IntervalCounts
from modelwatch.store import StoreWriter, check_result_from_json, check_result_to_json
from modelwatch.store.queries import StoreQueries

HOUR = 3600.0
TUESDAY = 1_790_035_200.0
ROWS = 300


@pytest.fixture(scope="module")
def reference() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build({"load": rng.normal(size=20_000), "still": rng.normal(size=20_000)},
                                  predictions=rng.beta(2, 5, 20_000))  # fmt: skip


class Traffic:
    """Hours of rows of versions and segments in a real store, and the checks of them."""

    def __init__(self, folder: Path, profile: ReferenceProfile, **drift: Any) -> None:
        self.config = ModelMonitoringConfig.model_validate({"model_id": "m", "drift": drift})
        self.profile = profile
        self.store = StoreWriter(folder)
        self.queries = StoreQueries(folder)
        self.hour = 0
        self.states: dict[str, Any] = {}
        self._assigner = CellAssigner(profile.layout)
        self._rng = np.random.default_rng(2)

    @property
    def now(self) -> float:
        return TUESDAY + self.hour * HOUR

    def cells(self, rows: int = ROWS, *, load: float = 0.0, still: float = 0.0) -> Any:
        cycle = 0.5 * np.sin(self.hour * 2 * np.pi / 24)
        columns = {"load": self._rng.normal(size=rows) + cycle + load, "still": self._rng.normal(size=rows) + still}
        return self._assigner.bin(columns, rows, self._rng.beta(2, 5, rows))

    def write(
        self, version: str, segment: str = "", rows: int = ROWS, *, load: float = 0.0, still: float = 0.0
    ) -> None:
        batch = self.cells(rows, load=load, still=still)
        counts = IntervalCounts(
            "m", version, segment, self.profile.id, self.now, HOUR, 0, rows, batch.cells, batch.sums
        )
        self.store.commit(FlushBatch(f"{version}-{segment}", counts=[counts]))

    def check(
        self, versions: dict[str, ReferenceProfile], segments: dict[str, dict[str, ReferenceProfile]] | None = None
    ) -> dict[str, CheckResult]:
        done = checks.scheduled_checks(
            self.queries, self.config, versions, self.states, self.now, started_at=TUESDAY, segments=segments
        )
        self.states = {version: json.loads(json.dumps(state)) for version, (_, state) in done.items()}
        return {version: result for version, (result, _) in done.items()}

    def close(self) -> None:
        self.store.close()
        self.queries.close()


@pytest.fixture
def traffic(tmp_path: Path, reference: ReferenceProfile) -> Iterator[Traffic]:
    made = Traffic(tmp_path / "store", reference, compare={"baseline_version": "7"})
    yield made
    made.close()


# ── a canary beside its baseline ─────────────────────────────────────────────────────────────────────────────────────


def test_a_canary_that_sees_other_inputs_than_its_baseline_is_told_within_hours(traffic: Traffic) -> None:
    """The reference knows nothing of hours, and need not: both versions saw the same ones."""
    for _ in range(30):
        traffic.write("7")
        traffic.hour += 1
    found = []
    for _ in range(3):
        traffic.write("7")
        traffic.write("8", still=0.8)
        traffic.hour += 1
        found.append(traffic.check({"7": traffic.profile, "8": traffic.profile}))
    last = found[-1]["8"].segments["against version 7"]["data"]
    assert last.severity >= Severity.WARNING
    assert list(last.feature_severity) == ["still"]
    assert found[-1]["8"].families["data"].severity < Severity.WARNING, "there is no day of it yet"
    assert found[-1]["7"].segments == {}, "the baseline is compared with no version"


def test_a_canary_like_its_baseline_is_quiet_whatever_the_hour_brings_to_both(traffic: Traffic) -> None:
    for _ in range(24):
        traffic.write("7", load=2.0)
        traffic.hour += 1
    worst = Severity.NONE
    for _ in range(30):
        for version in ("7", "8"):
            traffic.write(version, load=2.0, rows=300 if version == "7" else 60)
        traffic.hour += 1
        result = traffic.check({"7": traffic.profile, "8": traffic.profile})["8"]
        worst = max(worst, result.segments["against version 7"]["data"].severity)
    assert worst < Severity.WARNING


def test_without_rows_of_the_baseline_it_is_said_so(traffic: Traffic) -> None:
    traffic.write("8")
    traffic.hour += 1
    family = traffic.check({"8": traffic.profile})["8"].segments["against version 7"]["data"]
    assert family.state == "insufficient_data"
    assert family.reason.startswith("the baseline, version 7, needs 50 rows")


# ── segments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(tmp_path: Path, reference: ReferenceProfile) -> Iterator[Traffic]:
    made = Traffic(tmp_path / "store", reference)
    yield made
    made.close()


def own_hours(shop: Traffic, days: int, *, load: float = 0.0) -> HourCounts:
    """Return hours of a segment or of the whole before the first check."""
    cells = []
    for hour in range(-24 * days, 0):
        shop.hour = hour
        cells.append(shop.cells(load=load).cells)
    shop.hour = 0
    starts = np.asarray(TUESDAY + np.arange(-24 * days, 0) * HOUR, dtype=np.float64)
    return HourCounts.gathered(starts, np.array(cells), "UTC")


def learnt(shop: Traffic, hours: HourCounts) -> ReferenceProfile:
    found = segment_taught(shop.profile, hours, done=True)
    assert found is not None
    assert found.calibrated
    return found


def test_a_segment_that_is_another_by_nature_is_quiet_and_its_own_drift_is_found(shop: Traffic) -> None:
    whole, web = own_hours(shop, 14), own_hours(shop, 14, load=1.0)
    profile, of_web = taught(shop.profile, whole), learnt(shop, web)
    of_app = learnt(shop, own_hours(shop, 14))

    def pass_hour(still: float = 0.0) -> CheckResult:
        shop.write("1", "app", rows=3000)
        shop.write("1", "web", rows=300, load=1.0, still=still)
        shop.hour += 1
        return shop.check({"1": profile}, {"1": {"web": of_web, "app": of_app}})["1"]

    quiet = [pass_hour() for _ in range(26)]
    assert max(result.segments["web"]["data"].severity for result in quiet) < Severity.WARNING
    found = [pass_hour(still=0.9) for _ in range(3)][-1]
    assert found.segments["web"]["data"].severity >= Severity.WARNING
    assert found.segments["web"]["data"].feature_severity.get("load", Severity.NONE) < Severity.WARNING
    assert found.segments["app"]["data"].severity < Severity.WARNING
    again = check_result_from_json(json.loads(json.dumps(check_result_to_json(found))))
    assert again.segments["web"]["data"].severity == found.segments["web"]["data"].severity
    assert again.segments["web"]["data"].tests == found.segments["web"]["data"].tests


def test_a_segment_that_is_not_learnt_yet_tells_gross_changes_alone(shop: Traffic) -> None:
    first = segment_taught(shop.profile, own_hours(shop, 2, load=1.0), done=False)
    assert first is not None
    assert not first.calibrated

    def pass_hour(still: float = 0.0) -> CheckResult:
        shop.write("1", "web", load=1.0, still=still)
        shop.write("1", "app")
        shop.hour += 1
        return shop.check({"1": shop.profile}, {"1": {"web": first}})["1"]

    some = [pass_hour(still=0.4) for _ in range(26)]
    assert max(result.segments["web"]["data"].severity for result in some) == Severity.NONE
    gross = [pass_hour(still=40.0) for _ in range(3)][-1]
    assert gross.segments["web"]["data"].severity == Severity.ERROR


def test_nothing_is_known_of_a_segment_before_its_first_day(shop: Traffic) -> None:
    hours = own_hours(shop, 1)
    young = HourCounts(hours.timezone, hours.hours[:5], hours.cells[:5])
    assert segment_taught(shop.profile, young, done=False) is None
    few = replace(hours, cells=hours.cells // 100)
    assert segment_taught(shop.profile, few, done=True) is None
    nothing = HourCounts("UTC", hours.hours[:0], hours.cells[:0])
    assert segment_taught(shop.profile, nothing, done=False) is None


def test_a_segment_needs_rows_of_its_own(shop: Traffic) -> None:
    of_web = learnt(shop, own_hours(shop, 14))
    shop.write("1", "web", rows=20)
    shop.write("1", "app", rows=500)
    shop.hour += 1
    result = shop.check({"1": of_web}, {"1": {"web": of_web}})["1"]
    assert result.segments["web"]["data"].state == "insufficient_data"
    assert result.families["data"].state == "ok"


def test_segments_of_the_store_are_listed_by_rows_and_only_if_there_are_several(shop: Traffic) -> None:
    shop.write("1", "web", rows=20)
    assert shop.queries.segments("m", shop.profile.id, 0.0) == []
    shop.write("1", "app", rows=50)
    shop.write("2", "", rows=10)
    assert shop.queries.segments("m", shop.profile.id, 0.0) == ["app", "web"]
    assert shop.queries.segments("m", shop.profile.id, 0.0, "2") == []
    assert shop.queries.segments("m", shop.profile.id, shop.now + 2 * HOUR) == []
