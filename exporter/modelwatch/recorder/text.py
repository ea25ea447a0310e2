"""Label text from anything: bounded, printable, never raising."""

from __future__ import annotations

from collections.abc import Collection

MAX_LENGTH = 200


def label_text(value: object) -> str:
    r"""
    Return `value` as a label value: at most 200 characters, all printable (so neither control nor lone surrogate).

    >>> label_text("a\x00b"), label_text(True), label_text(1)
    ('a\ufffdb', 'True', '1')
    """
    try:
        text = value if type(value) is str else str(value)
    except Exception:  # noqa: BLE001 - the recorder boundary: the __str__ of an arbitrary object may raise anything
        return "__unprintable__"
    if len(text) > MAX_LENGTH:
        text = text[:MAX_LENGTH]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def are_labels(texts: Collection[str]) -> bool:
    r"""
    Return whether `texts` are label values as they are.

    >>> are_labels(("a", "b")), are_labels(("a", "\n"))
    (True, False)
    """
    return all(map(str.isprintable, texts)) and max(map(len, texts), default=0) <= MAX_LENGTH


def id_text(value: object) -> str:
    r"""
    Return a caller's prediction id as text that can be stored; empty if it can't be one.

    >>> id_text(7), id_text("a\ud800"), id_text(None)
    ('7', 'a?', '')
    """
    if value is None:
        return ""
    try:
        text = value if type(value) is str else str(value)
    except Exception:  # noqa: BLE001 - the recorder boundary: the __str__ of an arbitrary object may raise anything
        return ""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
