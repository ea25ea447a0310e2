"""Silences: telling nobody of a model, or of one kind of alert, for a while; the alerts are still found and shown."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from modelwatch.config import parse_duration
from modelwatch.conventions import MODEL_ALERTS
from modelwatch.exceptions import ConfigError, InputError, StorageError, UnknownModelError, did_you_mean
from modelwatch.service.times import iso
from modelwatch.store import Silence

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts
    from modelwatch.store import StoreWriter

LONGEST_SECONDS = 366 * 86400.0
MAX_WORDS = 1000


def silence(
    parts: Parts,
    model_id: object,
    alertname: object,
    duration: object,
    comment: object,
    created_by: object,
    now: float,
) -> dict[str, Any]:
    """
    Begin a silence, or end those in force if the duration is 0.

    Raises
    ------
    UnknownModelError
        If neither this process nor its storage knows the model.
    InputError
        If the name of the alert, or the duration, is none.
    StorageError
        If silences can't be stored.
    """
    store = _store(parts)
    seconds = _seconds(duration)
    scope = _known_model(parts, store, model_id), _known_alert(alertname)
    if seconds == 0:
        return _end(store, *scope, now)
    made = Silence(
        silence_id=uuid.uuid4().hex,
        model_id=scope[0],
        alertname=scope[1],
        starts_at=now,
        ends_at=now + seconds,
        created_by=str(created_by)[:MAX_WORDS],
        comment=str(comment)[:MAX_WORDS],
    )
    store.save_silence(made)
    answer = {"status": "success", **as_dict(made)}
    if parts.config.alerting.mode == "prometheus":
        answer["warnings"] = [
            "alerting.mode is 'prometheus': Alertmanager tells what scheduled checks find, and only a silence there"
            " keeps it quiet"
        ]
    return answer


def as_dict(made: Silence) -> dict[str, Any]:
    """Return a silence as calls answer with it: None stands for every model, or every alert."""
    return {
        "silence_id": made.silence_id,
        "model_id": made.model_id or None,
        "alertname": made.alertname or None,
        "starts_at": iso(made.starts_at),
        "ends_at": iso(made.ends_at),
        "comment": made.comment,
        "created_by": made.created_by,
    }


def _end(store: StoreWriter, model_id: str, alertname: str, now: float) -> dict[str, Any]:
    ended = store.end_silences(model_id, alertname, now)
    answer: dict[str, Any] = {
        "status": "success",
        "model_id": model_id or None,
        "alertname": alertname or None,
        "ends_at": iso(now),
        "ended": [made.silence_id for made in ended],
    }
    # What overlaps and is left was begun for more than this: for all models, or all alerts of the model.
    left = store.silences(now)
    if wider := [s for s in left if s.matches(model_id or s.model_id, alertname or s.alertname)]:
        answer["warnings"] = [
            f"still silenced until {iso(s.ends_at)} by the silence {s.silence_id} of {scope_words(s)}" for s in wider
        ]
    return answer


def scope_words(made: Silence) -> str:
    """Return what a silence is about: ``model 'ad_score', all alerts``."""
    model = f"model {made.model_id!r}" if made.model_id else "all models"
    return f"{model}, {made.alertname or 'all alerts'}"


def _store(parts: Parts) -> StoreWriter:
    if parts.store is None:
        msg = f"silences can't be stored: {parts.storage_problem}"
        raise StorageError(msg)
    return parts.store


def _seconds(duration: object) -> float:
    try:
        seconds = parse_duration(duration, default_unit="s")  # type: ignore[arg-type]
    except ConfigError as error:
        msg = f"duration {error}; 0 ends the silences in force"
        raise InputError(msg) from None
    if seconds > LONGEST_SECONDS:
        msg = f"duration must be at most 366d, got {duration!r:.80}; to never be told, leave the channel out"
        raise InputError(msg)
    return seconds


def _known_model(parts: Parts, store: StoreWriter, model_id: object) -> str:
    """Return the id of a model of this process, or of another on the same storage; ``""`` for all."""
    if model_id is None:
        return ""
    known = sorted({m.config.model_id for m in parts.book.all()} | {m.model_id for m in store.models()})
    if not isinstance(model_id, str) or model_id not in known:
        hint = did_you_mean(str(model_id), known)
        listed = ", ".join(repr(name) for name in known[:10]) or "none"
        msg = f"no model {str(model_id)[:200]!r} is registered{hint}; registered: {listed}"
        raise UnknownModelError(msg)
    return model_id


def _known_alert(alertname: object) -> str:
    if alertname is None:
        return ""
    if not isinstance(alertname, str) or alertname not in MODEL_ALERTS:
        hint = did_you_mean(str(alertname), MODEL_ALERTS)
        msg = f"no alert is called {str(alertname)[:200]!r}{hint}; allowed: {', '.join(MODEL_ALERTS)}"
        raise InputError(msg)
    return alertname
