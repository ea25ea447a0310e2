"""Which alert mutes which, so that one fault makes one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelwatch.conventions import (
    ALERT_CHECK_STALE,
    ALERT_DOWN,
    ALERT_NO_PREDICTIONS,
    ALERT_TRAFFIC_ANOMALY,
    DRIFT_ALERTS,
    MODEL_ID,
    MODEL_VERSION,
    SEGMENT,
)
from modelwatch_rules.matchers import OWN_ALERTS, SITE_LABELS, any_of, matcher, severities

__all__ = ["inhibit_rules"]

SAME_FINDING = ("alertname", MODEL_ID, MODEL_VERSION, SEGMENT, "metric", *SITE_LABELS)


def inhibit_rules(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return rules by which the cause speaks, and of one finding its highest tier alone.

    Parameters
    ----------
    tiers
        Values of the label `severity`, each once, from the mildest up.
    """
    return [
        *_tier_rules(tiers),
        *_down_over_stale(tiers),
        *_silence_over_traffic(tiers),
        *_whole_over_segments(tiers),
    ]


def _tier_rules(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return rules by which the highest tier of a finding speaks alone.

    A label that is missing equals one that is missing: without the other matchers we would mute other teams' alerts.
    """
    ours = [matcher("alertname", OWN_ALERTS, "=~"), matcher(MODEL_ID, ".+", "=~")]
    return [
        {
            "source_matchers": [severities([tiers[rank]]), *ours],
            "target_matchers": [severities(tiers[:rank]), *ours],
            "equal": list(SAME_FINDING),
        }
        for rank in range(len(tiers) - 1, 0, -1)
    ]


def _down_over_stale(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rules by which a checker that is down is told once, and not again as one stale check per model."""
    down = [matcher("alertname", ALERT_DOWN), matcher("component", "checks")]
    return _no_louder(tiers, down, [matcher("alertname", ALERT_CHECK_STALE)], SITE_LABELS)


def _silence_over_traffic(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rules by which a model that is silent is not also called one with little traffic."""
    known = matcher(MODEL_ID, ".+", "=~")
    silent, few = ([matcher("alertname", alert), known] for alert in (ALERT_NO_PREDICTIONS, ALERT_TRAFFIC_ANOMALY))
    return _no_louder(tiers, silent, few, (MODEL_ID, *SITE_LABELS))


def _whole_over_segments(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rules by which drift of a model as a whole is not told of each of its segments again."""
    drift = any_of("alertname", list(DRIFT_ALERTS.values()))
    known = matcher(MODEL_ID, ".+", "=~")
    whole, part = ([matcher(SEGMENT, "", sign), drift, known] for sign in ("=", "!="))
    return _no_louder(tiers, whole, part, ("alertname", MODEL_ID, MODEL_VERSION, *SITE_LABELS))


def _no_louder(
    tiers: Sequence[str], source: Sequence[str], target: Sequence[str], equal: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a rule per tier of the cause: what it mutes is as loud as it at most, or nobody would be woken."""
    return [
        {
            "source_matchers": [severities([tiers[rank]]), *source],
            "target_matchers": [severities(tiers[: rank + 1]), *target],
            "equal": list(equal),
        }
        for rank in range(len(tiers) - 1, -1, -1)
    ]
