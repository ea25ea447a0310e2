"""The parts of a classic Grafana dashboard, typed, and their places on its grid of 24 columns.

The JSON is what Grafana 10 to 13 read (schemaVersion 39). Plain dicts, because a dashboard has to be the same text on
every machine and the published builders come with a version of Grafana each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["DATASOURCE", "Column", "Json", "Label", "Panel", "Query", "Row", "Step", "place", "value_mapping"]

Json = dict[str, Any]
Format = Literal["time_series", "table", "heatmap"]

GRID_COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """
    One PromQL query of a panel.

    Attributes
    ----------
    expr
        PromQL with dashboard variables.
    legend
        How a series is called; ``{{label}}`` stands for a label's value.
    instant
        Whether only the newest values are asked for, not those over the time range.
    limit
        Whether it is a tolerance or threshold, drawn as a dashed red line.
    format
        ``heatmap`` makes Grafana turn cumulative buckets into counts per bucket, in ascending order of ``le``.
    """

    expr: str
    legend: str
    instant: bool = False
    limit: bool = False
    format: Format = "time_series"

    def to_json(self, ref_id: str) -> Json:
        """Return the target; its datasource is the one that the dashboard's variable names."""
        return {
            "refId": ref_id,
            "datasource": dict(DATASOURCE),
            "editorMode": "code",
            "expr": self.expr,
            "format": self.format,
            "instant": self.instant,
            "legendFormat": self.legend,
            "range": not self.instant,
        }


@dataclass(frozen=True)
class Step:
    """A colour from a value on; the first step of a list has no value."""

    value: float | None
    color: str

    def to_json(self) -> Json:
        """Return the threshold step."""
        return {"color": self.color, "value": self.value}


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, the query it comes from, unit, and more properties of its cells."""

    name: str
    query: Query
    unit: str = "none"
    properties: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class Label:
    """One column of a table that shows a label: the label, what the column is called, and properties of its cells."""

    name: str
    title: str
    properties: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class Panel:
    """
    A panel without its place; :func:`place` gives it one, and its id.

    Attributes
    ----------
    kind
        Grafana's name of the visualization.
    title, description
        The description says what is shown and what to do about it.
    no_value
        What to show instead of "No data": a reason, in words.
    width, height
        In grid units; a row has 24 columns.
    """

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    no_value: str
    unit: str = "none"
    width: int = 12
    height: int = 8
    options: Mapping[str, object] = field(default_factory=dict)
    custom: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    mappings: tuple[Mapping[str, object], ...] = ()
    steps: tuple[Step, ...] = (Step(None, "green"),)
    overrides: tuple[Mapping[str, object], ...] = ()
    transformations: tuple[Mapping[str, object], ...] = ()

    def to_json(self, panel_id: int, x: int, y: int) -> Json:
        """Return the panel with its id, its upper left corner at column `x` and line `y`."""
        return {
            "id": panel_id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": dict(DATASOURCE),
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [query.to_json(chr(ord("A") + i)) for i, query in enumerate(self.queries)],
            "transformations": [dict(step) for step in self.transformations],
            "fieldConfig": {"defaults": self._field_defaults(), "overrides": [dict(o) for o in self.overrides]},
            "options": dict(self.options),
        }

    def _field_defaults(self) -> Json:
        return {
            "color": {"mode": "palette-classic"},
            "unit": self.unit,
            "noValue": self.no_value,
            "mappings": [dict(mapping) for mapping in self.mappings],
            "thresholds": {"mode": "absolute", "steps": [step.to_json() for step in self.steps]},
            **self.defaults,
            **({"custom": dict(self.custom)} if self.custom else {}),
        }


@dataclass(frozen=True)
class Row:
    """A title with panels under it."""

    title: str
    panels: tuple[Panel, ...]


def value_mapping(names: Mapping[int, tuple[str, str]]) -> Json:
    """
    Return a mapping of numbers to words and colours.

    >>> value_mapping({0: ("none", "green")})["options"]
    {'0': {'color': 'green', 'index': 0, 'text': 'none'}}
    """
    options = {
        str(value): {"color": color, "index": i, "text": text} for i, (value, (text, color)) in enumerate(names.items())
    }
    return {"type": "value", "options": options}


def place(rows: Sequence[Row]) -> list[Json]:
    """
    Return all rows and panels with their places and ids.

    Panels flow from left to right and start a new line where the 24 columns are full. Ids are 100 for the first row,
    101 for its first panel, 200 for the second row: a new panel at a row's end changes no other id.

    >>> panel = Panel("stat", "t", "d", (), "none", width=16)
    >>> [(p["id"], p["gridPos"]["x"], p["gridPos"]["y"]) for p in place([Row("r", (panel, panel))])]
    [(100, 0, 0), (101, 0, 1), (102, 0, 9)]
    """
    placed: list[Json] = []
    y = 0
    for number, row in enumerate(rows, start=1):
        placed.append(_row_json(row, number * 100, y))
        x, y, line_height = 0, y + 1, 0
        for i, panel in enumerate(row.panels, start=1):
            if x + panel.width > GRID_COLUMNS:
                x, y, line_height = 0, y + line_height, 0
            placed.append(panel.to_json(number * 100 + i, x, y))
            x, line_height = x + panel.width, max(line_height, panel.height)
        y += line_height
    return placed


def _row_json(row: Row, row_id: int, y: int) -> Json:
    return {
        "id": row_id,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": y},
        "panels": [],
    }
