"""cleanup_old_data: retention per model and kind, profiles nobody needs, the size cap, and when it runs."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch import ReferenceProfile
from modelwatch.config import MonitoringConfig
from modelwatch.exceptions import StorageError
from modelwatch.records import FlushBatch, IntervalTotals, RowChunk
from modelwatch.service.cleanup import LARGEST_DEFAULT, Report, cleanup_answer
from modelwatch.service.loop import CheckLoop
from modelwatch.service.times import iso
from modelwatch.service.trusted_time import LEAP_SECONDS, TrustedTime
from modelwatch.service.upkeep import FIRST_SECONDS, INTERVAL_SECONDS, LEASE_SECONDS, Upkeep

DAY = 86400.0


def entries(service: Any, table: str, model_id: str = "") -> int:
    where = f"WHERE model_id = '{model_id}'" if model_id else ""
    ask = f"SELECT count(*) FROM {table} {where}"
    return int(service._parts.store._database.run(lambda c: c.execute(ask).fetchone()[0], write=False))


def noise(model_id: str, at: float, rows: int = 2000, version: str = "") -> RowChunk:
    values = np.random.default_rng(int(at)).random(rows)
    return RowChunk(model_id, version, np.full(rows, at), ["i"] * rows, {"x": values})


def fill(service: Any, model_id: str, clock: Any) -> None:
    """Record a little of every kind now."""
    service.record_prediction(model_id, 0.5, {"distance": 1.0, "carrier": "AA", "hour": 7.0}, 1, latency_ms=1.0)
    service.update_model_metric(model_id, "accuracy", 0.9)
    service.send_alert("info", "hello", {"model_id": model_id})
    service._parts.store.save_result(model_id, "", clock.now, True, 0.1, None, {})
    assert service.flush()


def pass_days(service: Any, clock: Any, days: int) -> dict[str, dict[str, int]]:
    """Let days go by, with a cleanup at the end of each; return how many rows went, by model and kind."""
    gone: dict[str, dict[str, int]] = {}
    for _ in range(days):
        clock.advance(DAY)
        for model_id, kinds in service.cleanup_old_data()["removed"].items():
            for kind, amount in kinds.items():
                mine = gone.setdefault(model_id, {})
                mine[kind] = mine.get(kind, 0) + amount["rows"]
    return gone


def test_each_model_keeps_its_own_days_of_each_kind(make_service: Any, profile_path: Path, clock: Any) -> None:
    service = make_service()
    for model_id, days in (("short", 7), ("long", 30)):
        reference, drift = str(profile_path), {"windows": ["1h", "24h"]}
        service.register_model({"model_id": model_id, "retention_days": days, "reference": reference, "drift": drift})
        fill(service, model_id, clock)
    clock.advance(8 * DAY)
    for model_id in ("short", "long"):
        fill(service, model_id, clock)
    answer = service.cleanup_old_data()
    assert set(answer["removed"]) == {"short"}
    removed = {kind: amount["rows"] for kind, amount in answer["removed"]["short"].items()}
    kinds = ("rows", "actuals", "counts", "totals", "metrics", "minute_hours", "minute_days", "drift", "alerts")
    assert removed == dict.fromkeys(kinds, 1)
    for table in ("row_chunks", "actual_chunks", "interval_totals", "metric_points", "drift_history", "alerts"):
        assert (entries(service, table, "short"), entries(service, table, "long")) == (1, 2), table
    assert service.cleanup_old_data()["removed"] == {}
    assert set(pass_days(service, clock, 40)) == {"short", "long"}
    assert service.get_model_metrics("long")["metrics"]["accuracy"] == []


def test_models_that_only_the_store_knows_are_cleaned_up_too(make_service: Any, clock: Any) -> None:
    one = make_service()
    one.register_model({"model_id": "gone", "retention_days": 5})
    fill(one, "gone", clock)
    one.close()
    assert pass_days(make_service(), clock, 17)["gone"]["rows"] == 1


def test_alerts_about_no_model_stay_as_long_as_any_models_do(make_service: Any, clock: Any) -> None:
    service = make_service()
    for model_id, days in (("short", 7), ("long", 30)):
        service.register_model({"model_id": model_id, "retention_days": days})
    service.send_alert("info", "about nobody")
    service.send_alert("info", "about a stranger", {"model_id": "stranger"})
    assert pass_days(service, clock, 29) == {}
    removed = pass_days(service, clock, 2)
    assert {model_id: kinds["alerts"] for model_id, kinds in removed.items()} == {"": 1, "stranger": 1}


def test_the_space_is_given_back_to_the_file_system(make_service: Any, clock: Any, profile_path: Path) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "retention_days": 1, "reference": str(profile_path)})
    store = service._parts.store
    for i in range(300):
        store.commit(FlushBatch("w", rows=[noise("m", clock.now + i)]))
    store._database.close_idle()
    full = store.size_bytes()
    clock.advance(2 * DAY)
    answer = service.cleanup_old_data()
    assert answer["removed"]["m"]["rows"]["rows"] == 600_000
    assert answer["removed"]["m"]["rows"]["bytes"] > 0.9 * full
    assert store.size_bytes() < 0.2 * full


def test_others_can_write_between_two_steps(make_service: Any, clock: Any, profile_path: Path) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "retention_days": 1, "reference": str(profile_path)})
    store = service._parts.store
    for i in range(350):
        store.commit(FlushBatch("w", rows=[noise("m", clock.now + i, rows=5)]))
    clock.advance(2 * DAY)
    report, steps = Report(), 0
    for _ in service._parts.cleanup.steps(clock.now, report):
        steps += 1
        with sqlite3.connect(store._database.path, timeout=0) as other:
            other.execute("UPDATE meta SET value = value WHERE key = 'storage_id'")
        other.close()
    assert steps >= 4
    assert report.removed["m"]["rows"]["rows"] == 350 * 5


def test_writers_and_a_cleanup_at_the_same_time_lose_nothing(make_service: Any, clock: Any, profile_path: Path) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "retention_days": 1, "reference": str(profile_path)})
    store = service._parts.store
    for i in range(400):
        store.commit(FlushBatch("w", rows=[noise("m", clock.now + i, rows=50)]))
    clock.advance(2 * DAY)

    def write() -> None:
        for i in range(100):
            store.commit(FlushBatch("w", rows=[noise("m", clock.now + i, rows=50)]))

    writer = threading.Thread(target=write)
    writer.start()
    answer = service.cleanup_old_data()
    writer.join()
    assert answer["removed"]["m"]["rows"]["rows"] == 400 * 50
    assert entries(service, "row_chunks") == 100


# ── a clock that is wrong ────────────────────────────────────────────────────────────────────────────────────────


def hourly_cleanup(service: Any, clock: Any) -> dict[str, Any]:
    """Clean up as it is done once an hour by itself."""
    return cleanup_answer(service._parts.cleanup.run(clock.now))


def test_who_asks_for_a_cleanup_is_believed_about_the_time(make_service: Any, profile_path: Path, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "retention_days": 30, "reference": str(profile_path)})
    fill(service, "m", clock)
    clock.advance(100 * DAY)
    answer = service.cleanup_old_data()
    assert answer["removed"]["m"]["rows"]["rows"] == 1
    assert "warnings" not in answer


def test_one_cleanup_under_a_clock_that_is_ahead_deletes_nothing(
    make_service: Any, profile_path: Path, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "reference": str(profile_path)})
    fill(service, "m", clock)
    right = clock.now
    for _ in range(3):
        clock.advance(400 * DAY)
        with caplog.at_level(logging.WARNING, logger="modelwatch"):
            ahead = hourly_cleanup(service, clock)
        assert (ahead["status"], ahead["removed"], ahead["profiles_removed"]) == ("success", {}, [])
        assert "400 days after anything that is known of this storage" in ahead["warnings"][0]
        clock.now = right + 3600.0
        assert "warnings" not in hourly_cleanup(service, clock)
        clock.now = right
    assert caplog.text.count("nothing goes by its age until the clock has said so for a day") == 3
    assert len(service.get_model_metrics("m", start_time=right - DAY)["metrics"]["latency_ms"]) == 1


def test_what_is_recorded_under_a_clock_that_is_ahead_does_not_make_it_believed(
    make_service: Any, profile_path: Path, clock: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "reference": str(profile_path)})
    fill(service, "m", clock)
    hourly_cleanup(service, clock)
    right = clock.now
    clock.advance(400 * DAY)
    for _ in range(5):
        fill(service, "m", clock)
        assert hourly_cleanup(service, clock)["removed"] == {}
        clock.advance(3600.0)
    clock.now = right + 5 * 3600.0
    assert "warnings" not in hourly_cleanup(service, clock)
    first = service.get_model_metrics("m", start_time=right - DAY, end_time=right + DAY)
    assert len(first["metrics"]["latency_ms"]) == 1


def test_a_storage_that_was_idle_for_months_is_cleaned_up_a_day_later(
    make_service: Any, profile_path: Path, clock: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "retention_days": 30, "reference": str(profile_path)})
    fill(service, "m", clock)
    hourly_cleanup(service, clock)
    service.close()
    clock.advance(150 * DAY)
    later = make_service()
    for _ in range(24):
        assert hourly_cleanup(later, clock)["removed"] == {}
        clock.advance(3600.0)
    answer = hourly_cleanup(later, clock)
    assert answer["removed"]["m"]["rows"]["rows"] == 1
    assert "warnings" not in answer


@given(st.lists(st.tuples(st.floats(0, 500 * DAY), st.floats(0, 20 * 3600.0)), max_size=20))
def test_no_leap_of_the_clock_that_is_mended_within_a_day_moves_the_time_to_go_by(leaps: list[Any]) -> None:
    now, memory = 1.8e9, TrustedTime(1.8e9).memory
    for leap, wrong_for in leaps:
        for at in (now + leap, now + leap + wrong_for):
            trusted = TrustedTime.of(at, memory, None)
            assert trusted.at <= max(now, memory["at"]) + LEAP_SECONDS
            memory = trusted.memory
        now += wrong_for
        memory = TrustedTime.of(now, memory, None).memory
        assert memory == {"at": now, "ahead_since": None}


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_profiles_that_nothing_refers_to_any_more_go(make_service: Any, profile_path: Path, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "reference": str(profile_path), "retention_days": 5})
    fill(service, "m", clock)
    folder = service.storage / "profiles"
    (used,) = folder.glob("*.json")
    store = service._parts.store
    names = ("unused", "fresh", "learnt", "checked")
    paths = {name: store.save_profile(name, "{}") for name in names}
    store.save_result("m", "", clock.now, True, 0.1, {"profile_id": "checked", "families": {}}, {})
    reference = "INSERT INTO model_references VALUES ('m', 'learnt', 'learnt', '', 0, 1, NULL, NULL)"
    store._database.run(lambda c: c.execute(reference).rowcount)
    left_behind = folder / ".unused-abc"
    left_behind.write_text("half")
    for path in (*paths.values(), used, left_behind):
        os.utime(path, (clock.now - 2 * DAY,) * 2)
    os.utime(paths["fresh"], (clock.now,) * 2)
    answer = service.cleanup_old_data()
    assert sorted(answer["profiles_removed"]) == [".unused-abc", "unused"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["checked.json", "fresh.json", "learnt.json", used.name]
    )


def test_a_model_that_was_idle_for_longer_than_its_retention_keeps_its_latest_profile(
    make_service: Any, profile_path: Path, clock: Any, rows: Any
) -> None:
    service = make_service()
    short = {"model_id": "m", "retention_days": 1, "drift": {"windows": ["1h", "24h"]}}
    service.register_model({**short, "reference": str(profile_path)})
    fill(service, "m", clock)
    newer = ReferenceProfile.build(rows(500, 3)).save(profile_path.parent / "newer.json")
    service.register_model({**short, "reference": str(newer)})
    service.record_prediction("m", 0.5, {"distance": 1.0})
    assert service.flush()
    newest = ReferenceProfile.load(newer).id
    for path in (service.storage / "profiles").iterdir():
        os.utime(path, (clock.now,) * 2)
    pass_days(service, clock, 12)
    assert [path.stem for path in (service.storage / "profiles").iterdir()] == [newest]


def test_the_profile_of_a_registered_version_stays_until_its_model_is_retired(
    make_service: Any, profile_path: Path, clock: Any, rows: Any
) -> None:
    service = make_service()
    stand_by = ReferenceProfile.build(rows(500, 4)).save(profile_path.parent / "stand-by.json")
    for version, path in (("2", stand_by), ("1", profile_path)):
        service.register_model({"model_id": "m", "model_version": version, "reference": str(path)})
    fill(service, "m", clock)
    folder, profile_id = service.storage / "profiles", ReferenceProfile.load(stand_by).id
    for path in folder.iterdir():
        os.utime(path, (clock.now,) * 2)
    pass_days(service, clock, 12)
    assert (folder / f"{profile_id}.json").exists()  # its first prediction may come now, or with a rollback
    service.retire_model("m")
    clock.advance(DAY)
    assert service.cleanup_old_data()["profiles_removed"] == [profile_id]


# ── what windows and learning need ───────────────────────────────────────────────────────────────────────────────


def test_counts_stay_as_long_as_the_longest_window_needs_them(
    make_service: Any, profile_path: Path, clock: Any, rows: Any
) -> None:
    service = make_service()
    windows = {"windows": ["1h", "240h"]}
    config = {"model_id": "m", "retention_days": 2, "reference": str(profile_path), "drift": windows}
    answer = service.register_model(config)
    assert any("retention_days 2 is shorter than the longest drift window" in text for text in answer["warnings"])
    begin = clock.now
    for day in range(33):  # the longest window goes back 30 days where it holds too few rows
        service.record_predictions("m", np.full(100, 0.5), rows(100, day))
        assert service.flush()
        pass_days(service, clock, 1)
    kept = service._parts.store._database.run(
        lambda c: [c.execute(f"SELECT min(start), count(*) FROM {t}").fetchone() for t in TIMED], write=False
    )
    assert [count for _, count in kept] == [30, 30, 2]
    assert [round((start - begin) / DAY) for start, _ in kept[:2]] == [3, 3]
    (result,) = service._parts.jobs.check("m", clock.now)
    assert result.windows["240h"] == 900


TIMED = ("interval_counts", "interval_totals", "(SELECT last_at AS start FROM row_chunks)")


def a_week_of_retention_and_two_of_learning(service: Any, clock: Any, rows: Any, *, logged: bool) -> list[str]:
    answer = service.register_model({"model_id": "m", "retention_days": 7, "log_predictions": logged})
    for day in range(15):
        service.record_predictions("m", np.full(100, 0.5), rows(100, day))
        assert service.flush()
        pass_days(service, clock, 1)
        service._parts.jobs.learn(clock.now)
    service._parts.references.follow()
    return list(answer["warnings"])


def test_rows_that_are_kept_only_to_learn_from_stay_until_that_is_done(
    make_service: Any, clock: Any, rows: Any
) -> None:
    service = make_service()
    warnings = a_week_of_retention_and_two_of_learning(service, clock, rows, logged=False)
    assert any("for which rows are kept while a reference is learnt" in text for text in warnings)
    assert "profile" in service.get_service_status()["models"][0]["reference"]


def test_logged_rows_stay_no_longer_than_somebody_wrote_and_that_too_few_are_left_to_learn_from_is_said(
    make_service: Any, clock: Any, rows: Any
) -> None:
    service = make_service()
    warnings = a_week_of_retention_and_two_of_learning(service, clock, rows, logged=True)
    assert any("it is learnt if 5 000 rows come within that time" in text for text in warnings)
    (model,) = service.get_service_status()["models"]
    assert model["health"] == "degraded"
    assert "only 700 of the recorded rows are stored" in model["reasons"][0]


# ── the size cap ─────────────────────────────────────────────────────────────────────────────────────────────────


def capped(make_service: Any, size: int | str, **models: int) -> Any:
    listed = [{"model_id": model_id, "retention_days": days} for model_id, days in models.items()]
    config = MonitoringConfig.model_validate({"storage": {"max_size": size}, "models": listed})
    service = make_service(config=config)
    assert service.flush()
    return service


def totals(model_id: str, at: float) -> IntervalTotals:
    return IntervalTotals(model_id, "", at, 300.0, 0, 1, 0, 1, (0.1,), np.array([1, 0]), 0.1, at, at)


def test_a_storage_above_its_cap_loses_the_oldest_rows_of_all_models_and_shrinks(
    make_service: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = capped(make_service, "2MB", a=90, b=90)
    store = service._parts.store
    for i in range(200):
        model_id = "ab"[i % 2]
        batch = FlushBatch("w", rows=[noise(model_id, clock.now + i)], totals=[totals(model_id, clock.now + i * 300)])
        store.commit(batch)
    store._database.close_idle()
    assert store.size_bytes() > 2_500_000
    clock.advance(DAY)
    with caplog.at_level(logging.WARNING, logger="modelwatch"):
        answer = service.cleanup_old_data()
    assert store.size_bytes() <= 2_100_000
    assert answer["size_bytes"] <= answer["max_size_bytes"] == 2_000_000
    assert answer["removed"] == {}
    gone = {model_id: kinds["rows"]["rows"] for model_id, kinds in answer["evicted"].items()}
    assert all(set(kinds) == {"rows"} for kinds in answer["evicted"].values())
    assert set(gone) == {"a", "b"}
    assert abs(gone["a"] - gone["b"]) <= 2000
    left = store._database.run(lambda c: [r[0] for r in c.execute("SELECT last_at FROM row_chunks")], write=False)
    assert min(left) == pytest.approx(clock.now - DAY + 200 - len(left))  # only the newest are left
    assert entries(service, "interval_totals") == 200
    assert caplog.text.count("is at its cap of 2 MB (storage.max_size)") == 1
    reasons = service.get_service_status()["reasons"]
    assert any("the storage is at its cap of 2 MB" in reason for reason in reasons)
    assert service.cleanup_old_data()["evicted"] == {}
    assert not any("cap" in reason for reason in service.get_service_status()["reasons"])


def test_counts_that_a_drift_window_needs_never_go(make_service: Any, clock: Any) -> None:
    service = capped(make_service, 1, m=90)
    store = service._parts.store
    old, new = clock.now - 32 * DAY, clock.now - 30 * DAY
    store.commit(FlushBatch("w", totals=[totals("m", old), totals("m", new)], rows=[noise("m", new)]))
    fill_alert = service.send_alert("info", "hello", {"model_id": "m"})
    assert fill_alert["status"] == "success"
    answer = service.cleanup_old_data()
    assert entries(service, "row_chunks") == 0
    assert entries(service, "alerts") == 0
    kept = store._database.run(lambda c: [r[0] for r in c.execute("SELECT start FROM interval_totals")], write=False)
    assert kept == [new]
    assert "what" not in answer
    assert "more than its cap of 1 B (storage.max_size)" in answer["warnings"][0]
    assert any("more than its cap" in reason for reason in service.get_service_status()["reasons"])


def test_rows_to_learn_from_go_before_anybodys_history(make_service: Any, clock: Any) -> None:
    service = capped(make_service, "2MB", learn=90, other=90)
    store = service._parts.store
    fill(service, "other", clock)
    for i in range(200):
        store.commit(FlushBatch("w", learning=[noise("learn", clock.now + i)]))
    clock.advance(DAY)
    answer = service.cleanup_old_data()
    assert answer["size_bytes"] <= 2_000_000
    assert {model_id: set(kinds) for model_id, kinds in answer["evicted"].items()} == {"learn": {"learning_rows"}}


def test_where_what_has_to_stay_is_above_the_cap_alone_history_is_not_wiped_out_for_nothing(
    make_service: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = capped(make_service, "2MB", m=90)
    store = service._parts.store
    recent = [totals("m", clock.now - i * 300) for i in range(2000)]
    store.commit(FlushBatch("w", totals=recent, rows=[noise("m", clock.now - 3600.0 + i) for i in range(20)]))
    store.save_profile("large", "x" * 2_500_000)
    with caplog.at_level(logging.WARNING, logger="modelwatch"):
        answer = service.cleanup_old_data()
    assert answer["evicted"] == {}
    assert entries(service, "row_chunks") == 20
    assert "have to stay, and take more than the cap" in answer["warnings"][0]
    assert "is at its cap" not in caplog.text
    for i in range(300):  # but it does not grow for ever: what can go gets as much room as the cap is
        store.commit(FlushBatch("w", rows=[noise("m", clock.now - 3000.0 + i)]))
    answer = service.cleanup_old_data()
    assert 4_000_000 < answer["size_bytes"] < 2_600_000 + 2_000_000 + 1_000_000
    assert answer["evicted"]["m"]["rows"]["rows"] > 0


def test_without_a_configured_cap_it_is_a_tenth_of_the_disk_or_ten_gigabytes(make_service: Any) -> None:
    service = make_service()
    disk = os.statvfs(service.storage)
    tenth = disk.f_blocks * disk.f_frsize // 10
    assert service.cleanup_old_data()["max_size_bytes"] == min(LARGEST_DEFAULT, tenth)


# ── status and schedule ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_status_says_when_it_was_cleaned_up_last_and_what_went(make_service: Any, clock: Any) -> None:
    service = make_service()
    assert service.get_service_status()["storage"]["last_cleanup"] is None
    service.register_model({"model_id": "m", "retention_days": 1})
    fill(service, "m", clock)
    pass_days(service, clock, 2)
    other = make_service()
    last = other.get_service_status()["storage"]["last_cleanup"]
    json.dumps(last)
    assert last["at"] == iso(clock.now)
    assert last["removed_rows"] > 0
    assert last["evicted_rows"] == 0
    assert last["fits"] is True


class Counting(Upkeep):
    """Upkeep that notes when it began, and can be made to fail."""

    began: list[float]
    fault: Exception | None = None

    def step(self, now: float) -> bool:
        if not self.running:
            self.began.append(now)
        if self.fault is not None:
            self._due = now + INTERVAL_SECONDS
            raise self.fault
        return super().step(now)


@pytest.fixture
def scheduled(make_service: Any, clock: Any) -> Any:
    service = make_service()
    service.register_model({"model_id": "m", "drift_detection_interval": "5m"})
    upkeep = Counting(service._parts.cleanup, service._parts.store)
    upkeep.began = []
    loop = CheckLoop(service._parts.jobs, None, upkeep, clock=clock)
    return service, loop, upkeep


def test_whoever_has_the_checks_cleans_up_once_an_hour_from_ten_minutes_on(scheduled: Any, clock: Any) -> None:
    _, loop, upkeep = scheduled
    start = clock.now
    while clock.now < start + 3 * 3600:
        clock.advance(max(1.0, loop.tick(clock.now)))
    assert len(upkeep.began) == 3
    assert upkeep.began[0] == pytest.approx(start + FIRST_SECONDS, abs=11)
    assert np.diff(upkeep.began) == pytest.approx([INTERVAL_SECONDS] * 2, abs=11)


def test_a_cleanup_that_another_process_did_counts(scheduled: Any, clock: Any, make_service: Any) -> None:
    _, loop, upkeep = scheduled
    start = clock.now
    make_service().cleanup_old_data()
    while clock.now < start + INTERVAL_SECONDS - 20:
        clock.advance(max(1.0, loop.tick(clock.now)))
    assert upkeep.began == []
    clock.advance(60.0)
    loop.tick(clock.now)
    assert len(upkeep.began) == 1


def test_a_clock_that_was_hours_ahead_for_a_moment_delays_no_cleanup(scheduled: Any, clock: Any) -> None:
    _, loop, upkeep = scheduled
    clock.advance(30 * DAY)
    loop.tick(clock.now)
    clock.advance(FIRST_SECONDS)
    loop.tick(clock.now)
    assert len(upkeep.began) == 1
    clock.advance(-30 * DAY)
    set_back = clock.now
    while clock.now < set_back + INTERVAL_SECONDS + 60.0:
        clock.advance(max(1.0, loop.tick(clock.now)))
    assert len(upkeep.began) == 2


def test_of_several_processes_one_cleans_up_at_a_time(make_service: Any, clock: Any) -> None:
    services = [make_service() for _ in range(3)]
    services[0].register_model({"model_id": "m", "retention_days": 1})
    for i in range(300):
        services[0]._parts.store.commit(FlushBatch("w", rows=[noise("m", clock.now - 40 * DAY + i, rows=1)]))
    upkeeps = [Upkeep(service._parts.cleanup, service._parts.store) for service in services]
    started = clock.now
    clock.advance(FIRST_SECONDS)
    assert [upkeep.due_at(started, clock.now) for upkeep in upkeeps] == [clock.now] * 3
    assert [upkeep.step(clock.now) for upkeep in upkeeps] == [True, False, False]
    while upkeeps[0].step(clock.now):
        assert not upkeeps[1].step(clock.now)
    clock.advance(INTERVAL_SECONDS)
    assert upkeeps[2].due_at(started, clock.now) == clock.now
    assert upkeeps[2].step(clock.now)


def test_what_another_process_did_since_it_was_planned_need_not_be_done_again(make_service: Any, clock: Any) -> None:
    here, there = make_service(), make_service()
    upkeep = Upkeep(here._parts.cleanup, here._parts.store)
    started = clock.now
    assert upkeep.due_at(started, clock.now) == started + FIRST_SECONDS
    clock.advance(FIRST_SECONDS - 60.0)
    there.cleanup_old_data()
    cleaned = clock.now
    clock.advance(60.0)
    assert upkeep.due_at(started, clock.now) == pytest.approx(cleaned + INTERVAL_SECONDS, abs=1.0)


def test_a_cleanup_that_fails_or_was_taken_over_leaves_the_lease_to_others(
    make_service: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_service(), make_service()
    one.register_model({"model_id": "m"})
    upkeep, second = (Upkeep(s._parts.cleanup, s._parts.store) for s in (one, other))
    with monkeypatch.context() as patch:
        patch.setattr(one._parts.store, "settled_days", lambda now: (_ for _ in ()).throw(StorageError("gone")))
        with pytest.raises(StorageError):
            upkeep.step(clock.now)
    assert second.step(clock.now)
    clock.advance(LEASE_SECONDS + 1.0)
    assert upkeep.step(clock.now)  # the second one is held up
    monkeypatch.setattr(second, "_renew_at", 0.0)
    assert not second.step(clock.now)
    assert not second.running


def test_a_long_cleanup_lets_checks_have_their_turn(
    scheduled: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, loop, upkeep = scheduled
    monkeypatch.setattr("modelwatch.service.upkeep.SLICE_SECONDS", 0.0)
    for i in range(1000):
        old = noise("m", clock.now - 100 * DAY + i, rows=1)
        service._parts.store.commit(FlushBatch("w", rows=[old]))
    clock.advance(FIRST_SECONDS)
    loop.tick(clock.now)
    clock.advance(FIRST_SECONDS)
    waits = [loop.tick(clock.now) for _ in range(3)]
    assert upkeep.running
    assert waits == [0.05] * 3
    ticks = 0
    while upkeep.running:
        loop.tick(clock.now)
        ticks += 1
    assert 1 <= ticks < 100
    assert service.get_service_status()["storage"]["last_cleanup"] is not None


def test_a_cleanup_that_fails_stops_no_check_and_is_tried_an_hour_later(
    scheduled: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service, loop, upkeep = scheduled
    upkeep.fault = StorageError("the disk is full")
    start = clock.now
    while clock.now < start + 2.5 * 3600:
        clock.advance(max(1.0, loop.tick(clock.now)))
    assert len(upkeep.began) == 3
    assert caplog.text.count("cleanup failed: the disk is full") == 1
    checks = [r.checks for r in service._parts.store.latest_results()]
    assert checks[0] >= 29
