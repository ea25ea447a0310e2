"""Alertmanager's own tool reads what is generated, and routes alerts through it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelwatch.config import MonitoringConfig, load_config
from modelwatch.policy import channels_for
from modelwatch_rules.matchers import SITE_LABELS
from modelwatch_rules.receivers import receiver_entry, why_not
from modelwatch_rules.render import to_yaml
from modelwatch_rules.routing import (
    alertmanager_config,
    expected_receivers,
    routing_comment,
    routing_warnings,
)
from modelwatch_rules.templates import TEMPLATE_FILE, notification_templates
from modelwatch_rules.timing import DEMO, PRODUCTION, TEST

DATA = Path(__file__).parent.parent / "config" / "testdata"
SEVERITIES = ("none", "info", "warning", "error", "critical")
EMAIL = {"to": "ml-team@example.com", "from": "mw@example.com", "smtp": "smtp.example.com:587", "tls": True}
HOSTILE = (
    'it\'s "x" \\ {{ $value }} {} 🚀 ../../etc',
    'a", severity="critical',
    "a|b.*",
    "\\",
    '"',
    "}, {",
    " leading and trailing ",
    "x" * 200,
    "модель-模型",
)
FOREIGN = {
    "route": {
        "receiver": "team",
        "group_by": ["cluster"],
        "routes": [{"matchers": ['severity="critical"'], "receiver": "pager"}],
    },
    "receivers": [{"name": "team"}, {"name": "pager"}],
    "inhibit_rules": [
        {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["alertname"]}
    ],
}
EXPERIENCE = {
    "timezone": "America/New_York",
    "alerting": {
        "mode": "prometheus",
        "receivers": {
            "email": {"to": "ml-team@example.com", "smtp": "smtp.example.com:587", "min_severity": "error"},
            "slack-ads": {
                "type": "slack",
                "channel": "#ads-ml",
                "url_file": "/run/secrets/slack_url",
                "min_severity": "error",
            },
        },
    },
    "models": [
        {
            "model_id": "ad_score_model_v1",
            "reference": "profile.json",
            "performance_threshold": {"auc": 0.85, "accuracy": 0.92, "latency_ms": 150, "error_rate": 0.02},
            "drift_detection_interval": "30m",
            "sampling_rate": 0.5,
            "alert_channels": ["email", "slack-ads"],
        },
        {
            "model_id": "account_health_model_v2",
            "performance_threshold": {"rmse": 0.15, "mae": 0.12, "latency_ms": 200},
            "alert_channels": ["email"],
        },
    ],
}


def of(**sections: Any) -> MonitoringConfig:
    return MonitoringConfig.model_validate(sections)


def full_receivers() -> dict[str, Any]:
    return {
        "email": EMAIL,
        "slack": {"url_file": "/run/secrets/slack"},
        "on-call": {"type": "email", **EMAIL, "username": "mw", "password_file": "/run/secrets/smtp"},
        "bot": {"type": "slack", "token_file": "/run/secrets/token", "channel": "#ml"},
    }


def machines() -> MonitoringConfig:
    """People on call by PagerDuty, machines by webhook, and what Alertmanager can't reach."""
    return of(
        models=[
            {"model_id": "a", "alert_channels": ["log", "pagerduty", "webhook"]},
            {"model_id": "b", "alert_channels": ["pagerduty", "alertmanager", "secret-hook"]},
            {"model_id": "c", "alert_channels": ["secret-hook", "alertmanager"]},
            {"model_id": "d"},
        ],
        alerting={
            "mode": "prometheus",
            "receivers": {
                "pagerduty": {"routing_key_file": "/run/secrets/pagerduty"},
                "webhook": {"url": "https://hooks.example.com/x?a=b"},
                "secret-hook": {"type": "webhook", "url_file": "/run/secrets/hook"},
                "alertmanager": {"url": "http://am:9093/prefix"},
                "nights": {"type": "pagerduty", "routing_key_file": "/run/secrets/nights", "min_severity": "warning"},
            },
        },
    )


def many() -> MonitoringConfig:
    """Fifty models with all kinds of channels, written and unwritten."""
    choices: list[dict[str, Any]] = [
        {},
        {"alert_channels": ["slack", "email", "log"]},
        {"alert_channels": ["email"]},
        {"alert_channels": ["bot", "on-call", "slack"]},
        {"alert_channels": ["nowhere"]},
    ]
    models = [{"model_id": f"model-{i}", **choices[i % len(choices)]} for i in range(50)]
    return of(models=models, alerting={"receivers": full_receivers()})


def versions() -> MonitoringConfig:
    return of(
        models=[
            {"model_id": "m", "model_version": "1", "alert_channels": ["email"]},
            {"model_id": "m", "model_version": "2", "alert_channels": ["slack"]},
            {"model_id": "other", "model_version": "1", "alert_channels": ["slack"]},
        ],
        alerting={"receivers": full_receivers()},
    )


def unlike_the_table() -> MonitoringConfig:
    """Routing and least severities of the file's own, and a log that is asked for less."""
    return of(
        models=[
            {"model_id": "a", "alert_channels": ["log", "email", "slack"]},
            {"model_id": "b", "alert_channels": ["slack", "bot"]},
            {"model_id": "c"},
        ],
        alerting={
            "receivers": {
                "log": {"min_severity": "warning"},
                "email": {**EMAIL, "min_severity": "info"},
                "slack": {"url_file": "/run/secrets/slack"},
                "bot": {"type": "slack", "token_file": "/run/secrets/token", "channel": "#ml"},
            },
            "severity_routing": {"warning": ["slack"], "error": ["bot"]},
        },
    )


CONFIGS: Mapping[str, Callable[[], MonitoringConfig]] = {
    "customer": lambda: load_config(DATA / "customer.json"),
    "complete": lambda: load_config(DATA / "complete.yaml"),
    "experience": lambda: MonitoringConfig.model_validate(EXPERIENCE),
    "hostile": lambda: of(models=[{"model_id": m} for m in HOSTILE], alerting={"receivers": full_receivers()}),
    "many": many,
    "versions": versions,
    "unlike the table": unlike_the_table,
    "machines": machines,
    "nobody": lambda: of(models=[]),
}
config_names = pytest.mark.parametrize("name", CONFIGS)


def merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the comment above our part says."""
    route = dict(theirs["route"])
    route["routes"] = [*ours["route"]["routes"], *route["routes"]]
    return {
        "templates": [*theirs.get("templates", []), *ours["templates"]],
        "route": route,
        "receivers": [*theirs["receivers"], *ours["receivers"]],
        "inhibit_rules": [*theirs["inhibit_rules"], *ours["inhibit_rules"]],
    }


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    path = folder / "alertmanager.yml"
    path.write_text(routing_comment() + to_yaml(content), "utf-8")
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates" / TEMPLATE_FILE).write_text(notification_templates(), "utf-8")
    return path


# ── Alertmanager takes it ────────────────────────────────────────────────────────────────────────────────────────────


@config_names
@pytest.mark.parametrize("merge", [False, True])
def test_amtool_finds_nothing_wrong(
    name: str, merge: bool, tmp_path: Path, amtool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    made = alertmanager_config(CONFIGS[name](), PRODUCTION, merge=merge, deadman_url="https://deadman.example.com/x")
    path = write(tmp_path, merged(FOREIGN, made) if merge else made)
    answer = amtool("check-config", str(path))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "1 templates" in answer.stdout


@pytest.mark.parametrize("timing", [TEST, DEMO, PRODUCTION], ids=lambda timing: timing.name)
def test_every_timing_is_valid(
    timing: Any, tmp_path: Path, amtool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert amtool("check-config", str(write(tmp_path, alertmanager_config(many(), timing)))).returncode == 0


# ── every model, every severity ──────────────────────────────────────────────────────────────────────────────────────


@config_names
def test_amtool_routes_each_severity_of_each_model_as_expected(
    name: str, tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    config = CONFIGS[name]()
    path = write(tmp_path, alertmanager_config(config, PRODUCTION))
    # Of fifty models of five kinds two of each will do.
    for model_id in [*dict.fromkeys(m.model_id for m in config.models[:10]), "not in the file"]:
        for severity in SEVERITIES:
            found = receivers_of(path, alertname="MLModelDataDrift", model_id=model_id, severity=severity)
            assert found == expected_receivers(config, model_id, severity), (model_id, severity)
    for severity in SEVERITIES:
        found = receivers_of(path, alertname="ModelwatchExposedTwice", severity=severity)
        assert found == expected_receivers(config, None, severity), severity


@config_names
def test_the_policy_decides_who_is_told(name: str) -> None:
    config = CONFIGS[name]()
    receivers = {name: r for name, r in config.alerting.receivers.items() if why_not(r) is None}
    reachable = {"log", *receivers}
    single = [m for m in config.models if sum(m.model_id == other.model_id for other in config.models) == 1]
    for model in single:
        written = model.alert_channels if model.channels_written else None
        for severity in SEVERITIES:
            told = channels_for(severity, written, receivers, config.alerting.severity_routing, reachable=reachable)
            found = set(expected_receivers(config, model.model_id, severity))
            reached = {channel for channel in told if channel in reachable}
            if reached:
                assert found == reached
            else:
                assert found == ({"log"} if severity in ("error", "critical") else {"modelwatch-nobody"})


def test_the_default_table_in_words(tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]) -> None:
    receivers = {"email": EMAIL, "slack": {"url_file": "/run/secrets/slack"}}
    models = [
        {"model_id": "m", "alert_channels": ["log", "email", "slack"]},
        {"model_id": "s", "alert_channels": ["slack"]},
    ]
    path = write(tmp_path, alertmanager_config(of(models=models, alerting={"receivers": receivers}), PRODUCTION))

    def of_model(model_id: str, severity: str) -> tuple[str, ...]:
        return receivers_of(path, alertname="MLModelLatencyHigh", model_id=model_id, severity=severity)

    assert of_model("m", "none") == ("modelwatch-nobody",)
    assert of_model("m", "info") == of_model("m", "warning") == ("log",)
    assert of_model("m", "error") == ("log", "email")
    assert of_model("m", "critical") == ("log", "email", "slack")
    assert of_model("s", "warning") == ("modelwatch-nobody",)
    assert of_model("s", "error") == of_model("s", "critical") == ("slack",)


def test_pagerduty_and_webhooks_are_told_as_the_table_says(
    tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    path = write(tmp_path, alertmanager_config(machines(), PRODUCTION))

    def of_model(model_id: str, severity: str) -> tuple[str, ...]:
        return receivers_of(path, alertname="MLModelLatencyHigh", model_id=model_id, severity=severity)

    assert of_model("a", "info") == of_model("a", "error") == ("log", "webhook")
    assert of_model("a", "critical") == ("log", "pagerduty", "webhook")
    # Whom Alertmanager can't tell leaves the others, and in the end the log.
    assert of_model("b", "error") == ("pagerduty",)
    assert of_model("c", "critical") == ("log",)
    assert of_model("d", "warning") == ("pagerduty", "webhook", "nights")


def test_versions_of_a_model_have_their_own_people_and_what_concerns_all_goes_to_all(
    tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    config = versions()
    path = write(tmp_path, alertmanager_config(config, PRODUCTION))
    labels = {"alertname": "MLModelDataDrift", "model_id": "m", "severity": "critical"}
    for version, people in (("1", ("email",)), ("2", ("slack",)), ("3", ("email", "slack")), ("", ("email", "slack"))):
        more = {"model_version": version} if version else {}
        assert receivers_of(path, **labels, **more) == people
        assert expected_receivers(config, "m", "critical", model_version=version) == people
    # A single entry holds for whatever version is live.
    assert receivers_of(path, **(labels | {"model_id": "other", "model_version": "9"})) == ("slack",)


def test_a_severity_of_other_peoples_making_reaches_the_log(
    tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    path = write(tmp_path, alertmanager_config(many(), PRODUCTION))
    for model_id in ("model-2", "not in the file"):
        assert receivers_of(path, alertname="MLModelDataDrift", model_id=model_id, severity="page") == ("log",)
        assert expected_receivers(many(), model_id, "page") == ("log",)
    assert receivers_of(path, alertname="SomethingElse") == ("log",)


def test_the_watchdog_has_a_receiver_of_its_own_and_repeats_quickly(
    tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    made = alertmanager_config(many(), PRODUCTION, deadman_url="https://deadman.example.com/x")
    path = write(tmp_path, made)
    assert receivers_of(path, alertname="ModelwatchWatchdog", severity="none") == ("modelwatch-watchdog",)
    [receiver] = [r for r in made["receivers"] if r["name"] == "modelwatch-watchdog"]
    assert receiver["webhook_configs"] == [{"url": "https://deadman.example.com/x", "send_resolved": False}]
    assert made["route"]["routes"][0]["repeat_interval"] == "5m"


def test_a_receiver_of_the_environment_is_used() -> None:
    environ = {"MODELWATCH_SLACK_URL_FILE": "/run/secrets/slack"}
    config = of(models=[{"model_id": "m"}])
    made = alertmanager_config(config, PRODUCTION, environ=environ)
    assert [r["name"] for r in made["receivers"]][:2] == ["log", "slack"]
    assert expected_receivers(config, "m", "warning", environ=environ) == ("slack",)
    assert expected_receivers(config, "m", "warning", environ={}) == ("log",)


# ── merging into somebody's file ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["experience", "hostile", "unlike the table"])
def test_merged_into_a_file_it_routes_ours_and_leaves_others_alone(
    name: str, tmp_path: Path, receivers_of: Callable[..., tuple[str, ...]]
) -> None:
    config = CONFIGS[name]()
    path = write(tmp_path, merged(FOREIGN, alertmanager_config(config, PRODUCTION, merge=True)))
    for model in config.models:
        for severity in SEVERITIES:
            found = receivers_of(path, alertname="MLModelDataDrift", model_id=model.model_id, severity=severity)
            assert found == expected_receivers(config, model.model_id, severity, merge=True)
            assert all(name.startswith("modelwatch-") for name in found)
        assert receivers_of(path, alertname="HostDown", model_id=model.model_id, severity="critical") == ("pager",)
    assert receivers_of(path, alertname="Watchdog", severity="none") == ("team",)


def test_a_part_to_be_merged_names_nothing_that_others_may_have() -> None:
    made = alertmanager_config(many(), PRODUCTION, merge=True)
    assert set(made) == {"templates", "route", "receivers", "inhibit_rules"}
    assert set(made["route"]) == {"routes"}
    [parent] = made["route"]["routes"]
    assert parent["matchers"] == ['alertname=~"MLModel.+|Modelwatch.+"']
    assert "continue" not in parent
    assert all(receiver["name"].startswith("modelwatch-") for receiver in made["receivers"])
    comment = routing_comment(merge=True)
    assert "as the first one" in comment
    assert all(line.startswith("# ") for line in comment.splitlines())


@pytest.mark.parametrize("merge", [False, True])
def test_receivers_that_are_called_like_ours_stay_apart(merge: bool) -> None:
    mine = {name: {"type": "email", **EMAIL} for name in ("nobody", "watchdog", "modelwatch-nobody", "modelwatch-log")}
    made = alertmanager_config(of(models=[], alerting={"receivers": mine}), PRODUCTION, merge=merge)
    names = [receiver["name"] for receiver in made["receivers"]]
    assert len(names) == len(set(names)) == 7


def inhibitions(cause: str) -> list[dict[str, Any]]:
    """The rules whose source begins, after its severity, like this."""
    rules = alertmanager_config(many(), PRODUCTION)["inhibit_rules"]
    return [rule for rule in rules if rule["source_matchers"][1].startswith(cause)]


def test_only_alerts_about_the_same_finding_of_the_same_model_inhibit_each_other() -> None:
    rules = inhibitions("alertname=~")
    tiers = [(rule["source_matchers"][0], rule["target_matchers"][0]) for rule in rules]
    assert tiers == [
        ('severity="critical"', 'severity=~"info|warning|error"'),
        ('severity="error"', 'severity=~"info|warning"'),
        ('severity="warning"', 'severity="info"'),
    ]
    for rule in rules:
        assert rule["equal"] == ["alertname", "model_id", "model_version", "segment", "metric", *SITE_LABELS]
        assert 'model_id=~".+"' in rule["source_matchers"]
        assert 'model_id=~".+"' in rule["target_matchers"]


def test_drift_of_a_whole_model_mutes_that_of_its_segments_and_not_of_other_models() -> None:
    rules = inhibitions('segment=""')
    drift = "MLModelDataDrift|MLModelPredictionDrift|MLModelMultivariateDrift"
    assert [(rule["source_matchers"][0], rule["target_matchers"][0]) for rule in rules] == [
        (f'severity="{severity}"', muted) for severity, muted in UP_TO
    ]
    for rule in rules:
        assert rule["equal"] == ["alertname", "model_id", "model_version", *SITE_LABELS]
        assert 'segment!=""' in rule["target_matchers"]
        for side in ("source_matchers", "target_matchers"):
            assert {'model_id=~".+"', f'alertname=~"{drift}"'} <= set(rule[side])


UP_TO = (
    ("critical", 'severity=~"info|warning|error|critical"'),
    ("error", 'severity=~"info|warning|error"'),
    ("warning", 'severity=~"info|warning"'),
    ("info", 'severity="info"'),
)
"""What a cause of each severity may mute: nothing that is louder."""


def test_a_checker_that_is_down_mutes_the_staleness_of_all_its_checks_and_nothing_else() -> None:
    assert inhibitions('alertname="ModelwatchDown"') == [
        {
            "source_matchers": [f'severity="{severity}"', 'alertname="ModelwatchDown"', 'component="checks"'],
            "target_matchers": [at_most, 'alertname="ModelwatchCheckStale"'],
            "equal": list(SITE_LABELS),
        }
        for severity, at_most in UP_TO
    ]


def test_a_model_that_is_silent_is_not_also_one_with_little_traffic_unless_that_is_louder() -> None:
    assert inhibitions('alertname="MLModelNoPredictions"') == [
        {
            "source_matchers": [f'severity="{severity}"', 'alertname="MLModelNoPredictions"', 'model_id=~".+"'],
            "target_matchers": [at_most, 'alertname="MLModelTrafficAnomaly"', 'model_id=~".+"'],
            "equal": ["model_id", *SITE_LABELS],
        }
        for severity, at_most in UP_TO
    ]


# ── receivers and times ──────────────────────────────────────────────────────────────────────────────────────────────


def entry(values: Mapping[str, Any], name: str = "x") -> dict[str, Any]:
    receiver = of(models=[], alerting={"receivers": {name: values}}).alerting.receivers[name]
    made = receiver_entry(name, receiver, "http://127.0.0.1:9877/api/v1/alerts")
    [integration] = [value[0] for key, value in made.items() if key.endswith("_configs")]
    assert isinstance(integration, dict)
    return integration


def email(**changed: Any) -> dict[str, Any]:
    return entry({"type": "email", **EMAIL, **changed})


def test_every_receiver_says_whether_it_sends_resolved_messages() -> None:
    made = alertmanager_config(many(), PRODUCTION, deadman_url="https://deadman.example.com/x")
    for receiver in made["receivers"]:
        for key, integrations in receiver.items():
            if key.endswith("_configs"):
                assert integrations[0]["send_resolved"] is (receiver["name"] != "modelwatch-watchdog")


@pytest.mark.parametrize(
    ("changed", "required"),
    [
        ({"tls": "none"}, False),
        ({"tls": "starttls"}, True),
        ({"tls": "auto"}, True),
        ({"tls": "auto", "smtp": "127.0.0.1:25"}, False),
        ({"tls": "auto", "smtp": "localhost:25"}, False),
        ({"tls": "auto", "smtp": "[::1]:25"}, False),
        ({"tls": "auto", "smtp": "localhost:25", "username": "u", "password_file": "/p"}, True),
        # There Alertmanager speaks TLS from the start, and would fail if it had to find STARTTLS inside.
        ({"tls": "tls", "smtp": "smtp.example.com:465"}, False),
        ({"tls": "auto", "smtp": "smtp.example.com:465"}, False),
    ],
)
def test_encryption_follows_the_receiver(changed: dict[str, Any], required: bool) -> None:
    assert email(**changed)["require_tls"] is required


def test_secrets_stand_in_files_only() -> None:
    made = entry({"type": "email", **EMAIL, "username": "mw", "password_file": "/run/secrets/smtp"})
    assert (made["auth_username"], made["auth_password_file"]) == ("mw", "/run/secrets/smtp")
    assert entry({"type": "slack", "url_file": "/run/secrets/slack"})["api_url_file"] == "/run/secrets/slack"
    bot = entry({"type": "slack", "token_file": "/run/secrets/token", "channel": "#ml"})
    assert bot["http_config"] == {"authorization": {"type": "Bearer", "credentials_file": "/run/secrets/token"}}
    assert bot["api_url"] == "https://slack.com/api/chat.postMessage"
    assert "auth_username" not in email()


def test_pagerduty_gets_its_key_from_a_file_and_a_severity_that_it_knows() -> None:
    made = entry({"type": "pagerduty", "routing_key_file": "/run/secrets/pd"})
    assert (made["routing_key_file"], made["send_resolved"]) == ("/run/secrets/pd", True)
    assert made["url"] == "https://events.pagerduty.com/v2/enqueue"
    assert "routing_key" not in made
    assert made["class"] == "{{ .CommonLabels.alertname }}"


def test_a_webhook_is_called_at_its_address() -> None:
    made = entry({"type": "webhook", "url": "https://example.com/hook"})
    assert made == {"url": "https://example.com/hook", "send_resolved": True}


@pytest.mark.parametrize("merge", [False, True])
def test_what_alertmanager_cant_tell_is_left_out_of_the_file(merge: bool) -> None:
    text = to_yaml(alertmanager_config(machines(), PRODUCTION, merge=merge))
    for absent in ("secret-hook", "/run/secrets/hook", "http://am:9093", "url_file"):
        assert absent not in text


def test_addresses_are_written_as_mail_servers_read_them() -> None:
    made = email(to=["Zoë <zoe@example.com>", "Doe, John <john@example.com>", "ops@example.com"], **{"from": None})
    assert made["to"] == '=?utf-8?q?Zo=C3=AB?= <zoe@example.com>, "Doe, John" <john@example.com>, ops@example.com'
    assert (made["from"], made["hello"]) == ("modelwatch@example.com", "example.com")
    assert email(**{"from": "modelwatch <mw@ml.example.com>"})["hello"] == "ml.example.com"
    user = {"from": None, "username": "mw@mail.example.com", "password_file": "/p"}
    assert email(**user)["from"] == "mw@mail.example.com"


def test_a_channel_that_looks_like_a_template_stays_text() -> None:
    channel = entry({"type": "slack", "url_file": "/f", "channel": "#{{ .Status }}"})["channel"]
    assert channel == '#{{ "{{" }} .Status }}'


def test_the_log_goes_where_it_is_told() -> None:
    default, other = (alertmanager_config(of(models=[]), TEST, log_url=url) for url in (None, "http://sidecar:9877/x"))
    assert default["receivers"][0]["webhook_configs"][0]["url"] == "http://127.0.0.1:9877/api/v1/alerts"
    assert other["receivers"][0]["webhook_configs"][0]["url"] == "http://sidecar:9877/x"


def test_one_conversation_per_alert_of_a_model_with_the_times_that_were_asked_for() -> None:
    route = alertmanager_config(of(models=[]), TEST)["route"]
    assert route["group_by"] == ["alertname", "model_id", "model_version", *SITE_LABELS]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("1s", "1s", "1h")
    written = of(models=[], alerting={"repeat_interval": "90m"})
    assert alertmanager_config(written, TEST)["route"]["repeat_interval"] == "1h30m"


# ── warnings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_configuration_without_doubts_has_no_warnings() -> None:
    quiet = of(models=[{"model_id": "m"}], alerting={"mode": "prometheus", "receivers": {"email": EMAIL}})
    assert routing_warnings(quiet) == []


def test_what_was_probably_not_meant_is_said() -> None:
    config = of(
        models=[{"model_id": "m", "alert_channels": ["log", "emial"]}],
        alerting={
            "hourly_cap": 5,
            "receivers": {
                "email": {"to": "a@example.com", "smtp": "smtp.example.com:587"},
                "late": {"type": "email", **EMAIL, "tls": "tls"},
                "bot": {"type": "slack", "token_file": "/t", "channel": "#ml"},
            },
        },
    )
    said = "\n".join(routing_warnings(config))
    for part in (
        "alerting.mode is direct",
        "told twice",
        "alerting.hourly_cap",
        "m: the channel 'emial' has no receiver",
        "m: critical goes to the log only",
        "alerting.receivers.email: no 'from': messages will come from modelwatch@example.com",
        "alerting.receivers.email: tls: auto",
        "alerting.receivers.late: tls: Alertmanager speaks TLS from the start on port 465 only",
        "alerting.receivers.bot: token_file",
    ):
        assert part in said


def test_each_receiver_that_alertmanager_cant_tell_as_modelwatch_does_is_warned_of_once() -> None:
    said = routing_warnings(machines())
    for start, part in (
        ("alerting.receivers.alertmanager: left out", "does not send to an Alertmanager"),
        ("alerting.receivers.secret-hook: left out", "'url_file'"),
        ("alerting.receivers.webhook: a webhook gets the JSON of Alertmanager", "version 4"),
        ("c: critical goes to the log only", "nobody is woken"),
    ):
        [found] = [sentence for sentence in said if sentence.startswith(start)]
        assert part in found
    assert not [sentence for sentence in said if "has no receiver" in sentence or "pagerduty" in sentence]
