"""Type checkers understand the installed package as its users have it: ``mypy --strict``, no plugin, no source tree."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

import modelwatch

ROOT = Path(__file__).resolve().parents[2]
API = Path(__file__).with_name("api.py")

WRONG = """
from modelwatch import AlertLevel, DriftMonitoringConfig, ModelMonitoringConfig, ProductionMonitoringService
from modelwatch import ReferenceProfile, monitor, start_metrics_server, thresholds_from_baseline
import modelwatch

service = ProductionMonitoringService()
ModelMonitoringConfig(model_id=3)                                      # arg-type
ModelMonitoringConfig()                                                # call-arg
ModelMonitoringConfig(model_id="m", sampling_rat=0.5)                  # call-arg
ModelMonitoringConfig(model_id="m", task="clasification")              # arg-type
ModelMonitoringConfig(model_id="m", alert_channels=[1])                # list-item
DriftMonitoringConfig(windows=3)                                       # arg-type
service.record_prediction(3, 0.5, {})                                  # arg-type
service.record_prediction("m", 0.5)                                    # call-arg
service.record_prediction("m", 0.5, {}, latency_ms="3 ms")             # arg-type
service.record_predicton("m", 0.5, {})                                 # attr-defined
service.update_model_metric("m", "auc", "high")                        # arg-type
service.send_alert(3, "text")                                          # arg-type
service.register_alert_handler("email", "ml-team@example.com")         # arg-type
service.get_model_metrics("m", start_time=[1])                         # arg-type
AlertLevel.FATAL                                                       # attr-defined
ReferenceProfile.load(3)                                               # arg-type
start_metrics_server(port="9100")                                      # arg-type
thresholds_from_baseline({"auc": "high"})                              # dict-item
modelwatch.montior                                                     # attr-defined

@monitor("m")
def predict(features: dict[str, float]) -> float:
    return 0.5

predict("row")                                                         # arg-type
text: str = predict({})                                                # assignment
"""


class User:
    """Somebody with an environment of their own, in which the wheel of this source tree is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)])
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")])
        self.python = folder / "venv" / "bin" / "python"
        packages = Path(
            _run([str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
        )
        zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(packages)
        # Dependencies come from here. Not modelwatch, whose own .pth file is not looked at on this way.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        self.packages = packages

    def mypy(self, source: str) -> tuple[int, list[str]]:
        """Check a file of the user's; return the exit code and what was said about that file."""
        file = self.folder / "user.py"
        file.write_text(source, encoding="utf-8")
        options = ["--strict", "--config-file=", f"--cache-dir={self.folder / 'cache'}", "--no-error-summary"]
        done = subprocess.run(
            [sys.executable, "-m", "mypy", *options, f"--python-executable={self.python}", file.name],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.splitlines()


def _run(argv: list[str]) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/usr/bin:/bin"}
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("user"))


def test_a_file_that_uses_everything_has_no_errors(user: User) -> None:
    assert (user.packages / "modelwatch" / "py.typed").is_file()
    code, said = user.mypy(API.read_text(encoding="utf-8"))
    assert (code, said) == (0, [])


def test_every_mistake_is_reported_where_it_stands_and_nothing_else(user: User) -> None:
    expected = {
        number: match.group(1)
        for number, line in enumerate(WRONG.splitlines(), 1)
        if (match := re.search(r"# ([a-z-]+)$", line))
    }
    code, said = user.mypy(WRONG)
    found = {}
    for line in said:
        if match := re.fullmatch(r"user\.py:(\d+): error: .*\[([a-z-]+)\]", line):
            found[int(match.group(1))] = match.group(2)
    assert code == 1
    assert found == expected, "\n".join(said)


# ── the file is complete ─────────────────────────────────────────────────────────────────────────────────────────

OF_CLASS = {
    "service": "ProductionMonitoringService", "nothing_configured": "ProductionMonitoringService",
    "drift": "DriftMonitoringService", "profile": "ReferenceProfile",
}  # fmt: skip
PLUMBING = {"caller", "knows", "attach_profile", "reference_of", "metrics_places"}
"""Public by spelling only: what the decorator and the status page ask the service."""


def given() -> dict[str, set[str]]:
    """Return the arguments that api.py gives by name, by ``Class.method`` or name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(API.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            owner, _, method = ast.unparse(node.func).rpartition(".")
            name = f"{OF_CLASS.get(owner, owner)}.{method}" if owner else method
            found.setdefault(name, set()).update(keyword.arg for keyword in node.keywords if keyword.arg)
    return found


def callables() -> dict[str, Any]:
    """Return what can be called, by ``Class.method`` or name."""
    found: dict[str, Any] = {}
    for name in modelwatch.__all__:
        thing = getattr(modelwatch, name)
        if not callable(thing) or name == "AlertLevel":
            continue
        found[name] = thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing).__call__
        for key in dir(thing):
            member = getattr(thing, key)
            ours = (getattr(member, "__module__", None) or "").startswith("modelwatch")
            if ours and inspect.isroutine(member) and not key.startswith("_") and key not in PLUMBING:
                found[f"{name}.{key}"] = member
    # A profile is built or loaded, never made by hand; and pydantic's own options are pydantic's.
    del found["ReferenceProfile"]
    return {path: thing for path, thing in found.items() if not path.endswith(".model_validate")}


@pytest.mark.parametrize("path", list(callables()))
def test_the_file_gives_every_argument_of(path: str) -> None:
    thing = callables()[path]
    wanted = set(getattr(thing, "model_fields", None) or inspect.signature(thing).parameters)
    assert path in given(), f"{path} is not called"
    assert wanted - {"self", "cls", "defaulted"} - given()[path] == set()


def test_the_file_uses_every_public_name() -> None:
    words = set(re.findall(r"\w+", API.read_text(encoding="utf-8")))
    assert set(modelwatch.__all__) <= words
