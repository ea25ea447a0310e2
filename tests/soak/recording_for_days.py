"""Records predictions with everything on, and prints its memory every now and then: ``RECORDS KILOBYTES``."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np

from modelwatch import ProductionMonitoringService

FLUSH_EVERY = 4000
"""Fewer than the queue takes, so that nothing is dropped."""
DAY = 86_400.0


class Clock:
    """A clock that is moved, so that what is recorded expires as it would in days."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def resident() -> int:
    """Return how many kilobytes of memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def main(storage: str, profile: str, records: int) -> None:
    """Record so many predictions, as if it took ten days, of which one is kept."""
    clock = Clock()
    service = ProductionMonitoringService(storage_path=storage, clock=clock, background=False)
    service.register_model({"model_id": "m", "reference": profile, "retention_days": 1, "performance_metrics": ["auc"]})
    rng = np.random.default_rng(3)
    pool = rng.normal(5.0, 3.0, (997, 24)).tolist()
    names = [f"f{i}" for i in range(24)]
    rows = [{**dict(zip(names, values, strict=True)), "kind": f"k{i % 40}"} for i, values in enumerate(pool)]
    step = 10 * DAY / records
    for done in range(1, records + 1):
        i = done % 997
        score = i / 997
        answer = service.record_prediction(
            "m", score, rows[i], actual=i % 2, latency_ms=score, metadata={"user": done}, segment=f"s{i % 3}"
        )  # fmt: skip
        clock.now += step
        if done % FLUSH_EVERY == 0:
            assert answer["sampled"], answer
            assert service.flush()
        if done % (records // 50) == 0:
            service.cleanup_old_data()
            sys.stdout.write(f"{done} {resident()}\n")
            sys.stdout.flush()
    value = service.registry.get_sample_value("modelwatch_predictions_total", {"model_id": "m", "model_version": ""})
    service.close()
    assert value is not None
    assert value >= records - FLUSH_EVERY


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
