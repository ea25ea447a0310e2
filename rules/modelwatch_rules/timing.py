"""How fast everything goes: one set of times per purpose, as data."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["DEMO", "PRODUCTION", "TEST", "TIMINGS", "Timing", "prometheus_duration"]

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


@dataclass(frozen=True)
class Timing:
    """The times of scraping, evaluating, alerting and notifying, all in seconds.

    From a fault that every window shows to the message it takes about
    ``scrape_interval + evaluation_interval + hold + group_wait``.

    Attributes
    ----------
    name : str
        As ``--timing`` calls it.
    scrape_interval, evaluation_interval : float
        Of Prometheus. Every window below holds at least ten scrapes.
    short_window, long_window : float
        Of rates, error ratios and latency quantiles: the long one is used where the short one holds too few requests.
    recall : float
        How far back a record looks for what it last said itself: longer than Prometheus is ever down for.
    bridge : float
        For how long the last sample of a result stands in for a failed scrape or a short restart.
    memory : float
        For how long it is remembered that a model was seen or checked after whatever said so went away.
    hold : float
        ``for`` of alerts about traffic: how long a condition must last.
    result_hold : float
        ``for`` of alerts about results of checks. A check has windows and a false alarm budget of its own, so this
        only keeps a restart from firing on half of the samples.
    keep_firing : float
        ``keep_firing_for``: how long a condition must be gone before an alert resolves.
    silence_hold : float
        ``for`` of the alert on a model that exposes nothing at all.
    slow_interval : float
        How often rules over hours and days are evaluated.
    day : float
        Length of the day after which traffic is expected to repeat itself.
    budget_hour : float
        Length of the hour in the windows of burn rates (5 minutes to 3 days).
    resend_delay : float
        Least time after which Prometheus tells Alertmanager again (``--rules.alert.resend-delay``). It also bounds how
        long an alert outlives Prometheus: four times the greater of this and the evaluation interval.
    group_wait, group_interval, repeat_interval : float
        Of Alertmanager.
    watchdog_interval : float
        How often the dead man's switch is told that all is well.
    """

    name: str
    scrape_interval: float
    evaluation_interval: float
    short_window: float
    long_window: float
    bridge: float
    recall: float
    memory: float
    hold: float
    result_hold: float
    keep_firing: float
    silence_hold: float
    slow_interval: float
    day: float
    budget_hour: float
    resend_delay: float
    group_wait: float
    group_interval: float
    repeat_interval: float
    watchdog_interval: float


PRODUCTION = Timing(
    name="production",
    scrape_interval=15,
    evaluation_interval=15,
    short_window=300,
    long_window=3600,
    bridge=300,
    recall=3600,
    memory=7 * 86400,
    hold=300,
    result_hold=60,
    keep_firing=600,
    silence_hold=900,
    slow_interval=60,
    day=86400,
    budget_hour=3600,
    resend_delay=60,
    group_wait=30,
    group_interval=300,
    repeat_interval=4 * 3600,
    watchdog_interval=300,
)
DEMO = Timing(
    name="demo",
    scrape_interval=2,
    evaluation_interval=2,
    short_window=40,
    long_window=300,
    bridge=20,
    recall=120,
    memory=3600,
    hold=4,
    result_hold=2,
    keep_firing=6,
    silence_hold=60,
    slow_interval=5,
    day=600,
    budget_hour=120,
    resend_delay=2,
    group_wait=2,
    group_interval=5,
    repeat_interval=3600,
    watchdog_interval=60,
)
TEST = Timing(
    name="test",
    scrape_interval=1,
    evaluation_interval=1,
    short_window=20,
    long_window=60,
    bridge=10,
    recall=60,
    memory=600,
    hold=2,
    result_hold=1,
    keep_firing=2,
    silence_hold=15,
    slow_interval=1,
    day=24,
    budget_hour=60,
    resend_delay=1,
    group_wait=1,
    group_interval=1,
    repeat_interval=3600,
    watchdog_interval=5,
)
TIMINGS = MappingProxyType({timing.name: timing for timing in (TEST, DEMO, PRODUCTION)})
"""By the name that ``--timing`` takes."""


def prometheus_duration(seconds: float) -> str:
    """Return a length of time as Prometheus and Alertmanager write it, to the millisecond.

    >>> prometheus_duration(300), prometheus_duration(5400), prometheus_duration(0.5), prometheus_duration(0)
    ('5m', '1h30m', '500ms', '0s')
    """
    rest = round(seconds * 1000)
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
