"""The schema of :mod:`modelwatch.store.schema` for SQLAlchemy; a test compares the two."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

__all__ = [
    "active_alerts",
    "activity",
    "actual_chunks",
    "alerts",
    "check_results",
    "deliveries",
    "drift_history",
    "interval_counts",
    "interval_totals",
    "latest_metrics",
    "learning_chunks",
    "leases",
    "meta",
    "metadata",
    "metric_points",
    "minute_days",
    "minute_hours",
    "model_references",
    "models",
    "notifications",
    "retired_models",
    "row_chunks",
    "served_channels",
    "silence_limits",
    "silences",
    "subjects",
]

metadata = MetaData()


def _text(name: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Float, nullable=nullable)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=key, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _chunks(name: str, *more: Column[Any]) -> Table:
    """Return a table of columns of rows of one model, found by their last time."""
    return Table(
        name,
        metadata,
        _whole("chunk_id", key=True),
        _text("model_id"),
        *more,
        _number("first_at"),
        _number("last_at"),
        _whole("rows"),
        _bytes("data"),
        Index(f"{name}_time", "model_id", "last_at"),
    )


meta = Table("meta", metadata, _text("key", key=True), _text("value"))
models = Table(
    "models",
    metadata,
    _text("model_id", key=True),
    _text("model_version", key=True),
    _text("config"),
    _number("registered_at"),
    _number("updated_at"),
)
activity = Table(
    "activity",
    metadata,
    _text("model_id", key=True),
    _text("model_version", key=True),
    _number("last_prediction_at"),
)
subjects = Table(
    "subjects",
    metadata,
    _whole("subject_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _text("segment"),
    _text("profile_id"),
    Index("subjects_key", "model_id", "model_version", "segment", "profile_id", unique=True),
)
interval_counts = Table(
    "interval_counts",
    metadata,
    _whole("count_id", key=True),
    _whole("subject_id"),
    _number("start"),
    _text("worker"),
    _whole("part"),
    _number("length"),
    _whole("rows"),
    _whole("layout_size"),
    _bytes("cells"),
    _bytes("sums"),
    Index("interval_counts_key", "subject_id", "start", "worker", "part", unique=True),
)
interval_totals = Table(
    "interval_totals",
    metadata,
    _whole("total_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _number("start"),
    _text("worker"),
    _whole("part"),
    _number("length"),
    _whole("attempts"),
    _whole("errors"),
    _whole("sampled"),
    _bytes("latency_bounds"),
    _bytes("latency_cells"),
    _number("latency_sum", nullable=True),
    _number("first_at"),
    _number("last_at"),
    _whole("prediction_count"),
    _number("prediction_sum", nullable=True),
    Index("interval_totals_key", "model_id", "start", "model_version", "worker", "part", unique=True),
)
row_chunks = _chunks("row_chunks", _text("model_version"))
actual_chunks = _chunks("actual_chunks")
metric_points = Table(
    "metric_points",
    metadata,
    _whole("point_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _text("metric"),
    _number("timestamp"),
    _number("value", nullable=True),
    _text("metadata", nullable=True),
    Index("metric_points_time", "model_id", "timestamp"),
)
check_results = Table(
    "check_results",
    metadata,
    _text("model_id", key=True),
    _text("model_version", key=True),
    _number("checked_at"),
    _number("last_success_at", nullable=True),
    _whole("ok"),
    _whole("checks"),
    _whole("failures"),
    _number("duration"),
    _number("interval"),
    _text("result", nullable=True),
    _text("state"),
)
drift_history = Table(
    "drift_history",
    metadata,
    _whole("check_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _number("checked_at"),
    _whole("ok"),
    _number("duration"),
    _whole("severity"),
    _text("summary"),
    Index("drift_history_time", "model_id", "checked_at"),
)
alerts = Table(
    "alerts",
    metadata,
    _whole("entry_id", key=True),
    _text("alert_id"),
    _text("status"),
    _text("timestamp"),
    _number("at"),
    _text("level"),
    _text("type"),
    _text("message"),
    _text("data"),
    _text("model_id"),
    _text("fingerprint"),
    _text("starts_at"),
    _text("channels"),
    Index("alerts_key", "alert_id", "status", "timestamp", unique=True),
    Index("alerts_time", "model_id", "at"),
)
active_alerts = Table(
    "active_alerts",
    metadata,
    _text("fingerprint", key=True),
    _text("alertname"),
    _text("model_id"),
    _text("model_version"),
    _text("type"),
    _whole("severity"),
    _number("starts_at"),
    _number("last_notified_at", nullable=True),
    _number("last_seen_at"),
    _text("alert_id"),
    _text("message"),
    _text("data"),
)
notifications = Table("notifications", metadata, _text("channel", key=True), _whole("sent"), _whole("failed"))
leases = Table("leases", metadata, _text("name", key=True), _text("holder"), _number("acquired_at"), _number("ttl"))
latest_metrics = Table(
    "latest_metrics",
    metadata,
    _text("model_id", key=True),
    _text("model_version", key=True),
    _text("metric", key=True),
    _number("timestamp"),
    _number("value", nullable=True),
)
silence_limits = Table("silence_limits", metadata, _text("model_id", key=True), _number("limit_seconds"))
served_channels = Table("served_channels", metadata, _text("channel", key=True), _number("seen_at"))
deliveries = Table(
    "deliveries",
    metadata,
    _whole("delivery_id", key=True),
    _text("channel"),
    _text("fingerprint"),
    _text("alert"),
    _number("created_at"),
    _text("claimed_by", nullable=True),
    _number("claimed_at", nullable=True),
    Index("deliveries_order", "channel", "fingerprint"),
)
model_references = Table(
    "model_references",
    metadata,
    _text("model_id", key=True),
    _text("profile_id"),
    _text("origin"),
    _text("written"),
    _number("set_at"),
    _whole("revision"),
    _number("learning_since", nullable=True),
    _number("counted_until", nullable=True),
)
learning_chunks = _chunks("learning_chunks", _text("model_version"))
minute_hours = Table(
    "minute_hours",
    metadata,
    _whole("block_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _number("start"),
    _text("worker"),
    _whole("part"),
    _number("updated_at"),
    _bytes("data"),
    Index("minute_hours_key", "model_id", "start", "model_version", "worker", "part", unique=True),
)
minute_days = Table(
    "minute_days",
    metadata,
    _whole("block_id", key=True),
    _text("model_id"),
    _text("model_version"),
    _number("start"),
    _bytes("data"),
    Index("minute_days_key", "model_id", "start", "model_version", unique=True),
)
retired_models = Table("retired_models", metadata, _text("model_id", key=True), _number("retired_at"))
silences = Table(
    "silences",
    metadata,
    _text("silence_id", key=True),
    _text("model_id"),
    _text("alertname"),
    _number("starts_at"),
    _number("ends_at"),
    _text("created_by"),
    _text("comment"),
)
