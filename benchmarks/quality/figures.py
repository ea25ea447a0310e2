"""Figures beside their limits, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Figure", "as_json", "table"]


@dataclass(frozen=True)
class Figure:
    """One measured number and what it is held to.

    Attributes
    ----------
    goal : str
        "G1" to "G8"; "" for what is only told.
    what : str
        In words.
    measured : float
        The number; infinite for "never".
    limit : float or None
        What it may be at most, or, where `at_least`, at least; None if it is held to nothing.
    unit : str
        Of both.
    at_least : bool
        Which side of the limit is right.
    of : str
        What it was measured over, such as "40 model-months".
    """

    goal: str
    what: str
    measured: float
    limit: float | None = None
    unit: str = ""
    at_least: bool = False
    of: str = ""

    @property
    def met(self) -> bool:
        """Whether the number is on the right side."""
        if self.limit is None:
            return True
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a table in Markdown."""
    rows = [("goal", "what", "limit", "measured", "", "over")]
    for found in figures:
        sign = "≥" if found.at_least else "≤"
        limit = "" if found.limit is None else f"{sign} {_number(found.limit)}"
        verdict = "" if found.limit is None else "met" if found.met else "MISSED"
        rows.append(
            (found.goal, found.what, limit, f"{_number(found.measured)} {found.unit}".strip(), verdict, found.of)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Return plain values; "never" instead of infinity, which JSON doesn't know."""
    return [{**asdict(f), "measured": "never" if math.isinf(f.measured) else f.measured, "met": f.met} for f in figures]


def _number(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")
