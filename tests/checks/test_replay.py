"""What is replayed is what was checked: the same severities from the same counts, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.checks.common import Subject, family_of
from modelwatch.checks.replay import replay, together_of
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.natural import Natural
from modelwatch.profile.strata import Strata
from modelwatch.records import CheckResult, FamilyResult

DEMO = {"model_id": "m", "drift_detection_interval": "4s", "drift": {"windows": ["10s", "30s"]}}


def learnt(profile: ReferenceProfile) -> ReferenceProfile:
    """The same reference with strata and natural variation: hours differ in the mix of carriers."""
    rng = np.random.default_rng(3)
    counts = rng.multinomial(1, np.full(48, 1 / 48), size=profile.counts.shape) * 0
    share = rng.dirichlet(np.full(48, 30.0))
    counts = np.stack([rng.binomial(profile.counts, part) for part in share])
    v = np.full((len(profile.layout.members), 3), 4e-4)
    natural = {label: Natural(v * scale, np.ones_like(v)) for label, scale in (("1h", 1.0), ("24h", 0.5))}
    return replace(
        profile, strata=Strata("48", "UTC", counts), natural=natural, natural_days=28, calibrated=True
    )  # fmt: skip


def without_means(family: FamilyResult) -> FamilyResult:
    """Means are told of sums of floats, which differ in their last bits with the order they are added up in."""
    shifts = tuple(replace(s, shift_sd=None if s.shift_sd is None else round(s.shift_sd, 6)) for s in family.shifts)
    return replace(family, shifts=shifts)


def replayed(
    stream: Any, profile: ReferenceProfile, *, first: float | None = None, until: float | None = None
) -> list[dict[str, FamilyResult]]:
    config = stream.config
    starts = np.array([at for at, _ in stream._batches])
    rows = [(chunk.times, chunk.columns) for chunk in stream._rows]
    found = replay(
        profile,
        config,
        starts,
        [batch.rows for _, batch in stream._batches],
        np.stack([batch.cells for _, batch in stream._batches]),
        np.stack([batch.sums for _, batch in stream._batches]),
        first=first,
        until=until,
        together=together_of(profile, config, starts, rows, first=first, until=until),
    )
    out = []
    for step in found:
        subject = Subject(config, "v1", profile, step.now, 0.0)
        families = {name: family_of(subject, *pair) for name, pair in step.families.items()}
        out.append(families | ({} if step.multivariate is None else {"multivariate": step.multivariate}))
    return out


def assert_nearly(family: FamilyResult, expected: FamilyResult) -> None:
    """Correlations from sums differ in their last bits from those of rows."""
    assert (family.state, family.severity, family.reason) == (expected.state, expected.severity, expected.reason)
    assert len(family.tests) == len(expected.tests)
    for test, other in zip(family.tests, expected.tests, strict=True):
        assert (test.window, test.n, test.severity) == (other.window, other.n, other.severity)
        assert test.score == pytest.approx(other.score, abs=1e-9)
        assert test.p_value == pytest.approx(other.p_value, rel=1e-6)
    pairs = [[(pair.first, pair.second, round(pair.now, 9)) for pair in found.pairs] for found in (family, expected)]
    assert pairs[0] == pairs[1]


def assert_same(results: list[CheckResult], again: list[dict[str, FamilyResult]]) -> None:
    assert len(results) == len(again)
    for result, families in zip(results, again, strict=True):
        for name, family in families.items():
            expected = result.families[name]
            if name == "data" and expected.severity != family.severity:  # data alone are kept at error by the check
                assert (expected.severity, family.severity) == (Severity.ERROR, Severity.CRITICAL)
                expected = replace(expected, severity=family.severity)
            if name == "multivariate":
                assert_nearly(family, expected)
            else:
                assert without_means(family) == without_means(expected)


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_stream_with_faults_and_cures_replays_to_the_same_results(
    profile: ReferenceProfile, make_stream: Callable[..., Any], calibrated: bool
) -> None:
    stream = make_stream(DEMO)
    stream.profile = learnt(profile) if calibrated else profile
    for seconds, rate, faults in (
        (40.0, 300, {}), (32.0, 300, {"km": 1.6, "unseen": 0.18}), (60.0, 300, {}), (20.0, 0, {}),
        (40.0, 300, {"shift": 0.2}), (90.0, 300, {}), (24.0, 300, {"unseen": 0.5}), (200.0, 300, {}),
    ):  # fmt: skip
        stream.run(seconds, rate, **faults)
    severities = [result.families["data"].severity for result in stream.results]
    assert max(severities) >= Severity.ERROR
    assert severities[-1] < Severity.WARNING
    again = replayed(stream, stream.profile, first=stream.results[0].checked_at, until=stream.now)
    assert_same(stream.results, again)


def test_hourly_checks_of_a_calibrated_model_replay_to_the_same_results(
    profile: ReferenceProfile, make_stream: Callable[..., Any]
) -> None:
    stream = make_stream({"model_id": "m", "drift_detection_interval": "60m"})
    stream.profile = learnt(profile)
    stream.run(30 * 3600.0, 0.1)
    stream.run(12 * 3600.0, 0.1, km=1.6)
    stream.run(40 * 3600.0, 0.1)
    assert max(result.families["data"].severity for result in stream.results) >= Severity.WARNING
    assert_same(stream.results, replayed(stream, stream.profile))


def test_checks_are_made_from_the_first_to_the_last_that_was_asked_for(
    profile: ReferenceProfile, config: ModelMonitoringConfig
) -> None:
    starts = 1000.0 + 2.5 * np.arange(40)
    cells = np.tile(profile.counts // 20, (40, 1))
    rows = np.full(40, profile.rows // 20)
    assert [step.now for step in replay(profile, config, starts, rows, cells)] == [1004.0 + 4 * i for i in range(25)]
    chosen = replay(profile, config, starts, rows, cells, first=1050.0, until=1060.0)
    assert [step.now for step in chosen] == [1050.0, 1054.0, 1058.0]
    assert list(replay(profile, config, [], [], np.zeros((0, profile.layout.size)))) == []


def test_a_model_with_few_rows_is_scored_on_the_last_month(profile: ReferenceProfile) -> None:
    config = ModelMonitoringConfig.model_validate({"model_id": "m", "drift_detection_interval": "24h"})
    rng = np.random.default_rng(5)
    starts = 1.79e9 + 4 * 3600.0 * np.arange(6 * 40)  # 42 rows a week
    cells = np.zeros((len(starts), profile.layout.size), dtype=np.int64)
    for member, first in zip(profile.layout.members, profile.layout.offsets, strict=True):
        share = profile.counts_of(member.name) / profile.rows
        cells[:, first : first + member.size] = rng.multinomial(1, share, size=len(starts))
    steps = list(replay(learnt(profile), config, starts, np.ones(len(starts)), cells))
    [early, late] = [steps[5].families["data"][0], steps[-1].families["data"][0]]
    assert early.table is None
    assert late.table is not None
    [window] = late.table.windows
    assert (window.window, window.rows) == ("168h", 180.0)
