"""Learning normal variation from production, where the reference has no timestamps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import DriftMonitoringService, ProductionMonitoringService
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import CheckResult, FlushBatch, IntervalCounts
from modelwatch.service.jobs import Jobs
from modelwatch.service.sound_counts import alarms_of, days_of_alarms
from modelwatch.store.values import DriftRecord

HOUR, DAY = 3600.0, 86400.0
ROWS = 300


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a reference that holds all hours, and does not say which row is of which."""
    rng = np.random.default_rng(1)
    daily = 0.5 * np.sin(np.arange(20_000) * 2 * np.pi / 24)
    profile = ReferenceProfile.build({"load": rng.normal(size=20_000) + daily, "still": rng.normal(size=20_000)})
    return profile.save(tmp_path_factory.mktemp("plain") / "profile.json")


class Site:
    """Hours of traffic of one model, written as its workers would count them, and checked once an hour."""

    def __init__(self, service: ProductionMonitoringService, clock: Any, path: Path, **fields: Any) -> None:
        answer = service.register_model(
            {"model_id": "m", "reference": str(path), "alert_channels": ["email"], **fields}
        )
        assert answer["status"] == "success", answer
        self.service, self.clock = service, clock
        self.profile = ReferenceProfile.load(path)
        self._assigner = CellAssigner(self.profile.layout)
        self._rng = np.random.default_rng(3)
        self._written = 0
        clock.now = np.ceil(clock.now / DAY) * DAY
        self.began = clock.now

    @property
    def jobs(self) -> Jobs:
        jobs = self.service._parts.jobs
        assert jobs is not None
        return jobs

    def write(self, *, shift: float = 0.0, still: float = 0.0, segment: str = "", rows: int = ROWS) -> None:
        """Count the hour that begins now."""
        cycle = 0.5 * np.sin(self.clock.now / HOUR * 2 * np.pi / 24)
        columns = {
            "load": self._rng.normal(size=rows) + cycle + shift,
            "still": self._rng.normal(size=rows) + still,
        }
        batch = self._assigner.bin(columns, rows)
        counts = IntervalCounts(
            "m", "", segment, self.profile.id, self.clock.now, HOUR, self._written, rows, batch.cells, batch.sums
        )
        self._written += 1
        store = self.service._parts.store
        assert store is not None
        store.commit(FlushBatch("w", counts=[counts]))

    def run(self, hours: int, *, every: int = 1, **traffic: float) -> list[CheckResult]:
        """Go on for some hours, with a check every so many; 0 for none."""
        results: list[CheckResult] = []
        for hour in range(hours):
            self.write(**traffic)  # type: ignore[arg-type]
            self.clock.advance(HOUR)
            due = every > 0 and (hours - 1 - hour) % every == 0
            if due or hour == hours - 1:
                self.jobs.learn(self.clock.now + 900.0)
            results += self.jobs.check("m", self.clock.now) if due else []
        return results

    def drift_state(self) -> str:
        (model,) = self.service.get_service_status()["models"]
        return str(model["drift_state"]["data"])


@pytest.fixture
def start(make_service: Callable[..., ProductionMonitoringService], clock: Any, plain: Path) -> Callable[..., Site]:
    return lambda **fields: Site(make_service(), clock, plain, **fields)


def worst(results: list[CheckResult]) -> Severity:
    return max(result.families["data"].severity for result in results)


def test_the_day_of_learning_is_told_until_it_is_learnt(start: Callable[..., Site]) -> None:
    site = start()
    site.run(25, every=0)
    (result,) = site.run(1)
    assert not result.calibrated
    assert result.families["data"].reason == "normal variation is being learnt, day 2 of 14"
    assert site.drift_state() == "ok · normal variation is being learnt, day 2 of 14"


def test_after_14_days_all_windows_are_scored_by_what_was_learnt(start: Callable[..., Site]) -> None:
    site = start()
    early = site.run(15 * 24 - 1, every=6)
    assert not any(result.calibrated for result in early)
    assert {test.window for test in early[-1].families["data"].tests} == {"24h"}
    late = site.run(9 * 24, every=3)
    assert late[-1].calibrated
    assert {test.window for test in late[-1].families["data"].tests} == {"1h", "24h", "168h"}
    assert "being learnt" not in late[-1].families["data"].reason
    assert worst(late) < Severity.WARNING, "the daily cycle, of which the reference knows nothing, is none of drift"
    (sample,) = [
        value.value
        for family in site.service.registry.collect()
        for value in family.samples
        if value.name == "modelwatch_drift_calibrated"
    ]
    assert sample == 1.0


def test_once_learnt_a_shift_is_found_within_hours_and_is_an_error(start: Callable[..., Site]) -> None:
    site = start()
    site.run(16 * 24, every=0)
    site.run(3)
    found = site.run(3, still=1.0)
    assert found[-1].calibrated
    assert found[-1].families["data"].severity == Severity.ERROR
    assert found[-1].families["data"].feature_severity["load"] < Severity.WARNING


def test_training_serving_skew_is_not_learnt_away(start: Callable[..., Site]) -> None:
    """It was there from the first check on, so its days are learnt from; and it goes on to be drift afterwards."""
    site = start()
    site.run(17 * 24, every=6, still=0.5)
    (result,) = site.run(1, still=0.5)
    assert result.calibrated
    assert result.families["data"].feature_severity["still"] >= Severity.WARNING
    assert result.families["data"].feature_severity["load"] < Severity.WARNING


def test_days_on_which_drift_was_found_are_not_learnt_from(start: Callable[..., Site]) -> None:
    site = start()
    site.run(5 * 24, every=6)
    site.run(24, every=6, still=1.5)
    results = site.run(10 * 24, every=6)
    assert worst(results[-4:]) < Severity.WARNING, "the fault is over"
    assert not results[-1].calibrated, "16 days have passed, of which not 14 were sound"
    results = site.run(4 * 24, every=6)
    assert results[-1].calibrated
    learnt = site.jobs._profiles.taught(site.profile.id, "m")
    assert learnt is not None
    assert learnt.natural["24h"].v[1, 0] < 0.001


def test_what_was_recorded_before_is_learnt_from_at_once(start: Callable[..., Site]) -> None:
    """As after an update: 16 days of counts are in the store, and nothing was learnt from them yet."""
    site = start()
    for _ in range(16 * 24):
        site.write()
        site.clock.advance(HOUR)
    site.jobs.learn(site.clock.now)
    (result,) = site.jobs.check("m", site.clock.now)
    assert result.calibrated


def test_every_process_that_checks_follows_and_registering_again_loses_nothing(
    start: Callable[..., Site], make_service: Callable[..., ProductionMonitoringService], plain: Path, clock: Any
) -> None:
    site = start()
    site.run(16 * 24, every=0)
    other = make_service()
    other.register_model({"model_id": "m", "reference": str(plain)})
    jobs = other._parts.jobs
    assert jobs is not None
    (result,) = jobs.check("m", clock.now)
    assert result.calibrated
    batch = {"load": np.zeros(200), "still": np.random.default_rng(5).normal(size=200)}
    assert other.monitor_model_drift("m", batch)["details"]["data"]["features"]["load"]["severity"] != "none"


def test_a_drift_service_beside_it_knows_what_was_learnt(start: Callable[..., Site], tmp_path: Path) -> None:
    site = start()
    with DriftMonitoringService(tmp_path / "storage") as service:
        before, _ = service._models.reference(site.service._parts.book.get("m").config, site.clock.now)
        site.run(16 * 24, every=0)
        after, _ = service._models.reference(site.service._parts.book.get("m").config, site.clock.now)
    assert before is not None
    assert after is not None
    assert (before.calibrated, after.calibrated) == (False, True)


def test_two_models_of_one_profile_learn_apart(start: Callable[..., Site], plain: Path) -> None:
    site = start()
    site.service.register_model({"model_id": "other", "reference": str(plain)})
    site.run(16 * 24, every=0)
    profiles = site.jobs._profiles
    mine, others = (profiles.taught(site.profile.id, model_id) for model_id in ("m", "other"))
    assert mine is not None
    assert others is not None
    assert (mine.calibrated, others.calibrated) == (True, False)


def test_a_damaged_file_is_begun_anew(start: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = start()
    site.run(30, every=0)
    store = site.service._parts.store
    assert store is not None
    store.save_learnt(site.profile.id, "m", b"no zip at all")
    site.run(1)
    assert "learns its normal variation anew" in caplog.text
    assert "day 2 of 14" in site.drift_state()


def test_a_clock_that_was_ahead_does_not_stop_learning(start: Callable[..., Site]) -> None:
    site = start()
    site.run(3, every=0)
    site.jobs.learn(site.clock.now + 400 * DAY)
    site.run(16 * 24, every=0)
    (result,) = site.run(1)
    assert result.calibrated


def test_what_was_learnt_goes_with_its_profile(start: Callable[..., Site]) -> None:
    site = start()
    site.run(2, every=0)
    store = site.service._parts.store
    assert store is not None
    assert store.learnt_mark(site.profile.id, "m") is not None
    store.save_profile("unused", "{}")
    store.save_learnt("unused", "m", b"-")
    assert store.remove_unused_profiles(site.clock.now + 1e10) == ["unused"]
    assert store.learnt_mark("unused", "m") is None
    assert store.learnt_mark(site.profile.id, "m") is not None


def record(hours: float, severity: Severity, state: str = "ok") -> DriftRecord:
    return DriftRecord("m", "", hours * HOUR, True, 0.1, severity, {"families": {"data": {"state": state}}})


def test_drift_that_never_was_away_is_no_event() -> None:
    waiting = [record(h, Severity.NONE, "warming_up") for h in range(24)]
    standing = [record(24 + h, Severity.WARNING, "drift") for h in range(100)]
    assert alarms_of(waiting + standing, standing=False).size == 0
    assert alarms_of(waiting + standing).size == 100
    assert alarms_of([*waiting, record(24, Severity.NONE), *standing[1:]], standing=False).size == 99
    assert alarms_of([*waiting, *standing, record(130, Severity.NONE)], standing=False).size == 100
    assert alarms_of([]).size == 0


def test_the_days_of_an_alarm_are_those_that_its_window_held() -> None:
    first = days_of_alarms(np.array([0.0]), 0.0, "UTC")
    assert days_of_alarms(np.array([30 * HOUR]), DAY, "UTC").tolist() == [first[0], first[0] + 1]
    assert days_of_alarms(np.zeros(0), DAY, "UTC").size == 0


def test_a_reference_learnt_from_production_is_calibrated_once_it_has_grown_up(
    make_service: Callable[..., ProductionMonitoringService], plain: Path, clock: Any
) -> None:
    site = Site(make_service(), clock, plain, reference="auto")
    store = site.service._parts.store
    assert store is not None
    store.save_profile(site.profile.id, site.profile.to_json())
    since = clock.now - DAY
    assert store.publish_learnt("m", site.profile.id, written="auto", at=clock.now, since=since, until=clock.now)
    site.run(2, every=1)
    (early,) = site.run(1)
    assert not early.calibrated
    for _ in range(4):
        site.run(4 * 24, every=0)
    site.jobs.learn(site.clock.now + HOUR)
    (late,) = site.run(1)
    assert late.calibrated
    grown = ReferenceProfile.from_json(store.load_profile(site.profile.id) or "")
    assert grown.calibrated
    assert grown.strata is not None
    assert grown.natural_days >= 14
    assert grown.rows > site.profile.rows, "its counts have grown meanwhile"
    assert "learnt" in site.service.get_service_status()["models"][0]["reference"]
    followed = site.service._parts.book.get("m").profile
    assert followed is not None
    assert followed.calibrated, "every worker follows"
