"""Tables: the answers of several instant queries, joined into lines."""

from __future__ import annotations

from collections.abc import Sequence

from modelwatch_grafana.elements import Column, Json, Label, Panel, Query

__all__ = ["cells", "table"]

EMPTY_CELL = "–"


def cells(expr: str) -> Query:
    """Return a query of the newest values, for one column."""
    return Query(expr, "", instant=True, format="table")


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    key: str,
    labels: Sequence[Label],
    sort: str,
    limit: int,
    no_value: str,
    width: int = 12,
    height: int = 10,
) -> Panel:
    """
    Return a table with one line for each value of a label and one column for each query.

    Parameters
    ----------
    columns
        Each with an instant query. All are aggregated to the label `key`, the first one also to `labels`, and no other
        has a line that the first one has not.
    key
        The label that lines are joined by; shown if it is among `labels`.
    labels
        The labels to show, to the left of the columns.
    sort
        Name of the column to sort by, descending.
    limit
        At most so many lines.
    """
    values = {f"Value #{chr(ord('A') + i)}": column.name for i, column in enumerate(columns)}
    # Grafana leaves the letter off where only one query has an answer, which then is the first one's.
    values |= {"Value": columns[0].name}
    shown = [label.name for label in labels]
    return Panel(
        kind="table",
        title=title,
        description=description,
        queries=tuple(column.query for column in columns),
        no_value=no_value,
        width=width,
        height=height,
        options={"cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"]}, "showHeader": True},
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
        defaults={"color": {"mode": "thresholds"}, "decimals": 2},
        overrides=(*map(_label_override, labels), *map(_value_override, columns)),
        transformations=(
            {"id": "joinByField", "options": {"byField": key, "mode": "outer"}},
            {"id": "filterFieldsByName", "options": {"include": {"names": [*shown, *values]}}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {},
                    "indexByName": {name: i for i, name in enumerate([*shown, *values])},
                    "renameByName": values,
                },
            },
            {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": sort, "desc": True}]}},
            {"id": "limit", "options": {"limitField": limit}},
        ),
    )


def _label_override(label: Label) -> Json:
    name: list[Json] = [{"id": "displayName", "value": label.title}] if label.title else []
    # Without one of its own, an empty cell would show why a whole panel may be empty.
    properties = [*name, {"id": "noValue", "value": EMPTY_CELL}, *label.properties]
    return {"matcher": {"id": "byName", "options": label.name}, "properties": properties}


def _value_override(column: Column) -> Json:
    properties = [{"id": "unit", "value": column.unit}, {"id": "noValue", "value": EMPTY_CELL}, *column.properties]
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}
