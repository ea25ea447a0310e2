"""Which windows can be scored, and in words why the others can't."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelwatch.records import WindowCounts

__all__ = ["Readiness", "in_unit_of", "ready_windows"]

_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


@dataclass(frozen=True)
class Readiness:
    """The windows of one check, sorted out.

    Attributes
    ----------
    scored : tuple of WindowCounts
        Those that the rule looks at.
    watched : tuple of WindowCounts
        Shorter ones than any scored window, looked at for gross changes of missing and novel values only.
    state : str
        What to say if nothing is scored: "warming_up" or "insufficient_data".
    reason : str
        Why windows are left out, as a phrase; "" if none is.
    """

    scored: tuple[WindowCounts, ...]
    watched: tuple[WindowCounts, ...]
    state: str
    reason: str


def ready_windows(
    windows: Sequence[WindowCounts],
    min_rows: float,
    *,
    seconds: dict[str, float],
    candidates: Collection[str] | None = None,
    only_full: bool = True,
) -> Readiness:
    """Sort out which windows can be scored.

    Parameters
    ----------
    windows : sequence of WindowCounts
        Ascending by length.
    min_rows : float
        What a window needs.
    seconds : dict
        Length of each window by its label.
    candidates : collection of str or None
        Labels of the windows that the rule looks at; None for all.
    only_full : bool
        Whether a window counts only once recording has gone on for its whole length: so without strata, because the
        mix of hours in a part of a day is not that of the reference.

    Returns
    -------
    Readiness

    Examples
    --------
    >>> import numpy as np
    >>> window = WindowCounts("10s", 96.0, 100.0, 900.0, np.zeros(9), full=False)
    >>> ready_windows([window], 50, seconds={"10s": 10.0}).reason
    '10s window: 4 s of 10 s so far'
    """
    chosen = [w for w in windows if candidates is None or w.window in candidates]
    young = [w for w in chosen if only_full and not w.full]
    small = [w for w in chosen if (w.full or not only_full) and w.rows < min_rows]
    scored = tuple(w for w in chosen if (w.full or not only_full) and w.rows >= min_rows)
    shortest = seconds[chosen[0].window] if chosen else 0.0
    watched = tuple(w for w in windows if w.full and w.rows >= min_rows and seconds[w.window] < shortest)
    phrases = [_so_far(w, seconds[w.window]) for w in young]
    if scored or young:
        phrases += [f"{w.window} window: {_needs(w, min_rows)}" for w in small]
    elif small:
        phrases = [_needs(small[-1], min_rows)]
    return Readiness(scored, watched, "warming_up" if young else "insufficient_data", "; ".join(phrases))


def in_unit_of(whole: float, seconds: float) -> str:
    """Return a duration in whole numbers of the unit that suits `whole`: seconds, minutes, hours or days.

    >>> in_unit_of(86400.0, 11000.0), in_unit_of(604800.0, 604800.0), in_unit_of(2.5, 1.0)
    ('3 h', '7 days', '1 s')
    """
    size, unit = next((size, unit) for least, size, unit in _UNITS if whole >= least)
    amount = seconds / size
    return f"{amount:.2g} {unit}" if amount < 10 and amount != int(amount) and whole < 10 else f"{int(amount)} {unit}"


def _so_far(window: WindowCounts, length: float) -> str:
    passed = min(max(window.end - window.start, 0.0), length)
    return f"{window.window} window: {in_unit_of(length, passed)} of {in_unit_of(length, length)} so far"


def _needs(window: WindowCounts, min_rows: float) -> str:
    return f"needs {min_rows:.0f} rows, has {window.rows:.0f}"
