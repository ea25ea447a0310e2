"""Where everything that must outlive a process is kept: counts, rows, ground truth, results, alerts, leases.

The writer's side (this package without :mod:`~modelwatch.store.queries` and :mod:`~modelwatch.store.tables`) needs the
standard library and numpy only, so that a serving process stays light. The reader's side uses SQLAlchemy on the same
schema and is imported where it is used: ``from modelwatch.store.queries import StoreQueries``.
"""

from __future__ import annotations

from modelwatch.store.serialize import check_result_from_json, check_result_to_json
from modelwatch.store.values import (
    ActiveAlert,
    CountSeries,
    DriftRecord,
    LatestMetric,
    QueuedDelivery,
    RecordedRows,
    Silence,
    StoredAlert,
    StoredModel,
    StoredReference,
    StoredResult,
    TotalSeries,
)
from modelwatch.store.writer import StoreWriter

__all__ = [
    "ActiveAlert",
    "CountSeries",
    "DriftRecord",
    "LatestMetric",
    "QueuedDelivery",
    "RecordedRows",
    "Silence",
    "StoreWriter",
    "StoredAlert",
    "StoredModel",
    "StoredReference",
    "StoredResult",
    "TotalSeries",
    "check_result_from_json",
    "check_result_to_json",
]
