"""A check as text for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modelwatch.reports.bars import Bars
from modelwatch.reports.content import Content, Entry, visible

__all__ = ["json_report", "spark", "text_report"]

MOST_LISTED = 40
_BARS = " ▁▂▃▄▅▆▇█"
_NAME_WIDTH = 32


def text_report(content: Content) -> str:
    """Return a check as text: a verdict, what drifted and how, what else is to be known.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        Lines, the last one without its end.
    """
    of = f" · {visible(content.subject)}" if content.model_id else ""
    summary = content.summary.removeprefix(f"{_heading(content)}: ")
    lines = [f"{_heading(content)}{of}: {visible(summary)}"]
    lines += [f"  {what}: {visible(text)}" for what, text in content.sources]
    lines.append(f"  {content.size}")
    if content.found:
        lines += ["", *_table(content.found[:MOST_LISTED])]
        more = len(content.found) - MOST_LISTED
        lines += [f"  and {more} more"] if more > 0 else []
    lines += [f"  {visible(note)}" for note in content.notes]
    return "\n".join(lines)


def json_report(content: Content) -> str:
    """Return a check as JSON, the same text for the same check.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        What ``monitor_model_drift`` returns, with rows, reference, and whether anything of `min_severity` was found.
    """
    return json.dumps(content.data, indent=2, ensure_ascii=False, allow_nan=False)


def _heading(content: Content) -> str:
    if content.drifted:
        return f"DRIFT ({content.severity.label})"
    return "no drift" if any(family.tests for _, family in content.families) else "not scored"


def _table(entries: Sequence[Entry]) -> list[str]:
    names = [_cut(visible(entry.name)) for entry in entries]
    width, wide = max(map(len, names)), max(len(entry.measured) for entry in entries)
    lines = []
    for name, entry in zip(names, entries, strict=True):
        lines.append(f"  {entry.severity.label:<8}  {name:<{width}}  {entry.measured:<{wide}}".rstrip())
        if entry.words:
            lines.append(f"            {visible(entry.words)}")
        if entry.bars is not None:
            before, now = spark(entry.bars)
            lines.append(f"            reference {before}  now {now}")
    return lines


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…"


def spark(bars: Bars) -> tuple[str, str]:
    """Return both distributions in block characters, to one scale; what is no ordinary value stands behind a bar.

    >>> spark(Bars(("a", "b", "missing"), (0.6, 0.4, 0.0), (0.3, 0.2, 0.5), 2, numeric=False))
    ('█▅│ ', '▄▃│▇')
    """
    top = max(*bars.reference, *bars.current, 1e-300)
    return _blocks(bars, bars.reference, top), _blocks(bars, bars.current, top)


def _blocks(bars: Bars, shares: Sequence[float], top: float) -> str:
    # Whatever is there at all is seen.
    texts = [_BARS[max(round(share / top * (len(_BARS) - 1)), int(share > 0))] for share in shares]
    special = "".join(texts[bars.regular :])
    return "".join(texts[: bars.regular]) + (f"│{special}" if special else "")
