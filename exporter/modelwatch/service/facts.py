"""What surrounds a drift alert, as far as it is known: the version's age, the last alarm, how operations are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelwatch.notify.messages import ModelFacts
from modelwatch.store.alerts import epoch_seconds

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.store.queries import StoreQueries

DAY = 86400.0
VERSION_HISTORY = 8 * DAY
ALARM_HISTORY = 90 * DAY


def surroundings(
    queries: StoreQueries,
    config: ModelMonitoringConfig,
    version: str,
    now: float,
    *,
    others: tuple[str, ...] | None,
) -> ModelFacts:
    """
    Return what an alert text may say about a model besides its finding.

    Parameters
    ----------
    queries
        The store.
    config
        The model.
    version
        The version that was scored.
    now
        Seconds since 1970.
    others
        What else is wrong with the model; empty if operations were looked at and are normal, None if they were not.
    """
    return replace(
        ModelFacts.of(config),
        others=others,
        version_since=_version_since(queries, config.model_id, version, now),
        previous_alarm_at=_previous_alarm(queries, config.model_id, now),
    )


def _version_since(queries: StoreQueries, model_id: str, version: str, now: float) -> float | None:
    """Return when a version was first seen; None if that is when recording began, which tells nothing."""
    firsts: dict[str, float] = {}
    for known, _, first, _ in queries.subjects(model_id, now - VERSION_HISTORY):
        firsts[known] = min(first, firsts.get(known, first))
    mine = firsts.get(version)
    if mine is None:
        return None
    replaced_another = any(first < mine for first in firsts.values())
    return mine if replaced_another or now - mine >= DAY else None


def _previous_alarm(queries: StoreQueries, model_id: str, now: float) -> float | None:
    """Return when the last alarm of a model ended, or None if it had none that is remembered."""
    for stored in queries.alerts(model_id, now - ALARM_HISTORY, now, limit=50):
        if stored.alert.status == "resolved":
            return epoch_seconds(stored.alert.timestamp)
    return None
