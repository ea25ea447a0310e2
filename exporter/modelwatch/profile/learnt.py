"""What production teaches of a reference that knows nothing of hours: offsets by stratum, and natural variation.

Both are taken around production's own mean. Where production as a whole differs from the reference, nothing is learnt
of that: a difference between training and serving is no season, and goes on to show (drift.md 2.4).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.natural import learn_natural
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.strata import Strata, StrataKind
from modelwatch.records import CellLayout, FloatArray

__all__ = ["WHOLE", "Learnt", "OffsetStrata", "Part", "segment_taught", "taught"]

WHOLE = ""
"""The part that is the whole model; others are its segments."""
_KIND: StrataKind = "48"
FIRST_HOURS, FIRST_ROWS = 24, 1000
"""From so many hours with so many rows on it is known what a segment is like at all."""
_PSEUDO_COUNT = 1.0
"""Rows that a cell's offset is drawn to 1 by: of a cell that hardly ever occurs, nobody knows when it does."""


@dataclass(frozen=True, eq=False)
class OffsetStrata(Strata):
    """A reference as a whole, with the offsets that production shows between its hours.

    Attributes
    ----------
    counts : ndarray of int, shape (strata, layout.size)
        Those of production.
    reference : ndarray, shape (layout.size,)
        The whole reference.
    """

    reference: FloatArray

    def matched(self, layout: CellLayout, rows: FloatArray) -> FloatArray:
        """Return the reference as it would be with the traffic of a window.

        Each cell's share is that of the reference, times what production has more of it in such hours than on the
        whole: ``P_b ∝ R_b · P_gb / P_b``. Both sides were counted, so that ``1/m_eff = 1/m + 1/m_production``,
        also of what is the same at all hours as far as production shows.
        """
        return self._moved(layout, super().matched(layout, rows))

    def by_hour(self, layout: CellLayout, rows: FloatArray) -> FloatArray:
        """Return the same, with what production shows of those hours alone."""
        return self._moved(layout, super().by_hour(layout, rows))

    def _moved(self, layout: CellLayout, own: FloatArray) -> FloatArray:
        """Move the shares of the reference as production in such hours differs from all of it."""
        starts, sizes = np.array(layout.offsets), np.array([member.size for member in layout.members])

        def of_member(cells: FloatArray) -> FloatArray:
            return np.asarray(np.repeat(np.add.reduceat(cells, starts, axis=-1), sizes, axis=-1))

        mean = self.pools(layout).whole
        mean_rows, n, m = of_member(mean), of_member(own), of_member(self.reference)
        expected = n * mean / np.where(mean_rows > 0, mean_rows, 1.0)
        offset = np.where(mean > 0, (own + _PSEUDO_COUNT) / (expected + _PSEUDO_COUNT), 1.0)
        moved = self.reference * offset
        total = of_member(moved)
        known = (n > 0) & (m > 0)
        effective = 1.0 / (1.0 / np.where(known, n, 1.0) + 1.0 / np.where(known, m, 1.0))
        return np.where(known & (total > 0), moved / np.where(total > 0, total, 1.0) * effective, self.reference)


@dataclass(frozen=True, eq=False)
class Part:
    """What was counted of a model, or of one segment of it.

    Attributes
    ----------
    hours : HourCounts
        Of the days that are learnt from, or that may be.
    since, until : float
        From when to when it was counted, seconds since the epoch.
    done : bool
        Whether it is learnt; nothing is added any more.
    """

    hours: HourCounts
    since: float
    until: float
    done: bool = False


@dataclass(frozen=True, eq=False)
class Learnt:
    """What production has taught, or is teaching, of one model by one profile.

    Examples
    --------
    >>> hours = HourCounts("Europe/Rome", np.array([24, 25]), np.array([[3, 4], [5, 6]]))
    >>> again = Learnt.from_bytes(Learnt({"": Part(hours, 0.0, 7200.0)}).to_bytes())
    >>> again.parts[""].hours.cells.tolist(), again.parts[""].until, again.parts[""].hours.timezone
    ([[3, 4], [5, 6]], 7200.0, 'Europe/Rome')
    """

    parts: Mapping[str, Part]

    def to_bytes(self) -> bytes:
        """Return a zip of numpy arrays and one text."""
        about: dict[str, Any] = {}
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for place, (name, part) in enumerate(self.parts.items()):
            about[name] = {
                "place": place, "timezone": part.hours.timezone, "since": part.since, "until": part.until,
                "done": part.done,
            }  # fmt: skip
            arrays[f"hours_{place}"] = part.hours.hours
            arrays[f"cells_{place}"] = part.hours.cells
        text = json.dumps({"schema_version": 1, "parts": about})
        out = io.BytesIO()
        arrays["about"] = np.frombuffer(text.encode(), dtype=np.uint8)
        # numpy's types take any name for that of an option.
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Learnt:
        """Undo `to_bytes`.

        Raises
        ------
        ProfileError
            If it is damaged.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as held:
                about = json.loads(held["about"].tobytes())["parts"]
                return cls({name: _read_part(held, entry) for name, entry in about.items()})
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise ProfileError(f"what was learnt from production is damaged: {error}") from error

    def fits(self, layout: CellLayout) -> bool:
        """Return whether it is over the cells of a layout."""
        return all(part.hours.cells.shape[1:] == (layout.size,) for part in self.parts.values())


def _read_part(held: Any, entry: Mapping[str, Any]) -> Part:  # noqa: ANN401 - numpy's reader of zips
    hours = HourCounts(
        entry["timezone"],
        held[f"hours_{entry['place']}"].astype(np.int64),
        held[f"cells_{entry['place']}"].astype(np.int64),
    )
    if len(hours.hours) != len(hours.cells):
        raise ValueError("hours and counts differ in number")
    return Part(hours, float(entry["since"]), float(entry["until"]), bool(entry["done"]))


def taught(profile: ReferenceProfile, own: HourCounts) -> ReferenceProfile:
    """Return a profile with what production has taught.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    own : HourCounts
        Production by hours, of days on which nothing is known to have been wrong.

    Returns
    -------
    ReferenceProfile
        Calibrated.
    """
    production = own.strata(_KIND)
    reference = np.asarray(profile.counts, dtype=np.float64)
    offsets = OffsetStrata(_KIND, production.timezone, production.counts, reference)
    return replace(
        profile,
        strata=offsets,
        natural=learn_natural(profile.layout, own, _KIND),
        natural_days=own.days,
        calibrated=True,
    )


def segment_taught(profile: ReferenceProfile, own: HourCounts, *, done: bool) -> ReferenceProfile | None:
    """Return what a segment is compared with: its own production, as it is another than the whole by nature.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference of the whole, of the same cells.
    own : HourCounts
        The segment by hours.
    done : bool
        Whether that is all that there is to learn. If not, it only tells what is gross.

    Returns
    -------
    ReferenceProfile or None
        Calibrated if `done`; None before there is a day of it, and rows enough.
    """
    rows = np.add.reduceat(own.cells.sum(axis=0), np.array(profile.layout.offsets)) if len(own.hours) else np.zeros(1)
    if len(own.hours) < FIRST_HOURS or rows.max() < FIRST_ROWS:
        return None
    if not done:
        return replace(profile, strata=own.strata(_KIND), natural={}, natural_days=0, calibrated=False)
    natural = learn_natural(profile.layout, own, _KIND)
    return replace(profile, strata=own.strata(_KIND), natural=natural, natural_days=own.days, calibrated=True)
