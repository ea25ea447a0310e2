"""What a profile learns of its features together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timezone
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from modelwatch.exceptions import ProfileError
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.profile import learn_correlation as learning
from modelwatch.profile.correlation import STRONGEST, CorrelationConstants, codes_of, pairs_of, scores_of
from modelwatch.profile.natural import tolerance_factor
from modelwatch.profile.normal_scores import cells_of, score_table
from modelwatch.profile.rebase import rebase_on_rows
from modelwatch.records import HIGH, LOW, CellLayout, FeatureCells

DAY = 86400.0
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.sampled_from(["Rome", "1"]),
    st.just(b"x"), st.just([]), st.just({}), st.just(10**400), st.just(object()),
)  # fmt: skip
NUMBER = FeatureCells("n", "numeric", minimum=-1.0, edges=(0.0, 2.0, 3.5))
TOWN = FeatureCells("t", "categorical", categories=("Rome", "1", "True"), known=frozenset({"Oslo"}))


def constants_of(profile: ReferenceProfile) -> CorrelationConstants:
    assert profile.correlation is not None
    return profile.correlation


def correlated(rng: np.random.Generator, n: int, r: float = 0.6) -> dict[str, Any]:
    """Four features: numbers that go together, a category made of one of them, and one that goes with nothing."""
    a, noise, alone = rng.normal(size=(3, n))
    b = r * a + np.sqrt(1 - r**2) * noise
    return {"a": a, "b": np.exp(b), "town": np.where(a > 0.5, "Rome", "Oslo"), "alone": alone}


def scores_by_hand(profile: ReferenceProfile, columns: dict[str, Any]) -> np.ndarray[Any, Any]:
    constants = constants_of(profile)
    members = [profile.member(name) for name in constants.features]
    return scores_of(constants.tables, codes_of(members, columns, len(columns["a"])))


# ── scores ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(ODD, max_size=30))
def test_a_row_falls_into_the_cell_that_it_is_counted_in(values: list[Any]) -> None:
    for member in (NUMBER, TOWN):
        counted = CellAssigner(CellLayout((member,))).bin({member.name: values}, len(values)).cells
        found = np.bincount(cells_of(member, values, len(values)), minlength=member.size)
        shape = member.shape_size
        assert found[: shape + 2].tolist() == counted[: shape + 2].tolist()
        assert found[shape + 2 :].sum() == counted[shape + 2 :].sum()


class Rude:
    """Raises what a look-up takes for a key that is not there."""

    def __hash__(self) -> int:
        raise KeyError("rude")


def test_what_can_not_be_hashed_is_no_category_and_costs_no_other_row() -> None:
    values = ["x", Rude(), [1]]
    found = np.bincount(cells_of(TOWN, values, 3), minlength=TOWN.size)
    counted = CellAssigner(CellLayout((TOWN,))).bin({TOWN.name: values}, 3).cells
    assert found[: TOWN.shape_size].tolist() == counted[: TOWN.shape_size].tolist()
    assert found.sum() == 3


@pytest.mark.parametrize(
    "column", [None, "text", 5, np.zeros((3, 2)), object()], ids=lambda column: type(column).__name__
)
def test_what_is_no_column_is_missing_in_every_row(column: Any) -> None:
    cells = cells_of(NUMBER, column, 3)
    assert {int(cell) - NUMBER.shape_size for cell in cells} == {2}


def test_a_cell_is_worth_the_normal_quantile_of_the_middle_of_its_share() -> None:
    counts = np.array([500, 300, 200, 0, 0, 50, 0, 0, 0])
    table = score_table(NUMBER, counts)
    assert table[:3] == pytest.approx(special.ndtri([0.25, 0.65, 0.9]), abs=3e-3)
    assert table[NUMBER.shape_size + LOW] == -3.0
    assert table[NUMBER.shape_size + HIGH] == 3.0
    assert table[NUMBER.shape_size + 2 :].tolist() == [0.0] * 4


def test_categories_are_in_the_order_of_their_shares_unseen_ones_last() -> None:
    table = score_table(TOWN, np.array([10, 700, 90, 200, 0, 0, 30, 0, 0, 0]))
    assert np.argsort(table[:5]).tolist() == [1, 3, 2, 0, 4]


# ── correlations and their noise ─────────────────────────────────────────────────────────────────────────────────────


def test_correlations_are_those_of_the_scores() -> None:
    columns = correlated(np.random.default_rng(0), 3000)
    profile = ReferenceProfile.build(columns)
    constants = constants_of(profile)
    assert constants.features == ("a", "b", "town", "alone")
    by_hand = np.corrcoef(scores_by_hand(profile, columns))[np.triu_indices(4, 1)]
    assert constants.correlation == pytest.approx(by_hand, abs=1e-4)
    assert dict(zip(combinations(constants.features, 2), constants.correlation, strict=True))["a", "b"] > 0.5


def test_the_noise_is_that_of_resamples_of_the_reference() -> None:
    columns = correlated(np.random.default_rng(1), 2000)
    profile = ReferenceProfile.build(columns)
    constants = constants_of(profile)
    scores = scores_by_hand(profile, columns)
    scores = scores[:, np.lexsort(codes_of([profile.member(n) for n in constants.features], columns, 2000))]
    reference = np.corrcoef(scores)
    rng = np.random.default_rng(int(profile.id[:16], 16))
    found = []
    for _ in range(20):
        for rows in rng.integers(0, 2000, (20, 500)):
            r = np.corrcoef(scores[:, rows])
            found.append(
                sum(
                    (np.arctanh(np.clip(r[i, j], -0.99, 0.99)) - np.arctanh(np.clip(reference[i, j], -0.99, 0.99))) ** 2
                    for i, j in combinations(range(4), 2)
                )
            )
    by_hand = (np.mean(found), np.std(found), stats.skew(found))
    assert (constants.mean, constants.sd, constants.skew) == pytest.approx(by_hand, rel=1e-4)
    assert (constants.rows, constants.resample_rows) == (2000, 500)
    # Of pairs of normal scores, atanh r has a variance of about 1 / (n - 3).
    assert constants.mean == pytest.approx(6 / 497, rel=0.15)


def test_more_rows_have_less_noise_and_a_small_reference_adds_its_own() -> None:
    constants = constants_of(ReferenceProfile.build(correlated(np.random.default_rng(2), 2000)))
    assert constants.noise_factor(503) == pytest.approx(500 * (1 / 500 + 1 / 2000))
    assert constants.noise_factor(1e12) == pytest.approx(0.25)


def test_features_that_hardly_vary_are_left_out() -> None:
    columns = correlated(np.random.default_rng(3), 2000)
    rare = np.zeros(2000)
    rare[:15] = 1.0
    columns |= {"constant": np.ones(2000), "rare": rare, "gone": [None] * 1995 + [1.0, 2.0, 3.0, 4.0, 5.0]}
    assert constants_of(ReferenceProfile.build(columns)).features == ("a", "b", "town", "alone")


def test_a_profile_of_fewer_than_two_features_that_vary_knows_nothing_of_them_together() -> None:
    a = np.random.default_rng(0).normal(size=500)
    assert ReferenceProfile.build({"a": a, "constant": np.zeros(500)}).correlation is None
    assert ReferenceProfile.build({"a": a}, predictions=a).correlation is None


def test_of_many_features_the_sixty_most_important_ones_are_compared() -> None:
    rng = np.random.default_rng(4)
    columns = {f"f{i}": rng.normal(size=300) for i in range(70)}
    first = constants_of(ReferenceProfile.build(columns))
    assert first.features == tuple(f"f{i}" for i in range(60))
    weighted = constants_of(ReferenceProfile.build(columns, importance={f"f{i}": i for i in range(70)}))
    assert weighted.features == tuple(f"f{i}" for i in range(10, 70))


def test_features_that_are_the_same_are_no_more_than_nearly_the_same() -> None:
    a = np.random.default_rng(5).normal(size=1000)
    constants = constants_of(ReferenceProfile.build({"a": a, "copy": a}))
    assert constants.correlation.tolist() == [1.0]
    assert constants.atanh.tolist() == [np.arctanh(STRONGEST)]
    assert constants.mean == constants.sd == constants.skew == 0.0


def test_of_very_many_rows_a_part_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MOST_ROWS", 1500)
    constants = constants_of(ReferenceProfile.build(correlated(np.random.default_rng(6), 4000)))
    assert constants.rows == 1500
    assert constants.correlation[0] == pytest.approx(0.58, abs=0.06)


# ── nature ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def days_of(rng: np.random.Generator, days: int, spread: float, rows: int = 400) -> tuple[dict[str, Any], Any]:
    """Days on each of which a correlation of its own holds: atanh r varies with a standard deviation of `spread`."""
    parts = [np.tanh(np.arctanh(0.4) + spread * rng.normal()) for _ in range(days)]
    a, noise = rng.normal(size=(2, days * rows))
    r = np.repeat(parts, rows)
    times = np.repeat(np.arange(days), rows) * DAY + rng.uniform(0, DAY, days * rows)
    return {"a": a, "b": r * a + np.sqrt(1 - r**2) * noise}, times


def test_natural_variation_is_what_days_do_beyond_chance() -> None:
    columns, times = days_of(np.random.default_rng(7), 60, 0.15)
    constants = constants_of(ReferenceProfile.build(columns, timestamps=times))
    assert constants.days == 60
    assert set(constants.natural) == {"24h", "168h"}  # an hour has too few rows
    assert constants.natural_square(DAY) ** 0.5 == pytest.approx(0.15, rel=0.3)
    assert constants.tolerance(0.05, DAY) ** 2 == pytest.approx(tolerance_factor(60) * constants.natural_square(DAY))
    # Over a week the days cancel out.
    assert constants.natural_square(7 * DAY) < constants.natural_square(DAY) / 3


def test_days_that_differ_by_chance_alone_are_not_called_natural_variation() -> None:
    columns, times = days_of(np.random.default_rng(8), 28, 0.0)
    constants = constants_of(ReferenceProfile.build(columns, timestamps=times))
    assert constants.natural_square(DAY) < 0.02**2
    assert constants.natural_square(7 * DAY) == constants.natural_square(DAY) / 2
    assert constants.tolerance(0.05, 30 * DAY) == pytest.approx(0.05, abs=0.05)


def test_hours_are_compared_with_the_reference_without_their_own_day() -> None:
    columns, times = days_of(np.random.default_rng(9), 14, 0.2, rows=2400)
    times[np.argsort(times)] = np.arange(len(times)) * 36.0  # 100 rows in each hour
    profile = ReferenceProfile.build(columns, timestamps=times)
    constants = constants_of(profile)
    scores = scores_by_hand(profile, columns)
    weighted = weight = 0.0
    for hour in range(14 * 24):
        mine = np.floor(times / 3600.0) == hour
        others = np.floor(times / DAY) != hour // 24
        r, reference = (np.corrcoef(scores[:, rows])[0, 1] for rows in (mine, others))
        factor = constants.noise_factor(100)
        excess = (np.arctanh(r) - np.arctanh(reference)) ** 2 - factor * constants.mean
        weighted, weight = weighted + excess / factor**2, weight + 1 / factor**2
    assert constants.natural["1h"] == pytest.approx((weighted, weight), rel=1e-3)
    assert constants.natural_square(3600.0) == pytest.approx(weighted / weight, rel=1e-3)


def test_too_few_days_teach_nothing() -> None:
    columns, times = days_of(np.random.default_rng(10), 13, 0.15)
    constants = constants_of(ReferenceProfile.build(columns, timestamps=times))
    assert (constants.days, dict(constants.natural)) == (0, {})
    assert constants.tolerance(0.05, DAY) == 0.05


def test_rows_without_a_time_count_but_belong_to_no_day() -> None:
    columns, times = days_of(np.random.default_rng(11), 14, 0.1)
    times[::10] = np.nan
    constants = constants_of(ReferenceProfile.build(columns, timestamps=times, timezone="Europe/Berlin"))
    assert constants.rows == 14 * 400
    # The last hours of the 14th day are those of a 15th in Berlin.
    assert constants.days == 15
    nobody = learning.learn_correlation(
        CellLayout((NUMBER, TOWN)), np.zeros(19, dtype=np.int64), lambda members: codes_of(members, {}, 500), {},
        np.full(500, np.nan), timezone.utc,
    )  # fmt: skip
    assert nobody is None


# ── by the hour ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def daily() -> tuple[dict[str, Any], Any]:
    """Three features with a daily cycle, two of which go together in an hour too; four weeks."""
    rng = np.random.default_rng(30)
    times = 1_767_225_600.0 + np.sort(rng.uniform(0.0, 28 * DAY, 28 * 24 * 150))
    cycle = 1.5 * np.sin(2.0 * np.pi * times / DAY)
    shared = rng.normal(size=len(times))
    own = rng.normal(size=(3, len(times)))
    return {
        "a": cycle + 0.7 * shared + 0.7 * own[0],
        "b": -cycle + 0.7 * shared + 0.7 * own[1],
        "c": cycle + own[2],
    }, times


def test_what_the_hour_makes_of_features_is_taken_off(daily: tuple[dict[str, Any], Any]) -> None:
    columns, times = daily
    profile = ReferenceProfile.build(columns, timestamps=times)
    assert profile.correlation is not None
    assert profile.correlation_by_hour is not None
    whole = dict(zip(("ab", "ac", "bc"), profile.correlation.correlation, strict=True))
    by_hour = dict(zip(("ab", "ac", "bc"), profile.correlation_by_hour.correlation, strict=True))
    assert whole["ac"] > 0.4
    assert abs(by_hour["ac"]) < 0.03
    assert abs(by_hour["bc"]) < 0.03
    assert by_hour["ab"] == pytest.approx(0.48, abs=0.06)
    # An hour differs from the whole by the hour alone, which is no natural variation of how they go together.
    assert profile.correlation_by_hour.tolerance(0.05, 3600.0) < 0.4 * profile.correlation.tolerance(0.05, 3600.0)


def test_by_the_hour_the_order_of_rows_does_not_matter(daily: tuple[dict[str, Any], Any]) -> None:
    columns, times = daily
    one = ReferenceProfile.build(columns, timestamps=times).correlation_by_hour
    order = np.random.default_rng(31).permutation(len(times))
    mixed = {name: column[order] for name, column in columns.items()}
    other = ReferenceProfile.build(mixed, timestamps=times[order]).correlation_by_hour
    assert one is not None
    assert other is not None
    assert (one.correlation.tolist(), one.mean, one.sd, one.skew) == (
        other.correlation.tolist(), other.mean, other.sd, other.skew,
    )  # fmt: skip


def test_a_file_holds_what_was_learnt_by_the_hour(daily: tuple[dict[str, Any], Any]) -> None:
    columns, times = daily
    profile = ReferenceProfile.build(columns, timestamps=times)
    again = ReferenceProfile.from_json(profile.to_json())
    assert again.to_json() == profile.to_json()
    assert profile.correlation_by_hour is not None
    assert again.correlation_by_hour is not None
    mine, theirs = profile.correlation_by_hour.hours, again.correlation_by_hour.hours
    assert mine is not None
    assert theirs is not None
    assert theirs.means.tolist() == mine.means.tolist()
    assert mine.places(np.array([np.nan]))[0] == -1
    assert not mine.means[-1].any()


@pytest.mark.parametrize("options", [{"timestamps": None}, {"strata": "none"}], ids=["no times", "no strata"])
def test_without_hours_there_is_nothing_by_the_hour(daily: tuple[dict[str, Any], Any], options: dict[str, Any]) -> None:
    columns, times = daily
    profile = ReferenceProfile.build(columns, **{"timestamps": times, **options})
    assert profile.correlation is not None
    assert profile.correlation_by_hour is None


def test_of_features_by_the_hour_one_can_be_left_out(daily: tuple[dict[str, Any], Any]) -> None:
    columns, times = daily
    by_hour = ReferenceProfile.build(columns, timestamps=times).correlation_by_hour
    assert by_hour is not None
    left = by_hour.without("b")
    assert left is not None
    assert left.hours is not None
    assert by_hour.hours is not None
    assert left.features == ("a", "c")
    assert left.hours.means.tolist() == by_hour.hours.means[:, [0, 2]].tolist()


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def written() -> str:
    columns, times = days_of(np.random.default_rng(12), 15, 0.1)
    columns["town"] = np.where(np.arange(len(times)) % 3 == 0, "Rome", "Oslo")
    return ReferenceProfile.build(columns, timestamps=times).to_json()


def test_a_file_holds_what_was_learnt(written: str) -> None:
    profile = ReferenceProfile.from_json(written)
    assert profile.to_json() == written
    constants = constants_of(profile)
    assert (constants.features, len(constants.correlation), constants.days) == (("a", "b", "town"), 3, 15)
    assert [len(table) for table in constants.scores] == [profile.member(n).size for n in constants.features]


def test_a_profile_of_an_older_release_knows_nothing_of_features_together(written: str) -> None:
    document = json.loads(written)
    del document["correlation_by_hour"]
    profile = ReferenceProfile.from_json(json.dumps(document))
    assert profile.correlation is not None
    assert profile.correlation_by_hour is None
    del document["correlation"]
    assert ReferenceProfile.from_json(json.dumps(document)).correlation is None


def _set(*path: Any) -> Callable[[Any], Callable[[dict[str, Any]], None]]:
    def to(value: Any) -> Callable[[dict[str, Any]], None]:
        def change(document: dict[str, Any]) -> None:
            place = document["correlation"]
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value

        return change

    return to


HOSTILE: tuple[tuple[Callable[[dict[str, Any]], None], str], ...] = (
    (lambda document: document.update(correlation=[]), "correlation is no object"),
    (_set("scores")(None), "scores is no object"),
    (_set("scores")({}), "has 0 features; it must have 2 to 60"),
    (_set("scores", "nobody")([0.0]), "has 'nobody', which is no feature"),
    (lambda document: document["correlation"]["scores"].update(a=document["correlation"]["scores"].pop("a")), "order"),
    (_set("scores", "a")([0.0]), "must be a list of"),
    (_set("scores", "a", 0)(99.0), "must be finite numbers from -3 to 3"),
    (_set("scores", "a", 0)("1"), "must be finite numbers"),
    (_set("scores", "a", 0)(True), "must be finite numbers"),
    (_set("pairs")([0.1]), "pairs must be a list of 3 numbers"),
    (_set("pairs", 0)(1.5), "pairs must be finite numbers from -1 to 1"),
    (_set("pairs", 0)(10**400), "pairs must be finite numbers"),
    (_set("rows")(0), "rows must be a whole number from 1"),
    (_set("rows")(2.5), "rows must be a whole number"),
    (_set("rows")(True), "rows must be a whole number"),
    (_set("resample_rows")(3), "resample_rows must be a whole number from 4"),
    (_set("days")(-1), "days must be a whole number from 0"),
    (_set("mean")(-1.0), "mean must be a finite number of at least 0"),
    (_set("sd")(None), "sd must be a finite number"),
    (_set("skew")("x"), "skew must be a finite number"),
    (_set("natural")([]), "natural is no object"),
    (_set("natural", "2h")([0.0, 1.0]), "has '2h'; it must be one of 1h, 24h, 168h"),
    (_set("natural", "24h")([1.0]), "must be a list of 2 numbers"),
    (_set("natural", "24h")([1.0, -1.0]), "a weight below 0"),
    (lambda document: document.update(correlation_by_hour=[]), "correlation_by_hour is no object"),
    (
        lambda document: document["correlation_by_hour"].update(pairs=[]),
        "correlation_by_hour.pairs must be a list of 3",
    ),
    (lambda document: document["correlation_by_hour"].update(rows=0), "correlation_by_hour.rows must be a whole"),
    (lambda document: document.update(correlation=None), "correlation_by_hour is there without correlation"),
)


@pytest.mark.parametrize(("damage", "said"), HOSTILE, ids=[said for _, said in HOSTILE])
def test_a_damaged_file_is_refused_with_its_place(
    written: str, damage: Callable[[dict[str, Any]], None], said: str
) -> None:
    document = json.loads(written)
    damage(document)
    with pytest.raises(ProfileError, match=said) as caught:
        ReferenceProfile.from_json(json.dumps(document), source="bad.json")
    assert str(caught.value).startswith("bad.json: correlation")


def test_pairs_are_in_the_order_of_the_upper_triangle() -> None:
    first, second = pairs_of(4)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == list(combinations(range(4), 2))


def test_a_feature_with_a_new_normal_is_compared_with_no_other_and_the_rest_as_before() -> None:
    rng = np.random.default_rng(21)
    columns = correlated(rng, 5000)
    profile = ReferenceProfile.build(columns)
    whole = constants_of(profile)
    rebased = rebase_on_rows(profile, "b", 50.0 * columns["b"], np.zeros(5000), 0.0)
    left = constants_of(ReferenceProfile.from_json(rebased.to_json()))
    assert left.features == ("a", "town", "alone")
    known = dict(zip(combinations(whole.features, 2), whole.correlation.tolist(), strict=True))
    assert left.correlation.tolist() == [r for pair, r in known.items() if "b" not in pair]
    assert left.mean == pytest.approx(whole.mean / 2.0)
    assert whole.without("c") is whole
    two = constants_of(ReferenceProfile.build({name: columns[name] for name in ("a", "b")}))
    assert two.without("a") is None


def test_merged_references_know_what_the_larger_one_knows() -> None:
    rng = np.random.default_rng(22)
    small = ReferenceProfile.build(correlated(rng, 1000))
    cells = CellAssigner(small.layout).bin(correlated(rng, 3000), 3000).cells
    nothing = replace(small, correlation=None, counts=cells, rows=3000)
    assert small.merge(nothing).correlation is nothing.merge(small).correlation is small.correlation
    larger = replace(nothing, correlation=replace(constants_of(small), rows=3000))
    assert small.merge(larger).correlation is larger.merge(small).correlation is larger.correlation
