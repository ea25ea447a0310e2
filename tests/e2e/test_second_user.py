"""The second reference user: one machine, no Prometheus, a bare decorator, and the file of a Slack URL. Nothing else.

From the built wheel, in an empty folder, under uvicorn and under gunicorn with four workers.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch.demo.servers import Server, free_port
from modelwatch.demo.sinks import SlackSink

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("second_user")
Wait = Callable[[Callable[[], object], float], None]
HOUR = 3600.0
ROWS = 240


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `pip install modelwatch` puts there, its dependencies apart."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder / "site"


@dataclass
class User:
    """The user's machine."""

    home: Path
    url: str
    chat: SlackSink
    server: Server
    wait: Wait
    hour: int = 0

    def send(self, rows: list[dict[str, Any]], requests: int = 8) -> None:
        """Predict rows in some requests at a time, each over a connection of its own, so that many workers get some."""
        size = -(-len(rows) // requests)
        parts = [rows[first : first + size] for first in range(0, len(rows), size)]
        with ThreadPoolExecutor(requests) as pool:
            assert list(pool.map(self._post, parts)) == [len(part) for part in parts]

    def _post(self, rows: list[dict[str, Any]]) -> int:
        request = urllib.request.Request(self.url, data=json.dumps(rows).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return len(json.load(answer))

    def live(self, hours: int = 2, **broken: Any) -> None:
        """Let hours go by, with traffic in each, which is stored before the next one begins."""
        for _ in range(hours):
            self.hour += 1
            self.send([row | broken for row in make_rows(ROWS, self.hour)])
            self.wait(lambda: self.stored() == self.hour * ROWS, 20)
            self.turn_clock()

    def stored(self) -> int:
        """Return how many predictions are in the store."""
        connection = sqlite3.connect(self.storage / "modelwatch.db", timeout=10)
        found = connection.execute("SELECT coalesce(sum(attempts), 0) FROM interval_totals").fetchone()[0]
        connection.close()
        return int(found)

    @property
    def storage(self) -> Path:
        return self.home / ".local" / "state" / "modelwatch"

    def turn_clock(self) -> None:
        """Go on to the next hour."""
        new = self.home / "offset.new"
        new.write_text(str(self.hour * HOUR))
        new.replace(self.home / "offset")

    def log(self) -> str:
        return (self.home / "server.log").read_text()

    def messages(self, *words: str) -> list[str]:
        """Return the Slack messages that hold all these words."""
        texts = [json.dumps(message, ensure_ascii=False) for message in self.chat.messages]
        return [text for text in texts if all(word in text for word in words)]


def make_rows(count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    bids, platforms = rng.gamma(3.0, 4.0, count).tolist(), rng.choice(["ios", "android", "web"], count).tolist()
    return [{"bid": bid, "platform": platform} for bid, platform in zip(bids, platforms, strict=True)]


def command(server: str, port: int) -> list[str]:
    if server == "uvicorn":
        return [sys.executable, "-m", "uvicorn", "simulated:asgi", "--port", str(port), "--log-level", "warning"]
    return [
        sys.executable, "-m", "gunicorn", "simulated:wsgi", "-w", "4", "-b", f"127.0.0.1:{port}",
        "--log-level", "warning", "--no-control-socket",
    ]  # fmt: skip


@pytest.fixture(params=["uvicorn", "gunicorn"])
def machine(
    request: pytest.FixtureRequest, tmp_path: Path, installed: Path, wait_until: Wait
) -> Iterator[Callable[..., User]]:
    """Return how to start the user's server in an empty home, with a Slack URL in a file and nothing else."""
    running: list[Server] = []
    chat = SlackSink()

    def start(minute: float) -> User:
        home = tmp_path / "home"
        home.mkdir()
        (home / "slack_url").write_text(chat.url)
        (home / "offset").write_text("0")
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MODELWATCH_", "XDG"))}
        environment |= {
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(installed), str(PROGRAM)]),
            "MODELWATCH_SLACK_URL_FILE": str(home / "slack_url"),
            # Root may write /var/lib/modelwatch; a user on a machine of their own can't.
            "MODELWATCH_STORAGE": str(home / ".local" / "state" / "modelwatch"),
            "SIMULATED_OFFSET": str(home / "offset"),
            "SIMULATED_MINUTE": str(minute),
        }
        url = f"http://127.0.0.1:{port}/"
        server = Server(
            request.param, command(request.param, port), home / "server.log", url, env=environment, cwd=home
        )
        running.append(server)
        server.wait_ready(30)
        return User(home, url, chat, server, wait_until)

    yield start
    for server in running:
        server.stop()
    chat.close()


def test_slack_hears_once_when_predict_begins_to_fail(machine: Callable[..., User]) -> None:
    user = machine(minute=1.0)
    user.send(make_rows(400, 1))
    user.send([{"bid": 1.0, "platform": "broken"}] * 200)
    user.wait(lambda: user.messages("click_model", "33 % of predictions fail"), 30)
    (message,) = user.messages("click_model")
    assert "WARNING" in message, "nobody wrote the threshold, so that it is no more than a warning"
    # One log line for each worker that predicted, and no traceback in any.
    lines = re.findall(r"modelwatch records click_model \(registered by itself\).*", user.log())
    assert 1 <= len(lines) <= 4
    assert all("reference: learning" in line and str(user.home) in line for line in lines), lines
    assert "Traceback" not in user.log()


def test_slack_hears_when_an_input_breaks_after_the_day_that_learning_takes(machine: Callable[..., User]) -> None:
    user = machine(minute=60.0)
    user.live(24)
    assert "learnt" not in user.log(), "a whole day is needed"

    def learnt() -> bool:
        user.live()
        return "learnt the reference of click_model" in user.log()

    user.wait(learnt, 60)
    assert user.log().count("learnt the reference of click_model") == 1, "once, however many workers"
    user.live(4)
    assert user.messages("click_model") == [], "silence while nothing is wrong"

    def found() -> bool:
        user.live(bid=None)
        return bool(user.messages("click_model", "drifted", "bid"))

    user.wait(found, 60)
    assert re.search(r"\d+ % missing", user.messages("click_model", "drifted", "bid")[0])
    assert "Traceback" not in user.log()
