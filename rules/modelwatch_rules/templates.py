"""The texts that Alertmanager sends, as a template file: e-mail, Slack and PagerDuty say what the direct messages say.

Facts come from the annotations `summary`, `description` (one fact a line, ``Label: text``), `runbook_url` and
`dashboard_url`, and from the configuration of the model. One message is about one alert name of one model, unless a
site groups otherwise: its first sentence is the worst finding, further findings follow, and of several tiers of the
same finding only the highest is told.

Written for Alertmanager 0.25, whose templates know no time zones by name (times are in the zone of the process,
``TZ``), no clock (so the date is always written), no arithmetic, no splitting of lines and no trimming.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.policy import Severity, severities_by_label
from modelwatch_rules.about import ABOUT, about_template, go_string
from modelwatch_rules.versions import ALERTMANAGER, Version

__all__ = [
    "EMAIL_HTML",
    "EMAIL_SUBJECT",
    "EMAIL_TEXT",
    "PAGERDUTY_SEVERITY",
    "PAGERDUTY_URL",
    "SLACK_COLOR",
    "SLACK_TEXT",
    "SLACK_TITLE",
    "TEMPLATE_FILE",
    "TIERED_ALERTS",
    "call",
    "notification_templates",
]

TEMPLATE_FILE = "modelwatch.tmpl"
EMAIL_SUBJECT = "modelwatch.email.subject"
EMAIL_TEXT = "modelwatch.email.text"
EMAIL_HTML = "modelwatch.email.html"
SLACK_TITLE = "modelwatch.slack.title"
SLACK_TEXT = "modelwatch.slack.text"
SLACK_COLOR = "modelwatch.slack.color"
PAGERDUTY_SEVERITY = "modelwatch.pagerduty.severity"
PAGERDUTY_URL = "modelwatch.pagerduty.url"

TIERED_ALERTS = (
    c.ALERT_DATA_DRIFT,
    c.ALERT_PREDICTION_DRIFT,
    c.ALERT_LATENCY_HIGH,
    c.ALERT_ERROR_RATE_HIGH,
    c.ALERT_BELOW_FLOOR,
    c.ALERT_ABOVE_CEILING,
    c.ALERT_BUDGET_BURN,
)
"""What fires at several severities at once: where the highest ends, a lower one may go on. Any other is over then."""

_MAX_SUMMARY = 180
"""Characters of a summary in a subject line; names are at most 200, and a header line must stay below 998."""

_MOST = 10
"""Findings that are written out in one message."""

# The same three characters mean something in HTML text and to Slack.
_ESCAPE = r"""| reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;" """
_LABEL = r"(?m)^([A-Z][A-Za-z ]{0,30}):"

_Dialect = Mapping[str, str]
_PLAIN: _Dialect = MappingProxyType(
    {
        "escape": "",
        "lines": "",
        "gap": r"""{{ "\n" }}""",
        "par": "",
        "rap": r"""{{ "\n" }}""",
        "b": "",
        "/b": "",
        "kind": "text",
    },
)
_SLACK: _Dialect = MappingProxyType(
    {
        **_PLAIN,
        "kind": "slack",
        "escape": _ESCAPE,
        "lines": rf"""{_ESCAPE} | reReplaceAll `{_LABEL}` "*${{1}}:*" """,
        "gap": "",
        "b": "*",
        "/b": "*",
    }
)
_HTML: _Dialect = MappingProxyType(
    {
        # Values are escaped by the template engine, by where they stand; only lines are made into markup by hand.
        "escape": "",
        "lines": rf"""{_ESCAPE} | reReplaceAll `{_LABEL}` "<strong>${{1}}:</strong>" """
        r"""| reReplaceAll `\s*\n\s*` "</p><p>" | safeHtml""",
        "gap": "",
        "par": "<p>",
        "rap": "</p>",
        "kind": "html",
        "b": "<strong>",
        "/b": "</strong>",
    }
)

# What several templates need. A template can't hand a value back to its caller, so it is written out in each.
_FRAGMENTS: Mapping[str, str] = MappingProxyType(
    {
        # $news: what this message is about, what fires or else what is over.
        "news": r"""
{{ $news := .Alerts.Resolved }}{{ $firing := false }}{{ $seen := "" }}{{ $count := "" }}
{{ if .Alerts.Firing }}{{ $news = .Alerts.Firing }}{{ $firing = true }}{{ end }}
{{ $lead := index $news 0 }}
<<each>>{{ if eq $count "." }}{{ $lead = . }}{{ end }}<<end>>
""",
        # Each finding of $news once, worst tier first, severities of other people's making last.
        "each": r"""
{{ range $severity := stringSlice <<tiers>> "" }}{{ range $news }}
{{ if or (not $severity) (eq .Labels.severity $severity) }}{{ $key := <<key>> }}
{{ if not (match $key $seen) }}{{ $seen = print $seen $key }}{{ $count = print $count "." }}
""",
        "again": r"""{{ $seen = "" }}{{ $count = "" }}<<each>>""",
        "end": r"""{{ end }}{{ end }}{{ end }}{{ end }}""",
        # A finding's labels but for the tier, in hex, so that any of them is harmless as a pattern.
        "key": r"""printf ",%x," (join "\x1f" (.Labels.Remove (stringSlice "severity")).SortedPairs.Values)""",
        "summary": r"""or .Annotations.summary .Labels.alertname"""
        r""" | reReplaceAll `\s+` " " | reReplaceAll `\.? ?$` "" """,
        "level": r"""
{{ if not $firing }}<<over_word>>{{ else }}{{ or $lead.Labels.severity "alert" | toUpper <<escape>> }}{{ end }}
""",
        "headline": r"""
{{ with $lead }}{{ with .Labels.model_id }}{{ . <<escape>> }}{{ ": " }}
{{ else }}{{ if match "^Modelwatch" .Labels.alertname }}{{ "modelwatch: " }}{{ end }}{{ end }}
{{ <<summary>> | reReplaceAll `^(.{<<max>>}).+$` "${1}…" <<escape>> }}{{ end }}
{{ if gt (len $count) 1 }}{{ print ", +" (len (slice $count 1)) " more" }}{{ end }}
{{ " since " }}{{ template "modelwatch.time" $lead.StartsAt }}
{{ if not $firing }}{{ "; lasted " }}{{ template "modelwatch.lasted" $lead }}{{ end }}
""",
        "facts": r"""
{{ with .Labels.model_version }}<<par>><<b>>Version:<</b>> {{ . <<escape>> }}<<rap>>{{ end }}
{{ with .Labels.segment }}<<par>><<b>>Segment:<</b>> {{ . <<escape>> }}<<rap>>{{ end }}
{{ with .Annotations.description }}<<par>>{{ . | reReplaceAll `^\s+|\s+$` "" <<lines>> }}<<rap>>{{ end }}
""",
        "further": r"""
{{ if gt (len $count) 1 }}<<par>><<b>>{{ or .Labels.severity "also" | toUpper <<escape>> }}<</b>>{{ ": " }}
{{ if ne .Labels.model_id $lead.Labels.model_id }}{{ .Labels.model_id <<escape>> }}{{ ": " }}{{ end }}
{{ <<summary>> <<escape>> }}{{ " since " }}{{ template "modelwatch.time" .StartsAt }}<<rap>>{{ end }}
""",
        # One finding of the message; what it measured is old news once it is over.
        "finding": r"""
<<further>>{{ if $firing }}<<facts>>{{ else }}<<par>><<b>>Over since:<</b>>{{ " " }}
{{ template "modelwatch.time" .EndsAt }}<<rap>>{{ end }}
""",
        "findings": r"""
<<again>>{{ if le (len $count) <<most>> }}<<gap>><<finding>>{{ end }}<<end>>
{{ if gt (len $count) <<most>> }}<<par>>{{ print "+" (len (slice $count <<most>>)) " more" }}<<rap>>{{ end }}
""",
        # While something fires: which findings are over, and which are no longer as bad as they were.
        "over": r"""
{{ if $firing }}{{ $told := $seen }}{{ $news = .Alerts.Resolved }}<<again>><<par>>
{{ if match $key $told }}<<b>>No longer {{ .Labels.severity <<escape>> }}<</b>>
{{ range stringSlice .Labels.metric .Labels.segment }}{{ with . }} ({{ . <<escape>> }}){{ end }}{{ end }}
{{ " since " }}{{ template "modelwatch.time" .EndsAt }}
{{ else }}<<b>>Resolved:<</b>> {{ <<summary>> <<escape>> }}{{ "; lasted " }}
{{ template "modelwatch.lasted" . }}{{ end }}
<<rap>><<end>>{{ end }}
""",
        # A silence, filled in: "%q" quotes as matchers do. Behind the "#" a blank must not become a plus sign.
        "links": r"""
{{ $runbook := "" }}{{ with $lead.Annotations.runbook_url }}{{ if match <<url>> . }}{{ $runbook = . }}{{ end }}{{ end }}
{{ $dashboard := "" }}
{{ with $lead.Annotations.dashboard_url }}{{ if match <<url>> . }}{{ $dashboard = . }}{{ end }}{{ end }}
{{ $filter := printf "{alertname=%q}" $lead.Labels.alertname }}
{{ with $lead.Labels.model_id }}{{ $filter = printf "{alertname=%q,model_id=%q}" $lead.Labels.alertname . }}{{ end }}
{{ $filter = urlquery $filter }}
{{ $silence := reReplaceAll `\+` "%20" $filter | printf "%s/#/silences/new?filter=%s" .ExternalURL }}
""",
        "url": r"""`^https?://[^\s|<>"]+$`""",
        "foot": r"""
<<links>>{{ if $firing }}{{ $of := $lead.Labels }}
{{ template "<<about>>" stringSlice "<<kind>>" $of.model_id $of.model_version $dashboard $runbook $silence }}{{ end }}
""",
    }
)

_TIME = r"""{{ .Local.Format "Mon 2 Jan 15:04 MST" | reReplaceAll ` ([+-][0-9]+)$` " UTC${1}" }}"""

# From "3h5m2s" to the two largest units, "3 h 5 min"; Go writes every unit below the largest.
_LASTED = r"""
{{ $text := ((.EndsAt.Sub .StartsAt).Round 1000000000).String }}
{{ $text = $text | reReplaceAll "(h[0-9]+m).*" "${1}" | reReplaceAll "h0m" "h" | reReplaceAll "m0s" "m" }}
{{ $text | reReplaceAll "([hms])" " ${1} " | reReplaceAll "m " "min " | reReplaceAll `^\s+|\s+$` "" }}
"""

_SUBJECT = r"""<<news>>[<<level>>]{{ " " }}<<headline>>"""

_TEXT_BODY = r"""
<<news>><<headline>>{{ "\n" }}
<<findings>><<over>><<foot>>
"""

_SLACK_BODY = r"""
<<news>><<findings>><<over>><<foot>>
"""

_COLOR = r"""
<<news>>{{ if not $firing }}good{{ else if eq $lead.Labels.severity <<danger>> }}danger
{{- else if eq $lead.Labels.severity <<calm>> }}#439FE0{{ else }}warning{{ end }}
"""

_HTML_BODY = r"""
<html><body style="font-family:sans-serif">
<<news>><p style="font-size:1.1em"><strong><<level>></strong> <<headline>></p>
<<findings>><<over>><<foot>>
</body></html>
"""

_PAGERDUTY_URL = r"""
<<news>>{{ $silence := print .ExternalURL "/#/alerts" }}{{ $runbook := "" }}{{ $dashboard := "" }}
{{ with $lead.Annotations.dashboard_url }}{{ if match <<url>> . }}{{ $dashboard = . }}{{ end }}{{ end }}
{{ $of := $lead.Labels }}
{{ template "<<about>>" stringSlice "url" $of.model_id $of.model_version $dashboard $runbook $silence }}
"""

# The worst tier that fires, or else that is over; PagerDuty refuses all but these four words.
_PAGERDUTY_SEVERITY = r"""
<<news>>{{ if eq $lead.Labels.severity <<worst>> }}critical{{ else if eq $lead.Labels.severity <<danger>> }}error
{{- else if eq $lead.Labels.severity <<calm>> }}info{{ else }}warning{{ end }}
"""

_TEMPLATES: tuple[tuple[str, str, _Dialect], ...] = (
    ("modelwatch.time", _TIME, _PLAIN),
    ("modelwatch.lasted", _LASTED, _PLAIN),
    (EMAIL_SUBJECT, _SUBJECT, _PLAIN),
    (EMAIL_TEXT, _TEXT_BODY, _PLAIN),
    (EMAIL_HTML, _HTML_BODY, _HTML),
    (SLACK_TITLE, _SUBJECT, _SLACK),
    (SLACK_TEXT, _SLACK_BODY, _SLACK),
    (SLACK_COLOR, _COLOR, _SLACK),
    (PAGERDUTY_SEVERITY, _PAGERDUTY_SEVERITY, _PLAIN),
    (PAGERDUTY_URL, _PAGERDUTY_URL, _PLAIN),
)


def notification_templates(
    config: MonitoringConfig | None = None,
    *,
    apart: Mapping[str, Sequence[str]] = MappingProxyType({}),
    version: Version = ALERTMANAGER,
) -> str:
    """Return the content of the template file (:data:`TEMPLATE_FILE`) that the generated receivers refer to.

    Everything that names, numbers or labels can hold is escaped for its medium.

    Parameters
    ----------
    config : MonitoringConfig or None
        Its models, with their owners and links, and what the site calls severities.
    apart : mapping of str to sequence of str
        By receiver, the tiers that it is told of in a conversation apart from that about lower ones: of an alert that
        fires at several at once, the end of such a conversation is not the end.
    version : Version
        Of Alertmanager.
    """
    given = config or MonitoringConfig()
    words = _words(severities_by_label(given.alerting.severity_map), apart)
    comment = f"Notifications of modelwatch, for Alertmanager {version} and later. Generated: changes are lost."
    parts = [f"{{{{/* {comment} */}}}}", about_template(given, _ESCAPE)]
    for name, body, dialect in _TEMPLATES:
        text = _expand(body.strip(), {**_FRAGMENTS, **dialect, **words})
        parts.append(f'{{{{ define "{name}" -}}}}\n{_layout(text)}\n{{{{- end }}}}')
    return "\n\n".join(parts) + "\n"


def _words(worst_of: Mapping[str, Severity], apart: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what depends on the site: what tiers are called there, and who hears of them in several conversations."""
    tiers = sorted(worst_of, key=lambda label: -worst_of[label])

    def named(*severities: Severity) -> str:
        # No label is a blank: that stands for none where there is none.
        return " ".join(go_string(tier) for tier in tiers if worst_of[tier] in severities) or '" "'

    cases = [
        f"{{{{ else if and (eq $.Receiver {go_string(receiver)})"
        f" (eq $lead.Labels.severity {' '.join(map(go_string, above))}) }}}}"
        '{{ print "no longer " $lead.Labels.severity | toUpper }}'
        for receiver, above in apart.items()
        if above
    ]
    over = f"{{{{ if not (eq $lead.Labels.alertname {' '.join(map(go_string, TIERED_ALERTS))}) }}}}RESOLVED"
    return {
        "about": ABOUT,
        "tiers": " ".join(map(go_string, tiers)),
        "worst": named(Severity.CRITICAL),
        "danger": named(Severity.ERROR, Severity.CRITICAL),
        "calm": named(Severity.INFO),
        "over_word": f"{over}{''.join(cases)}{{{{ else }}}}RESOLVED{{{{ end }}}}" if cases else "RESOLVED",
        "max": str(_MAX_SUMMARY),
        "most": str(_MOST),
    }


def call(name: str) -> str:
    """Return what a receiver's field holds to get its text from a template.

    >>> call(SLACK_TITLE)
    '{{ template "modelwatch.slack.title" . }}'
    """
    return f'{{{{ template "{name}" . }}}}'


def _expand(text: str, known: Mapping[str, str]) -> str:
    while (expanded := re.sub(r"<<(/?\w+)>>", lambda found: known[found[1]].strip("\n"), text)) != text:
        text = expanded
    return text


def _layout(text: str) -> str:
    r"""Keep the line breaks of the source out of the message, where they are written as ``{{ "\n" }}``."""
    return re.sub(r"(?<!\}\})\n\{\{(?!-)", "\n{{-", re.sub(r"\s*\}\}\n", " -}}\n", text))
