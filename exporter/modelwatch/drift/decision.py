"""From the p-values of all tests of a check to severities, at a rate of false alarms that was asked for.

The chance of one false alarm is shared out: over the checks of 30 days, over the kinds of drift, over the windows;
within a window the Benjamini–Hochberg procedure (or Benjamini–Yekutieli) deals with the many tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.policy import Severity
from modelwatch.records import FloatArray

__all__ = [
    "ASKED_BUDGET",
    "FAMILY_SHARES",
    "PROCEDURES",
    "TIERS",
    "Procedure",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "check_budget",
    "severities",
    "window_budget",
]

Procedure = Callable[[ArrayLike, float], NDArray[np.bool_]]
"""Takes the p-values of many tests and a level; returns which are rejected."""

BUDGET_PERIOD_SECONDS = 30 * 86400.0
ASKED_BUDGET = 1.0 / 720.0
"""The share of one check that somebody asks for: that of an hourly scheduled one."""
FAMILY_SHARES: Mapping[str, float] = MappingProxyType(
    {"data": 0.5, "prediction": 0.15, "performance": 0.25, "multivariate": 0.1}
)
"""How the budget of a check is split over the kinds of drift; performance and concept share one."""
TIERS = (Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
"""The severities that have a tolerance, ascending."""


def benjamini_hochberg(p: ArrayLike, q: float) -> NDArray[np.bool_]:
    """Return which hypotheses the Benjamini–Hochberg procedure rejects at false discovery rate `q`.

    If nothing changed, the chance of any rejection is at most `q`, also for positively dependent tests (Benjamini &
    Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini & Yekutieli 2001, doi:10.1214/aos/1013699998).

    Parameters
    ----------
    p : array_like
        p-values, any shape; NaN stands for a test that was not made, and does not count.
    q : float
        0 to 1.

    Returns
    -------
    ndarray of bool
        In the shape of `p`.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.5, 0.021, float("nan")], 0.05).tolist()
    [True, False, True, False]
    """
    values = np.asarray(p, dtype=np.float64)
    made = np.sort(values[~np.isnan(values)])
    if made.size == 0:
        return np.zeros(values.shape, dtype=np.bool_)
    below = np.flatnonzero(made <= q * np.arange(1, made.size + 1) / made.size)
    if below.size == 0:
        return np.zeros(values.shape, dtype=np.bool_)
    return np.asarray(values <= made[below[-1]])


def benjamini_yekutieli(p: ArrayLike, q: float) -> NDArray[np.bool_]:
    """Return which hypotheses the Benjamini–Yekutieli procedure rejects at false discovery rate `q`.

    It holds for any dependence between the tests, negative too, and pays for it: as :func:`benjamini_hochberg` at
    ``q / (1 + 1/2 + ... + 1/K)`` for K tests (Benjamini & Yekutieli 2001, doi:10.1214/aos/1013699998).

    Parameters
    ----------
    p : array_like
        p-values, any shape; NaN stands for a test that was not made, and does not count.
    q : float
        0 to 1.

    Returns
    -------
    ndarray of bool
        In the shape of `p`.

    Examples
    --------
    >>> benjamini_yekutieli([0.01, 0.5, 0.021, float("nan")], 0.05).tolist()
    [False, False, False, False]
    """
    values = np.asarray(p, dtype=np.float64)
    made = int(np.count_nonzero(~np.isnan(values)))
    return benjamini_hochberg(values, q / float(np.sum(1.0 / np.arange(1, made + 1)))) if made else values > 1.0


PROCEDURES: Mapping[str, Procedure] = MappingProxyType({"bh": benjamini_hochberg, "by": benjamini_yekutieli})
"""By the values of ``drift.multiplicity``."""


def check_budget(interval_seconds: float, false_alarms_per_30d: float = 1.0) -> float:
    """Return the chance of a false alarm that one scheduled check may take.

    Parameters
    ----------
    interval_seconds : float
        Time between checks.
    false_alarms_per_30d : float
        Expected false alarms per model and 30 days that are accepted.

    Returns
    -------
    float
        At most 1.

    Examples
    --------
    >>> round(1 / check_budget(3600.0))
    720
    """
    return min(1.0, interval_seconds / BUDGET_PERIOD_SECONDS * false_alarms_per_30d)


def window_budget(drift_type: str, budget: float, windows: int) -> float:
    """Return the level at which one kind of drift is tested in one of `windows` scored windows.

    >>> round(1 / window_budget("data", 1 / 720, 3))
    4320
    """
    return FAMILY_SHARES[drift_type] * budget / max(windows, 1)


def severities(
    p_real: FloatArray, p_large: FloatArray, q: float, procedure: Procedure = benjamini_hochberg
) -> NDArray[np.int64]:
    """Return the severity of each test of one window.

    Parameters
    ----------
    p_real : ndarray, shape (tests,)
        p-values of "no difference"; NaN where a test could not be made.
    p_large : ndarray, shape (tiers, tests)
        p-values of "within tolerance", one row for each of :data:`TIERS`.
    q : float
        Level of the procedure.
    procedure : callable
        How many tests share that level; see :data:`PROCEDURES`.

    Returns
    -------
    ndarray of int, shape (tests,)
        Values of :class:`~modelwatch.policy.Severity`; info is a real difference within tolerance.

    Examples
    --------
    >>> severities(np.array([1e-9, 1e-9, 0.4]), np.array([[1e-9, 0.9, 1.0], [0.8, 1.0, 1.0], [1.0] * 3]), 1e-3).tolist()
    [2, 1, 0]
    """
    if not (p_real <= q).any():  # so it is of most checks: nothing can be rejected
        return np.zeros(p_real.shape, dtype=np.int64)
    found = np.where(procedure(p_real, q), int(Severity.INFO), int(Severity.NONE))
    for tier, large in zip(TIERS, p_large, strict=True):
        found = np.where(procedure(np.maximum(p_real, large), q), int(tier), found)
    return found.astype(np.int64)
