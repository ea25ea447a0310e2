"""Plain tables: the same text in a terminal, in a pipe and in a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["listed", "table", "write"]

_WIDEST = 72


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "  ") -> list[str]:
    """Return lines with aligned columns; a cell that is too long is cut, but for those of the last column.

    >>> for line in table(["model", "told"], [["a", "log"], ["abc", "log, email"]]):
    ...     print(line)
      model  told
      a      log
      abc    log, email
    """
    cut = [[*(_cut(cell) for cell in row[:-1]), row[-1]] for row in [header, *rows]]
    widths = [max(len(row[place]) for row in cut) for place in range(len(header))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in cut
    ]


def write(text: str) -> None:
    """Write lines to standard output; a terminal without UTF-8 gets question marks, not a traceback."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write((text + "\n").encode(encoding, errors="replace").decode(encoding))


def listed(names: Sequence[str], limit: int) -> str:
    """Return names in a row, at most `limit` of them.

    >>> listed(["a", "b", "c"], 2), listed([], 2)
    ('a, b and 1 more', '')
    """
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else cell[: _WIDEST - 1] + "…"
