"""`modelwatch.compare`: any two tables, or a table and a profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelwatch import ReferenceProfile, compare
from modelwatch.exceptions import ModelwatchError

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)

    def make(rows: int, shift: float) -> pd.DataFrame:
        made: pd.DataFrame = pd.DataFrame(
            {
                "bid": rng.normal(shift, 1.0, rows),
                "city": rng.choice(["Rome", "Oslo"], rows),
                "score": rng.beta(2.0, 5.0, rows) * (0.7 if shift else 1.0),
                "at": pd.date_range("2026-01-01", periods=rows, freq="min"),
                "id": [f"{shift} {i}" for i in range(rows)],
            }
        )
        return made

    return make(4000, 0.0), make(2000, 0.8)


COLUMNS: dict[str, Any] = {"predictions": "score", "timestamps": "at", "exclude": ["id"]}


def test_columns_that_are_no_features_are_named_once_for_both_tables(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    found = compare(*tables, **COLUMNS)
    assert found.profile.feature_names == ("bid", "city")
    assert found.drifted_features == ("bid",)
    assert found.to_dict()["drift_types"] == ["data", "prediction"]
    assert not compare(tables[0], tables[0], **COLUMNS).drifted


@pytest.mark.parametrize("convert", [dict, lambda frame: frame.to_dict("records"), pl.from_pandas])
def test_any_table_gives_the_same(tables: tuple[pd.DataFrame, pd.DataFrame], convert: Callable[..., Any]) -> None:
    expected = compare(*tables, **COLUMNS).to_dict()
    assert compare(*(convert(table) for table in tables), **COLUMNS).to_dict() == expected


def test_columns_may_be_given_beside_the_tables(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    before, now = tables
    apart = compare(before[["bid", "city"]], now[["bid", "city"]], predictions=(before["score"], now["score"]))
    assert (
        apart.to_dict()["details"]
        == compare(before, now, predictions="score", exclude=["at", "id"]).to_dict()["details"]
    )


def test_arrays_without_names_are_compared_column_by_column() -> None:
    rng = np.random.default_rng(1)
    found = compare(rng.normal(size=(3000, 3)), rng.normal(size=(3000, 3)) + np.array([0.0, 0.0, 1.0]))
    assert found.drifted_features == ("f2",)


def test_a_profile_stands_for_the_reference(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    before, now = tables
    profile = ReferenceProfile.build(before[["bid", "city"]], predictions=before["score"])
    found = compare(profile, now, predictions="score", exclude=["at", "id"])
    assert found.profile is profile
    assert (
        found.to_dict()["details"]
        == compare(before, now, predictions="score", exclude=["at", "id"]).to_dict()["details"]
    )


def test_a_tolerance_of_the_configuration_holds(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    assert not compare(
        *tables, exclude=["id", "at", "score"], drift={"thresholds": {"warning": 0.5, "error": 0.6, "critical": 0.7}}
    ).drifted


def test_from_where_on_it_is_drift_can_be_said(make_table: Make) -> None:
    slight = make_table(6000, 0), make_table(6000, 5) | {"fare": make_table(6000, 6)["fare"] * 1.3}
    assert compare(*slight).drifted
    assert compare(*slight, min_severity="info").drifted
    assert not compare(*slight, min_severity="critical").drifted


def test_without_predictions_nothing_is_said_of_them(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found = compare(*tables, exclude=["id", "at", "score"])
    assert list(found.to_dict()["details"]) == ["data", "multivariate"]


def test_inputs_that_no_longer_go_together_are_drift_of_no_input_by_itself() -> None:
    rng = np.random.default_rng(3)

    def rides(rows: int, shuffled: bool) -> pd.DataFrame:
        km = rng.lognormal(1.5, 0.5, rows)
        price = 2.0 * km + rng.normal(0, 1, rows)
        table: pd.DataFrame = pd.DataFrame({"km": km, "price": rng.permutation(price) if shuffled else price})
        return table

    before, now = rides(4000, False), rides(2000, True)
    found = compare(before, now)
    assert (found.severity, found.drifted_features) == ("warning", ())
    assert found.to_dict()["drift_types"] == ["multivariate"]
    assert found.to_dict()["top_features"] == ["km", "price"]
    told = found.content.found[0].words
    assert told.startswith("km and price (correlation 0.9")
    for text in (str(found), found.to_html(), found.to_junit()):
        assert told in text
    assert "change of correlations" in str(found)
    assert not compare(before, rides(2000, False)).drifted
    assert not compare(before, now, drift={"multivariate": "off"}).drifted


def test_a_column_that_is_gone_is_told(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    before, now = tables
    text = str(compare(before[["bid", "city"]], now[["bid"]].assign(town=now["city"])))
    assert "not in the data: city; not in the reference: town" in text


def test_with_times_nights_are_compared_with_nights() -> None:
    rng = np.random.default_rng(7)

    def days(first: str, count: int) -> pd.DataFrame:
        at = pd.date_range(first, periods=count * 24 * 60, freq="min")
        hour = at.hour + at.minute / 60.0
        made: pd.DataFrame = pd.DataFrame({"load": rng.normal(2.0 * np.sin(hour / 24.0 * 2.0 * np.pi), 1.0), "at": at})
        return made

    before, week = days("2026-01-05", 28), days("2026-02-02", 7)
    nights = week[week["at"].dt.hour < 5]
    assert compare(before[["load"]], nights[["load"]]).drifted
    apart = compare(ReferenceProfile.build(before[["load"]], timestamps=before["at"]), nights[["load"]])
    assert "pass timestamps for the same hours" in str(apart)
    matched = compare(before, nights, timestamps="at")
    assert matched.profile.calibrated
    assert not matched.drifted
    entry = matched.content.entries[0]
    assert entry.bars is not None
    assert entry.bars.reference == pytest.approx(entry.bars.current, abs=0.02)
    assert compare(before, nights.assign(load=nights["load"] + 2.0), timestamps="at").drifted_features == ("load",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictions": "scor"}, "the reference table has no column 'scor' (did you mean 'score'?)"),
        ({"predictions": 0.5}, "predictions must be the name of a column of both tables, or a pair"),
        ({"predictions": ([0.1], [0.2])}, "predictions has 1 rows, X has 4000"),
        ({"exclude": ["ids"]}, "neither table has a column 'ids' (did you mean 'id'?)"),
        ({"min_severity": "worning"}, "one of info, warning, error, critical, got 'worning' (did you mean 'warning'?)"),
        ({"false_alarm_rate": 0}, "above 0 and below 1, got 0"),
        ({"drift": {"threshold": {}}}, "did you mean 'thresholds'"),
        ({"timestamps": "city"}, "is no ISO-8601 time"),
    ],
)
def test_a_mistake_is_a_sentence(
    options: dict[str, Any], message: str, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    with pytest.raises(ModelwatchError) as caught:
        compare(*tables, **options)
    assert message in str(caught.value)


def test_something_that_is_no_table_is_named(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.raises(ModelwatchError, match="current is of type int"):
        compare(tables[0], 3)
    with pytest.raises(ModelwatchError, match="reference is of type int"):
        compare(3, tables[0])
    with pytest.raises(ModelwatchError, match="no rows"):
        compare(tables[0], tables[1][:0])


def test_a_notebook_shows_html(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    shown = compare(*tables, **COLUMNS)._repr_html_()
    assert shown.lstrip().startswith('<div class="mw">')
    assert "<svg" in shown
