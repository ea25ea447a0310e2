"""What is left out of an exposition where a model would be too many series: by segment first, then by feature.

What is left out here is counted all the same, in the slots and in the store. What is shown follows from the
configuration, the layout and the order in which segments were admitted, none of which changes from scrape to scrape:
a series that is shown stays, and the rows of a segment that has none of its own are in "__other__" from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from modelwatch import conventions as c
from modelwatch.recorder.blocks import Key, NamesBlock, SlotTotals, VectorBlock
from modelwatch.recorder.segments import MAX_SEGMENTS, SEGMENT_ALL
from modelwatch.records import PREDICTIONS, CellLayout, FeatureCells

if TYPE_CHECKING:
    from modelwatch.recorder import RecordedModel

__all__ = [
    "Blocks",
    "Fold",
    "Plan",
    "blocks_by_version",
    "histogram_series",
    "member_series",
    "plan_classes",
    "plan_profile",
]

ALL_SEGMENTS = MAX_SEGMENTS + len((SEGMENT_ALL, c.OTHER))
FEWEST_NAMED = 2
"""Segments by themselves beside all others: fewer tell nothing that the whole doesn't."""
SEGMENTS, FEATURES = c.FOLD_REASONS
_GAPS = 1 + len(c.INVALID_REASONS)
Version = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """
    What is shown of one model version's counts.

    Attributes
    ----------
    named
        How many segments are shown by themselves, those admitted first; None: all rows are shown as in segment "".
    hidden
        Features that are not shown.
    """

    named: int | None = MAX_SEGMENTS
    hidden: frozenset[str] = frozenset()

    def segment(self, segment: str, ranks: Mapping[str, int]) -> str:
        """Return the segment under which one is shown."""
        if self.named is None:
            return SEGMENT_ALL
        own = segment in (SEGMENT_ALL, c.OTHER) or ranks.get(segment, MAX_SEGMENTS) < self.named
        return segment if own else c.OTHER

    @property
    def segments(self) -> int:
        """How many segments there are at most, all in all."""
        return 1 if self.named is None else self.named + len((SEGMENT_ALL, c.OTHER))


def histogram_series(bounds: Sequence[float]) -> int:
    """Buckets, the one for infinity, and count and sum, which `prometheus_client` leaves out for negative bounds."""
    return len(bounds) + 1 + (2 if not bounds or bounds[0] >= 0 else 0)


def member_series(member: FeatureCells) -> int:
    """Return how many series one feature, or the prediction, is in one segment."""
    if member.kind == "numeric":
        return histogram_series(member.edges) + len(c.SIDES) + _GAPS
    return len(member.categories) + len((c.OTHER, c.UNSEEN)) + _GAPS


def plan_classes(model: RecordedModel, room: int, *, segmented: bool) -> tuple[Plan, int]:
    """
    Return what is shown of the classes, and how many series that leaves room for.

    Room is kept for as many classes as may come, since those that are shown are to stay.
    """
    most = 0 if model.task == "regression" else model.max_classes + 1
    if not segmented:
        return Plan(), room - most
    named = _named(room // 2, most)
    plan = Plan(named)
    return plan, room - most * plan.segments


def plan_profile(model: RecordedModel, layout: CellLayout, room: int, *, segmented: bool) -> tuple[Plan, int]:
    """Return what is shown of the cells of one profile, and how many series that leaves room for."""
    whole = sum(map(member_series, layout.members))
    named = _named(room, whole) if segmented else None
    if named is not None:
        return Plan(named), room - whole * Plan(named).segments
    hidden, size = set(), whole
    for member in reversed(_by_importance(model, layout)):
        if size <= room:
            break
        hidden.add(member.name)
        size -= member_series(member)
    return Plan(None if segmented else MAX_SEGMENTS, frozenset(hidden)), room - size


def _named(room: int, each: int) -> int | None:
    fit = ALL_SEGMENTS if not each else min(ALL_SEGMENTS, room // each)
    named = fit - len((SEGMENT_ALL, c.OTHER))
    return named if named >= FEWEST_NAMED else None


def _by_importance(model: RecordedModel, layout: CellLayout) -> list[FeatureCells]:
    weights = dict(model.importance)
    # Predictions stay longest; sorting keeps the layout's order where weights are equal.
    return sorted(layout.members, key=lambda m: (m.name not in PREDICTIONS, -weights.get(m.name, 0.0)))


@dataclass
class Blocks:
    """The keys of what is counted by segment of one model version."""

    classes: list[Key] = field(default_factory=list)
    profiles: dict[str, list[Key]] = field(default_factory=dict)

    def all(self) -> Iterator[Key]:
        """Return all keys, of which the last part is the segment."""
        yield from self.classes
        for keys in self.profiles.values():
            yield from keys

    def latest_profile(self, totals: SlotTotals) -> str:
        """Return the id of the profile by which rows were counted last; "" for none."""
        counted = [(totals.vectors[key].touched, key[3]) for keys in self.profiles.values() for key in keys]
        return max(counted, default=(0.0, ""))[1]


def blocks_by_version(totals: SlotTotals) -> dict[Version, Blocks]:
    """Return what is counted by segment, by model version."""
    found: dict[Version, Blocks] = {}
    for key in totals.names:
        if key[0] == "classes":
            found.setdefault((key[1], key[2]), Blocks()).classes.append(key)
    for key in totals.vectors:
        if key[0] == "profile":
            found.setdefault((key[1], key[2]), Blocks()).profiles.setdefault(key[3], []).append(key)
    return found


@dataclass
class Fold:
    """
    What one scrape leaves out, over all models.

    Attributes
    ----------
    series
        How many series are left out, by model version and reason.
    hidden
        Features that are not shown, by key of the block of cells.
    """

    series: dict[tuple[str, str, str], int] = field(default_factory=dict)
    hidden: dict[Key, frozenset[str]] = field(default_factory=dict)

    def version(
        self,
        totals: SlotTotals,
        blocks: Blocks,
        about: tuple[RecordedModel, Mapping[str, int], int],
        layout_of: Callable[[str], CellLayout | None],
    ) -> None:
        """
        Leave out what is too much of one model version.

        Parameters
        ----------
        totals
            What is exposed; changed in place, but for what was read of slots.
        blocks
            The keys of the version's counts.
        about
            The model, the rank of each segment by admission, and how many series there is room for.
        layout_of
            Returns the layout of a profile by its id.
        """
        model, ranks, room = about
        segmented = bool(model.segments or ranks) or any(key[-1] != SEGMENT_ALL for key in blocks.all())
        plan, room = plan_classes(model, room, segmented=segmented)
        for key in blocks.classes:
            self._fold_classes(totals, key, (*key[:3], plan.segment(key[3], ranks)))
        # The latest profile first: an earlier one counts no more.
        for profile_id, keys in sorted(
            blocks.profiles.items(), key=lambda item: -max(totals.vectors[key].born for key in item[1])
        ):
            layout = layout_of(profile_id)
            if layout is not None:
                plan, room = plan_profile(model, layout, room, segmented=segmented)
                self._fold_cells(totals, keys, layout, plan, ranks)

    def _fold_classes(self, totals: SlotTotals, key: Key, shown: Key) -> None:
        """Add the classes of a segment that is not shown by itself to those of another one."""
        if shown == key:
            return
        block = totals.names.pop(key)
        self._count((key[1], key[2]), SEGMENTS, len(block.counts))
        target = totals.names.setdefault(shown, NamesBlock())
        for name, amount in block.counts.items():
            target.counts[name] = target.counts.get(name, 0) + amount

    def _fold_cells(
        self, totals: SlotTotals, keys: Iterable[Key], layout: CellLayout, plan: Plan, ranks: Mapping[str, int]
    ) -> None:
        """Put together the cells of segments that are not shown by themselves, and leave out features."""
        away = sum(member_series(member) for member in layout.members if member.name in plan.hidden)
        each = sum(map(member_series, layout.members)) - away
        for key in keys:
            shown = (*key[:4], plan.segment(key[4], ranks))
            if shown != key:
                self._count((key[1], key[2]), SEGMENTS, each)
                _move(totals.vectors, key, shown)
            if plan.hidden and shown not in self.hidden:
                self.hidden[shown] = plan.hidden
                self._count((key[1], key[2]), FEATURES, away)

    def _count(self, version: Version, reason: str, amount: int) -> None:
        key = (*version, reason)
        self.series[key] = self.series.get(key, 0) + amount


def _move(blocks: dict[Key, VectorBlock], key: Key, to: Key) -> None:
    """Add a block to another one; what was read of a slot is not changed."""
    block, there = blocks.pop(key), blocks.get(to)
    if there is None:
        blocks[to] = replace(block, ints=block.ints.copy(), floats=block.floats.copy())
    elif there.layout == block.layout:
        blocks[to] = replace(there, ints=there.ints + block.ints, floats=there.floats + block.floats)
