"""Where the entity of rows, whose repeats are no further evidence, can't be known."""

from __future__ import annotations

from collections.abc import Collection

from modelwatch.config.values import show

__all__ = ["entity_warnings"]


def entity_warnings(
    entity: str | None,
    *,
    log_predictions: bool,
    metadata_keys: Collection[str] | None,
    excluded: Collection[str],
) -> list[str]:
    """Return what keeps the entity out of the rows that are stored, from which its repeats are counted."""
    if entity is None:
        return []
    what = f"drift.entity {show(entity)}"
    without = "so that every row counts as independent"
    if not log_predictions:
        return [f"{what} needs stored rows, and log_predictions is false, {without}"]
    if metadata_keys is None or entity in metadata_keys:
        return []
    if entity in excluded:
        return [f"{what} is left out by features.exclude and is not among metadata_keys, {without}"]
    return [f"{what} is not among metadata_keys: if it is no feature, it is not stored, {without}"]
