"""Several teams on one Alertmanager: each hears of its own models only, at every severity, by each of its channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import MonitoringConfig, load_config
from modelwatch.policy import severity_labels
from modelwatch_rules.generate import ALERTMANAGER_FILE, MERGE_FILE, Options, generate
from modelwatch_rules.routing import alertmanager_config, expected_receivers
from modelwatch_rules.timing import PRODUCTION

ROOT = Path(__file__).resolve().parents[2]
TEAMS = ("ads", "health", "risk", "search", "fraud", "pricing")
SEVERITIES = ("none", "info", "warning", "error", "critical")
ENVIRON = {"MODELWATCH_SLACK_URL_FILE": "/run/secrets/slack"}


def fifty_models() -> MonitoringConfig:
    """Six teams with a mailbox, a chat room and a pager each; nights, a weekend, and a site without `error`."""
    receivers: dict[str, Any] = {}
    for team in TEAMS:
        to = f"{team}@example.com"
        receivers |= {
            f"{team}-mail": {"type": "email", "to": to, "from": to, "smtp": "smtp.example.com:25"},
            f"{team}-chat": {"type": "slack", "url_file": f"/run/secrets/{team}", "min_severity": "warning"},
            f"{team}-pager": {"type": "pagerduty", "routing_key_file": f"/run/secrets/{team}-pager"},
        }
    models = [
        {"model_id": f'{team} "model" {i}', "alert_channels": [f"{team}-{kind}" for kind in ("mail", "chat", "pager")]}
        for i in range(50)
        for team in [TEAMS[i % len(TEAMS)]]
    ]
    quiet = [{"times": ["22:00-07:00"]}, {"days": ["saturday:sunday"], "receivers": ["ads-chat"], "below": "error"}]
    alerting = {
        "mode": "prometheus",
        "receivers": receivers,
        "quiet_hours": quiet,
        "severity_map": {"error": "critical"},
    }
    return MonitoringConfig.model_validate({"timezone": "Europe/Berlin", "models": models, "alerting": alerting})


STRANGE = (
    "a|b.*", "^(?:x)$", "[a-z]+", 'a", severity="critical', "a\\d", "c{2}", "\\", '"', "}, {", " leading and trailing ",
    "(?i)q", "it's {{ $value }} 🚀", "модель-модель", "x" * 200, "#: & ~ - ! %", "tail\\",
)  # fmt: skip
NEARLY = ("a", "b", "bcd", "x", "az", "a1", "cc", "Q", "q", "tail", "leading and trailing", "x" * 199)
"""What names of models would match if they were read as patterns."""


def strange_names() -> MonitoringConfig:
    """Names that mean something to patterns, quotes and YAML, of two teams in turn."""
    receivers: dict[str, Any] = {
        f"{team}-{kind}": {"type": "slack", "url_file": f"/run/secrets/{team}-{kind}", "min_severity": least}
        for team in TEAMS[:2]
        for kind, least in (("mail", "info"), ("chat", "error"), ("pager", "critical"))
    }
    models = [
        {"model_id": name, "alert_channels": [f"{TEAMS[i % 2]}-{kind}" for kind in ("mail", "chat", "pager")]}
        for i, name in enumerate(STRANGE)
    ]
    alerting = {"mode": "prometheus", "receivers": receivers}
    return MonitoringConfig.model_validate({"models": models, "alerting": alerting})


CONFIGS: Mapping[str, Callable[[], MonitoringConfig]] = {
    "customer": lambda: load_config(ROOT / "tests" / "config" / "testdata" / "customer.json"),
    "experience": lambda: load_config(ROOT / "examples" / "models.yaml"),
    "fifty models": fifty_models,
    "strange names": strange_names,
}
OWN = {
    "customer": {"ad_score_model_v1": {"log", "slack"}, "account_health_model_v2": {"log", "slack"}},
    "experience": {"ad_score_model_v1": {"log", "email", "slack-ads"}, "account_health_model_v2": {"log", "email"}},
}
"""Who may hear of a model at all; ``log`` takes what none of a model's channels can."""


def written(config: MonitoringConfig, folder: Path, merge: bool) -> Path:
    """Write the files, our part inside the smallest configuration that can hold it."""
    generate(config, folder, Options(merge=merge, environ=ENVIRON))
    if not merge:
        return folder / ALERTMANAGER_FILE
    part = yaml.safe_load((folder / MERGE_FILE).read_text("utf-8"))
    part["route"]["receiver"] = "theirs"
    part["receivers"].append({"name": "theirs"})
    (folder / "whole.yml").write_text(yaml.safe_dump(part, allow_unicode=True), "utf-8")
    return folder / "whole.yml"


def of_model(name: str, model_id: str) -> set[str]:
    team = TEAMS[STRANGE.index(model_id) % 2] if model_id in STRANGE else model_id.partition(" ")[0]
    return OWN[name][model_id] if name in OWN else {f"{team}-{kind}" for kind in ("mail", "chat", "pager")}


@pytest.mark.parametrize(
    ("name", "merge"),
    [*((name, False) for name in CONFIGS), ("experience", True), ("strange names", True)],
    ids=[*CONFIGS, "experience, merge", "strange names, merge"],
)
def test_each_model_at_each_severity_reaches_its_own_people_and_no_others(
    name: str, merge: bool, tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    config = CONFIGS[name]()
    path = written(config, tmp_path, merge)
    labels = {level.label: label for level, label in severity_labels(config.alerting.severity_map).items()}
    ids = [model.model_id for model in config.models]
    # Severities that share a label are one to Alertmanager.
    asked = {(model_id, labels[severity]): severity for model_id, severity in product(ids, SEVERITIES)}

    def ask(pair: tuple[str, str]) -> tuple[str, ...]:
        return receivers_of(path, alertname="MLModelDataDrift", model_id=pair[0], severity=pair[1])

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(asked, pool.map(ask, asked), strict=True))
    for (model_id, label), receivers in found.items():
        severity = asked[model_id, label]
        expected = expected_receivers(config, model_id, severity, merge=merge, environ=ENVIRON)
        assert receivers == expected, (model_id, severity)
        channels = {receiver.removeprefix("modelwatch-") if merge else receiver for receiver in receivers}
        nobody = {"nobody"} if merge else {"modelwatch-nobody"}
        assert channels <= of_model(name, model_id) or channels == nobody, (model_id, severity)
    for model_id in ids:
        worst = {receiver.removeprefix("modelwatch-") for receiver in found[model_id, labels["critical"]]}
        assert worst - {"log"}, "somebody is woken"


@pytest.mark.parametrize("model_id", NEARLY)
def test_a_model_that_nobody_configured_is_taken_for_none_whose_name_matches_its(
    model_id: str, tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    config = strange_names()
    path = written(config, tmp_path, merge=False)
    found = receivers_of(path, alertname="MLModelDataDrift", model_id=model_id, severity="critical")
    assert found == expected_receivers(config, model_id, "critical", environ=ENVIRON)
    assert {f"{team}-mail" for team in TEAMS[:2]} <= set(found), "everybody"


def test_models_of_the_same_people_share_a_route_so_that_grouping_can_join_them() -> None:
    made = alertmanager_config(fifty_models(), PRODUCTION, environ=ENVIRON)
    _, *teams = [route for route in made["route"]["routes"] if "routes" in route or "watchdog" in route["receiver"]]
    assert [route["routes"][0]["receiver"].partition("-")[0] for route in teams] == list(TEAMS)
    assert [len(re.findall(r'model\\" \d+', route["matchers"][0])) for route in teams] == [9, 9, 8, 8, 8, 8]


def test_only_versions_with_people_of_their_own_have_a_route_before_their_model() -> None:
    def matchers(second: str) -> list[list[str]]:
        models = [
            {"model_id": "m", "model_version": v, "alert_channels": [c]} for v, c in (("1", "log"), ("2", second))
        ]
        config = MonitoringConfig.model_validate({"models": [*models, {"model_id": "n", "alert_channels": ["log"]}]})
        routes = alertmanager_config(config, PRODUCTION, environ=ENVIRON)["route"]["routes"]
        return [route["matchers"] for route in routes if "routes" in route]

    assert matchers("log") == [['model_id=~"m|n"']]
    assert matchers("slack") == [
        ['model_id="m"', 'model_version="1"'],
        ['model_id="m"', 'model_version="2"'],
        ['model_id="m"'],
        ['model_id="n"'],
    ]
