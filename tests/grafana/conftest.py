"""The generated dashboards, their panels and queries, and Grafana's substitution of variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from modelwatch_grafana import DASHBOARDS

Json = dict[str, Any]
GRAFANA = Path(__file__).parents[2] / "grafana"


@pytest.fixture(scope="session")
def grafana_folder() -> Path:
    return GRAFANA


@pytest.fixture(params=list(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> Json:
    """Return each dashboard in turn; tests about one of them name its file."""
    return DASHBOARDS[request.param]()


@pytest.fixture
def panels(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture
def expressions(panels: list[Json]) -> list[tuple[str, str]]:
    """Return ``(panel and query, expression)`` for every query of every panel."""
    return [(f"{p['title']} / {t['refId']}", t["expr"]) for p in panels for t in p["targets"]]


@pytest.fixture
def variables(dashboard: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def _fill(expr: str, values: Mapping[str, str]) -> str:
    # "$1" is a part of a pattern, in Grafana too.
    return re.sub(r"\$([a-z_]\w*)", lambda match: values[match.group(1)], expr)


@pytest.fixture(scope="session")
def fill() -> Callable[[str, Mapping[str, str]], str]:
    """Return what puts values for ``$name``; a variable without a value is a KeyError."""
    return _fill


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a PromQL expression and all that it is made of."""
    yield node
    children: list[Any] = []
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        children.append(getattr(node, name, None))
    if isinstance(node, promql_parser.Call):
        children += node.args
    for child in children:
        if isinstance(child, promql_parser.Expr):
            yield from _nodes(child)


@pytest.fixture(scope="session")
def nodes() -> Callable[[Any], list[Any]]:
    return lambda expr: list(_nodes(expr))
