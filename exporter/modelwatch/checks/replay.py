"""The scheduled checks of a time that is over: the whole rule over counts by interval in memory.

What it takes is the work of the scheduled check, done by the same functions; only the statistics of many checks are
computed at once. Where a feature is cleared on the way, its later windows hold fewer rows and are measured again.
How features go together is replayed where rows are given, of which counts know nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.checks.common import (
    FAMILIES,
    MULTIVARIATE,
    NO_REFERENCE_PREDICTIONS,
    Rule,
    Subject,
    members_of,
    rule_of,
)
from modelwatch.checks.multivariate import constants_of, replayed_multivariate
from modelwatch.drift.family import ScoredFamily, found_severities, judge, measured, ready_in, unscored
from modelwatch.drift.reference import reference_cells, strata_of
from modelwatch.drift.table import TestTable, measure
from modelwatch.drift.tracking import Verdict, cleared_times, track
from modelwatch.policy import Severity
from modelwatch.records import FamilyResult, FloatArray, WindowCounts
from modelwatch.windows.scored import EXTENDED_SECONDS
from modelwatch.windows.store import LOOK_BACK_SECONDS
from modelwatch.windows.sums import RunningSums
from modelwatch.windows.together import RowPieces, Together

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["Step", "replay", "together_of"]

CHECKS_AT_ONCE = 48


class Step(NamedTuple):
    """One check: when it was made, and by kind of drift what it found and what it says."""

    now: float
    families: dict[str, tuple[ScoredFamily, Verdict]]
    multivariate: FamilyResult | None = None
    """How features go together; None where no rows are given."""


@dataclass(frozen=True)
class _Series:
    """Counts by interval."""

    starts: FloatArray
    rows: FloatArray
    cells: NDArray[Any]
    sums: FloatArray


@dataclass(frozen=True)
class _Subject:
    """What is replayed, by which rule."""

    profile: ReferenceProfile
    config: ModelMonitoringConfig
    rule: Rule
    members: Mapping[str, Sequence[int]]


def replay(
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    starts: ArrayLike,
    rows: ArrayLike,
    cells: ArrayLike,
    sums: ArrayLike | None = None,
    *,
    first: float | None = None,
    until: float | None = None,
    together: Together | None = None,
) -> Iterator[Step]:
    """Check a recorded time again, as the scheduled checks would have.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    config : ModelMonitoringConfig
        ``interval_seconds``, ``drift``, ``features``.
    starts : array_like, shape (T,)
        When each interval began, seconds since the epoch, ascending. Intervals without rows may be left out.
    rows : array_like, shape (T,)
        Rows of each interval.
    cells : array_like, shape (T, layout.size)
        Counts over the cells of the profile's layout.
    sums : array_like or None, shape (T, members)
        Sums of in-range values, where they are known; they tell how a mean moved, and decide nothing.
    first : float or None
        When the first check is made; None for one interval between checks after the first of `starts`.
    until : float or None
        No check is made later; None for the end of the last interval.
    together : Together or None
        How the features of the rows behind the counts go together; see :func:`together_of`.

    Yields
    ------
    Step
        One for each check: ``now, families, multivariate``; ``families["data"]`` is a pair of ScoredFamily and Verdict.

    Examples
    --------
    >>> from modelwatch import ModelMonitoringConfig, ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.random.default_rng(0).normal(40, 10, 20_000)})
    >>> hours = np.tile(profile.counts // 20, (72, 1))  # three days like the reference,
    >>> hours[60:, :5] *= 2  # of which the last twelve hours are younger
    >>> steps = list(replay(profile, ModelMonitoringConfig(model_id="m"), np.arange(72) * 3600.0, hours.sum(1), hours))
    >>> [step.families["data"][1].feature_severity["age"].label for step in (steps[30], steps[-1])]
    ['none', 'warning']
    """
    at = np.asarray(starts, dtype=np.float64)
    if not len(at):
        return
    given = np.zeros((len(at), 0)) if sums is None else np.asarray(sums, dtype=np.float64)
    series = _Series(at, np.asarray(rows, dtype=np.float64), np.asarray(cells), given)
    subject = _Subject(profile, config, rule_of(config, profile), {n: members_of(n, profile, config) for n in FAMILIES})
    times = _times(at, config, first, until)
    running = RunningSums(series, profile, strata_of(profile, config.drift), _borders(times, subject.rule))
    state: dict[str, dict[str, Any]] = {}
    for place in range(0, len(times), CHECKS_AT_ONCE):
        block = _Block(subject, running, at, times[place : place + CHECKS_AT_ONCE], _cleared(state))
        for i, now in enumerate(block.times):
            block.clear(_cleared(state), i)
            families = {}
            for name in FAMILIES:
                found = block.scored(name, i)
                verdict, state[name] = track(
                    state.get(name), found, now, forget_after=subject.rule.forget_after, confirm=config.drift.confirming
                )
                families[name] = (found, verdict)
            if together is None:
                yield Step(now, families)
                continue
            drifting = {f for f, s in families["data"][1].feature_severity.items() if s >= Severity.WARNING}
            family, state[MULTIVARIATE] = replayed_multivariate(
                together, Subject(config, "", profile, now, 0.0), block.windows(i), subject.rule,
                state.get(MULTIVARIATE), drifting, cleared_times(state["data"], now),
            )  # fmt: skip
            yield Step(now, families, family)


def together_of(
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    starts: FloatArray,
    pieces: RowPieces,
    *,
    first: float | None = None,
    until: float | None = None,
) -> Together | None:
    """Sum up how the features of rows go together, for the checks that :func:`replay` makes with the same arguments.

    Parameters
    ----------
    profile, config, starts, first, until
        As for :func:`replay`.
    pieces : RowPieces
        The rows: their times and columns, in pieces of any size.

    Returns
    -------
    Together or None
        None where correlations are not what the scheduled check looks at, or the reference does not know any.
    """
    constants = constants_of(profile, config)
    if config.drift.multivariate != "correlation" or constants is None or not len(starts):
        return None
    times = _times(starts, config, first, until)
    return Together(profile, constants, _borders(times, rule_of(config, profile)), pieces)


def _times(starts: FloatArray, config: ModelMonitoringConfig, first: float | None, until: float | None) -> list[float]:
    """Return when checks are made."""
    every = config.interval_seconds
    begin = float(starts[0]) + every if first is None else first
    end = float(starts[-1]) + config.drift.count_interval_seconds if until is None else until
    return [begin + i * every for i in range(int((end - begin) / every + 1e-9) + 1)]


def _borders(times: Sequence[float], rule: Rule) -> FloatArray:
    """Return where windows begin and end; features are cleared by checks."""
    lengths = [0.0, *rule.lengths.values(), EXTENDED_SECONDS]
    return np.asarray(np.subtract.outer(np.array(times), np.array(lengths)).ravel())


def _cleared(state: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return, by feature, when it was cleared last."""
    out: dict[str, float] = {}
    for name in FAMILIES:
        out |= cleared_times(state.get(name), np.inf)
    return out


class _Block:
    """The windows and statistics of some checks that follow one another."""

    def __init__(
        self,
        subject: _Subject,
        running: RunningSums,
        starts: FloatArray,
        times: Sequence[float],
        cleared: dict[str, float],
    ) -> None:
        self.times = times
        self._subject, self._running, self._cleared = subject, running, cleared
        self._began = [_began(starts, now, subject) for now in times]
        self._windows = [self._windows_at(i) for i in range(len(times))]
        reference = self._reference(0)
        self._tables = {
            name: self._measure(members, 0, reference) for name, members in subject.members.items() if members
        }

    def _windows_at(self, i: int) -> list[WindowCounts]:
        rule = self._subject.rule
        return self._running.windows(rule.lengths, self.times[i], self._began[i], self._cleared, rule.least_rows)

    def windows(self, i: int) -> list[WindowCounts]:
        """Return the windows of a check."""
        return self._windows[i]

    def _flat(self, first: int) -> list[WindowCounts]:
        return [window for some in self._windows[first:] for window in some]

    def _reference(self, first: int) -> FloatArray:
        return reference_cells(self._subject.profile, self._flat(first), self._subject.config.drift)

    def _measure(self, members: Sequence[int], first: int, reference: FloatArray) -> TestTable:
        profile, config = self._subject.profile, self._subject.config
        return measure(profile, self._flat(first), members, config.drift, reference=reference)

    def clear(self, cleared: dict[str, float], first: int) -> None:
        """Count and measure again, from a check on, the features that were cleared since."""
        changed = {name for name, at in cleared.items() if self._cleared.get(name) != at}
        if not changed:
            return
        self._cleared = cleared
        self._windows[first:] = [self._windows_at(i) for i in range(first, len(self.times))]
        reference = self._reference(first)
        for name, members in self._subject.members.items():
            columns = [c for c, i in enumerate(members) if self._subject.profile.layout.members[i].name in changed]
            if columns:
                again = self._measure([members[c] for c in columns], first, reference)
                self._tables[name] = self._tables[name].with_columns(again, columns)

    def scored(self, name: str, i: int) -> ScoredFamily:
        """Return what a check finds of one kind of drift."""
        subject, rule, windows = self._subject, self._subject.rule, self._windows[i]
        if name == "prediction" and not subject.members[name]:
            return unscored(name, "no_reference", NO_REFERENCE_PREDICTIONS)
        ready = ready_in(windows, subject.config.drift, candidates=rule.candidates, only_full=rule.only_full)
        looked_at = {window.window for window in (*ready.watched, *ready.scored)}
        places = [i * len(windows) + w for w, window in enumerate(windows) if window.window in looked_at]
        found = measured(
            name, subject.profile, ready, subject.config.drift, subject.members[name], self._tables.get(name), places,
            only_full=rule.only_full,
        )  # fmt: skip
        return judge(found, found_severities(found, rule.budget), rule.cap)


def _began(starts: FloatArray, now: float, subject: _Subject) -> float:
    """Return when recording began, as far back as a check looks for it; see windows.store.recording_began."""
    since = now - 2.0 * max(subject.rule.lengths.values()) - LOOK_BACK_SECONDS
    place = int(np.searchsorted(starts, since - subject.config.drift.count_interval_seconds, side="right"))
    return float(starts[place]) if place < len(starts) and starts[place] < now else min(float(starts[0]), now)
