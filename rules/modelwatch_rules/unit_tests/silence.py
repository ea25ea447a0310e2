"""Cases about models that are silent, and about those of which nothing is seen."""

from __future__ import annotations

from collections.abc import Iterator

from modelwatch import conventions as c
from modelwatch.conventions import MODEL_ID
from modelwatch_rules.recording import LAST_SEEN, SILENCE
from modelwatch_rules.unit_tests.case import Case
from modelwatch_rules.unit_tests.context import IN_CODE, Context
from modelwatch_rules.unit_tests.remembered import Remembered

__all__ = ["cases"]

GROUP = "silence"
MEMORY = Remembered(GROUP, c.LAST_PREDICTION, LAST_SEEN, [MODEL_ID], c.SILENCE_LIMIT, SILENCE)


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield from MEMORY.cases(of)
    yield _silent(of)
    if of.config.models:
        yield from _not_seen(of)


def _silent(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("models are silent for longer than usual, until they are asked again", GROUP, step)
    last, limit, again = -100 * step, 102 * step, 7 * step
    for model_id in of.everybody:
        case.give(c.LAST_PREDICTION, [(again, last), (again, again)], **of.model(model_id))
        case.give(c.SILENCE_LIMIT, limit, model_id=model_id)
    for model_id, known in (
        ("seldom_asked", {c.LAST_PREDICTION: last, c.SILENCE_LIMIT: 2 * limit}),
        ("without_limit", {c.LAST_PREDICTION: last}),
        ("never_asked", {c.SILENCE_LIMIT: limit}),
    ):
        for metric, value in known.items():
            case.give(metric, value, **{name: of.model(model_id)[name] for name in metric.labels})
    # At the limit is not above it.
    first = last + limit + step
    case.silent(first + step, c.ALERT_NO_PREDICTIONS)
    case.fires(first + 2 * step, c.ALERT_NO_PREDICTIONS, *of.alarms(c.ALERT_NO_PREDICTIONS, *of.everybody))
    case.silent(again, c.ALERT_NO_PREDICTIONS)
    return case


def _not_seen(of: Context) -> Iterator[Case]:
    """Yield what is said of the configuration's models while others are seen."""
    step = of.timing.silence_hold / 2
    configured = of.everybody[:-1]
    for what, known in (
        ("of which nothing is seen", ()),
        ("of which only the last prediction is known", (c.LAST_PREDICTION,)),
        ("of which only the limit of silence is known", (c.SILENCE_LIMIT,)),
        ("that were seen and may be silent for a while", (c.LAST_PREDICTION, c.SILENCE_LIMIT)),
        ("that are exposed", (c.PREDICTIONS,)),
    ):
        case = of.case(f"models of the configuration {what}", GROUP, step)
        for model_id in configured:
            _give(case, of, model_id, *known)
        _give(case, of, IN_CODE, c.PREDICTIONS, c.LAST_PREDICTION, c.SILENCE_LIMIT)
        missing = configured if len(known) < 2 and c.PREDICTIONS not in known else []
        case.silent(step, c.ALERT_NO_PREDICTIONS)
        case.fires(2 * step, c.ALERT_NO_PREDICTIONS, *of.alarms(c.ALERT_NO_PREDICTIONS, *missing))
        yield case


def _give(case: Case, of: Context, model_id: str, *metrics: c.Metric) -> None:
    for metric in metrics:
        value = 100 * case.step if metric is c.SILENCE_LIMIT else 0
        case.give(metric, value, **{name: of.model(model_id)[name] for name in metric.labels})
