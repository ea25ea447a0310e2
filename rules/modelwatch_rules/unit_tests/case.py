"""One case of a rule unit test: series as exporters would give them, and what must be true when.

Everything is as `promtool test rules` reads it. Counters rise steadily, so that `increase` is exact whether a window
holds the sample at its beginning (Prometheus 2) or not (3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwatch.conventions import Metric
from modelwatch_rules.promql import select
from modelwatch_rules.timing import prometheus_duration

__all__ = ["GONE", "Case", "Check", "Phase", "Rates", "Values"]

GONE = None
"""No sample: nobody exposes the series, which Prometheus marks as stale; else it would be there for 5 minutes more."""

Phase = tuple[float, float | None]
"""For how many seconds a series has which value."""
Values = float | Sequence[Phase]
"""A value for all the time, or phases one after the other."""
Rates = float | Sequence[tuple[float, float]]
"""By how much a counter rises from sample to sample, for all the time or for so many seconds each."""


_ALWAYS = 9999


@dataclass(frozen=True)
class Check:
    """What an expression has to return at a time.

    Attributes
    ----------
    about : str
        The alert or record that is looked at.
    expr : str
    at : float
        Seconds from the first sample.
    expected : tuple of (str, float)
        All series of the result, with their labels, and their values.
    """

    about: str
    expr: str
    at: float
    expected: tuple[tuple[str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as test files have it."""
        samples = [{"labels": labels, "value": value} for labels, value in self.expected]
        return {"expr": self.expr, "eval_time": prometheus_duration(self.at), "exp_samples": samples}


@dataclass
class Case:
    """What is given, and what is to follow from it.

    Parameters
    ----------
    name : str
        A sentence: what is shown.
    group : str
        Of rules, whose records and alerts are looked at.
    step : float
        Seconds from sample to sample, which are also those from evaluation to evaluation.
    """

    name: str
    group: str
    step: float
    series: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def give(self, metric: Metric | str, values: Values, suffix: str = "", /, **labels: str) -> None:
        """Give a series; see :data:`Values`."""
        phases = values if isinstance(values, Sequence) else [(_ALWAYS * self.step, values)]
        text = " ".join(self._phase(seconds, value) for seconds, value in phases)
        self.series[select(metric, suffix, **labels)] = text

    def _phase(self, seconds: float, value: float | None) -> str:
        samples = round(seconds / self.step)
        if value is GONE:
            return f"stale _x{samples - 1}" if samples > 1 else "stale"
        return f"{value:.12g}x{samples - 1}"

    def count(self, metric: Metric | str, rates: Rates, suffix: str = "", /, **labels: str) -> None:
        """Give a counter that begins at zero; see :data:`Rates`."""
        phases = rates if isinstance(rates, Sequence) else [(_ALWAYS * self.step, rates)]
        parts, value = ["0"], 0.0
        for seconds, rise in phases:
            samples = round(seconds / self.step)
            parts.append(f"{value + rise:.12g}+{rise:.12g}x{samples - 1}")
            value += rise * samples
        self.series[select(metric, suffix, **labels)] = " ".join(parts)

    def fires(self, at: float, alert: str, *expected: Mapping[str, str]) -> None:
        """Say which alerts of a name fire, by their labels, and that no other of that name does."""
        firing = {"alertname": alert, "alertstate": "firing"}
        samples = tuple((select("ALERTS", **firing, **labels), 1.0) for labels in expected)
        self.checks.append(Check(alert, select("ALERTS", **firing), at, samples))

    def silent(self, at: float, *alerts: str) -> None:
        """Say that no alert of these names fires."""
        for alert in alerts:
            self.fires(at, alert)

    def records(self, at: float, record: str, *expected: tuple[Mapping[str, str], float]) -> None:
        """Say which samples a record has, and that it has no other."""
        samples = tuple((select(record, **labels), float(value)) for labels, value in expected)
        self.checks.append(Check(record, record, at, samples))

    def as_dict(self) -> dict[str, Any]:
        """Return it as test files have it."""
        return {
            "name": self.name,
            "interval": prometheus_duration(self.step),
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": [check.as_dict() for check in self.checks],
        }
