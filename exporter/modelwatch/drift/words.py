"""Cells, shares and shifts in words, for summaries and alert texts."""

from __future__ import annotations

from collections.abc import Sequence

from modelwatch.conventions import INVALID_REASONS
from modelwatch.records import FeatureCells, FeatureShift

__all__ = ["cell_labels", "count_words", "plain_number", "share", "shift_words"]

_MIN_SHIFT_SD = 0.05
_TELLING_SHIFT_SD = 0.25
_MIN_CHANGE = 0.005
"""A share that moved by less than half a percentage point is not told."""
_MOSTLY = 0.9


def plain_number(value: float) -> str:
    """Return a number as people write it: four figures, no exponent where it can be avoided.

    >>> [plain_number(v) for v in (4983.0, 0.123456, 1234567.8, -2.50, 3e20)]
    ['4983', '0.1235', '1234568', '-2.5', '3e+20']
    """
    if abs(value) >= 1e15 or value != value:
        return f"{value:.4g}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def share(ratio: float) -> str:
    """Return a share in per cent.

    >>> share(0.308), share(0.0123), share(0.0), share(0.0004), share(1.0)
    ('31 %', '1.2 %', '0 %', '< 0.1 %', '100 %')
    """
    percent = 100.0 * ratio
    if 0.0 < percent < 0.1:
        return "< 0.1 %"
    text = f"{percent:.1f}".removesuffix(".0") if percent < 9.95 else f"{percent:.0f}"
    return f"{text} %"


def count_words(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> count_words(1, "input"), count_words(3, "input")
    ('1 input', '3 inputs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def cell_labels(cells: FeatureCells) -> tuple[str, ...]:
    """Return what each cell of a feature holds, tail cells included.

    >>> cell_labels(FeatureCells("km", "numeric", minimum=17.0, edges=(500.0, 4983.0)))[:4]
    ('17 to 500', '500 to 4983', 'below 17', 'above 4983')
    >>> cell_labels(FeatureCells("carrier", "categorical", categories=("UA", "AA")))[:5]
    ('UA', 'AA', 'other', 'unseen', '')
    """
    invalid = tuple(f"invalid ({reason})" for reason in INVALID_REASONS)
    if cells.kind == "categorical":
        return (*cells.categories, "other", "unseen", "", "missing", *invalid)
    bounds = [cells.minimum, *cells.edges]
    bins = [_between(low, high) for low, high in zip(bounds, cells.edges, strict=False)]
    return (*bins, f"below {plain_number(bounds[0])}", f"above {plain_number(bounds[-1])}", "missing", *invalid)


def _between(low: float, high: float) -> str:
    first, second = plain_number(low), plain_number(high)
    return first if first == second else f"{first} to {second}"


def shift_words(shift: FeatureShift, numeric: bool, test: str = "") -> str:
    """Say how a feature moved.

    Parameters
    ----------
    shift : FeatureShift
        Its numbers.
    numeric : bool
        Whether its novel values lie outside a range, rather than being categories never seen.
    test : str
        The test that found it: what it is about is told even where it moved little.

    Returns
    -------
    str
        For example ``mean +0.9 sd, 31 % above the reference range``; "" if there is nothing to tell.

    Examples
    --------
    >>> moved = FeatureShift("carrier", "1h", None, 0.0, 0.0, 0.18, 0.0, 0.18, 0.0, 1.0)
    >>> shift_words(moved, numeric=False)
    '18 % unseen values'
    """
    parts = []
    if shift.shift_sd is not None and abs(shift.shift_sd) >= _MIN_SHIFT_SD:
        parts.append(f"mean {shift.shift_sd:+.{1 if abs(shift.shift_sd) >= _TELLING_SHIFT_SD else 2}f} sd")
    if test == "novel" or abs(shift.novel_ratio - shift.novel_reference) >= _MIN_CHANGE:
        parts.append(_novel_words(shift, numeric))
    if test == "missing" or abs(shift.missing_ratio - shift.missing_reference) >= _MIN_CHANGE:
        parts.append(f"{share(shift.missing_ratio)} missing{_was(shift.missing_reference)}")
    if not parts or (test == "shape" and abs(shift.shift_sd or 0.0) < _TELLING_SHIFT_SD):
        parts += _cell_words(shift.changed[:2])
    return ", ".join(parts)


def _novel_words(shift: FeatureShift, numeric: bool) -> str:
    was = _was(shift.novel_reference)
    if not numeric:
        return f"{share(shift.novel_ratio)} unseen values{was}"
    for side, ratio in (("above", shift.above_ratio), ("below", shift.below_ratio)):
        if ratio >= _MOSTLY * shift.novel_ratio > 0.0:
            return f"{share(shift.novel_ratio)} {side} the reference range{was}"
    return f"{share(shift.novel_ratio)} outside the reference range{was}"


def _was(before: float) -> str:
    return f" (was {share(before)})" if before > 0.0 else ""


def _cell_words(changed: Sequence[tuple[str, float, float]]) -> list[str]:
    return [f"{label} {share(before)} → {share(now)}" for label, before, now in changed]
