"""The memory between checks: a severity rises at once, falls when the data show that it should, and doesn't flap.

It falls tier by tier, when in three checks in a row the upper 95 % bound of the distance lies below the tier's
tolerance in the window that can tell: the shortest one that would show this with probability 0.9 if nothing were
wrong, else the longest. Longer windows, which still hold the bad rows, have no say; after the fall they are heard
again only on rows that came later. A window that tolerates more than those that found the change has to say so for
three times its length: of a feature that wanders from day to day, one day near the reference is not the end of a shift
that a week has shown. Where there are no rows a severity is held for a day, so that a quiet night doesn't say
"resolved".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from modelwatch.drift.confirm import confirm_found, confirm_gross
from modelwatch.drift.decision import TIERS
from modelwatch.drift.family import ScoredFamily
from modelwatch.drift.noncentral import CONFIDENCE
from modelwatch.drift.statistics import large_gate, no_change_probability, within_tolerance
from modelwatch.drift.table import SHAPE_TEST, TESTS, BoolArray, TestTable
from modelwatch.policy import Severity
from modelwatch.records import FloatArray

__all__ = ["Verdict", "clear_tiers", "cleared_times", "track", "verdict_of"]

CHECKS_TO_CLEAR = 3
SURE = 0.9
HOLD_SECONDS = 86400.0
_REFERENCE_SURE = 0.99
_TIER_PLACES = range(len(TIERS))
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True)
class Verdict:
    """What a check says once earlier checks are taken into account.

    Attributes
    ----------
    feature_severity : dict of str to Severity
        Features that were scored, or whose severity is held.
    held : frozenset of str
        Features whose severity stems from earlier checks, as there is nothing to score now.
    last_scored : float or None
        When a held feature was scored last, seconds since the epoch.
    severity : ndarray of int, shape (windows, features, tests)
        Of this check alone, with gross changes.
    """

    feature_severity: dict[str, Severity]
    held: frozenset[str]
    last_scored: float | None
    severity: NDArray[np.int64]


@dataclass(frozen=True)
class _Record:
    """What is remembered of one test.

    Attributes
    ----------
    severity : int
        Told now.
    clean, since : tuple of int, tuple of float
        For each tier how many checks in a row found it clear, and when the first of them was.
    shown : tuple of float
        For each tier the largest tolerance, on the scale of d, of a window that found it.
    scored_at, lowered_at : float
        Seconds since the epoch.
    """

    severity: int
    clean: tuple[int, ...]
    since: tuple[float, ...]
    shown: tuple[float, ...]
    scored_at: float
    lowered_at: float | None = None

    def heard(self, fresh: NDArray[np.int64], starts: NDArray[np.float64]) -> int:
        """Return the worst fresh severity; after a fall, rows from before it can't raise again what fell."""
        if self.lowered_at is None:
            return int(fresh.max())
        return int(np.where(starts >= self.lowered_at, fresh, np.minimum(fresh, self.severity)).max())

    def next(self, fresh: int, clear: Sequence[bool], patience: Sequence[float], now: float) -> _Record:
        """Return the record after a check that scored the test."""
        if fresh > self.severity:
            return _Record(fresh, (0,) * len(TIERS), (now,) * len(TIERS), self.shown, now)
        clean = tuple(count + 1 if ok else 0 for count, ok in zip(self.clean, clear, strict=True))
        since = tuple(then if count > 1 else now for count, then in zip(clean, self.since, strict=True))
        standing = [
            int(TIERS[i])
            for i in _TIER_PLACES
            if TIERS[i] <= self.severity and (clean[i] < CHECKS_TO_CLEAR or now - since[i] < patience[i])
        ]
        severity = max(standing, default=int(Severity.NONE))
        fell = severity < self.severity
        return _Record(severity, clean, since, self.shown, now, now if fell else self.lowered_at)

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"severity": self.severity, "clean": list(self.clean), "scored_at": self.scored_at}
        out |= {"since": list(self.since), "shown": [None if np.isinf(tau) else tau for tau in self.shown]}
        return out if self.lowered_at is None else out | {"lowered_at": self.lowered_at}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> _Record:
        shown = value.get("shown") or [None] * len(TIERS)  # a release that did not write it
        scored_at = float(value["scored_at"])
        since = value.get("since") or [scored_at] * len(TIERS)
        return cls(
            int(value["severity"]), tuple(int(v) for v in value["clean"]), tuple(float(at) for at in since),
            tuple(np.inf if tau is None else float(tau) for tau in shown), scored_at,
            None if value.get("lowered_at") is None else float(value["lowered_at"]),
        )  # fmt: skip


_Records = dict[str, dict[int, _Record]]


def verdict_of(scored: ScoredFamily) -> Verdict:
    """Return what a check says that stands alone: one that somebody asked for."""
    return Verdict(_fresh_severities(scored, scored.severity), frozenset(), None, scored.severity)


def track(
    previous: Mapping[str, Any] | None,
    scored: ScoredFamily,
    now: float,
    *,
    forget_after: float = 7 * 86400.0,
    confirm: tuple[int, int] = (1, 1),
) -> tuple[Verdict, dict[str, Any]]:
    """Take the earlier checks of a family into account.

    Parameters
    ----------
    previous : mapping or None
        The state that the check before this returned; None or empty for the first.
    scored : ScoredFamily
        What this check found.
    now : float
        Seconds since the epoch.
    forget_after : float
        Length of the longest window in seconds: for so long it matters when a feature was cleared.
    confirm : (int, int)
        ``(m, n)``: a severity is told once m of the last n checks found it. What is gross has its own rule.

    Returns
    -------
    Verdict, dict
        The verdict, and the new state, which is plain JSON: ``tests`` (by feature and test), ``gross`` (checks in a
        row that found a gross change), ``cleared_at`` (windows of a feature begin there; see :func:`cleared_times`),
        ``recent`` and ``gross_seen`` (what is still to be confirmed; see :mod:`~modelwatch.drift.confirm`).
    """
    previous = previous or {}
    confirmed, recent = confirm_found(previous.get("recent", {}), scored, confirm)
    gross, counts, seen = confirm_gross(previous.get("gross", {}), previous.get("gross_seen", {}), scored)
    severity = np.maximum(confirmed, np.where(gross, int(Severity.ERROR), 0))
    before = _read_records(previous.get("tests", {}), scored.features)
    after = _step(before, scored, severity, now)
    cleared = {name: at for name, at in cleared_times(previous, now).items() if now - at < forget_after}
    cleared |= {name: now for name in before if not any(r.severity for r in after.get(name, {}).values())}
    after = {name: records for name, records in after.items() if any(r.severity for r in records.values())}
    verdict = _verdict(scored, severity, before, after)
    state = {
        "tests": {n: {TESTS[t]: r.as_json() for t, r in records.items()} for n, records in after.items()},
        "gross": counts,
        "cleared_at": cleared,
    }
    return verdict, state | ({"recent": recent} if recent else {}) | ({"gross_seen": seen} if seen else {})


def cleared_times(state: Mapping[str, Any] | None, now: float) -> dict[str, float]:
    """Return, by feature, when it was cleared last: only rows since then count.

    Times ahead of `now`, as a clock that went back leaves them, become `now`: else the feature would not be looked at.
    """
    return {str(name): min(float(at), now) for name, at in ((state or {}).get("cleared_at") or {}).items()}


def clear_tiers(table: TestTable, severity: NDArray[np.int64]) -> tuple[BoolArray, NDArray[np.intp]]:
    """Return which tests are clear of which tier in this check.

    Parameters
    ----------
    table : TestTable
        What was measured, with the tolerances of each test.
    severity : ndarray of int, shape (windows, features, tests)
        Of this check: a window no longer than the deciding one that raises the tier contradicts.

    Returns
    -------
    clear, deciding : ndarray of bool and of int, shape (features, tests, tiers)
        And the place of the window that decided it.
    """
    d, k, s = table.d[..., None], table.k[..., None], table.evidence[..., None]
    raised = severity[..., None] >= np.array([int(tier) for tier in TIERS])
    tau = np.moveaxis(table.tau, 0, -1)
    heard = _deciding(table)
    sure = heard & (no_change_probability(k, s, tau) >= SURE)
    last = len(table.windows) - 1 - np.argmax(heard[::-1], axis=0)
    deciding = np.where(sure.any(axis=0), np.argmax(sure, axis=0), last)[None]

    # Against a small reference even endless clean data would not come within the tolerance, because the reference
    # itself is off by chance. There it must do that the distance is within it at best guess, or can't be told from
    # chance: else an alarm would never end.
    reference_s = (table.effect / np.where(table.m > 0, table.m, 1.0))[..., None]
    too_small = no_change_probability(k, reference_s, tau) < _REFERENCE_SURE
    good_enough = (d - k * s <= tau) | (chdtrc(k, d / s) > 1.0 - _REFERENCE_SURE)
    clean = heard & (within_tolerance(d, k, s, tau) | (too_small & good_enough))
    clean &= d - k * s <= _strictest(tau, raised, table.watched)

    # A shorter window may be too small to raise a tier anew, and still say that it is not over.
    raised = raised | (heard & (large_gate(d, k, s, tau) <= 1.0 - CONFIDENCE))
    raised = np.logical_or.accumulate(raised, axis=0)
    clear = np.take_along_axis(clean & ~raised, deciding, axis=0)[0]
    return np.asarray(clear), deciding[0]


def _patience(table: TestTable, deciding: NDArray[np.intp], shown: FloatArray) -> FloatArray:
    """Return for how many seconds a tier has to be clear: (features, tests, tiers).

    If the deciding window tolerates more than any that found the tier, then twice as long as the longest window of
    which that is true: of a feature that wanders from day to day all hours of a day say the same. Else checks alone
    are counted.
    """
    tau = np.moveaxis(table.tau, 0, -1)
    wide = tau > shown * (1.0 + 1e-9)
    lengths = np.array([window.end - window.start for window in table.windows])[:, None, None, None]
    longest = np.where(wide, lengths, 0.0).max(axis=0)
    decided = np.take_along_axis(wide, deciding[None], axis=0)[0]
    return np.asarray(np.where(decided, (CHECKS_TO_CLEAR - 1) * longest, 0.0))


def _strictest(tau: FloatArray, raised: BoolArray, watched: int) -> FloatArray:
    """Return the least tolerance of the windows that raise and are as long or longer; no limit where none does.

    An hour varies more by nature than a day. What it tolerates may be just what the day has found; so at best guess it
    has to be within what the day tolerates.
    """
    found = np.where(raised, tau, np.inf)
    found[:watched] = np.inf
    out = np.minimum.accumulate(found[::-1], axis=0)[::-1]
    out[:watched] = np.inf
    return np.asarray(out)


def _deciding(table: TestTable) -> BoolArray:
    """Return which windows may decide of each test whether it is clear of a tier: (windows, features, tests, tiers).

    A shape in a window that is only watched tells what is gross, which is an error, and no more than that; where there
    is nothing but watched windows, that has to do.
    """
    heard = np.repeat(table.tested[..., None], len(TIERS), axis=-1)
    if 0 < table.watched < len(table.windows):
        scored = table.tested[table.watched :, :, SHAPE_TEST].any(axis=0)
        heard[: table.watched, :, SHAPE_TEST, 0] &= ~scored
    return heard


def _read_records(stored: Mapping[str, Mapping[str, Any]], features: Sequence[str]) -> _Records:
    known = set(features) if stored else ()
    return {
        name: {TESTS.index(test): _Record.from_json(value) for test, value in tests.items() if test in TESTS}
        for name, tests in stored.items()
        if name in known
    }


def _step(before: _Records, scored: ScoredFamily, severity: NDArray[np.int64], now: float) -> _Records:
    """Return every record after this check: those that were there, and those of tests that now raise a severity."""
    raised = severity >= Severity.WARNING
    if not before and not raised.any():  # so it is of most checks
        return {}
    places = {name: f for f, name in enumerate(scored.features)}
    after: _Records = {name: dict(records) for name, records in before.items()}
    if scored.table is None:
        return {n: {t: _hold(r, now) for t, r in records.items()} for n, records in after.items()}
    new = _Record(int(Severity.NONE), (0,) * len(TIERS), (now,) * len(TIERS), (0.0,) * len(TIERS), now)
    for f, t in np.argwhere(raised.any(axis=0)):
        after.setdefault(scored.features[f], {}).setdefault(int(t), new)
    shown = _shown(after, places, scored.table, severity)
    clear, deciding = clear_tiers(scored.table, severity)
    patience = _patience(scored.table, deciding, shown)
    usable = np.asarray(scored.table.tested.any(axis=0))
    starts = np.array([window.start for window in scored.table.windows])
    for name, records in after.items():
        f = places[name]
        for t, record in records.items():
            if usable[f, t]:
                record = replace(record, shown=tuple(shown[f, t].tolist()))
                heard = record.heard(severity[:, f, t], starts)
                records[t] = record.next(heard, clear[f, t].tolist(), patience[f, t].tolist(), now)
            else:
                records[t] = _hold(record, now)
    return after


def _shown(records: _Records, places: Mapping[str, int], table: TestTable, severity: NDArray[np.int64]) -> FloatArray:
    """Return by feature, test and tier the largest tolerance of a window that found it, now or earlier."""
    found = severity[..., None] >= np.array([int(tier) for tier in TIERS])
    out = np.where(found, np.moveaxis(table.tau, 0, -1), 0.0).max(axis=0)
    for name, tests in records.items():
        for t, record in tests.items():
            out[places[name], t] = np.maximum(out[places[name], t], record.shown)
    return np.asarray(out)


def _hold(record: _Record, now: float) -> _Record:
    if now - record.scored_at <= HOLD_SECONDS:
        return record
    return replace(record, severity=int(Severity.NONE))


def _fresh_severities(scored: ScoredFamily, severity: NDArray[np.int64]) -> dict[str, Severity]:
    if scored.table is None:
        return {}
    worst = severity.max(axis=(0, 2), initial=0)
    made = scored.table.usable[scored.table.watched :].any(axis=(0, 2)) | (worst > Severity.NONE)
    if made.all() and not worst.any():
        return dict.fromkeys(scored.features, Severity.NONE)
    found = zip(scored.features, worst.tolist(), made.tolist(), strict=True)
    return {name: _SEVERITIES[severity] for name, severity, told in found if told}


def _verdict(scored: ScoredFamily, severity: NDArray[np.int64], before: _Records, after: _Records) -> Verdict:
    """Join what is remembered from warning up with the info of this check, which is not held.

    A feature that was just cleared says nothing: its longer windows still hold the bad rows, until the next check.
    """
    found = _fresh_severities(scored, np.minimum(severity, int(Severity.INFO)))
    found |= dict.fromkeys([name for name in before if name in found], Severity.NONE)
    usable = None if scored.table is None else np.asarray(scored.table.tested.any(axis=0))
    held, scored_at = set(), []
    for name, records in after.items():
        worst = max(record.severity for record in records.values())
        found[name] = Severity(worst)
        f = scored.features.index(name)
        bad = [t for t, record in records.items() if record.severity == worst]
        if usable is None or not usable[f, bad].any():
            held.add(name)
            scored_at += [records[t].scored_at for t in bad]
    return Verdict(found, frozenset(held), max(scored_at, default=None), severity)
