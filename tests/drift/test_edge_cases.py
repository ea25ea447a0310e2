"""Data as it comes: what each odd case is answered with, by a check that somebody asks for and by scheduled ones."""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.checks.replay import replay
from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import InputError
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import FamilyResult, FlushBatch, IntervalCounts, TestResult
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries

Columns = Mapping[str, Any]
HOUR, DAY = 3600.0, 86400.0
MONDAY = datetime(2026, 2, 2, tzinfo=zoneinfo.ZoneInfo("UTC")).timestamp()
DAYS = 21
NOW = MONDAY + DAYS * DAY
PER_HOUR = 200
CONFIG = ModelMonitoringConfig(model_id="m")
Draw = Callable[[np.random.Generator, int], Any]


def zero_inflated(rng: np.random.Generator, n: int, zeros: float = 0.6) -> Any:
    return np.where(rng.random(n) < zeros, 0.0, rng.lognormal(2.0, 1.0, n))


def normal(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=n)


KINDS: dict[str, tuple[Draw, Draw]] = {
    "zero-inflated": (zero_inflated, lambda rng, n: zero_inflated(rng, n, 0.75)),
    "few integers": (lambda rng, n: rng.poisson(3.0, n), lambda rng, n: rng.poisson(4.0, n)),
    "many integers": (lambda rng, n: rng.poisson(300.0, n), lambda rng, n: rng.poisson(310.0, n)),
    "heavy tails": (lambda rng, n: rng.standard_cauchy(n), lambda rng, n: 2.0 * rng.standard_cauchy(n)),
    "one category": (lambda _rng, n: ["only"] * n, lambda _rng, n: ["only", "other"] * (n // 2)),
    "a constant": (lambda _rng, n: np.full(n, 7.0), lambda _rng, n: np.tile([7.0, 7.5], n // 2)),
}
"""What a healthy column holds, and what a faulty one holds."""


def reference(draws: Mapping[str, Draw], rows: int = DAYS * 24 * PER_HOUR, **options: Any) -> ReferenceProfile:
    rng = np.random.default_rng(1)
    seconds = MONDAY + np.arange(rows) * (DAYS * DAY / rows)
    return ReferenceProfile.build(
        {name: draw(rng, rows) for name, draw in draws.items()}, timestamps=seconds, **options
    )


def asked(profile: ReferenceProfile, data: Columns, config: ModelMonitoringConfig = CONFIG) -> FamilyResult:
    return checks.asked_check(config, profile, data, None, NOW).families["data"]


@pytest.fixture
def scheduled(tmp_path: Path) -> Callable[..., list[FamilyResult]]:
    """Record hours of rows in a store and check them hour by hour; the replay has to say the same."""

    def run(
        profile: ReferenceProfile,
        hours: Sequence[tuple[Columns, int]],
        config: ModelMonitoringConfig = CONFIG,
        begin: float = NOW,
    ) -> list[FamilyResult]:
        assigner = CellAssigner(profile.layout)
        batches = [assigner.bin(columns, n) for columns, n in hours]
        starts = begin + HOUR * np.arange(len(hours))
        with StoreWriter(tmp_path / "store") as writer:
            counts = [
                IntervalCounts("m", "v1", "", profile.id, start, HOUR, 0, batch.rows, batch.cells, batch.sums)
                for start, batch in zip(starts.tolist(), batches, strict=True)
                if batch.rows
            ]
            writer.commit(FlushBatch("w", counts=counts))
            with StoreQueries(writer.folder) as queries:
                found: list[FamilyResult] = []
                state: dict[str, Any] = {}
                for end in (starts + HOUR).tolist():
                    result, state = checks.scheduled_check(
                        queries, config, "v1", profile, json.loads(json.dumps(state)), end, started_at=begin
                    )
                    found.append(result.families["data"])
        steps = replay(
            profile, config, starts, [batch.rows for batch in batches], [batch.cells for batch in batches],
            first=begin + HOUR, until=float(starts[-1]) + HOUR,
        )  # fmt: skip
        again = [dict(step.families["data"][1].feature_severity) for step in steps]
        assert again == [dict(family.feature_severity) for family in found]
        return found

    return run


def stream(draws: Mapping[str, Draw], hours: int, seed: int = 2, n: int = PER_HOUR) -> list[tuple[Columns, int]]:
    rng = np.random.default_rng(seed)
    return [({name: draw(rng, n) for name, draw in draws.items()}, n) for _ in range(hours)]


def worst(found: Sequence[FamilyResult]) -> Severity:
    return max((family.severity for family in found), default=Severity.NONE)


def shown(family: FamilyResult, feature: str) -> TestResult:
    return max((t for t in family.tests if t.feature == feature), key=lambda t: (t.severity, -t.p_value))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_is_quiet_when_healthy_and_heard_when_faulty(
    kind: str, scheduled: Callable[..., list[FamilyResult]]
) -> None:
    healthy, faulty = KINDS[kind]
    profile = reference({"x": healthy, "y": normal})
    rng = np.random.default_rng(3)
    assert asked(profile, {"x": healthy(rng, 4000), "y": normal(rng, 4000)}).severity < Severity.WARNING
    assert asked(profile, {"x": faulty(rng, 4000), "y": normal(rng, 4000)}).feature_severity["x"] >= Severity.WARNING
    found = scheduled(
        profile, stream({"x": healthy, "y": normal}, 30) + stream({"x": faulty, "y": normal}, 24, seed=4)
    )  # fmt: skip
    assert worst(found[:30]) < Severity.WARNING
    assert found[-1].feature_severity["x"] >= Severity.WARNING
    assert found[-1].feature_severity["y"] < Severity.WARNING


def test_infinite_values_are_out_of_range_and_not_numbers_to_count_with() -> None:
    profile = reference({"x": lambda rng, n: rng.standard_cauchy(n)})
    values = np.random.default_rng(3).standard_cauchy(4000)
    values[:200], values[200:400] = np.inf, -np.inf
    family = asked(profile, {"x": values})
    assert family.feature_severity["x"] >= Severity.WARNING
    assert shown(family, "x").test == "novel"
    assert family.shifts[0].above_ratio == pytest.approx(0.05, abs=0.002)
    assert family.shifts[0].below_ratio == pytest.approx(0.05, abs=0.002)


def test_an_empty_batch_is_a_mistake_and_an_empty_window_is_a_state(
    scheduled: Callable[..., list[FamilyResult]],
) -> None:
    draws: dict[str, Draw] = {"x": normal}
    profile = reference(draws)
    with pytest.raises(InputError, match="has no rows: there is nothing to score"):
        asked(profile, {"x": []})
    silent = scheduled(profile, stream(draws, 3) + [({"x": []}, 0)] * 3)
    assert [family.state for family in silent] == ["ok"] * 6  # the day and the week still hold rows
    assert worst(silent) < Severity.WARNING


def test_nothing_recorded_at_all_is_insufficient_data(scheduled: Callable[..., list[FamilyResult]]) -> None:
    profile = reference({"x": normal})
    found = scheduled(profile, [({"x": []}, 0)] * 3)
    assert {(family.state, family.severity) for family in found} == {("insufficient_data", Severity.NONE)}


def test_one_row_is_too_few_and_where_that_is_allowed_it_is_no_alarm() -> None:
    profile = reference({"x": normal})
    family = asked(profile, {"x": [1e9]})
    assert (family.state, family.severity) == ("insufficient_data", Severity.NONE)
    assert "50 rows, has 1" in family.reason
    allowed = ModelMonitoringConfig(model_id="m", drift={"min_rows": 1})
    assert asked(profile, {"x": [0.1]}, allowed).severity == Severity.NONE
    assert asked(profile, {"x": [1e9]}, allowed).severity < Severity.WARNING


def test_a_column_that_goes_missing_altogether_is_an_alarm_of_its_missing_values(
    scheduled: Callable[..., list[FamilyResult]],
) -> None:
    draws: dict[str, Draw] = {"x": normal, "y": normal}
    profile = reference(draws)
    gone: dict[str, Draw] = {**draws, "x": lambda _rng, n: [None] * n}
    rng = np.random.default_rng(3)
    family = asked(profile, {name: draw(rng, 1000) for name, draw in gone.items()})
    assert (shown(family, "x").test, family.feature_severity["y"]) == ("missing", Severity.NONE)
    found = scheduled(profile, stream(draws, 24) + stream(gone, 2))
    assert worst(found[:24]) < Severity.WARNING
    assert found[24].feature_severity["x"] >= Severity.ERROR
    assert shown(found[24], "x").test == "missing"
    assert found[24].shifts[0].missing_ratio == 1.0


def test_a_column_that_is_missing_in_the_whole_reference_is_left_out_and_told() -> None:
    profile = reference({"x": normal, "gone": lambda _rng, n: [None] * n})
    assert profile.feature_names == ("x",)
    assert any("gone" in warning for warning in profile.warnings)
    assert asked(profile, {"x": np.zeros(500), "gone": np.ones(500)}).feature_severity.keys() == {"x"}


def test_a_feature_that_production_lacks_is_told_of_a_batch_and_missing_in_a_stream(
    scheduled: Callable[..., list[FamilyResult]],
) -> None:
    draws: dict[str, Draw] = {"x": normal, "y": normal}
    profile = reference(draws)
    alone: dict[str, Draw] = {"y": draws["y"]}
    family = asked(profile, {"y": draws["y"](np.random.default_rng(3), 1000)})
    assert family.severity == Severity.NONE
    assert family.reason == "not in the data: x"
    found = scheduled(profile, stream(alone, 2))
    assert [found[-1].feature_severity[name] >= Severity.ERROR for name in "xy"] == [True, False]
    assert shown(found[-1], "x").test == "missing"


def test_a_feature_that_the_reference_lacks_changes_nothing(scheduled: Callable[..., list[FamilyResult]]) -> None:
    draws: dict[str, Draw] = {"x": normal}
    profile = reference(draws)
    data = {"x": np.random.default_rng(3).normal(size=1000)}
    assert asked(profile, {**data, "new": np.full(1000, 1e9)}) == asked(profile, data)
    hours = stream(draws, 3)
    assert scheduled(profile, [({**columns, "new": ["?"] * n}, n) for columns, n in hours])[-1].tests
    assert worst(scheduled(profile, hours, begin=NOW + DAY)) == Severity.NONE


def test_a_thousand_rows_are_reference_enough_for_what_is_gross(scheduled: Callable[..., list[FamilyResult]]) -> None:
    draws: dict[str, Draw] = {f"x{i}": lambda rng, n: rng.lognormal(size=n) for i in range(5)}
    profile = reference(draws, rows=1000)
    broken = dict(draws, x2=lambda rng, n: 1.6 * rng.lognormal(size=n))
    found = scheduled(profile, stream(draws, 72) + stream(broken, 24, seed=4) + stream(draws, 48, seed=5))
    assert worst(found[:72]) < Severity.WARNING
    assert found[95].feature_severity["x2"] >= Severity.WARNING
    assert {name for name, severity in found[95].feature_severity.items() if severity >= Severity.WARNING} == {"x2"}
    assert found[-1].severity < Severity.WARNING  # and it ends


def by_the_wall_clock(hours: int, begin: datetime, seed: int) -> tuple[list[float], list[tuple[Columns, int]]]:
    """Rows whose mean follows the clock on the wall in Rome, two standard deviations up and down a day."""
    rng = np.random.default_rng(seed)
    zone = zoneinfo.ZoneInfo("Europe/Rome")
    times: list[float] = []
    out: list[tuple[Columns, int]] = []
    for i in range(hours):
        at = datetime.fromtimestamp(begin.timestamp() + i * HOUR, zone)
        out.append(({"x": rng.normal(2.0 * np.sin(2 * np.pi * at.hour / 24), 1.0, PER_HOUR)}, PER_HOUR))
        times.append(at.timestamp())
    return times, out


@pytest.mark.parametrize("change", [datetime(2026, 3, 29), datetime(2026, 10, 25)], ids=["spring", "autumn"])  # noqa: DTZ001
def test_the_change_of_the_clocks_is_no_drift_where_the_zone_is_known(
    change: datetime, scheduled: Callable[..., list[FamilyResult]]
) -> None:
    zone = zoneinfo.ZoneInfo("Europe/Rome")
    midnight = change.replace(tzinfo=zone)
    times, rows = by_the_wall_clock(21 * 24, midnight - timedelta(days=23), 1)
    data, seconds = {"x": np.concatenate([c["x"] for c, _ in rows])}, np.repeat(times, PER_HOUR)
    begin = midnight - timedelta(hours=12)
    _, hours = by_the_wall_clock(48, begin, 2)
    severities = {}
    for name in ("Europe/Rome", "UTC"):
        profile = ReferenceProfile.build(data, timestamps=seconds, timezone=name)
        severities[name] = worst(scheduled(profile, hours, begin=begin.timestamp()))
    assert severities["Europe/Rome"] < Severity.WARNING
    assert severities["UTC"] >= Severity.WARNING  # so this stream shows the difference


def test_a_clock_that_goes_back_neither_raises_nor_hides_anything(tmp_path: Path) -> None:
    draws: dict[str, Draw] = {"x": normal, "y": normal}
    profile = reference(draws)
    hours = stream(draws, 30) + stream(dict(draws, x=lambda rng, n: rng.normal(1.0, size=n)), 6)
    assigner = CellAssigner(profile.layout)
    with StoreWriter(tmp_path / "store") as writer:
        for i, (columns, n) in enumerate(hours):
            batch = assigner.bin(columns, n)
            counts = IntervalCounts("m", "v1", "", profile.id, NOW + i * HOUR, HOUR, 0, n, batch.cells, batch.sums)
            writer.commit(FlushBatch("w", counts=[counts]))
        with StoreQueries(writer.folder) as queries:
            state: dict[str, Any] = {}
            heard = []
            # The check at hour 36 is followed by one at hour 20, as of a clock that was set right.
            for hour in (28, 29, 36, 20, 21, 35, 36):
                result, state = checks.scheduled_check(
                    queries, CONFIG, "v1", profile, state, NOW + hour * HOUR, started_at=NOW
                )
                heard.append(result.families["data"].feature_severity)
    assert [found.get("x", Severity.NONE) >= Severity.WARNING for found in heard] == [False, False, *[True] * 5]
    assert all(found.get("y", Severity.NONE) < Severity.WARNING for found in heard)
