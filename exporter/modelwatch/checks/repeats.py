"""What a check knows of the entities of rows: how many rows of each window are worth one, and whether any has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from modelwatch.exceptions import did_you_mean
from modelwatch.records import FamilyResult, WindowCounts
from modelwatch.windows.repeats import Repeats, column_repeats, window_repeats
from modelwatch.windows.rows import MOST_ROWS

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.store.queries import StoreQueries
    from modelwatch.windows.dataframe import Batch

__all__ = ["StoredRepeats", "batch_with_repeats", "told_of_batch"]


class StoredRepeats:
    """The repeats in the windows of a model version; rows are read once for each window.

    Segments, and what is compared with a baseline version, are taken to repeat as the whole version does.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    config : ModelMonitoringConfig
        ``model_id``, ``drift.entity``, ``drift.min_rows``, ``log_predictions``.
    model_version : str
        Whose rows.
    """

    def __init__(self, queries: StoreQueries, config: ModelMonitoringConfig, model_version: str) -> None:
        self._queries, self._config, self._version = queries, config, model_version
        self._entity = config.drift.entity if config.log_predictions else None
        self._found: dict[str, Repeats] = {}

    def put_in(self, windows: Sequence[WindowCounts]) -> list[WindowCounts]:
        """Return windows that know their repeats; those with too few rows to be scored are left as they are."""
        if self._entity is None:
            return list(windows)
        least = self._config.drift.min_rows
        return [w if w.rows < least else replace(w, repeats=self._of(w, self._entity).mean) for w in windows]

    def _of(self, window: WindowCounts, entity: str) -> Repeats:
        if window.window not in self._found:
            self._found[window.window] = window_repeats(
                self._queries, self._config.model_id, self._version, entity, window.start, window.end,
                most=MOST_ROWS, counted=window.rows,
            )  # fmt: skip
        return self._found[window.window]

    def tell(self, family: FamilyResult) -> FamilyResult:
        """Say so where no row has an entity: most often its name is misspelt."""
        read = [found for found in self._found.values() if found.rows]
        if self._entity is None or not read or any(found.known for found in read):
            return family
        names = frozenset().union(*(found.names for found in read))
        hint = did_you_mean(self._entity, sorted(names))
        return _with_reason(family, f"no stored row has the entity {self._entity!r}, rows count as independent{hint}")


def batch_with_repeats(batch: Batch, config: ModelMonitoringConfig) -> Batch:
    """Return a batch that knows its repeats, if it has a column of entities."""
    column = None if config.drift.entity is None else batch.columns.get(config.drift.entity)
    if column is None:
        return batch
    return replace(batch, counts=replace(batch.counts, repeats=column_repeats(column).mean))


def told_of_batch(family: FamilyResult, batch: Batch, config: ModelMonitoringConfig, absent: str) -> FamilyResult:
    """Say so where a batch of features has no column of entities, in the words that are told of absent columns."""
    entity = config.drift.entity
    if entity is None or not batch.columns or entity in batch.columns:
        return family
    hint = did_you_mean(entity, sorted(batch.columns))
    return _with_reason(family, f"the entity {entity!r} is {absent}, rows count as independent{hint}")


def _with_reason(family: FamilyResult, told: str) -> FamilyResult:
    return replace(family, reason="; ".join(filter(None, (family.reason, told))))
