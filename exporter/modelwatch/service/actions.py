"""What applications ask of a service by hand: set a metric, look at a batch, send an alert."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.config.thresholds import value_mistake
from modelwatch.exceptions import InputError, StorageError, did_you_mean
from modelwatch.policy import AlertLevel, Severity
from modelwatch.recorder.outcomes import finite
from modelwatch.recorder.text import label_text
from modelwatch.records import Alert
from modelwatch.service.batch_check import TARGETS_WARNING, batch_result, load_checks, report_of
from modelwatch.service.times import iso

if TYPE_CHECKING:
    from modelwatch.records import CheckResult
    from modelwatch.service.models import RegisteredModel
    from modelwatch.service.parts import Parts

WAIT_SECONDS = 5.0
CROWDED = "failed: too many alerts are on their way already"


def update_metric(
    parts: Parts, model_id: str, metric: str, value: object, metadata: object, now: float
) -> dict[str, Any]:
    """
    Store one value of a metric that the model is registered with.

    Raises
    ------
    UnknownModelError
        If the model is not registered.
    InputError
        If the metric is not the model's, or the value is no finite number, or none that a known metric can have.
    """
    config = parts.book.get(model_id).config
    if not issubclass(type(metric), str) or metric not in config.performance_metrics:
        text = label_text(metric)
        listed = ", ".join(config.performance_metrics) or "none"
        hint = did_you_mean(text, config.performance_metrics)
        msg = f"{text!r} is not among the performance_metrics of {model_id!r}{hint}; they are: {listed}"
        raise InputError(msg)
    kept = _as_dict(metadata)
    number = _finite(metric, value)
    if wrong := value_mistake(metric, number):
        raise InputError(wrong)
    parts.recorder.set_metric(model_id, metric, number, now, kept)
    answer = {"status": "success", "metric": metric, "value": number, "timestamp": iso(now)}
    if parts.store is None:
        answer["warnings"] = [f"the value is exposed, but not stored: {parts.storage_problem}"]
    return answer


def _as_dict(metadata: object) -> dict[Any, Any] | None:
    try:
        if metadata is None or isinstance(metadata, Mapping):
            return None if metadata is None else dict(metadata)
    except Exception as error:  # as at the recorder boundary: an arbitrary mapping may raise anything
        msg = f"metadata can't be read: {label_text(error)}"
        raise InputError(msg) from error
    msg = f"metadata must be a dict, got {type(metadata).__name__}"
    raise InputError(msg)


def _finite(metric: str, value: Any) -> float:  # noqa: ANN401 - whatever the caller has computed
    kind = type(value)  # asked instead of the value, which may answer with an error
    if issubclass(kind, (np.ndarray, np.generic)) or hasattr(kind, "iloc"):
        array = np.asarray(value)
        value = array.item() if array.size == 1 else array
    number = finite(value)
    if number is None:
        got = str(value) if type(value) is float else kind.__name__
        msg = f"the value of {metric!r} must be a finite number, got {got}"
        raise InputError(msg)
    return number


def asked_drift(
    parts: Parts, model_id: str, data: object, predictions: object, targets: object, comprehensive: bool, now: float
) -> dict[str, Any]:
    """Score a batch, or the model's recorded windows, and say it as the public API does (contract 1.1)."""
    checks = load_checks()
    model = parts.book.get(model_id)
    warnings = list(model.warnings)
    if targets is not None:
        warnings.append(TARGETS_WARNING)
    if data is None and predictions is None:
        result = _windows_now(parts, model, now)
    else:
        absence = _absence(parts, model) if model.profile is None else None
        batch = (data, predictions if comprehensive else None)
        profile = model.profile if parts.jobs is None else parts.jobs.compared_with(model)
        result, told = batch_result(model.config, profile, *batch, now, absence)
        warnings += told
    if not comprehensive:
        result = checks.only(result, ("data",))
    return report_of(model_id, result, warnings)


def _absence(parts: Parts, model: RegisteredModel) -> tuple[str, str]:
    """Return why there is no reference; what is on its way to the store counts too."""
    if parts.jobs is None:
        return "no_reference", f"no reference profile, and none can be learnt: {parts.storage_problem}"
    parts.recorder.flush(WAIT_SECONDS)
    return parts.jobs.absence(model.config)


def _windows_now(parts: Parts, model: RegisteredModel, now: float) -> CheckResult:
    if parts.jobs is None:
        msg = f"nothing is stored ({parts.storage_problem}): pass current_data"
        raise StorageError(msg)
    parts.recorder.flush(WAIT_SECONDS)
    return parts.jobs.look(model, now)


def send_alert(
    parts: Parts, severity: object, message: str, data: object, alert_type: str, now: float
) -> dict[str, Any]:
    """
    Deliver one alert that somebody sent by hand, and store it.

    Raises
    ------
    InputError
        If the severity or the data are not usable.
    """
    level = _level(severity)
    if data is not None and not isinstance(data, Mapping):
        msg = f"data must be a dict, got {type(data).__name__}"
        raise InputError(msg)
    facts = dict(data or {})
    model_id = facts.get("model_id")
    alert = Alert(
        alert_id=uuid.uuid4().hex,
        timestamp=iso(now),
        level=level.value,
        type=str(alert_type),
        message=str(message),
        data=facts,
        model_id=str(model_id) if model_id is not None else "",
        status="firing",
        fingerprint=uuid.uuid4().hex[:16],
        starts_at=iso(now),
    )
    told = parts.routes.route(Severity[level.name], alert.model_id or None)
    shown = {key: getattr(alert, key) for key in ("alert_id", "timestamp", "level", "type", "message", "data")}
    if on_event_loop():
        taken = parts.errands.put(lambda: _begin(parts, alert, told))
        return {"status": "success", **shown, "channels": {c: _expected(parts, c) if taken else CROWDED for c in told}}
    channels, problem = _begin(parts, alert, told)()
    # People have been told; an error result would make the caller tell them again.
    warnings = [f"the alert was sent, but is not in the history: {problem}"] if problem else []
    return {"status": "success", **shown, "channels": channels} | ({"warnings": warnings} if warnings else {})


def _begin(parts: Parts, alert: Alert, told: Sequence[str]) -> Callable[[], tuple[dict[str, str], str]]:
    """Queue an alert; return who waits for it, stores it, and tells what became of it, and why it is in no history."""
    outcomes = parts.outbox.begin(alert.as_dict(), told, WAIT_SECONDS)

    def finish() -> tuple[dict[str, str], str]:
        channels = outcomes()
        try:
            if parts.store is not None:
                parts.store.save_alert(alert, channels)
        except StorageError as error:
            return channels, str(error)
        return channels, ""

    return finish


def _expected(parts: Parts, channel: str) -> str:
    served = channel in parts.outbox.channels
    return "queued" if served else f"failed: no handler is registered for channel {channel!r}"


def on_event_loop() -> bool:
    """
    Return whether this is called from a coroutine or a callback of a running event loop, which must not be blocked.

    >>> on_event_loop()
    False
    """
    asyncio = sys.modules.get("asyncio")  # where nobody imported it no loop runs
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _level(severity: object) -> AlertLevel:
    try:
        return AlertLevel(severity.lower() if isinstance(severity, str) else severity)
    except ValueError as error:
        msg = f"severity is one of {', '.join(AlertLevel)}; got {severity!r:.80}"
        raise InputError(msg) from error
