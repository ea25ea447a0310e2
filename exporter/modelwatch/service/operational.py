"""Conditions that need no reference: latency, errors and silence, from the totals of the last minutes.

Windows and guards are those of the generated Prometheus rules, so that both ways of alerting agree (contract 2.3):
5 minutes, or 1 hour where 5 minutes hold fewer than 100 requests; at least 100 requests in the window, or 5 errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.conventions import ALERT_ERROR_RATE_HIGH, ALERT_LATENCY_HIGH, ALERT_NO_PREDICTIONS
from modelwatch.notify import messages
from modelwatch.notify.engine import Condition
from modelwatch.performance import threshold_severity
from modelwatch.policy import Severity, alert_severity

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.store import TotalSeries

ALERTNAMES = (ALERT_LATENCY_HIGH, ALERT_ERROR_RATE_HIGH, ALERT_NO_PREDICTIONS)
SHORT_WINDOW, LONG_WINDOW = 300.0, 3600.0
MIN_REQUESTS, MIN_ERRORS = 100, 5
SILENCE_AT_LEAST, GAP_FACTOR = 900.0, 3.0
GAP_HISTORY = 7 * 86400.0
HISTORY_AT_LEAST = 3600.0
"""Traffic must have lasted this long before its absence means anything: a first short batch run is no habit yet."""


@dataclass(frozen=True)
class WindowTotals:
    """Traffic of one model in one window."""

    seconds: float
    attempts: int
    errors: int
    latency_bounds: tuple[float, ...]
    latency_cells: tuple[int, ...]

    def quantile(self, q: float) -> float | None:
        """Return the latency quantile in seconds, linear within its bucket as Prometheus does it; None without data."""
        total = sum(self.latency_cells)
        if total == 0:
            return None
        rank, seen, lower = q * total, 0.0, 0.0
        for bound, count in zip(self.latency_bounds, self.latency_cells, strict=False):
            if count and seen + count >= rank:
                return lower + (bound - lower) * (rank - seen) / count
            seen, lower = seen + count, bound
        return lower

    def share_above(self, bound: float) -> float:
        """Return the share of requests slower than `bound` seconds, which must be a bucket bound."""
        total = sum(self.latency_cells)
        below = sum(c for b, c in zip(self.latency_bounds, self.latency_cells, strict=False) if b <= bound * (1 + 1e-9))
        return (total - below) / total if total else 0.0


def window_totals(series: TotalSeries, now: float) -> WindowTotals:
    """Sum the totals of the last 5 minutes, or of the last hour where those hold fewer than 100 requests."""
    short = _sum_since(series, now - SHORT_WINDOW, SHORT_WINDOW)
    return short if short.attempts >= MIN_REQUESTS else _sum_since(series, now - LONG_WINDOW, LONG_WINDOW)


def _sum_since(series: TotalSeries, since: float, seconds: float) -> WindowTotals:
    mask = np.asarray(series.starts) >= since
    return WindowTotals(
        seconds=seconds,
        attempts=int(np.asarray(series.attempts)[mask].sum()),
        errors=int(np.asarray(series.errors)[mask].sum()),
        latency_bounds=tuple(series.latency_bounds),
        latency_cells=tuple(int(c) for c in np.asarray(series.latency_cells)[mask].sum(axis=0)),
    )


def silence_limit(series: TotalSeries) -> float | None:
    """Return after how many seconds without a prediction silence is news; None while traffic is no habit yet."""
    starts, last = np.asarray(series.starts), np.asarray(series.last_at)
    active = np.asarray(series.attempts) > 0
    starts, last = starts[active], last[active]
    if starts.size == 0 or float(last.max()) - float(starts.min()) < HISTORY_AT_LEAST:
        return None
    gaps = np.maximum(starts[1:] - last[:-1], 0.0)
    return max(SILENCE_AT_LEAST, GAP_FACTOR * float(gaps.max(initial=0.0)))


@dataclass(frozen=True)
class Situation:
    """One model at one moment: what every condition is judged by."""

    config: ModelMonitoringConfig
    now: float
    timezone: str | None
    since_of: Callable[[str], float | None]
    """Returns since when an alert name fires already, or None."""

    @property
    def facts(self) -> messages.ModelFacts:
        """What alert texts say of the model."""
        return messages.ModelFacts.of(self.config)

    def since(self, alertname: str) -> float:
        """Return when an alert began: now, unless it is firing already."""
        return self.since_of(alertname) or self.now


def traffic_conditions(situation: Situation, series: TotalSeries) -> list[Condition]:
    """
    Return what is wrong with latency and errors of one version.

    Parameters
    ----------
    situation
        The version, and when.
    series
        Its totals of at least the last hour, ascending.
    """
    totals = window_totals(series, situation.now)
    found = [_latency(situation, totals), _errors(situation, totals)]
    return [condition for condition in found if condition is not None]


def silence_condition(situation: Situation, series: TotalSeries, limit: float | None) -> list[Condition]:
    """
    Return the condition that a model is silent for longer than `limit` seconds, if it is.

    Parameters
    ----------
    situation
        The model, and when.
    series
        The totals of all its versions.
    limit
        What :func:`silence_limit` returned.
    """
    found = _silence(situation, series, limit)
    return [] if found is None else [found]


def _latency(it: Situation, totals: WindowTotals) -> Condition | None:
    config = it.config
    threshold = config.thresholds.get("latency_ms")
    if threshold is None or threshold.max is None or totals.attempts < MIN_REQUESTS:
        return None
    limit = threshold.max / 1000.0
    value = totals.quantile(config.latency_quantile)
    if value is None or totals.share_above(limit) <= 1.0 - config.latency_quantile:
        return None
    severity = threshold_severity(threshold)
    text = messages.latency_text(
        it.facts,
        severity=severity,
        quantile=config.latency_quantile,
        seconds=max(value, limit),
        limit_seconds=limit,
        requests=totals.attempts,
        window_seconds=totals.seconds,
        now=it.now,
        timezone=it.timezone,
        since=it.since(ALERT_LATENCY_HIGH),
    )
    data = {"metric": "latency_ms", "value": max(value, limit) * 1000.0, "threshold": threshold.max}
    return _condition(ALERT_LATENCY_HIGH, "latency", config, severity, text, data | _traffic(totals), it.now)


def _errors(it: Situation, totals: WindowTotals) -> Condition | None:
    config = it.config
    threshold = config.thresholds.get("error_rate")
    if threshold is None or threshold.max is None or totals.attempts == 0:
        return None
    if totals.attempts < MIN_REQUESTS and totals.errors < MIN_ERRORS:
        return None
    rate = totals.errors / totals.attempts
    if rate <= threshold.max:
        return None
    severity = threshold_severity(threshold)
    text = messages.error_rate_text(
        it.facts,
        severity=severity,
        rate=rate,
        limit=threshold.max,
        errors=totals.errors,
        requests=totals.attempts,
        window_seconds=totals.seconds,
        now=it.now,
        timezone=it.timezone,
        since=it.since(ALERT_ERROR_RATE_HIGH),
    )
    data = {"metric": "error_rate", "value": rate, "threshold": threshold.max}
    return _condition(ALERT_ERROR_RATE_HIGH, "error_rate", config, severity, text, data | _traffic(totals), it.now)


def _silence(it: Situation, series: TotalSeries, limit: float | None) -> Condition | None:
    config, now = it.config, it.now
    severity = alert_severity(config, ALERT_NO_PREDICTIONS)
    if limit is None or severity is Severity.NONE:
        return None
    last = float(np.asarray(series.last_at).max())
    if now - last <= limit:
        return None
    text = messages.no_predictions_text(
        it.facts, severity=severity, last_at=last, limit_seconds=limit, now=now, timezone=it.timezone
    )
    data = {"metric": "predictions", "last_prediction_at": last, "limit_seconds": limit}
    return _condition(ALERT_NO_PREDICTIONS, "traffic", config, severity, text, data, last)


def _traffic(totals: WindowTotals) -> dict[str, float]:
    return {"requests": totals.attempts, "errors": totals.errors, "window_seconds": totals.seconds}


def _condition(
    alertname: str,
    kind: str,
    config: ModelMonitoringConfig,
    severity: Severity,
    text: messages.AlertText,
    data: dict[str, object],
    since: float,
) -> Condition:
    return Condition(
        alertname=alertname,
        model_id=config.model_id,
        model_version=config.model_version,
        type=kind,
        severity=severity,
        text=text,
        data={"model_id": config.model_id, **data},
        since=since,
    )
