"""What a scrape needs beside the results of checks: the last value of each metric, and how long silence is normal."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from modelwatch.store.database import Database
from modelwatch.store.values import LatestMetric

__all__ = ["LiveStore"]

_SELECT_METRICS = """
    SELECT model_id, model_version, metric, "timestamp", value FROM latest_metrics
    WHERE value IS NOT NULL AND model_id NOT IN (SELECT model_id FROM retired_models)
    ORDER BY model_id, model_version, metric"""
_SELECT_SILENCE = """
    SELECT model_id, limit_seconds FROM silence_limits
    WHERE model_id NOT IN (SELECT model_id FROM retired_models) ORDER BY model_id"""
_UPSERT_SILENCE = """
    INSERT INTO silence_limits (model_id, limit_seconds) VALUES (?, ?)
    ON CONFLICT (model_id) DO UPDATE SET limit_seconds = excluded.limit_seconds"""


class LiveStore:
    """The part of the store that knows how things stand now."""

    _database: Database

    def latest_metrics(self) -> list[LatestMetric]:
        """Return the last value that was given to each metric of each model version; none of retired models."""

        def read(connection: sqlite3.Connection) -> list[LatestMetric]:
            return [LatestMetric(*row) for row in connection.execute(_SELECT_METRICS)]

        return self._database.run(read, write=False)

    def active_versions(self, since: float) -> dict[str, list[str]]:
        """Return by model_id the versions that predicted since a moment, in seconds since the epoch."""

        def read(connection: sqlite3.Connection) -> dict[str, list[str]]:
            query = (
                "SELECT model_id, model_version FROM activity WHERE last_prediction_at >= ? "
                "ORDER BY model_id, model_version"
            )
            found: dict[str, list[str]] = {}
            for model_id, version in connection.execute(query, (since,)):
                found.setdefault(model_id, []).append(version)
            return found

        return self._database.run(read, write=False)

    def set_silence_limits(self, limits: Mapping[str, float | None]) -> None:
        """Keep after how many seconds without a prediction silence of a model is news; None where that is unknown."""
        known = [(model_id, limit) for model_id, limit in limits.items() if limit is not None]
        unknown = [(model_id,) for model_id, limit in limits.items() if limit is None]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(_UPSERT_SILENCE, known)
            connection.executemany("DELETE FROM silence_limits WHERE model_id = ?", unknown)

        self._database.run(write)

    def silence_limits(self) -> dict[str, float]:
        """Return the silence that is still normal, in seconds, by model_id; none of retired models."""

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            return dict(connection.execute(_SELECT_SILENCE))

        return self._database.run(read, write=False)
