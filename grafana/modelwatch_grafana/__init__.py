"""Grafana dashboards as classic JSON, generated from the metric names in :mod:`modelwatch.conventions`."""

from modelwatch_grafana.dashboards import DASHBOARDS, fleet_dashboard, model_dashboard, monitoring_dashboard
from modelwatch_grafana.render import dashboard_text, write_dashboards

__all__ = [
    "DASHBOARDS",
    "dashboard_text",
    "fleet_dashboard",
    "model_dashboard",
    "monitoring_dashboard",
    "write_dashboards",
]
