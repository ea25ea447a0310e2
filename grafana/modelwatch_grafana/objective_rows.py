"""Panels about objectives: what is promised of a model, what is kept, and how fast the budget burns."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import Panel, Query, Step
from modelwatch_grafana.panels import stat, timeseries
from modelwatch_grafana.promql import RATE_RANGE, bridged, quoted, select

__all__ = ["objectives"]

NO_OBJECTIVE = "no objective: the model's configuration promises nothing"
WHOLE_RANGE = "[$__range]"
METRICS = {"error_rate": "failed", "latency_ms": "too slow"}
PAGE_ABOVE = 14.4
"""Burn rate that pages if it lasts for an hour: 2 % of a month's budget are gone then."""


def objectives() -> tuple[Panel, ...]:
    """Return what is left of the budget, the share of bad requests, and the burn rate."""
    return _left(), _bad(), _burn()


def _allowed(metric: str) -> str:
    """Return the share that may be bad: where versions promise differently, the strictest, as the rules have it."""
    return f"min({bridged(select(c.OBJECTIVE, metric=quoted(metric)))})"


def _share(metric: str, window: str) -> str:
    """Return the share of bad requests; of slow ones, from each version's bucket whose bound an objective names."""
    function = "increase" if window == WHOLE_RANGE else "rate"
    if metric == "error_rate":
        failed, attempted = (f"sum({function}({select(m)}{window}))" for m in (c.PREDICTION_ERRORS, c.PREDICTIONS))
        return f"{failed} / ({attempted} > 0)"
    version = c.MODEL_VERSION
    buckets = f"sum by ({version}, le) ({function}({select(c.PREDICTION_LATENCY)}{window}))"
    every = f"sum by ({version}) ({function}({select(c.PREDICTION_LATENCY, le=quoted('+Inf'))}{window}))"
    bounds = f"max by (upper) ({bridged(select(c.OBJECTIVE, metric=quoted(metric)))})"
    named = f'label_replace({buckets}, "upper", "$1", "le", "(.+)") and on (upper) {bounds}'
    in_time = f"max by ({version}) ({named})"
    return f"1 - sum({in_time}) / (sum({every} and on ({version}) {in_time}) > 0)"


def _left() -> Panel:
    queries = [
        Query(f"1 - ({_share(metric, WHOLE_RANGE)}) / ({_allowed(metric)} > 0)", f"not {words}", instant=True)
        for metric, words in METRICS.items()
    ]
    return stat(
        "Budget left, over this time range",
        "1 minus the share of bad requests over the share that the objective allows; below 0 the promise is broken. "
        "Choose the objective's own window, such as 30 days, to see what is left of it.",
        queries,
        no_value=NO_OBJECTIVE,
        unit="percentunit",
        steps=(Step(None, "red"), Step(0.0, "yellow"), Step(0.5, "green")),
        text="value_and_name",
        width=6,
        height=8,
    )


def _bad() -> Panel:
    return timeseries(
        "Bad requests, against what the objective allows",
        "Share of requests that failed, or took longer than the objective's bound. Above the dashed line the budget "
        "burns faster than it may.",
        [
            *(
                Query(f"{_share(metric, RATE_RANGE)} and on () {_allowed(metric)}", words)
                for metric, words in METRICS.items()
            ),
            *(Query(_allowed(metric), f"{words}: allowed", limit=True) for metric, words in METRICS.items()),
        ],
        unit="percentunit",
        no_value=NO_OBJECTIVE,
        width=9,
    )


def _burn() -> Panel:
    return timeseries(
        "Burn rate",
        f"How many times faster than allowed the budget burns. 1 spends it exactly; {c.ALERT_BUDGET_BURN} pages above "
        f"{PAGE_ABOVE:g} over an hour, for objectives over 30 days.",
        [
            *(
                Query(f"({_share(metric, RATE_RANGE)}) / ({_allowed(metric)} > 0)", words)
                for metric, words in METRICS.items()
            ),
            Query(f"vector({PAGE_ABOVE:g}) and on () max({bridged(select(c.OBJECTIVE))})", "pages", limit=True),
        ],
        unit="none",
        no_value=NO_OBJECTIVE,
        width=9,
    )
