"""The storage: folder, database, size, who checks, which models, when a prediction and a check last came."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from modelwatch.cli.checkups.finding import Finding, Patient, ago, ok, problem, skipped
from modelwatch.cli.tables import listed
from modelwatch.config.values import size_text
from modelwatch.exceptions import StorageError
from modelwatch.service.cleanup import size_cap
from modelwatch.service.jobs import SIDECAR_LEASE
from modelwatch.store.inspection import StorageFacts, has_database, inspect_storage
from modelwatch.store.schema import SCHEMA_VERSION

__all__ = ["look_at_checks", "look_at_models", "look_at_storage"]

LITTLE_SPACE = 200_000_000
"""Bytes below which a disk is nearly full: the database's log alone may take a third of it."""
STALE_INTERVALS = 3.0
_CHECKS_OF = "checks of "


def look_at_storage(patient: Patient) -> list[Finding]:
    """Return how folder, database and disk are."""
    folder = patient.folder
    if not folder.is_dir():
        export = f"export MODELWATCH_STORAGE={shlex.quote(str(folder))}"
        return [
            problem(
                "storage",
                f"{folder} does not exist: nothing was ever recorded there",
                f"start the application with it: {export}",
            )
        ]
    return [*_folder(folder), *_database(patient)]


def _folder(folder: Path) -> Iterator[Finding]:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        user = f" for user id {os.getuid()}" if hasattr(os, "getuid") else ""
        yield problem(
            "storage",
            f"{folder} can't be written{user}",
            f"make it writable, or run as its owner: ls -ld {shlex.quote(str(folder))}",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < LITTLE_SPACE:
        yield problem(
            "storage",
            f"{folder}: only {size_text(free)} are free on its disk",
            "free space there, or lower storage.max_size",
        )
        return
    yield ok("storage", f"{folder}, {size_text(free)} free")


def _database(patient: Patient) -> Iterator[Finding]:
    if not has_database(patient.folder):
        yield problem(
            "database", "there is none: nothing was ever recorded in this folder",
            f"point the application there: export MODELWATCH_STORAGE={shlex.quote(str(patient.folder))}",
        )  # fmt: skip
        return
    try:
        facts = inspect_storage(patient.folder, patient.now)
    except StorageError as error:
        yield problem("database", str(error), "see what the log of the application says; a new one begins by itself")
        return
    yield ok("database", f"readable, schema {SCHEMA_VERSION}")
    cap = size_cap(patient.folder, patient.config.storage.max_bytes)
    said = f"{size_text(facts.size_bytes)} of {size_text(cap)}"
    if facts.size_bytes > cap:
        yield problem(
            "size",
            f"{said}: the cap does not hold",
            "whoever checks cleans up hourly; raise storage.max_size if need be",
        )
    else:
        yield ok("size", said)


def look_at_checks(patient: Patient) -> list[Finding]:
    """Return who runs the scheduled checks, and whether they succeed."""
    facts = patient.facts
    if facts is None:
        return [skipped("checks", "there is no storage to read")]
    return [_owner(patient, facts), *_last_checks(patient, facts)]


def _owner(patient: Patient, facts: StorageFacts) -> Finding:
    sidecar = facts.leases.get(SIDECAR_LEASE)
    if sidecar is not None:
        return ok("checks", f"a sidecar runs them (process {_pid(sidecar.removeprefix('sidecar-'))})")
    owners = {holder for name, holder in facts.leases.items() if name.startswith(_CHECKS_OF)}
    if owners:
        return ok("checks", f"an application runs them (process {', '.join(sorted(map(_pid, owners)))})")
    where = f" --storage {shlex.quote(str(patient.folder))}"
    return problem(
        "checks", "nobody runs them: no sidecar, and no application with a background thread, is alive",
        f"start one, for example: modelwatch sidecar{where}",
    )  # fmt: skip


def _pid(holder: str) -> str:
    return holder.partition("-")[0]


def _last_checks(patient: Patient, facts: StorageFacts) -> Iterator[Finding]:
    if not facts.checks:
        yield skipped("last check", "no model was checked yet")
        return
    stale = {
        check.model_id: "never succeeded" if check.last_success_at is None else ago(patient.now - check.last_success_at)
        for check in facts.checks
        if check.last_success_at is None
        or patient.now - check.last_success_at > STALE_INTERVALS * max(check.interval, 60.0)
    }
    if stale:
        words = listed([f"{model_id} ({when})" for model_id, when in stale.items()], 3)
        yield problem("last check", f"too long ago: {words}", "see what the log of who runs the checks says")
        return
    newest = max(check.last_success_at or 0.0 for check in facts.checks)
    yield ok("last check", f"{ago(patient.now - newest)}, all {len(facts.checks)} in time")


def look_at_models(patient: Patient) -> list[Finding]:
    """Return which models there are, and when they last predicted."""
    facts = patient.facts
    configured = dict.fromkeys(model.model_id for model in patient.config.models)
    if facts is None:
        return [skipped("models", f"there is no storage to read; configured: {listed(list(configured), 3) or 'none'}")]
    seen: dict[str, float] = {}
    for model in facts.models:
        if model.retired_at is None:
            seen[model.model_id] = max(model.last_prediction_at or 0.0, seen.get(model.model_id, 0.0))
    silent = [model_id for model_id in dict.fromkeys([*configured, *seen]) if not seen.get(model_id)]
    if not seen and not configured:
        return [problem("models", "none is known", "decorate a function with @monitor, or list models in models.yaml")]
    found = []
    if active := {model_id: at for model_id, at in seen.items() if at}:
        latest = max(active, key=lambda model_id: active[model_id])
        words = f"{len(active)} recorded; last prediction {ago(patient.now - active[latest])} ({latest})"
        found.append(ok("models", words))
    if silent:
        found.append(
            problem(
                "models", f"never recorded here: {listed(silent, 3)}",
                f"let them predict with this storage: export MODELWATCH_STORAGE={shlex.quote(str(patient.folder))}",
            )
        )  # fmt: skip
    return found
