"""``reference: auto``: one profile, learnt once from production, that every process follows."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import DriftMonitoringService, ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.service.learning import DAY, Progress
from modelwatch.service.loop import CheckLoop

MakeService = Callable[..., ProductionMonitoringService]
HOUR = 3600.0


class Plan(Enum):
    FREE = "free"
    PRO = "pro"


class Production:
    """Hours of traffic of one model through one service, with whatever is due after each."""

    def __init__(self, service: ProductionMonitoringService, clock: Any, rows: Any, scores: Any) -> None:
        self.service, self.clock, self.rows, self.scores = service, clock, rows, scores
        assert service._parts.jobs is not None
        self.loop = CheckLoop(service._parts.jobs, clock=clock)
        self.hour = 0

    def run(
        self, hours: int, per_hour: int = 240, *, kilometres: bool = False, without: str = "", due: bool = True
    ) -> None:
        for _ in range(hours):
            self.hour += 1
            columns = self.rows(per_hour, 1000 + self.hour, kilometres=kilometres)
            scores = self.scores(per_hour, 1000 + self.hour).tolist()
            names = list(columns)
            for i, values in enumerate(zip(*columns.values(), strict=True)):
                row = {n: None if n == without else v for n, v in zip(names, values, strict=True)}
                when = self.clock() + i * HOUR / per_hour
                self.service._parts.recorder.record("ads", scores[i], row, timestamp=when, latency_ms=2.0)
                if i % 2000 == 1999:
                    self.clock.advance(2000 * HOUR / per_hour)
                    assert self.service.flush()
                    self.clock.advance(-2000 * HOUR / per_hour)
            self.clock.advance(HOUR)
            assert self.service.flush()
            if due:
                self.loop.tick(self.clock())
        assert self.service._parts.outbox.flush(5.0)

    def state(self) -> dict[str, Any]:
        status = self.service.get_service_status()
        assert status["status"] == "success", status
        (model,) = [m for m in status["models"] if m["model_id"] == "ads"]
        return dict(model)

    def reference(self) -> Any:
        return self.service._parts.store.reference_of("ads")  # type: ignore[union-attr]


@pytest.fixture
def start(make_service: MakeService, clock: Any, rows: Any, scores: Any) -> Callable[..., Production]:
    def start_one(**fields: Any) -> Production:
        service = make_service()
        answer = service.register_model({"model_id": "ads", "alert_channels": ["email"], **fields})
        assert answer["status"] == "success"
        return Production(service, clock, rows, scores)

    return start_one


def metric(service: ProductionMonitoringService, name: str, **labels: str) -> float | None:
    return service.registry.get_sample_value(name, labels)


# ── the first day ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fresh_model_is_learning_and_says_how_far_it_has_come(start: Callable[..., Production]) -> None:
    ads = start()
    assert ads.state()["reference"] == "learning, 0 of 5 000 rows, 0 of 24 h"
    ads.run(5, 248)
    assert ads.state()["reference"] == "learning, 1 240 of 5 000 rows, 4 of 24 h"
    assert ads.state()["drift_state"]["data"].startswith("learning · no reference yet: learning, 1 240 of 5 000 rows")
    assert ads.state()["health"] == "healthy", "learning is no fault"
    labels = {"model_id": "ads", "model_version": "", "drift_type": "data", "state": "learning"}
    assert metric(ads.service, "modelwatch_drift_state", **labels) == 1.0
    learned = metric(ads.service, "modelwatch_reference_learned_ratio", model_id="ads")
    assert learned == pytest.approx((5 - 1 / 248) / 24, rel=1e-3), "time is what it lacks most"


def test_what_cannot_be_known_yet_is_said_and_never_guessed(start: Callable[..., Production], rows: Any) -> None:
    ads = start()
    ads.run(3, 100)
    for answer in (
        ads.service.monitor_model_drift("ads"),
        ads.service.monitor_model_drift("ads", rows(3000, 5, kilometres=True)),
    ):
        assert (answer["status"], answer["drift_detected"], answer["drift_types"]) == ("success", False, [])
        assert answer["severity"] == "none"
        assert answer["details"]["data"]["state"] == "learning"
        assert "learning, 300 of 5 000 rows" in answer["summary"]


def test_until_there_are_cells_missing_and_unreadable_values_are_counted(start: Callable[..., Production]) -> None:
    ads = start()
    for value in (1.0, None, float("nan"), "text", {"a": 1}, 3):
        ads.service.record_prediction("ads", 0.5, {"bid": value, "floor": 1.0})
    ads.service.flush()
    labels = {"model_id": "ads", "model_version": "", "profile": "", "segment": ""}
    assert metric(ads.service, "modelwatch_feature_missing_total", **labels, feature="bid") == 2.0
    assert metric(ads.service, "modelwatch_feature_missing_total", **labels, feature="floor") == 0.0
    assert metric(ads.service, "modelwatch_feature_invalid_total", **labels, feature="bid", reason="type") == 1.0


def test_a_day_and_enough_rows_make_a_profile_which_the_log_tells_once(
    start: Callable[..., Production], caplog: pytest.LogCaptureFixture
) -> None:
    ads = start()
    with caplog.at_level(logging.INFO, "modelwatch"):
        ads.run(24)
        assert ads.reference() is None, "rows enough, but not a whole day"
        ads.run(2)
        ads.run(6)
    told = [r.getMessage() for r in caplog.records if "learnt the reference of ads" in r.getMessage()]
    assert len(told) == 1
    reference = ads.reference()
    assert (reference.origin, reference.written) == ("learnt", "auto")
    assert f"profile {reference.profile_id[:8]}" in told[0]
    assert ads.state()["reference"] == f"learning, day 2 of 14: profile {reference.profile_id[:8]}"
    assert metric(ads.service, "modelwatch_reference_learned_ratio", model_id="ads") == 1.0
    text = ads.service._parts.store.load_profile(reference.profile_id)  # type: ignore[union-attr]
    assert text is not None
    profile = ReferenceProfile.from_json(text)
    assert profile.feature_names == ("distance", "carrier", "hour")
    assert profile.task == "binary"
    assert profile.days == 2
    assert profile.rows in range(5700, 6100)


def test_too_few_rows_a_day_are_learnt_from_after_two_weeks(start: Callable[..., Production]) -> None:
    ads = start(drift_detection_interval="12h")
    ads.run(24 * 14, 3)
    assert ads.state()["reference"] == "learning, 1 008 of 5 000 rows, day 14 of 14"
    assert ads.reference() is None
    ads.run(2, 3)
    assert ads.reference() is not None


def test_configuration_shapes_the_learnt_profile(start: Callable[..., Production]) -> None:
    ads = start(features={"exclude": ["carrier"], "categorical": ["hour"]}, drift={"bins": 10}, decision_threshold=0.25)
    ads.run(26)
    profile = ads.service._parts.book.get("ads").profile
    assert profile is not None
    assert profile.feature_names == ("distance", "hour")
    assert profile.member("hour").kind == "categorical"
    assert len(profile.member("distance").edges) <= 11
    assert 0.25 in profile.member("").edges


def test_nameless_features_keep_their_places_where_one_can_not_be_learnt(
    start: Callable[..., Production], clock: Any
) -> None:
    ads = start()
    rng = np.random.default_rng(3)
    for hour in range(28):
        for i in range(250):
            ads.service.record_prediction("ads", 0.5, [rng.normal(), f"user-{hour}-{i}", rng.gamma(2.0)])
        ads.service.flush()
        clock.advance(HOUR)
        ads.loop.tick(clock())
    profile = ads.service._parts.book.get("ads").profile
    assert profile is not None
    assert profile.feature_names == ("f0", "f2"), "an identifier can't be watched"
    labels = {"model_id": "ads", "model_version": "", "profile": profile.label, "segment": ""}
    ads.service.record_prediction("ads", 0.5, [0.0, "user", 1.0])
    ads.service.flush()
    assert (metric(ads.service, "modelwatch_feature_value_count", **labels, feature="f2") or 0) > 0
    reasons = ("type", "parse", "too_big")
    invalid = [
        metric(ads.service, "modelwatch_feature_invalid_total", **labels, feature="f2", reason=r) for r in reasons
    ]
    assert invalid == [0.0, 0.0, 0.0], "the identifier is not taken for the value beside it"


def test_what_can_not_be_learnt_from_is_said_and_tried_again(
    start: Callable[..., Production], clock: Any, rows: Any, scores: Any
) -> None:
    ads = start()
    for _ in range(26):
        for i in range(250):
            ads.service.record_prediction("ads", None, None, timestamp=clock() + i)
        clock.advance(HOUR)
        ads.service.flush()
        ads.loop.tick(clock())
    assert "learning from 6 500 rows failed: " in ads.state()["reference"]
    ads.run(2, 5500)
    assert ads.reference() is not None


# ── from then on ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_broken_input_is_found_once_the_reference_is_learnt(start: Callable[..., Production], inbox: Any) -> None:
    ads = start()
    ads.run(30)
    assert inbox.alerts == []
    ads.run(4, without="distance")
    (alert,) = inbox.of("firing")
    assert (alert["type"], alert["level"]) == ("data_drift", "error"), "gross: half the input is gone"
    assert "distance" in alert["message"]


def test_nothing_is_above_warning_while_learning_but_a_gross_change(start: Callable[..., Production]) -> None:
    ads = start()
    ads.run(52, 500)
    assert ads.state()["drift_severity"] == "none"
    ads.run(12, 500, kilometres=True)
    assert ads.state()["drift_severity"] == "warning"
    assert ads.state()["reference"].startswith("learning, day 3 of 14")


def test_learning_goes_on_until_day_14_and_stops_there(start: Callable[..., Production]) -> None:
    ads = start(drift_detection_interval="12h")
    ads.run(26)
    first = ads.reference()
    begun = ads.service._parts.book.get("ads").profile
    assert begun is not None
    ads.run(48)
    later = ads.service._parts.book.get("ads").profile
    assert later is not None
    assert later.id == begun.id == first.profile_id, "cells are fixed once"
    grown_hours = (ads.clock() - DAY - first.counted_until) / HOUR
    assert later.rows - begun.rows == pytest.approx(240 * grown_hours, abs=3 * 240)
    assert later.revision > begun.revision
    ads.run(24 * 13, 6)
    at_end = ads.service._parts.book.get("ads").profile
    assert at_end is not None
    assert ads.state()["reference"] == f"profile {begun.label}, learnt"
    assert at_end.time_range is not None
    assert at_end.time_range[1] == first.learning_since + 14 * DAY
    assert at_end.days == 15
    ads.run(30, 6)
    assert ads.service._parts.book.get("ads").profile == at_end


def test_rows_in_which_drift_was_found_are_never_learnt(start: Callable[..., Production]) -> None:
    ads = start(drift={"windows": ["1h", "2h"]})
    ads.run(30)
    clean = ads.service._parts.book.get("ads").profile
    assert clean is not None
    ads.run(30, kilometres=True)
    ads.run(12)
    profile = ads.service._parts.book.get("ads").profile
    assert profile is not None
    assert profile.revision > clean.revision
    high = profile.counts_of("distance")[profile.member("distance").shape_size + 1]
    assert high / profile.rows < 0.01, "kilometres lie above the range of miles"


def test_rows_to_learn_from_are_thinned_out_evenly(start: Callable[..., Production], monkeypatch: Any) -> None:
    monkeypatch.setattr("modelwatch.service.learning.MOST_ROWS", 2000)
    ads = start()
    ads.run(26)
    profile = ads.service._parts.book.get("ads").profile
    assert profile is not None
    assert 1500 <= profile.rows <= 2000
    assert profile.days == 2, "from the whole time, not from its beginning"


# ── privacy and room ─────────────────────────────────────────────────────────────────────────────────────────────────


def learning_rows(ads: Production) -> int:
    path = ads.service.storage / "modelwatch.db"
    with sqlite3.connect(path) as connection:
        found = connection.execute('SELECT coalesce(sum("rows"), 0) FROM learning_chunks').fetchone()[0]
    connection.close()
    return int(found)


def stored_rows(ads: Production) -> int:
    with sqlite3.connect(ads.service.storage / "modelwatch.db") as connection:
        found = connection.execute('SELECT coalesce(sum("rows"), 0) FROM row_chunks').fetchone()[0]
    connection.close()
    return int(found)


def test_without_logged_predictions_rows_are_kept_only_until_the_reference_is_learnt(
    start: Callable[..., Production],
) -> None:
    ads = start(log_predictions=False)
    ads.run(3)
    assert (learning_rows(ads), stored_rows(ads)) == (3 * 240, 0)
    ads.run(23)
    assert ads.reference() is not None
    ads.run(2)
    assert (learning_rows(ads), stored_rows(ads)) == (0, 0)


def test_without_logged_predictions_the_rows_kept_are_bounded(start: Callable[..., Production]) -> None:
    ads = start(log_predictions=False)
    ads.run(2, 12_000)
    # 5 000 at first, then 350 of each 5 minutes.
    assert learning_rows(ads) <= 5000 + 2 * 12 * 350
    assert learning_rows(ads) >= 5000


# ── many processes, restarts ─────────────────────────────────────────────────────────────────────────────────────────


def test_every_service_on_the_storage_follows_the_same_profile(
    start: Callable[..., Production], make_service: MakeService, clock: Any
) -> None:
    ads = start()
    other = make_service(alert_handlers={})
    other.register_model({"model_id": "ads"})
    ads.run(26)
    other.record_prediction("ads", 0.4, {"distance": 900.0, "carrier": "UA", "hour": 9.0})
    other.flush()
    mine, theirs = ads.service._parts.book.get("ads").profile, other._parts.book.get("ads").profile
    assert mine is not None
    assert theirs is not None
    assert mine.id == theirs.id
    labels = {"model_id": "ads", "model_version": "", "profile": mine.label, "segment": "", "feature": "carrier"}
    before = metric(other, "modelwatch_feature_category_total", **labels, category="UA")
    other.record_prediction("ads", 0.4, {"distance": 900.0, "carrier": "UA", "hour": 9.0})
    other.flush()
    after = metric(other, "modelwatch_feature_category_total", **labels, category="UA")
    assert before is not None
    assert after == before + 1


def test_a_restarted_process_goes_on_with_what_was_learnt(
    start: Callable[..., Production], make_service: MakeService
) -> None:
    ads = start()
    ads.run(26)
    learnt = ads.reference().profile_id
    ads.service.close()
    again = make_service()
    again.register_model({"model_id": "ads"})
    profile = again._parts.book.get("ads").profile
    assert profile is not None
    assert profile.id == learnt
    again.record_prediction("ads", 0.5, {"distance": 500.0, "carrier": "UA", "hour": 9.0})
    again.flush()
    labels = {"model_id": "ads", "model_version": "", "profile": profile.label, "segment": "", "feature": "distance"}
    # The first row after the restart is binned already: counts are over all workers, so at least one.
    assert (metric(again, "modelwatch_feature_value_count", **labels) or 0) >= 1


def test_of_two_that_learn_at_once_one_is_heard(start: Callable[..., Production], make_service: MakeService) -> None:
    ads = start()
    ads.run(24)
    ads.clock.advance(HOUR)
    ads.service.record_prediction("ads", 0.5, {"distance": 500.0, "carrier": "UA", "hour": 9.0})
    ads.service.flush()
    other = make_service(alert_handlers={})
    other.register_model({"model_id": "ads"})
    for service in (ads.service, other):
        service._parts.jobs.learn(ads.clock())  # type: ignore[union-attr]
    first = ads.reference()
    assert first.revision == 1
    other._parts.jobs.learn(ads.clock())  # type: ignore[union-attr]
    assert ads.reference() == first


def test_a_killed_growth_counts_nothing_twice(start: Callable[..., Production]) -> None:
    ads = start()
    ads.run(26 + 30)
    store, reference = ads.service._parts.store, ads.reference()
    assert store is not None
    text = store.load_profile(reference.profile_id)
    # The file was written, the row was not: as if killed between the two.
    with sqlite3.connect(ads.service.storage / "modelwatch.db") as connection:
        connection.execute("UPDATE model_references SET counted_until = learning_since + 86400")
    connection.close()
    ads.service._parts.jobs.learn(ads.clock())  # type: ignore[union-attr]
    assert text is not None
    before = ReferenceProfile.from_json(text)
    after = ReferenceProfile.from_json(store.load_profile(reference.profile_id) or "")
    assert after.rows == before.rows


# ── a reference that somebody gives ──────────────────────────────────────────────────────────────────────────────────


def test_a_given_reference_ends_learning_everywhere(
    start: Callable[..., Production], make_service: MakeService, profile: ReferenceProfile
) -> None:
    ads = start(log_predictions=False)
    ads.run(2)
    other = make_service(alert_handlers={})
    other.register_model({"model_id": "ads"})
    answer = ads.service.set_reference("ads", profile)
    assert (answer["status"], answer["reference"], answer["rows"]) == ("success", profile.id, 20_000)
    assert "LIMITED" in answer["verdict"]
    assert learning_rows(ads) == 0
    ads.clock.advance(10.0)
    other.record_prediction("ads", 0.4, {"distance": 900.0})
    other.flush()
    assert other._parts.book.get("ads").profile == profile
    ads.run(26)
    assert ads.reference().origin == "given", "nothing is learnt over it"
    assert ads.state()["reference"] == f"profile {profile.label}, given by a call"


def test_a_given_reference_goes_over_the_file_until_the_configuration_names_another(
    make_service: MakeService, profile: ReferenceProfile, profile_path: Path, tmp_path: Path, rows: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "ads", "reference": str(profile_path)})
    small = ReferenceProfile.build(rows(2000, 9))
    service.set_reference("ads", small)
    assert service._parts.book.get("ads").profile == small
    service.register_model({"model_id": "ads", "reference": str(profile_path)})
    assert service._parts.book.get("ads").profile == small, "a restart of the same configuration changes nothing"
    another = profile.save(tmp_path / "another.json")
    service.register_model({"model_id": "ads", "reference": str(another)})
    assert service._parts.book.get("ads").profile == profile


def test_a_reference_can_be_given_as_data_or_as_a_path(
    make_service: MakeService, profile_path: Path, profile: ReferenceProfile, rows: Any, scores: Any
) -> None:
    service = make_service()
    service.register_model(
        ModelMonitoringConfig.model_validate({"model_id": "ads", "features": {"exclude": ["hour", "gone"]}})
    )
    answer = service.set_reference("ads", rows(3000, 3), predictions=scores(3000, 3))
    assert answer["status"] == "success"
    built = service._parts.book.get("ads").profile
    assert built is not None
    assert built.feature_names == ("distance", "carrier")
    assert built.task == "binary"
    assert any("3000 rows" in warning for warning in answer["warnings"])
    assert service.set_reference("ads", str(profile_path))["reference"] == profile.id


@pytest.mark.parametrize(
    ("given", "options", "told"),
    [
        ("missing.json", {}, "missing.json: can't be read"),
        ({"a": [1.0] * 20}, {}, "a reference needs at least 100"),
        (7, {}, "profile_or_dataframe is of type int; pass a ReferenceProfile, the path of one, or data: a DataFrame"),
        (None, {}, "profile_or_dataframe is of type NoneType; pass a ReferenceProfile, the path of one"),
        ("pyproject.toml", {}, "writes as JSON, or, to set_reference, the data itself"),
        ("profile.json", {"predictions": [1.0]}, "predictions go with data"),
    ],
)
def test_a_reference_that_is_none_is_an_error_in_a_sentence(
    make_service: MakeService, given: Any, options: dict[str, Any], told: str
) -> None:
    service = make_service()
    service.register_model({"model_id": "ads"})
    answer = service.set_reference("ads", given, **options)
    assert answer["status"] == "error"
    assert told in answer["error"]
    assert service.set_reference("adz", {"a": [1.0] * 200})["error"].endswith("registered: 'ads'")


def test_progress_is_complete_by_either_way() -> None:
    assert not Progress(5000, DAY - 1).complete
    assert Progress(5000, DAY).complete
    assert not Progress(999, 14 * DAY).complete
    assert Progress(1000, 14 * DAY).complete
    assert Progress(0, 0.0).ratio == 0.0
    assert np.isclose(Progress(2500, DAY).ratio, 0.5)


def test_a_sidecar_learns_for_the_applications_beside_it(
    start: Callable[..., Production], clock: Any, profile: ReferenceProfile
) -> None:
    from modelwatch.sidecar.page import render_page
    from modelwatch.sidecar.settings import Settings
    from modelwatch.sidecar.watch import Watch

    ads = start()
    watch = Watch(Settings(storage=str(ads.service.storage)), clock)
    try:
        assert watch.renew_leases()
        watch.refresh()
        assert "learning, 0 of 5 000 rows" in render_page(watch, lambda _: None, None)
        ads.run(26, due=False)
        assert ads.reference() is None
        watch.refresh()
        watch.jobs.operational(clock())
        watch.refresh()
        learnt = ads.reference()
        assert f"learning, day 2 of 14: profile {learnt.profile_id[:8]}" in render_page(watch, lambda _: None, None)
        clock.advance(10.0)
        ads.service.flush()
        assert ads.service._parts.book.get("ads").profile.id == learnt.profile_id  # type: ignore[union-attr]
        ads.run(2, due=False)
        watch.jobs.check("ads", clock())
        assert "warming up" in render_page(watch, lambda _: None, None)
    finally:
        watch.close()


def test_a_drift_service_beside_it_knows_of_rows_recorded_a_moment_ago(
    start: Callable[..., Production], rows: Any
) -> None:
    ads = start()
    for i in range(200):
        ads.service.record_prediction("ads", 0.5, {"bid": float(i)})
    with DriftMonitoringService(storage_path=ads.service.storage) as drift:
        answer = drift.detect_drift("ads", {"bid": [1.0] * 100})
    assert answer["details"]["data"]["state"] == "learning"
    assert "learning, 200 of 5 000 rows" in answer["summary"]


# ── found in review ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_of_any_kind_are_learnt_as_they_are_counted_later(
    start: Callable[..., Production], clock: Any, inbox: Any
) -> None:
    ads = start()
    plans = [*Plan]
    rng = np.random.default_rng(5)

    def live(hours: int) -> None:
        for hour in range(hours):
            for i in range(250):
                ads.service.record_prediction("ads", 0.5, {
                    "when": datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour, minutes=i),
                    "price": Decimal(str(round(rng.gamma(2.0), 2))), "plan": plans[rng.integers(2)], "x": rng.normal(),
                })  # fmt: skip
            ads.service.flush()
            clock.advance(HOUR)
            ads.loop.tick(clock())

    live(27)
    profile = ads.service._parts.book.get("ads").profile
    assert profile is not None
    assert profile.feature_names == ("price", "plan", "x")
    assert (profile.member("price").kind, set(profile.member("plan").categories)) == ("numeric", {"free", "pro"})
    assert any("'when' is left out: it holds datetime values" in warning for warning in ads.state()["warnings"])
    live(30)
    assert ads.service._parts.outbox.flush(5.0)
    assert inbox.alerts == []
    assert ads.state()["drift_severity"] == "none"


def test_a_row_with_a_time_of_long_ago_shortens_no_learning(start: Callable[..., Production], clock: Any) -> None:
    ads = start()
    ads.service.record_prediction("ads", 0.5, {"distance": 1.0}, timestamp=clock() - 900 * DAY)
    ads.run(6)
    assert ads.reference() is None
    assert ads.state()["reference"] == "learning, 1 440 of 5 000 rows, 5 of 24 h"
    ads.run(20)
    since = ads.reference().learning_since
    assert clock() - since < 2 * DAY


def test_a_failing_lesson_is_a_reason(start: Callable[..., Production], clock: Any) -> None:
    ads = start()
    for _ in range(26):
        for i in range(250):
            ads.service.record_prediction("ads", 0.5, None, timestamp=clock() + i)
        ads.service.flush()
        clock.advance(HOUR)
        ads.loop.tick(clock())
    assert ads.state()["health"] == "degraded"
    (reason,) = ads.state()["reasons"]
    assert reason == "learning from 6 500 rows failed: no inputs were recorded"


def test_progress_says_nothing_that_cannot_be() -> None:
    assert "are enough" in Progress(5750, 2 * DAY).words
    assert Progress(999, 15 * DAY).words == "learning, 999 of 1 000 rows, after 14 days still too few"
