"""However many values there are, a scrape shows a bounded number of series; and what it shows stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelwatch.collector import RecordingCollector
from modelwatch.collector.folding import member_series
from modelwatch.collector.forecast import PROCESS_SERIES, recorded_series
from modelwatch.profile import ReferenceProfile
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.recorder.models import MAX_CLASSES, MAX_CLASSES_OF_SCORES, MAX_VERSIONS
from modelwatch.recorder.segments import MAX_SEGMENTS

MILLION = 1_000_000
LIMIT = 5000


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    columns = {f"x{i}": rng.normal(0, 1, 2000) for i in range(10)}
    return ReferenceProfile.build({**columns, "city": ["Oslo", "Rome"] * 1000}, rng.random(2000))


@pytest.fixture(scope="module")
def wide() -> ReferenceProfile:
    rng = np.random.default_rng(2)
    return ReferenceProfile.build({f"x{i:03}": rng.normal(0, 1, 2000) for i in range(300)}, rng.random(2000))


class World:
    """Workers on one storage, and a scrape by each."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, [Recorder(folder, None, start_thread=False)]

    def worker(self, **model: Any) -> Recorder:
        made = Recorder(self._folder, None, start_thread=False)
        made.add_model(RecordedModel(**{"model_id": "m", "model_version": "1", **model}))
        self._made.append(made)
        return made

    def samples(self, by: Recorder | None = None, limit: int = LIMIT) -> dict[tuple[str, frozenset[Any]], float]:
        registry = CollectorRegistry()
        registry.register(RecordingCollector(by or self._made[-1], lambda: "abc", max_series=lambda: limit))
        found = {}
        for family in registry.collect():
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in found
                found[key] = sample.value
        assert len(generate_latest(registry).splitlines()) >= len(found)
        return found

    def close(self) -> None:
        for recorder in self._made:
            recorder.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def of(samples: dict[tuple[str, frozenset[Any]], float], name: str, label: str) -> Counter[str]:
    """Return the sums of a metric by one of its labels."""
    out: Counter[str] = Counter()
    for (metric, labels), value in samples.items():
        if metric == f"modelwatch_{name}":
            out[dict(labels)[label]] += int(value)
    return out


def folded(samples: dict[tuple[str, frozenset[Any]], float]) -> Counter[str]:
    return of(samples, "folded_series", "reason")


def record(recorder: Recorder, rows: int, columns: dict[str, Any], **more: Any) -> None:
    """Record many rows, in batches that fit into what may wait."""
    for first in range(0, rows, 100_000):
        some = slice(first, min(first + 100_000, rows))
        size = some.stop - some.start
        part = {name: column[some] for name, column in columns.items()}
        cut: dict[str, Any] = {name: value[some] if isinstance(value, list) else value for name, value in more.items()}
        answer = recorder.record_many("m", cut.pop("predictions", [0.3] * size), part or None, **cut)
        assert answer["sampled"] == size
        assert recorder.flush()


def test_a_million_categories_and_segments_add_no_series_beyond_the_limits(
    world: World, profile: ReferenceProfile
) -> None:
    recorder = world.worker(profile=profile, segments=("user",))
    texts = [f"u{i}" for i in range(MILLION)]
    record(recorder, 1000, {"city": texts[:1000]}, metadata=[{"user": text} for text in texts[:1000]])
    before = world.samples()
    record(recorder, MILLION, {"city": texts}, segment=texts)
    after = world.samples()
    assert after.keys() == before.keys()
    assert len(after) - PROCESS_SERIES <= LIMIT
    assert sum(of(after, "feature_category_total", "segment").values()) == MILLION + 1000
    assert all(after[key] >= value for key, value in before.items() if key[0].endswith(("_total", "_bucket")))


@pytest.mark.parametrize(("task", "most"), [("multiclass", MAX_CLASSES), ("binary", MAX_CLASSES_OF_SCORES)])
def test_a_million_classes_are_few_series(world: World, task: str, most: int) -> None:
    recorder = world.worker(task=task, decision_threshold=0.5)
    record(recorder, MILLION, {}, predictions=[f"c{i}" for i in range(MILLION)])
    found = of(world.samples(), "prediction_class_total", "class")
    assert len(found) == most + 1
    assert sum(found.values()) == MILLION


def test_eight_workers_with_classes_of_their_own_share_the_limit(world: World) -> None:
    workers = [world.worker(task="multiclass") for _ in range(8)]
    for place in range(50):
        for number, worker in enumerate(workers):
            worker.record("m", f"{number}-{place}", {})
    for worker in workers:
        worker.flush()
    for reader in workers:
        found = of(world.samples(reader), "prediction_class_total", "class")
        assert len(found) == MAX_CLASSES + 1
        assert sum(found.values()) == 8 * 50


def test_features_while_learning_metrics_and_versions_are_limited_over_all_workers(world: World) -> None:
    workers = [world.worker() for _ in range(4)]
    for place in range(300):
        for number, worker in enumerate(workers):
            worker.record("m", 0.5, {f"{number}-{place}": 1.0, "always": 2.0})
            worker.record("m", 0.5, {}, model_version=f"{number}-{place}")
            worker.set_metric("m", f"{number}-{place}", 1.0, 1000.0)
    for worker in workers:
        worker.flush()
    samples = world.samples()
    assert len(of(samples, "feature_missing_total", "feature")) == 500 + 1
    assert len(of(samples, "metric_value", "metric")) == 200
    versions = of(samples, "predictions_total", "model_version")
    assert len(versions) == MAX_VERSIONS + len(("1", "__other__"))
    assert sum(versions.values()) == 2 * 4 * 300


def test_a_version_that_is_registered_counts_by_itself_however_many_came_before(world: World) -> None:
    first = world.worker()
    for number in range(2 * MAX_VERSIONS):
        first.record("m", 0.5, {}, model_version=f"v{number}")
    first.flush()
    later = world.worker(model_version="release")
    later.record("m", 0.5, {})
    later.record("m", 0.5, {}, model_version="v99")
    later.add_model(RecordedModel("m", "v99"))
    later.record("m", 0.5, {}, model_version="v99")
    later.flush()
    versions = of(world.samples(), "predictions_total", "model_version")
    assert (versions["release"], versions["v99"]) == (1, 2)


def test_beyond_the_limit_the_segments_that_came_last_are_shown_as_one(world: World, profile: ReferenceProfile) -> None:
    recorder = world.worker(profile=profile, segments=("user",), task="binary", decision_threshold=0.5)
    whole = sum(map(member_series, profile.layout.members))
    names = [f"u{i}" for i in range(15)]
    seen: dict[Any, float] = {}
    for name in names:
        recorder.record_many("m", [0.3] * 5, {"x1": [0.5] * 5}, segment=name)
        recorder.flush()
        now = world.samples()
        assert seen.keys() <= now.keys()
        assert all(now[key] >= value for key, value in seen.items() if key[0] != "modelwatch_folded_series")
        seen = now
    # Room for the segments that came first, beside "" and all others; classes are few and shown for each.
    shown = (LIMIT - 50 - (MAX_SEGMENTS + 2) * (MAX_CLASSES_OF_SCORES + 1)) // whole
    assert 4 < shown < len(names)
    rows = of(seen, "feature_missing_total", "segment")
    assert set(rows) == {"", "__other__", *names[: shown - 2]}
    assert of(seen, "prediction_value_count", "segment")["__other__"] == 5 * (15 - (shown - 2))
    assert set(of(seen, "prediction_class_total", "segment")) == {"", *names}
    assert folded(seen) == {"segments": whole * (15 - (shown - 2)), "features": 0}
    assert len(seen) - PROCESS_SERIES <= LIMIT


def test_where_hardly_any_segment_fits_values_are_shown_for_all_together(
    world: World, profile: ReferenceProfile
) -> None:
    recorder = world.worker(profile=profile, segments=("user",), task="binary", decision_threshold=0.5)
    for name in ("a", "b", "c"):
        recorder.record_many("m", [0.3] * 5, {"x1": [0.5] * 5}, segment=name)
    recorder.flush()
    found = world.samples(limit=900)
    assert of(found, "prediction_value_count", "segment") == {"": 15}
    assert of(found, "prediction_class_total", "segment") == {"": 0, "a": 5, "b": 5, "c": 5}
    assert folded(found)["segments"] == 3 * sum(map(member_series, profile.layout.members))
    assert len(found) - PROCESS_SERIES <= 900


def test_where_one_segment_is_too_much_the_least_important_features_are_left_out(
    world: World, wide: ReferenceProfile
) -> None:
    importance = (("x299", 3.0), ("x298", 2.0), ("x150", 1.0))
    recorder = world.worker(profile=wide, importance=importance)
    recorder.record_many("m", [0.3] * 7, {"x299": [0.5] * 7})
    recorder.flush()
    found = world.samples()
    features = set(of(found, "feature_missing_total", "feature")) - {""}
    assert {"x299", "x298", "x150", "x000", "x001"} <= features
    assert not {"x297", "x296"} & features
    assert LIMIT - 100 < len(found) - PROCESS_SERIES <= LIMIT
    hidden = sum(member_series(m) for m in wide.layout.features if m.name not in features)
    assert folded(found) == {"segments": 0, "features": hidden}
    assert sum(of(found, "prediction_value_count", "segment").values()) == 7
    block = recorder.snapshot().vectors["profile", "m", "1", wide.id, ""]
    assert len(block.ints) == wide.layout.size + 1  # counted all the same


def test_of_two_references_the_latest_is_shown_first(
    world: World, wide: ReferenceProfile, profile: ReferenceProfile
) -> None:
    recorder = world.worker(profile=wide)
    recorder.record("m", 0.3, {"x001": 0.5})
    recorder.flush()
    recorder.set_profile("m", "1", profile)
    recorder.record("m", 0.3, {"x1": 0.5})
    recorder.flush()
    found = world.samples()
    assert of(found, "prediction_value_count", "profile") == {profile.label: 1, wide.label: 1}
    of_latest = {dict(labels).get("feature") for (_, labels) in found if dict(labels).get("profile") == profile.label}
    assert {m.name for m in profile.layout.features} <= of_latest
    assert len(found) - PROCESS_SERIES <= LIMIT


@pytest.mark.parametrize("limit", [100, 300, 1000, 2500, 5000, 50_000])
@pytest.mark.parametrize("keys", [(), ("user",)])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_forecast_is_what_is_shown_once_there_are_more_segments_than_can_be(
    world: World, profile: ReferenceProfile, keys: tuple[str, ...], task: str, limit: int
) -> None:
    model: dict[str, Any] = {"profile": profile, "segments": keys, "task": task, "decision_threshold": 0.5}
    recorder = world.worker(**model)
    labels = [0.3, 0.9] * 50 if task != "multiclass" else ["0", "1"] * 50
    for number in range(MAX_SEGMENTS + 5):
        recorder.record_many("m", labels, {"x1": [0.5] * 100}, metadata={"user": number})
    recorder.record_many("m", labels, {"x1": [0.5] * 100})
    recorder.flush()
    shown = len(world.samples(limit=limit)) - PROCESS_SERIES
    if task != "multiclass":
        assert shown == recorded_series(RecordedModel("m", "1", **model), profile.layout, limit=limit)
    assert shown <= limit


def test_a_model_without_segments_and_with_room_folds_nothing(world: World, profile: ReferenceProfile) -> None:
    recorder = world.worker(profile=profile)
    recorder.record("m", 0.3, {"x1": 0.5})
    recorder.flush()
    assert folded(world.samples()) == {"segments": 0, "features": 0}


def test_what_is_shown_does_not_hang_on_which_worker_is_asked(world: World) -> None:
    scored = ReferenceProfile.build({"x1": np.arange(2000.0)}, [0.2, 0.9] * 1000, task="binary")
    one = world.worker(profile=scored, decision_threshold=0.5, segments=("user",))
    other = world.worker(decision_threshold=0.5, segments=("user",))
    for number in range(MAX_SEGMENTS):
        one.record_many("m", [0.3, 0.9], {"x1": [5.0, 6.0]}, metadata={"user": number})
    one.flush()
    (one._storage / "profiles").mkdir()
    scored.save(one._storage / "profiles" / f"{scored.id}.json")
    for limit in (300, 600, 900, 2000):
        # But for what only starts at zero where the profile is known.
        shown = [{k for k, value in world.samples(reader, limit).items() if value} for reader in (one, other)]
        assert {name for name, _ in shown[0] ^ shown[1]} <= {"modelwatch_model_info"}


def test_classes_of_a_profile_start_at_zero_in_each_segment_as_far_as_there_is_room(world: World) -> None:
    rows = {"x1": [float(i) for i in range(2000)]}
    labels = ReferenceProfile.build(rows, [f"c{i % 60}" for i in range(2000)], task="multiclass")
    recorder = world.worker(profile=labels, segments=("user",), task="multiclass")
    assert len(of(world.samples(), "prediction_class_total", "class")) <= MAX_CLASSES
    recorder.record_many("m", ["c1", "new"], None, segment="a")
    recorder.flush()
    found = {
        dict(by)["class"]: value
        for (name, by), value in world.samples().items()
        if name == "modelwatch_prediction_class_total" and dict(by)["segment"] == "a"
    }
    assert found["c1"] == 1
    assert found.get("new", found.get("__other__")) == 1
    assert MAX_CLASSES - 1 <= len(found) <= MAX_CLASSES + 1
