"""Which windows of a model are looked at, and which of them a scheduled check scores: known before there are any rows.

Apart from the checks themselves, so that who only wants to know needs none of their packages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig

__all__ = ["EXTENDED_SECONDS", "candidates", "extends", "window_lengths"]

UNSEASONAL_SECONDS = 86400.0
"""The window in which the daily cycle cancels: the one that is scored where nothing is known about seasonality."""
EXTENDED_SECONDS = 30 * 86400.0
"""How far back the longest window goes where so few rows come that a week holds too few to be scored."""
_EXTENDS_FROM = 7 * 86400.0


def window_lengths(config: ModelMonitoringConfig) -> dict[str, float]:
    """Return the windows that are looked at; those shorter than the interval between checks drop out."""
    lengths = config.drift.window_seconds
    longest = max(lengths, key=lambda label: lengths[label])
    return {n: s for n, s in lengths.items() if s >= config.interval_seconds or n == longest}


def candidates(drift: DriftMonitoringConfig, lengths: Mapping[str, float], *, calibrated: bool) -> set[str]:
    """Return the labels of the windows that are scored.

    Where tolerances are not learnt and nobody wrote the windows, that is the shortest one of a whole day or more.
    """
    if calibrated or drift.windows_written:
        return set(lengths)
    return {next((n for n, s in lengths.items() if s >= UNSEASONAL_SECONDS), list(lengths)[-1])}


def extends(lengths: Mapping[str, float], scored: Collection[str]) -> bool:
    """Return whether the longest window, where it holds too few rows, goes further back: one of a week or more."""
    longest = max(lengths, key=lambda label: lengths[label])
    return longest in scored and _EXTENDS_FROM <= lengths[longest] < EXTENDED_SECONDS
