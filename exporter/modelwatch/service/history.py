"""What get_model_metrics, get_drift_history and get_alerts answer."""

from __future__ import annotations

import asyncio
import gc
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.config import ModelMonitoringConfig
from modelwatch.config.values import plain_number, show
from modelwatch.exceptions import InputError, MissingPackageError, StorageError, UnknownModelError, did_you_mean
from modelwatch.policy import AlertLevel, Severity
from modelwatch.records import MINUTE_SECONDS, FloatArray, IntArray
from modelwatch.service.minute_metrics import (
    ALWAYS,
    MINUTE_METRICS,
    minute_points,
    minute_texts,
    minute_values,
    moment_texts,
)
from modelwatch.service.times import iso, time_range

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts
    from modelwatch.store import DriftRecord, StoreWriter
    from modelwatch.store.history import GivenMetric
    from modelwatch.store.minutes import MinuteSums
    from modelwatch.store.queries import StoreQueries

GIVEN = "update"
"""The source of a value given to ``update_model_metric``, unless its metadata name one."""
WAIT_SECONDS, LOOP_WAIT_SECONDS = 5.0, 0.1
"""How long to wait for what was recorded just now to be stored: at most, and on the thread of a running event loop."""
MAX_LIMIT = 2**63 - 1
STATUSES = ("firing", "resolved")

AGGREGATIONS: dict[str, Callable[[FloatArray], Any]] = {
    "mean": np.mean, "min": np.min, "max": np.max, "median": np.median,
}  # fmt: skip


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────


def model_metrics(
    parts: Parts, model_id: str, metric: str | None, start_time: object, end_time: object, aggregation: str | None
) -> dict[str, Any]:
    """
    Answer get_model_metrics (contract 1.1).

    Raises
    ------
    InputError
        If the range, the aggregation or the metric is none.
    UnknownModelError
        If neither this service nor the store knows the model.
    StorageError
        If nothing is stored, or can't be read.
    """
    start, end = time_range(start_time, end_time)
    _check_aggregation(aggregation)
    store = _store(parts)
    written = _written_metrics(parts, store, model_id)
    known = list(dict.fromkeys([*written, *MINUTE_METRICS, *store.metric_names(model_id)]))
    if metric is not None and metric not in known:
        hint = did_you_mean(str(metric), known)
        msg = f"{metric!r:.200} is no metric of {model_id!r}{hint}; known: {', '.join(known)}"
        raise InputError(msg)
    warnings = _flush(parts)
    series = _Series(store, model_id, metric, start, end)
    wanted = [metric] if metric is not None else [m for m in known if m in written or m in ALWAYS or series.has(m)]
    if aggregation is None:
        with _collector_paused():
            metrics: dict[str, Any] = {name: series.points(name) for name in wanted}
    else:
        metrics = {name: _aggregate(series.values(name), aggregation) for name in wanted}
    answer = {"status": "success", "model_id": model_id, "metrics": metrics}
    return answer | ({"warnings": warnings} if warnings else {})


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Make many small dicts without the garbage collector, which would walk all of them again and again.

    There are no cycles in them to be found, and of half a million it takes two thirds of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _check_aggregation(aggregation: object) -> None:
    if aggregation is not None and str(aggregation) not in AGGREGATIONS:
        hint = did_you_mean(str(aggregation), AGGREGATIONS)
        msg = f"aggregation must be one of {', '.join(AGGREGATIONS)}, got {aggregation!r:.80}{hint}"
        raise InputError(msg)


def _aggregate(values: FloatArray, aggregation: str) -> dict[str, Any]:
    if not len(values):
        return {"value": None, "count": 0}
    value = float(AGGREGATIONS[aggregation](values))
    return {"value": value if math.isfinite(value) else None, "count": len(values)}


class _Series:
    """The values of a model's metrics in a range: those given, then those recorded, in the order of time."""

    def __init__(self, store: StoreWriter, model_id: str, metric: str | None, start: float, end: float) -> None:
        asked = [MINUTE_METRICS[m] for m in ([metric] if metric is not None else MINUTE_METRICS) if m in MINUTE_METRICS]
        fields = dict.fromkeys(field for about in asked for field in (about.total, about.count))
        self._sums: MinuteSums | None = store.minute_sums(model_id, start, end, fields) if asked else None
        self._given: dict[str, list[GivenMetric]] = {}
        for point in store.given_metrics(model_id, metric, start, end):
            self._given.setdefault(point.metric, []).append(point)
        self._texts: list[str] = []

    def has(self, name: str) -> bool:
        """Return whether a metric has any value in the range."""
        about = MINUTE_METRICS.get(name)
        recorded = about is not None and self._sums is not None and bool(self._sums.sums[about.count].any())
        return recorded or name in self._given

    def values(self, name: str) -> FloatArray:
        """Return all values of a metric; their order does not matter."""
        given = np.array([point.value for point in self._given.get(name, ())], np.float64)
        if self._sums is None or name not in MINUTE_METRICS:
            return given
        return np.concatenate([given, minute_values(MINUTE_METRICS[name], self._sums.sums)[1]])

    def points(self, name: str) -> list[dict[str, Any]]:
        """Return a metric as the API lists it."""
        given = _given_points(self._given.get(name, []))
        if self._sums is None or name not in MINUTE_METRICS:
            return given
        places, values, counts = minute_values(MINUTE_METRICS[name], self._sums.sums)
        recorded = minute_points(self._times(places), values, counts)
        if not given or not recorded:
            return given or recorded
        at = np.concatenate(
            [[point.at for point in self._given[name]], self._sums.minutes[places] * float(MINUTE_SECONDS)]
        )
        both = given + recorded
        return [both[place] for place in np.argsort(at, kind="stable").tolist()]

    def _times(self, places: IntArray) -> list[str]:
        """Return the times of the minutes that have a value; all are made once for all metrics."""
        assert self._sums is not None
        if not self._texts:
            self._texts = minute_texts(self._sums.minutes)
        all_of_them = len(places) == len(self._texts)
        return self._texts if all_of_them else list(map(self._texts.__getitem__, places.tolist()))


def _given_points(given: list[GivenMetric]) -> list[dict[str, Any]]:
    texts = moment_texts(np.array([point.at for point in given], np.float64))
    written = json.loads(f"[{','.join([point.metadata or '{}' for point in given])}]")
    return [
        {"timestamp": text, "value": point.value, "metadata": {"source": GIVEN, **metadata}}
        for text, point, metadata in zip(texts, given, written, strict=True)
    ]


# ── drift and alerts ─────────────────────────────────────────────────────────────────────────────────────────────


def drift_history(
    parts: Parts, model_id: str, start_time: object, end_time: object, limit: int | None
) -> dict[str, Any]:
    """
    Answer get_drift_history.

    Raises
    ------
    InputError
        If the range or the limit is none.
    UnknownModelError
        If neither this service nor the store knows the model.
    StorageError
        If nothing is stored, or can't be read.
    """
    start, end = time_range(start_time, end_time)
    limit = _limit(limit)
    _known_to(parts, _store(parts), model_id)
    records = _queries(parts).drift_history(model_id, start, _including(end))
    kept = records if limit is None else records[-limit:]
    return {"status": "success", "model_id": model_id, "history": [_check(record) for record in kept]}


def _check(record: DriftRecord) -> dict[str, Any]:
    families = {name: _family(family) for name, family in record.summary.get("families", {}).items()}
    drifting = [name for name, family in families.items() if family["severity"] != Severity.NONE.label]
    return {
        "timestamp": iso(record.checked_at),
        "model_id": record.model_id,
        "model_version": record.model_version,
        "ok": record.ok,
        "duration_seconds": record.duration,
        "severity": record.severity.label,
        "drift_detected": record.severity >= Severity.WARNING,
        "drift_types": drifting,
        "profile_id": record.summary.get("profile_id", ""),
        "windows": record.summary.get("windows", {}),
        "details": families,
    }


def _family(family: dict[str, Any]) -> dict[str, Any]:
    features = {
        name: {**feature, "severity": Severity(feature.get("severity") or 0).label}
        for name, feature in family["features"].items()
    }
    return {**family, "severity": Severity(family["severity"]).label, "features": features}


def alert_history(
    parts: Parts,
    model_id: str | None,
    start_time: object,
    end_time: object,
    level: object,
    status: str | None,
    limit: int | None,
) -> dict[str, Any]:
    """
    Answer get_alerts.

    Raises
    ------
    InputError
        If the range, the level, the status or the limit is none.
    UnknownModelError
        If neither this service nor the store knows the model.
    StorageError
        If nothing is stored, or can't be read.
    """
    start, end = time_range(start_time, end_time)
    limit = _limit(limit)
    wanted = None if level is None else _one_of("level", level, list(AlertLevel))
    if status is not None:
        _one_of("status", status, STATUSES)
    store = _store(parts)
    if model_id is not None:
        _known_to(parts, store, model_id)
    found = _queries(parts).alerts(model_id, start, _including(end), wanted, limit, status)
    alerts = [{**stored.alert.as_dict(), "channels": stored.channels} for stored in found]
    return {"status": "success", "model_id": model_id, "alerts": alerts}


def _one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    listed = [str(item) for item in allowed]
    text = str(value).lower()
    if text not in listed:
        msg = f"{name} must be one of {', '.join(listed)}, got {value!r:.80}{did_you_mean(text, listed)}"
        raise InputError(msg)
    return text


def _limit(limit: object) -> int | None:
    """Return a limit; one that is more than a database can count is that many."""
    if limit is None:
        return None
    number = plain_number(limit)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        msg = f"limit must be a whole number of 1 or more, got {show(number)}"
        raise InputError(msg)
    return min(number, MAX_LIMIT)


def _including(end: float) -> float:
    return float(np.nextafter(end, math.inf))


# ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────


def _store(parts: Parts) -> StoreWriter:
    if parts.store is None:
        msg = f"nothing is stored: {parts.storage_problem}"
        raise StorageError(msg)
    return parts.store


def _queries(parts: Parts) -> StoreQueries:
    if parts.jobs is None:
        msg = f"nothing is stored: {parts.storage_problem}"
        raise StorageError(msg)
    try:
        return parts.jobs.queries()
    except ModuleNotFoundError as error:
        msg = f"the history of drift and alerts is read with {error.name}: pip install {error.name}"
        raise MissingPackageError(msg) from error


def _known_to(parts: Parts, store: StoreWriter, model_id: object) -> list[dict[str, Any]]:
    """Return the stored configurations of a model that is not registered here; [] for one that is."""
    if model_id in parts.book:
        return []
    stored = store.models()
    mine = [model.config for model in stored if model.model_id == model_id]
    if not mine:
        known = sorted({m.model_id for m in stored} | {m.config.model_id for m in parts.book.all()})
        listed = ", ".join(map(repr, known[:10])) or "none"
        msg = (
            f"no model {str(model_id)[:200]!r} is registered{did_you_mean(str(model_id), known)}; registered: {listed}"
        )
        raise UnknownModelError(msg)
    return mine


def _written_metrics(parts: Parts, store: StoreWriter, model_id: str) -> list[str]:
    """Return the metrics that a model is registered with, in all its versions."""
    elsewhere = _known_to(parts, store, model_id)
    if elsewhere:
        # What is stored is what somebody wrote: which metrics follow from it, the configuration itself knows.
        configs = [ModelMonitoringConfig.model_validate(fields) for fields in elsewhere]
        return list(dict.fromkeys(m for config in configs for m in config.performance_metrics))
    mine = [model.config for model in parts.book.all() if model.config.model_id == model_id]
    return list(dict.fromkeys(m for config in mine for m in config.performance_metrics))


def _flush(parts: Parts) -> list[str]:
    """Make what was recorded here visible; an event loop is not held up for that."""
    if parts.closed:
        return []
    try:
        asyncio.get_running_loop()
        patience = LOOP_WAIT_SECONDS
    except RuntimeError:
        patience = WAIT_SECONDS
    if parts.recorder.flush(patience):
        return []
    return [f"what was recorded last may be missing: it was not stored within {patience:g} s"]
