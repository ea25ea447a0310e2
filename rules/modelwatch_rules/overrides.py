"""Severities that models of the configuration gave to alerts that have no threshold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from modelwatch.conventions import MODEL_ID
from modelwatch.policy import Severity, alert_severity
from modelwatch_rules.promql import AlertingRule, Style, indent, of_model

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

__all__ = ["by_model", "model_severity"]

_IN_A_ROW = 8


def by_model(rules: Iterable[AlertingRule], config: MonitoringConfig, style: Style) -> list[AlertingRule]:
    """Return each rule for all models but those that gave it another severity, and once more for each of these.

    Parameters
    ----------
    rules
        Alerts whose labels hold a model_id, with the default severity.
    config
        Its models may say otherwise; "none" is no alert.
    style
        What severities are called: what has the same name is one rule.
    """
    return [one for rule in rules for one in _split(rule, config, style)]


def model_severity(config: MonitoringConfig, model_id: str, alert: str) -> Severity:
    """Return the severity of an alert about a model: of several versions that differ, the worst."""
    return max(alert_severity(model, alert) for model in config.models if model.model_id == model_id)


def _split(rule: AlertingRule, config: MonitoringConfig, style: Style) -> list[AlertingRule]:
    others: dict[str, tuple[Severity, list[str]]] = {}
    for model_id in dict.fromkeys(model.model_id for model in config.models):
        severity = model_severity(config, model_id, rule.alert)
        name = style.severities[severity]
        if name != style.severities[rule.severity]:
            others.setdefault(name, (severity, []))[1].append(model_id)
    if not others:
        return [rule]
    exempt = [model_id for _, ids in others.values() for model_id in ids]
    return [
        replace(rule, expr=_restricted(rule.expr, "unless", exempt)),
        *(
            replace(rule, expr=_restricted(rule.expr, "and", ids), severity=severity)
            for severity, ids in sorted(others.values())
            if severity is not Severity.NONE
        ),
    ]


def _restricted(expr: str, operator: str, model_ids: list[str]) -> str:
    models = _any_of([of_model(model_id) for model_id in model_ids])
    return f"(\n{indent(expr)}\n)\n{operator} on ({MODEL_ID})\n(\n{indent(models)}\n)"


def _any_of(vectors: list[str]) -> str:
    """Return the union of vectors, by halves: a chain of hundreds would copy the first of them hundreds of times."""
    if len(vectors) <= _IN_A_ROW:
        return "\nor\n".join(vectors)
    middle = len(vectors) // 2
    return "\nor\n".join(f"(\n{indent(_any_of(half))}\n)" for half in (vectors[:middle], vectors[middle:]))
