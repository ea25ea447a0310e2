"""All tests of one kind of drift as one table: windows × features × {shape, missing, novel}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.statistics import js_to_d, large_gate, two_gate
from modelwatch.records import HIGH, LOW, MISSING, TAIL_CELLS, CellLayout, FeatureCells, FloatArray, WindowCounts

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["MISSING_TEST", "NOVEL_TEST", "SHAPE_TEST", "TESTS", "TestTable", "build_table", "tally"]

TESTS: tuple[Literal["shape", "missing", "novel"], ...] = ("shape", "missing", "novel")
SHAPE_TEST, MISSING_TEST, NOVEL_TEST = range(3)

_LANES = 8
"""numpy adds up rows in so many lanes: padded to a multiple of it, a sum is the same to the bit whatever the widest
member beside it is."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class TestTable:
    """What was measured. Arrays have the shape (windows, features, tests) unless said otherwise.

    Attributes
    ----------
    members, indices : tuple
        The features (or the prediction), and their places among the members of the layout.
    windows : tuple of WindowCounts
        Ascending by length.
    n, m, d, k, score, p_real, p_value : ndarray
        As in :class:`~modelwatch.drift.statistics.GateResult`; ``p_value`` is at the tolerance of a warning.
    p_large : ndarray, shape (tiers, windows, features, tests)
        "Within tolerance", for each tier.
    usable : ndarray of bool
        Whether a test is made: it has rows enough on both sides, and is no shape test of a watched window.
    watched : int
        So many leading windows are only watched for gross changes. Their shapes are left out: over a part of a day
        a shape may differ only because of the hours it holds.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    members: tuple[FeatureCells, ...]
    indices: tuple[int, ...]
    windows: tuple[WindowCounts, ...]
    n: FloatArray
    m: FloatArray
    d: FloatArray
    k: FloatArray
    score: FloatArray
    p_real: FloatArray
    p_value: FloatArray
    p_large: FloatArray
    usable: BoolArray
    watched: int

    @property
    def sampling(self) -> FloatArray:
        """``1/n + 1/m``; 1 where a test is not usable."""
        safe_n, safe_m = np.where(self.usable, self.n, 2.0), np.where(self.usable, self.m, 2.0)
        return np.asarray(1.0 / safe_n + 1.0 / safe_m)


def build_table(
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    members: Sequence[int],
    tolerances: Sequence[float],
    min_rows: float,
    *,
    watched: int = 0,
) -> TestTable:
    """Measure some members of a profile's layout in some windows.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    windows : sequence of WindowCounts
        Counts over the cells of ``profile.layout``, ascending by length.
    members : sequence of int
        Indices into ``profile.layout.members``.
    tolerances : sequence of float
        Jensen–Shannon distances, one for each tier, ascending.
    min_rows : float
        A test with fewer rows than this in a window is not made there.
    watched : int
        So many leading windows are only watched for gross changes.

    Returns
    -------
    TestTable
    """
    observed = tally(profile.layout, members, np.stack([w.cells for w in windows]))
    reference = tally(profile.layout, members, np.asarray(profile.counts, dtype=np.float64)[None])
    taus = js_to_d(tolerances)
    found = two_gate(observed, reference, taus[0])
    usable = (found.n >= max(min_rows, 1.0)) & (found.m > 0)
    usable[:watched, :, SHAPE_TEST] = False
    s = 1.0 / np.where(usable, found.n, 2.0) + 1.0 / np.where(usable, found.m, 2.0)
    higher = [np.where(usable, large_gate(found.d, found.k, s, tau), 1.0) for tau in taus[1:]]
    return TestTable(
        members=tuple(profile.layout.members[i] for i in members),
        indices=tuple(members),
        windows=tuple(windows),
        n=found.n,
        m=found.m,
        d=found.d,
        k=found.k,
        score=found.score,
        p_real=found.p_real,
        p_value=found.p,
        p_large=np.stack([found.p_large, *higher]),
        usable=usable,
        watched=watched,
    )


def tally(layout: CellLayout, members: Sequence[int], cells: FloatArray) -> FloatArray:
    """Gather flat counts into one padded row of cells a test.

    ``shape`` holds the shape cells; ``missing`` is missing and invalid against the rest; ``novel`` is unseen or out of
    range against the rest of what is not missing.

    Parameters
    ----------
    layout : CellLayout
        Where the cells lie.
    members : sequence of int
        Which members.
    cells : ndarray, shape (windows, layout.size)
        Counts.

    Returns
    -------
    ndarray, shape (windows, members, 3, cells)
        Padded with zeros, to a multiple of eight cells.

    Examples
    --------
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0)),))
    >>> counts = np.array([[5.0, 4.0, 3.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0]])
    >>> tally(layout, [0], counts)[0, 0, :, :3].tolist()
    [[5.0, 4.0, 3.0], [2.0, 14.0, 0.0], [2.0, 12.0, 0.0]]
    """
    sizes = np.array([layout.members[i].shape_size for i in members], dtype=np.intp)
    starts = np.array([layout.offsets[i] for i in members], dtype=np.intp)
    width = -(-max(2, int(sizes.max(initial=0))) // _LANES) * _LANES
    ramp = np.arange(width)
    inside = ramp < sizes[:, None]
    shape = np.where(inside, cells[:, np.where(inside, starts[:, None] + ramp, 0)], 0.0)
    tail = cells[:, (starts + sizes)[:, None] + np.arange(TAIL_CELLS)]
    regular = shape.sum(axis=-1)
    novel = tail[..., LOW] + tail[..., HIGH]
    missing = tail[..., MISSING:].sum(axis=-1)
    out = np.zeros((*shape.shape[:2], len(TESTS), width))
    out[:, :, SHAPE_TEST] = shape
    out[:, :, MISSING_TEST, 0], out[:, :, MISSING_TEST, 1] = missing, regular + novel
    out[:, :, NOVEL_TEST, 0], out[:, :, NOVEL_TEST, 1] = novel, regular
    return out
