"""How the counts by one profile become series: worked out once, so that a scrape only looks numbers up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelwatch import conventions as c
from modelwatch.collector.families import Families
from modelwatch.conventions import Metric
from modelwatch.records import HIGH, INVALID_TYPE, LOW, MISSING, PREDICTIONS, CellLayout, FeatureCells

if TYPE_CHECKING:
    from modelwatch.recorder.blocks import VectorBlock

__all__ = ["CellSeries"]

Labels = tuple[str, ...]


class CellSeries:
    """
    The series of one block of cells.

    Parameters
    ----------
    shown
        Label values of the block: model, version, profile, segment.
    layout
        What its numbers are.
    hidden
        Features that are left out.
    """

    def __init__(
        self, shown: tuple[str, str, str, str], layout: CellLayout, hidden: frozenset[str] = frozenset()
    ) -> None:
        self.layout, self.hidden = layout, hidden
        self._shown = shown
        self._histograms: list[tuple[Metric, Labels, tuple[float, ...], slice, int]] = []
        places: dict[Metric, dict[Labels, int]] = {}
        for number, (member, offset) in enumerate(zip(layout.members, layout.offsets, strict=True)):
            if member.name not in hidden:
                self._add_shape(places, member, offset, number)
                self._add_gaps(places, member, offset + member.shape_size)
        self._scalars = [
            (metric, list(some), np.array(list(some.values()), np.intp)) for metric, some in places.items()
        ]

    def _add_shape(
        self, places: dict[Metric, dict[Labels, int]], member: FeatureCells, offset: int, number: int
    ) -> None:
        """Add bins or categories of a feature, or of the prediction, which has the name "" and its own histogram."""
        labels = (*self._shown, member.name)
        tail = offset + member.shape_size
        if member.kind == "numeric":
            predicted = member.name in PREDICTIONS  # one of both at most: beside a score the prediction is a class
            metric, own = (c.PREDICTION_VALUE, self._shown) if predicted else (c.FEATURE_VALUE, labels)
            self._histograms.append((metric, own, member.edges, slice(offset, tail), number))
            sides: dict[Labels, int] = {
                (*labels, side): tail + place for side, place in zip(c.SIDES, (LOW, HIGH), strict=True)
            }
            places.setdefault(c.FEATURE_OUT_OF_RANGE, {}).update(sides)
        else:
            categories: dict[Labels, int] = {
                (*labels, name): at for at, name in enumerate((*member.categories, c.OTHER), offset)
            }
            categories |= {(*labels, c.UNSEEN): tail + LOW}
            places.setdefault(c.FEATURE_CATEGORY, {}).update(categories)

    def _add_gaps(self, places: dict[Metric, dict[Labels, int]], member: FeatureCells, tail: int) -> None:
        labels = (*self._shown, member.name)
        places.setdefault(c.FEATURE_MISSING, {})[labels] = tail + MISSING
        reasons: dict[Labels, int] = {
            (*labels, reason): place for place, reason in enumerate(c.INVALID_REASONS, tail + INVALID_TYPE)
        }
        places.setdefault(c.FEATURE_INVALID, {}).update(reasons)

    def add_to(self, out: Families, block: VectorBlock) -> None:
        """Add what a block of this layout counts."""
        for metric, labels, places in self._scalars:
            out.add_all(metric, labels, block.ints[places].tolist())
        counts, sums = block.ints.tolist(), block.floats.tolist()
        for metric, own, bounds, cells, number in self._histograms:
            out.add_histogram(metric, own, bounds, counts[cells], sums[number])
