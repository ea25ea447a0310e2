"""For how long what is recorded is kept: as its model says, and as long as drift windows and learning need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.config.model import LEARNING_DAYS
from modelwatch.exceptions import ConfigError
from modelwatch.service.learning import AUTO, follows
from modelwatch.windows.scored import EXTENDED_SECONDS, extends

if TYPE_CHECKING:
    from modelwatch.service.models import ModelBook
    from modelwatch.store import StoreWriter

__all__ = ["NEEDED_SECONDS", "Kept", "keeping", "windows_need"]

DAY = 86400.0
NEEDED_SECONDS = 8 * DAY
"""For how long counts and totals stay whatever the retention and the cap: drift windows need them, and silence."""
LEARNING_SECONDS = LEARNING_DAYS * DAY
DEFAULT_RETENTION_DAYS = int(ModelMonitoringConfig.model_fields["retention_days"].default)
_COUNTED = ("counts", "totals")
_LEARNT_FROM = ("learning_rows", "totals")


@dataclass(frozen=True)
class Kept:
    """
    For how long one model's data are kept.

    >>> kept = Kept(days=2.0, windows=8 * DAY, learning=True)
    >>> [kept.seconds(kind) / DAY for kind in ("rows", "counts", "totals", "learning_rows")]
    [2.0, 8.0, 16.0, 16.0]
    """

    days: float
    windows: float = 0.0
    """For how long drift windows need counts, in seconds."""
    learning: bool = False
    """Whether a reference is still to be learnt."""

    def seconds(self, kind: str) -> float:
        """Return for how many seconds entries of a kind (see ``store.retention.KINDS``) are kept."""
        needed = self.windows if kind in _COUNTED else 0.0
        if self.learning and kind in _LEARNT_FROM:
            needed = max(needed, LEARNING_SECONDS)
        return max(self.days * DAY, needed)


def keeping(book: ModelBook, store: StoreWriter) -> dict[str, Kept]:
    """
    Return by model_id for how long data are kept; what is about no known model stays as long as that of any model.

    Parameters
    ----------
    book
        The models of this process.
    store
        Knows the models of others, with the configuration that was registered last.

    Raises
    ------
    StorageError
        If the store can't be read.
    """
    known, retired = store.references(), store.retired_models()

    def kept(days: float, config: ModelMonitoringConfig | None, model_id: str) -> Kept:
        windows = NEEDED_SECONDS if config is None else windows_need(config)
        auto = config is not None and config.reference == AUTO and model_id not in retired
        return Kept(days, windows, auto and not follows(known.get(model_id), AUTO))

    out: dict[str, Kept] = {}
    for model in sorted(store.models(), key=lambda model: model.updated_at):
        out[model.model_id] = kept(_days(model.config), _read(model.config), model.model_id)
    for registered in book.all():
        config = registered.config
        out[config.model_id] = kept(float(config.retention_days), config, config.model_id)
    longest = max((entry.days for entry in out.values()), default=float(DEFAULT_RETENTION_DAYS))
    return {**dict.fromkeys(store.alerted_models(), Kept(longest)), **out}


def windows_need(config: ModelMonitoringConfig) -> float:
    """
    Return for how many seconds the drift windows of a model need its counts, and a day more.

    The longest window may go back further than it is long, where it holds too few rows.
    """
    lengths = config.drift.window_seconds
    furthest = EXTENDED_SECONDS if extends(lengths, lengths) else max(lengths.values())
    return max(NEEDED_SECONDS, furthest + DAY)


def _read(config: dict[str, Any]) -> ModelMonitoringConfig | None:
    try:
        return ModelMonitoringConfig.model_validate(config)
    except ConfigError:  # of another release; who checks the model says so
        return None


def _days(config: dict[str, Any]) -> float:
    days = config.get("retention_days", DEFAULT_RETENTION_DAYS)
    return float(days) if isinstance(days, (int, float)) and days > 0 else float(DEFAULT_RETENTION_DAYS)
