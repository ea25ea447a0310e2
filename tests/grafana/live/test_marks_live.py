"""Marks on panels: alerts that fire, and versions that appear, on a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]

pytestmark = pytest.mark.e2e

MINUTE = 60
STEP = 30


@pytest.mark.parametrize("dashboard", ["modelwatch-model.json", "modelwatch-fleet.json"], indirect=True)
def test_alerts_that_fire_are_marked(world: Any, dashboard: Json, fill: Any, wait_until: Wait) -> None:
    (mark,) = [mark for mark in dashboard["annotations"]["list"] if mark["name"] == "Alerts"]
    expr = fill(mark["expr"], world.everything | {"model_id": "late[.]flights.*|late.flights (eu+us)"})
    if "model_id=~" not in mark["expr"]:
        expr = fill(mark["expr"], world.everything | {"model_id": world.scored})
    wait_until(lambda: world.prometheus.query(expr), 30.0)


@pytest.mark.parametrize("dashboard", ["modelwatch-model.json"], indirect=True)
def test_a_version_is_marked_where_it_appears_and_nowhere_else(world: Any, dashboard: Json, fill: Any) -> None:
    """
    Yesterday, by the minute: v1; v2 beside it from 60; a break until 140; v3 after a break from 200; v1 again from 222.

    At 280 the version before is back after a break of three quarters of an hour, in which v1 was the last one.
    """
    (mark,) = [mark for mark in dashboard["annotations"]["list"] if mark["name"] == "Versions"]
    expr = fill(mark["expr"], world.everything | {"model_id": world.deployed})
    end = world.past + 300 * MINUTE
    found = world.prometheus.query_range(expr, world.past, end, STEP)
    begins = []
    for series in found:
        times = [(at - world.past) / MINUTE for at, _ in series["values"]]
        version = series["metric"]["model_version"]
        begins += [
            (at, version) for before, at in zip([-1.0, *times], times, strict=False) if at - before > STEP / MINUTE
        ]
        assert len(times) <= 2 * 6 * sum(v == version for _, v in begins), "a mark is no longer than five minutes or so"
    assert sorted(begins) == [(60, "v2"), (200, "v3"), (222, "v1"), (280, "v2")]


@pytest.mark.parametrize("dashboard", ["modelwatch-model.json"], indirect=True)
def test_a_model_that_keeps_its_version_has_no_mark(world: Any, dashboard: Json, fill: Any) -> None:
    (mark,) = [mark for mark in dashboard["annotations"]["list"] if mark["name"] == "Versions"]
    assert world.prometheus.query(fill(mark["expr"], world.everything | {"model_id": world.labelled})) == []
