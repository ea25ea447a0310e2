"""A reference profile, a service on a clock of its own, handlers that keep what they get."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile


class Inbox:
    """An alert handler that keeps what it gets."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def __call__(self, alert: dict[str, Any]) -> None:
        self.alerts.append(alert)

    def of(self, status: str) -> list[dict[str, Any]]:
        return [a for a in self.alerts if a["status"] == status]


def make_rows(n: int, seed: int, *, kilometres: bool = False) -> dict[str, Any]:
    """Return `n` rows of three inputs, as columns."""
    rng = np.random.default_rng(seed)
    distance = rng.gamma(3.0, 300.0, n) * (1.609 if kilometres else 1.0)
    carrier = rng.choice(["UA", "AA", "DL", "B6"], n, p=[0.4, 0.3, 0.2, 0.1])
    return {"distance": distance, "carrier": carrier.tolist(), "hour": rng.integers(5, 23, n).astype(float)}


def make_scores(n: int, seed: int) -> Any:
    return np.random.default_rng(seed + 1).beta(2.0, 5.0, n)


@pytest.fixture(scope="session")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build(make_rows(20_000, 1), predictions=make_scores(20_000, 1))


@pytest.fixture(scope="session")
def profile_path(profile: ReferenceProfile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return profile.save(tmp_path_factory.mktemp("profile") / "profile.json")


@pytest.fixture
def rows() -> Callable[..., dict[str, Any]]:
    return make_rows


@pytest.fixture
def scores() -> Callable[[int, int], Any]:
    return make_scores


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make_service(tmp_path: Path, clock: Any, inbox: Inbox) -> Iterator[Callable[..., ProductionMonitoringService]]:
    """Return a factory of services on one storage folder and one clock, without a background thread."""
    made: list[ProductionMonitoringService] = []

    def make(**options: Any) -> ProductionMonitoringService:
        options = {"storage_path": tmp_path / "storage", "clock": clock, "background": False} | options
        options.setdefault("alert_handlers", {"email": inbox})
        service = ProductionMonitoringService(options.pop("config_path", None), **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def watched(profile_path: Path) -> ModelMonitoringConfig:
    """Return a model with windows of seconds, and alerts from warning up by email."""
    return ModelMonitoringConfig.model_validate(
        {
            "model_id": "flights",
            "reference": str(profile_path),
            "drift_detection_interval": "5s",
            "drift": {"windows": ["10s", "30s"]},
            "alert_channels": ["email"],
        }
    )


@pytest.fixture
def stored_rows(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return all stored rows of a model, oldest first, as dicts."""
    from modelwatch.store.queries import StoreQueries

    def read(model_id: str, folder: Path | None = None) -> list[dict[str, Any]]:
        with StoreQueries(folder or tmp_path / "storage") as queries:
            return [
                {"@id": chunk.ids[i], **{name: column[i] for name, column in chunk.columns.items()}}
                for chunk in queries.row_chunks(model_id, 0.0, 2e9)
                for i in range(len(chunk.ids))
            ]

    return read
