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
UNITS = {"none", "short", "s", "percentunit", "reqps", "cps", "bytes"}
MODEL, FLEET, MONITORING = "modelwatch-model.json", "modelwatch-fleet.json", "modelwatch-monitoring.json"
of_model = pytest.mark.parametrize("dashboard", [MODEL], indirect=True)
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


@pytest.mark.parametrize(
    ("dashboard", "uid", "title"),
    [
        (MODEL, "modelwatch-model", "modelwatch · model"),
        (FLEET, "modelwatch-fleet", "modelwatch · fleet"),
        (MONITORING, "modelwatch-monitoring", "modelwatch · monitoring of the monitoring"),
    ],
    indirect=["dashboard"],
)
def test_a_dashboard_is_found_by_a_stable_uid_and_cannot_be_edited_in_place(
    dashboard: Json, uid: str, title: str
) -> None:
    assert (dashboard["uid"], dashboard["title"]) == (uid, title)
    assert len(uid) <= 40, "Grafana takes no longer ones"
    assert dashboard["editable"] is False
    assert dashboard["schemaVersion"] == 39
    assert "id" not in dashboard


def test_the_dashboards_lead_to_each_other_and_to_the_documentation(dashboard: Json) -> None:
    others, documentation = dashboard["links"]
    assert (others["type"], others["asDropdown"], others["keepTime"]) == ("dashboards", True, True)
    assert set(others["tags"]) <= set(dashboard["tags"])
    assert documentation["url"].startswith("https://")


@pytest.mark.parametrize("dashboard", [FLEET, MONITORING], indirect=True)
def test_the_name_of_a_model_leads_to_its_dashboard(panels: list[Json]) -> None:
    for panel in (panel for panel in panels if panel["type"] == "table"):
        overrides = {o["matcher"]["options"]: o["properties"] for o in panel["fieldConfig"]["overrides"]}
        (links,) = [p["value"] for p in overrides["model_id"] if p["id"] == "links"]
        url = links[0]["url"]
        assert url.startswith("/d/modelwatch-model?"), panel["title"]
        assert "&var-model_id=${__value.raw:percentencode}" in url
        if "version" in overrides:
            # A hidden column: the shown one has a dash where there is no version.
            assert "&var-model_version=${__data.fields.version_choice:percentencode}" in url
            assert {"id": "custom.hidden", "value": True} in overrides["version_choice"]


def test_no_cell_of_a_table_says_why_a_whole_panel_may_be_empty(panels: list[Json]) -> None:
    for panel in (panel for panel in panels if panel["type"] == "table"):
        for override in panel["fieldConfig"]["overrides"]:
            assert {"id": "noValue", "value": "–"} in override["properties"], panel["title"]


def test_a_table_shows_every_column_that_it_sorts_by_or_asks_for(panels: list[Json]) -> None:
    for panel in (panel for panel in panels if panel["type"] == "table"):
        by_id = {step["id"]: step["options"] for step in panel["transformations"]}
        renamed = by_id["organize"]["renameByName"]
        letters = [f"Value #{target['refId']}" for target in panel["targets"]]
        assert list(renamed) == [*letters, "Value"], panel["title"]
        assert renamed["Value"] == renamed["Value #A"], "a lone answer is that of the first query"
        assert by_id["sortBy"]["sort"][0]["field"] in renamed.values()
        assert set(renamed) <= set(by_id["filterFieldsByName"]["include"]["names"])


def test_job_and_instance_can_be_chosen_as_the_linter_wants(variables: dict[str, Json]) -> None:
    assert variables["datasource"] | {"label": "Data Source", "query": "prometheus"} == variables["datasource"]
    for name in ("job", "instance"):
        variable = variables[name]
        assert (variable["label"], variable["allValue"], variable["multi"]) == (name.title(), ".+", True)
        assert variable["datasource"] == TEMPLATED


def test_every_query_variable_follows_the_time_range(variables: dict[str, Json]) -> None:
    queried = [v for v in variables.values() if v["type"] == "query"]
    assert len(queried) == len(variables) - 1
    for variable in queried:
        assert variable["refresh"] == 2
        assert variable["query"] == variable["definition"]


@of_model
def test_what_a_reader_of_a_model_can_choose(variables: dict[str, Json]) -> None:
    """Links in alerts name ``model_id`` and ``model_version``."""
    assert list(variables) == [
        "datasource", "model_id", "model_version", "segment", "window", "drift_type", "profile", "feature", "job",
        "instance",
    ]  # fmt: skip


@of_model
@pytest.mark.parametrize("name", ["model_version", "segment"])
def test_a_model_without_versions_or_segments_is_in_all_of_them(variables: dict[str, Json], name: str) -> None:
    assert re.fullmatch(variables[name]["allValue"], "")


@pytest.mark.parametrize("dashboard", [FLEET, MONITORING], indirect=True)
def test_what_belongs_to_no_model_belongs_to_all(variables: dict[str, Json]) -> None:
    assert re.fullmatch(variables["model_id"]["allValue"], "")


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


@of_model
def test_states_and_severities_have_words(panels: list[Json]) -> None:
    by_title = {panel["title"]: panel for panel in panels}
    state = by_title["State of the checks"]["fieldConfig"]["defaults"]["mappings"][0]["options"]
    words = dict(zip(c.DRIFT_STATES, (state[str(i)]["text"] for i in range(len(c.DRIFT_STATES))), strict=True))
    assert words["learning"] == "learning"
    assert words["insufficient_labels"] == "needs labels"
    assert words["no_reference"] == "no reference"
    severity = by_title["Severity"]["fieldConfig"]["defaults"]["mappings"][0]["options"]
    words_of = {int(value): option["text"] for value, option in severity.items()}
    assert words_of == {int(s): s.label for s in Severity} | {-1: "not checked yet"}


@of_model
@pytest.mark.parametrize(
    "title", ["Latency quantiles", "Error ratio", "Drift by feature, $window window", "Performance"]
)
def test_thresholds_are_dashed_red_lines(panels: list[Json], title: str) -> None:
    panel = next(panel for panel in panels if panel["title"] == title)
    limits = [o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]]
    threshold = [t["refId"] for t in panel["targets"] if "threshold" in t["expr"]]
    assert limits == threshold != []


@of_model
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
