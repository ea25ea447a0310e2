"""References of multiclass models whose predictions are the scores of all classes: the class, and how high its is."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch.exceptions import ModelwatchError, ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.class_scores import read_class_scores
from modelwatch.profile.rebase import Recorded, rebase
from modelwatch.records import MISSING, PREDICTION, PREDICTION_SCORE

N = 1500
WHEN = datetime(2026, 1, 2, tzinfo=timezone.utc)
CLASSES = ("cat", "dog", "fox")


def inputs(rows: int = N) -> dict[str, Any]:
    return {"age": np.arange(rows) % 61 * 0.5, "city": ["Oslo", "Rome", "Bern"] * (rows // 3)}


def scores(rows: int = N, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([4.0, 2.0, 1.0], rows)


def build(predictions: Any, rows: int = N, **options: Any) -> ReferenceProfile:
    return ReferenceProfile.build(inputs(rows), predictions, created=WHEN, **options)


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return build(scores())


def test_the_class_and_its_score_are_both_in_the_reference(profile: ReferenceProfile) -> None:
    top = scores().max(axis=1)
    assert profile.task == "multiclass"
    assert [member.name for member in profile.layout.members] == ["age", "city", PREDICTION, PREDICTION_SCORE]
    assert profile.member(PREDICTION).categories == ("0", "1", "2")
    member = profile.member(PREDICTION_SCORE)
    assert (member.kind, member.shape_size) == ("numeric", 50)
    assert (member.minimum, member.edges[-1]) == (top.min(), top.max())
    assert profile.moments[PREDICTION_SCORE].mean == pytest.approx(top.mean())
    assert profile.counts_of(PREDICTION_SCORE).sum() == profile.counts_of(PREDICTION).sum() == N


@pytest.mark.parametrize(
    "predictions",
    [
        pd.DataFrame(scores(), columns=CLASSES),
        scores().tolist(),
        list(scores()),
        pd.Series(scores().tolist()),
        scores().astype(object),
    ],
    ids=["frame", "lists", "arrays", "series of lists", "objects"],
)
def test_any_container_of_scores_makes_the_same_reference(predictions: Any, profile: ReferenceProfile) -> None:
    assert build(predictions) == profile


def test_classes_of_mappings_have_the_names_that_they_have_there(profile: ReferenceProfile) -> None:
    named = build([dict(zip(CLASSES, row, strict=True)) for row in scores().tolist()])
    assert named.member(PREDICTION).categories == CLASSES
    assert named.counts_of(PREDICTION).tolist() == profile.counts_of(PREDICTION).tolist()
    assert named.member(PREDICTION_SCORE) == profile.member(PREDICTION_SCORE)


@pytest.mark.parametrize(
    ("predictions", "profile_id"),
    [
        (None, "3eed8de86fb6"),
        (np.arange(1200) % 97 / 97, "3bdfdb70f481"),
        ([f"class {i % 4}" for i in range(1200)], "a1466a6335c7"),
        (np.arange(1200) % 301 * 1.5, "877a87f419d8"),
    ],
    ids=["none", "score", "labels", "regression"],
)
def test_other_references_are_what_they_were_before_there_were_scores(predictions: Any, profile_id: str) -> None:
    found = build(predictions, 1200)
    assert found.layout.score is None
    assert found.id.startswith(profile_id)
    assert "prediction_score" not in json.loads(found.to_json())


def test_rows_without_scores_have_neither_class_nor_score() -> None:
    given = scores()
    given[:30] = np.nan
    given[30:40, 0] = np.nan  # what is left is enough to tell the best of the others
    found = build(given)
    missing = [
        int(found.counts_of(name)[found.member(name).shape_size + MISSING]) for name in (PREDICTION, PREDICTION_SCORE)
    ]
    assert missing == [30, 30]


def test_where_few_classes_come_with_a_score_it_is_left_out_and_said() -> None:
    some: list[Any] = scores().tolist()
    some[100:] = ["0"] * (N - 100)
    found = build(some)
    assert found.layout.score is None
    assert found.member(PREDICTION).kind == "categorical"
    assert any("100 of 1500 predictions have one" in warning for warning in found.warnings)


def test_a_profile_with_scores_is_read_as_it_was_written(profile: ReferenceProfile) -> None:
    timed = build(scores(), timestamps=1.7e9 + np.arange(N) * 1800.0)
    assert timed.calibrated
    for one in (profile, timed):
        again = ReferenceProfile.from_json(one.to_json())
        assert again == one
        assert again.layout == one.layout


def _without_prediction(document: dict[str, Any]) -> None:
    document["prediction"] = None


def _of_texts(document: dict[str, Any]) -> None:
    document["prediction_score"] = {**document["prediction"], "name": PREDICTION_SCORE}


def _as_a_feature(document: dict[str, Any]) -> None:
    document["features"].append(document.pop("prediction_score"))


def _of_another_name(document: dict[str, Any]) -> None:
    document["prediction_score"]["name"] = "score"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_prediction, "prediction_score must be numeric, and beside a prediction"),
        (_of_texts, "prediction_score must be numeric, and beside a prediction"),
        (_as_a_feature, "and no feature"),
        (_of_another_name, "only its score '@prediction_score'"),
    ],
)
def test_a_score_that_can_be_none_is_refused(profile: ReferenceProfile, change: Any, message: str) -> None:
    document = json.loads(profile.to_json())
    change(document)
    with pytest.raises(ProfileError, match=message):
        ReferenceProfile.from_json(json.dumps(document))


def test_a_column_with_the_name_of_the_score_is_no_feature() -> None:
    found = ReferenceProfile.build({**inputs(), PREDICTION_SCORE: np.zeros(N)}, scores())
    assert found.feature_names == ("age", "city")
    assert any("has the name of a score" in warning for warning in found.warnings)


def test_parts_of_a_reference_add_up(profile: ReferenceProfile) -> None:
    part = build(scores(seed=1), like=profile)
    both = profile.merge(part)
    assert part.id == both.id == profile.id
    assert both.counts_of(PREDICTION_SCORE).sum() == 2 * N
    together = np.concatenate([scores().max(axis=1), scores(seed=1).max(axis=1)])
    assert both.moments[PREDICTION_SCORE].mean == pytest.approx(together.mean())


def test_a_part_without_scores_does_not_go_with_one_that_has_them(profile: ReferenceProfile) -> None:
    labels = scores().argmax(axis=1).astype(str).tolist()
    with pytest.raises(ProfileError, match="pass the scores of all classes"):
        build(labels, like=profile)
    with pytest.raises(ProfileError, match="only the first has the top score"):
        profile.merge(build(labels, task="multiclass"))


def test_what_was_learnt_of_scores_is_carried_over_by_their_name() -> None:
    donor = build(scores(), timestamps=1.7e9 + np.arange(N) * 1800.0)
    retrained = build(scores(seed=2), inherit=donor)
    mine, theirs = (one.layout.members.index(one.member(PREDICTION_SCORE)) for one in (retrained, donor))
    assert retrained.calibrated
    np.testing.assert_array_equal(retrained.variation[:, mine], donor.variation[:, theirs])
    plain = build(scores().argmax(axis=1), timestamps=1.7e9 + np.arange(N) * 1800.0)
    assert any("knows nothing of '(top score)'" in told for told in build(scores(), inherit=plain).warnings)


def test_the_new_normal_of_an_input_leaves_scores_as_they_are(profile: ReferenceProfile) -> None:
    cells = np.zeros((1, profile.member("age").size))
    cells[0, 3] = 400.0
    found = rebase(profile, "age", Recorded(np.array([1.7e9]), cells, np.array([400.0])), since=1.7e9)
    assert found.id == profile.id
    for name in (PREDICTION, PREDICTION_SCORE):
        assert found.counts_of(name).tolist() == profile.counts_of(name).tolist()


def test_weights_are_those_of_the_columns_of_inputs(profile: ReferenceProfile) -> None:
    assert build(scores(), importance=[1.0, 2.0]).importance == {"age": 1.0, "city": 2.0}


def test_the_summary_shows_scores_by_their_name(profile: ReferenceProfile) -> None:
    assert any(line.startswith("  (top score)   numeric") for line in profile.summary().splitlines())


@pytest.mark.parametrize("task", ["binary", "regression", "score"])
def test_scores_of_classes_are_those_of_a_multiclass_model(task: str) -> None:
    with pytest.raises(ModelwatchError, match=f"predictions of a {task} model are one value a row"):
        build(scores(), task=task)


@pytest.mark.parametrize(
    "value",
    [
        [0.5, 0.7], ["a", "b"], np.array([[0.2, 0.8]]), [[0.2, 0.8]], [{"price": 9.5, "tax": 0.1, "fee": 0.3}],
        [{"score": 0.2, "low": 0.3, "high": 0.5}], [{"a": 0.5, "b": 0.5}], [{"a": True, "b": False, "c": False}],
        [None], [], "abc", None, 3, {"a": 0.2, "b": 0.3, "c": 0.5}, np.array([["a", "b", "c"]]),
    ],
    ids=repr,
)  # fmt: skip
def test_what_holds_no_scores_of_classes_is_something_else(value: Any) -> None:
    assert read_class_scores(value) is None


def test_infinite_scores_have_an_order_too() -> None:
    top = read_class_scores(np.array([[-np.inf, -np.inf, -np.inf], [np.nan, -np.inf, np.inf]]))
    assert top is not None
    assert (top.labels, top.scores.tolist()) == (["0", "2"], [-np.inf, np.inf])


@pytest.mark.parametrize("row", [["a", 1, "c"], ["a", "b", "c"]])
def test_lists_of_texts_are_no_scores(row: list[Any]) -> None:
    with pytest.raises(ProfileError, match="it holds neither numbers nor texts but list"):
        ReferenceProfile.build({"x": np.arange(300.0)}, predictions=[row] * 300)
