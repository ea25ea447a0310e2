"""What get_service_status says: health with reasons, of the service and of each model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwatch.policy import Severity
from modelwatch.service.times import iso

if TYPE_CHECKING:
    from modelwatch.recorder import SlotTotals
    from modelwatch.service.models import RegisteredModel
    from modelwatch.service.parts import Parts
    from modelwatch.store import ActiveAlert, StoredResult

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
_RANK = (HEALTHY, DEGRADED, UNHEALTHY)


def service_status(parts: Parts, started_at: float, now: float) -> dict[str, Any]:
    """Return the answer of get_service_status (contract 1.1)."""
    totals = _traffic(parts.recorder.snapshot())
    results = {(r.model_id, r.model_version): r for r in parts.store.latest_results()} if parts.store else {}
    alerts = parts.store.active_alerts() if parts.store else []
    models = [_model_status(parts, model, totals, results, alerts) for model in parts.book.all()]
    reasons = _service_reasons(parts)
    worst = max([_rank(m["health"]) for m in models] + [1 if reasons else 0], default=0)
    return {
        "status": "success",
        "service_status": _RANK[worst],
        "reasons": reasons + [f"{m['model_id']}: {r}" for m in models for r in m["reasons"]],
        "uptime_seconds": max(0.0, now - started_at),
        "models": models,
        "storage": {
            "path": str(parts.folder),
            "usable": parts.store is not None,
            "size_bytes": parts.store.size_bytes() if parts.store else 0,
            "shared_counters": parts.recorder.shared,
        },
        "checks": {"runs_here": bool(parts.loop and parts.loop.owner), "background": parts.loop is not None},
        "alerts": {
            "active": [
                {"model_id": a.model_id, "type": a.type, "level": a.severity.label, "message": a.message,
                 "starts_at": iso(a.starts_at)}
                for a in alerts
            ],
            "channels": sorted(parts.handler_channels),
        },
    }  # fmt: skip


def _traffic(counters: SlotTotals) -> dict[str, tuple[int, int, float]]:
    """Return attempts, errors and the time of the last prediction by model_id, over all versions and workers."""
    found: dict[str, tuple[int, int, float]] = {}
    for (family, *labels), block in counters.vectors.items():
        if family == "totals":
            attempts, errors, last = found.get(labels[0], (0, 0, 0.0))
            found[labels[0]] = (attempts + int(block.ints[0]), errors + int(block.ints[1]), max(last, block.touched))
    return found


def _rank(health: str) -> int:
    return _RANK.index(health)


def _service_reasons(parts: Parts) -> list[str]:
    reasons = []
    if parts.store is None:
        reasons.append(f"nothing is stored: {parts.storage_problem}")
    if not parts.recorder.shared:
        reasons.append("this process counts alone: other workers' predictions are not in its metrics")
    return reasons


def _model_status(
    parts: Parts,
    model: RegisteredModel,
    totals: dict[str, tuple[int, int, float]],
    results: dict[Any, StoredResult],
    alerts: list[ActiveAlert],
) -> dict[str, Any]:
    config = model.config
    attempts, errors, last = totals.get(config.model_id, (0, 0, 0.0))
    mine = [a for a in alerts if a.model_id == config.model_id]
    worst = max((a.severity for a in mine), default=Severity.NONE)
    problems = [a.message for a in mine] + parts.channel_warnings(config)
    return {
        "model_id": config.model_id,
        "model_version": config.model_version,
        "health": UNHEALTHY if worst >= Severity.ERROR else DEGRADED if problems else HEALTHY,
        "reasons": problems,
        "predictions": attempts,
        "errors": errors,
        "last_prediction_at": iso(last) if last > 0 else None,
        "reference": model.reference_state,
        "warnings": list(model.warnings),
        **_drift_status(config.model_id, results),
    }


def _drift_status(model_id: str, results: dict[Any, StoredResult]) -> dict[str, Any]:
    mine = [r for (known, _), r in results.items() if known == model_id and r.result]
    if not mine:
        return {"drift_severity": Severity.NONE.label, "drift_state": {}, "last_check_at": None}
    latest = max(mine, key=lambda r: r.checked_at)
    families = (latest.result or {})["families"]
    worst = max((int(f["severity"]) for f in families.values()), default=0)
    return {
        "drift_severity": Severity(worst).label,
        "drift_state": {name: " · ".join(filter(None, (f["state"], f["reason"]))) for name, f in families.items()},
        "last_check_at": iso(latest.checked_at),
    }
