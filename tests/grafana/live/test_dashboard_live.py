"""Every query of the dashboards finds something on a real Prometheus that scrapes a service with drift in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]

pytestmark = pytest.mark.e2e

DEADLINE = 60.0
MODEL = "modelwatch-model.json"
of_one_model = pytest.mark.parametrize("dashboard", [MODEL], indirect=True)
of_many_models = pytest.mark.parametrize(
    "dashboard", ["modelwatch-fleet.json", "modelwatch-monitoring.json"], indirect=True
)


@pytest.fixture
def choices(world: Any, variables: dict[str, Json], fill: Any, wait_until: Wait) -> list[dict[str, str]]:
    """Return what a reader may have chosen: all, or each model with a numeric and a categorical feature."""
    if "profile" not in variables:
        return [world.everything | {"model_id": ".*"}]
    found = []
    for model_id in (world.scored, world.labelled):
        chosen = world.everything | {"model_id": model_id}
        asked = fill(variables["profile"]["query"], chosen)
        wait_until(lambda asked=asked: world.prometheus.values(asked), 30.0)  # type: ignore[misc]
        (profile,) = world.prometheus.values(asked)
        found += [chosen | {"profile": profile, "feature": feature} for feature in world.features]
    return found


def test_every_query_of_every_panel_returns_data(
    world: Any, choices: list[dict[str, str]], expressions: list[tuple[str, str]], fill: Any, wait_until: Wait
) -> None:
    # Pairs of inputs are exposed only while they do not go together: tests/e2e/test_every_alert.py provokes that.
    empty = {where: expr for where, expr in expressions if not where.startswith("Pairs of features")}

    def answered(expr: str) -> bool:
        return any(world.prometheus.query(fill(expr, chosen)) for chosen in choices)

    def all_answered() -> bool:
        for where in [where for where, expr in empty.items() if answered(expr)]:
            del empty[where]
        return not empty

    try:
        wait_until(all_answered, DEADLINE)
    except AssertionError:
        pytest.fail(f"without data after {DEADLINE:.0f} s: {json.dumps(empty, indent=1)}")


@of_one_model
def test_every_variable_of_a_model_offers_what_there_is(
    world: Any, choices: list[dict[str, str]], variables: dict[str, Json], fill: Any, wait_until: Wait
) -> None:
    def offered(name: str) -> list[str]:
        found: list[str] = world.prometheus.values(fill(variables[name]["query"], choices[0]))
        return found

    assert {world.scored, world.labelled, world.learning, world.unchecked} <= set(offered("model_id"))
    assert offered("job") == ["models", "sidecar"]
    wait_until(lambda: offered("window") == ["16s", choices[0]["window"]], DEADLINE)
    wait_until(lambda: offered("drift_type") == ["data", "multivariate", "prediction"], DEADLINE)
    # Nothing is recorded by segment yet; the whole has an empty name, which Grafana leaves out, as the prediction has.
    assert offered("segment") == [""]
    assert [name for name in offered("feature") if name] == ["carrier", "distance", "hour"]


@of_many_models
def test_every_variable_of_many_models_offers_what_there_is(
    world: Any, choices: list[dict[str, str]], variables: dict[str, Json], fill: Any
) -> None:
    def offered(name: str) -> list[str]:
        found: list[str] = world.prometheus.values(fill(variables[name]["query"], choices[0]))
        return found

    assert {world.scored, world.labelled, world.learning, world.unchecked} <= set(offered("model_id"))
    assert offered("job") == ["models", "sidecar"]
    assert len(offered("instance")) == 2


@of_one_model
def test_before_the_first_check_there_is_a_window_to_look_at(
    world: Any, choices: list[dict[str, str]], variables: dict[str, Json], fill: Any
) -> None:
    nobody = choices[0] | {"model_id": "not registered yet"}
    assert world.prometheus.values(fill(variables["window"]["query"], nobody)) == ["1h"]


@of_one_model
def test_the_bars_of_a_distribution_are_shares(
    world: Any, choices: list[dict[str, str]], panels: list[Json], fill: Any, wait_until: Wait
) -> None:
    def shares(title: str, chosen: Mapping[str, str]) -> dict[str, list[float]]:
        (panel,) = [panel for panel in panels if panel["title"] == title]
        answers = [world.prometheus.query(fill(target["expr"], chosen)) for target in panel["targets"]]
        return {
            sample: [float(series["value"][1]) for series in answer]
            for sample, answer in zip(("current", "reference"), answers, strict=True)
        }

    numeric, categorical = choices[0], choices[1]
    wait_until(lambda: all(shares("$feature, as a number", numeric).values()), DEADLINE)
    by_bin = shares("$feature, as a number", numeric)
    # Cumulative, so that the last bin's bound has all of it. increase() bends shares a little.
    assert max(by_bin["reference"]) == pytest.approx(1.0)
    assert max(by_bin["current"]) == pytest.approx(1.0, abs=0.02)
    assert len(by_bin["current"]) == len(by_bin["reference"]) >= 10
    by_category = shares("$feature, as a category", categorical)
    assert sum(by_category["reference"]) == pytest.approx(1.0)
    assert sum(by_category["current"]) == pytest.approx(1.0)


@of_one_model
def test_the_drifted_features_are_at_the_top(
    world: Any, choices: list[dict[str, str]], panels: list[Json], fill: Any, wait_until: Wait
) -> None:
    (table,) = [panel for panel in panels if panel["title"].startswith("Features now")]
    score = fill(table["targets"][1]["expr"], choices[0])

    def worst() -> set[str]:
        found = world.prometheus.query(f"topk(2, {score})")
        return {series["metric"]["feature"] for series in found}

    wait_until(lambda: worst() == {"distance", "carrier"}, DEADLINE)
