"""What Alertmanager's template engine makes of alerts, for e-mail and Slack."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwatch.config import EmailReceiver
from modelwatch_rules.receivers import receiver_entry
from modelwatch_rules.templates import (
    EMAIL_HTML,
    EMAIL_SUBJECT,
    EMAIL_TEXT,
    SLACK_COLOR,
    SLACK_TEXT,
    SLACK_TITLE,
    notification_templates,
)

HOSTILE = 'it\'s "x" \\ {{ $value }} <b>&amp;</b> <!channel> 🚀'
START, END, NEVER = "2026-11-24T02:10:03Z", "2026-11-24T05:15:10.3Z", "0001-01-01T00:00:00Z"
RUNBOOK = "https://docs.example.com/runbooks/MLModelDataDrift.md?a=1&b=2"

Render = Callable[..., str]


@pytest.fixture
def rendered(render_with: Render) -> Render:
    """Render a template for a group of alerts."""
    return lambda name, *alerts: render_with(notification_templates(), name, *alerts)


def alert(severity: str = "error", *, end: str = NEVER, **changed: Any) -> dict[str, Any]:
    labels = {"alertname": "MLModelDataDrift", "model_id": "ad_score", "model_version": "v7", "severity": severity}
    labels |= changed.pop("labels", {})
    annotations = {
        "summary": "2 of 25 inputs drifted (bid_floor, placement).",
        "description": "Drifted most: bid_floor (62 %), placement (31 %)\nHow sure: not chance\nplain line",
        "runbook_url": RUNBOOK,
    } | changed
    return {
        "status": "firing" if end == NEVER else "resolved",
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": START,
        "endsAt": end,
    }


def test_an_email_says_what_where_since_when_and_where_to_look(rendered: Render) -> None:
    assert rendered(EMAIL_SUBJECT, alert()) == (
        "[ERROR] ad_score: 2 of 25 inputs drifted (bid_floor, placement) since Tue 24 Nov 02:10 UTC"
    )
    silence = "http://am.example.com:9093/#/silences/new?filter="
    assert rendered(EMAIL_TEXT, alert()).splitlines() == [
        "ad_score: 2 of 25 inputs drifted (bid_floor, placement) since Tue 24 Nov 02:10 UTC",
        "",
        "Version: v7",
        "Drifted most: bid_floor (62 %), placement (31 %)",
        "How sure: not chance",
        "plain line",
        f"Runbook: {RUNBOOK}",
        f"Silence: {silence}%7Balertname%3D%22MLModelDataDrift%22%2Cmodel_id%3D%22ad_score%22%7D",
    ]
    html = rendered(EMAIL_HTML, alert())
    assert "<strong>ERROR</strong> ad_score: 2 of 25 inputs drifted" in html
    assert "<p><strong>How sure:</strong> not chance</p><p>plain line</p>" in html
    assert f'<a href="{RUNBOOK.replace("&", "&amp;")}">Runbook</a>' in html


def test_slack_has_the_same_facts(rendered: Render) -> None:
    assert rendered(SLACK_TITLE, alert()) == rendered(EMAIL_SUBJECT, alert())
    *facts, links = rendered(SLACK_TEXT, alert()).splitlines()
    assert facts == [
        "*Version:* v7",
        "*Drifted most:* bid_floor (62 %), placement (31 %)",
        "*How sure:* not chance",
        "plain line",
    ]
    assert links.startswith(f"<{RUNBOOK.replace('&', '&amp;')}|Runbook> · <http://am.example.com:9093/#/silences/new")


def test_over_says_how_long_it_lasted_and_repeats_no_old_numbers(rendered: Render) -> None:
    over = alert(end=END)
    title = (
        "[RESOLVED] ad_score: 2 of 25 inputs drifted (bid_floor, placement) since Tue 24 Nov 02:10 UTC;"
        " lasted 3 h 5 min"
    )
    assert rendered(EMAIL_SUBJECT, over) == rendered(SLACK_TITLE, over) == title
    assert rendered(SLACK_TEXT, over) == "*Over since:* Tue 24 Nov 05:15 UTC"
    assert rendered(EMAIL_TEXT, over).splitlines()[1:] == ["", "Over since: Tue 24 Nov 05:15 UTC"]
    assert "<strong>RESOLVED</strong> ad_score" in rendered(EMAIL_HTML, over)
    assert "Drifted most" not in rendered(EMAIL_HTML, over)


@pytest.mark.parametrize(
    ("end", "lasted"),
    [
        ("2026-11-24T02:10:03.2Z", "0 s"),
        ("2026-11-24T02:10:48Z", "45 s"),
        ("2026-11-24T02:11:33Z", "1 min 30 s"),
        ("2026-11-24T02:12:03Z", "2 min"),
        ("2026-11-24T03:10:03Z", "1 h"),
        ("2026-11-24T12:20:04Z", "10 h 10 min"),
        ("2026-11-26T03:40:03Z", "49 h 30 min"),
    ],
)
def test_durations_have_two_units(rendered: Render, end: str, lasted: str) -> None:
    assert rendered(SLACK_TITLE, alert(end=end)).endswith(f"; lasted {lasted}")


def test_of_several_tiers_of_a_finding_the_highest_is_told_once(rendered: Render) -> None:
    tiers = [alert("warning", summary="lower"), alert("error"), alert("warning", summary="lower", end=END)]
    for order in (tiers, tiers[::-1]):
        assert rendered(SLACK_TITLE, *order).startswith("[ERROR] ad_score: 2 of 25 inputs drifted (bid_floor, pl")
        assert "lower" not in rendered(EMAIL_TEXT, *order)
    over = [alert("warning", summary="lower", end=END), alert("error", end=END)]
    assert "lower" not in rendered(EMAIL_TEXT, *over)
    assert "more" not in rendered(EMAIL_SUBJECT, *over)


def test_coming_down_from_a_tier_is_said(rendered: Render) -> None:
    text = rendered(
        SLACK_TEXT, alert("error", labels={"metric": "auc"}), alert("critical", labels={"metric": "auc"}, end=END)
    )
    assert "*No longer critical* (auc) since Tue 24 Nov 05:15 UTC" in text.splitlines()


def test_further_findings_follow_the_worst(rendered: Render) -> None:
    group = [
        alert("warning", labels={"metric": "f1"}, summary="f1 0.70 (floor 0.75).", description="How bad: a little"),
        alert("error", labels={"metric": "auc"}, summary="auc 0.81 (floor 0.85).", description="How bad: rather"),
        alert("error", labels={"metric": "recall"}, summary="recall 0.4 (floor 0.5).", end=END),
    ]
    assert rendered(SLACK_TITLE, *group) == (
        "[ERROR] ad_score: auc 0.81 (floor 0.85), +1 more since Tue 24 Nov 02:10 UTC"
    )
    assert rendered(SLACK_TEXT, *group).splitlines()[:-1] == [
        "*Version:* v7",
        "*How bad:* rather",
        "*WARNING*: f1 0.70 (floor 0.75) since Tue 24 Nov 02:10 UTC",
        "*Version:* v7",
        "*How bad:* a little",
        "*Resolved:* recall 0.4 (floor 0.5); lasted 3 h 5 min",
    ]


def test_many_findings_are_counted_not_listed(rendered: Render) -> None:
    group = [alert(labels={"segment": f"s{i}"}, summary=f"Segment s{i} drifted.") for i in range(15)]
    text = rendered(EMAIL_TEXT, *group)
    assert text.count("Drifted most") == 10
    assert "\n+5 more\n" in text
    assert ", +14 more since" in text.splitlines()[0]


def test_names_and_texts_are_escaped_for_each_medium(rendered: Render) -> None:
    labels = {"model_id": HOSTILE, "model_version": HOSTILE, "segment": HOSTILE}
    group = [
        alert(labels=labels, summary=f"{HOSTILE} drifted.", description=f"Drifted most: {HOSTILE}\n{HOSTILE}"),
        alert(labels={**labels, "segment": "(.*"}, summary="second"),
        alert("critical", labels={**labels, "segment": "(.*"}, end=END),
    ]
    assert rendered(EMAIL_SUBJECT, *group).startswith(f"[ERROR] {HOSTILE}: {HOSTILE} drifted, +1 more since ")
    assert f"\nDrifted most: {HOSTILE}\n{HOSTILE}\n" in rendered(EMAIL_TEXT, *group)
    html = rendered(EMAIL_HTML, *group)
    assert re.findall(r"<(?!/?(?:html|body|p|strong|a)\b)[^>]*>", html) == []
    assert "&lt;!channel&gt;" in html
    for name in (SLACK_TITLE, SLACK_TEXT):
        text = rendered(name, *group)
        assert "<!channel>" not in text
        assert "&lt;b&gt;&amp;amp;&lt;/b&gt; &lt;!channel&gt;" in text
    assert rendered(SLACK_COLOR, *group) == "danger"


def test_a_link_that_is_none_is_left_out(rendered: Render) -> None:
    for address in ("javascript:alert(1)", "https://x.example.com/|a> <!here>", ""):
        assert "Runbook" not in rendered(SLACK_TEXT, alert(runbook_url=address))
        assert "Runbook" not in rendered(EMAIL_HTML, alert(runbook_url=address))


def test_a_subject_stays_on_one_line_of_bearable_length(rendered: Render) -> None:
    subject = rendered(EMAIL_SUBJECT, alert(summary="long\nwords " * 100))
    assert "\n" not in subject
    assert "…" in subject
    assert len(subject) < 300


@pytest.mark.parametrize(
    ("severity", "end", "color"),
    [
        ("critical", NEVER, "danger"),
        ("error", NEVER, "danger"),
        ("warning", NEVER, "warning"),
        ("info", NEVER, "#439FE0"),
        ("page", NEVER, "warning"),
        ("critical", END, "good"),
    ],
)
def test_colours(rendered: Render, severity: str, end: str, color: str) -> None:
    assert rendered(SLACK_COLOR, alert(severity, end=end)) == color


def test_alerts_about_the_monitoring_and_of_strangers_are_readable_too(rendered: Render) -> None:
    own = alert("warning", labels={"alertname": "ModelwatchExposedTwice", "model_id": "", "model_version": ""})
    assert rendered(EMAIL_SUBJECT, own).startswith("[WARNING] modelwatch: 2 of 25")
    strange = alert("", labels={"alertname": "Strange", "model_id": ""}, summary="", description="", runbook_url="")
    assert rendered(EMAIL_SUBJECT, strange) == "[ALERT] Strange since Tue 24 Nov 02:10 UTC"
    assert rendered(SLACK_COLOR, strange) == "warning"
    pages = [alert("page", labels={"instance": i}, summary=f"Page {i}.") for i in ("a", "b")]
    assert "PAGE: Page b since" in rendered(EMAIL_TEXT, *pages)


def test_mails_about_one_alert_of_a_model_are_one_thread_and_of_several_models_one_per_group(
    render_with: Render,
) -> None:
    receiver = EmailReceiver.model_validate({"to": "a@example.com", "smtp": "x.example.com:25"})
    thread = receiver_entry("mail", receiver, "http://log")["email_configs"][0]["headers"]["References"]
    template = f'{{{{ define "thread" }}}}{thread}{{{{ end }}}}'

    def of(*teams: str, by: tuple[str, ...] = ("team",), **labels: str) -> str:
        alerts = [alert(labels={"model_id": f"m{i}", "team": team} | labels) for i, team in enumerate(teams)]
        return render_with(template, "thread", *alerts, group_by=by)

    default = ("alertname", "model_id")
    assert of("a") == of("a", by=default) == "<modelwatch-MLModelDataDrift-6d30@example.com>"
    assert of("a", "a", model_id="m0") == of("a"), "findings of one model"
    assert of("a", "a") == of("a", "a", "a") == "<modelwatch-MLModelDataDrift-61@example.com>"
    assert of("b", "b") == "<modelwatch-MLModelDataDrift-62@example.com>"


@pytest.mark.skipif(not Path("/usr/share/zoneinfo").exists(), reason="no time zone data on this machine")
def test_times_are_in_the_zone_of_the_process(rendered: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, time in (("America/New_York", "Mon 23 Nov 21:10 EST"), ("America/Sao_Paulo", "Mon 23 Nov 23:10 UTC-03")):
        monkeypatch.setenv("TZ", zone)
        assert rendered(EMAIL_SUBJECT, alert()).endswith(f"since {time}")
