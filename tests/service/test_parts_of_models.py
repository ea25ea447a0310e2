"""Segments, and versions beside a baseline: learnt, checked, exposed and told by the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService
from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import CheckResult, FlushBatch, IntervalCounts
from modelwatch.service.jobs import Jobs

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    profile = ReferenceProfile.build({"load": rng.normal(size=20_000), "still": rng.normal(size=20_000)})
    return profile.save(tmp_path_factory.mktemp("plain") / "profile.json")


class Shop:
    """A model whose traffic is that of two segments, of which the smaller is another by nature."""

    def __init__(self, service: ProductionMonitoringService, clock: Any, path: Path, **fields: Any) -> None:
        model = {"model_id": "m", "reference": str(path), "alert_channels": ["email"], "segments": "shop"}
        answer = service.register_model(model | fields)
        assert answer["status"] == "success", answer
        self.service, self.clock = service, clock
        self.profile = ReferenceProfile.load(path)
        self._assigner = CellAssigner(self.profile.layout)
        self._rng = np.random.default_rng(3)
        clock.now = np.ceil(clock.now / DAY) * DAY

    @property
    def jobs(self) -> Jobs:
        jobs = self.service._parts.jobs
        assert jobs is not None
        return jobs

    def write(self, segment: str, rows: int, version: str = "", *, load: float = 0.0, still: float = 0.0) -> None:
        """Count the hour that begins now."""
        columns = {"load": self._rng.normal(size=rows) + load, "still": self._rng.normal(size=rows) + still}
        batch = self._assigner.bin(columns, rows)
        counts = IntervalCounts(
            "m", version, segment, self.profile.id, self.clock.now, HOUR, 0, rows, batch.cells, batch.sums
        )
        store = self.service._parts.store
        assert store is not None
        store.commit(FlushBatch(f"w-{segment}-{version}", counts=[counts]))

    def run(self, hours: int, *, check: bool = True, everywhere: float = 0.0, **web: float) -> list[CheckResult]:
        results = []
        for hour in range(hours):
            self.write("app", 1500, still=everywhere)
            self.write("web", 200, load=1.0, still=web.get("still", everywhere))
            self.clock.advance(HOUR)
            if hour == hours - 1:
                self.jobs.learn(self.clock.now + 900.0)
            results += self.jobs.check("m", self.clock.now) if check else []
        return results

    def told(self) -> list[tuple[str, str, str]]:
        assert self.service._parts.outbox.flush(5.0)
        alerts = self.service.get_alerts("m")["alerts"]
        return [(a["status"], a["data"].get("segment", ""), a["message"].partition("\n")[0]) for a in alerts]

    def samples(self, metric: c.Metric) -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels[name] for name in metric.labels if name in sample.labels): sample.value
            for family in self.service.registry.collect()
            for sample in family.samples
            if sample.name == metric.name
        }


@pytest.fixture
def start(make_service: Callable[..., ProductionMonitoringService], clock: Any, plain: Path) -> Callable[..., Shop]:
    return lambda **fields: Shop(make_service(), clock, plain, **fields)


def test_drift_of_a_small_segment_is_told_by_its_name_and_the_whole_is_not(start: Callable[..., Shop]) -> None:
    shop = start()
    shop.run(16 * 24, check=False)
    quiet = shop.run(2)
    assert quiet[-1].segments["web"]["data"].severity < Severity.WARNING, "it is another than the whole by nature"
    found = shop.run(3, still=1.5)[-1]
    assert found.families["data"].severity < Severity.WARNING
    assert found.segments["web"]["data"].severity >= Severity.WARNING
    assert found.segments["app"]["data"].severity < Severity.WARNING
    ((status, segment, message), *_) = shop.told()
    assert (status, segment) == ("firing", "web")
    assert message.startswith("m: inputs drifted in segment web (still) since ")
    severities = shop.samples(c.DRIFT_SEVERITY)
    assert severities["m", "", "data", "", "web"] >= Severity.WARNING
    assert severities["m", "", "data", "still", "web"] >= Severity.WARNING
    assert severities["m", "", "data", "", "app"] < Severity.WARNING
    assert ("m", "", "data", "load", "web") not in severities
    assert shop.samples(c.DRIFT_SCORE)["m", "", "data", "still", "1h", "web"] > 0.1
    assert shop.samples(c.DRIFTED_FEATURES) == {("m", ""): 0}, "of the whole"


def test_what_the_whole_model_is_told_to_have_is_not_told_of_each_segment(start: Callable[..., Shop]) -> None:
    shop = start()
    shop.run(16 * 24, check=False)
    found = shop.run(3, everywhere=1.0)[-1]
    assert found.segments["web"]["data"].severity >= Severity.WARNING
    assert {segment for _, segment, _ in shop.told()} == {""}


def test_a_segment_is_no_part_of_the_check_before_it_is_known(start: Callable[..., Shop]) -> None:
    shop = start()
    assert shop.run(3)[-1].segments == {}
    (first,) = shop.run(25, check=False) or shop.run(1)
    assert set(first.segments) == {"app", "web"}
    assert first.segments["web"]["data"].severity == Severity.NONE


def test_a_canary_beside_its_baseline_is_told_as_such(start: Callable[..., Shop]) -> None:
    shop = start(segments=(), drift={"compare": {"baseline_version": "7"}})
    for _ in range(30):
        shop.write("", 500, "7")
        shop.clock.advance(HOUR)
    for _ in range(3):
        shop.write("", 500, "7")
        shop.write("", 100, "8", still=1.5)
        shop.clock.advance(HOUR)
        results = shop.jobs.check("m", shop.clock.now)
    canary = {result.model_version: result for result in results}["8"]
    assert canary.segments["against version 7"]["data"].severity >= Severity.WARNING
    ((status, segment, message), *_) = shop.told()
    assert (status, segment) == ("firing", "against version 7")
    assert "drifted against version 7 (still)" in message
    assert shop.samples(c.DRIFT_SEVERITY)["m", "8", "data", "", "against version 7"] >= Severity.WARNING
