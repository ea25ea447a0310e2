"""The memory of multivariate drift between checks: one severity, which rises at once and falls as others do.

It falls when in three checks in a row the distance lies within its tolerance in the window that can tell: the shortest
one whose noise is small beside the tolerance, else the longest. Longer windows, which still hold the bad rows, have no
say; after the fall only rows that came later count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwatch.drift.multivariate import Judged
from modelwatch.drift.tracking import CHECKS_TO_CLEAR, HOLD_SECONDS
from modelwatch.policy import Severity

__all__ = ["Remembered", "cleared_at", "remember"]


@dataclass(frozen=True)
class Remembered:
    """What a check says of features together, once earlier checks are taken into account.

    Attributes
    ----------
    severity : Severity
    held : bool
        Whether it stems from earlier checks, as there is nothing to score now.
    scored_at : float or None
        When it was scored last.
    """

    severity: Severity
    held: bool
    scored_at: float | None


def cleared_at(state: Mapping[str, Any] | None, now: float) -> float | None:
    """Return since when rows count, None for all; a time ahead of `now`, as a clock that went back leaves, is now."""
    at = (state or {}).get("cleared_at")
    return None if at is None else min(float(at), now)


def remember(
    previous: Mapping[str, Any] | None,
    found: Sequence[Judged],
    now: float,
    *,
    forget_after: float = 7 * 86400.0,
) -> tuple[Remembered, dict[str, Any]]:
    """Take earlier checks into account.

    Parameters
    ----------
    previous : mapping or None
        The state that the check before this returned; None or empty for the first.
    found : sequence of Judged
        The windows that were scored, ascending.
    now : float
        Seconds since the epoch.
    forget_after : float
        Length of the longest window in seconds: for so long it matters when it was cleared.

    Returns
    -------
    Remembered, dict
        The verdict, and the new state, which is plain JSON.
    """
    before = previous or {}
    severity, clean = int(before.get("severity", 0)), int(before.get("clean", 0))
    scored_at = None if before.get("scored_at") is None else float(before["scored_at"])
    cleared = cleared_at(before, now)
    cleared = None if cleared is None or now - cleared >= forget_after else cleared
    if not found:
        standing = severity if scored_at is not None and now - scored_at <= HOLD_SECONDS else 0
        held = standing >= Severity.WARNING
        state = _state(standing, clean if held else 0, scored_at if held else None, cleared)
        return Remembered(Severity(standing), held, scored_at if held else None), state
    fresh = max(one.test.severity for one in found)
    if severity < Severity.WARNING:
        return Remembered(fresh, False, now), _state(fresh, 0, now, cleared)
    clean = clean + 1 if _is_clear(found) else 0
    if clean < CHECKS_TO_CLEAR:
        return Remembered(Severity(severity), False, now), _state(severity, clean, now, cleared)
    # Nothing is told, not even as info: longer windows still hold the bad rows.
    return Remembered(Severity.NONE, False, now), _state(0, 0, None, now)


def _is_clear(found: Sequence[Judged]) -> bool:
    place = next((i for i, one in enumerate(found) if one.can_tell), len(found) - 1)
    return found[place].is_clear and all(one.test.severity < Severity.WARNING for one in found[: place + 1])


def _state(severity: int, clean: int, scored_at: float | None, cleared: float | None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if severity >= Severity.WARNING:
        out = {"severity": severity, "clean": clean, "scored_at": scored_at}
    return out if cleared is None else out | {"cleared_at": cleared}
