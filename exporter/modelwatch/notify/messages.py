"""The texts of alerts, composed from facts.

Each says what happened, since when in local time, how bad against which limit, how sure, and where to look first.
None claims what was not measured. Drift has a module of its own; its function is to be had from here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwatch.notify.drift_words import drift_text
from modelwatch.notify.text import AlertText, Draft, Fact, ModelFacts, render
from modelwatch.notify.wording import (
    clean,
    clock_time,
    duration,
    html_text,
    number,
    percent,
    shorten,
    slack_code,
    slack_text,
)
from modelwatch.policy import Severity

__all__ = [
    "AlertText",
    "ModelFacts",
    "check_failing_text",
    "drift_text",
    "error_rate_text",
    "latency_text",
    "no_predictions_text",
    "performance_text",
    "plain_text",
    "resolved_text",
    "text_of",
]

NO_FACTS = ("model_id", "status")
"""Keys of somebody's data that say nothing: the model is named already, and the result of a call is passed on whole."""
_MAX_LISTED = 10
_MAX_DATA_LINES = 20


def latency_text(
    facts: ModelFacts,
    *,
    severity: Severity,
    quantile: float,
    seconds: float,
    limit_seconds: float,
    requests: int,
    window_seconds: float,
    now: float,
    timezone: str | None = None,
    since: float | None = None,
) -> AlertText:
    """Say that predictions take too long: ``p95 latency 231 ms (limit 150 ms)``.

    Parameters
    ----------
    quantile : float
        Which latency quantile the limit is for, 0 to 1.
    seconds, limit_seconds : float
        The quantile as measured, and its limit.
    requests : int
        Requests in the window.
    window_seconds : float
        Length of the window.
    now, since : float
        Unix seconds; `since` defaults to now.
    """
    name = f"p{number(quantile * 100)} latency"
    draft = _draft(facts, severity, f"{name} {_ms(seconds)} (limit {_ms(limit_seconds)})", since, now, timezone)
    draft.details = [
        Fact("How bad", f"{name} is {number(seconds / limit_seconds)} × its limit")
        if limit_seconds > 0
        else Fact("How bad", f"{name} {_ms(seconds)}"),
        Fact("Measured over", f"{number(requests)} requests in the last {duration(window_seconds)}"),
        Fact("Look first", "load and saturation of the serving process, then slow inputs or a slow feature source"),
    ]
    return render(draft)


def error_rate_text(
    facts: ModelFacts,
    *,
    severity: Severity,
    rate: float,
    limit: float,
    errors: int,
    requests: int,
    window_seconds: float,
    now: float,
    timezone: str | None = None,
    since: float | None = None,
) -> AlertText:
    """Say that predictions fail: ``4.1 % of predictions fail (limit 2 %)``.

    Parameters
    ----------
    rate, limit : float
        Failed / attempted predictions, 0 to 1, as measured and as allowed.
    errors, requests : int
        Failed and attempted predictions in the window.
    window_seconds : float
        Length of the window.
    now, since : float
        Unix seconds; `since` defaults to now.
    """
    what = f"{percent(rate)} of predictions fail (limit {percent(limit)})"
    draft = _draft(facts, severity, what, since, now, timezone)
    draft.details = [
        Fact(
            "Measured over", f"{number(errors)} of {number(requests)} requests in the last {duration(window_seconds)}"
        ),
        Fact("Effect", "callers get errors instead of predictions"),
        Fact("Look first", "the exceptions in the log of the serving process; then what changed last, model or input"),
    ]
    return render(draft)


def no_predictions_text(
    facts: ModelFacts,
    *,
    severity: Severity,
    last_at: float,
    limit_seconds: float,
    now: float,
    timezone: str | None = None,
) -> AlertText:
    """Say that a model went silent.

    Parameters
    ----------
    last_at, now : float
        Unix seconds of the last prediction, and now.
    limit_seconds : float
        Silence that is still normal for this model.
    """
    silent = duration(max(now - last_at, 0.0))
    draft = _draft(facts, severity, f"no predictions for {silent}", last_at, now, timezone)
    draft.details = [
        Fact("Last prediction", clock_time(last_at, now, timezone)),
        Fact(
            "Limit", f"{duration(limit_seconds)} of silence, three times the longest gap of the last 7 days or 15 min"
        ),
        Fact("Look first", "whether the serving process runs and is called; nothing else can be watched meanwhile"),
    ]
    return render(draft)


def performance_text(
    facts: ModelFacts,
    *,
    severity: Severity,
    metric: str,
    value: float,
    limit: float,
    below: bool,
    written: bool,
    measured_at: float,
    now: float,
    timezone: str | None = None,
    since: float | None = None,
) -> AlertText:
    """Say that a performance metric broke its floor or ceiling: ``auc 0.81 is below its floor 0.85``.

    Parameters
    ----------
    metric : str
        Its name.
    value, limit : float
        As given to ``update_model_metric``, and the bound.
    below : bool
        Whether the bound is a floor.
    written : bool
        False if the bound is a default that nobody wrote.
    measured_at, now, since : float
        Unix seconds; `since` defaults to now.
    """
    side, bound = ("below", "floor") if below else ("above", "ceiling")
    what = f"{metric} {number(value)} is {side} its {bound} {number(limit)}"
    draft = _draft(facts, severity, what, since, now, timezone)
    share = f", {percent(abs(value - limit) / abs(limit))} of it" if limit else ""
    draft.details = [
        Fact("How bad", f"{number(abs(value - limit))} {side} the {bound}{share}"),
        Fact("Measured", f"the value given to update_model_metric at {clock_time(measured_at, now, timezone)}"),
    ]
    if not written:
        draft.details.append(Fact("Threshold", "a default that nobody wrote, so this is never more than a warning"))
    where = "the data and labels that the value was computed on; then what changed last, model or input"
    draft.details.append(Fact("Look first", where))
    return render(draft)


def check_failing_text(
    facts: ModelFacts,
    *,
    severity: Severity,
    failures: int,
    error: str,
    now: float,
    timezone: str | None = None,
    since: float | None = None,
) -> AlertText:
    """Say that the drift check itself fails, so that silence about drift means nothing.

    Parameters
    ----------
    failures : int
        Checks in a row that failed.
    error : str
        What the last one said.
    now, since : float
        Unix seconds; `since` defaults to now.
    """
    what = f"drift check failed {failures} times in a row"
    draft = _draft(facts, severity, what, since, now, timezone)
    draft.details = [
        Fact("Reason", shorten(error, 300) or "none was given"),
        Fact("Effect", "drift is not being watched; predictions go on and are recorded"),
        Fact("Look first", "the log of the process that runs the checks"),
    ]
    return render(draft)


def resolved_text(model_id: str, headline: str, lasted: float, why: str = "") -> AlertText:
    """Say that an alert is over and how long it lasted.

    Parameters
    ----------
    model_id : str
        The model; ``""`` if the alert was about none.
    headline : str
        The headline of the alert that was sent.
    lasted : float
        Seconds.
    why : str
        A word where it ends for another reason than that all is well again.

    >>> resolved_text("ad_score", "ad_score: p95 latency 231 ms since 02:10 EST", 11100).subject
    '[RESOLVED] ad_score: p95 latency 231 ms since 02:10 EST; lasted 3 h 5 min'
    >>> resolved_text("ad_score", "ad_score: p95 latency 231 ms", 60, "retired").subject
    '[RESOLVED: RETIRED] ad_score: p95 latency 231 ms; lasted 1 min'
    """
    what = headline.removeprefix(f"{clean(model_id)}: ") if model_id else headline
    text = f"{clean(headline)}; lasted {duration(lasted)}"
    name = f" · {slack_code(model_id)}" if model_id else ""
    tag = f"RESOLVED: {why.upper()}" if why else "RESOLVED"
    return AlertText(
        subject=shorten(f"[{tag}] {text}", 250),
        headline=f"{text}; {why}" if why else text,
        lines=(),
        slack=f"*{tag}*{name} · {slack_text(what)}. Lasted {duration(lasted)}.",
        html=f'<p style="font-size:1.1em"><strong>{tag}</strong> {html_text(text)}</p>',
    )


def plain_text(level: str, message: str, model_id: str = "", data: Mapping[str, Any] | None = None) -> AlertText:
    """Lay out an alert whose message somebody wrote by hand (``send_alert``); scalars of `data` become facts."""
    first, _, rest = message.strip().partition("\n")
    lines = [clean(line) for line in rest.splitlines() if line.strip()]
    facts = {key: _fact(value) for key, value in (data or {}).items() if key not in NO_FACTS}
    lines += [f"{clean(key)}: {clean(fact)}" for key, fact in facts.items() if fact]
    prefix = f"{clean(model_id)}: " if model_id and not first.startswith(model_id) else ""
    headline = f"{prefix}{clean(first)}" or "alert"
    tag = clean(level).upper()
    kept = lines[:_MAX_DATA_LINES]
    items = "".join(f"<p>{html_text(line)}</p>" for line in kept)
    return AlertText(
        subject=shorten(f"[{tag}] {headline}", 250),
        headline=headline,
        lines=tuple(kept),
        slack="\n".join([f"*{slack_text(tag)}* · {slack_text(headline)}", *(slack_text(line) for line in kept)]),
        html=f'<p style="font-size:1.1em"><strong>{html_text(tag)}</strong> {html_text(headline)}</p>{items}',
    )


def text_of(alert: Mapping[str, Any]) -> AlertText:
    """Return the text of an alert dict: the one composed with it, else one laid out from its message."""
    data = alert.get("data")
    composed = data.get("text") if isinstance(data, Mapping) else None
    # Somebody's own data may have a key "text" too.
    if isinstance(composed, Mapping) and {"subject", "headline", "lines", "slack", "html"} <= composed.keys():
        return AlertText.from_dict(composed)
    level = "resolved" if alert.get("status") == "resolved" else str(alert.get("level", "info"))
    return plain_text(
        level,
        str(alert.get("message", "")),
        str(alert.get("model_id") or ""),
        data if isinstance(data, Mapping) else None,
    )


def _draft(
    facts: ModelFacts, severity: Severity, what: str, since: float | None, now: float, timezone: str | None
) -> Draft:
    began = clock_time(now if since is None else since, now, timezone)
    return Draft(facts=facts, level=severity.label.upper(), what=what, when=f"since {began}")


def _ms(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def _fact(value: object) -> str:
    """Return a value of somebody's data as text: scalars, and short lists of them; "" for what is no fact to read."""
    if isinstance(value, (list, tuple)):
        shown = len(value) <= _MAX_LISTED and all(map(_is_scalar, value))
        return ", ".join(_scalar(item) for item in value) if shown else ""
    return _scalar(value) if _is_scalar(value) else ""


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


def _scalar(value: object) -> str:
    return number(value) if isinstance(value, float) else shorten(value, 200)
