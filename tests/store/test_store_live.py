"""The last value of each metric, silence limits, and alerts that wait for an application."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from modelwatch.records import FlushBatch, MetricPoint
from modelwatch.store import LatestMetric, StoreWriter
from modelwatch.store.deliveries import CLAIM_SECONDS
from modelwatch.store.schema import MIGRATIONS


def _point(metric: str, at: float, value: float, version: str = "1") -> MetricPoint:
    return MetricPoint("m", version, metric, at, value, None)


def test_the_latest_value_of_a_metric_wins_whatever_the_order(writer: StoreWriter) -> None:
    writer.commit(FlushBatch("a", metrics=[_point("auc", 10, 0.9), _point("auc", 30, 0.7), _point("auc", 20, 0.8)]))
    writer.commit(FlushBatch("b", metrics=[_point("auc", 15, 0.1), _point("auc", 5, 0.5, "2")]))
    assert writer.latest_metrics() == [LatestMetric("m", "1", "auc", 30, 0.7), LatestMetric("m", "2", "auc", 5, 0.5)]


def test_metrics_recorded_before_the_table_existed_are_in_it(folder: Path) -> None:
    folder.mkdir()
    old = sqlite3.connect(folder / "modelwatch.db", isolation_level=None)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    insert = 'INSERT INTO metric_points (model_id, model_version, metric, "timestamp", value) VALUES (?, ?, ?, ?, ?)'
    old.executemany(insert, [("m", "1", "auc", 10, 0.9), ("m", "1", "auc", 30, 0.7), ("m", "1", "auc", 20, 0.8)])
    old.execute("PRAGMA user_version = 1")
    old.close()
    with StoreWriter(folder) as writer:
        assert writer.latest_metrics() == [LatestMetric("m", "1", "auc", 30, 0.7)]


def test_a_silence_limit_is_kept_changed_and_forgotten(writer: StoreWriter) -> None:
    writer.set_silence_limits({"a": 900.0, "b": 3600.0, "c": None})
    assert writer.silence_limits() == {"a": 900.0, "b": 3600.0}
    writer.set_silence_limits({"a": 1200.0, "b": None})
    assert writer.silence_limits() == {"a": 1200.0}


def test_channels_are_served_as_long_as_applications_say_so(writer: StoreWriter) -> None:
    writer.announce_channels(["email", "pager"], 100)
    writer.announce_channels(["pager"], 200)
    writer.announce_channels(["pager"], 150)
    assert writer.announced_channels(100) == ["email", "pager"]
    assert writer.announced_channels(200) == ["pager"]


def test_a_delivery_is_claimed_once_and_gone_when_finished(writer: StoreWriter) -> None:
    writer.enqueue_delivery("pager", {"fingerprint": "f", "message": "é\ud800"}, 10)
    assert writer.claim_deliveries(["email"], "a", 11) == []
    (claimed,) = writer.claim_deliveries(["email", "pager"], "a", 11)
    assert (claimed.channel, claimed.alert["fingerprint"]) == ("pager", "f")
    assert writer.claim_deliveries(["pager"], "b", 11) == []
    assert not writer.finish_delivery(claimed.delivery_id, "b")
    assert writer.finish_delivery(claimed.delivery_id, "a")
    assert writer.claim_deliveries(["pager"], "b", 11 + 2 * CLAIM_SECONDS) == []


def test_what_a_dead_worker_claimed_goes_to_another(writer: StoreWriter) -> None:
    writer.enqueue_delivery("pager", {"fingerprint": "f"}, 10)
    (first,) = writer.claim_deliveries(["pager"], "dead", 10)
    assert writer.claim_deliveries(["pager"], "b", 10 + CLAIM_SECONDS) == []
    (second,) = writer.claim_deliveries(["pager"], "b", 11 + CLAIM_SECONDS)
    assert second.delivery_id == first.delivery_id
    assert not writer.finish_delivery(first.delivery_id, "dead")


def test_alerts_of_one_fingerprint_leave_in_order(writer: StoreWriter) -> None:
    for fingerprint, status in (("f", "firing"), ("f", "resolved"), ("g", "firing")):
        writer.enqueue_delivery("pager", {"fingerprint": fingerprint, "status": status}, 10)
    first = writer.claim_deliveries(["pager"], "a", 11)
    assert [(c.alert["fingerprint"], c.alert["status"]) for c in first] == [("f", "firing"), ("g", "firing")]
    assert writer.claim_deliveries(["pager"], "b", 11) == []
    writer.finish_delivery(first[0].delivery_id, "a")
    (second,) = writer.claim_deliveries(["pager"], "b", 12)
    assert second.alert["status"] == "resolved"


def test_what_nobody_delivers_expires(writer: StoreWriter) -> None:
    writer.enqueue_delivery("pager", {"alert_id": "x"}, 10)
    writer.enqueue_delivery("pager", {"alert_id": "y"}, 20)
    assert writer.expire_deliveries(20) == ["pager"]
    assert writer.expire_deliveries(20) == []
    assert [c.alert["alert_id"] for c in writer.claim_deliveries(["pager"], "a", 21)] == ["y"]


_CLAIM_ALL = """
import json, os, sys
from pathlib import Path
from modelwatch.store import StoreWriter

mine = []
with StoreWriter(Path(sys.argv[1])) as store:
    while found := store.claim_deliveries(["pager"], str(os.getpid()), 100.0, limit=3):
        for claimed in found:
            assert store.finish_delivery(claimed.delivery_id, str(os.getpid()))
            mine.append(claimed.alert["alert_id"])
print(json.dumps(mine))
"""


def test_two_processes_share_the_queue_and_none_delivers_twice(writer: StoreWriter) -> None:
    for number in range(100):
        writer.enqueue_delivery("pager", {"alert_id": str(number)}, 10)
    command = [sys.executable, "-c", _CLAIM_ALL, str(writer.folder)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    delivered = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sorted(int(n) for part in delivered for n in part) == list(range(100))
