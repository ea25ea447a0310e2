"""A time as a picture: a row for each feature that alarmed, in block characters or as SVG."""

from __future__ import annotations

from datetime import datetime, tzinfo
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.backtest import Timeline
from modelwatch.policy import Severity
from modelwatch.reports.content import visible

__all__ = ["blocks", "drawing"]

COLUMNS = 72
MOST_ROWS = 30
CHARACTERS = {Severity.NONE: "·", Severity.WARNING: "░", Severity.ERROR: "▒", Severity.CRITICAL: "█"}

_LABELS, _WIDTH, _ROW, _TEXT = 190.0, 900.0, 20.0, 7.0


def blocks(timeline: Timeline, zone: tzinfo, name_width: int) -> list[str]:
    """Draw a timeline in block characters: the worst severity of the time that a column stands for.

    Parameters
    ----------
    timeline : Timeline
        Severities by check.
    zone : tzinfo
        In which times are told.
    name_width : int
        Room for names.

    Returns
    -------
    list of str
        Lines.

    Examples
    --------
    >>> from datetime import timezone
    >>> two = Timeline(np.array([0.0, 3600.0, 7200.0, 10800.0]), ("fare",), np.array([[0, 2, 3, 0]]))
    >>> for line in blocks(two, timezone.utc, 12):
    ...     print(line)
      fare  ·░▒·
            1970-01-01 00:00 to 1970-01-01 03:00 UTC
            ░ warning  ▒ error
    """
    names = [_cut(name, name_width) for name in timeline.names[:MOST_ROWS]]
    width = max((len(name) for name in names), default=0)
    columns = _columns(timeline.severity, COLUMNS)
    lines = [
        f"  {name:<{width}}  {''.join(CHARACTERS[Severity(int(value))] for value in row)}"
        for name, row in zip(names, columns, strict=False)
    ]
    more = len(timeline.names) - len(names)
    lines += [f"  and {more} more"] if more > 0 else []
    indent = " " * (width + 4)
    first, last = (_clock(float(timeline.times[place]), zone) for place in (0, -1))
    shown = [s for s in (Severity.WARNING, Severity.ERROR, Severity.CRITICAL) if (columns == int(s)).any()]
    legend = "  ".join(f"{CHARACTERS[severity]} {severity.label}" for severity in shown)
    return [
        *lines,
        f"{indent}{first} to {last} {_zone_name(float(timeline.times[-1]), zone)}".rstrip(),
        f"{indent}{legend}",
    ]


def _columns(severity: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the worst of the checks that share a column."""
    checks = severity.shape[1]
    if checks <= most:
        return severity
    starts = np.arange(most) * checks // most
    return np.asarray(np.maximum.reduceat(severity, starts, axis=1))


def drawing(timeline: Timeline, zone: tzinfo) -> str:
    """Draw a timeline as SVG, with the colours of the page that it stands on.

    Parameters
    ----------
    timeline : Timeline
        Severities by check.
    zone : tzinfo
        In which times are told.

    Returns
    -------
    str
        An ``svg`` element; all texts are escaped.
    """
    names = timeline.names[:MOST_ROWS]
    checks = len(timeline.times)
    step = (_WIDTH - _LABELS) / max(checks, 1)
    parts = []
    for row, name in enumerate(names):
        y = row * _ROW
        parts.append(f'<text x="0" y="{y + 14:.0f}">{escape(_cut(name, int(_LABELS / _TEXT)))}</text>')
        parts.append(f'<path class="axis" d="M{_LABELS:.0f} {y + _ROW - 2:.0f}H{_WIDTH:.0f}"/>')
        for first, last, value in _runs(timeline.severity[row]):
            x, width = _LABELS + first * step, max((last - first) * step, 1.0)
            title = f"{visible(name)}: {Severity(value).label} from {_clock(float(timeline.times[first]), zone)}"
            parts.append(
                f'<rect class="bar {Severity(value).label}" x="{x:.1f}" y="{y + 2:.0f}" width="{width:.1f}"'
                f' height="{_ROW - 6:.0f}"><title>{escape(title)}</title></rect>'
            )
    bottom = len(names) * _ROW
    for place, anchor in ((0, "start"), (checks // 2, "middle"), (checks - 1, "end")):
        x = _LABELS + (_WIDTH - _LABELS) * place / max(checks - 1, 1)
        clock = escape(_clock(float(timeline.times[place]), zone)) if checks else ""
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14:.0f}" text-anchor="{anchor}">{clock}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {bottom + _ROW:.0f}" role="img" aria-label="When which feature was in alarm">'
        f"{''.join(parts)}</svg>"
    )


def _runs(row: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return (first check, check after the last, severity) of each time in alarm."""
    bounds = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    runs = [(first, last, int(row[first])) for first, last in pairwise(bounds) if last > first]
    return [run for run in runs if run[2] > 0]


def _cut(name: str, width: int) -> str:
    text = visible(name)
    return text if len(text) <= width else text[: width - 1] + "…"


def _clock(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M")


def _zone_name(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Z")
