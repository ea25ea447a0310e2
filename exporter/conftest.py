"""Where examples in docstrings store what they record: nowhere that anybody else looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give the default service a folder of its own, and close it after the example."""
    from modelwatch import monitor

    monkeypatch.delenv("MODELWATCH_CONFIG", raising=False)
    monkeypatch.setenv("MODELWATCH_STORAGE", str(tmp_path))
    yield
    monitor.close()
