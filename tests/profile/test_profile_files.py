"""A profile survives its file, and a file that is none is refused with a sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.exceptions import NotAvailableError, ProfileError
from modelwatch.profile import ReferenceProfile

Document = dict[str, Any]


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(0)
    data = {"age": rng.normal(40, 10, 300), "city": rng.choice(["Rome", 'Os"lo\\', "{{ $value }}🛩"], 300)}
    return ReferenceProfile.build(
        data,
        predictions=rng.random(300),
        timestamps=np.arange(300) * 3600,
        importance={"age": 2},
        model_id="../{m}",
        created=datetime(2026, 3, 1, tzinfo=timezone.utc),
    )


def test_a_profile_survives_its_file(profile: ReferenceProfile, tmp_path: Path) -> None:
    path = profile.save(tmp_path / "reference.json")
    loaded = ReferenceProfile.load(path)
    assert loaded == profile
    assert hash(loaded) == hash(profile)
    assert (loaded.id, loaded.layout) == (profile.id, profile.layout)
    assert loaded.counts.tolist() == profile.counts.tolist()
    assert loaded.moments == profile.moments
    assert loaded.summary() == profile.summary()
    assert loaded.to_json() == path.read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == ["reference.json"]


columns_strategy = st.dictionaries(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8),
    st.one_of(
        st.lists(st.one_of(st.floats(), st.none()), min_size=1, max_size=30),
        st.lists(st.one_of(st.text(max_size=5), st.none(), st.booleans()), min_size=1, max_size=30),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(columns=columns_strategy)
def test_any_profile_survives_json(columns: dict[str, list[Any]]) -> None:
    data = {name: (values * 120)[:120] for name, values in columns.items()}
    built = ReferenceProfile.build({"anchor": range(120), **{f"x{name}": values for name, values in data.items()}})
    assert ReferenceProfile.from_json(built.to_json()) == built
    assert built.summary()


def test_saving_replaces_the_old_file_or_leaves_it(
    profile: ReferenceProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reference.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProfileError, match="No space left on device"):
        profile.save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["reference.json"]
    monkeypatch.undo()
    profile.save(path)
    assert ReferenceProfile.load(path) == profile


def test_a_folder_that_does_not_exist_is_named(profile: ReferenceProfile, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere.*can't be written: No such file"):
        profile.save(tmp_path / "nowhere" / "reference.json")
    with pytest.raises(ProfileError, match=r"nowhere.*can't be read: No such file"):
        ReferenceProfile.load(tmp_path / "nowhere")


@pytest.mark.parametrize("address", ["https://x/y.json", "http://x", "s3://b/k", "gs://b/k", "models:/ads@champion"])
def test_addresses_are_not_available_yet(address: str) -> None:
    with pytest.raises(NotAvailableError, match="not available yet"):
        ReferenceProfile.load(address)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"NaN", b"[" * 100_000, b"{}", b"1" * 5000])
def test_a_file_that_is_no_profile_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"broken\.json: "):
        ReferenceProfile.load(path)


@pytest.fixture(scope="module")
def calibrated(seasonal: Callable[..., Any]) -> ReferenceProfile:
    rows = seasonal(15, 20, cycle=0.5, a=0.05, b=0.0)
    learnt: ReferenceProfile = rows.build(predictions=rows.columns["a"], timezone="Europe/Rome", strata="48")
    return learnt


def test_what_was_learnt_survives_the_file(calibrated: ReferenceProfile, tmp_path: Path) -> None:
    loaded = ReferenceProfile.load(calibrated.save(tmp_path / "reference.json"))
    assert loaded == calibrated
    assert (loaded.calibrated, loaded.natural_days, loaded.options["strata"]) == (True, 16, "48")
    assert loaded.strata is not None
    assert calibrated.strata is not None
    assert (loaded.strata.kind, loaded.strata.timezone) == ("48", "Europe/Rome")
    np.testing.assert_array_equal(loaded.strata.counts, calibrated.strata.counts)
    for window, natural in calibrated.natural.items():
        np.testing.assert_array_equal(loaded.natural[window].weighted, natural.weighted)
        np.testing.assert_array_equal(loaded.natural[window].weight, natural.weight)
        np.testing.assert_array_equal(loaded.natural[window].noise, natural.noise)
        np.testing.assert_array_equal(loaded.natural[window].clustered, natural.clustered)
        np.testing.assert_array_equal(loaded.natural[window].means, natural.means)
        assert np.asarray(natural.clustered)[1].all() == (window != "1h"), (
            "the prediction knows it too; hours hold too few rows"
        )
    assert loaded.summary() == calibrated.summary()


def test_a_file_from_before_rows_were_alike_takes_them_for_independent(calibrated: ReferenceProfile) -> None:
    document = json.loads(calibrated.to_json())
    for member in (*document["features"], document["prediction"]):
        for sums in member["natural"].values():
            del sums[3:]
    loaded = ReferenceProfile.from_json(json.dumps(document))
    assert not loaded.clustering.any()
    assert np.isinf(loaded.mean_variation).all(), "nor does it know how means vary"
    np.testing.assert_array_equal(loaded.variation, calibrated.variation)


def test_a_file_from_before_strata_is_read(profile: ReferenceProfile) -> None:
    document = json.loads(profile.to_json())
    for key in ("strata", "natural_days"):
        del document[key]
    loaded = ReferenceProfile.from_json(json.dumps(document))
    assert (loaded.strata, dict(loaded.natural), loaded.natural_days) == (None, {}, 0)
    assert loaded == profile


@pytest.mark.parametrize(("features", "limit"), [(25, 120_000), (100, 472_000)])
def test_a_calibrated_file_stays_small(seasonal: Callable[..., Any], features: int, limit: int) -> None:
    rows = seasonal(14, 60, **{f"f{i}": 0.05 for i in range(features)})
    assert len(rows.build().to_json()) < limit


def set_at(*keys: Any) -> Callable[[Any], Callable[[Document], None]]:
    def with_value(value: Any) -> Callable[[Document], None]:
        def change(doc: Document) -> None:
            target: Any = doc
            for key in keys[:-1]:
                target = target[key]
            target[keys[-1]] = value

        return change

    return with_value


def delete(key: str) -> Callable[[Document], None]:
    def change(doc: Document) -> None:
        del doc[key]

    return change


FAULTS: list[tuple[Callable[[Document], None], str]] = [
    (set_at("schema_version")(2), "schema_version is 2, this release reads 1"),
    (delete("schema_version"), "no reference profile"),
    (set_at("id")("0" * 64), "id does not belong"),
    (set_at("features", 0, "edges", 0)(-1e9), "begin below the minimum"),
    (set_at("features", 0, "edges", 0)(1e9), "ascending"),
    (set_at("features", 0, "edges", 0)("1"), "edges holds '1'"),
    (set_at("features", 0, "edges", 0)(10**400), "not finite"),
    (set_at("features", 0, "edges")([]), "at least one number"),
    (set_at("features", 0, "minimum")(None), "minimum holds None"),
    (set_at("features", 0, "counts")([1]), "counts has 1 entries"),
    (set_at("features", 0, "counts", 0)(-1), "at least 0"),
    (set_at("features", 0, "counts", 0)(1.5), "whole numbers"),
    (set_at("features", 0, "counts", 0)(10**30), "whole numbers"),
    (set_at("features", 0, "counts", 0)(999), "add up to"),
    (set_at("features", 0, "kind")("ordinal"), "features[0].kind is 'ordinal'"),
    (set_at("features", 0, "name")("city"), "same name"),
    (set_at("features", 0, "name")(""), "same name"),
    (set_at("features", 0, "name")("a\x1b[0m"), "printable"),
    (set_at("features", 0, "moments")({}), "features[0].moments.mean is missing"),
    (set_at("features", 0)(7), "features[0] is no object"),
    (set_at("features", 1, "categories", 0)(7), "must be texts"),
    (set_at("features", 1, "known")(["a", "a"]), "twice"),
    (set_at("features", 1, "vocabulary_complete")(1), "not of type bool"),
    (set_at("features")({}), "features is {}, not of type list"),
    (set_at("prediction", "name")("score"), "may have the name"),
    (set_at("rows")(-1), "rows is -1"),
    (set_at("rows")(True), "rows is True"),
    (set_at("task")("cluster"), "task is 'cluster'"),
    (set_at("created")("today"), "created is 'today'"),
    (set_at("time_range")([2, 1]), "two ascending"),
    (set_at("model_id")("\x1b]0;"), "printable"),
    (set_at("warnings")(["\x1b"]), "printable"),
    (delete("days"), "days is missing"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_every_fault_in_a_file_is_named(
    change: Callable[[Document], None], message: str, profile: ReferenceProfile, tmp_path: Path
) -> None:
    document = json.loads(profile.to_json())
    change(document)
    path = tmp_path / "faulty.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ProfileError) as caught:
        ReferenceProfile.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


LEARNT_FAULTS: list[tuple[Callable[[Document], None], str]] = [
    (set_at("strata")(48), "strata is 48"),
    (set_at("strata", "kind")("24"), "strata.kind is '24'; it must be one of 48, 168"),
    (set_at("strata", "kind")(["48"]), "strata.kind is ['48']"),
    (set_at("strata", "kind")("168"), "features[0].strata must be a list of 168 lists"),
    (set_at("strata", "timezone")("../../etc/passwd"), "strata.timezone '../../etc/passwd' is not known"),
    (set_at("strata", "timezone")(None), "strata.timezone is None"),
    (set_at("strata", "timezone")("\x1b[0m"), "strata.timezone is"),
    (set_at("features", 0, "strata")(None), "features[0].strata must be a list of 48 lists"),
    (set_at("features", 1, "strata", 3)({}), "features[1].strata must be lists of at most 26 counts"),
    (set_at("features", 1, "strata", 3)([0] * 27), "features[1].strata must be lists of at most 26 counts"),
    (set_at("prediction", "strata", 3)([1.5]), "prediction.strata must be whole numbers"),
    (set_at("prediction", "strata", 3)([-1]), "prediction.strata must be whole numbers"),
    (set_at("prediction", "strata", 3)([True]), "prediction.strata must be whole numbers"),
    (set_at("features", 0, "strata", 3)([10**30]), "features[0].strata must be whole numbers"),
    (set_at("features", 0, "strata", 3)([2**53 - 1] * 26), "add up to more than the 7200 rows"),
    (set_at("features", 0, "natural")(None), "features[0].natural must be an object"),
    (set_at("features", 0, "natural")({"1h": []}), "with the keys 1h, 24h, 168h"),
    (set_at("features", 0, "natural", "24h")([1]), "features[0].natural.24h must be three lists"),
    (set_at("prediction", "natural", "24h", 0)([1, 2]), "prediction.natural.24h must hold 3 numbers"),
    (set_at("features", 0, "natural", "1h", 1)([1, 2, "3"]), "features[0].natural.1h holds something that is no"),
    (set_at("features", 0, "natural", "1h", 1)([1, 2, 10**400]), "no number"),
    (set_at("features", 0, "natural", "1h", 1)([-1, 0, 0]), "do not belong to their weights"),
    (set_at("features", 0, "natural", "1h", 0)([1e30, 0, 0]), "do not belong to their weights"),
    (set_at("features", 0, "natural", "1h", 2)([-1, 0, 0]), "do not belong to their weights"),
    (set_at("features", 0, "natural", "24h", 3)([0, -1, 0]), "do not belong to their weights"),
    (set_at("features", 0, "natural", "24h", 4)([0, 0, -1]), "do not belong to their weights"),
    (set_at("features", 0, "natural", "24h", 3)([0, 1]), "must hold 3 numbers"),
    (set_at("natural_days")(0), "natural_days is 0; it must be a whole number of at least 1"),
    (set_at("natural_days")(True), "natural_days is True"),
    (set_at("natural_days")(10**9), "natural_days is 1000000000"),
]


@pytest.mark.parametrize(("change", "message"), LEARNT_FAULTS, ids=[message for _, message in LEARNT_FAULTS])
def test_every_fault_in_what_was_learnt_is_named(
    change: Callable[[Document], None], message: str, calibrated: ReferenceProfile
) -> None:
    document = json.loads(calibrated.to_json())
    change(document)
    with pytest.raises(ProfileError) as caught:
        ReferenceProfile.from_json(json.dumps(document), source="faulty.json")
    assert str(caught.value).startswith("faulty.json: ")
    assert message in str(caught.value)


def test_numbers_that_are_none_are_refused(profile: ReferenceProfile) -> None:
    text = profile.to_json().replace('"decision_threshold": 0.5', '"decision_threshold": NaN')
    with pytest.raises(ProfileError, match="NaN is no finite number"):
        ReferenceProfile.from_json(text)


def test_a_profile_without_features_and_prediction_is_refused(profile: ReferenceProfile) -> None:
    document = json.loads(profile.to_json()) | {"features": [], "prediction": None}
    with pytest.raises(ProfileError, match="neither features nor a prediction"):
        ReferenceProfile.from_json(json.dumps(document))
