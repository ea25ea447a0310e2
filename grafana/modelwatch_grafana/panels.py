"""Builders, one for each kind of panel: what they have in common here, what differs in their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from modelwatch_grafana.elements import Json, Panel, Query, Step

__all__ = ["bar_chart", "heatmap", "instant", "stat", "state_timeline", "timeseries"]

WIDE = 12
DASHED_RED = (
    {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
    {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
    {"id": "custom.fillOpacity", "value": 0},
)


def instant(expr: str, legend: str) -> Query:
    """Return a query of the newest values, for a tile."""
    return Query(expr, legend, instant=True)


def timeseries(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    no_value: str,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    maximum: float | None = None,
    legend_values: bool = False,
) -> Panel:
    """
    Return lines over time, from 0 up; queries that are limits are dashed and red.

    Parameters
    ----------
    stacked
        Whether lines add up.
    maximum
        Least upper end of the axis.
    legend_values
        Whether the legend is a table, the highest last value first: for many lines. To the right if there is room.
    """
    side = "right" if width >= WIDE else "bottom"
    placement = {"displayMode": "table", "placement": side, "sortBy": "Last *", "sortDesc": True}
    legend = placement if legend_values else {"displayMode": "list", "placement": "bottom"}
    refs = [chr(ord("A") + i) for i, query in enumerate(queries) if query.limit]
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        queries=tuple(queries),
        no_value=no_value,
        unit=unit,
        width=width,
        height=height,
        options={
            "legend": {"showLegend": True, "calcs": ["lastNotNull"] if legend_values else [], **legend},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        custom={
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 20 if stacked else 5,
            "showPoints": "auto",
            "pointSize": 4,
            "spanNulls": False,
            "axisPlacement": "auto",
            "axisSoftMin": 0,
            **({} if maximum is None else {"axisSoftMax": maximum}),
            "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
            "thresholdsStyle": {"mode": "off"},
        },
        overrides=tuple(
            {"matcher": {"id": "byFrameRefID", "options": ref}, "properties": list(DASHED_RED)} for ref in refs
        ),
    )


def stat(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    no_value: str,
    unit: str = "none",
    mappings: Sequence[Json] = (),
    steps: Sequence[Step] = (Step(None, "green"),),
    text: Literal["value", "name", "value_and_name"] = "value",
    width: int = 4,
    height: int = 5,
) -> Panel:
    """Return the newest value of each series as a coloured tile."""
    return Panel(
        kind="stat",
        title=title,
        description=description,
        queries=tuple(queries),
        no_value=no_value,
        unit=unit,
        width=width,
        height=height,
        options={
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "center",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": text,
        },
        defaults={"color": {"mode": "thresholds"}},
        mappings=tuple(mappings),
        steps=tuple(steps),
    )


def state_timeline(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    no_value: str,
    mappings: Sequence[Json],
    steps: Sequence[Step],
    width: int = 24,
    height: int = 6,
) -> Panel:
    """Return one coloured band per series, with equal neighbours merged."""
    return Panel(
        kind="state-timeline",
        title=title,
        description=description,
        queries=tuple(queries),
        no_value=no_value,
        width=width,
        height=height,
        options={
            "alignValue": "left",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
            "mergeValues": True,
            "rowHeight": 0.9,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        },
        custom={"fillOpacity": 80, "lineWidth": 0, "spanNulls": False},
        defaults={"color": {"mode": "thresholds"}},
        mappings=tuple(mappings),
        steps=tuple(steps),
    )


def heatmap(title: str, description: str, query: Query, *, unit: str, no_value: str) -> Panel:
    """Return a histogram over time, its buckets on the vertical axis in `unit`."""
    return Panel(
        kind="heatmap",
        title=title,
        description=description,
        queries=(query,),
        no_value=no_value,
        unit=unit,
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
        },
        custom={"hideFrom": {"legend": False, "tooltip": False, "viz": False}},
    )


def bar_chart(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    no_value: str,
    transformations: Sequence[Json],
    axis: str,
) -> Panel:
    """Return groups of bars; the transformations must end in one text column, called `axis`, and columns of numbers."""
    return Panel(
        kind="barchart",
        title=title,
        description=description,
        queries=tuple(queries),
        no_value=no_value,
        unit=unit,
        height=9,
        options={
            "barRadius": 0,
            "barWidth": 0.9,
            "fullHighlight": False,
            "groupWidth": 0.8,
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
            "orientation": "auto",
            "showValue": "never",
            "stacking": "none",
            "tooltip": {"mode": "multi", "sort": "none"},
            "xField": axis,
            "xTickLabelMaxLength": 14,
            "xTickLabelRotation": -45,
            "xTickLabelSpacing": 100,
        },
        custom={"axisPlacement": "auto", "axisSoftMin": 0, "fillOpacity": 80, "lineWidth": 1},
        transformations=tuple(transformations),
    )
