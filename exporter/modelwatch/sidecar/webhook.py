"""What Alertmanager's webhook sends, turned into alerts for the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelwatch.config import SeverityName
from modelwatch.exceptions import InputError
from modelwatch.notify.log import LogHandler
from modelwatch.policy import AlertLevel, severities_by_label, severity_of

__all__ = ["alerts_of", "log_alerts"]

MAX_ALERTS = 10_000
_FINDING = ("model_version", "segment", "metric", "storage")
NO_MAP: Mapping[SeverityName, str] = MappingProxyType({})
_NOT_REPEATED = ("alertname", "severity", "model_id", "summary", "description")


def log_alerts(body: bytes, severity_map: Mapping[SeverityName, str] = NO_MAP) -> int:
    """
    Write one line per alert of a webhook message to the logger ``modelwatch.alerts``; return how many.

    Of several tiers of one finding that are over, only the highest is told: the others were muted while it fired.

    Parameters
    ----------
    body
        The message.
    severity_map
        What the site calls severities; they are logged under our names.

    Raises
    ------
    InputError
        If it is no such message; nothing is logged then.
    """
    alerts = _highest_of_what_is_over(alerts_of(body, severity_map))
    handler = LogHandler(logging.getLogger("modelwatch.alerts"))
    for alert in alerts:
        handler(alert)
    return len(alerts)


def alerts_of(body: bytes, severity_map: Mapping[SeverityName, str] = NO_MAP) -> list[dict[str, Any]]:
    """
    Return the alert dicts (contract 1.1) of a message of Alertmanager's webhook, format version 4.

    Raises
    ------
    InputError
        If it is no such message; the sentence says what is missing.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {type(error).__name__}") from error
    alerts = message.get("alerts") if isinstance(message, dict) else None
    if not isinstance(alerts, list) or len(alerts) > MAX_ALERTS:
        raise InputError(f"the body must be an Alertmanager message with a list of at most {MAX_ALERTS} 'alerts'")
    levels = {level.value: level.value for level in AlertLevel}
    levels |= {label: severity.label for label, severity in severities_by_label(severity_map).items()}
    return [_alert(alert, number, levels) for number, alert in enumerate(alerts)]


def _highest_of_what_is_over(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[object, dict[str, Any]] = {}
    for number, alert in enumerate(alerts):
        if alert["status"] != "resolved":
            kept[number] = alert
            continue
        finding = (alert["type"], alert["model_id"], *(alert["data"].get(name) for name in _FINDING))
        known = kept.get(finding)
        if known is None or severity_of(alert["level"]) > severity_of(known["level"]):
            kept[finding] = alert
    return list(kept.values())


def _alert(given: object, number: int, levels: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InputError(f"alerts[{number}] must be an object")
    labels = _texts(given.get("labels"), f"alerts[{number}].labels")
    annotations = _texts(given.get("annotations", {}), f"alerts[{number}].annotations")
    name = labels.get("alertname", "")
    said = [text.strip() for key in ("summary", "description") if (text := annotations.get(key, ""))]
    others = {k: v for k, v in {**labels, **annotations}.items() if v and k not in _NOT_REPEATED}
    return {
        "alert_id": str(given.get("fingerprint") or ""),
        "timestamp": str(given.get("startsAt") or ""),
        "level": levels.get(labels.get("severity", ""), AlertLevel.INFO.value),
        "type": name,
        "message": "\n".join(said) or name,
        "data": {"alertname": name, **others},
        "model_id": labels.get("model_id", ""),
        "status": "resolved" if given.get("status") == "resolved" else "firing",
        "fingerprint": str(given.get("fingerprint") or ""),
        "starts_at": str(given.get("startsAt") or ""),
    }


def _texts(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise InputError(f"{where} must be an object whose values are texts")
    return value
