"""Facts that several alerts tell beside their own: how the model does otherwise."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_rules.naming import quantile_percent
from modelwatch_rules.recording import DEFAULT_QUANTILE, OPERATIONAL, THRESHOLD, windows
from modelwatch_rules.timing import Timing
from modelwatch_rules.words import COUNT, NUMBER, PERCENT, TIME, fetch, last, say

__all__ = ["quality", "traffic"]


def traffic(timing: Timing) -> str:
    """Return a line about requests, errors and latency, which is not there without traffic."""
    short, _ = windows(timing)
    failed = say(f"{short.error_ratio}{{<model>}}", PERCENT, ", ", " failed")
    quantile = f"p{quantile_percent(DEFAULT_QUANTILE)}"
    latency = say(f"{short.latency(DEFAULT_QUANTILE)}{{<model>}} >= 0", TIME, f", {quantile} latency ")
    after = f" predictions in the last {short.text}{failed}{latency}"
    return say(f"{short.predictions}{{<model>}} > 0", COUNT, "Traffic: ", after)


def quality(timing: Timing) -> str:
    """Return the performance metrics that somebody reports and has a threshold for, after a semicolon."""
    reported = last(c.METRIC_VALUE, timing.bridge, "<model>", f'metric!~"{OPERATIONAL}"')
    values = f"max by (metric) ({reported}) and on (metric) {THRESHOLD}{{<id>}}"
    bounds = "".join(
        say(f'{THRESHOLD}{{<id>,<measure>,bound="{bound}"}}', NUMBER, f" ({word} ", ")")
        for bound, word in (("min", "floor"), ("max", "ceiling"))
    )
    one = f"{{{{ $measure := .Labels.metric }}}}; {{{{ $measure }}}} {{{{ . | value | {NUMBER} }}}}{bounds}"
    each = f"{{{{ range {fetch(values)} | sortByLabel `metric` }}}}{one}"
    return f"{each}{{{{ else }}}}; quality on real labels not measured{{{{ end }}}}"
