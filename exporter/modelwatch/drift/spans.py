"""What counts of a window say of its rows besides the cells they lie in: when they came, and how often one repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelwatch.records import FloatArray, WindowCounts

__all__ = ["repeats_of", "spans_of"]


def spans_of(windows: Sequence[WindowCounts], members: Sequence[int]) -> FloatArray:
    """Return the time that rows come from, (windows, members): less than the window's where recording is young.

    What is natural depends on it: an hour varies more than a day, whatever the name of the window that holds it.
    """
    ends = np.array([window.end for window in windows])[:, None]
    if all(window.since is None for window in windows):
        return np.asarray(ends - np.array([window.start for window in windows])[:, None])
    since = [np.full(len(members), w.start) if w.since is None else w.since[list(members)] for w in windows]
    return np.asarray(ends - np.stack(since))


def repeats_of(windows: Sequence[WindowCounts]) -> FloatArray | None:
    """Return how many rows of each window are worth one, (windows,); None if all rows are independent."""
    if all(window.repeats == 1.0 for window in windows):
        return None
    return np.array([window.repeats for window in windows])
