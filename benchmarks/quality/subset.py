"""A part of each goal, with the same limits, that takes a minute together: what `make test` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quality import flights, goals, real
from quality.figures import Figure
from quality.together import rows_false_alarms
from quality.worlds import Season

__all__ = ["SUBSET"]

_SOON = [shift for shift in goals.SHIFTS if shift.name in ("mean + 0.5 sd", "mean + 0.25 sd", "missing 0 -> 5 %")]
_HARD = ("carrier UA is written in another way", "dep_delay + 10 min", "temp: Fahrenheit becomes Celsius")
_FAULTS = [fault for fault in flights.FAULTS if fault.name in _HARD]

SUBSET: Mapping[str, Callable[[], list[Figure]]] = {
    "G1": lambda: [
        *goals.false_alarms(2, (25,), (50, 10_000), kind="rows"),
        *goals.false_alarms(1, (100,), (1_000,), kind="traffic"),
    ],
    "G2": lambda: goals.seasonal_false_alarms(2, (2_000,), (28,)),
    "G1 and G2 on rows": lambda: [*rows_false_alarms(1, (200,)), *rows_false_alarms(2, (200,), Season())],
    "G3 and G4": lambda: goals.delays(7, (1_000,), _SOON, only_held=True),
    "G5": lambda: goals.small_shifts(3, (10_000,)),
    "G6": lambda: real.quiet_flights(only_shuffled=True),
    "G7": lambda: goals.seconds_a_check(15),
    "G8": lambda: real.faults_in_flights(_FAULTS),
}
"""By goal."""
