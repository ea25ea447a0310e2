"""Cases about times, and values beside them, that outlive whoever exposed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelwatch.conventions import MODEL_ID, Metric
from modelwatch_rules.unit_tests.case import GONE, Case, Values
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context

__all__ = ["STOPPED", "STOPPED_TOO_LONG", "Remembered", "largest"]

STOPPED, STOPPED_TOO_LONG = 0.75, 1.5
"""How long Prometheus is down, which is a step here, in terms of how far back it looks afterwards."""


@dataclass(frozen=True)
class Remembered:
    """A time that is remembered, and a value of the model that is remembered as long as the time is.

    Attributes
    ----------
    group : str
    time, beside : Metric
    time_record, beside_record : str
        What they are recorded as.
    by : sequence of str
        The labels of the time's record; that of the value is by model.
    """

    group: str
    time: Metric
    time_record: str
    by: Sequence[str]
    beside: Metric
    beside_record: str

    def cases(self, of: Context) -> Iterator[Case]:
        """Return the cases."""
        yield self._last_said(of)
        yield self._over_a_stop(of)
        yield self._after_a_long_stop(of)

    def _give(self, case: Case, metric: Metric, model: Mapping[str, str], values: Values, **more: str) -> None:
        case.give(metric, values, **{name: model[name] for name in metric.labels}, **more)

    def _last_said(self, of: Context) -> Case:
        step, memory = of.timing.recall / 4, of.timing.memory
        name = "what was said last, the highest of several, is remembered for a while and no more"
        case = of.case(name, self.group, step)
        model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
        forgotten, unseen = of.model("forgotten"), of.model("unseen")

        def falling(first: float, then: float) -> Values:
            return [(step, first), (step, then), (9 * step, GONE)]

        lost = 3 * step
        for one, instance, first, then in (
            (model, "a:1", 20, 15), (model, "b:1", 18, 12), (other, "a:1", 8, 6), (neighbour, "a:1", 9, 9),
            (forgotten, "a:1", lost - memory, lost - memory),
        ):  # fmt: skip
            self._give(case, self.time, one, falling(first, then), instance=instance)
        for one, instance, first, then in (
            (model, "a:1", 400, 300), (model, "b:1", 350, 250), (neighbour, "a:1", 600, 600),
            (forgotten, "a:1", 500, 500), (unseen, "a:1", 700, 700),
        ):  # fmt: skip
            self._give(case, self.beside, one, falling(first, then), instance=instance)
        for at, own, others, limit in (
            (0.0, 20, 8, 400),
            (step, 15, 6, 300),
            (2 * step, 15, 6, 300),
            (lost, 15, 6, 300),
        ):
            kept = [(forgotten, lost - memory)] if at < lost else []
            times = [(model, own), (other, others), (neighbour, 9), *kept]
            case.records(at, self.time_record, *largest(self.by, times))
            limits = [(model, limit), (neighbour, 600), *((one, 500) for one, _ in kept)]
            # Who was never seen is not remembered, only known while it is exposed.
            exposed = [(unseen, 700)] if at < 2 * step else []
            case.records(at, self.beside_record, *largest([MODEL_ID], [*limits, *exposed]))
        return case

    def _over_a_stop(self, of: Context) -> Case:
        step = STOPPED * of.timing.recall
        case = of.case("a stop of Prometheus is bridged", self.group, step)
        for model, value in ((of.model(), 5), (of.model(of.neighbour), 7)):
            for metric in (self.time, self.beside):
                self._give(case, metric, model, [(step, value), (step, GONE)])
        for record, by in ((self.time_record, self.by), (self.beside_record, [MODEL_ID])):
            case.records(step, record, *largest(by, [(of.model(), 5), (of.model(of.neighbour), 7)]))
        return case

    def _after_a_long_stop(self, of: Context) -> Case:
        step = STOPPED_TOO_LONG * of.timing.recall
        case = of.case("what nobody exposes is not known after a long stop of Prometheus", self.group, step)
        lost, still_there = of.model(), of.model(of.neighbour)
        self._give(case, self.time, lost, [(step, 5), (step, GONE)])
        self._give(case, self.time, still_there, 7)
        for model in (lost, still_there):
            self._give(case, self.beside, model, [(step, 5), (step, GONE)])
        case.records(step, self.time_record, *largest(self.by, [(still_there, 7)]))
        case.records(step, self.beside_record)
        return case


def largest(
    by: Iterable[str], samples: Iterable[tuple[Mapping[str, str], float]]
) -> list[tuple[Mapping[str, str], float]]:
    """Return the maximum by labels."""
    names, found = tuple(by), dict[tuple[str, ...], float]()
    for labels, value in samples:
        key = tuple(labels[name] for name in names)
        found[key] = max(value, found.get(key, value))
    return [(dict(zip(names, key, strict=True)), value) for key, value in found.items()]
