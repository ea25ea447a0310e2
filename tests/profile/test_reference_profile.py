"""A profile is built from any table, and says what it can't do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.exceptions import ModelwatchError, ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.records import LOW, MISSING

N = 2000
WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)


def frame(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    age[:: max(1, n // 10)] = np.nan
    columns = {
        "age": age,
        "stops": rng.integers(0, 4, n),
        "city": rng.choice(["Rome", "Oslo", "Lima"], n, p=[0.6, 0.3, 0.1]),
        "zip": rng.choice(["00100", "0150"], n),
        "new": rng.random(n) < 0.2,
    }
    table: pd.DataFrame = pd.DataFrame(columns)
    return table


def build(data: Any, *args: Any, **options: Any) -> ReferenceProfile:
    return ReferenceProfile.build(data, *args, created=WHEN, **options)


def kinds(profile: ReferenceProfile) -> dict[str, str]:
    return {member.name: member.kind for member in profile.layout.features}


def test_numbers_are_numeric_and_texts_and_booleans_categorical() -> None:
    profile = build(frame())
    expected = {"age": "numeric", "stops": "numeric", "city": "categorical", "zip": "categorical", "new": "categorical"}
    assert kinds(profile) == expected
    assert profile.member("city").categories == ("Rome", "Oslo", "Lima")
    assert profile.member("new").categories == ("False", "True")
    assert profile.member("zip").categories[0] in ("00100", "0150")


def test_every_member_s_counts_add_up_to_the_rows() -> None:
    profile = build(frame(), predictions=np.linspace(0, 1, N))
    assert profile.rows == N
    for name in (*profile.feature_names, ""):
        assert profile.counts_of(name).sum() == N
    age = profile.member("age")
    assert profile.counts_of("age")[age.shape_size + MISSING] == 10
    assert profile.counts_of("city").tolist()[3:] == [0] * 7


def test_counts_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        build(frame()).counts[0] = 1


def as_dicts(data: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in data.to_dict("records")]


CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "dict of columns": lambda d: {name: column.to_numpy() for name, column in d.items()},
    "dict of lists": lambda d: {name: column.tolist() for name, column in d.items()},
    "list of dicts": as_dicts,
    "arrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "structured array": lambda d: d.astype({"city": "U8", "zip": "U8"}).to_records(index=False).view(np.ndarray),
    "nullable dtypes": lambda d: d.convert_dtypes(),
}


@pytest.mark.parametrize("convert", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_every_container_gives_the_same_profile(convert: Callable[[pd.DataFrame], Any]) -> None:
    assert build(convert(frame())) == build(frame())


def test_a_matrix_names_its_columns_by_number_or_as_told() -> None:
    data = np.random.default_rng(0).normal(size=(500, 2))
    assert build(data).feature_names == ("f0", "f1")
    assert build(data, feature_names=["a", "b"]).feature_names == ("a", "b")
    assert build(data.tolist()).id == build(data).id
    assert build(pd.DataFrame(data)).feature_names == ("0", "1")


def test_pandas_categoricals_of_numbers_are_categorical() -> None:
    data = pd.DataFrame({"code": pd.Categorical([1, 2] * 100), "x": range(200)})
    assert kinds(build(data)) == {"code": "categorical", "x": "numeric"}


def test_categorical_and_exclude_are_obeyed() -> None:
    profile = build(frame(), categorical=["stops"], exclude=["zip", "age"])
    assert kinds(profile) == {"stops": "categorical", "city": "categorical", "new": "categorical"}
    assert set(profile.member("stops").categories) == {"0", "1", "2", "3"}


def test_a_text_column_with_gaps_as_nan_stays_categorical() -> None:
    data = {"city": pd.Series([np.nan] * 150 + ["Rome"] * 50, dtype=object)}
    profile = build(data)
    assert profile.counts_of("city").tolist() == [50, 0, 0, 0, 150, 0, 0, 0]


def test_a_few_texts_among_numbers_are_invalid_and_said_so() -> None:
    profile = build({"x": [*range(190), *["n/a"] * 10]})
    assert kinds(profile) == {"x": "numeric"}
    assert any("10 values that are no numbers" in w for w in profile.warnings)


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pd.date_range("2026-01-01", periods=200), "dates or times"),
        (list(pd.date_range("2026-01-01", periods=200, tz="UTC")), "dates or times"),
        ([timedelta(days=1)] * 200, "dates or times"),
        ([None] * 200, "no finite number"),
        ([float("nan")] * 200, "no finite number"),
        ([b"x"] * 200, "neither numbers nor texts but bytes"),
        ([f"user {i}" for i in range(200)], "identifier"),
    ],
)
def test_what_cannot_be_watched_is_left_out_with_a_sentence(column: Any, why: str) -> None:
    profile = build({"x": range(200), "odd": column})
    assert profile.feature_names == ("x",)
    assert any("'odd' was left out" in w and why in w for w in profile.warnings)


def test_an_identifier_that_somebody_asked_for_is_kept() -> None:
    data = {"user": [f"user {i}" for i in range(200)]}
    assert build(data, categorical=["user"]).feature_names == ("user",)


@pytest.mark.parametrize(
    ("predictions", "task", "kind", "cells"),
    [
        (np.random.default_rng(0).random(N), "binary", "numeric", 50),
        (np.random.default_rng(0).normal(size=N), "regression", "numeric", 20),
        (np.arange(N), "regression", "numeric", 20),
        ([0, 1] * (N // 2), "binary", "categorical", 3),
        ([True, False] * (N // 2), "binary", "categorical", 3),
        ([0.0, 1.0, 2.0, 3.0] * (N // 4), "multiclass", "categorical", 5),
        (["yes", "no"] * (N // 2), "binary", "categorical", 3),
        ([f"class {i % 60}" for i in range(N)], "multiclass", "categorical", 51),
        (np.random.default_rng(0).random((N, 1)), "binary", "numeric", 50),
        (pd.DataFrame({"p": np.random.default_rng(0).random(N)}), "binary", "numeric", 50),
        ([0.1, 0.2] * (N // 2), "binary", "numeric", 2),
    ],
)
def test_task_and_cells_of_the_prediction_are_inferred(predictions: Any, task: str, kind: str, cells: int) -> None:
    profile = build(frame(), predictions=predictions)
    member = profile.member("")
    assert (profile.task, member.kind, member.shape_size) == (task, kind, cells)


def test_the_decision_threshold_is_an_edge_of_the_score() -> None:
    scores = np.random.default_rng(0).beta(2, 20, N)
    assert 0.3 in build(frame(), predictions=scores, decision_threshold=0.3).member("").edges
    assert 0.3 not in build(frame(), predictions=scores).member("").edges
    logits = np.random.default_rng(0).normal(size=N)
    assert 0.0 in build(frame(), predictions=logits, task="binary", decision_threshold=0.0).member("").edges


def test_a_given_task_goes_over_the_guess() -> None:
    profile = build(frame(), predictions=[0, 1] * (N // 2), task="regression")
    assert (profile.task, profile.member("").kind) == ("regression", "numeric")
    many = build(frame(), predictions=np.arange(N) % 40, task="multiclass")
    assert (many.task, many.member("").kind) == ("multiclass", "categorical")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"X": frame(50)}, "the reference data (X) has only 50 rows; a reference needs at least 100"),
    ({"X": {}}, "the reference data (X) is empty"),
    ({"X": {"a": []}}, "the reference data (X) is empty"),
    ({"X": {"x": [None] * 200}}, "no column that can be watched"),
    ({"X": 7}, "type int; pass a DataFrame"),
    ({"X": np.zeros(200)}, "1 dimension"),
    ({"X": [[1, 2], [3]]}, "neither of dicts nor of rows"),
    ({"X": {"a": [1] * 200, "b": [1] * 199}}, "'b' has 199 rows"),
    ({"X": {"a": 5}}, "'a' is of type int"),
    ({"X": {"": [1] * 200}}, "name is empty"),
    ({"X": {"a\nb": [1] * 200}}, "can't be printed"),
    ({"X": {"a" * 201: [1] * 200}}, "201 characters"),
    ({"X": {1: [1] * 200, "1": [1] * 200}}, "two columns named '1'"),
    ({"X": np.zeros((200, 2)), "feature_names": ["a"]}, "1 names, X has 2"),
    ({"categorical": ["cty"]}, "did you mean 'city'"),
    ({"exclude": ["agee"]}, "did you mean 'age'"),
    ({"importance": {"agee": 1}}, "did you mean 'age'"),
    ({"importance": {"age": -1}}, "at least 0"),
    ({"importance": [1, 2]}, "2 weights, X has 5"),
    ({"bins": 5}, "from 10 to 64"),
    ({"bins": 20.0}, "whole number"),
    ({"decision_threshold": float("nan")}, "finite"),
    ({"timezone": "Mars/Base"}, "'Mars/Base' is not known"),
    ({"timezone": "../etc/passwd"}, "is not known"),
    ({"model_id": "a\x1b[0m"}, "printable"),
    ({"predictions": [0.5] * 10}, "predictions has 10 rows"),
    ({"predictions": np.zeros((N, 2))}, "positive class: predictions[:, 1]"),
    ({"predictions": np.zeros((N, 3)), "task": "binary"}, "scores of three classes"),
    ({"predictions": np.full((N, 3), "a")}, "top class"),
    ({"predictions": np.full((N, 3), np.nan)}, "no label"),
    ({"predictions": np.zeros((9, 3))}, "predictions has 9 rows"),
    ({"predictions": [[0.2, 0.8]] * N}, "top class"),
    ({"predictions": [None] * N}, "no finite number"),
    ({"predictions": np.linspace(0, 1, N), "task": "multiclass"}, "top class"),
    ({"predictions": ["a"] * N, "task": "regression"}, "these are labels"),
    ({"predictions": [0.5] * N, "task": "binry"}, "did you mean 'binary'"),
    ({"actuals": [1] * 3}, "actuals has 3 rows"),
    ({"timestamps": ["yesterday"] * N}, "'yesterday' in row 0"),
    ({"timestamps": [object()] * N}, "no time"),
    ({"timestamps": [None] * N}, "hold no time"),
    ({"inherit": "profile"}, "inherit"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_mistake_is_a_sentence(options: dict[str, Any], message: str) -> None:
    given_ = dict(options)
    data = given_.pop("X", None)
    with pytest.raises(ModelwatchError) as caught:
        build(frame() if data is None else data, **given_)
    assert message in str(caught.value)


@pytest.mark.parametrize(("rows", "warnings"), [(500, 1), (2000, 1), (5000, 0)])
def test_a_small_reference_is_warned_about(rows: int, warnings: int) -> None:
    assert sum(str(rows) in w for w in build(frame(rows)).warnings) == warnings


@pytest.mark.parametrize(
    "stamps",
    [
        pd.date_range("2026-01-01 23:30", periods=240, freq="h"),
        pd.Series(pd.date_range("2026-01-01 22:30", periods=240, freq="h", tz="UTC")),
        [f"{t.isoformat()}" for t in pd.date_range("2026-01-01 23:30", periods=240, freq="h")],
        [f"{t.isoformat()}Z" for t in pd.date_range("2026-01-01 22:30", periods=240, freq="h")],
        pd.date_range("2026-01-01 22:30", periods=240, freq="h", tz="UTC").as_unit("s").asi8,
    ],
    ids=["naive", "aware", "text", "text with Z", "seconds"],
)
def test_timestamps_of_any_kind_give_the_same_days_and_range(stamps: Any) -> None:
    profile = build({"x": range(240)}, timestamps=stamps, timezone="Europe/Rome")
    start = datetime(2026, 1, 1, 22, 30, tzinfo=timezone.utc).timestamp()
    assert profile.days == 11
    assert profile.time_range == (start, start + 239 * 3600)
    assert profile.verdict.startswith("LIMITED: 11 days")


def test_rows_without_timestamp_are_said() -> None:
    stamps = pd.Series(pd.date_range("2026-01-01", periods=240, freq="h")).shift(7)
    profile = build({"x": range(240)}, timestamps=stamps)
    assert "7 rows have no timestamp" in profile.warnings


def test_without_timestamps_the_verdict_is_limited() -> None:
    profile = build(frame())
    assert (profile.calibrated, profile.days, profile.time_range) == (False, 0, None)
    assert profile.verdict.startswith("LIMITED: no timestamps; 24 h window only")


def test_actuals_are_counted_and_importance_kept_in_column_order() -> None:
    profile = build(frame(), actuals=[1] * (N - 5) + [None] * 5, importance=[5, 4, 3, 2, 1], exclude=["zip"])
    assert profile.labelled_rows == N - 5
    assert profile.importance == {"age": 5.0, "stops": 4.0, "city": 3.0, "new": 1.0}


def test_moments_are_those_of_the_finite_values() -> None:
    data = frame()
    moments = build(data).moments["age"]
    assert moments.mean == pytest.approx(data["age"].mean())
    assert moments.sd == pytest.approx(data["age"].std(ddof=0))
    assert (moments.minimum, moments.maximum) == (data["age"].min(), data["age"].max())
    assert moments.quantiles["q25"] == data["age"].quantile(0.25, interpolation="lower")
    huge = build({"x": np.linspace(-1, 1, 200) * 1.7e308}).moments["x"]
    assert np.isfinite([huge.mean, huge.sd]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    data = frame(300)
    scores = np.random.default_rng(1).random(300)
    order = np.random.default_rng(seed).permutation(300)
    assert build(data.iloc[order], predictions=scores[order]) == build(data, predictions=scores)


def test_the_id_changes_if_and_only_if_the_cells_do() -> None:
    data = frame()
    profile = build(data)
    doubled = build(pd.concat([data, data]), exclude=["age"])
    assert doubled.id == build(data, exclude=["age"]).id
    assert doubled.counts.sum() == 2 * build(data, exclude=["age"]).counts.sum()
    assert build(data, model_id="other", importance={"age": 1}, timezone="Europe/Rome").id == profile.id
    changed = data.copy()
    changed.loc[0, "age"] = 500.0
    assert build(changed).id != profile.id
    assert build(data, categorical=["stops"]).id != profile.id
    assert build(data.rename(columns={"age": "years"})).id != profile.id
    assert build(data, predictions=np.linspace(0, 1, N)).id != profile.id


def test_unknown_features_are_named_with_the_closest() -> None:
    with pytest.raises(ProfileError, match="did you mean 'city'"):
        build(frame()).member("cty")


def test_the_reference_itself_holds_nothing_new() -> None:
    profile = build(frame(), predictions=np.linspace(0, 1, N))
    for member in profile.layout.members:
        assert profile.counts_of(member.name)[member.shape_size + LOW : member.shape_size + MISSING].sum() == 0


def test_the_summary_has_a_line_per_feature_and_ends_with_the_verdict() -> None:
    profile = build(frame(), predictions=np.linspace(0, 1, N), model_id="ads", model_version="3")
    lines = profile.summary().splitlines()
    assert lines[0] == f"Reference profile {profile.label} of ads 3: 2 000 rows, 5 features, binary"
    assert [line.split()[0] for line in lines[2:8]] == [*profile.feature_names, "(prediction)"]
    assert "Rome 6" in lines[4]
    assert "0.5 % missing" in lines[2]
    assert lines[-1] == profile.verdict
    assert repr(profile) == f"ReferenceProfile({profile.label}: 2000 rows, 5 features)"
