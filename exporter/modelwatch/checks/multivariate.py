"""Drift between features as a part of a check: which rows are looked at, and why nothing is said where that is so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from modelwatch.checks.common import MULTIVARIATE, Rule, Subject
from modelwatch.drift.decision import ASKED_BUDGET, window_budget
from modelwatch.drift.domain import judge_domain
from modelwatch.drift.multivariate import Judged, Measured, judge, measure, measure_sums, top_changes
from modelwatch.drift.readiness import in_unit_of, ready_windows
from modelwatch.drift.remembered import Remembered, cleared_at, remember
from modelwatch.exceptions import MissingPackageError
from modelwatch.policy import Severity
from modelwatch.profile.learn_correlation import least_rows
from modelwatch.records import FamilyResult, WindowCounts
from modelwatch.windows.rows import WindowRows, window_rows
from modelwatch.windows.scored import UNSEASONAL_SECONDS, candidates

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.correlation import CorrelationConstants
    from modelwatch.store.queries import StoreQueries
    from modelwatch.windows.dataframe import Batch
    from modelwatch.windows.together import Together

__all__ = ["asked_multivariate", "constants_of", "replayed_multivariate", "scheduled_multivariate"]

NO_CORRELATIONS = (
    "the reference does not know how its inputs go together: it was built by an older release, or has fewer than two"
    " inputs that vary"
)
NO_ROWS = "rows are not stored (log_predictions: false), and counts by input don't tell how inputs go together"
TOO_FEW_EARLIER = "too few rows are stored from before the window, or fewer than two inputs, to compare"
TOO_FEW_INPUTS = "fewer than two inputs to compare"

FAILED = "failed"
EARLIER_SECONDS = 30 * 86400.0
"""How far back before a window the rows lie that a domain classifier compares it with."""

Found = list[tuple[Measured | None, Judged]]


class Rows(Protocol):
    """Where the rows of windows come from."""

    def judged(
        self, names: Sequence[str], start: float, window: str, seconds: float, level: float, least: float
    ) -> tuple[float, Found]:
        """Return how many independent rows came since `start`, and what they are worth, if they say anything.

        Parameters
        ----------
        names : sequence of str
            The features that are compared.
        start : float
            Seconds since the epoch.
        window, seconds : str, float
            The window, and the time that its rows come from.
        level : float
            Of the test.
        least : float
            Of fewer rows nothing is said.
        """


def constants_of(profile: ReferenceProfile, config: ModelMonitoringConfig) -> CorrelationConstants | None:
    """Return what the rows of scheduled checks are compared with: by their hours, where these are known."""
    by_hour = profile.correlation_by_hour if config.drift.strata != "none" else None
    return profile.correlation if by_hour is None else by_hour


def scheduled_multivariate(
    queries: StoreQueries,
    subject: Subject,
    windows: Sequence[WindowCounts],
    rule: Rule,
    state: Mapping[str, Any] | None,
    drifting: Collection[str],
    cleared: Mapping[str, float],
) -> tuple[FamilyResult, dict[str, Any]]:
    """Score how the features of the recorded windows go together.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    subject : Subject
        Whose check it is; with a profile.
    windows : sequence of WindowCounts
        Those that are looked at, ascending.
    rule : Rule
        Their lengths, and the chance of a false alarm that this version may take.
    state : mapping or None
        What the check before this remembered.
    drifting : collection of str
        Features that drift by themselves. That is told already, and it changes their correlations too; so they are
        left out here.
    cleared : mapping of str to float
        When the drift of a feature by itself ended: earlier rows of it, which longer windows still hold, are not to be
        told a second time.

    Returns
    -------
    FamilyResult, dict
        The outcome, and the state for the next check.
    """
    stored = subject.config.log_predictions
    return _checked(_StoredRows(queries, subject) if stored else None, subject, windows, rule, state, drifting, cleared)


def replayed_multivariate(
    together: Together,
    subject: Subject,
    windows: Sequence[WindowCounts],
    rule: Rule,
    state: Mapping[str, Any] | None,
    drifting: Collection[str],
    cleared: Mapping[str, float],
) -> tuple[FamilyResult, dict[str, Any]]:
    """Score the same of a past time, of which sums of the scores of rows are there: of all rows, not a part of many.

    Parameters are those of :func:`scheduled_multivariate`, but for `together`. What a domain classifier would find is
    not replayed: the correlations are.
    """
    return _checked(_SummedRows(together, subject.now), subject, windows, rule, state, drifting, cleared)


def _checked(
    rows: Rows | None,
    subject: Subject,
    windows: Sequence[WindowCounts],
    rule: Rule,
    state: Mapping[str, Any] | None,
    drifting: Collection[str],
    cleared: Mapping[str, float],
) -> tuple[FamilyResult, dict[str, Any]]:
    """Score the windows; without rows, say so."""
    profile = subject.profile
    assert profile is not None
    found: Found = []
    refused, names = _refused(profile, subject.config.features.exclude, drifting)
    ends = [cleared_at(state, subject.now), *(cleared.get(name) for name in names)]
    since = max((end for end in ends if end is not None), default=None)
    if rows is None:
        refused = refused or ("insufficient_data", NO_ROWS)
    elif refused is None:
        refused, found = _scored(rows, subject, windows, rule, names, since)
    verdict, memory = remember(state, [judged for _, judged in found], subject.now, forget_after=rule.forget_after)
    return _result(refused or ("ok", _left_out(drifting)), found, verdict, subject.now), memory


def asked_multivariate(
    subject: Subject, batch: Batch, drifting: Collection[str], budget: float = ASKED_BUDGET
) -> FamilyResult:
    """Score how the features of a batch go together: at the level of one check, without memory.

    Parameters
    ----------
    subject : Subject
        Whose check it is; with a profile.
    batch : Batch
        The rows.
    drifting : collection of str
        Features that drift by themselves, which are left out.
    budget : float
        The chance of a false alarm, over all kinds of drift.
    """
    profile = subject.profile
    assert profile is not None
    refused, names = _refused(profile, {*subject.config.features.exclude, *batch.absent}, drifting)
    found: Found = []
    rows, repeats = batch.held, batch.counts.repeats
    if refused is None and rows / repeats < least_rows(len(names)):
        refused = "insufficient_data", f"needs {least_rows(len(names))} rows, has {int(rows / repeats)}"
    if refused is None:
        measured = measure(
            profile, {name: batch.columns[name] for name in names}, rows, batch.counts.window, repeats=repeats
        )
        level = window_budget(MULTIVARIATE, budget, 1)
        if measured is None:
            refused = "insufficient_data", TOO_FEW_INPUTS
        else:
            found = [(measured, judge(measured, level, UNSEASONAL_SECONDS))]
    severity = max((judged.test.severity for _, judged in found), default=Severity.NONE)
    verdict = Remembered(severity, False, None)
    return _result(refused or ("ok", _left_out(drifting)), found, verdict, subject.now)


def _refused(
    profile: ReferenceProfile, excluded: Collection[str], drifting: Collection[str]
) -> tuple[tuple[str, str] | None, list[str]]:
    """Return state and reason if nothing can be scored whatever the rows are, and else which features are compared."""
    constants = profile.correlation
    if constants is None:
        return ("no_reference", NO_CORRELATIONS), []
    names = [name for name in constants.features if name not in excluded and name not in drifting]
    if len(names) >= 2:
        return None, names
    return ("insufficient_data", "; ".join(filter(None, (TOO_FEW_INPUTS, _left_out(drifting))))), []


def _left_out(drifting: Collection[str]) -> str:
    shown = sorted(drifting)[:5]
    more = f" and {len(drifting) - len(shown)} more" if len(drifting) > len(shown) else ""
    return f"left out, as they drift by themselves: {', '.join(shown)}{more}" if shown else ""


def _scored(
    rows: Rows,
    subject: Subject,
    windows: Sequence[WindowCounts],
    rule: Rule,
    names: Sequence[str],
    since: float | None,
) -> tuple[tuple[str, str] | None, Found]:
    """Return why nothing was scored, or the windows that were."""
    config, profile, lengths = subject.config, subject.profile, rule.lengths
    assert profile is not None
    constants = constants_of(profile, config)
    assert constants is not None
    least = max(least_rows(len(names)), config.drift.min_rows)
    learnt = bool(constants.natural)
    ready = ready_windows(
        windows, least, seconds=dict(lengths), candidates=candidates(config.drift, lengths, calibrated=learnt),
        only_full=not learnt,
    )  # fmt: skip
    if not ready.scored:
        return (ready.state, ready.reason), []
    level = window_budget(MULTIVARIATE, rule.budget, len(ready.scored))
    found: Found = []
    most = 0
    for window in ready.scored:
        # The longest one begins earlier where few rows come.
        start = max(min(subject.now - lengths[window.window], window.start), since or 0.0)
        # What is natural goes by the time that rows come from: less than the window's where recording is young.
        seconds = subject.now - max(start, window.start)
        try:
            held, judged = rows.judged(names, start, window.window, seconds, level, least)
        except MissingPackageError as error:
            return (FAILED, str(error)), []
        most, found = max(most, int(held)), found + judged
    return (None if found else _why_nothing(subject, most, least, since)), found


def _why_nothing(subject: Subject, stored: int, least: float, since: float | None) -> tuple[str, str]:
    if stored >= least:
        earlier = subject.config.drift.multivariate == "domain_classifier"
        return "insufficient_data", TOO_FEW_EARLIER if earlier else TOO_FEW_INPUTS
    after = f" that came after {in_unit_of(subject.now - since, subject.now - since)} ago" if since else ""
    return "insufficient_data", f"needs {least:.0f} stored rows{after}, has {stored}"


@dataclass(frozen=True)
class _StoredRows:
    """The stored rows of a model version."""

    queries: StoreQueries
    subject: Subject

    def judged(
        self, names: Sequence[str], start: float, window: str, seconds: float, level: float, least: float
    ) -> tuple[float, Found]:
        """See :class:`Rows`; by the method that is configured."""
        read, profile = self._between(names, start, self.subject.now), self.subject.profile
        assert profile is not None
        if read.independent < least:
            return read.independent, []
        if self.subject.config.drift.multivariate == "domain_classifier":
            before = self._between(names, start - EARLIER_SECONDS, start)
            judged = judge_domain(profile, (read.columns, read.rows), (before.columns, before.rows), window, level)
            return read.independent, [] if judged is None else [(None, judged)]
        by_hour = constants_of(profile, self.subject.config) is profile.correlation_by_hour
        measured = measure(
            profile, read.columns, read.rows, window, repeats=read.repeats, seconds=read.times if by_hour else None
        )
        return read.independent, _worth(measured, level, seconds)

    def _between(self, names: Sequence[str], start: float, end: float) -> WindowRows:
        config = self.subject.config
        return window_rows(
            self.queries,
            config.model_id,
            self.subject.model_version,
            names,
            start,
            end,
            entity=config.drift.entity,
        )


@dataclass(frozen=True)
class _SummedRows:
    """Rows of a past time, of which sums are there."""

    together: Together
    now: float

    def judged(
        self, names: Sequence[str], start: float, window: str, seconds: float, level: float, least: float
    ) -> tuple[float, Found]:
        """See :class:`Rows`."""
        sums = self.together.between(start, self.now)
        if sums.n < least:
            return sums.n, []
        return sums.n, _worth(measure_sums(self.together.constants, sums, names, window), level, seconds)


def _worth(measured: Measured | None, level: float, seconds: float) -> Found:
    return [] if measured is None else [(measured, judge(measured, level, seconds))]


def _result(told: tuple[str, str], found: Found, verdict: Remembered, now: float) -> FamilyResult:
    state, reason = told
    if verdict.held:
        passed = max(now - (verdict.scored_at or now), 0.0)
        state, reason = "held", f"{reason or 'too few rows to score'}; last scored {in_unit_of(passed, passed)} ago"
    elif verdict.severity >= Severity.WARNING:
        state = "drift"
    tests = tuple(judged.test for _, judged in found)
    worst = min(found, key=lambda one: (-one[1].test.severity, one[1].test.p_value), default=None)
    told_of = worst is not None and verdict.severity >= Severity.INFO
    return FamilyResult(
        drift_type=MULTIVARIATE,
        state=state,
        severity=verdict.severity,
        reason=reason,
        tests=tests,
        feature_severity={"": verdict.severity} if found or verdict.held else {},
        pairs=top_changes(worst[0]) if worst is not None and worst[0] is not None and told_of else (),
    )
