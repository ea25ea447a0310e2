"""A backtest as text, JSON and HTML: which alarms there would have been, when, why, and how to be rid of them."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from typing import Any

import yaml

from modelwatch.checks.backtest import Backtest, Episode
from modelwatch.reports.content import count, visible
from modelwatch.reports.html import template
from modelwatch.reports.timeline import blocks, drawing

__all__ = ["backtest_html", "backtest_json", "backtest_text", "tolerance_yaml"]

_NAME_WIDTH = 24
_MOST_LISTED = 50


def backtest_text(found: Backtest, zone: tzinfo) -> str:
    """Return a backtest for a terminal.

    Parameters
    ----------
    found : Backtest
        What came out.
    zone : tzinfo
        In which times are told.

    Returns
    -------
    str
        Lines, the last one without its end.
    """
    lines = [heading(found, zone)]
    lines += [f"  {note}" for note in notes(found)]
    if not found.episodes:
        return "\n".join(lines)
    lines += ["", *blocks(found.timeline, zone, _NAME_WIDTH), ""]
    for episode in found.episodes[:_MOST_LISTED]:
        lines += _episode_lines(episode, found, zone)
    more = len(found.episodes) - _MOST_LISTED
    lines += [f"  and {more} more"] if more > 0 else []
    lines += ["", *_suggestion_lines(found)]
    return "\n".join(lines)


def heading(found: Backtest, zone: tzinfo) -> str:
    """Say in a line what was looked at and what came out."""
    version = f" (version {found.model_version})" if found.model_version else ""
    of = f"{visible(found.model_id)}{visible(version)}"
    if not found.checks:
        return f"{of}: nothing to check, no rows in that time"
    times = found.timeline.times
    alarms = f"{len(found.episodes)} alarm{'s' * (len(found.episodes) != 1)}" if found.episodes else "no alarm"
    return f"{of}: {alarms} in {count(found.checks)} checks, {_clock(times[0], zone)} to {_clock(times[-1], zone)}"


def notes(found: Backtest) -> list[str]:
    """Return what else is to be known of a backtest."""
    learnt = (
        "tolerances learnt from its days"
        if found.calibrated
        else "nothing learnt of its days: no more than a warning, unless a change is gross"
    )
    out = [f"{count(found.rows)} rows against profile {found.profile}, {learnt}, a check every {_span(found.interval)}"]
    if found.scored < found.checks:
        why = f": {visible(found.reason)}" if found.reason else ""
        out.append(f"{count(found.checks - found.scored)} checks could score nothing{why}")
    if found.unseen:
        out.append(f"not looked at: {found.unseen}")
    return out


def _clock(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M %Z").strip()


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _lasted(episode: Episode, found: Backtest) -> str:
    end = found.timeline.times[-1] if episode.end is None else episode.end
    return f"{_span(float(end) - episode.start)}{' and not over' if episode.end is None else ''}"


def _episode_lines(episode: Episode, found: Backtest, zone: tzinfo) -> list[str]:
    names = ", ".join(visible(name) for name in episode.features[:5])
    more = f" and {len(episode.features) - 5} more" if len(episode.features) > 5 else ""
    window = f", {episode.window} window" if episode.window else ""
    title = f"  {episode.severity.label:<8}  {_clock(episode.start, zone)}, {_lasted(episode, found)}: {names}{more}"
    return [title + window, f"            {visible(episode.words)}"] if episode.words else [title + window]


def _suggestion_lines(found: Backtest) -> list[str]:
    lines = ["what would have kept it silent, by feature:"]
    width = min(max(len(visible(s.feature)) for s in found.suggestions), 40)
    for s in found.suggestions:
        name = visible(s.feature)
        long = f"in alarm for {s.checks} check{'s' * (s.checks != 1)}"
        lines.append(f"  {name:<{width}}  {long}: {_would_do(s.tolerance, s.drift_type)}")
    if found.tolerance:
        proof = "" if found.silent else f" ({remaining(found)})"
        lines += ["", f"if these alarms were not worth hearing, paste into the model's configuration:{proof}"]
        lines += [f"  {line}" for line in tolerance_yaml(found).splitlines()]
    return lines


def remaining(found: Backtest) -> str:
    """Say that the tolerances are not all there is to it."""
    why = ": drift.fixed_thresholds alarm whatever is tolerated" if found.fixed else ""
    return f"some alarms of features remain with it{why}"


def _would_do(tolerance: float | None, drift_type: str) -> str:
    if drift_type == "multivariate":
        return "no tolerance to set; renew the reference, or switch it off by drift.multivariate"
    if tolerance is None:
        return "no tolerance would; exclude it, or renew the reference"
    if drift_type == "prediction":
        return f"a distance of {tolerance:.2f}; predictions have no tolerance of their own, but drift.thresholds"
    return f"a tolerance of {tolerance:.2f}"


def tolerance_yaml(found: Backtest) -> str:
    """Return the configuration that keeps the features silent.

    Parameters
    ----------
    found : Backtest
        What came out.

    Returns
    -------
    str
        YAML of a model; "" if there is nothing to change.
    """
    if not found.tolerance:
        return ""
    names = {name: found.tolerance[name] for name in sorted(found.tolerance)}
    model = {"model_id": found.model_id, "drift": {"tolerance": names}}
    return yaml.safe_dump({"models": [model]}, allow_unicode=True, sort_keys=False, width=1000)


def as_dict(found: Backtest, zone: tzinfo) -> dict[str, Any]:
    """Return a backtest as plain JSON values."""
    return {
        "model_id": found.model_id,
        "model_version": found.model_version,
        "profile": found.profile,
        "calibrated": found.calibrated,
        "interval_seconds": found.interval,
        "checks": found.checks,
        "scored": found.scored,
        "rows": found.rows,
        "reason": found.reason,
        "start": _iso(found.timeline.times[0], zone) if found.checks else None,
        "end": _iso(found.timeline.times[-1], zone) if found.checks else None,
        "alarms": [
            {
                "drift_type": e.drift_type,
                "start": _iso(e.start, zone),
                "end": None if e.end is None else _iso(e.end, zone),
                "checks": e.checks,
                "severity": e.severity.label,
                "features": list(e.features),
                "window": e.window,
                "words": e.words,
            }
            for e in found.episodes
        ],
        "silent_at": [
            {"feature": s.feature, "drift_type": s.drift_type, "checks": s.checks, "tolerance": s.tolerance}
            for s in found.suggestions
        ],
        "tolerance": found.tolerance,
        "silent": found.silent,
        "not_looked_at": found.unseen,
    }


def _iso(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).isoformat()


def backtest_json(found: Backtest, zone: tzinfo) -> str:
    """Return a backtest as JSON."""
    return json.dumps(as_dict(found, zone), indent=2, ensure_ascii=False, allow_nan=False)


def backtest_html(found: Backtest, zone: tzinfo) -> str:
    """Return a backtest as a page of its own, with a picture of the time; nothing comes from the network.

    Parameters
    ----------
    found : Backtest
        What came out.
    zone : tzinfo
        In which times are told.

    Returns
    -------
    str
        A whole document.
    """
    from markupsafe import Markup

    return template("backtest.html").render(
        found=found,
        heading=heading(found, zone),
        notes=notes(found),
        picture=Markup(drawing(found.timeline, zone)),  # noqa: S704 - made here, with every text escaped
        alarms=[
            {"level": e.severity.label, "start": _clock(e.start, zone), "lasted": _lasted(e, found),
             "features": e.features, "window": e.window, "words": e.words}
            for e in found.episodes
        ],
        suggestions=[(s.feature, s.checks, _would_do(s.tolerance, s.drift_type)) for s in found.suggestions],
        yaml=tolerance_yaml(found),
        remaining="" if found.silent else remaining(found),
    )  # fmt: skip
