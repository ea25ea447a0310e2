"""Batches that somebody hands over, in any common container."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch.exceptions import InputError
from modelwatch.profile import ReferenceProfile
from modelwatch.windows.dataframe import count_batch, counts_of


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(0)
    training = {
        "age": rng.normal(40, 10, 2000),
        "income": rng.lognormal(10, 1, 2000),
        "height": rng.normal(170, 8, 2000),
    }
    return ReferenceProfile.build(training, predictions=rng.random(2000))


@pytest.fixture
def columns() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {"age": rng.normal(40, 10, 300), "income": rng.lognormal(10, 1, 300), "height": rng.normal(170, 8, 300)}


def test_every_container_counts_the_same(profile: ReferenceProfile, columns: dict[str, Any]) -> None:
    frame = pd.DataFrame(columns)
    expected = counts_of(profile, columns).cells
    others: list[Any] = [
        frame,
        frame[["height", "age", "income"]],
        frame.to_dict("records"),
        frame.to_numpy(),
        frame.to_numpy().tolist(),
        {name: list(values) for name, values in columns.items()},
        frame.to_records(index=False),
    ]
    for other in others:
        np.testing.assert_array_equal(counts_of(profile, other).cells, expected)
    assert expected.sum() == 3 * 300


@pytest.mark.parametrize(
    "predictions", [np.full(300, 0.5), [0.5] * 300, pd.Series([0.5] * 300), np.full((300, 2), 0.5)]
)
def test_predictions_of_any_kind(profile: ReferenceProfile, columns: dict[str, Any], predictions: Any) -> None:
    counts = counts_of(profile, columns, predictions)
    assert counts.cells[profile.layout.offsets[-1] :].sum() == 300


def test_predictions_alone_can_be_scored(profile: ReferenceProfile) -> None:
    batch = count_batch(profile, None, [0.1, 0.2])
    assert batch.counts.rows == 2
    assert batch.counts.cells[: profile.layout.offsets[-1]].sum() == 0


def test_a_feature_that_the_data_lack_is_told_and_not_counted_as_missing(
    profile: ReferenceProfile, columns: dict[str, Any]
) -> None:
    columns["incom"] = columns.pop("income")
    batch = count_batch(profile, columns)
    assert (batch.absent, batch.unknown) == (("income",), ("incom",))
    assert batch.counts.cells.sum() == 2 * 300


@pytest.mark.parametrize(
    ("data", "predictions", "words"),
    [
        (None, None, "pass current_data, current_predictions or both"),
        ([], None, "current_data has no rows"),
        (pd.DataFrame({"age": []}), None, "current_data has no rows"),
        (None, [], "current_predictions is empty"),
        ({"age": [1.0, 2.0]}, [0.5], "current_predictions has 1 values, current_data has 2 rows"),
        ({"age": [1.0, 2.0], "income": [1.0]}, None, "'income' has 1 rows"),
        ({"Age": [1.0]}, None, "none of the reference's features: it has Age, the reference has age, income, height"),
        (np.zeros((5, 2)), None, r"shape \(5, 2\); without column names it must have the 3 columns"),
        (np.zeros(5), None, "without column names"),
        ([[1.0, 2.0], [3.0, 4.0]], None, "3 names, X has 2 columns"),
        (42, None, "int"),
        (None, np.zeros((5, 4)), "one value a row"),
    ],
)
def test_what_cannot_be_scored_says_why(profile: ReferenceProfile, data: Any, predictions: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        count_batch(profile, data, predictions)


# ── values of another kind ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def mixed() -> ReferenceProfile:
    rng = np.random.default_rng(0)
    training = {"bid": rng.random(500), "city": rng.choice(["Rome", "Oslo"], 500), "code": rng.choice(["1", "2"], 500)}
    return ReferenceProfile.build(training, predictions=rng.random(500), categorical=["code"])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"bid": ["x", None]}, ("bid holds no numbers, the reference does",)),
        ({"city": [3.5, 1.0]}, ("city holds numbers, the reference holds categories",)),
        ({"city": [["Rome"], {}]}, ("city holds no categories, the reference does",)),
        ({"city": [3, "Rome"], "bid": ["x", 0.5]}, ()),
        ({"code": [3, 4], "city": ["Bonn", "Paris"]}, ()),
        ({"bid": [None, None], "city": [None, None]}, ()),
        ({"bid": [1e9, -1e9]}, ()),
    ],
)
def test_a_whole_column_of_another_kind_is_told(
    mixed: ReferenceProfile, columns: dict[str, Any], told: tuple[str, ...]
) -> None:
    usual: dict[str, Any] = {"bid": [0.1, 0.2], "city": ["Rome", "Oslo"], "code": [1, 2]}
    assert count_batch(mixed, usual | columns).unlike == told


@pytest.mark.parametrize("data", [None, {"bid": [0.1, 0.2]}])
def test_predictions_of_another_kind_are_a_mistake_and_no_drift(mixed: ReferenceProfile, data: Any) -> None:
    with pytest.raises(InputError, match=r"^current_predictions hold no numbers, the reference does$"):
        count_batch(mixed, data, ["x", "y"])
    assert count_batch(mixed, data, [None, None]).counts.rows == 2


def test_scores_are_a_mistake_where_the_reference_holds_labels() -> None:
    rng = np.random.default_rng(0)
    labels = ReferenceProfile.build({"a": rng.random(500)}, predictions=rng.choice(["yes", "no"], 500))
    with pytest.raises(InputError, match="current_predictions hold numbers, the reference holds categories"):
        count_batch(labels, None, [0.1, 0.9])
    assert count_batch(labels, None, ["maybe", "perhaps"]).counts.rows == 2
