"""A reader's desk: an empty folder, a home of its own, nothing configured, no way out of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Python runs this before anything else: whatever connects to another machine is an example that needs a network.
NO_NETWORK = """
import sys

def guard(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1", "localhost"):
        raise RuntimeError(f"this connects to {args[1]}")
    if event == "socket.getaddrinfo" and args[0] not in ("127.0.0.1", "::1", "localhost", None):
        raise RuntimeError(f"this looks up {args[0]}")

sys.addaudithook(guard)
"""


class Desk:
    """Runs examples as their reader does."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work, self.guard = folder / "home", folder / "work", folder / "guard"
        for part in (self.home, self.work, self.guard):
            part.mkdir()
        (self.guard / "sitecustomize.py").write_text(NO_NETWORK)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODELWATCH_", "XDG_"))}
        paths = [str(self.guard), os.environ.get("PYTHONPATH", "")]
        return kept | {
            "HOME": str(self.home),
            "MODELWATCH_STORAGE": str(self.home / "storage"),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, name: str, *arguments: str) -> tuple[str, str]:
        """Run an example to its end, every warning an error; return what it printed, and the log."""
        done = subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
        # What stands on stderr are alerts, which the log channel tells.
        assert [line for line in done.stderr.splitlines() if not re.match(r"status=\w+ level=", line)] == []
        assert list(self.work.iterdir()) == [], "an example leaves files in its reader's folder"
        return done.stdout, done.stderr


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def run(desk: Desk) -> Callable[..., tuple[str, str]]:
    return desk.run
