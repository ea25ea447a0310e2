"""From a configuration to files: rules, routing, message templates, and a Prometheus configuration to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelwatch.policy import severity_labels
from modelwatch_rules.groups import DEFAULT_RUNBOOK_BASE, rule_file
from modelwatch_rules.promql import Style
from modelwatch_rules.render import header, is_generated, replace_files, to_yaml
from modelwatch_rules.routing import alertmanager_config, conversations_apart, routing_comment
from modelwatch_rules.scraping import DEFAULT_ALERTMANAGER, DEFAULT_TARGETS, RULE_FILE, prometheus_config
from modelwatch_rules.templates import TEMPLATE_FILE, notification_templates
from modelwatch_rules.timing import PRODUCTION, Timing
from modelwatch_rules.unit_tests import unit_test_files
from modelwatch_rules.versions import ALERTMANAGER, FUZZY_COMPARE, PROMETHEUS, Version

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

__all__ = [
    "ALERTMANAGER_FILE",
    "MERGE_FILE",
    "PROMETHEUS_FILE",
    "RULES_PATH",
    "TESTS_FOLDER",
    "TEST_FILES",
    "Options",
    "contents",
    "generate",
]

RULES_PATH = f"prometheus/{RULE_FILE}"
PROMETHEUS_FILE = "prometheus/prometheus.yml"
ALERTMANAGER_FILE = "alertmanager/alertmanager.yml"
MERGE_FILE = "alertmanager/modelwatch.merge.yml"
TESTS_FOLDER = "prometheus/tests"
TEST_FILES = "modelwatch-*.test.yml"
TEMPLATES_PATH = f"alertmanager/templates/{TEMPLATE_FILE}"


@dataclass(frozen=True)
class Options:
    """What is not in a configuration of models.

    Attributes
    ----------
    timing : Timing
        Windows and waiting times.
    merge : bool
        Write only our part of an Alertmanager configuration.
    runbook_base : str
        Alerts link to ``<runbook_base>/<alertname>.md``.
    grafana_url : str or None
        Alerts link to the dashboards of this Grafana.
    targets : mapping of str to sequence of str
        What Prometheus scrapes: addresses of kind "app" and "sidecar".
    alertmanagers : sequence of str
        Addresses.
    log_url, deadman_url : str or None
        Webhooks for the channel ``log`` and for the watchdog.
    environ : mapping or None
        Where receivers may be defined too; None is the environment of this process.
    alertmanager_version, prometheus_version : Version
        The oldest that will read the files. The defaults are the oldest that can; later ones lift limits
        (:mod:`modelwatch_rules.versions`).
    """

    timing: Timing = PRODUCTION
    merge: bool = False
    runbook_base: str = DEFAULT_RUNBOOK_BASE
    grafana_url: str | None = None
    targets: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(DEFAULT_TARGETS))
    alertmanagers: Sequence[str] = (DEFAULT_ALERTMANAGER,)
    log_url: str | None = None
    deadman_url: str | None = None
    environ: Mapping[str, str] | None = None
    alertmanager_version: Version = ALERTMANAGER
    prometheus_version: Version = PROMETHEUS


def contents(config: MonitoringConfig, options: Options | None = None) -> dict[str, str]:
    """Return the text of every file by its path below the output folder."""
    o = options or Options()
    style = Style(o.runbook_base, o.grafana_url, severity_labels(config.alerting.severity_map))
    rules = rule_file(config, o.timing, style)
    version = o.alertmanager_version
    alertmanager = alertmanager_config(
        config,
        o.timing,
        merge=o.merge,
        log_url=o.log_url,
        deadman_url=o.deadman_url,
        environ=o.environ,
        version=version,
    )
    apart = conversations_apart(config, merge=o.merge, environ=o.environ, version=version)
    comment = routing_comment(merge=o.merge, quiet_hours="time_intervals" in alertmanager, version=version)
    made_for = (f"timing: {o.timing.name}", f"for Prometheus {o.prometheus_version} and later")
    return {
        RULES_PATH: to_yaml(rules, *made_for),
        PROMETHEUS_FILE: to_yaml(
            prometheus_config(o.timing, o.targets, o.alertmanagers),
            *made_for,
            "an example to start from",
        ),
        MERGE_FILE if o.merge else ALERTMANAGER_FILE: header() + comment + to_yaml(alertmanager).removeprefix(header()),
        TEMPLATES_PATH: notification_templates(config, apart=apart, version=version),
        **{
            f"{TESTS_FOLDER}/{name}": to_yaml(test, *made_for, "run with: modelwatch rules test")
            for name, test in unit_test_files(
                config, o.timing, style, f"../{RULE_FILE}", fuzzy=o.prometheus_version >= FUZZY_COMPARE
            ).items()
        },
    }


def generate(config: MonitoringConfig, out: Path, options: Options | None = None) -> list[Path]:
    """Write all files below a folder; they are replaced together, and only once all of them could be made.

    What an earlier call wrote there and this one would not is removed.

    Parameters
    ----------
    config
        What :func:`modelwatch.config.load_config` returned: a file with mistakes never comes this far.
    out
        The folder; made if it does not exist.
    options
        Everything else.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    StorageError
        If the folder can't be written to.
    """
    written = replace_files(out, contents(config, options))
    # Tests of another configuration would fail on these rules; routing with or without `--merge`, which is not what was
    # asked for now, would stay as it was and be called right.
    routing = {path for name in (ALERTMANAGER_FILE, MERGE_FILE) if is_generated(path := out / name)}
    for leftover in {*(out / TESTS_FOLDER).glob(TEST_FILES), *routing} - set(written):
        leftover.unlink(missing_ok=True)
    return written
