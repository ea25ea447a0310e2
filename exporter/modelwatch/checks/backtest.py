"""The whole rule over a time that is over: which alarms there would have been, and what would have prevented them.

Three replays: as configured; with the features that alarmed tolerated entirely, which shows every distance that a
tolerance would have to bear when no alarm cuts a window short; and with the tolerances that follow, as a proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.common import FAMILIES, MULTIVARIATE, Subject, family_of, result_of
from modelwatch.checks.replay import Step, together_of
from modelwatch.checks.silencing import Key, is_silent, needed_tolerances, steps_of, with_tolerance
from modelwatch.drift.pair_words import changed_together, foremost_test, summary_words
from modelwatch.drift.report import drift_report
from modelwatch.policy import Severity
from modelwatch.records import FamilyResult, FloatArray, prediction_words

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.values import CountSeries
    from modelwatch.windows.together import RowPieces

__all__ = ["Backtest", "Episode", "Suggestion", "Timeline", "backtest", "with_tolerance"]

TOGETHER = "inputs together"
"""What multivariate drift is called where a feature has a name."""
_TOLD = 3
"""Features whose change is told in words."""


@dataclass(frozen=True)
class Episode:
    """An alarm from its begin to its end.

    Attributes
    ----------
    drift_type : str
        "data", "prediction" or "multivariate".
    start, end : float
        Checks at which it began and was over, seconds since the epoch; `end` is None if it was not over at the last.
    checks : int
        How many checks it lasted.
    severity : Severity
        The worst.
    features : tuple of str
        All that drifted in it, those of the worst check first; "prediction" for the prediction. Of multivariate drift,
        those of the pairs that changed most.
    window : str
        In which window the worst feature was found.
    words : str
        What the worst check said.
    """

    drift_type: str
    start: float
    end: float | None
    checks: int
    severity: Severity
    features: tuple[str, ...]
    window: str
    words: str


@dataclass(frozen=True)
class Suggestion:
    """From which tolerance on a feature would not have alarmed.

    Attributes
    ----------
    feature : str
        Its name; "prediction" for the prediction and "top score" for its score, which have no tolerance of their own,
        as "inputs together" has none.
    drift_type : str
        "data", "prediction" or "multivariate".
    checks : int
        In how many checks it was in alarm.
    tolerance : float or None
        A Jensen–Shannon distance; None if none would do.
    """

    feature: str
    drift_type: str
    checks: int
    tolerance: float | None


@dataclass(frozen=True)
class Timeline:
    """Severities by check.

    Attributes
    ----------
    times : ndarray, shape (checks,)
        Seconds since the epoch.
    names : tuple of str
        What alarmed at some time, in order of the first time.
    severity : ndarray of int, shape (names, checks)
        Values of :class:`~modelwatch.policy.Severity`.
    """

    times: FloatArray
    names: tuple[str, ...]
    severity: NDArray[np.int64]


@dataclass(frozen=True)
class Backtest:
    """What a time would have brought.

    Attributes
    ----------
    model_id, model_version, profile : str
        Whose; the first characters of the profile's id.
    calibrated : bool
        Whether tolerances are learnt from timestamps.
    interval : float
        Seconds between checks.
    checks, scored : int
        How many checks, and how many of them could score anything.
    rows : float
        Rows in that time.
    reason : str
        Why checks could not score anything, if some could not.
    episodes : tuple of Episode
        In order of time.
    suggestions : tuple of Suggestion
        By feature, the longest in alarm first.
    tolerance : dict of str to float
        ``drift.tolerance`` that would have kept the features silent: what is configured and what is suggested.
    silent : bool
        Whether a replay with it brought no alarm of a feature.
    fixed : bool
        Whether there are ``drift.fixed_thresholds``, which go over any tolerance.
    unseen : str
        What the scheduled checks look at and this did not, as a phrase; "" if nothing.
    timeline : Timeline
        For a picture.
    """

    model_id: str
    model_version: str
    profile: str
    calibrated: bool
    interval: float
    checks: int
    scored: int
    rows: float
    reason: str
    episodes: tuple[Episode, ...]
    suggestions: tuple[Suggestion, ...]
    tolerance: dict[str, float]
    silent: bool
    fixed: bool
    unseen: str
    timeline: Timeline


def backtest(
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    series: CountSeries,
    *,
    model_version: str = "",
    first: float | None = None,
    until: float | None = None,
    rows: RowPieces | None = None,
) -> Backtest:
    """Check a time again and say what would have alarmed.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    config : ModelMonitoringConfig
        ``interval_seconds``, ``drift``, ``features``.
    series : CountSeries
        Counts over the profile's cells. What lies before `first` fills the windows of the first checks.
    model_version : str
        Whose counts these are.
    first, until : float or None
        Of the first check and the last, seconds since the epoch; None for all that there is.
    rows : RowPieces or None
        The rows behind the counts, for how features go together: pieces of times and columns.

    Returns
    -------
    Backtest
    """
    times = (first, until)
    found = _Run(profile, config, model_version)
    together = None
    if rows is not None:
        together = together_of(profile, config, series.starts, rows, first=first, until=until)
    for step in steps_of(profile, config, series, times, together):
        found.add(step)
    alarmed = found.alarmed()
    features = {key: checks for key, checks in alarmed.items() if key[0] in FAMILIES}
    needed = needed_tolerances(profile, config, series, times, features) if features else {}
    suggestions = tuple(Suggestion(_named(k, n), k, checks, needed.get((k, n))) for (k, n), checks in alarmed.items())
    tolerance = dict(config.drift.tolerance)
    tolerance |= {s.feature: s.tolerance for s in suggestions if s.tolerance is not None and s.drift_type == "data"}
    return Backtest(
        model_id=config.model_id,
        model_version=model_version,
        profile=profile.id[:8],
        calibrated=profile.calibrated,
        interval=config.interval_seconds,
        checks=len(found.times),
        scored=found.scored,
        rows=float(series.rows[series.starts >= (-np.inf if first is None else first - config.interval_seconds)].sum()),
        reason=found.reason,
        episodes=found.finished(),
        suggestions=suggestions,
        tolerance=tolerance,
        silent=not features or is_silent(profile, with_tolerance(config, tolerance), series, times),
        fixed=bool(config.drift.fixed_thresholds),
        unseen=_unseen(profile, config, None if together is None else together.rows),
        timeline=found.timeline(),
    )


def _unseen(profile: ReferenceProfile, config: ModelMonitoringConfig, rows: float | None) -> str:
    """Say what the scheduled checks look at besides."""
    drift, out = config.drift, []
    if drift.multivariate == "domain_classifier":
        out.append("what the domain classifier would find")
    elif drift.multivariate == "correlation" and profile.correlation is not None and not rows:
        out.append("how inputs go together (no rows are stored)")
    out += ["segments"] if config.segments else []
    out += [f"version {drift.compare.baseline_version} beside it"] if drift.compare is not None else []
    return ", ".join(out)


def _named(kind: str, name: str) -> str:
    if kind == MULTIVARIATE:
        return TOGETHER
    return prediction_words(name) if kind == "prediction" else name


def _severities(step: Step) -> dict[str, Severity]:
    """Return by kind of drift what a check says; data alone are kept at error, as there."""
    worst = {kind: max(v.feature_severity.values(), default=Severity.NONE) for kind, (_, v) in step.families.items()}
    if worst["prediction"] < Severity.WARNING:
        worst["data"] = min(worst["data"], Severity.ERROR)
    if step.multivariate is not None:
        worst[MULTIVARIATE] = step.multivariate.severity
    return worst


def _why(report: Mapping[str, Any]) -> str:
    """Say how a feature moved, and how far beyond its tolerance that was."""
    far = f"JS {report['score']:.2f}, tolerance {report['threshold']:.2f}" if "score" in report else ""
    return " · ".join(part for part in (str(report.get("change", "")), far) if part)


def _distance(step: Step) -> float:
    """Return how far the features of a check were from going together as they did."""
    test = None if step.multivariate is None else foremost_test(step.multivariate)
    return 0.0 if test is None else test.score


def _told_together(family: FamilyResult) -> tuple[list[str], str, str]:
    """Return the same of multivariate drift: features, window, words."""
    test = foremost_test(family)
    far = "" if test is None else f"{test.score:.2f}, tolerance {test.threshold:.2f}"
    words = " · ".join(filter(None, (summary_words(family), far)))
    return changed_together(family) or [TOGETHER], "" if test is None else test.window, words


@dataclass
class _Open:
    """An alarm that goes on: its worst check so far, and all that drifted."""

    start: float
    peak: Step
    rank: tuple[int, float]
    features: dict[str, None] = field(default_factory=dict)
    checks: int = 0


class _Run:
    """What is gathered over the checks of a replay."""

    def __init__(self, profile: ReferenceProfile, config: ModelMonitoringConfig, model_version: str) -> None:
        self.times: list[float] = []
        self.scored = 0
        self.reason = ""
        self._subject = (config, model_version, profile)
        self._open: dict[str, _Open] = {}
        self._done: list[Episode] = []
        self._bad: list[dict[Key, Severity]] = []

    def add(self, step: Step) -> None:
        """Take a check into account."""
        self.times.append(step.now)
        scored = any(found.table is not None for found, _ in step.families.values())
        self.scored += scored
        self.reason = self.reason if scored else step.families["data"][0].reason or self.reason
        told: dict[str, Mapping[str, Severity]]
        told = {kind: verdict.feature_severity for kind, (_, verdict) in step.families.items()}
        if step.multivariate is not None:
            told[MULTIVARIATE] = step.multivariate.feature_severity
        self._bad.append(
            {
                (kind, name): severity
                for kind, by_feature in told.items()
                for name, severity in by_feature.items()
                if severity >= Severity.WARNING
            }
        )
        for kind, severity in _severities(step).items():
            if severity >= Severity.WARNING:
                self._go_on(kind, severity, step)
            elif kind in self._open:
                self._end(kind, step.now)

    def _go_on(self, kind: str, severity: Severity, step: Step) -> None:
        bad = [name for k, name in self._bad[-1] if k == kind]
        rank = (int(severity), len(bad) if kind in FAMILIES else _distance(step))
        mine = self._open.setdefault(kind, _Open(step.now, step, rank))
        if rank > mine.rank:
            mine.peak, mine.rank = step, rank
        mine.features |= dict.fromkeys(bad)
        mine.checks += 1

    def _end(self, kind: str, at: float | None) -> None:
        mine = self._open.pop(kind)
        first, window, words = self._told(kind, mine.peak)
        named = [_named(kind, name) for name in mine.features] if kind in FAMILIES else []
        features = dict.fromkeys([*first, *named])
        severity = Severity(mine.rank[0])
        self._done.append(
            Episode(kind, mine.start, at, mine.checks, severity, tuple(features), window, words)
        )  # fmt: skip

    def _told(self, kind: str, step: Step) -> tuple[list[str], str, str]:
        """Return what the worst check said: features, the window of the worst of them, and words."""
        if kind == MULTIVARIATE and step.multivariate is not None:
            return _told_together(step.multivariate)
        config, version, profile = self._subject
        subject = Subject(config, version, profile, step.now, 0.0)
        families = {name: family_of(subject, *pair) for name, pair in step.families.items()}
        result = result_of(subject, families, {}, None)
        report = drift_report(result)["details"][kind]["features"]
        bad = [name for name, found in report.items() if found["severity"] not in {"none", "info"}]
        window = next((str(report[name]["window"]) for name in bad if "window" in report[name]), "")
        told = [(name, _why(report[name])) for name in bad[:_TOLD]]
        words = "; ".join(f"{name}: {why}" if len(bad) > 1 else why for name, why in told)
        return bad, window, words

    def finished(self) -> tuple[Episode, ...]:
        """Return all alarms, those that go on included."""
        for kind in list(self._open):
            self._end(kind, None)
        return tuple(sorted(self._done, key=lambda episode: (episode.start, episode.drift_type)))

    def alarmed(self) -> dict[Key, int]:
        """Return in how many checks each feature was in alarm, the longest first."""
        counts: dict[Key, int] = {}
        for bad in self._bad:
            for key in bad:
                counts[key] = counts.get(key, 0) + 1
        kinds = (*FAMILIES, MULTIVARIATE)
        return dict(sorted(counts.items(), key=lambda item: (kinds.index(item[0][0]), -item[1], item[0][1])))

    def timeline(self) -> Timeline:
        """Return severities of all that alarmed."""
        keys = list(dict.fromkeys(key for bad in self._bad for key in bad))
        severity = np.array([[int(bad.get(key, 0)) for bad in self._bad] for key in keys], dtype=np.int64)
        return Timeline(
            np.array(self.times), tuple(_named(*key) for key in keys), severity.reshape(len(keys), len(self.times))
        )
