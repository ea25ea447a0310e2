"""Outcomes of scheduled checks: the latest of each model version, and the history."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from modelwatch.store.database import Database
from modelwatch.store.serialize import dump_json, summarize_check
from modelwatch.store.values import StoredResult

__all__ = ["ResultStore"]

_UPSERT = """
    INSERT INTO check_results (model_id, model_version, checked_at, last_success_at, ok, checks, failures, duration,
        interval, result, state)
    VALUES (:model_id, :model_version, :at, :success_at, :ok, 1, :failed, :duration, :interval, :result, :state)
    ON CONFLICT (model_id, model_version) DO UPDATE SET
        checked_at = excluded.checked_at,
        last_success_at = coalesce(excluded.last_success_at, last_success_at),
        ok = excluded.ok, checks = checks + 1, failures = failures + excluded.failures,
        duration = excluded.duration, interval = excluded.interval,
        result = coalesce(excluded.result, result), state = excluded.state"""
_INSERT_HISTORY = """
    INSERT INTO drift_history (model_id, model_version, checked_at, ok, duration, severity, summary)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_COLUMNS = (
    "model_id, model_version, checked_at, last_success_at, checks, failures, duration, interval, result, state, ok"
)
_SELECT = f"""
    SELECT {_COLUMNS} FROM check_results WHERE model_id NOT IN (SELECT model_id FROM retired_models)
    ORDER BY model_id, model_version"""  # noqa: S608 - a constant


class ResultStore:
    """The part of the store that remembers checks."""

    _database: Database

    def save_result(
        self,
        model_id: str,
        model_version: str,
        checked_at: float,
        ok: bool,
        duration: float,
        result: dict[str, Any] | None,
        state: dict[str, Any],
        interval: float = 0.0,
    ) -> None:
        """Keep the outcome of one check as the latest, count it, and add it to the history.

        Parameters
        ----------
        model_id, model_version
            What was checked.
        checked_at
            Seconds since the epoch.
        ok
            Whether the check itself succeeded, whatever it found.
        duration
            Seconds it took.
        result
            The dict of ``check_result_to_json``; None if it failed, and the result before stays the latest.
        state
            What the next check needs to know, JSON-ready.
        interval
            How often a check is due, in seconds.
        """
        summary = {} if result is None else summarize_check(result)
        values = {
            "model_id": model_id,
            "model_version": model_version,
            "at": checked_at,
            "success_at": checked_at if ok else None,
            "ok": int(ok),
            "failed": int(not ok),
            "duration": duration,
            "interval": interval,
            "result": None if result is None else dump_json(result),
            "state": dump_json(state),
        }
        entry = (model_id, model_version, checked_at, int(ok), duration, summary.get("severity", 0), dump_json(summary))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_UPSERT, values)
            connection.execute(_INSERT_HISTORY, entry)

        self._database.run(write)

    def latest_results(self) -> list[StoredResult]:
        """Return the latest check of every model version that was ever checked; none of retired models."""

        def read(connection: sqlite3.Connection) -> list[StoredResult]:
            return [_stored(row) for row in connection.execute(_SELECT)]

        return self._database.run(read, write=False)

    def last_checks(self) -> dict[str, float]:
        """Return when each model was checked last, successfully or not, in seconds since the epoch by model_id."""

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            return dict(connection.execute("SELECT model_id, max(checked_at) FROM check_results GROUP BY model_id"))

        return self._database.run(read, write=False)


def _stored(row: tuple[Any, ...]) -> StoredResult:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["result"] = None if values["result"] is None else json.loads(values["result"])
    return StoredResult(**{**values, "state": json.loads(values["state"]), "ok": bool(values["ok"])})
