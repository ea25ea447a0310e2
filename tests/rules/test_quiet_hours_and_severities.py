"""Quiet hours, the site's own severities and its grouping, in the eyes of Alertmanager's own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import MonitoringConfig
from modelwatch_rules.generate import ALERTMANAGER_FILE, MERGE_FILE, Options, generate
from modelwatch_rules.matchers import SITE_LABELS
from modelwatch_rules.routing import alertmanager_config, expected_receivers, routing_comment, routing_warnings
from modelwatch_rules.timing import PRODUCTION
from modelwatch_rules.validate import check

Amtool = Callable[..., "subprocess.CompletedProcess[str]"]
Receivers = Callable[..., tuple[str, ...]]

NIGHT: dict[str, Any] = {"times": ["22:00-07:00"]}
WEEKEND: dict[str, Any] = {"days": ["saturday", "sunday"], "receivers": ["chat"], "below": "error"}
PAGE = {"critical": "page", "error": "page", "warning": "ticket"}
RECEIVERS: dict[str, Any] = {
    "chat": {"type": "slack", "url_file": "/run/secrets/slack", "min_severity": "warning"},
    "mail": {"type": "email", "to": "a@example.com", "from": "b@example.com", "smtp": "smtp.example.com:25"},
    "pagerduty": {"routing_key_file": "/run/secrets/pagerduty"},
}


def of(**written: Any) -> MonitoringConfig:
    alerting: dict[str, Any] = {"mode": "prometheus", "receivers": RECEIVERS, **written}
    models = [{"model_id": "m", "alert_channels": ["log", "chat", "mail", "pagerduty"]}]
    return MonitoringConfig.model_validate({"timezone": "Europe/Berlin", "models": models, "alerting": alerting})


def routes_of(config: MonitoringConfig, **options: Any) -> list[dict[str, Any]]:
    """The routes of the model."""
    route = alertmanager_config(config, PRODUCTION, **options)["route"]
    top = route["routes"][0] if options.get("merge") else route
    return list(top["routes"][1]["routes"])


def muted(config: MonitoringConfig) -> dict[tuple[str, str], list[str]]:
    """By receiver and matcher, which intervals mute."""
    return {
        (route["receiver"], route["matchers"][0]): route.get("mute_time_intervals", [])
        for route in routes_of(config)[:-1]
    }


# ── quiet hours ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_people_are_left_alone_but_for_what_is_as_bad_as_they_say() -> None:
    night = "modelwatch-quiet-hours-1"
    assert muted(of(quiet_hours=[NIGHT])) == {
        ("log", 'severity=~"info|warning|error|critical"'): [],
        ("chat", 'severity=~"warning|error"'): [night],
        ("chat", 'severity="critical"'): [],
        ("mail", 'severity="error"'): [night],
        ("mail", 'severity="critical"'): [],
        ("pagerduty", 'severity="critical"'): [],
    }


def test_several_quiet_hours_mute_each_what_is_theirs() -> None:
    chat = {key: value for key, value in muted(of(quiet_hours=[NIGHT, WEEKEND])).items() if key[0] == "chat"}
    assert chat == {
        ("chat", 'severity="warning"'): ["modelwatch-quiet-hours-1", "modelwatch-quiet-hours-2"],
        ("chat", 'severity="error"'): ["modelwatch-quiet-hours-1"],
        ("chat", 'severity="critical"'): [],
    }


def test_a_night_is_cut_at_midnight_and_both_parts_know_their_days_and_zone() -> None:
    made = alertmanager_config(of(quiet_hours=[{**NIGHT, "days": ["friday:saturday"]}, WEEKEND]), PRODUCTION)
    where = {"location": "Europe/Berlin"}
    assert made["time_intervals"] == [
        {
            "name": "modelwatch-quiet-hours-1",
            "time_intervals": [
                {"times": [{"start_time": "22:00", "end_time": "24:00"}], "weekdays": ["friday", "saturday"], **where},
                {"times": [{"start_time": "00:00", "end_time": "07:00"}], "weekdays": ["saturday", "sunday"], **where},
            ],
        },
        {
            "name": "modelwatch-quiet-hours-2",
            "time_intervals": [
                {"times": [{"start_time": "00:00", "end_time": "24:00"}], "weekdays": ["saturday", "sunday"], **where}
            ],
        },
    ]


def test_without_quiet_hours_there_are_no_intervals_and_without_a_zone_it_is_utc() -> None:
    assert "time_intervals" not in alertmanager_config(of(), PRODUCTION)
    config = MonitoringConfig.model_validate({"alerting": {"quiet_hours": [NIGHT]}})
    [interval] = alertmanager_config(config, PRODUCTION)["time_intervals"]
    assert {part["location"] for part in interval["time_intervals"]} == {"UTC"}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", None])
@pytest.mark.parametrize("merge", [False, True], ids=["whole", "merge"])
def test_rules_check_takes_what_quiet_hours_make(
    merge: bool, zone: str | None, tmp_path: Path, require_server: Callable[[str], str]
) -> None:
    require_server("amtool")
    quiet = [NIGHT, WEEKEND, {"times": ["00:00-06:30", "23:15-24:00"], "days": ["sunday:tuesday"]}]
    config = of(quiet_hours=quiet, severity_map=PAGE, grouping={"by": ["..."]})
    generate(config.model_copy(update={"timezone": zone}), tmp_path, Options(merge=merge))
    found = check(tmp_path)
    assert [(checked.outcome, checked.output) for checked in found if checked.outcome != "ok"] == []
    text = (tmp_path / (MERGE_FILE if merge else ALERTMANAGER_FILE)).read_text("utf-8")
    assert ("#   time_intervals add the entries to its `time_intervals`" in text) is merge


def test_quiet_hours_join_those_of_the_site(tmp_path: Path, amtool: Amtool, receivers_of: Receivers) -> None:
    ours = alertmanager_config(of(quiet_hours=[NIGHT]), PRODUCTION, merge=True)
    theirs = {"name": "offhours", "time_intervals": [{"weekdays": ["sunday"]}]}
    whole = {
        **ours,
        "route": {
            "receiver": "team",
            "routes": [
                *ours["route"]["routes"],
                {"receiver": "team", "matchers": ['team="x"'], "mute_time_intervals": ["offhours"]},
            ],
        },
        "receivers": [{"name": "team"}, *ours["receivers"]],
        "time_intervals": [theirs, *ours["time_intervals"]],
        "templates": [],
    }
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(whole), "utf-8")
    assert amtool("check-config", str(path)).returncode == 0
    assert receivers_of(path, alertname="Theirs", team="x", severity="critical") == ("team",)
    assert receivers_of(path, alertname="MLModelDataDrift", model_id="m", severity="error") == (
        "modelwatch-log", "modelwatch-chat", "modelwatch-mail",
    )  # fmt: skip


def test_what_alertmanager_forgets_is_said_in_the_file_and_where_it_hurts_in_a_warning() -> None:
    assert "of what ends in them Alertmanager says nothing" in routing_comment(quiet_hours=True)
    assert "uiet hours" not in routing_comment()
    pager = of(quiet_hours=[NIGHT, {**NIGHT, "receivers": ["pagerduty"]}])
    [said] = [sentence for sentence in routing_warnings(pager, environ={}) if "quiet_hours" in sentence]
    assert said.startswith("alerting.quiet_hours[1]: pagerduty: Alertmanager forgets what ends in quiet hours")


# ── severities of the site ───────────────────────────────────────────────────────────────────────────────────────────


MAPS: Mapping[str, dict[str, str]] = {
    "kube-prometheus": {"error": "critical"},
    "page and ticket": PAGE,
    "with dots": {"critical": "P.1", "error": "P.2", "warning": "P.3", "info": "P.4"},
    "shifted": {"warning": "info", "error": "warning"},
    "all one": dict.fromkeys(("info", "warning", "error", "critical"), "alert"),
}


@pytest.mark.parametrize("name", MAPS)
def test_alerts_with_the_sites_severities_go_where_ours_would(
    name: str, tmp_path: Path, receivers_of: Receivers
) -> None:
    labels = MAPS[name]
    config, plain = of(severity_map=labels, quiet_hours=[NIGHT]), of()
    generate(config, tmp_path, Options(environ={}))
    for severity in ("info", "warning", "error", "critical"):
        label = labels.get(severity, severity)
        found = receivers_of(tmp_path / ALERTMANAGER_FILE, alertname="MLModelDataDrift", model_id="m", severity=label)
        assert found == expected_receivers(config, "m", severity, environ={})
        assert set(found) >= set(expected_receivers(plain, "m", severity, environ={})), "nobody is forgotten"
        if label not in ("info", "warning", "error", "critical"):
            assert found == expected_receivers(config, "m", label, environ={})


def test_a_channel_that_is_told_of_one_of_two_severities_is_told_of_their_label() -> None:
    config = of(severity_map={"error": "critical"})
    assert expected_receivers(config, "m", "error", environ={}) == ("log", "chat", "mail", "pagerduty")
    assert expected_receivers(of(), "m", "error", environ={}) == ("log", "chat", "mail")


def test_an_alert_with_our_word_where_the_site_has_another_is_a_strangers(
    tmp_path: Path, receivers_of: Receivers
) -> None:
    generate(of(severity_map=PAGE), tmp_path, Options(environ={}))
    labels = {"alertname": "MLModelDataDrift", "model_id": "m", "severity": "critical"}
    assert receivers_of(tmp_path / ALERTMANAGER_FILE, **labels) == ("log",)


def pairs(labels: dict[str, str], cause: str) -> list[tuple[str, str]]:
    """Which severity mutes which, by the rules whose source begins like this."""
    rules = alertmanager_config(of(severity_map=labels), PRODUCTION)["inhibit_rules"]
    named = (rule for rule in rules if rule["source_matchers"][1].startswith(cause))
    return [(rule["source_matchers"][0], rule["target_matchers"][0]) for rule in named]


def test_a_cause_mutes_nothing_louder_under_the_sites_names() -> None:
    for cause in ('alertname="MLModelNoPredictions"', 'alertname="ModelwatchDown"'):
        assert pairs(PAGE, cause) == [
            ('severity="page"', 'severity=~"info|ticket|page"'),
            ('severity="ticket"', 'severity=~"info|ticket"'),
            ('severity="info"', 'severity="info"'),
        ]
        assert pairs(MAPS["all one"], cause) == [('severity="alert"', 'severity="alert"')]


def test_tiers_inhibit_each_other_under_the_sites_names() -> None:
    def tiers(labels: dict[str, str]) -> list[tuple[str, str]]:
        return pairs(labels, "alertname=~")

    assert tiers(PAGE) == [('severity="page"', 'severity=~"info|ticket"'), ('severity="ticket"', 'severity="info"')]
    assert tiers(MAPS["with dots"])[0] == ('severity="P.1"', 'severity=~"P\\\\.4|P\\\\.3|P\\\\.2"')
    assert tiers(MAPS["all one"]) == []


def test_what_shares_the_label_of_something_loud_is_loud_and_that_is_said() -> None:
    config = of(severity_map=PAGE, quiet_hours=[NIGHT])
    assert muted(config)["chat", 'severity="page"'] == []
    [said] = [sentence for sentence in routing_warnings(config, environ={}) if "quiet_hours" in sentence]
    assert said == (
        "alerting.quiet_hours[0]: what is below critical is to be quiet, but error will get through Alertmanager by the"
        " label 'page', which critical has too"
    )


# ── grouping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def grouping(**written: Any) -> tuple[Any, Any, Any]:
    route = alertmanager_config(of(grouping=written), PRODUCTION)["route"]
    return route["group_by"], route["group_wait"], route["group_interval"]


def test_grouping_goes_over_the_default_part_by_part_and_sites_stay_apart() -> None:
    default = ["alertname", "model_id", "model_version", *SITE_LABELS]
    assert grouping() == (default, "30s", "5m")
    assert grouping(wait="0s", interval="90s") == (default, "0s", "1m30s")
    assert grouping(by=["team", "cluster"])[0] == ["team", "cluster", "env", "environment", "namespace", "region"]
    assert grouping(by=["..."])[0] == ["..."]
    assert grouping(by=[])[0] == list(SITE_LABELS)


def test_grouping_that_cannot_do_what_it_says_is_warned_of() -> None:
    def said(mode: str, **written: Any) -> str:
        return "\n".join(routing_warnings(of(mode=mode, grouping=written), environ={}))

    assert "grouping" not in said("prometheus", by=["alertname", "model_id", "team"])
    assert "grouping" not in said("prometheus", by=["..."])
    assert "a message that modelwatch sends by itself is about one alert" in said("direct", wait="1m")
    assert "grouping.by is without model_id: one message will be about several models of the same people" in said(
        "prometheus", by=["alertname"]
    )
    assert "grouping.by is without alertname and model_id: one message will be about several alerts" in said(
        "prometheus", by=["team"]
    )


def of_grouping(label: str) -> list[str]:
    """What is said of one more label."""
    config = of(grouping={"by": ["alertname", "model_id", label]})
    return [said for said in routing_warnings(config, environ={}) if "grouping" in said]


@pytest.mark.parametrize(
    ("slip", "meant"), [("modelid", "model_id"), ("Model_ID", "model_id"), ("alert_name", "alertname"), ("ENV", "env")]
)
def test_a_label_that_is_nearly_one_of_ours_is_asked_about(slip: str, meant: str) -> None:
    assert of_grouping(slip) == [f"alerting.grouping.by: {slip!r} is no label of ours (did you mean {meant!r}?)"]


@pytest.mark.parametrize("label", ["team", "owner", "model_type", "severity", "cluster", "instance", "tier"])
def test_a_label_of_ours_or_of_the_site_is_not_asked_about(label: str) -> None:
    assert of_grouping(label) == []
