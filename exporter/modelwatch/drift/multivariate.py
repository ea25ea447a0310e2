"""Drift between features: whether they still go together as they did in the reference, whatever each does by itself.

The distance of a window is ``T = sum over pairs of (atanh r_window - atanh r_reference)²``, of correlations of normal
scores. It alarms iff ``T > f (m0 + z s0) + P tau²``: m0, s0 and the skew behind z are those of T over resamples of the
reference, f what more or fewer rows make of them, P the number of pairs and tau the distance that is tolerated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modelwatch.policy import Severity
from modelwatch.profile.correlation import CorrelationConstants, codes_of, correlations, fisher, pairs_of, scores_of
from modelwatch.profile.learn_correlation import least_rows
from modelwatch.records import CorrelationChange, FloatArray, IntArray, TestResult

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.score_sums import ScoreSums

__all__ = [
    "CORRELATION_TEST",
    "TOLERANCE",
    "Judged",
    "Measured",
    "gamma_tail",
    "gamma_z",
    "judge",
    "measure",
    "measure_sums",
    "top_changes",
]

CORRELATION_TEST: Literal["correlation"] = "correlation"
TOLERANCE = 0.05
"""The root mean square change of atanh r that is tolerated of features that don't vary by themselves."""
MOST_PAIRS = 5
LEAST_SHARE = 0.02
"""A pair that is less of the distance is not told, unless there is no other."""
_CONFIDENCE = 0.95
_OFTEN, _SURE = 0.9, 0.99
_NORMAL = NormalDist()
_LEAST_SKEW = 1e-3
_LEAST_P = 1e-300


@dataclass(frozen=True, eq=False)
class Measured:
    """The correlations of a window beside those of the reference.

    Attributes
    ----------
    window : str
    n : int
        Rows.
    constants : CorrelationConstants
    before, now : ndarray, shape (pairs,)
        Correlations in the reference and in the window, NaN where they could not be measured.
    squares : ndarray, shape (pairs,)
        Squared changes of atanh r.
    repeats : float
        So many rows are worth one.
    """

    window: str
    n: int
    constants: CorrelationConstants
    before: FloatArray
    now: FloatArray
    squares: FloatArray
    repeats: float = 1.0

    @property
    def pairs(self) -> int:
        """How many pairs could be measured."""
        return int(np.isfinite(self.squares).sum())

    @property
    def distance(self) -> float:
        """T."""
        return float(np.nansum(self.squares))

    @property
    def factor(self) -> float:
        """f, by how much noise differs from that of a resample."""
        return self.constants.noise_factor(self.n / self.repeats)

    @property
    def chance(self) -> float:
        """T where nothing changed: f m0, of the pairs that could be measured."""
        return self.factor * self.constants.mean * self.pairs / max(len(self.squares), 1)

    @property
    def spread(self) -> float:
        """Standard deviation of T where nothing changed; of all pairs, which is no less than that of some."""
        return self.factor * self.constants.sd

    @property
    def score(self) -> float:
        """Root mean square change of atanh r, chance taken away."""
        return self._root(self.distance - self.chance)

    def bounds(self) -> tuple[float, float]:
        """Return the lower and the upper 95 % bound of the score."""
        high, low = (gamma_z(p, self.constants.skew) * self.spread for p in (1.0 - _CONFIDENCE, _CONFIDENCE))
        excess = self.distance - self.chance
        return self._root(excess - high), self._root(excess - low)

    def p_value(self, tolerance: float) -> float:
        """Return how probable a distance as large is where the score is `tolerance`."""
        excess = self.distance - self.chance - self.pairs * tolerance**2
        if not self.spread:  # of features that are the same
            return _LEAST_P if excess > 0.0 else 1.0
        return gamma_tail(excess / self.spread, self.constants.skew)

    def upper_bound_by_chance(self) -> float:
        """Return what the upper bound of the score stays below with a probability of 0.9 where nothing changed."""
        highest, low = (gamma_z(p, self.constants.skew) for p in (1.0 - _OFTEN, _CONFIDENCE))
        return self._root((highest - low) * self.spread)

    def _root(self, excess: float) -> float:
        return float((max(0.0, excess) / max(self.pairs, 1)) ** 0.5)


@dataclass(frozen=True)
class Judged:
    """What a window is worth, and what it says of the end of an alarm.

    Attributes
    ----------
    test : TestResult
    can_tell : bool
        Whether its noise is small beside the tolerance.
    is_clear : bool
        Whether its distance is within the tolerance.
    """

    test: TestResult
    can_tell: bool
    is_clear: bool


def gamma_z(p: float, skew: float) -> float:
    """Return the standardised value that a gamma distribution of such a skew exceeds with probability p.

    By Wilson and Hilferty (1931, doi:10.1073/pnas.17.12.684): the cube root is nearly normal.

    >>> round(gamma_z(1e-4, 1.2), 2), round(gamma_z(0.025, 0.0), 2)
    (6.58, 1.96)
    """
    z = -_NORMAL.inv_cdf(p)
    if skew < _LEAST_SKEW:
        return z
    a = 4.0 / skew**2
    root = max(0.0, 1.0 - 1.0 / (9.0 * a) + z / (3.0 * a**0.5))
    return float((a * root**3 - a) / a**0.5)


def gamma_tail(z: float, skew: float) -> float:
    """Return how probable more than a standardised value is: the inverse of :func:`gamma_z`.

    >>> round(gamma_tail(gamma_z(1e-4, 1.2), 1.2), 8)
    0.0001
    """
    if skew >= _LEAST_SKEW:
        a = 4.0 / skew**2
        ratio = (a + z * a**0.5) / a
        if ratio <= 0.0:
            return 1.0
        z = (ratio ** (1.0 / 3.0) - 1.0 + 1.0 / (9.0 * a)) * 3.0 * a**0.5
    return max(_NORMAL.cdf(-z), _LEAST_P)


def measure(
    profile: ReferenceProfile,
    columns: Mapping[str, Any],
    n: int,
    window: str,
    left_out: Collection[str] = (),
    repeats: float = 1.0,
    seconds: FloatArray | None = None,
) -> Measured | None:
    """Measure the correlations of rows.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    columns : mapping of str to column
        Values by feature; a feature without a column is left out.
    n : int
        Rows.
    window : str
        What the window is called.
    left_out : collection of str
        Features that are not looked at.
    repeats : float
        So many rows are worth one, as rows of one entity repeat it.
    seconds : ndarray, shape (n,), optional
        When each row was, seconds since the epoch: where the reference knows its hours, what these make of each
        feature is taken off.

    Returns
    -------
    Measured or None
        None if the reference knows nothing of its features together, there are too few rows, or no pair is left.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> rng = np.random.default_rng(0)
    >>> def draw(n, r):
    ...     a, b = rng.normal(size=(2, n))
    ...     return {"a": a, "b": r * a + (1 - r**2) ** 0.5 * b}
    >>> profile = ReferenceProfile.build(draw(5000, 0.6))
    >>> [measure(profile, draw(1000, r), 1000, "1h").p_value(0.05) < 1e-4 for r in (0.6, 0.2)]
    [False, True]
    """
    constants = profile.correlation
    if seconds is not None and profile.correlation_by_hour is not None:
        constants = profile.correlation_by_hour
    if constants is None:
        return None
    kept = [name in columns and name not in left_out for name in constants.features]
    if n / repeats < least_rows(sum(kept)) or sum(kept) < 2:
        return None
    members = [profile.member(name) for name, is_kept in zip(constants.features, kept, strict=True) if is_kept]
    scores = scores_of(constants.tables[kept], codes_of(members, columns, n))
    if constants.hours is not None and seconds is not None:
        scores -= constants.hours.means[constants.hours.places(seconds)][:, kept].T
    return _compared(constants, np.flatnonzero(kept), correlations(scores), (window, n, repeats))


def measure_sums(
    constants: CorrelationConstants, sums: ScoreSums, names: Collection[str], window: str
) -> Measured | None:
    """Measure the correlations of rows of which only sums are there.

    Parameters
    ----------
    constants : CorrelationConstants
        The reference.
    sums : ScoreSums
        Of the scores of all its features, in its order.
    names : collection of str
        The features that are compared.
    window : str
        What the window is called.

    Returns
    -------
    Measured or None
        As :func:`measure`.
    """
    kept = np.flatnonzero([name in names for name in constants.features])
    if sums.n < least_rows(len(kept)) or len(kept) < 2:
        return None
    return _compared(constants, kept, sums.only(kept).matrix(), (window, int(sums.n), 1.0))


def _compared(
    constants: CorrelationConstants, kept: IntArray, found: FloatArray, rows: tuple[str, int, float]
) -> Measured | None:
    """Compare the correlations of some features with those of the reference; None if no pair is left."""
    now = np.full((len(constants.features),) * 2, np.nan)
    now[np.ix_(kept, kept)] = found
    upper = now[pairs_of(len(now))]
    squares = (fisher(upper) - constants.atanh) ** 2
    if not np.isfinite(squares).any():
        return None
    window, n, repeats = rows
    return Measured(window, n, constants, constants.correlation, upper, squares, repeats)


def judge(measured: Measured, alpha: float, seconds: float) -> Judged:
    """Return what a window's correlations are worth: at most a warning.

    Parameters
    ----------
    measured : Measured
        The window.
    alpha : float
        Level of the test.
    seconds : float
        Length of the window, for what is tolerated in it.

    Returns
    -------
    Judged
        Its test is of no feature by itself; info is a real difference within tolerance.
    """
    tolerance = measured.constants.tolerance(TOLERANCE, seconds)
    p_real, p_large = measured.p_value(0.0), measured.p_value(tolerance)
    low, high = measured.bounds()
    severity = Severity.WARNING if p_large <= alpha else Severity.INFO if p_real <= alpha else Severity.NONE
    test = TestResult(
        feature="",
        test=CORRELATION_TEST,
        window=measured.window,
        n=float(measured.n),
        m=float(measured.constants.rows),
        score=measured.score,
        score_low=low,
        score_high=high,
        threshold=tolerance,
        p_real=p_real,
        p_value=p_large,
        severity=severity,
    )
    can_tell = measured.upper_bound_by_chance() <= tolerance
    # Against a small reference, or in a small window, the bound is never within the tolerance: else an alarm of it
    # would never end.
    good_enough = test.score <= tolerance or p_real > 1.0 - _SURE
    return Judged(test, can_tell, high <= tolerance if can_tell else good_enough)


def top_changes(measured: Measured) -> tuple[CorrelationChange, ...]:
    """Return the pairs that changed most, furthest first, each with its part of the distance."""
    first, second = pairs_of(len(measured.constants.features))
    known = np.flatnonzero(np.isfinite(measured.squares))
    foremost = known[np.argsort(-measured.squares[known], kind="stable")][:MOST_PAIRS]
    names = measured.constants.features
    total = measured.distance or 1.0
    worth_telling = measured.squares[foremost] >= LEAST_SHARE * total
    worth_telling[:1] = True
    foremost = foremost[worth_telling]
    return tuple(
        CorrelationChange(
            names[first[pair]],
            names[second[pair]],
            measured.window,
            float(measured.before[pair]),
            float(measured.now[pair]),
            float(measured.squares[pair] / total),
        )
        for pair in foremost
    )
