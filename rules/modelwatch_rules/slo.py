"""Objectives: how fast the budget of bad requests burns, over several windows at once.

Budgets and windows are those of the SRE workbook (chapter 5, "Alerting on SLOs", multiwindow, multi-burn-rate alerts):
a page when 2 % of a 30-day budget are gone within an hour or 5 % within six hours, a ticket when 10 % are gone within
one day or three. A short window beside each ends the alert soon after the burning ends.

Budgets are by model: an objective is a promise of the model, whatever version keeps it. Objectives are read from
gauges, so models that are registered in code are covered.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelwatch import conventions as c
from modelwatch.conventions import MODEL_ID, MODEL_LABELS, Metric
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
_PAIR = ", ".join(MODEL_LABELS)
PERIOD = 30 * 86400.0
"""Seconds: the factors below are for objectives over 30 days."""

ALLOWED = record_name((*_BY, "upper"), c.OBJECTIVE, "max")
BUDGET = record_name(_BY, c.OBJECTIVE, "min")
PERIODS = record_name([MODEL_ID], c.OBJECTIVE_WINDOW, "per30d")
IN_TIME = f"{'_'.join(MODEL_LABELS)}:modelwatch_objective_requests_in_time"
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
        RecordingRule(BUDGET, _budget()),
        RecordingRule(PERIODS, _periods(timing)),
        RecordingRule(f"{IN_TIME}:increase{base}", _in_time(base)),
        RecordingRule(f"{BAD}:increase{base}", f"{_counted(c.PREDICTION_ERRORS, base)}\nor\n{_slow(base)}"),
        RecordingRule(f"{ALL}:increase{base}", f"{_counted(c.PREDICTIONS, base)}\nor\n{_timed(base)}"),
        *(RecordingRule(burn_rate(hours, timing), _rate(hours, timing)) for hours in windows),
        *(RecordingRule(burning(burn, timing), _burning(burn, timing)) for burn in BURNS),
        RecordingRule(LEFT, _left(timing)),
    ]
    tiers = {burn.severity for burn in BURNS}
    alerts = [_alert(tier, timing) for tier in style.tiers(sorted(tiers))]
    return Group("modelwatch-objectives.rules", (*records, *alerts), interval=timing.slow_interval)


def _text(hours: float, timing: Timing) -> str:
    return prometheus_duration(hours * timing.budget_hour)


def _budget() -> str:
    # Where versions promise differently, the strictest promise holds: a forgotten version must not disarm the others.
    return f"min by ({_ON}) ({ALLOWED})"


def _periods(timing: Timing) -> str:
    return f"{largest([MODEL_ID], bridged(c.OBJECTIVE_WINDOW.name, timing.bridge))} / {PERIOD:g}"


def _of(metric: str, expr: str) -> str:
    return f'label_replace(\n{indent(expr)},\n  "metric", "{metric}", "", ""\n)'


def _counted(metric: Metric, window: str) -> str:
    """Return requests of the models that promise something about errors."""
    counted = _of("error_rate", f"sum by ({MODEL_ID}) (increase({metric.name}[{window}]))")
    return f"{counted}\nand on ({_ON}) {ALLOWED}"


def _in_time(window: str) -> str:
    """Return requests of each version that took no longer than the bound of an objective, which is that of a bucket.

    A version counts by the bounds that it has: after a change of the objective each has another one for a while.
    """
    by_bound = f"sum by ({_PAIR}, le) (increase({c.PREDICTION_LATENCY.name}_bucket[{window}]))"
    known = select(ALLOWED, metric="latency_ms")
    return (
        f"max by ({_PAIR}) (\n"
        f'  label_replace({by_bound}, "upper", "$1", "le", "(.+)")\n  and on ({MODEL_ID}, upper) {known}\n)'
    )


def _answered(window: str) -> str:
    buckets = f'{c.PREDICTION_LATENCY.name}_bucket{{le="+Inf"}}'
    return f"sum by ({_PAIR}) (increase({buckets}[{window}]))"


def _slow(window: str) -> str:
    late = f"{_answered(window)}\n  - on ({_PAIR})\n  {IN_TIME}:increase{window}"
    return _of("latency_ms", f"sum by ({MODEL_ID}) (\n  {late}\n)")


def _timed(window: str) -> str:
    judged = f"{_answered(window)}\n  and on ({_PAIR})\n  {IN_TIME}:increase{window}"
    return _of("latency_ms", f"sum by ({MODEL_ID}) (\n  {judged}\n)")


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
    limit = f"> {burn.factor:g}"
    if burn.severity > Severity.WARNING:
        # A page is for a part of the whole budget, which is larger over a longer period; a ticket is for overspending.
        limit = f"> on ({MODEL_ID}) group_left () {burn.factor:g} * {PERIODS}"
    long, short = (f"{burn_rate(hours, timing)} {limit}" for hours in (burn.long, burn.short))
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
