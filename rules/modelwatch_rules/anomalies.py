"""Traffic that is not as usual at this time of the day.

Usual is what the last seven days had around the same time, so that nights, weekends and a nightly batch are no news:
less than a fifth of the quietest of these days, or more than five times the busiest, is.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import MODEL_ID
from modelwatch.policy import Severity
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.naming import record_name
from modelwatch_rules.overrides import by_model
from modelwatch_rules.promql import AlertingRule, Group, RecordingRule, Style
from modelwatch_rules.recording import windows
from modelwatch_rules.texts import Text
from modelwatch_rules.timing import Timing, prometheus_duration
from modelwatch_rules.words import COUNT, NUMBER, lines, say

__all__ = [
    "DAY", "DAYS", "FACTOR", "KNOWN_DAYS", "LEAST_BY_DAY", "LEAST_OF_DAYS", "MOST_BY_DAY", "MOST_OF_DAYS",
    "around_now", "requests", "traffic_group",
]  # fmt: skip

DAYS = 7
KNOWN_DAYS = 4
"""Days that must be known before anything is usual: three whole ones, one of which is a working day, and the first, of
which there may be a few minutes only."""
FACTOR = 5

DAY = "days_ago"
LEAST_BY_DAY = record_name([MODEL_ID, DAY], c.PREDICTIONS, "least")
MOST_BY_DAY = record_name([MODEL_ID, DAY], c.PREDICTIONS, "most")
LEAST_OF_DAYS = record_name([MODEL_ID], c.PREDICTIONS, f"least_of_{DAYS}_days")
MOST_OF_DAYS = record_name([MODEL_ID], c.PREDICTIONS, f"most_of_{DAYS}_days")


def requests(timing: Timing) -> str:
    """Return the name of the requests to a model, all versions, in the long window."""
    return record_name([MODEL_ID], c.PREDICTIONS, f"increase{windows(timing)[1].text}")


def traffic_group(config: MonitoringConfig, timing: Timing, style: Style) -> Group:
    """Return what is usual of each model, and the alert on what is not."""
    sides = (("min", LEAST_BY_DAY, LEAST_OF_DAYS), ("max", MOST_BY_DAY, MOST_OF_DAYS))
    total = f"sum by ({MODEL_ID}) ({windows(timing)[1].predictions})"
    return Group(
        "modelwatch-usual.rules",
        (
            RecordingRule(requests(timing), total),
            *(
                RecordingRule(by_day, around_now(side, requests(timing), range(1, DAYS + 1), timing))
                for side, by_day, _ in sides
            ),
            *(RecordingRule(usual, _of_days(side, by_day)) for side, by_day, usual in sides),
            *by_model([_alert(timing)], config, style),
        ),
        interval=timing.slow_interval,
    )


def around_now(side: str, record: str, days: Iterable[int], timing: Timing) -> str:
    """Return the least or most of some days ago, an hour before to an hour after this time."""
    hour = timing.day / 24
    spread = prometheus_duration(2 * hour)
    return "\nor\n".join(
        f"label_replace({side}_over_time({record}[{spread}]"
        f' offset {prometheus_duration(day * timing.day - hour)}), "{DAY}", "{day}", "", "")'
        for day in days
    )


def _of_days(side: str, by_day: str) -> str:
    return f"{side} by ({MODEL_ID}) ({by_day})\nand\n  count by ({MODEL_ID}) ({by_day}) >= {KNOWN_DAYS}"


def _alert(timing: Timing) -> AlertingRule:
    now = requests(timing)
    # Where a day is usually as quiet as this, its numbers say nothing. Nor does a window of which Prometheus has seen
    # the end only, as it was down before.
    few = f"{now} / ({LEAST_OF_DAYS} >= {MIN_REQUESTS}) < {1 / FACTOR:g}"
    whole = f"{now} offset {windows(timing)[1].text}"
    # What comes at a time at which nothing ever came, as a monthly batch, has nothing to be compared with.
    many = f"({now} >= {MIN_REQUESTS}) / ({MOST_OF_DAYS} > 0) > {FACTOR}"
    return AlertingRule(
        c.ALERT_TRAFFIC_ANOMALY, f"  {few}\n  and\n  {whole}\nor\n  {many}", Severity.WARNING, *_text(timing),
        hold=timing.hold, keep_firing=timing.keep_firing,
    )  # fmt: skip


def _text(timing: Timing) -> Text:
    span = windows(timing)[1].text
    seen = say(f"{requests(timing)}{{<id>}}", COUNT, "", f" requests in the last {span}", "requests")
    most = say(f"{MOST_OF_DAYS}{{<id>}}", COUNT, " to ")
    usual = say(f"{LEAST_OF_DAYS}{{<id>}}", COUNT, "Usual: ", f"{most} at this time of the last {DAYS} days")
    few = "{{ if lt $value 1.0 }}"
    return (
        f"{few}Far fewer requests than usual{{{{ else }}}}Far more requests than usual{{{{ end }}}}: {seen}.",
        lines(
            f"How bad: {{{{ $value | {NUMBER} }}}} times the {few}fewest{{{{ else }}}}most{{{{ end }}}} of the last"
            f" {DAYS} days at this time; {seen}",
            usual,
            f"Effect: {few}some callers get no predictions, or ask elsewhere{{{{ else }}}}latency and cost rise, and"
            " the requests may not be the usual ones{{ end }}",
            "Look first: what calls the model, and what was deployed last on its side; then load balancers and retries",
        ),
    )
