"""Numbers, times and names as people read them, and as e-mail headers, HTML and Slack can bear them."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timezone, tzinfo
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from modelwatch.drift.words import number, signed

__all__ = [
    "clean",
    "clock_time",
    "duration",
    "html_text",
    "listing",
    "number",
    "percent",
    "safe_url",
    "shorten",
    "signed",
    "slack_code",
    "slack_text",
    "window_words",
]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(r"^\s*([0-9.]+)\s*(ms|s|m|h|d|w)\s*$")
_UNITS = {"m": "min", "d": "days", "w": "weeks"}


def clean(text: object) -> str:
    r"""Return `text` on one line of printable characters; others appear as escapes.

    Names are validated where they enter. This is the second lock: a line break here would be a forged mail header or
    log line, and a right-to-left override would make a name read as another.

    >>> clean("a\r\nBcc: x")
    'a\\r\\nBcc: x'
    """
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def _escape(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def shorten(text: object, limit: int = 60) -> str:
    """Return `text` cleaned and cut to `limit` characters.

    >>> shorten("abcdefgh", 5)
    'abcd…'
    """
    line = clean(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def html_text(text: object) -> str:
    """Return `text` cleaned and escaped for HTML, attribute values included."""
    return html.escape(clean(text), quote=True)


def slack_text(text: object) -> str:
    """Return `text` cleaned and escaped for Slack, which gives meaning to ``&``, ``<`` and ``>`` only.

    >>> slack_text("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack_code(text: object) -> str:
    """Return `text` in a Slack code span, where stars and underscores of a name mean nothing."""
    return f"`{slack_text(text).replace('`', 'ˋ')}`"


def safe_url(url: str | None) -> str:
    """Return `url` if it is an absolute http(s) address, made safe for HTML and Slack links; else ``""``.

    >>> safe_url("javascript:alert(1)"), safe_url("https://grafana.example.com/d/1?a=b|c")
    ('', 'https://grafana.example.com/d/1?a=b%7Cc')
    """
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    return quote(url, safe=":/?#[]@!$&()*+,;=%~-._", errors="replace")


def percent(ratio: float) -> str:
    """Return a share as a percentage that never rounds "some" to none, nor "nearly all" to all.

    >>> percent(0.61), percent(0.0), percent(0.00003), percent(0.0123), percent(0.9999)
    ('61 %', '0 %', '<0.01 %', '1.2 %', '>99.9 %')
    """
    value = ratio * 100
    if not math.isfinite(value):
        return "unknown"
    if 0 < value < 0.01:
        return "<0.01 %"
    if 99.95 <= value < 100:
        return ">99.9 %"
    places = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2
    text = f"{value:.{places}f}"
    if text == "100" and value < 100:
        text = f"{value:.1f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units.

    >>> duration(42), duration(3 * 3600 + 300), duration(7200), duration(90000), duration(0.25)
    ('42 s', '3 h 5 min', '2 h', '1 day 1 h', '0.25 s')
    """
    if seconds < 10:
        return f"{number(max(seconds, 0.0))} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 600:
        return _two(total // 60, "min", total % 60, "s")
    minutes = round(total / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(total / 3600)
    if hours < 14 * 24:
        return _two(hours // 24, "day" if hours < 48 else "days", hours % 24, "h")
    return f"{round(total / 86400)} days"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def window_words(label: str) -> str:
    """Return the label of a window with its unit set apart.

    >>> window_words("1h"), window_words("5m"), window_words("168h")
    ('1 h', '5 min', '168 h')
    """
    match = _WINDOW.match(label)
    return f"{match[1]} {_UNITS.get(match[2], match[2])}" if match else clean(label)


def clock_time(moment: float, now: float, zone: str | None = None) -> str:
    """Return a moment in local time with the zone's abbreviation; the date too unless it is today.

    Parameters
    ----------
    moment, now : float
        Unix seconds.
    zone : str or None
        IANA name; None is the zone of this machine.

    >>> clock_time(1795504200, 1795504800, "America/New_York"), clock_time(1795504200, 1795594200, "Europe/Berlin")
    ('02:10 EST', 'Tue 24 Nov 08:10 CET')
    """
    where: tzinfo | None = ZoneInfo(zone) if zone else None
    then = datetime.fromtimestamp(moment, timezone.utc).astimezone(where)
    today = datetime.fromtimestamp(now, timezone.utc).astimezone(where)
    abbreviation = then.tzname() or ""
    if abbreviation[:1] in "+-":
        abbreviation = f"UTC{abbreviation}"
    time = f"{then.hour:02}:{then.minute:02} {abbreviation}"
    if then.date() == today.date():
        return time
    year = f" {then.year}" if then.year != today.year else ""
    return f"{_DAYS[then.weekday()]} {then.day} {_MONTHS[then.month - 1]}{year} {time}"


def listing(names: Sequence[object], limit: int = 5) -> str:
    """Return at most `limit` names, then how many more there are.

    >>> listing(["a", "b", "c"], 2)
    'a, b, +1 more'
    """
    shown = ", ".join(shorten(name, 40) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown}, +{len(names) - limit} more"
