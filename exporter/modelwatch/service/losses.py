"""What was recorded and could not be used, in words: calls on a predict path say nothing of it, the status does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwatch.service.times import iso

if TYPE_CHECKING:
    from modelwatch.recorder import SlotTotals

WORDS: Mapping[str, Mapping[str, str]] = {
    "faults": {
        "features": "features that can't be read",
        "prediction": "predictions that can't be read",
        "latency": "latencies that are no number of 0 or more",
        "timestamp": "timestamps that can't be read or lie ahead, taken as now",
        "metadata": "metadata that are no dict, not stored",
        "record": "calls that were refused",
        "extract": "calls whose arguments or result the decorator can't pick from",
        "snapshot": "values that can't be copied, read later as they were then",
        "internal": "rows lost by a fault of modelwatch, which the log tells",
        "too_many_metrics": "metric values not exposed, as there are too many names",
    },
    "dropped": {
        "queue_full": "rows not looked at, as the queue was full",
        "actuals": "ground truths not stored, as too many waited",
        "counts": "counts not stored, as too many waited",
        "metrics": "metric values not stored, as too many waited",
        "store": "rows not stored, as too many waited or the store refused them",
    },
}
"""What counters of faults and of what was dropped mean, by family and reason."""


@dataclass(frozen=True)
class Losses:
    """What one model version lost: how often by words, and when it was last."""

    counts: Counter[str]
    last_at: float


def losses_of(counters: SlotTotals) -> dict[tuple[str, str], Losses]:
    """Return what was lost by model_id and version, over all workers of the storage."""
    out: dict[tuple[str, str], Losses] = {}
    for (family, *labels), block in counters.names.items():
        if family not in WORDS:
            continue
        key = (labels[0], labels[1])
        before = out.get(key, Losses(Counter(), 0.0))
        counts = Counter({WORDS[family].get(reason, reason): amount for reason, amount in block.counts.items()})
        out[key] = Losses(before.counts + counts, max(before.last_at, block.touched))
    return out


def loss_warnings(some: Iterable[Losses]) -> list[str]:
    """
    Return one sentence about all that was lost, or nothing if nothing was.

    >>> loss_warnings([Losses(Counter({"calls that were refused": 1200}), 0.0)])
    ['not all that was recorded can be used: 1,200 calls that were refused (last at 1970-01-01T00:00:00+00:00)']
    >>> loss_warnings([])
    []
    """
    losses = list(some)
    total = sum((lost.counts for lost in losses), Counter[str]())
    if not total:
        return []
    listed = ", ".join(f"{amount:,} {words}" for words, amount in total.most_common())
    last = iso(max(lost.last_at for lost in losses if lost.counts))
    return [f"not all that was recorded can be used: {listed} (last at {last})"]
