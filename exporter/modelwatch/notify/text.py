"""One alert's text, made once and laid out for a subject line, plain text, HTML and Slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelwatch.notify.wording import clean, html_text, safe_url, shorten, slack_code, slack_text

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig

__all__ = ["AlertText", "Draft", "Fact", "ModelFacts", "render"]

_MAX_SUBJECT = 250
_CELL = "padding:2px 12px 2px 0;text-align:left;border-bottom:1px solid #ddd"


@dataclass(frozen=True)
class AlertText:
    """What a person reads.

    Attributes
    ----------
    subject : str
        One line with the level, for an e-mail: ``[ERROR] ad_score: 2 of 25 inputs drifted since 02:10 EST``.
    headline : str
        The same without the level.
    lines : tuple of str
        One fact per line.
    slack : str
        Slack mrkdwn, escaped.
    html : str
        An HTML fragment, escaped.
    links : tuple of (str, str)
        Label and http(s) address: the dashboard, the runbook. They stand in `lines`, too.
    """

    subject: str
    headline: str
    lines: tuple[str, ...] = ()
    slack: str = ""
    html: str = ""
    links: tuple[tuple[str, str], ...] = ()

    @property
    def message(self) -> str:
        """Headline and facts as plain text, one per line: what a handler of the user's own gets as ``message``."""
        return "\n".join((self.headline, *self.lines))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "subject": self.subject,
            "headline": self.headline,
            "lines": list(self.lines),
            "slack": self.slack,
            "html": self.html,
            "links": [list(link) for link in self.links],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> AlertText:
        """Rebuild from :meth:`as_dict`."""
        return cls(
            subject=str(value["subject"]),
            headline=str(value["headline"]),
            lines=tuple(str(line) for line in value["lines"]),
            slack=str(value["slack"]),
            html=str(value["html"]),
            # Alerts that an older release queued have none.
            links=tuple((str(label), str(url)) for label, url in value.get("links", ())),
        )


@dataclass(frozen=True)
class ModelFacts:
    """What is known about the model and its surroundings. None means "not known": nothing is then said about it.

    Attributes
    ----------
    model_id, model_version, owner : str
        Names as configured.
    runbook_url, dashboard_url : str or None
        Shown as links if they are http(s) addresses.
    version_since : float or None
        Unix seconds of the first prediction of this version.
    others : tuple of str or None
        What else is wrong with this model now; empty: latency, errors and traffic were looked at and are normal.
    floors_hold : bool or None
        Whether the configured floors and ceilings hold on real labels.
    previous_alarm_at : float or None
        Unix seconds of the end of the last alarm of this model.
    """

    model_id: str
    model_version: str = ""
    owner: str = ""
    runbook_url: str | None = None
    dashboard_url: str | None = None
    version_since: float | None = None
    others: tuple[str, ...] | None = None
    floors_hold: bool | None = None
    previous_alarm_at: float | None = None

    @classmethod
    def of(cls, config: ModelMonitoringConfig) -> ModelFacts:
        """Return what a model's configuration says about it."""
        return cls(
            model_id=config.model_id,
            model_version=config.model_version or "",
            owner=config.owner or "",
            runbook_url=config.runbook_url,
            dashboard_url=config.dashboard_url,
        )

    def links(self) -> list[tuple[str, str]]:
        """Return (label, address) of the links that are configured and safe to show."""
        found = (("Dashboard", safe_url(self.dashboard_url)), ("Runbook", safe_url(self.runbook_url)))
        return [(label, url) for label, url in found if url]


@dataclass(frozen=True)
class Fact:
    """One labelled sentence; `code` marks a label that is a name, such as a feature's."""

    label: str
    text: str
    code: bool = False


@dataclass
class Draft:
    """The facts of one alert, before they are laid out."""

    facts: ModelFacts
    level: str
    """Upper case: ``ERROR``, ``RESOLVED``."""
    what: str
    """The finding: ``2 of 25 inputs drifted``."""
    names: str = ""
    """The things it is about, already listed: ``distance, carrier``."""
    when: str = ""
    """``since 02:10 EST``."""
    scope: str = ""
    """``1 h window``."""
    details: list[Fact] = field(default_factory=list)
    table: list[Sequence[str]] = field(default_factory=list)
    """Rows of cells, the first one the header; shown in HTML only, where the details of features would be prose."""


def render(draft: Draft) -> AlertText:
    """Lay out a draft; everything in it is cleaned and escaped here, for each medium in its way."""
    names = f" ({draft.names})" if draft.names else ""
    when = f" {draft.when}" if draft.when else ""
    headline = f"{clean(draft.facts.model_id)}: {clean(draft.what)}{clean(names)}{clean(when)}"
    links = draft.facts.links()
    lines = [f"{clean(fact.label)}: {clean(fact.text)}" for fact in _all_facts(draft)]
    return AlertText(
        subject=shorten(f"[{draft.level}] {headline}", _MAX_SUBJECT),
        headline=headline,
        lines=(*lines, *(f"{label}: {url}" for label, url in links)),
        slack=_slack(draft, links),
        html=_html(draft, headline, links),
        links=tuple(links),
    )


def _all_facts(draft: Draft) -> list[Fact]:
    before = [Fact("Version", draft.facts.model_version)] if draft.facts.model_version else []
    window = [Fact("Window", draft.scope.removesuffix(" window"))] if draft.scope else []
    owner = [Fact("Owner", draft.facts.owner)] if draft.facts.owner else []
    return [*before, *window, *draft.details, *owner]


def _slack(draft: Draft, links: Sequence[tuple[str, str]]) -> str:
    version = f" (version {slack_text(draft.facts.model_version)})" if draft.facts.model_version else ""
    when = ", ".join(slack_text(part) for part in (draft.when, draft.scope) if part)
    head = f"*{slack_text(draft.level)}* · {slack_code(draft.facts.model_id)}{version} · *{slack_text(draft.what)}*"
    out = [f"{head} {when}".rstrip()]
    for fact in draft.details:
        label = slack_code(fact.label) if fact.code else f"*{slack_text(fact.label)}*"
        out.append(f"{label}: {slack_text(fact.text)}")
    foot = [f"<{url.replace('&', '&amp;')}|{label}>" for label, url in links]
    if draft.facts.owner:
        foot.append(f"owner {slack_text(draft.facts.owner)}")
    return "\n".join([*out, " · ".join(foot)] if foot else out)


def _html(draft: Draft, headline: str, links: Sequence[tuple[str, str]]) -> str:
    parts = [f'<p style="font-size:1.1em"><strong>{html_text(draft.level)}</strong> {html_text(headline)}</p>']
    prose = [f for f in _all_facts(draft) if not (f.code and draft.table)]
    if draft.table:
        parts.append(_html_table(draft.table))
    parts.extend(f"<p><strong>{html_text(fact.label)}:</strong> {html_text(fact.text)}</p>" for fact in prose)
    if links:
        anchors = " · ".join(f'<a href="{html_text(url)}">{label}</a>' for label, url in links)
        parts.append(f"<p>{anchors}</p>")
    return "\n".join(parts)


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    out = "".join(f'<th style="{_CELL}">{html_text(cell)}</th>' for cell in head)
    lines = [f"<tr>{out}</tr>"]
    for row in body:
        lines.append("<tr>" + "".join(f'<td style="{_CELL}">{html_text(cell)}</td>' for cell in row) + "</tr>")
    return f'<table style="border-collapse:collapse">{"".join(lines)}</table>'
