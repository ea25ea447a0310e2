"""The status page: what is watched, how it is, and why."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jinja2

from modelwatch import __version__
from modelwatch.drift.report import called
from modelwatch.notify.wording import clock_time, duration, listing, safe_url
from modelwatch.policy import Severity
from modelwatch.service.learning import AUTO
from modelwatch.service.silences import scope_words
from modelwatch.sidecar.watch import Watch

if TYPE_CHECKING:
    from modelwatch.service.models import RegisteredModel
    from modelwatch.store import ActiveAlert, Silence, StoredModel, StoredResult

__all__ = ["render_page"]

STALE_FACTOR = 3.0
STATE_WORDS = {
    "ok": "no drift",
    "drift": "drift",
    "held": "held: too few rows to tell, the severity before stays",
    "learning": "learning",
    "warming_up": "warming up",
    "insufficient_data": "not enough data",
    "insufficient_labels": "not enough labels",
    "no_reference": "no reference",
    "failed": "failed",
}
HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"


@dataclass(frozen=True)
class FamilyRow:
    """One kind of drift of one model version, in words."""

    name: str
    words: str
    reason: str
    severity: str
    features: str


@dataclass(frozen=True)
class ModelRow:
    """One model version, in words."""

    model_id: str
    version: str
    health: str
    reasons: list[str]
    severity: str
    families: list[FamilyRow]
    reference: str
    last_prediction: str
    last_check: str
    next_check: str
    warnings: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    owner: str = ""


@dataclass(frozen=True)
class _Known:
    """What the store says, read once for a page."""

    watch: Watch
    now: float
    next_check: Callable[[str], float | None]
    results: dict[tuple[str, str], StoredResult]
    stored: dict[tuple[str, str], StoredModel]
    alerts: list[ActiveAlert]

    def when(self, moment: float | None, absent: str) -> str:
        """Return a moment as local time and how long ago or ahead it is."""
        if moment is None:
            return absent
        distance = moment - self.now
        length = duration(float(round(abs(distance))))
        words = "now" if abs(distance) < 1 else f"in {length}" if distance > 0 else f"{length} ago"
        return f"{clock_time(moment, self.now, self.watch.config.timezone)} ({words})"


def render_page(watch: Watch, next_check: Callable[[str], float | None], last_scrape: float | None) -> str:
    """
    Return the page as HTML; every text in it is escaped.

    Parameters
    ----------
    watch
        What is watched.
    next_check
        Returns when a model is checked next, in seconds since the epoch, or None.
    last_scrape
        When ``/metrics`` was read last, in seconds since the epoch; None for never.
    """
    now = watch.clock()
    known = _Known(
        watch,
        now,
        next_check,
        {(r.model_id, r.model_version): r for r in watch.store.latest_results()},
        {(m.model_id, m.model_version): m for m in watch.store.models()},
        watch.store.active_alerts(),
    )
    rows = sorted((_row(known, model) for model in watch.models()), key=lambda row: (row.model_id, row.version))
    config = watch.config.source
    return _template().render(
        version=__version__,
        rows=rows,
        folder=str(watch.folder),
        folder_quoted=shlex.quote(str(watch.folder)),
        config="none" if config is None else str(config),
        reload_failed=not watch.reload_ok,
        loaded=known.when(watch.loaded_at, ""),
        started=known.when(watch.started_at, ""),
        owner=watch.owner,
        told_by="Prometheus and Alertmanager" if watch.config.alerting.mode == "prometheus" else "modelwatch itself",
        receivers="; ".join([listing(sorted(watch.routes.channels), 10), *watch.routes.problems()]),
        last_scrape=known.when(last_scrape, "never since it started"),
        silences=[_silence_words(known, silence) for silence in watch.store.silences(now)],
        shown=clock_time(now, now, watch.config.timezone),
    )


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("modelwatch.sidecar")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["visible"] = _visible
    return environment.get_template("status.html")


def _visible(text: object) -> str:
    r"""Return text with what can't be seen, or turns the reading direction, written out.

    >>> print(_visible("ad\u202escore"))
    ad\u202escore
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def _silence_words(known: _Known, silence: Silence) -> str:
    by = f", by {silence.created_by}" if silence.created_by else ""
    why = f": {silence.comment}" if silence.comment else ""
    return f"{scope_words(silence)}, until {known.when(silence.ends_at, '')}{by}{why}"


def _row(known: _Known, model: RegisteredModel) -> ModelRow:
    config = model.config
    key = (config.model_id, config.model_version)
    checked, stored = _result_of(known, model), known.stored.get(key)
    mine = [a for a in known.alerts if a.model_id == config.model_id and _belongs(known, a, model)]
    worst = max((a.severity for a in mine), default=Severity.NONE)
    problems = [a.message.partition("\n")[0].removeprefix(f"{config.model_id}: ") for a in mine]
    problems += _stale(known, config.model_id, checked) + known.watch.routes.warnings(config)
    families = [_family(name, family) for name, family in _families(checked).items()]
    severity = max((int(f.get("severity", 0)) for f in _families(checked).values()), default=0)
    profile = str((checked.result or {}).get("profile_id") or "")[:8] if checked is not None else ""
    links = (("Dashboard", config.dashboard_url), ("Runbook", config.runbook_url))
    return ModelRow(
        model_id=config.model_id,
        version=config.model_version if checked is None else checked.model_version,
        health=UNHEALTHY if worst >= Severity.ERROR else DEGRADED if problems else HEALTHY,
        reasons=problems,
        severity=Severity(severity).label,
        families=families,
        reference=_reference(known, model, profile),
        last_prediction=known.when(stored.last_prediction_at if stored is not None else None, "none yet"),
        last_check=known.when(checked.checked_at if checked is not None else None, "none yet")
        + ("" if checked is None or checked.ok else ", failed"),
        next_check=known.when(known.next_check(config.model_id), "not here"),
        warnings=list(model.warnings),
        links=[(label, url) for label, given in links if (url := safe_url(given))],
        owner=config.owner or "",
    )


def _reference(known: _Known, model: RegisteredModel, checked: str) -> str:
    """Return what a model is compared with; `checked` is what its last check used, which is the application's word."""
    if checked and model.followed is None:
        return f"profile {checked}"
    learning = model.profile is None and model.config.reference == AUTO
    progress = known.watch.jobs.learner.progress(model.config.model_id) if learning else None
    return known.watch.references.words(model, progress)


def _result_of(known: _Known, model: RegisteredModel) -> StoredResult | None:
    """Return the latest check of a version; where calls name versions of their own, of the one checked last."""
    config = model.config
    mine = known.results.get((config.model_id, config.model_version))
    if mine is not None or len(_versions(known, config.model_id)) > 1:
        return mine
    others = [r for r in known.results.values() if r.model_id == config.model_id]
    return max(others, key=lambda r: r.checked_at, default=None)


def _versions(known: _Known, model_id: str) -> set[str]:
    return {m.config.model_version for m in known.watch.models() if m.config.model_id == model_id}


def _belongs(known: _Known, alert: ActiveAlert, model: RegisteredModel) -> bool:
    """Say whether an alert is shown with a version: its own, or the default one if it has no row of its own."""
    versions = _versions(known, model.config.model_id)
    default = known.watch.book.get(model.config.model_id).config.model_version
    shown_with = alert.model_version if alert.model_version in versions else default
    return model.config.model_version == shown_with


def _families(checked: StoredResult | None) -> dict[str, dict[str, Any]]:
    return dict((checked.result or {}).get("families", {})) if checked is not None else {}


def _family(name: str, family: dict[str, Any]) -> FamilyRow:
    state, severities = str(family.get("state", "")), family.get("feature_severity") or {}
    drifted = sorted((f for f, s in severities.items() if s >= Severity.WARNING and f), key=lambda f: -severities[f])
    return FamilyRow(
        name=name,
        words=STATE_WORDS.get(state, state),
        reason=str(family.get("reason") or ""),
        severity=Severity(int(family.get("severity", 0))).label,
        features=listing([_visible(called(f)) for f in drifted]) if drifted else "",
    )


def _stale(known: _Known, model_id: str, checked: StoredResult | None) -> list[str]:
    """Say so if no check succeeded for a long time: silence about drift means nothing then."""
    if checked is None or checked.interval <= 0:
        return []
    since = known.now - (checked.last_success_at or known.watch.started_at)
    if since <= STALE_FACTOR * checked.interval:
        return []
    return [f"no drift check of {model_id} succeeded for {duration(since)}"]
