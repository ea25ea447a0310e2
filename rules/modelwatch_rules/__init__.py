"""Generators of Prometheus rules and Alertmanager configuration. They write files and need no server."""
