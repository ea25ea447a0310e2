"""What machines need to know of an alert dict besides its text: its name, its facts, and whether it will end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["data_of", "facts_of", "is_watched", "name_of", "text_value"]

_NOT_FACTS = frozenset({"text", "alert_metric", "earlier_levels", "checked_every"})
"""Keys of our own data that say how to tell, not what is wrong."""
_MAX_FACT = 1000


def data_of(alert: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of an alert; empty if it has none."""
    data = alert.get("data")
    return data if isinstance(data, Mapping) else {}


def text_value(data: Mapping[str, Any], key: str) -> str:
    """Return a value of the data if it is text, else ``""``: applications put what they like under any key."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def name_of(alert: Mapping[str, Any]) -> str:
    """Return the alert's name, ``""`` for one that was sent by hand.

    >>> name_of({"data": {"alertname": "MLModelDataDrift"}}), name_of({"data": None})
    ('MLModelDataDrift', '')
    """
    return text_value(data_of(alert), "alertname")


def is_watched(alert: Mapping[str, Any]) -> bool:
    """Return whether somebody keeps looking, and will say that it goes on or is over; nobody does if sent by hand."""
    return isinstance(data_of(alert).get("checked_every"), (int, float)) and bool(name_of(alert))


def facts_of(alert: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return the scalars of the data, long texts cut.

    >>> facts_of({"data": {"metric": "auc", "value": 0.8, "text": {"subject": "…"}, "features": [1, 2]}})
    {'metric': 'auc', 'value': 0.8}
    """
    return {
        str(key): value[:_MAX_FACT] if isinstance(value, str) else value
        for key, value in data_of(alert).items()
        if isinstance(value, (str, int, float, bool)) and key not in _NOT_FACTS
    }
