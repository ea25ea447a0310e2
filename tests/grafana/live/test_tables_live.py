"""Lines of tables come together as Grafana joins them, whatever labels a model has, and say what is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelwatch import conventions as c
from modelwatch.policy import Severity

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]
Lines = dict[str, dict[str, Any]]

pytestmark = pytest.mark.e2e

DEADLINE = 30.0
SEVERITY = {severity.label: severity for severity in Severity}
of_fleet = pytest.mark.parametrize("dashboard", ["modelwatch-fleet.json"], indirect=True)
of_monitoring = pytest.mark.parametrize("dashboard", ["modelwatch-monitoring.json"], indirect=True)


@pytest.fixture
def ask(world: Any, dashboard: Json, fill: Any) -> Callable[[str], list[list[Json]]]:
    """Return what asks a panel's queries, about all models."""

    def answers(title: str, **chosen: str) -> list[list[Json]]:
        (panel,) = [p for p in dashboard["panels"] if p["title"] == title and p["type"] != "row"]
        values = world.everything | {"model_id": ".*"} | chosen
        return [world.prometheus.query(fill(target["expr"], values)) for target in panel["targets"]]

    return answers


@pytest.fixture
def lines(dashboard: Json, ask: Any) -> Callable[..., Lines]:
    """Return what joins the answers of a table's queries: by row, its labels and its numbers."""

    def joined(title: str, **chosen: str) -> Lines:
        (panel,) = [p for p in dashboard["panels"] if p["title"] == title]
        key = panel["transformations"][0]["options"]["byField"]
        first, *others = ask(title, **chosen)
        out: Lines = {}
        for series in first:
            assert series["metric"][key] not in out, "two lines of one name"
            out[series["metric"][key]] = dict(series["metric"]) | {"A": float(series["value"][1])}
        for letter, found in zip("BCDEFGH", others, strict=False):
            for series in found:
                assert set(series["metric"]) == {key}, "a second column of a label would get another name"
                out[series["metric"][key]][letter] = float(series["value"][1])
        return out

    return joined


def alert_of(labels: dict[str, Any]) -> tuple[str, ...]:
    return labels["alertname"], labels.get("model_id", ""), labels.get("metric", "")


def about(lines: Lines, model_id: str) -> dict[str, Any]:
    """Return the line of a model; an empty one if it has none yet."""
    found = [line for line in lines.values() if line["model_id"] == model_id]
    assert len(found) < 2
    return found[0] if found else {}


@pytest.mark.parametrize("dashboard", ["modelwatch-fleet.json", "modelwatch-monitoring.json"], indirect=True)
def test_no_column_of_any_table_has_a_line_that_the_first_one_has_not(
    dashboard: Json, lines: Any, wait_until: Wait
) -> None:
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "table"]
    assert titles

    def fits(title: str) -> bool:
        try:
            return bool(lines(title))
        except KeyError:  # asked one after the other: a column may be of a scrape later than the first one's
            return False

    for title in titles:
        wait_until(lambda title=title: fits(title), DEADLINE)  # type: ignore[misc]


@of_fleet
def test_every_model_has_one_line_with_or_without_a_version(world: Any, lines: Any, wait_until: Wait) -> None:
    title = "Models, worst first"
    wait_until(lambda: about(lines(title), world.scored).keys() >= set("ABCDEFGH"), DEADLINE)
    wait_until(lambda: about(lines(title), world.labelled).keys() >= set("ABCDEFGH"), DEADLINE)
    models = {world.scored, world.labelled, world.learning, world.unchecked}
    wait_until(lambda: {line["model_id"] for line in lines(title).values()} == models, DEADLINE)
    found = lines(title)
    assert about(found, world.labelled)["version"] == world.version
    assert about(found, world.labelled)["version_choice"] == world.version
    assert about(found, world.scored)["version"] == "–"
    assert about(found, world.scored)["version_choice"] == "All"


@of_fleet
def test_the_worst_model_is_worse_than_one_that_no_check_has_looked_at(
    world: Any, lines: Any, wait_until: Wait
) -> None:
    title = "Models, worst first"
    found: Lines = {}

    def drifts() -> bool:
        found.clear()
        try:
            found.update(lines(title))
        except KeyError:  # as above
            return False
        scored = about(found, world.scored)
        return scored.get("A", 0) >= 2 and scored.keys() >= {"B", "F"}

    wait_until(drifts, DEADLINE)
    assert about(found, world.unchecked)["A"] == -1
    assert "B" not in about(found, world.unchecked), "it has no state"
    assert c.DRIFT_STATES[int(about(found, world.scored)["B"])] == "drift"
    assert about(found, world.scored)["F"] == pytest.approx(0.1, abs=0.03)


@of_fleet
def test_models_that_cannot_be_scored_say_why_and_how_far_they_have_come(
    world: Any, lines: Any, wait_until: Wait
) -> None:
    title = "Models that are learning, or can't be scored"
    wait_until(lambda: about(lines(title), world.learning).get("A") == c.DRIFT_STATES.index("learning"), DEADLINE)
    found = lines(title)
    assert 0.0 <= about(found, world.learning)["B"] < 1.0
    assert about(found, world.unchecked)["A"] == -1
    assert {line["model_id"] for line in found.values()} == {world.learning, world.unchecked}


@of_fleet
def test_an_alert_that_fires_at_several_severities_is_one_line_at_the_worst(
    world: Any, lines: Any, ask: Any, wait_until: Wait
) -> None:
    title = "Firing alerts, worst first"

    firing = 'ALERTS{alertstate="firing",model_id!=""}'

    def told() -> dict[tuple[str, ...], float]:
        return {alert_of(line): line["A"] for line in lines(title).values()}

    def fires() -> dict[tuple[str, ...], set[float]]:
        found: dict[tuple[str, ...], set[float]] = {}
        for series in world.prometheus.query(firing):
            found.setdefault(alert_of(series["metric"]), set()).add(float(SEVERITY[series["metric"]["severity"]]))
        return found

    wait_until(lambda: any(len(severities) > 1 for severities in fires().values()), DEADLINE)
    wait_until(lambda: told() == {alert: max(severities) for alert, severities in fires().items()}, DEADLINE)
    assert not [line for line in lines(title).values() if line["alertname"] == c.ALERT_WATCHDOG]
    ((counted,),) = ask("Alerts firing")
    assert int(counted["value"][1]) >= 1


@of_fleet
def test_no_alert_fires_and_no_rules_are_loaded_are_told_apart(ask: Any, wait_until: Wait) -> None:
    """Nothing fires of a model that does not exist, which is a 0 only because the dead man's switch fires."""
    wait_until(lambda: ask("Alerts firing", model_id="nobody")[0], DEADLINE)
    assert ask("Alerts firing", model_id="nobody")[0][0]["value"][1] == "0"


@of_fleet
def test_the_inputs_furthest_beyond_their_tolerance_are_those_that_were_spoilt(
    world: Any, lines: Any, wait_until: Wait
) -> None:
    title = "Inputs at warning or worse, furthest beyond their tolerance first"

    def drifted() -> set[tuple[str, str]]:
        return {
            (line["model_id"], line["feature"])
            for line in lines(title).values()
            if line["A"] >= 2 and line.get("B", 0) > 1
        }

    expected = {(model, feature) for model in (world.scored, world.labelled) for feature in world.features}
    wait_until(lambda: drifted() >= expected, DEADLINE)


@of_monitoring
def test_only_the_model_that_no_check_has_looked_at_is_unchecked(
    world: Any, lines: Any, ask: Any, wait_until: Wait
) -> None:
    title = "Versions that no check has looked at"
    wait_until(lambda: {line["model_id"] for line in lines(title).values()} == {world.unchecked}, DEADLINE)
    assert ask("Versions never checked")[0][0]["value"][1] == "1"


@of_monitoring
def test_a_model_with_a_habit_has_a_silence_that_is_normal(world: Any, lines: Any, wait_until: Wait) -> None:
    title = "Silence by model"
    wait_until(lambda: about(lines(title), world.scored).keys() >= set("ABC"), DEADLINE)
    found = lines(title)
    assert about(found, world.scored)["B"] == 900
    assert "B" not in about(found, world.learning), "there is no habit yet"


@of_monitoring
def test_all_targets_are_known_and_up_and_nothing_is_exposed_twice(ask: Any, wait_until: Wait) -> None:
    def tile(title: str) -> list[str]:
        return [series["value"][1] for answer in ask(title) for series in answer]

    wait_until(lambda: tile("Targets") == ["2", "0"], DEADLINE)
    assert tile("Storages exposed twice") == ["0"]
    assert tile("Configuration") == ["1"]
    assert tile("Releases") == ["2"]
    wait_until(lambda: tile("Rules") == ["1"], DEADLINE)
