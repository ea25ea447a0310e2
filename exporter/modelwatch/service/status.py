"""What get_service_status says: health with reasons, of the service and of each model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import StorageError
from modelwatch.policy import Severity
from modelwatch.service.cleanup import cap_reason
from modelwatch.service.learning import AUTO, Progress
from modelwatch.service.losses import Losses, loss_warnings, losses_of
from modelwatch.service.silences import as_dict
from modelwatch.service.times import iso

if TYPE_CHECKING:
    from modelwatch.recorder import SlotTotals
    from modelwatch.service.models import RegisteredModel
    from modelwatch.service.parts import Parts
    from modelwatch.store import ActiveAlert, Silence, StoredResult

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
_RANK = (HEALTHY, DEGRADED, UNHEALTHY)


def service_status(parts: Parts, started_at: float, now: float) -> dict[str, Any]:
    """Return the answer of get_service_status (contract 1.1); a store that can't be read is a reason, not an error."""
    parts.follower()
    known = _Known.of(parts, now)
    models = [_model_status(parts, model, known) for model in parts.book.all()]
    reasons = _service_reasons(parts) + known.problems + list(filter(None, [cap_reason(known.cleanup)]))
    worst = max([_rank(m["health"]) for m in models] + [1 if reasons else 0, 2 if known.problems else 0], default=0)
    return {
        "status": "success",
        "service_status": _RANK[worst],
        "reasons": reasons + [_of_model(m["model_id"], r) for m in models for r in m["reasons"]],
        "uptime_seconds": max(0.0, now - started_at),
        "models": models,
        "storage": {
            "path": str(parts.folder),
            "usable": parts.store is not None and not known.problems and not parts.write_problem,
            "size_bytes": known.size_bytes,
            "max_size_bytes": known.max_size_bytes,
            "last_cleanup": known.cleanup,
            "shared_counters": parts.recorder.shared,
        },
        "checks": {
            "runs_here": bool(parts.loop and parts.loop.owner),
            "background": parts.loop is not None,
            "sidecar": parts.sidecar_runs(),
        },
        "alerts": {
            "active": [
                {"model_id": a.model_id, "alertname": a.alertname, "type": a.type, "level": a.severity.label,
                 "message": _headline(a), "starts_at": iso(a.starts_at),
                 "silenced": any(s.matches(a.model_id, a.alertname) for s in known.silences)}
                for a in known.alerts
            ],
            "silences": [as_dict(silence) for silence in known.silences],
            "channels": sorted(parts.routes.channels),
        },
    }  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What counters and store say just now."""

    traffic: dict[tuple[str, str], tuple[int, int, float]]
    results: list[StoredResult]
    alerts: list[ActiveAlert]
    silences: list[Silence]
    size_bytes: int
    problems: list[str]
    progress: dict[str, Progress] = field(default_factory=dict)
    max_size_bytes: int | None = None
    cleanup: dict[str, Any] | None = None
    losses: dict[tuple[str, str], Losses] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Parts, now: float) -> _Known:
        counters = parts.recorder.snapshot()
        traffic, losses = _traffic(counters), losses_of(counters)
        if (store := parts.store) is None:
            return cls(traffic, [], [], [], 0, [], losses=losses)
        try:
            return cls(
                traffic,
                store.latest_results(),
                store.active_alerts(),
                store.silences(now),
                store.size_bytes(),
                [],
                _progress(parts),
                parts.cleanup.cap if parts.cleanup is not None else None,
                store.last_cleanup(),
                losses,
            )
        except (StorageError, OSError) as error:
            return cls(traffic, [], [], [], 0, [f"the store can't be read: {error}"], losses=losses)


def _progress(parts: Parts) -> dict[str, Progress]:
    """Return how far learning has come, of the models that have no reference yet."""
    if parts.jobs is None:
        return {}
    learning = {m.config.model_id for m in parts.book.all() if m.profile is None and m.config.reference == AUTO}
    return {model_id: parts.jobs.learner.progress(model_id) for model_id in learning}


def _headline(alert: ActiveAlert) -> str:
    return alert.message.partition("\n")[0]


def _traffic(counters: SlotTotals) -> dict[tuple[str, str], tuple[int, int, float]]:
    """Return attempts, errors and the time of the last prediction by model_id and version, over all workers."""
    return {
        (labels[0], labels[1]): (int(block.ints[0]), int(block.ints[1]), block.touched)
        for (family, *labels), block in counters.vectors.items()
        if family == "totals"
    }


def _of_model(model_id: str, reason: str) -> str:
    return reason if reason.startswith(f"{model_id}: ") else f"{model_id}: {reason}"


def _rank(health: str) -> int:
    return _RANK.index(health)


def _service_reasons(parts: Parts) -> list[str]:
    reasons = parts.storage_warnings()
    if not parts.recorder.shared:
        reasons.append("this process counts alone: other workers' predictions are not in its metrics")
    return reasons + parts.routes.problems()


def _model_status(parts: Parts, model: RegisteredModel, known: _Known) -> dict[str, Any]:
    config = model.config
    versions = _versions_of(parts, model, known)
    counted = [known.traffic[key] for key in versions if key in known.traffic]
    last = max((touched for _, _, touched in counted), default=0.0)
    mine = [a for a in known.alerts if (a.model_id, a.model_version) in versions]
    worst = max((a.severity for a in mine), default=Severity.NONE)
    problems = [_headline(a) for a in mine] + parts.routes.warnings(config)
    if config.reference != "auto" and model.profile is None:
        problems += [warning for warning in model.warnings if config.reference in warning or "reference" in warning]
    progress = known.progress.get(config.model_id)
    if progress is not None and progress.problem:
        problems.append(progress.words)
    # Of a learnt or given profile nobody has read the summary.
    left_out = model.profile.warnings if model.profile is not None and model.followed is not None else ()
    return {
        "model_id": config.model_id,
        "model_version": config.model_version,
        "health": UNHEALTHY if worst >= Severity.ERROR else DEGRADED if problems else HEALTHY,
        "reasons": problems,
        "predictions": sum(attempts for attempts, _, _ in counted),
        "errors": sum(errors for _, errors, _ in counted),
        "last_prediction_at": iso(last) if last > 0 else None,
        "reference": parts.references.words(model, progress),
        "warnings": [
            *model.warnings,
            *(f"reference: {warning}" for warning in left_out),
            *loss_warnings(known.losses[key] for key in versions if key in known.losses),
        ],
        **_drift_status([r for r in known.results if (r.model_id, r.model_version) in versions]),
    }


def _versions_of(parts: Parts, model: RegisteredModel, known: _Known) -> set[tuple[str, str]]:
    """Return what one row speaks for: its own version; the first of a model also for those that only calls named."""
    config = model.config
    registered = [m.config.model_version for m in parts.book.all() if m.config.model_id == config.model_id]
    mine = {(config.model_id, config.model_version)}
    if config.model_version != registered[0]:
        return mine
    seen = {*known.traffic, *((r.model_id, r.model_version) for r in known.results)}
    seen |= {(a.model_id, a.model_version) for a in known.alerts}
    return mine | {key for key in seen if key[0] == config.model_id and key[1] not in registered}


def _drift_status(results: list[StoredResult]) -> dict[str, Any]:
    checked = [r for r in results if r.result]
    if not checked:
        return {"drift_severity": Severity.NONE.label, "drift_state": {}, "last_check_at": None}
    latest = max(checked, key=lambda r: r.checked_at)
    families = (latest.result or {})["families"]
    worst = max((int(f["severity"]) for f in families.values()), default=0)
    return {
        "drift_severity": Severity(worst).label,
        "drift_state": {name: " · ".join(filter(None, (f["state"], f["reason"]))) for name, f in families.items()},
        "last_check_at": iso(latest.checked_at),
    }
