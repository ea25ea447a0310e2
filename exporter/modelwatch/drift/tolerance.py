"""How much of a difference is tolerated: a level for each severity, or what a feature does by itself if it is more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.drift.statistics import js_to_d
from modelwatch.profile.natural import TESTS, tolerance_factor
from modelwatch.records import FloatArray

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["NOISY_JS", "Tolerances", "learnt_length", "levels_of", "likeness_of", "tolerances_of"]

NOISY_JS = 0.25
"""Natural distance from which a shape says nothing: four times as much is more than any distance."""
_NOISY = float(js_to_d(NOISY_JS))
_BORDERS = (12 * 3600.0, 84 * 3600.0)
"""Between an hour and a day, and between a day and a week."""


@dataclass(frozen=True, eq=False)
class Tolerances:
    """What is tolerated of some features in windows of some lengths, on the scale of d.

    Attributes
    ----------
    tau : ndarray, shape (tiers, windows, features, tests)
        The tolerance of each severity.
    natural : ndarray, shape (windows, features, tests)
        What is natural, ``c(D)·v``, or the tolerance that somebody wrote; 0 where neither is known.
    noisy : ndarray of bool, shape (windows, features)
        Features that vary so much by themselves that their shape can't alarm.
    """

    tau: FloatArray
    natural: FloatArray
    noisy: NDArray[np.bool_]

    def at(self, windows: slice | Sequence[int]) -> Tolerances:
        """Return those of some windows, in that order, any of them as often as it comes."""
        return Tolerances(self.tau[:, windows], self.natural[windows], self.noisy[windows])


def levels_of(config: DriftMonitoringConfig) -> tuple[float, ...]:
    """Return the Jensen–Shannon distances of the tiers, ascending."""
    levels = config.thresholds
    return (levels.warning, levels.error, levels.critical)


def learnt_length(seconds: ArrayLike) -> NDArray[np.intp]:
    """Return which of ``profile.natural.LENGTHS``, by place, is nearest to the time that a window spans.

    Of a batch without times nothing is known; it is taken for a day.

    >>> learnt_length([hours * 3600.0 for hours in (0, 1, 11.9, 12, 83.9, 84, 720)]).tolist()
    [1, 0, 0, 1, 1, 2, 2]
    """
    spans = np.asarray(seconds, dtype=np.float64)
    return np.where(spans > 0, np.searchsorted(_BORDERS, spans, side="right"), 1)


def tolerances_of(
    profile: ReferenceProfile, config: DriftMonitoringConfig, members: Sequence[int], seconds: FloatArray
) -> Tolerances:
    """Return what is tolerated of some members of a profile's layout.

    Parameters
    ----------
    profile : ReferenceProfile
        Knows natural variation, if it is learnt.
    config : DriftMonitoringConfig
        ``thresholds``, ``tolerance``.
    members : sequence of int
        Indices into ``profile.layout.members``.
    seconds : ndarray, shape (windows, members) or (windows, 1)
        The time that rows come from, in each window for each member.

    Returns
    -------
    Tolerances
        ``max(level, c(D)·v)`` for each severity's level; of a feature whose tolerance is written, ``max(level, that)``.

    Examples
    --------
    >>> from modelwatch import DriftMonitoringConfig, ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.arange(500.0)})
    >>> tolerances_of(profile, DriftMonitoringConfig(), [0], np.array([[3600.0]])).tau[:, 0, 0].round(4).tolist()
    [[0.0139, 0.0139, 0.0139], [0.0555, 0.0555, 0.0555], [0.2218, 0.2218, 0.2218]]
    """
    levels = js_to_d(levels_of(config))[:, None, None, None]
    if profile.natural_days <= 0 or not profile.natural:
        natural = np.zeros((len(seconds), len(members), TESTS))
        noisy = np.zeros(natural.shape[:2], dtype=np.bool_)
    else:
        variation = profile.variation[learnt_length(seconds), np.asarray(members, dtype=np.intp)]
        natural = tolerance_factor(profile.natural_days) * variation
        noisy = variation[..., 0] > _NOISY
    if config.tolerance:
        # What somebody wrote goes over what is learnt, whichever of them is more: who writes a tolerance wants to hear
        # of a feature however wild it is.
        told = js_to_d([config.tolerance.get(profile.layout.names[i], np.inf) for i in members])
        natural = np.where(np.isinf(told)[:, None], natural, told[:, None])
        noisy &= np.isinf(told)
    return Tolerances(np.maximum(levels, natural), natural, noisy)


def likeness_of(profile: ReferenceProfile, members: Sequence[int], seconds: FloatArray) -> FloatArray | None:
    """Return how alike the rows of one window are at the ends of a feature's range: from 0, independent, to 1.

    Parameters
    ----------
    profile : ReferenceProfile
        Knows it, if it has learnt natural variation.
    members : sequence of int
        Indices into ``profile.layout.members``.
    seconds : ndarray, shape (windows, members) or (windows, 1)
        The time that rows come from, in each window for each member.

    Returns
    -------
    ndarray or None, shape (windows, members)
        None where all are independent, as far as is known.

    Examples
    --------
    >>> from modelwatch import ReferenceProfile
    >>> likeness_of(ReferenceProfile.build({"age": np.arange(500.0)}), [0], np.array([[3600.0]])) is None
    True
    """
    if profile.natural_days <= 0 or not profile.clustering.any():
        return None
    return np.asarray(profile.clustering[learnt_length(seconds), np.asarray(members, dtype=np.intp)])
