"""A complete Prometheus configuration: what to scrape, which rules, where alerts go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from modelwatch.conventions import DEFAULT_METRICS_PORT, DEFAULT_SIDECAR_PORT
from modelwatch.exceptions import InputError, did_you_mean
from modelwatch_rules.timing import Timing, prometheus_duration

__all__ = [
    "ALERTMANAGER_JOB", "DEFAULT_ALERTMANAGER", "DEFAULT_TARGETS", "JOBS", "RULE_FILE", "parse_target",
    "prometheus_config",
]  # fmt: skip

RULE_FILE = "modelwatch.rules.yml"
JOBS = MappingProxyType({"app": "modelwatch-app", "sidecar": "modelwatch-sidecar"})
"""Names of the scrape jobs: who records, and who checks."""
ALERTMANAGER_JOB = "modelwatch-alertmanager"
"""Who notifies: an Alertmanager that says itself when its messages fail."""

DEFAULT_TARGETS: Mapping[str, Sequence[str]] = MappingProxyType(
    {"app": (f"localhost:{DEFAULT_METRICS_PORT}",), "sidecar": (f"localhost:{DEFAULT_SIDECAR_PORT}",)}
)
DEFAULT_ALERTMANAGER = "localhost:9093"
_SLOWEST_SCRAPE = 10.0
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def parse_target(text: str) -> tuple[str, str]:
    """Return the kind of a target and its address, from ``app=HOST:PORT`` or ``sidecar=HOST:PORT``.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> parse_target("app=model-server:9100")
    ('app', 'model-server:9100')
    """
    kind, _, address = text.partition("=")
    if kind not in JOBS:
        raise InputError(f"a target must begin with app= or sidecar=, got {text!r}{did_you_mean(kind, JOBS)}")
    return kind, parse_address(address)


def parse_address(text: str) -> str:
    """Return an address if it is ``HOST:PORT``.

    Raises
    ------
    InputError
        If it is not.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise InputError(f"an address must be HOST:PORT, such as localhost:{DEFAULT_METRICS_PORT}, got {text!r}")
    return text


def prometheus_config(
    timing: Timing,
    targets: Mapping[str, Sequence[str]] = DEFAULT_TARGETS,
    alertmanagers: Sequence[str] = (DEFAULT_ALERTMANAGER,),
) -> dict[str, Any]:
    """Return a Prometheus configuration.

    Parameters
    ----------
    timing
        How often to scrape and evaluate.
    targets
        Addresses by kind, "app" and "sidecar"; a kind without any gets no job.
    alertmanagers
        Addresses.
    """
    interval = prometheus_duration(timing.scrape_interval)
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": prometheus_duration(min(timing.scrape_interval, _SLOWEST_SCRAPE)),
            "evaluation_interval": prometheus_duration(timing.evaluation_interval),
        },
        "rule_files": [RULE_FILE],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
        "scrape_configs": [
            {"job_name": JOBS[kind], "static_configs": [{"targets": list(addresses)}]}
            for kind, addresses in targets.items()
            if addresses
        ]
        + [{"job_name": ALERTMANAGER_JOB, "static_configs": [{"targets": list(alertmanagers)}]}],
    }
