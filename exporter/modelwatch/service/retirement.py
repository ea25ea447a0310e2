"""Retiring a model: it is watched no more, its alerts end, what was recorded stays until its retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import StorageError, UnknownModelError, did_you_mean
from modelwatch.service.times import iso

if TYPE_CHECKING:
    from modelwatch.service.parts import Parts
    from modelwatch.store import StoreWriter


def retire_model(parts: Parts, model_id: object, now: float) -> dict[str, Any]:
    """
    Retire a model of this storage, whichever process registered it.

    Raises
    ------
    UnknownModelError
        If no process registered such a model.
    StorageError
        If nothing is stored, so that nobody else would learn of it.
    """
    if parts.store is None or parts.jobs is None:
        msg = f"nothing is stored ({parts.storage_problem}): a model can't be retired"
        raise StorageError(msg)
    parts.registrar.save_waiting()
    name = _known(parts.store, model_id)
    before = parts.store.retired_models().get(name)
    if before is None:
        parts.store.retire_model(name, now)
        parts.follower.now()
    parts.jobs.close_retired(now)
    answer = {"status": "success", "model_id": name, "retired_at": iso(now if before is None else before)}
    return answer | ({} if before is None else {"warnings": [f"{name!r} is retired already"]})


def _known(store: StoreWriter, model_id: object) -> str:
    known = sorted({model.model_id for model in store.models()})
    if isinstance(model_id, str) and model_id in known:
        return model_id
    text = str(model_id)[:200]
    listed = ", ".join(repr(k) for k in known[:10]) or "none"
    msg = f"no model {text!r} is registered{did_you_mean(text, known)}; registered: {listed}"
    raise UnknownModelError(msg)
