"""Cells, shares and shifts in words, for summaries and alert texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from modelwatch.conventions import INVALID_REASONS
from modelwatch.records import FeatureCells, FeatureShift, FurtherScore

__all__ = ["cell_labels", "count_words", "further_words", "number", "plain_number", "share", "shift_words", "signed"]

_MIN_SHIFT_SD = 0.05
_TELLING_SHIFT_SD = 0.25
_MIN_CHANGE = 0.005
"""A share that moved by less than half a percentage point is not told."""
_MOSTLY = 0.9
_MIN_TAIL_CHANGE = 0.02
_TAIL_BEATS_CELL = 1.5
"""A tail is told if its share changed by so much more than that of any one cell; else that cell is what changed."""
_TIMES = ((3.0, "tripled"), (2.0, "doubled"), (0.5, "halved"))
_NEARLY = 0.1
_METHOD_NAMES: Mapping[str, str] = MappingProxyType({
    "psi": "PSI", "chi_square": "chi-square", "cramers_v": "Cramér's V", "hellinger": "Hellinger distance",
    "total_variation": "total variation", "kl": "KL divergence", "ks": "KS distance",
    "wasserstein": "Wasserstein distance",
})  # fmt: skip


def plain_number(value: float) -> str:
    """Return a number as people write it: four figures, no exponent where it can be avoided.

    >>> [plain_number(v) for v in (4983.0, 0.123456, 1234567.8, -2.50, 3e20)]
    ['4983', '0.1235', '1234568', '-2.5', '3e+20']
    """
    if abs(value) >= 1e15 or value != value:
        return f"{value:.4g}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def number(value: float) -> str:
    """Return `value` with three significant digits and spaces between thousands.

    >>> number(41183), number(0.0814), number(2), number(1234567), number(-3.14159)
    ('41 200', '0.0814', '2', '1 230 000', '-3.14')
    """
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-6:
        return f"{value:.2e}"
    places = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    text = f"{rounded:,.{max(places, 0)}f}".replace(",", " ")
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: float) -> str:
    """Return :func:`number` with two significant places after the sign, which is always written.

    >>> signed(0.614), signed(-3.1)
    ('+0.61', '-3.1')
    """
    places = 2 if abs(value) < 1 else 1
    return f"{value:+.{places}f}" if abs(value) < 100 else f"{'+' if value > 0 else ''}{number(value)}"


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


def shift_words(shift: FeatureShift, test: str = "", *, briefly: bool = False) -> str:
    """Say how a feature moved.

    Parameters
    ----------
    shift : FeatureShift
        Its numbers.
    test : str
        The test that found it: what it is about is told even where it moved little.
    briefly : bool
        Leave out that there was none of something before.

    Returns
    -------
    str
        For example ``mean +0.61 sd, share above 1 600 doubled``; "" if there is nothing to tell.

    Examples
    --------
    >>> moved = FeatureShift("carrier", "1h", None, 0.0, 0.0, 0.18, 0.0, 0.0, 0.0, 1.0)
    >>> shift_words(moved, "novel")
    '18 % unseen values (was 0 %)'
    >>> shift_words(moved, "novel", briefly=True)
    '18 % unseen values'
    >>> moved = FeatureShift("km", "1h", 0.61, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, tail=("above", 1597.0, 0.14, 0.28))
    >>> shift_words(moved, "shape")
    'mean +0.61 sd, share above 1 600 doubled'
    """
    parts = []
    moved = abs(shift.shift_sd or 0.0)
    was_missing, was_novel = (
        "" if briefly and before <= 0.0 else f" (was {share(before)})"
        for before in (shift.missing_reference, shift.novel_reference)
    )
    if shift.shift_sd is not None and moved >= _MIN_SHIFT_SD:
        parts.append(f"mean {signed(shift.shift_sd)} sd")
    if test == "novel" or abs(shift.novel_ratio - shift.novel_reference) >= _MIN_CHANGE:
        parts.append(_novel_words(shift) + was_novel)
    if test == "missing" or abs(shift.missing_ratio - shift.missing_reference) >= _MIN_CHANGE:
        parts.append(f"{share(shift.missing_ratio)} missing{was_missing}")
    tail = _tail_words(shift) if test == "shape" else ""
    if tail:
        parts.append(tail)
    elif not parts or (test == "shape" and (moved < _TELLING_SHIFT_SD or shift.tail is not None)):
        parts += _cell_words(shift.changed[:2])
    return ", ".join(parts)


def further_words(further: Iterable[FurtherScore], feature: str) -> str:
    """Say which fixed thresholds a feature is beyond, each in the window where it is furthest.

    >>> found = [FurtherScore("psi", "km", "1h", 0.31, 0.2), FurtherScore("ks", "km", "1h", 0.1)]
    >>> further_words(found, "km")
    'PSI 0.31, fixed threshold 0.2'
    """
    worst: dict[str, FurtherScore] = {}
    for one in further:
        if one.feature == feature and one.limit is not None and one.score > one.limit:
            worst[one.method] = max(worst.get(one.method, one), one, key=lambda found: found.score)
    return ", ".join(
        f"{_METHOD_NAMES.get(method, method)} {number(one.score)}, fixed threshold {number(one.limit or 0.0)}"
        for method, one in worst.items()
    )


def _novel_words(shift: FeatureShift) -> str:
    # Only numbers have a mean, an edge, or values on either side of a range.
    if shift.shift_sd is None and shift.tail is None and shift.below_ratio == shift.above_ratio == 0.0:
        return f"{share(shift.novel_ratio)} unseen values"
    for side, ratio in (("above", shift.above_ratio), ("below", shift.below_ratio)):
        if ratio >= _MOSTLY * shift.novel_ratio > 0.0:
            return f"{share(shift.novel_ratio)} {side} the reference range"
    return f"{share(shift.novel_ratio)} outside the reference range"


def _tail_words(shift: FeatureShift) -> str:
    """Say what became of a tail, if what changed is a tail: neither a cell of it, nor what lies out of range."""
    if shift.tail is None:
        return ""
    side, edge, before, now = shift.tail
    change = abs(now - before)
    cell = max((abs(then - was) for _, was, then in shift.changed), default=0.0)
    elsewhere = abs(shift.novel_ratio - shift.novel_reference)
    if change < max(_MIN_TAIL_CHANGE, _TAIL_BEATS_CELL * cell, 2.0 * elsewhere):
        return ""
    what = f"share {side} {number(edge)}"
    for times, word in _TIMES:
        if abs(now - times * before) <= _NEARLY * times * before:
            return f"{what} {word}"
    return f"{what}: {share(before)} → {share(now)}"


def _cell_words(changed: Sequence[tuple[str, float, float]]) -> list[str]:
    return [f"{label}: {share(before)} → {share(now)}" for label, before, now in changed]
