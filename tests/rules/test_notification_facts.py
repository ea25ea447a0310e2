"""What messages through Alertmanager take from the configuration: owners, links, the site's severities, quiet hours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from modelwatch.config import MonitoringConfig
from modelwatch_rules.generate import RULES_PATH, Options, contents
from modelwatch_rules.routing import conversations_apart
from modelwatch_rules.templates import (
    EMAIL_HTML,
    EMAIL_SUBJECT,
    EMAIL_TEXT,
    PAGERDUTY_SEVERITY,
    PAGERDUTY_URL,
    SLACK_COLOR,
    SLACK_TEXT,
    SLACK_TITLE,
    TIERED_ALERTS,
    notification_templates,
)

Render = Callable[..., str]
NEVER, END = "0001-01-01T00:00:00Z", "2026-11-24T05:15:10Z"
HOSTILE = 'it\'s "x" \\ {{ $value }} <<news>> `}}` <b>&amp;</b> <!channel> 🚀'
RUNBOOK = "https://docs.example.com/MLModelDataDrift.md"
SILENCE = "http://am.example.com:9093/#/silences/new?filter="


def of(*models: dict[str, Any], **alerting: Any) -> MonitoringConfig:
    return MonitoringConfig.model_validate({"models": models, "alerting": alerting})


def alert(severity: str = "error", model_id: str = "m", *, end: str = NEVER, **changed: str) -> dict[str, Any]:
    labels = {"alertname": "MLModelDataDrift", "model_id": model_id, "severity": severity}
    labels |= {"model_version": changed.pop("version")} if "version" in changed else {}
    return {
        "status": "firing" if end == NEVER else "resolved",
        "labels": labels,
        "annotations": {"summary": "2 of 25 inputs drifted.", "runbook_url": RUNBOOK} | changed,
        "startsAt": "2026-11-24T02:10:03Z",
        "endsAt": end,
    }


def text_links(rendered: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in rendered.splitlines()[2:])


# ── owner and links ──────────────────────────────────────────────────────────────────────────────────────────────────

MINE = {
    "owner": "ml-ads",
    "dashboard_url": "https://grafana.example.com/d/x?a=1&b=2",
    "runbook_url": "https://wiki.example.com/m",
}


def test_a_models_own_owner_dashboard_and_runbook_are_in_every_message(render_with: Render) -> None:
    made = notification_templates(of({"model_id": "m", **MINE}))
    links = text_links(render_with(made, EMAIL_TEXT, alert()))
    assert list(links) == ["Owner", "Dashboard", "Runbook", "Silence"]
    assert [links["Owner"], links["Dashboard"], links["Runbook"]] == list(MINE.values())
    assert links["Silence"].startswith(SILENCE)

    foot = render_with(made, SLACK_TEXT, alert())
    assert foot.startswith(
        "<https://grafana.example.com/d/x?a=1&amp;b=2|Dashboard> · <https://wiki.example.com/m|Runbook> · <http://am"
    )
    assert foot.endswith("|Silence> · owner ml-ads")

    html = render_with(made, EMAIL_HTML, alert())
    assert "<p><strong>Owner:</strong> ml-ads</p>" in html
    assert '<a href="https://grafana.example.com/d/x?a=1&amp;b=2">Dashboard</a> · ' in html
    assert '<a href="https://wiki.example.com/m">Runbook</a> · <a href="http://am' in html
    assert render_with(made, PAGERDUTY_URL, alert()) == MINE["dashboard_url"]


def test_what_a_model_does_not_say_comes_from_the_alert(render_with: Render) -> None:
    made = notification_templates(of({"model_id": "m", "owner": "ml-ads"}, {"model_id": "other", **MINE}))
    grafana = {"dashboard_url": "https://grafana.example.com/d/modelwatch?var-model_id=m"}
    assert text_links(render_with(made, EMAIL_TEXT, alert(**grafana))) | {"Silence": ""} == {
        "Owner": "ml-ads",
        "Dashboard": grafana["dashboard_url"],
        "Runbook": RUNBOOK,
        "Silence": "",
    }
    assert list(text_links(render_with(made, EMAIL_TEXT, alert(model_id="unlisted")))) == ["Runbook", "Silence"]
    assert render_with(made, PAGERDUTY_URL, alert()) == "http://am.example.com:9093/#/alerts"
    assert render_with(made, PAGERDUTY_URL, alert(**grafana)) == grafana["dashboard_url"]


def test_versions_have_their_own_and_what_is_about_all_has_what_they_share(render_with: Render) -> None:
    same = {"model_id": "m", "dashboard_url": "https://g.example.com/m"}
    made = notification_templates(
        of({**same, "model_version": "1", "owner": "old"}, {**same, "model_version": "2", "owner": "new"})
    )
    owners = [text_links(render_with(made, EMAIL_TEXT, alert(version=version))).get("Owner") for version in ("1", "2")]
    # An alert of a version has a line about it, before the owner.
    assert owners == ["old", "new"]
    both = text_links(render_with(made, EMAIL_TEXT, alert()))
    assert "Owner" not in both
    assert both["Dashboard"] == "https://g.example.com/m"


def test_names_and_addresses_that_are_hostile_stay_what_they_are(render_with: Render) -> None:
    address = 'https://x.example.com/a b|c<d>"{{e}}`f`'
    made = notification_templates(
        of({"model_id": HOSTILE, "owner": HOSTILE, "dashboard_url": address}, {"model_id": "m", "owner": "mine"})
    )
    text = render_with(made, EMAIL_TEXT, alert(model_id=HOSTILE))
    assert f"\nOwner: {HOSTILE}\n" in text
    assert "\nDashboard: https://x.example.com/a%20b%7Cc%3Cd%3E%22%7B%7Be%7D%7D%60f%60\n" in text
    slack = render_with(made, SLACK_TEXT, alert(model_id=HOSTILE))
    assert "<!channel>" not in slack
    assert 'owner it\'s "x" \\ {{ $value }} &lt;&lt;news&gt;&gt;' in slack
    html = render_with(made, EMAIL_HTML, alert(model_id=HOSTILE))
    assert re.findall(r"<(?!/?(?:html|body|p|strong|a)\b)[^>]*>", html) == []
    assert "\nOwner: mine\n" in render_with(made, EMAIL_TEXT, alert())


def test_what_is_over_asks_nothing_of_anybody(render_with: Render) -> None:
    made = notification_templates(of({"model_id": "m", **MINE}))
    for name in (EMAIL_TEXT, SLACK_TEXT, EMAIL_HTML):
        assert "Dashboard" not in render_with(made, name, alert(end=END))


def test_five_hundred_models_are_no_burden(render_with: Render) -> None:
    made = notification_templates(of(*({"model_id": f"m{i}", "owner": f"team {i}"} for i in range(500))))
    assert "Owner: team 499" in render_with(made, EMAIL_TEXT, alert(model_id="m499"))
    assert "Owner: team 499" not in render_with(made, EMAIL_HTML, alert(model_id="m1"))


def test_a_message_about_several_models_says_which(render_with: Render) -> None:
    text = render_with(notification_templates(), EMAIL_TEXT, alert(), alert("warning", "other"))
    assert text.splitlines()[0].startswith("m: 2 of 25 inputs drifted, +1 more since ")
    assert "\nWARNING: other: 2 of 25 inputs drifted since " in text


# ── the site's severities ────────────────────────────────────────────────────────────────────────────────────────────

PAGE = {"critical": "page", "error": "page", "warning": "ticket"}
DOTS = {"critical": "P.1", "error": "P.2", "warning": "P.3", "info": "P.4"}


@pytest.mark.parametrize(
    ("labels", "severity", "color", "pagerduty"),
    [
        ({}, "critical", "danger", "critical"),
        ({}, "error", "danger", "error"),
        ({}, "warning", "warning", "warning"),
        ({}, "info", "#439FE0", "info"),
        ({}, "page", "warning", "warning"),
        (PAGE, "page", "danger", "critical"),
        (PAGE, "ticket", "warning", "warning"),
        (PAGE, "info", "#439FE0", "info"),
        (PAGE, "critical", "warning", "warning"),
        (DOTS, "P.2", "danger", "error"),
        (DOTS, "P.4", "#439FE0", "info"),
        (DOTS, "Px4", "warning", "warning"),
        ({"info": "warning"}, "warning", "warning", "warning"),
    ],
)
def test_colours_and_pagerdutys_words_follow_the_map(
    render_with: Render, labels: dict[str, str], severity: str, color: str, pagerduty: str
) -> None:
    made = notification_templates(of(severity_map=labels))
    assert render_with(made, SLACK_COLOR, alert(severity)) == color
    assert render_with(made, PAGERDUTY_SEVERITY, alert(severity)) == pagerduty


def test_the_worst_of_the_sites_tiers_leads_and_is_named_as_there(render_with: Render) -> None:
    made = notification_templates(of(severity_map=PAGE))
    tiers = [alert("info", summary="mild"), alert("ticket", summary="middle"), alert("page", summary="worst")]
    for order in (tiers, tiers[::-1]):
        assert render_with(made, EMAIL_SUBJECT, *order).startswith("[PAGE] m: worst since ")
        assert render_with(made, PAGERDUTY_SEVERITY, *order) == "critical"


# ── conversations that quiet hours keep apart ────────────────────────────────────────────────────────────────────────


def test_the_end_of_the_loud_part_is_not_called_the_end_of_the_alert(render_with: Render) -> None:
    config = of(
        {"model_id": "m", "alert_channels": ["chat", 'odd "chat"', "mail"]},
        receivers={
            "chat": {"type": "slack", "url_file": "/f", "min_severity": "warning"},
            'odd "chat"': {"type": "slack", "url_file": "/f", "min_severity": "error"},
            "mail": {"type": "email", "to": "a@example.com", "smtp": "x.example.com:25", "min_severity": "critical"},
        },
        quiet_hours=[{"times": ["22:00-07:00"]}],
    )
    apart = conversations_apart(config, environ={})
    assert {receiver: tiers for receiver, tiers in apart.items() if tiers} == {
        "chat": ("critical",),
        'odd "chat"': ("critical",),
    }
    made = notification_templates(config, apart=apart)

    def level(severity: str, receiver: str, end: str = END, alertname: str = "MLModelDataDrift") -> str:
        one = alert(severity, end=end)
        one["labels"]["alertname"] = alertname
        title = render_with(made, SLACK_TITLE, one, receiver=receiver)
        return title[: title.index("]") + 1]

    for receiver in ("chat", 'odd "chat"'):
        assert level("critical", receiver, NEVER) == "[CRITICAL]"
        assert level("critical", receiver) == "[NO LONGER CRITICAL]"
        assert level("error", receiver) == "[RESOLVED]"
    assert level("critical", "mail") == "[RESOLVED]"
    # What has one severity goes on in no other conversation.
    for alertname in ("MLModelNoPredictions", "MLModelStuckOutput", "ModelwatchCheckFailing", "ModelwatchDown"):
        assert level("critical", "chat", alertname=alertname) == "[RESOLVED]"
    merged = conversations_apart(config, merge=True, environ={})
    assert merged["modelwatch-chat"] == ("critical",)


def test_the_alerts_that_may_go_on_below_are_those_whose_rules_have_several_severities() -> None:
    made = yaml.safe_load(contents(of({"model_id": "m"}), Options(environ={}))[RULES_PATH])
    by_alert: dict[str, set[str]] = {}
    for rule in (rule for group in made["groups"] for rule in group["rules"] if "alert" in rule):
        by_alert.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    assert {alertname for alertname, tiers in by_alert.items() if len(tiers) > 1} == set(TIERED_ALERTS)


def test_without_quiet_hours_nothing_is_apart() -> None:
    config = of({"model_id": "m"}, receivers={"chat": {"type": "slack", "url_file": "/f"}})
    assert not any(conversations_apart(config, environ={}).values())
