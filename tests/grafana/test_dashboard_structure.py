"""What Grafana and reviewers of dashboards expect: the rules of dashboard-linter, and our own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_grafana.elements import Panel, Row, place

Json = dict[str, Any]
UNITS = {"none", "short", "s", "percentunit", "reqps", "cps"}
TEMPLATED = {"type": "prometheus", "uid": "${datasource}"}


def cells(panel: Json) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    return set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child)


def test_ids_are_unique_and_no_two_panels_share_a_place(dashboard: Json) -> None:
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        own = cells(panel)
        assert not own & taken, f"{panel['title']!r} overlaps another panel"
        assert max(x for x, _ in own) < 24
        taken |= own


def test_titles_are_unique(dashboard: Json) -> None:
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(titles) == len(set(titles))


def test_every_panel_says_what_it_shows_and_why_it_may_be_empty(panels: list[Json]) -> None:
    for panel in panels:
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        empty = panel["fieldConfig"]["defaults"]["noValue"]
        assert empty
        assert "no data" not in empty.lower(), panel["title"]


def test_every_panel_has_queries_a_unit_and_the_datasource_that_the_reader_chose(panels: list[Json]) -> None:
    for panel in panels:
        assert panel["targets"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["datasource"] == TEMPLATED
        assert all(target["datasource"] == TEMPLATED for target in panel["targets"])
        assert all(target["instant"] != target["range"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_legend_names_labels_that_its_query_keeps(panels: list[Json]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", target["expr"]))))
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= kept, f"{panel['title']}: {named - kept} is not kept by {target['expr']}"


def test_the_dashboard_is_found_by_a_stable_uid_and_cannot_be_edited_in_place(dashboard: Json) -> None:
    assert dashboard["uid"] == "modelwatch-model"
    assert dashboard["title"] == "modelwatch · model"
    assert dashboard["editable"] is False
    assert "modelwatch" in dashboard["tags"]
    assert dashboard["schemaVersion"] == 39
    assert "id" not in dashboard


def test_job_and_instance_can_be_chosen_as_the_linter_wants(variables: dict[str, Json]) -> None:
    assert variables["datasource"] | {"label": "Data Source", "query": "prometheus"} == variables["datasource"]
    for name in ("job", "instance"):
        variable = variables[name]
        assert (variable["label"], variable["allValue"], variable["multi"]) == (name.title(), ".+", True)
        assert variable["datasource"] == TEMPLATED


def test_every_query_variable_follows_the_time_range(variables: dict[str, Json]) -> None:
    queried = [v for v in variables.values() if v["type"] == "query"]
    assert {v["name"] for v in queried} == {
        "model_id", "model_version", "window", "drift_type", "profile", "feature", "job", "instance",
    }  # fmt: skip
    for variable in queried:
        assert variable["refresh"] == 2
        assert variable["query"] == variable["definition"]


def test_models_without_a_version_are_in_all_versions(variables: dict[str, Json]) -> None:
    assert re.fullmatch(variables["model_version"]["allValue"], "")


def test_every_variable_is_used_and_every_used_variable_exists(dashboard: Json, variables: dict[str, Json]) -> None:
    used = {
        name
        for text in strings([dashboard["panels"], dashboard["annotations"], list(variables.values())])
        for name in re.findall(r"\$\{?([a-z]\w+)", text)
    }
    assert used == set(variables)


def test_a_variable_is_never_asked_for_by_itself_through_others(variables: dict[str, Json]) -> None:
    needs = {
        name: {used for used in re.findall(r"\$(\w+)", variable["query"]) if used in variables}
        for name, variable in variables.items()
    }
    settled = {"datasource"}
    while open_ := {name for name in variables if name not in settled and needs[name] <= settled}:
        settled |= open_
    assert settled == set(variables), f"in a circle: {set(variables) - settled}"


def test_states_and_severities_have_words(panels: list[Json]) -> None:
    by_title = {panel["title"]: panel for panel in panels}
    state = by_title["State of the checks"]["fieldConfig"]["defaults"]["mappings"][0]["options"]
    words = dict(zip(c.DRIFT_STATES, (state[str(i)]["text"] for i in range(len(c.DRIFT_STATES))), strict=True))
    assert words["learning"] == "learning"
    assert words["insufficient_labels"] == "needs labels"
    assert words["no_reference"] == "no reference"
    severity = by_title["Severity"]["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {int(value): option["text"] for value, option in severity.items()} == {int(s): s.label for s in Severity}


@pytest.mark.parametrize(
    "title", ["Latency quantiles", "Error ratio", "Drift by feature, $window window", "Performance"]
)
def test_thresholds_are_dashed_red_lines(panels: list[Json], title: str) -> None:
    panel = next(panel for panel in panels if panel["title"] == title)
    limits = [o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]]
    threshold = [t["refId"] for t in panel["targets"] if "threshold" in t["expr"]]
    assert limits == threshold != []


def test_alerts_of_the_model_are_marked_on_every_panel(dashboard: Json) -> None:
    alerts = dashboard["annotations"]["list"][1]
    assert alerts["expr"] == 'ALERTS{alertstate="firing",model_id="$model_id"}'
    assert alerts["enable"] is True


def test_a_panel_that_does_not_fit_starts_a_new_line() -> None:
    wide, small = (Panel("stat", "t", "d", (), "none", width=w, height=h) for w, h in ((16, 4), (8, 6)))
    placed = place([Row("one", (wide, small, wide)), Row("two", (small,))])
    assert [(p["id"], p["gridPos"]["x"], p["gridPos"]["y"]) for p in placed] == [
        (100, 0, 0), (101, 0, 1), (102, 16, 1), (103, 0, 7), (200, 0, 11), (201, 0, 12),
    ]  # fmt: skip
