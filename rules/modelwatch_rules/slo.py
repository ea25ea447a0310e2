"""Objectives: how fast the budget of bad requests burns, over several windows at once.

Budgets and windows are those of the SRE workbook (chapter 5, "Alerting on SLOs", multiwindow, multi-burn-rate alerts):
a page when 2 % of a 30-day budget are gone within an hour or 5 % within six hours, a ticket when 10 % are gone within
one day or three. A short window beside each ends the alert soon after the burning ends.

All series are by model: an objective is a promise of the model, whatever version keeps it. Objectives are read from
gauges, so models that are registered in code are covered.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelwatch import conventions as c
from modelwatch.conventions import MODEL_ID, Metric
from modelwatch.policy import Severity
from modelwatch_rules.limits import MIN_ERRORS, MIN_REQUESTS
from modelwatch_rules.naming import record_name
from modelwatch_rules.promql import AlertingRule, Group, RecordingRule, Style, bridged, indent, largest, select
from modelwatch_rules.texts import Text
from modelwatch_rules.timing import Timing, prometheus_duration
from modelwatch_rules.words import NUMBER, PERCENT, given, lines, say

__all__ = [
    "ALL",
    "ALLOWED",
    "BAD",
    "BASE_HOURS",
    "BUDGET",
    "BURNS",
    "LEFT",
    "Burn",
    "burn_rate",
    "burning",
    "slo_group",
]

_BY = (MODEL_ID, "metric")
_ON = ", ".join(_BY)
PERIOD = 30 * 86400.0
"""Seconds: the factors below are for objectives over 30 days."""

ALLOWED = record_name((*_BY, "upper"), c.OBJECTIVE, "max")
BUDGET = record_name(_BY, c.OBJECTIVE, "per30d")
"""What may be bad in 30 days: an objective over 60 days has twice the budget to burn in them."""
BAD = f"{'_'.join(_BY)}:modelwatch_objective_bad_requests"
ALL = f"{'_'.join(_BY)}:modelwatch_objective_requests"
RATE = f"{'_'.join(_BY)}:modelwatch_objective_burn_rate"
LEFT = f"{'_'.join(_BY)}:modelwatch_objective_budget_left:ratio30d"


@dataclass(frozen=True)
class Burn:
    """A burn rate that somebody is told of.

    Attributes
    ----------
    severity : Severity
    factor : float
        How many times faster than allowed the budget burns.
    long, short : float
        Windows in hours; both must show it.
    """

    severity: Severity
    factor: float
    long: float
    short: float


BURNS = (
    Burn(Severity.CRITICAL, 14.4, 1, 1 / 12),
    Burn(Severity.CRITICAL, 6, 6, 0.5),
    Burn(Severity.WARNING, 3, 24, 2),
    Burn(Severity.WARNING, 1, 72, 6),
)
BASE_HOURS = 1 / 12


def burn_rate(hours: float, timing: Timing) -> str:
    """Return the name of the burn rate in a window, given in hours: 1 spends exactly the budget over its period."""
    return f"{RATE}:ratio{_text(hours, timing)}"


def burning(burn: Burn, timing: Timing) -> str:
    """Return the name of the burn rates that are too fast in both windows, of enough requests."""
    return f"{RATE}:too_fast{_text(burn.long, timing)}_{_text(burn.short, timing)}"


def slo_group(timing: Timing, style: Style) -> Group:
    """Return all rules about objectives; without an objective they have no series."""
    windows = sorted({hours for burn in BURNS for hours in (burn.long, burn.short)})
    base = _text(BASE_HOURS, timing)
    records = [
        RecordingRule(ALLOWED, largest((*_BY, "upper"), bridged(c.OBJECTIVE.name, timing.bridge))),
        RecordingRule(BUDGET, _budget(timing)),
        RecordingRule(f"{BAD}:increase{base}", f"{_counted(c.PREDICTION_ERRORS, base)}\nor\n{_slow(base)}"),
        RecordingRule(
            f"{ALL}:increase{base}",
            f"{_counted(c.PREDICTIONS, base)}\nor\n{_where_promised(_of('latency_ms', _answered(base)))}",
        ),
        *(RecordingRule(burn_rate(hours, timing), _rate(hours, timing)) for hours in windows),
        *(RecordingRule(burning(burn, timing), _burning(burn, timing)) for burn in BURNS),
        RecordingRule(LEFT, _left(timing)),
    ]
    tiers = {burn.severity for burn in BURNS}
    alerts = [_alert(tier, timing) for tier in style.tiers(sorted(tiers))]
    return Group("modelwatch-objectives.rules", (*records, *alerts), interval=timing.slow_interval)


def _text(hours: float, timing: Timing) -> str:
    return prometheus_duration(hours * timing.budget_hour)


def _budget(timing: Timing) -> str:
    periods = largest([MODEL_ID], bridged(c.OBJECTIVE_WINDOW.name, timing.bridge))
    return f"{largest(_BY, ALLOWED)}\n* on ({MODEL_ID}) group_left ()\n({periods} / {PERIOD:g})"


def _of(metric: str, expr: str) -> str:
    return f'label_replace(\n{indent(expr)},\n  "metric", "{metric}", "", ""\n)'


def _where_promised(expr: str) -> str:
    return f"{expr}\nand on ({_ON}) {ALLOWED}"


def _counted(metric: Metric, window: str) -> str:
    return _where_promised(_of("error_rate", f"sum by ({MODEL_ID}) (increase({metric.name}[{window}]))"))


def _slow(window: str) -> str:
    """Return requests above the bound of an objective, which is a bucket's: all but those in it and below.

    Where versions have different bounds, the highest holds for all.
    """
    by_bound = f"sum by ({MODEL_ID}, le) (increase({c.PREDICTION_LATENCY.name}_bucket[{window}]))"
    within = (
        f'label_replace({by_bound}, "upper", "$1", "le", "(.+)")\n'
        f"and on ({MODEL_ID}, upper) {select(ALLOWED, metric='latency_ms')}"
    )
    return _of("latency_ms", f"{_answered(window)}\n- on ({MODEL_ID})\nmax by ({MODEL_ID}) (\n{indent(within)}\n)")


def _answered(window: str) -> str:
    buckets = f'{c.PREDICTION_LATENCY.name}_bucket{{le="+Inf"}}'
    return f"sum by ({MODEL_ID}) (increase({buckets}[{window}]))"


def _share(hours: float, timing: Timing) -> str:
    """Return the share of bad requests; sums of overlapping increases are too large by one factor on both sides."""
    window = _text(hours, timing)
    bad, every = (f"{name}:increase{_text(BASE_HOURS, timing)}" for name in (BAD, ALL))
    if hours != BASE_HOURS:
        bad, every = (f"sum_over_time({name}[{window}])" for name in (bad, every))
    return f"{bad}\n/\n({every} > 0)"


def _rate(hours: float, timing: Timing) -> str:
    return f"{_share(hours, timing)}\n/ on ({_ON})\n{BUDGET}"


def _left(timing: Timing) -> str:
    return f"1 - (\n{indent(_rate(PERIOD / 3600, timing))}\n)"


def _alert(tier: Severity, timing: Timing) -> AlertingRule:
    # A fast burn is a slow one too, so that what gets worse does not say "resolved" in between.
    expr = "\nor\n".join(burning(burn, timing) for burn in BURNS if burn.severity >= tier)
    return AlertingRule(c.ALERT_BUDGET_BURN, expr, tier, *_told(timing), keep_firing=timing.keep_firing)


def _burning(burn: Burn, timing: Timing) -> str:
    long, short = (f"{burn_rate(hours, timing)} > {burn.factor:g}" for hours in (burn.long, burn.short))
    base, window = _text(BASE_HOURS, timing), _text(burn.long, timing)
    # A sum holds each request as often as the short increase is recorded while it is in it.
    times = BASE_HOURS * timing.budget_hour / timing.slow_interval
    seen, bad = (f"sum_over_time({name}:increase{base}[{window}])" for name in (ALL, BAD))
    enough = f"({seen} >= {MIN_REQUESTS * times:g} or {bad} >= {MIN_ERRORS * times:g})"
    return f"{long}\nand on ({_ON}) {short}\nand on ({_ON}) {enough}"


def _told(timing: Timing) -> Text:
    where = "{<id>,<metric>}"
    rates = "".join(
        say(f"{burn_rate(burn.long, timing)}{where}", NUMBER, "; ", f" times over {_text(burn.long, timing)}")
        for burn in BURNS
    )
    allowed = say(f"max({ALLOWED}{where})", PERCENT, " of ", " bad requests", " of bad requests")
    kind = '{{ if eq $labels.metric "latency_ms" }}'
    return (
        f"Too many requests {kind}are slow{{{{ else }}}}fail{{{{ end }}}}: the budget of the objective burns"
        f" {{{{ $value | {NUMBER} }}}} times as fast as it may.",
        lines(
            f"How bad: {{{{ $value | {NUMBER} }}}} times as fast as the objective{allowed} allows{rates}",
            say(f"{LEFT}{where} >= 0", PERCENT, "Budget: ", " of what may be bad in 30 days is left"),
            given(f"{LEFT}{where} < 0", "Budget: all of what may be bad in 30 days is spent"),
            f"Look first: {kind}load and saturation of the serving process, then slow inputs or a slow feature source"
            "{{ else }}the exceptions in the log of the serving process, then what changed last, model or input"
            "{{ end }}",
        ),
    )
