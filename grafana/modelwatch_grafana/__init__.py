"""Grafana dashboards as classic JSON, generated from the metric names in :mod:`modelwatch.conventions`."""

from modelwatch_grafana.dashboards import DASHBOARDS, model_dashboard
from modelwatch_grafana.render import dashboard_text, write_dashboards

__all__ = ["DASHBOARDS", "dashboard_text", "model_dashboard", "write_dashboards"]
