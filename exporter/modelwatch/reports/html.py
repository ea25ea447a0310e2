"""A check as HTML that needs nothing but itself: as a page, and as a fragment that a notebook shows."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from modelwatch.policy import Severity
from modelwatch.reports.content import Content, Entry, visible
from modelwatch.reports.pictures import NARROW, WIDE, distributions

if TYPE_CHECKING:
    import jinja2

__all__ = ["html_fragment", "html_page", "template"]

MOST_DRAWN = 200
"""Features with a picture; the worst come first."""
_MOST_TOLD = 20
"""Drifted features whose bars tell their numbers when pointed at, which is most of what a picture weighs."""


def html_page(content: Content) -> str:
    """Return a check as a page of its own: no script, and nothing from the network.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        A whole document.
    """
    return template("page.html").render(**_shown(content))


def html_fragment(content: Content) -> str:
    """Return a check as a part of a page, whose style touches nothing else there.

    Parameters
    ----------
    content : Content
        What the report says.

    Returns
    -------
    str
        A ``div`` element.
    """
    return template("report.html").render(**_shown(content))


def _shown(content: Content) -> dict[str, object]:
    return {
        "content": content,
        "scored": any(family.tests for _, family in content.families),
        "found": [_entry(entry, WIDE, hover=place < _MOST_TOLD) for place, entry in enumerate(content.found)],
        "others": [_entry(entry, NARROW) for entry in content.entries if entry.severity < content.min_severity],
        "most": MOST_DRAWN,
    }


def _entry(entry: Entry, width: float, *, hover: bool = False) -> dict[str, object]:
    from markupsafe import Markup

    picture = "" if entry.bars is None else distributions(entry.bars, entry.name, width=width, hover=hover)
    return {
        "name": entry.name,
        "severity": "no alarm" if entry.severity is Severity.NONE else entry.severity.label,
        "level": entry.severity.label,
        "words": entry.words,
        "measured": entry.measured or entry.state.replace("_", " "),
        "picture": Markup(picture),  # noqa: S704 - made here, with every text escaped
    }


@lru_cache(maxsize=8)
def template(name: str) -> jinja2.Template:
    """Return one of our templates; jinja2 is loaded when the first is asked for."""
    import jinja2

    loader = jinja2.PackageLoader("modelwatch.reports")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = visible
    environment.filters["visible_lines"] = lambda text: "\n".join(visible(line) for line in text.splitlines())
    return environment.get_template(name)
