"""The outlines that packaging and users rely on."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import modelwatch

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("folder", ["exporter", "rules", "grafana"])
def test_outer_folders_are_not_packages(folder: str) -> None:
    """An __init__.py there would clash with other distributions' import names."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_all_public_names_exist_and_nothing_else_is_listed() -> None:
    for name in modelwatch.__all__:
        assert getattr(modelwatch, name) is not None
    assert sorted(modelwatch.__all__) == dir(modelwatch)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'montior'"):
        _ = modelwatch.montior  # type: ignore[attr-defined]


HEAVY = {
    "scipy", "pandas", "polars", "sqlalchemy", "aiohttp", "apscheduler", "plotly", "pyarrow", "sklearn", "rich",
    "jinja2",
}  # fmt: skip


def loaded(script: str, tmp_path: Path) -> set[str]:
    """Return what a program has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys\nprint(*(m.partition('.')[0] for m in sys.modules))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            "MODELWATCH_STORAGE": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_and_decorating_loads_no_more_than_numpy(tmp_path: Path) -> None:
    script = """
from modelwatch import monitor

@monitor("light")
def predict(features):
    return 0.5
"""
    packages = loaded(script, tmp_path)
    assert "numpy" in packages
    assert not packages & (HEAVY | {"pydantic", "prometheus_client", "yaml", "sqlite3", "asyncio"})


def test_a_mounted_endpoint_loads_what_predictions_need_before_workers_fork(tmp_path: Path) -> None:
    script = """
from modelwatch import make_wsgi_app, monitor

app = make_wsgi_app()

@monitor("light")
def predict(features):
    return 0.5

import sys
before = {m for m in sys.modules if m.startswith("modelwatch")}
predict({"a": 1.0})
assert monitor.flush()
late = {m for m in sys.modules if m.startswith("modelwatch")} - before
assert not late, late
"""
    assert "prometheus_client" in loaded(script, tmp_path)


def test_recording_rows_batches_and_async_calls_loads_nothing_heavy(tmp_path: Path) -> None:
    script = """
import asyncio
import numpy
from modelwatch import monitor, ProductionMonitoringService, ModelMonitoringConfig

@monitor("light")
def predict(features):
    return 0.5

@monitor("light")
def predict_many(rows):
    return numpy.full((len(rows), 3), 0.3)

@monitor("light")
async def predict_later(row):
    return {"score": 0.5}

async def main():
    for i in range(1000):
        await predict_later({"a": float(i), "b": "x"})

for i in range(1000):
    predict({"a": float(i), "b": "x"})
    predict_many([{"a": float(i), "b": "x"}, {"a": None, "b": "y"}])
    with monitor("light") as call:
        call.features, call.prediction = [float(i), "x"], 0.5
predict_many(numpy.ones((1000, 2)))
asyncio.run(main())
assert monitor.flush(), "not flushed"
"""
    assert not loaded(script, tmp_path) & HEAVY


def test_the_wheel_holds_the_packages_with_their_types_and_nothing_at_top_level_besides(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    packages = {"modelwatch", "modelwatch_rules", "modelwatch_grafana"}
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages
