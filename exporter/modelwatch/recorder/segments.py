"""Segments: a partition of a model's rows by what the caller says, or by metadata.

Each row that is looked at is in exactly one segment, so that a sum over segments is the total. Where nobody said one it
is "". What a segment is called is text of at most 200 characters, like any label value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwatch.profile.values import is_missing, read_category
from modelwatch.recorder.text import label_text
from modelwatch.records import MISSING, IntArray

__all__ = [
    "MAX_SEGMENTS",
    "SEGMENT_ALL",
    "SEGMENT_KEY",
    "Segmented",
    "Split",
    "as_dict",
    "row_segments",
    "with_segment",
]

MAX_SEGMENTS = 20
"""Segments of one model that are told apart; rows of further ones are counted as "__other__"."""
SEGMENT_ALL = ""
"""The segment of rows that are in none, and of whatever is not counted by segment."""
SEGMENT_KEY = "segment"
"""Under which key of the metadata a segment given with the call is stored."""


class Segmented(dict[Any, Any]):
    """
    Metadata whose "segment" was given with the call; a copy already, and known by its type alone.

    `rest` is metadata that was given beside it and is no dict.
    """

    __slots__ = ("rest",)

    rest: Any


def with_segment(metadata: Any, segment: Any) -> Any:  # noqa: ANN401 - metadata and segments may be anything
    """
    Return metadata with the segment that was given with the call; never raises.

    >>> with_segment({"user": 7}, "web"), with_segment({"segment": "own"}, "web"), with_segment(None, None)
    ({'user': 7, 'segment': 'web'}, {'segment': 'web'}, None)
    """
    if segment is None:
        return metadata
    out, rest = Segmented(), metadata
    if issubclass(type(metadata), dict):  # isinstance() would ask the value itself
        try:
            out.update(metadata)
            rest = None
        except Exception:  # noqa: BLE001 - the recorder boundary: a dict of a stranger's may refuse to be read
            out.clear()
    out[SEGMENT_KEY], out.rest = segment, rest
    return out


def as_dict(metadata: Any) -> dict[Any, Any] | None:  # noqa: ANN401 - metadata may be anything
    """Return metadata as a plain dict; None where there are none, or they can't be read as one."""
    if type(metadata) is dict:
        return metadata
    try:
        if type(metadata) is Segmented and metadata.rest is not None:
            rest = as_dict(metadata.rest)
            return None if rest is None else {**rest, **metadata}
        return dict(metadata) if isinstance(metadata, Mapping) else None
    except Exception:  # noqa: BLE001 - the recorder boundary: an arbitrary mapping may raise anything
        return None


def text_of(value: Any) -> str:  # noqa: ANN401 - a segment may be anything
    """
    Return what a segment is called: whole numbers alike whatever their type, "" for a missing value.

    >>> text_of("web"), text_of(7.0), text_of(True), text_of(None), text_of(float("nan"))
    ('web', '7', 'True', '', '')
    """
    text, cell = read_category(value)
    if text is None:
        return SEGMENT_ALL if cell == MISSING else label_text(value)
    return label_text(text)


def joined(texts: Sequence[str]) -> str:
    r"""
    Return the segment of several keys' texts: side by side with a slash; "" if all are. A slash within one is `\/`.

    >>> joined(["de", "web"]), joined(["de", ""]), joined(["", ""]), joined(["a/b", "c"])
    ('de/web', 'de/', '', 'a\\/b/c')
    """
    if len(texts) == 1 or not any(texts):
        return texts[0]
    return label_text("/".join(text.replace("\\", "\\\\").replace("/", "\\/") for text in texts))


def row_segments(keys: Sequence[str], metadata: Sequence[Any], given: Sequence[Any] | None = None) -> list[str] | None:
    """
    Return the segment of each row; None if nobody named any, which costs next to nothing.

    Parameters
    ----------
    keys
        Keys of the metadata whose values make the segment.
    metadata
        One per row.
    given
        Segments that were given with the call, one per row, where these don't stand in the metadata.

    >>> row_segments(("country",), [{"country": "de"}, None, with_segment({"country": "de"}, "web")])
    ['de', '', 'web']
    """
    own = Segmented in set(map(type, metadata))
    if not keys and not own and given is None:
        return None
    found = _from_metadata(metadata, keys) if keys else [SEGMENT_ALL] * len(metadata)
    if given is None and not own:
        return found
    named = [None] * len(metadata) if given is None else given
    if own:
        named = [m[SEGMENT_KEY] if type(m) is Segmented else n for m, n in zip(metadata, named, strict=True)]
    if set(map(type, named)) == {str}:
        return _texts(named)
    return [text if is_missing(name) else text_of(name) for name, text in zip(named, found, strict=True)]


def _from_metadata(metadata: Sequence[Any], keys: Sequence[str]) -> list[str]:
    read = metadata if set(map(type, metadata)) == {dict} else [as_dict(m) or {} for m in metadata]
    columns = [_texts([row.get(key) for row in read]) for key in keys]
    return columns[0] if len(keys) == 1 else _joined_rows(list(zip(*columns, strict=True)))


def _joined_rows(rows: list[tuple[str, ...]]) -> list[str]:
    texts = {row: joined(row) for row in set(rows)}
    return list(map(texts.__getitem__, rows))


def _texts(values: Sequence[Any]) -> list[str]:
    """Return what each value is called; of texts, of which there are mostly few, each one is read once."""
    if set(map(type, values)) != {str}:
        return list(map(text_of, values))
    texts = {value: label_text(value) for value in set(values)}
    return list(map(texts.__getitem__, values))


@dataclass(frozen=True)
class Split:
    """Rows by segment: what the segments are called, and the place of each row's own among them, shape (n,)."""

    names: tuple[str, ...]
    places: IntArray

    @classmethod
    def of(cls, texts: Sequence[str], shown: Mapping[str, str]) -> Split:
        """
        Divide rows by their segments' texts, each counted as what `shown` says.

        >>> Split.of(["b", "a", "c"], {"a": "a", "b": "__other__", "c": "__other__"}).names
        ('__other__', 'a')
        """
        names = tuple(dict.fromkeys(map(shown.__getitem__, dict.fromkeys(texts))))
        place = {name: number for number, name in enumerate(names)}
        places = {text: place[name] for text, name in shown.items() if name in place}
        return cls(names, np.fromiter(map(places.__getitem__, texts), np.int64, count=len(texts)))
