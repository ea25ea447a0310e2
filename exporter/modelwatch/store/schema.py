"""The database schema as SQL, one migration per version.

``PRAGMA user_version`` holds the version of a file. A migration is never edited once released: a change is a new one.
Counts carry the worker and its part, and are absolute: writing them again replaces them, so that a retried flush can't
count twice. Ids are data and only ever bound as parameters.
"""

from __future__ import annotations

import sqlite3

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "migrate"]

_FIRST = (
    """CREATE TABLE meta (
        key TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL)""",
    """CREATE TABLE models (
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        config TEXT NOT NULL,
        registered_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        PRIMARY KEY (model_id, model_version))""",
    """CREATE TABLE activity (
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        last_prediction_at REAL NOT NULL,
        PRIMARY KEY (model_id, model_version))""",
    """CREATE TABLE subjects (
        subject_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        segment TEXT NOT NULL,
        profile_id TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX subjects_key ON subjects (model_id, model_version, segment, profile_id)",
    """CREATE TABLE interval_counts (
        count_id INTEGER NOT NULL PRIMARY KEY,
        subject_id INTEGER NOT NULL,
        start REAL NOT NULL,
        worker TEXT NOT NULL,
        part INTEGER NOT NULL,
        length REAL NOT NULL,
        "rows" INTEGER NOT NULL,
        layout_size INTEGER NOT NULL,
        cells BLOB NOT NULL,
        sums BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX interval_counts_key ON interval_counts (subject_id, start, worker, part)",
    """CREATE TABLE interval_totals (
        total_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        start REAL NOT NULL,
        worker TEXT NOT NULL,
        part INTEGER NOT NULL,
        length REAL NOT NULL,
        attempts INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        sampled INTEGER NOT NULL,
        latency_bounds BLOB NOT NULL,
        latency_cells BLOB NOT NULL,
        latency_sum REAL,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        prediction_count INTEGER NOT NULL,
        prediction_sum REAL)""",
    "CREATE UNIQUE INDEX interval_totals_key ON interval_totals (model_id, start, model_version, worker, part)",
    """CREATE TABLE row_chunks (
        chunk_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        "rows" INTEGER NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX row_chunks_time ON row_chunks (model_id, last_at)",
    """CREATE TABLE actual_chunks (
        chunk_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        "rows" INTEGER NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX actual_chunks_time ON actual_chunks (model_id, last_at)",
    """CREATE TABLE metric_points (
        point_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        metric TEXT NOT NULL,
        "timestamp" REAL NOT NULL,
        value REAL,
        metadata TEXT)""",
    'CREATE INDEX metric_points_time ON metric_points (model_id, "timestamp")',
    """CREATE TABLE check_results (
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        checked_at REAL NOT NULL,
        last_success_at REAL,
        ok INTEGER NOT NULL,
        checks INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        duration REAL NOT NULL,
        interval REAL NOT NULL,
        result TEXT,
        state TEXT NOT NULL,
        PRIMARY KEY (model_id, model_version))""",
    """CREATE TABLE drift_history (
        check_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        checked_at REAL NOT NULL,
        ok INTEGER NOT NULL,
        duration REAL NOT NULL,
        severity INTEGER NOT NULL,
        summary TEXT NOT NULL)""",
    "CREATE INDEX drift_history_time ON drift_history (model_id, checked_at)",
    """CREATE TABLE alerts (
        entry_id INTEGER NOT NULL PRIMARY KEY,
        alert_id TEXT NOT NULL,
        status TEXT NOT NULL,
        "timestamp" TEXT NOT NULL,
        at REAL NOT NULL,
        level TEXT NOT NULL,
        type TEXT NOT NULL,
        message TEXT NOT NULL,
        data TEXT NOT NULL,
        model_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        channels TEXT NOT NULL)""",
    'CREATE UNIQUE INDEX alerts_key ON alerts (alert_id, status, "timestamp")',
    "CREATE INDEX alerts_time ON alerts (model_id, at)",
    """CREATE TABLE active_alerts (
        fingerprint TEXT NOT NULL PRIMARY KEY,
        alertname TEXT NOT NULL,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        type TEXT NOT NULL,
        severity INTEGER NOT NULL,
        starts_at REAL NOT NULL,
        last_notified_at REAL,
        last_seen_at REAL NOT NULL,
        alert_id TEXT NOT NULL,
        message TEXT NOT NULL,
        data TEXT NOT NULL)""",
    """CREATE TABLE notifications (
        channel TEXT NOT NULL PRIMARY KEY,
        sent INTEGER NOT NULL,
        failed INTEGER NOT NULL)""",
    """CREATE TABLE leases (
        name TEXT NOT NULL PRIMARY KEY,
        holder TEXT NOT NULL,
        acquired_at REAL NOT NULL,
        ttl REAL NOT NULL)""",
    "INSERT INTO meta (key, value) VALUES ('storage_id', lower(hex(randomblob(16))))",
)

_SECOND = (
    """CREATE TABLE latest_metrics (
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        metric TEXT NOT NULL,
        "timestamp" REAL NOT NULL,
        value REAL,
        PRIMARY KEY (model_id, model_version, metric))""",
    # The value that goes with the maximum is that of its row: SQLite promises so for a single max().
    """INSERT INTO latest_metrics (model_id, model_version, metric, "timestamp", value)
        SELECT model_id, model_version, metric, max("timestamp"), value FROM metric_points
        GROUP BY model_id, model_version, metric""",
    """CREATE TABLE silence_limits (
        model_id TEXT NOT NULL PRIMARY KEY,
        limit_seconds REAL NOT NULL)""",
    """CREATE TABLE served_channels (
        channel TEXT NOT NULL PRIMARY KEY,
        seen_at REAL NOT NULL)""",
    """CREATE TABLE deliveries (
        delivery_id INTEGER NOT NULL PRIMARY KEY,
        channel TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        alert TEXT NOT NULL,
        created_at REAL NOT NULL,
        claimed_by TEXT,
        claimed_at REAL)""",
    "CREATE INDEX deliveries_order ON deliveries (channel, fingerprint)",
)

_THIRD = (
    # One reference per model that was learnt, or given by a call: what workers and sidecar follow.
    """CREATE TABLE model_references (
        model_id TEXT NOT NULL PRIMARY KEY,
        profile_id TEXT NOT NULL,
        origin TEXT NOT NULL,
        written TEXT NOT NULL,
        set_at REAL NOT NULL,
        revision INTEGER NOT NULL,
        learning_since REAL,
        counted_until REAL)""",
    # Rows that are kept only until a reference is learnt from them, where predictions are not logged.
    """CREATE TABLE learning_chunks (
        chunk_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        "rows" INTEGER NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX learning_chunks_time ON learning_chunks (model_id, last_at)",
    # Sums by minute: an hour of one worker, later a day of all of them.
    """CREATE TABLE minute_hours (
        block_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        start REAL NOT NULL,
        worker TEXT NOT NULL,
        part INTEGER NOT NULL,
        updated_at REAL NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX minute_hours_key ON minute_hours (model_id, start, model_version, worker, part)",
    """CREATE TABLE minute_days (
        block_id INTEGER NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        model_version TEXT NOT NULL,
        start REAL NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX minute_days_key ON minute_days (model_id, start, model_version)",
    """CREATE TABLE retired_models (
        model_id TEXT NOT NULL PRIMARY KEY,
        retired_at REAL NOT NULL)""",
    """CREATE TABLE silences (
        silence_id TEXT NOT NULL PRIMARY KEY,
        model_id TEXT NOT NULL,
        alertname TEXT NOT NULL,
        starts_at REAL NOT NULL,
        ends_at REAL NOT NULL,
        created_by TEXT NOT NULL,
        comment TEXT NOT NULL)""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND, _THIRD)
"""Statements that lead from version i to version i + 1."""

SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open database to :data:`SCHEMA_VERSION`, all steps in one transaction.

    >>> memory = sqlite3.connect(":memory:", isolation_level=None)
    >>> migrate(memory)
    >>> memory.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    True
    >>> memory.close()
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < SCHEMA_VERSION:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
