"""What all other alerts say: how bad against which limit, how sure, where to look first."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_rules.context import quality, traffic
from modelwatch_rules.recording import (
    CHECK_INTERVAL,
    LAST_SEEN,
    LAST_SUCCESS,
    QUANTILE,
    SILENCE,
    THRESHOLD,
    Window,
    windows,
)
from modelwatch_rules.timing import Timing
from modelwatch_rules.words import COUNT, NUMBER, PERCENT, TIME, given, last, lines, say

__all__ = [
    "Text", "absent", "error_rate", "exposed_twice", "failing", "latency", "performance", "silence", "stale",
    "watchdog",
]  # fmt: skip

Text = tuple[str, str]
"""Summary and description."""

_VALUE = f"{{{{ $value | {NUMBER} }}}}"
_SECONDS = f"{{{{ $value | {TIME} }}}}"
_MOMENT = '{{ (. | first | value | toTime).UTC.Format "2006-01-02 15:04 MST" }}'
_LOOK_FOR_PROCESS = (
    "Effect: no predictions are served, or nobody can see them; nothing else can be watched meanwhile",
    "Look first: whether the serving process runs and is called, then whether Prometheus can scrape it",
)
_BESIDE = {"min": ("floor", "below"), "max": ("ceiling", "above")}


def latency(least: int, timing: Timing) -> Text:
    """Return the text of high latency; the short window is looked at if it holds `least` requests."""
    limit = f'{THRESHOLD}{{<id>,metric="latency_ms",bound="max"}} / 1000'
    name = say(f"100 * {QUANTILE}{{<id>}}", 'printf "%.4g"', "p")
    against = say(limit, TIME, " against a limit of ")
    slower = say(f"1 / (1 - {QUANTILE}{{<id>}})", COUNT, "; one request in ", " is slower than that")
    short, long = (f'{window.latency_buckets}{{<model>,le="+Inf"}}' for window in windows(timing))
    return (
        f"Latency {name} is {_SECONDS}{say(limit, TIME, ' (limit ', ')')}.",
        lines(
            f"How bad: {name} is {_SECONDS}{against}{slower}",
            f"Measured over: {_requests(short, long, least, timing)}",
            _failures(timing),
            "Look first: load and saturation of the serving process, then slow inputs or a slow feature source",
        ),
    )


def error_rate(least: int, timing: Timing) -> Text:
    """Return the text of failing predictions; the short window is looked at if it holds `least` requests."""
    limit = f'{THRESHOLD}{{<id>,metric="error_rate",bound="max"}}'
    short, long = windows(timing)
    failed = {window: say(f"{window.errors}{{<model>}}", COUNT, "", " of ") for window in (short, long)}
    inside = f"{failed[short]}{{{{ . | first | value | {COUNT} }}}} requests in the last {short.text}"
    wider = say(f"{long.predictions}{{<model>}}", COUNT, failed[long], f" requests in the last {long.text}", "requests")
    return (
        f"{{{{ $value | {PERCENT} }}}} of predictions fail{say(limit, PERCENT, ' (limit ', ')')}.",
        lines(
            f"Measured over: {given(f'{short.predictions}{{<model>}} >= {least}', inside, wider)}",
            "Effect: callers get errors instead of predictions",
            "Look first: the exceptions in the log of the serving process, then what changed last, model or input",
        ),
    )


def performance(bound: str, timing: Timing) -> Text:
    """Return the text of a performance metric beyond its floor ("min") or ceiling ("max")."""
    word, beside = _BESIDE[bound]
    limit = f'{THRESHOLD}{{<id>,<metric>,bound="{bound}"}}'
    value = f"max({last(c.METRIC_VALUE, timing.bridge, '<model>', '<metric>')})"
    gap = f"{limit} - on () {value}" if bound == "min" else f"{value} - on () {limit}"
    what = say(value, NUMBER, " is ", ",", " is")
    distance = say(f"{gap} > 0", NUMBER, " by ")
    return (
        f"Metric {{{{ $labels.metric }}}}{what} {beside} its {word}{say(limit, NUMBER, ' of ')}.",
        lines(
            f"How bad: {beside} its {word}{distance}",
            "How sure: the value is the last one that was reported, on however many labels that was",
            f"Inputs: {_inputs(timing)}{quality(timing)}",
            traffic(timing),
            "Look first: the labels it was measured on, then drift of inputs and predictions",
        ),
    )


def silence() -> Text:
    """Return the text of a model that was seen and went silent."""
    since = given(f"{LAST_SEEN}{{<id>}}", f"Last prediction: {_MOMENT}", "Last prediction: not known")
    usual = say(
        f"{SILENCE}{{<id>}}", TIME, "Limit: ", " of silence, three times the longest gap of the last 7 days or 15m"
    )
    return (
        f"No predictions for {_SECONDS}.",
        lines(since, usual, *_LOOK_FOR_PROCESS),
    )


def absent() -> Text:
    """Return the text of a configured model of which nothing is known."""
    return (
        "No predictions are seen: nothing that Prometheus scrapes exposes this model.",
        lines("How bad: the model is in the configuration, and nothing of it can be watched", *_LOOK_FOR_PROCESS),
    )


def stale() -> Text:
    """Return the text of checks that no longer happen."""
    every = say(f"{CHECK_INTERVAL}{{<id>}}", TIME, " (due every ", ")")
    then = given(f"max({LAST_SUCCESS}{{<id>}})", f"Last success: {_MOMENT}", "Last success: none that is known of")
    return (
        f"No drift check has succeeded for {_SECONDS}{every}.",
        lines(
            then,
            "Effect: drift is not being watched; the last known results stand",
            "Look first: whether the sidecar, or the application that runs the checks, is up and scraped, and works on"
            " the storage that the model is recorded to",
        ),
    )


def failing() -> Text:
    """Return the text of checks that fail."""
    then = given(f"max({LAST_SUCCESS}{{<id>}})", f"Last success: {_MOMENT}", "Last success: never")
    return (
        f"The drift check failed {{{{ $value | {COUNT} }}}} times in a row.",
        lines(
            then,
            "Effect: drift is not being watched; predictions go on and are recorded",
            "Look first: the log of the process that runs the checks",
        ),
    )


def exposed_twice() -> Text:
    """Return the text of recordings that are counted more than once."""
    target = "{{ if $i }}, {{ end }}{{ $one.Labels.instance }} (job {{ $one.Labels.job }})"
    both = f"max by (job, instance) ({c.STORAGE_INFO.name}{{<storage>}}) and on (job, instance) {c.PREDICTIONS.name}"
    listing = given(
        both, f"{{{{ range $i, $one := . | sortByLabel `instance` }}}}{target}{{{{ end }}}}", "not known at the moment"
    )
    return (
        f"{{{{ $value | {COUNT} }}}} targets expose the recordings of one storage.",
        lines(
            f"Targets: {listing}",
            "Effect: predictions, errors and latencies are counted more than once",
            "Look first: a sidecar with --expose-recordings beside an application that exposes them too, or one"
            " target in two scrape jobs",
        ),
    )


def watchdog() -> Text:
    """Return the text of the alert that is always there."""
    return (
        "Alerts of modelwatch reach this receiver.",
        "Meaning: this one always fires; it is its absence that should wake somebody up",
    )


def _requests(short: str, long: str, least: int, timing: Timing) -> str:
    first, second = windows(timing)
    wider = say(long, COUNT, "", f" requests in the last {second.text}", "recent requests")
    return say(f"{short} >= {least}", COUNT, "", f" requests in the last {first.text}", wider)


def _failures(timing: Timing) -> str:
    short: Window = windows(timing)[0]
    after = f" of predictions failed in the last {short.text}"
    return say(f"{short.error_ratio}{{<model>}} >= 0", PERCENT, "Errors: ", after)


def _inputs(timing: Timing) -> str:
    scored = say(f"max({last(c.SCORED_FEATURES, timing.bridge, '<model>')})", COUNT, " of ")
    count = f"max({last(c.DRIFTED_FEATURES, timing.bridge, '<model>')})"
    return say(count, COUNT, "", f"{scored} drifted", "drift not measured")
