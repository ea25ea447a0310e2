"""The reference that a window is compared with: the whole of it, or what it would be with the window's own traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.profile.strata import Strata
from modelwatch.records import FloatArray, WindowCounts

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["reference_cells", "strata_of"]


def strata_of(profile: ReferenceProfile, config: DriftMonitoringConfig) -> Strata | None:
    """Return the strata by which windows are compared with a reference; None if it is taken as a whole."""
    return None if config.strata == "none" else profile.strata


def reference_cells(
    profile: ReferenceProfile, windows: Sequence[WindowCounts], config: DriftMonitoringConfig
) -> FloatArray:
    """Return the reference counts that each window is compared with.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    windows : sequence of WindowCounts
        Those without ``strata`` are compared with the whole reference.
    config : DriftMonitoringConfig
        ``strata``.

    Returns
    -------
    ndarray, shape (windows, layout.size) or (1, layout.size)
        One row alone if it is the same for all.

    Examples
    --------
    >>> from modelwatch import DriftMonitoringConfig, ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.arange(500.0)})
    >>> float(reference_cells(profile, [], DriftMonitoringConfig()).sum())
    500.0
    """
    whole = np.asarray(profile.counts, dtype=np.float64)
    strata = strata_of(profile, config)
    rows = [window.strata for window in windows]
    known = [place for place, found in enumerate(rows) if found is not None]
    if strata is None or not known:
        return whole[None]
    matched = strata.matched(profile.layout, np.stack([row for row in rows if row is not None]))
    if len(known) == len(rows):
        return matched
    out = np.tile(whole, (len(rows), 1))
    out[known] = matched
    return out
