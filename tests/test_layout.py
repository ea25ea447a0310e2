"""The outlines that packaging and users rely on."""

from __future__ import annotations

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


def test_importing_decorating_and_recording_loads_nothing_heavy(tmp_path: Path) -> None:
    script = """
import sys
from modelwatch import monitor, ProductionMonitoringService, ModelMonitoringConfig

@monitor("light")
def predict(features):
    return 0.5

for i in range(1000):
    predict({"a": float(i), "b": "x"})
assert monitor.flush(), "not flushed"
heavy = {"scipy", "pandas", "sqlalchemy", "aiohttp", "apscheduler", "plotly", "pyarrow", "sklearn", "rich", "jinja2"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"MODELWATCH_STORAGE": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


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
