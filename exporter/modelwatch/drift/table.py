"""All tests of one kind of drift as one table: windows × features × {shape, missing, novel}.

A test is measured by itself, to the last bit: whatever other windows and features stand beside it. So the windows of
many checks can be measured at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.cells import gathered
from modelwatch.drift.means import MeanShifts, mean_shifts
from modelwatch.drift.reference import reference_cells, strata_of
from modelwatch.drift.shares import PASSED, share_gate, shares_at
from modelwatch.drift.spans import repeats_of, spans_of
from modelwatch.drift.statistics import GateResult, d_to_js, gates, js_to_d, large_gate
from modelwatch.drift.tolerance import Tolerances, levels_of, likeness_of, tolerances_of
from modelwatch.profile.divergence import cell_sum
from modelwatch.records import CellLayout, FeatureCells, FloatArray, IntArray, WindowCounts

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = [
    "GROSS_HOUR_SHAPE_JS",
    "GROSS_SHAPE_JS",
    "GROSS_SHARE_JS",
    "MISSING_TEST",
    "NOVEL_TEST",
    "SHAPE_TEST",
    "TESTS",
    "TestTable",
    "measure",
    "tally",
]

TESTS: tuple[Literal["shape", "missing", "novel"], ...] = ("shape", "missing", "novel")
SHAPE_TEST, MISSING_TEST, NOVEL_TEST = range(3)
GROSS_SHAPE_JS, GROSS_SHARE_JS = 0.30, 0.15
"""Distances that are gross, of a shape, and of missing or novel values."""
GROSS_HOUR_SHAPE_JS = 0.35
"""Of a shape in a part of a day. Less is natural: on a weekend's peak, with a daily cycle of 0.5 and weekends of 0.3
standard deviations, 0.30 is exceeded in several hours of every weekend."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class TestTable:
    """What was measured. Arrays have the shape (windows, features, tests) unless said otherwise.

    Attributes
    ----------
    members, indices, offsets : tuple
        The features (or the prediction), their places among the members of the layout, and where their cells begin.
    windows : tuple of WindowCounts
        Ascending by length.
    reference : ndarray, shape (windows, layout.size) or (1, layout.size)
        What each window was compared with.
    n, m, d, k, score, p_real, p_value : ndarray
        As in :class:`~modelwatch.drift.statistics.GateResult`; ``p_value`` is at the tolerance of a warning.
    p_large : ndarray, shape (tiers, windows, features, tests)
        "Within tolerance", for each tier.
    effect : ndarray
        The design effect: so many rows of the window are worth one that is independent of all others. More than 1
        only of novel values, and where the reference shows that rows of one window are alike.
    tolerances : Tolerances
        Those of each window, feature and test.
    usable : ndarray of bool
        Whether a test could be made: it has rows enough on both sides.
    tested : ndarray of bool
        Whether it can alarm: it is usable, and no shape of a feature that is noisy, in whose place its mean is tested
        where that varies less. Of windows that are only watched, shapes are tested in the first alone.
    watched : int
        So many leading windows are only watched for gross changes. There the tolerance of a shape is what is gross:
        over a part of a day a shape may differ only because of the hours it holds.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    members: tuple[FeatureCells, ...]
    indices: tuple[int, ...]
    offsets: tuple[int, ...]
    windows: tuple[WindowCounts, ...]
    reference: FloatArray
    n: FloatArray
    m: FloatArray
    d: FloatArray
    k: FloatArray
    score: FloatArray
    p_real: FloatArray
    p_value: FloatArray
    p_large: FloatArray
    effect: FloatArray
    tolerances: Tolerances
    usable: BoolArray
    tested: BoolArray
    watched: int = 0

    @property
    def independent(self) -> FloatArray:
        """Rows of the window without the repeats of an entity, ``n / repeats``.

        The reference keeps all of its rows: a profile does not know whose they were.
        """
        repeats = repeats_of(self.windows)
        return self.n if repeats is None else np.asarray(self.n / repeats[:, None, None])

    @property
    def sampling(self) -> FloatArray:
        """``1/n + 1/m`` of the independent rows of the window; 1 where a test is not usable."""
        return _sampling(self.independent, self.m, self.usable)

    @property
    def evidence(self) -> FloatArray:
        """`sampling` of so many rows as the window's are worth: what tests and bounds go by."""
        return np.asarray(self.sampling * self.effect)

    @property
    def tau(self) -> FloatArray:
        """The tolerance of each tier on the scale of d, shape (tiers, windows, features, tests)."""
        return self.tolerances.tau

    def shares(self, at: tuple[IntArray, IntArray, IntArray]) -> tuple[FloatArray, FloatArray]:
        """Return the shares, observed and expected, of missing or novel values at (windows, features, tests)."""
        tails = np.array(self.offsets) + np.array([member.shape_size for member in self.members])
        observed = np.stack([window.cells for window in self.windows])
        return shares_at(tails, (observed, self.reference), (self.n, self.m), self.effect, at)

    def reference_of(self, window: int) -> FloatArray:
        """Return what one window was compared with, shape (layout.size,)."""
        return np.asarray(self.reference[window if len(self.reference) > 1 else 0])

    def part(self, places: Sequence[int], watched: int = 0, *, only_full: bool = False) -> TestTable:
        """Return the table of some of the windows.

        Parameters
        ----------
        places : sequence of int
            Which.
        watched : int
            So many leading ones of them are only watched.
        only_full : bool
            Whether a scored window tests only features that have rows from all of it. One that was cleared hasn't
            for a while, and the mix of hours in a part of a day is not that of the reference.
        """
        if not watched and not only_full and list(places) == list(range(len(self.windows))):
            return self
        at = _as_slice(places)
        some = replace(
            self,
            windows=tuple(self.windows[place] for place in places),
            reference=self.reference[at] if len(self.reference) > 1 else self.reference,
            p_large=self.p_large[:, at],
            tolerances=self.tolerances.at(at),
            watched=watched,
            **{name: getattr(self, name)[at] for name in _BY_WINDOW},
        )
        some = _watching(some) if watched else some
        late = only_full and any(window.since is not None for window in some.windows[watched:])
        return replace(some, tested=some.tested & ~_late(some)[..., None]) if late else some

    def with_columns(self, again: TestTable, columns: Sequence[int]) -> TestTable:
        """Put some features, measured again in the last windows, in the place of what was measured; in place."""
        first = len(self.windows) - len(again.windows)
        for name in _BY_WINDOW:
            getattr(self, name)[first:, columns] = getattr(again, name)
        self.p_large[:, first:, columns] = again.p_large
        self.tolerances.tau[:, first:, columns] = again.tolerances.tau
        self.tolerances.natural[first:, columns] = again.tolerances.natural
        self.tolerances.noisy[first:, columns] = again.tolerances.noisy
        if len(self.reference) > 1:
            self.reference[first:] = again.reference
        return replace(self, windows=(*self.windows[:first], *again.windows))


_BY_WINDOW = ("n", "m", "d", "k", "score", "p_real", "p_value", "effect", "usable", "tested")


def measure(
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    members: Sequence[int],
    config: DriftMonitoringConfig,
    *,
    reference: FloatArray | None = None,
) -> TestTable:
    """Measure some members of a profile's layout in some windows, of one check or of many.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    windows : sequence of WindowCounts
        Counts over the cells of ``profile.layout``. They are divided by the ``repeats`` of a window before they are
        tested; those of the reference are not.
    members : sequence of int
        Indices into ``profile.layout.members``.
    config : DriftMonitoringConfig
        ``thresholds``, ``tolerance``, ``strata``, ``min_rows``: a test with fewer rows than this is not made.
    reference : ndarray or None, shape (windows, layout.size) or (1, layout.size)
        What the windows are compared with, where it is known already.

    Returns
    -------
    TestTable
        In which no window is only watched.
    """
    reference = reference_cells(profile, windows, config) if reference is None else reference
    spans = spans_of(windows, members)
    tolerances = tolerances_of(profile, config, members, spans)
    likeness = likeness_of(profile, members, spans)
    cells, repeats = np.stack([w.cells for w in windows]), repeats_of(windows)
    n = None if repeats is None else cell_sum(tally(profile.layout, members, cells))
    cells = cells if repeats is None else cells / repeats[:, None]
    found, effect = _gates(profile.layout, members, cells, reference, tolerances.tau[0], likeness)
    n = found.n if n is None else n
    usable = (n >= max(config.min_rows, 1.0)) & (found.m > 0)
    tested = usable.copy()
    tested[:, :, SHAPE_TEST] &= ~tolerances.noisy
    means = mean_shifts(profile, members, cells, reference, spans, tolerances.noisy) if tolerances.noisy.any() else None
    if means is not None:
        _put_means(means, found, tolerances, levels_of(config))
        tested[:, :, SHAPE_TEST] |= means.at & usable[:, :, SHAPE_TEST]
    p_large = _by_tier(found, tolerances.tau, usable, effect)
    table = TestTable(
        members=tuple(map(profile.layout.members.__getitem__, members)),
        indices=tuple(members),
        offsets=tuple(map(profile.layout.offsets.__getitem__, members)),
        windows=tuple(windows),
        reference=reference,
        n=n,
        m=found.m,
        d=found.d,
        k=found.k,
        score=found.score,
        p_real=found.p_real,
        p_value=found.p,
        p_large=p_large,
        effect=effect,
        tolerances=tolerances,
        usable=usable,
        tested=tested,
    )
    _be_exact(table)
    _ask_the_hour(table, profile, config, cells, likeness)
    return table


def _put_means(means: MeanShifts, found: GateResult, tolerances: Tolerances, levels: Sequence[float]) -> None:
    """Put shifts of means in the place of the shapes that are too noisy to be tested; in place."""
    tau = np.maximum(js_to_d(levels)[:, None], means.natural)
    one = np.ones(len(means.square))
    s = 1.0 / found.n[..., SHAPE_TEST][means.at] + 1.0 / found.m[..., SHAPE_TEST][means.at]
    within = large_gate(means.square, one, s, tau[0])
    put = {
        "d": means.square, "k": one, "score": d_to_js(means.square - s), "p_real": means.p_real, "p_large": within,
        "p": np.maximum(means.p_real, within),
    }  # fmt: skip
    for name, values in put.items():
        getattr(found, name)[..., SHAPE_TEST][means.at] = values
    tolerances.tau[..., SHAPE_TEST][:, means.at] = tau
    tolerances.natural[..., SHAPE_TEST][means.at] = means.natural


def _ask_the_hour(
    table: TestTable,
    profile: ReferenceProfile,
    config: DriftMonitoringConfig,
    cells: FloatArray,
    likeness: FloatArray | None,
) -> None:
    """Compare what differs from the whole reference with the reference's rows of its own hours as well; in place.

    Only of features that are the same at all hours, as far as chance lets one see: an hour that always was another is
    not to be told every day. These few rows have to speak for it, at a level that a change passes easily.
    """
    found = table.usable & (table.p_value <= PASSED)
    strata = strata_of(profile, config)
    rows = [window.strata for window in table.windows]
    if strata is None or not found.any() or any(row is None for row in rows):
        return
    found &= strata.pools(profile.layout).flat[list(table.indices)][:, None]
    found[..., SHAPE_TEST] &= ~table.tolerances.noisy
    if not found.any():
        return
    w = np.flatnonzero(found.any(axis=(1, 2)))
    own = strata.by_hour(profile.layout, np.stack([row for row in rows if row is not None])[w])
    alike = None if likeness is None else likeness[w]
    again, _ = _gates(profile.layout, table.indices, cells[w], own, table.tau[0, w], alike)
    explained = np.zeros(found.shape, dtype=np.bool_)
    explained[w] = found[w] & (again.p_real > PASSED)
    p_real = np.zeros(found.shape)
    p_real[w] = again.p_real
    table.p_real[explained] = p_real[explained]
    table.p_value[explained] = np.maximum(table.p_value[explained], p_real[explained])


def _be_exact(table: TestTable) -> None:
    """Test exactly whether shares of missing and novel values that have changed lie beyond a tolerance; in place."""
    changed = table.usable & (table.p_value <= PASSED)
    changed[..., SHAPE_TEST] = False
    if not changed.any():
        return
    w, f, t = (np.asarray(place) for place in np.nonzero(changed))
    share, expected = table.shares((w, f, t))
    table.p_large[:, w, f, t] = share_gate(share, expected, table.evidence[w, f, t], table.tau[:, w, f, t])
    table.p_value[w, f, t] = np.maximum(table.p_real[w, f, t], table.p_large[0, w, f, t])


def _by_tier(found: GateResult, tau: FloatArray, usable: BoolArray, effect: FloatArray) -> FloatArray:
    """Return "within tolerance" for each tier; 1 for higher ones where the lowest can't be rejected at any level."""
    out = np.ones(tau.shape)
    out[0] = found.p_large
    at = usable & (found.p <= 0.5)
    if at.any():
        s = (_sampling(found.n, found.m, usable) * effect)[at]
        out[1:, at] = large_gate(found.d[at], found.k[at], s, tau[1:, at])
    return out


def _watching(table: TestTable) -> TestTable:
    """Return a table with the tolerance of shapes in the windows that are only watched raised to what is gross."""
    at = slice(0, table.watched)
    tau, p_large, p_value, tested = (a.copy() for a in (table.tau, table.p_large, table.p_value, table.tested))
    tau[:, at, :, SHAPE_TEST] = np.maximum(tau[:, at, :, SHAPE_TEST], js_to_d(GROSS_HOUR_SHAPE_JS))
    usable = table.usable[at, :, SHAPE_TEST]
    d, k, s = (a[at, :, SHAPE_TEST] for a in (table.d, table.k, table.sampling))
    within = np.where(usable, large_gate(d, k, s, tau[:, at, :, SHAPE_TEST]), 1.0)
    p_large[:, at, :, SHAPE_TEST] = within
    p_value[at, :, SHAPE_TEST] = np.maximum(table.p_real[at, :, SHAPE_TEST], within[0])
    tested[1 : table.watched, :, SHAPE_TEST] = False
    return replace(
        table, tolerances=replace(table.tolerances, tau=tau), p_large=p_large, p_value=p_value, tested=tested
    )


def _late(table: TestTable) -> BoolArray:
    """Return which features have rows from a part of a scored window only: (windows, features)."""
    out = np.zeros(table.tested.shape[:2], dtype=np.bool_)
    for place, window in enumerate(table.windows):
        if place >= table.watched and window.since is not None:
            out[place] = window.since[list(table.indices)] > window.start
    return out


def _sampling(n: FloatArray, m: FloatArray, usable: BoolArray) -> FloatArray:
    return np.asarray(1.0 / np.where(usable, n, 2.0) + 1.0 / np.where(usable, m, 2.0))


def _as_slice(places: Sequence[int]) -> slice | list[int]:
    """Return places that follow one another as a slice, so that nothing is copied."""
    first, many = places[0], len(places)
    return slice(first, first + many) if list(places) == list(range(first, first + many)) else list(places)


def _gates(
    layout: CellLayout,
    members: Sequence[int],
    observed: FloatArray,
    reference: FloatArray,
    tau: FloatArray,
    likeness: FloatArray | None,
) -> tuple[GateResult, FloatArray]:
    """Measure shapes and, in two cells each, missing and novel values; tests along the last axis.

    Returns the design effect of each test too. By it the counts of novel values are divided before they are tested (Rao
    and Scott 1992, doi:10.2307/2532311): else a record of the weather, which all rows of an hour share, would be as
    sure as if each of them had seen another sky.
    """
    (o, o_pairs), (r, r_pairs) = gathered(layout, members, [observed, reference])
    effect = np.ones(tau.shape)
    two_cells, tolerated = [(o_pairs, r_pairs)], [tau[..., MISSING_TEST:]]
    alike = [] if likeness is None else np.flatnonzero((likeness > 0).any(axis=0)).tolist()
    if likeness is not None and alike:
        o_novel, r_novel = (pair[:, alike, NOVEL_TEST - MISSING_TEST] for pair in (o_pairs, r_pairs))
        worth = 1.0 + likeness[:, alike] * np.maximum(cell_sum(o_novel) - 1.0, 0.0)
        effect[:, alike, NOVEL_TEST] = worth
        two_cells.append((o_novel / worth[..., None], r_novel / worth[..., None]))
        tolerated.append(tau[:, alike, NOVEL_TEST])
    pairs = [(*sides, level) for sides, level in zip(two_cells, tolerated, strict=True)]
    shape, *shares = gates([(o, r, tau[..., SHAPE_TEST]), *pairs])
    arrays = np.empty((len(shape), *tau.shape))
    arrays[..., SHAPE_TEST], arrays[..., MISSING_TEST:] = shape, shares[0]
    found = GateResult(*arrays)
    for again in shares[1:]:
        for values, better in zip((found.p, found.p_real, found.p_large), again, strict=False):
            values[:, alike, NOVEL_TEST] = better
    return found, effect


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
        Padded with zeros to whole eights.

    Examples
    --------
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0)),))
    >>> counts = np.array([[5.0, 4.0, 3.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0]])
    >>> tally(layout, [0], counts)[0, 0, :, :4].tolist()
    [[5.0, 4.0, 3.0, 0.0], [2.0, 14.0, 0.0, 0.0], [2.0, 12.0, 0.0, 0.0]]
    """
    [(shapes, pairs)] = gathered(layout, members, [cells])
    out = np.zeros((*shapes.shape[:2], len(TESTS), shapes.shape[-1]))
    out[:, :, SHAPE_TEST] = shapes
    out[:, :, MISSING_TEST:, :2] = pairs
    return out
