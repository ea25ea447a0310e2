"""Pictures as inline SVG. Colours are those of the page that they stand on (reports/templates/report.html)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from modelwatch.drift.words import share
from modelwatch.reports.bars import Bars
from modelwatch.reports.content import visible

__all__ = ["distributions"]

WIDE, NARROW = 360.0, 220.0
HEIGHT, FOOT, GAP = 96.0, 16.0, 8.0
_WIDEST, _SPECIAL = 48.0, 42.0
_LABEL = 6.2
"""Room that a character of a label takes."""
_LONGEST, _SHORT = 18, 3


def distributions(bars: Bars, name: str, *, width: float = WIDE, hover: bool = False) -> str:
    """Draw the reference as an area and what is compared with it as a line over it.

    Parameters
    ----------
    bars : Bars
        Shares on both sides, to one scale.
    name : str
        What is drawn, for those who can't see it.
    width : float
        Of the drawing, in the units in which a label is 11 high.
    hover : bool
        Whether each bar tells its numbers when pointed at; it takes about a hundred bytes a bar.

    Returns
    -------
    str
        An ``svg`` element; all texts are escaped.
    """
    places = _places(bars, width)
    top = max(*bars.reference, *bars.current, 1e-300)
    parts = [_area(places, bars, top), _line(places, bars, top), *_labels(places, bars)]
    if hover:
        parts += _tips(places, bars)
    title = f"{visible(name)}: shares of rows, reference and now"
    return (
        f'<svg viewBox="0 0 {width:.0f} {HEIGHT + FOOT:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _places(bars: Bars, width: float) -> list[tuple[float, float]]:
    """Return left and right of each bar; what is no ordinary value stands apart, with room for its name."""
    special = len(bars.labels) - bars.regular
    room = width - (_SPECIAL + GAP) * special
    # Of few bars none is so wide that it hides how few there are.
    step = min(room / max(bars.regular, 1), _WIDEST)
    regular = [(step * place, step * (place + 1)) for place in range(bars.regular)]
    start = step * bars.regular + GAP
    return regular + [(x, x + _SPECIAL) for x in (start + (_SPECIAL + GAP) * place for place in range(special))]


def _y(value: float, top: float) -> str:
    return _number(HEIGHT - value / top * (HEIGHT - 4.0))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _area(places: Sequence[tuple[float, float]], bars: Bars, top: float) -> str:
    steps = [
        f"M{_number(left)} {_number(HEIGHT)}V{_y(value, top)}H{_number(right)}V{_number(HEIGHT)}Z"
        for (left, right), value in zip(places, bars.reference, strict=True)
        if value > 0
    ]
    return f'<path class="before" d="{"".join(steps)}"/>' if steps else ""


def _line(places: Sequence[tuple[float, float]], bars: Bars, top: float) -> str:
    """Draw steps, which hang together where bars touch each other."""
    parts, end = [], None
    for (left, right), value in zip(places, bars.current, strict=True):
        start = f"V{_y(value, top)}" if end == left else f"M{_number(left)} {_number(HEIGHT)}V{_y(value, top)}"
        if end is not None and end != left:
            start = f"V{_number(HEIGHT)}{start}"
        parts.append(f"{start}H{_number(right)}")
        end = right
    parts.append(f"V{_number(HEIGHT)}")
    return f'<path class="now" d="{"".join(parts)}"/>'


def _labels(places: Sequence[tuple[float, float]], bars: Bars) -> list[str]:
    """Name what there is room for: the ends of a range, categories, and what is no ordinary value."""
    base = HEIGHT + FOOT - 4.0
    out = [f'<path class="axis" d="M0 {_number(HEIGHT)}H{_number(places[-1][1])}"/>'] if places else []
    regular = places[: bars.regular]
    if bars.numeric and regular:
        low, high = bars.labels[0].partition(" to ")[0], bars.labels[bars.regular - 1].rpartition(" to ")[2]
        out.append(_text(0.0, base, low, "start"))
        if len(regular) > 1:
            out.append(_text(regular[-1][1], base, high, "end"))
    end = -_LABEL
    for place in range(0 if not bars.numeric else bars.regular, len(places)):
        left, right = places[place]
        room = int((right - left + (GAP if place >= bars.regular else 0.0)) / _LABEL)
        if room < 3 and len(bars.labels[place]) > _SHORT:
            continue
        text = _cut(bars.labels[place], max(room, _SHORT))
        middle, half = (left + right) / 2, len(text) * _LABEL / 2
        if place >= bars.regular or middle - half >= end + _LABEL / 2:  # of short names of narrow bars, every other one
            out.append(_text(middle, base, text, "middle"))
            end = middle + half
    return out


def _cut(label: str, room: int) -> str:
    text = visible(label)
    room = min(room, _LONGEST)
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}…"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _tips(places: Sequence[tuple[float, float]], bars: Bars) -> list[str]:
    return [
        f'<rect class="tip" x="{_number(left)}" y="0" width="{_number(right - left)}" height="{_number(HEIGHT)}">'
        f"<title>{escape(visible(label))}: {share(before)} → {share(now)}</title></rect>"
        for (left, right), label, before, now in zip(places, bars.labels, bars.reference, bars.current, strict=True)
    ]
