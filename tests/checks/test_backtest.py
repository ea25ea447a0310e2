"""A backtest says what the scheduled checks would have said, and its tolerances keep them silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwatch.checks.backtest import Backtest, backtest, with_tolerance
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.store.values import CountSeries

FAULTS: tuple[tuple[float, dict[str, float]], ...] = (
    (40.0, {}),
    (40.0, {"km": 1.6}),
    (120.0, {}),
    (40.0, {"unseen": 0.2}),
    (120.0, {}),
)


@pytest.fixture(scope="module")
def config() -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate(
        {"model_id": "flights", "drift_detection_interval": "4s", "drift": {"windows": ["10s", "30s"]}}
    )


def series_of(stream: Any) -> CountSeries:
    return stream.interval_counts("flights", stream.profile.id, -np.inf, np.inf, "v1", size=stream.profile.layout.size)  # type: ignore[no-any-return]


def again(stream: Any, **changed: Any) -> Backtest:
    config = stream.config if not changed else with_tolerance(stream.config, changed)
    return backtest(
        stream.profile, config, series_of(stream), model_version="v1", first=stream.results[0].checked_at,
        until=stream.now,
    )  # fmt: skip


@pytest.fixture
def faulty(make_stream: Callable[..., Any], config: ModelMonitoringConfig) -> Any:
    stream = make_stream(config.model_dump(exclude_defaults=True))
    for seconds, faults in FAULTS:
        stream.run(seconds, 300, **faults)
    return stream


def lived(stream: Any) -> list[tuple[str, float, float | None, int, Severity]]:
    """Return the alarms of the results of scheduled checks."""
    found: list[tuple[str, float, float | None, int, Severity]] = []
    for kind in ("data", "prediction"):
        start, checks, worst = None, 0, Severity.NONE
        for result in stream.results:
            severity = result.families[kind].severity
            if severity >= Severity.WARNING:
                start = result.checked_at if start is None else start
                checks, worst = checks + 1, max(worst, severity)
            elif start is not None:
                found.append((kind, start, result.checked_at, checks, worst))
                start, checks, worst = None, 0, Severity.NONE
        if start is not None:
            found.append((kind, start, None, checks, worst))
    return sorted(found, key=lambda alarm: (alarm[1], alarm[0]))


def test_the_alarms_are_those_that_scheduled_checks_found(faulty: Any) -> None:
    found = again(faulty)
    expected = lived(faulty)
    assert len(expected) >= 2
    assert [(e.drift_type, e.start, e.end, e.checks, e.severity) for e in found.episodes] == expected
    assert (found.checks, found.model_version, found.profile) == (len(faulty.results), "v1", faulty.profile.label)


def test_an_alarm_says_which_features_in_which_window_and_how_they_moved(faulty: Any) -> None:
    first, second = (e for e in again(faulty).episodes if e.drift_type == "data")
    assert first.features[0] == "distance"
    assert "above the reference range" in first.words
    assert "tolerance 0.05" in first.words
    assert second.features == ("carrier",)
    assert "unseen values" in second.words
    assert {first.window, second.window} <= {"10s", "30s"}


def test_an_alarm_that_goes_on_has_no_end(make_stream: Callable[..., Any], config: ModelMonitoringConfig) -> None:
    stream = make_stream(config.model_dump(exclude_defaults=True))
    stream.run(40.0, 300)
    stream.run(40.0, 300, km=1.6)
    (episode,) = again(stream).episodes
    assert episode.end is None


def test_with_the_tolerances_that_it_suggests_nothing_alarms(faulty: Any) -> None:
    found = again(faulty)
    assert found.silent
    assert set(found.tolerance) == {"distance", "carrier"}
    assert again(faulty, **found.tolerance).episodes == ()


@pytest.mark.parametrize("feature", ["distance", "carrier"])
def test_with_a_little_less_it_alarms(faulty: Any, feature: str) -> None:
    found = again(faulty)
    less = again(faulty, **{**found.tolerance, feature: found.tolerance[feature] - 0.02})
    assert {name for episode in less.episodes for name in episode.features} == {feature}


def test_a_fixed_threshold_knows_no_tolerance(make_stream: Callable[..., Any]) -> None:
    drift = {
        "windows": ["10s", "30s"],
        "fixed_thresholds": {"psi": 0.02},
        "thresholds": {"warning": 0.4, "error": 0.5, "critical": 0.6},
    }
    stream = make_stream({"model_id": "flights", "drift_detection_interval": "4s", "drift": drift})
    stream.run(40.0, 300)
    stream.run(40.0, 300, km=1.15)
    found = again(stream)
    assert found.episodes
    assert {s.feature: s.tolerance for s in found.suggestions}["distance"] is None
    assert (found.silent, found.fixed) == (False, True)


def test_what_is_configured_stays_in_what_is_suggested(faulty: Any) -> None:
    assert again(faulty, delay=0.2).tolerance["delay"] == 0.2


def test_predictions_have_a_distance_and_no_tolerance(
    make_stream: Callable[..., Any], config: ModelMonitoringConfig
) -> None:
    stream = make_stream(config.model_dump(exclude_defaults=True))
    stream.run(40.0, 300)
    stream.run(40.0, 300, shift=0.3)
    found = again(stream)
    assert [e.drift_type for e in found.episodes] == ["prediction"]
    (suggestion,) = found.suggestions
    assert (suggestion.feature, suggestion.drift_type) == ("prediction", "prediction")
    assert suggestion.tolerance is not None
    assert (found.tolerance, found.silent) == ({}, True)


def test_the_timeline_has_a_row_for_what_alarmed_and_a_column_for_each_check(faulty: Any) -> None:
    found = again(faulty)
    firsts = (found.timeline.severity > 0).argmax(axis=1).tolist()
    assert firsts == sorted(firsts)
    assert found.timeline.severity.shape == (len(found.timeline.names), found.checks)
    counted = {s.feature: s.checks for s in found.suggestions}
    for name, row in zip(found.timeline.names, found.timeline.severity, strict=True):
        assert (row >= Severity.WARNING).sum() == counted[name]


def test_a_quiet_time_has_no_alarm_and_nothing_to_suggest(
    make_stream: Callable[..., Any], config: ModelMonitoringConfig
) -> None:
    stream = make_stream(config.model_dump(exclude_defaults=True))
    stream.run(200.0, 300)
    found = again(stream)
    assert (found.episodes, found.suggestions, found.tolerance, found.silent) == ((), (), {}, True)
    assert found.scored > 0
    assert found.rows == pytest.approx(200 * 300, rel=0.05)


def test_checks_that_could_score_nothing_are_counted_and_say_why(
    profile: ReferenceProfile, config: ModelMonitoringConfig
) -> None:
    cells = np.tile(profile.counts // 10_000, (8, 1)).astype(np.float64)
    starts = np.linspace(1000.0, 1017.5, 8)
    few = CountSeries(starts, np.full(8, 2.5), np.full(8, 2.0), cells, np.zeros((8, len(profile.layout.members))))
    found = backtest(profile, config, few)
    assert (found.checks > 0, found.scored) == (True, 0)
    assert found.reason


def test_of_no_rows_there_is_nothing_to_say(profile: ReferenceProfile, config: ModelMonitoringConfig) -> None:
    size = profile.layout.size
    found = backtest(
        profile, config, CountSeries(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, size)), np.zeros((0, 0)))
    )
    assert (found.checks, found.episodes, found.silent) == (0, (), True)


def test_the_same_counts_give_the_same_backtest(faulty: Any) -> None:
    one, two = again(faulty), again(faulty)
    assert one.episodes == two.episodes
    assert one.suggestions == two.suggestions
