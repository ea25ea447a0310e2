"""Marks on every panel: where an alert fires, and where another version of a model appears."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import DATASOURCE, Json
from modelwatch_grafana.fleet_promql import alerts
from modelwatch_grafana.promql import version_change

__all__ = ["of_fleet", "of_model", "of_monitoring"]

OPERATIONS = "Modelwatch.+"


def of_model() -> list[Json]:
    """Return marks where an alert of the chosen model fires, and where a version of it appears."""
    fires = f'ALERTS{{alertstate="firing",{c.MODEL_ID}="$model_id"}}'
    return [
        _own(),
        _mark("Alerts", "red", fires, "{{alertname}}", "{{severity}} {{model_version}} {{metric}}", "severity"),
        _mark("Versions", "blue", version_change(), "new version {{model_version}}", "", "model_version"),
    ]


def of_fleet() -> list[Json]:
    """Return marks where any of our alerts fires."""
    text = "{{severity}} {{model_id}} {{model_version}} {{metric}}"
    return [_own(), _mark("Alerts", "red", alerts(), "{{alertname}}", text, "severity,model_id")]


def of_monitoring() -> list[Json]:
    """Return marks where an alert about the monitoring itself fires."""
    fires = alerts(f'alertname=~"{OPERATIONS}"')
    return [_own(), _mark("Alerts", "red", fires, "{{alertname}}", "{{severity}} {{model_id}}", "severity")]


def _own() -> Json:
    """Return what people write by hand in Grafana."""
    return {
        "name": "Annotations & Alerts",
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "type": "dashboard",
    }


def _mark(name: str, color: str, expr: str, title: str, text: str, tags: str) -> Json:
    return {
        "name": name,
        "datasource": dict(DATASOURCE),
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": tags,
    }
