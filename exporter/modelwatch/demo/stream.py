"""The traffic of the demo: flights served one by one at a steady rate, the upstream fault, and late ground truth."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from modelwatch.demo.flights import Flights

__all__ = ["KILOMETRES_PER_MILE", "Fault", "FlightStream", "LateTruth", "ServedFlight", "Traffic"]

KILOMETRES_PER_MILE = 1.609344

# The three-letter codes that the air traffic control knows these carriers by. None is in the training data.
_ICAO = {
    "9E": "FLG", "AA": "AAL", "AS": "ASA", "B6": "JBU", "DL": "DAL", "EV": "ASQ", "F9": "FFT", "FL": "TRS",
    "HA": "HAL", "MQ": "EGF", "OO": "SKW", "UA": "UAL", "US": "AWE", "VX": "VRD", "WN": "SWA", "YV": "ASH",
}  # fmt: skip
# A process that was stopped for a while goes on at its rate; it does not serve the whole backlog in one go.
_LONGEST_BACKLOG_SECONDS = 1.0


class ServedFlight(NamedTuple):
    """One flight: what the model is asked with, and what will turn out to be true."""

    features: dict[str, Any]
    late: bool


@dataclass(frozen=True)
class Fault:
    """What goes wrong upstream: distances in kilometres, and a share of carriers under codes nobody has seen."""

    carrier_share: float = 0.3
    seed: int = 7

    def choose(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """Return a function that damages the features of one flight after the other."""
        rng = np.random.default_rng(self.seed)

        def damage(features: dict[str, Any]) -> dict[str, Any]:
            carrier = features["carrier"]
            if rng.random() < self.carrier_share:
                carrier = _ICAO.get(carrier, "ZZZ")
            distance = round(features["distance"] * KILOMETRES_PER_MILE, 1)
            return {**features, "distance": distance, "carrier": carrier}

        return damage


class FlightStream(Iterator[ServedFlight]):
    """Flights without end: all in their order, then all again in another one, and so on."""

    def __init__(self, flights: Flights, seed: int = 13) -> None:
        self._names = tuple(flights.columns)
        self._columns = [column.tolist() for column in flights.columns.values()]
        self._late = flights.late.tolist()
        self._rng = np.random.default_rng(seed)
        self._order = list(range(len(flights)))
        self._next = 0

    def __next__(self) -> ServedFlight:
        if self._next == len(self._order):
            self._order = self._rng.permutation(len(self._order)).tolist()
            self._next = 0
        at = self._order[self._next]
        self._next += 1
        values = (column[at] for column in self._columns)
        return ServedFlight(dict(zip(self._names, values, strict=True)), self._late[at])


class LateTruth:
    """Ground truth that becomes known some seconds after the prediction, so not in the order of the predictions."""

    def __init__(self, shortest: float, longest: float, seed: int = 17) -> None:
        self._shortest = shortest
        self._longest = longest
        self._rng = np.random.default_rng(seed)
        self._waiting: list[tuple[float, str, bool]] = []

    def add(self, now: float, prediction_id: str, late: bool) -> None:
        """Note what will turn out about a prediction that was made `now`."""
        known_at = now + self._rng.uniform(self._shortest, self._longest)
        heapq.heappush(self._waiting, (known_at, prediction_id, late))

    def due(self, now: float) -> Iterator[tuple[str, bool]]:
        """Yield and forget what is known by `now`, as (prediction id, whether late)."""
        while self._waiting and self._waiting[0][0] <= now:
            _, prediction_id, late = heapq.heappop(self._waiting)
            yield prediction_id, late


class Traffic:
    """Serves flights at `rate` a second.

    Parameters
    ----------
    stream : FlightStream
        Where the flights come from.
    predict : callable
        The monitored function; called with the features of one flight at a time.
    last_prediction_id : callable
        Returns the id under which the latest call of `predict` was recorded.
    record_actual : callable
        Given a prediction id and the truth, once it is known.
    truth : LateTruth
        When the truth is known.
    rate : float
        Flights per second.
    """

    def __init__(
        self,
        stream: FlightStream,
        predict: Callable[[dict[str, Any]], float],
        last_prediction_id: Callable[[], str | None],
        record_actual: Callable[[str, bool], object],
        truth: LateTruth,
        rate: float,
    ) -> None:
        self._stream = stream
        self._predict = predict
        self._last_prediction_id = last_prediction_id
        self._record_actual = record_actual
        self._truth = truth
        self._rate = rate
        self._damage: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self._paced_from: float | None = None
        self._paced = 0
        self.served = 0
        self.labelled = 0

    def begin_fault(self, fault: Fault) -> None:
        """Damage every flight from the next one on."""
        self._damage = fault.choose()

    def end_fault(self) -> None:
        """Serve flights as they are again."""
        self._damage = None

    def serve_due(self, now: float) -> int:
        """Serve the flights that are due at `now` (seconds of any clock that only rises); return how many."""
        due = self._count_due(now)
        for _ in range(due):
            flight = next(self._stream)
            features = flight.features if self._damage is None else self._damage(flight.features)
            self._predict(features)
            if (prediction_id := self._last_prediction_id()) is not None:
                self._truth.add(now, prediction_id, flight.late)
        self.served += due
        for prediction_id, late in self._truth.due(now):
            self._record_actual(prediction_id, late)
            self.labelled += 1
        return due

    def _count_due(self, now: float) -> int:
        if self._paced_from is None:
            self._paced_from = now
        due = int((now - self._paced_from) * self._rate) - self._paced
        if due > self._rate * _LONGEST_BACKLOG_SECONDS:
            self._paced_from, self._paced = now, 0
            return int(self._rate * _LONGEST_BACKLOG_SECONDS)
        self._paced += due
        return due
