"""The two applications under the servers that their docstrings name: they predict, show metrics, and end in order."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelwatch.demo.servers import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMMAND = re.compile(r"^    ((?:uvicorn|gunicorn) .+)$", re.MULTILINE)
FOLDER_OPTION = {"uvicorn": "--app-dir", "gunicorn": "--pythonpath"}


class Served:
    """An example, served by the very command of its docstring on another port."""

    def __init__(self, name: str, environment: dict[str, str], work: Path, log: Path) -> None:
        (command,) = COMMAND.findall((EXAMPLES / name).read_text(encoding="utf-8"))
        self.port = free_port()
        program, *words = command.replace("8000", str(self.port)).split()
        argv = [sys.executable, "-m", program, *words, FOLDER_OPTION[program], str(EXAMPLES)]
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(argv, cwd=work, env=environment, stdout=output, stderr=output)

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, path: str, data: bytes | None = None) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.ask("/metrics")[0] == 200
        except (urllib.error.URLError, OSError):
            return False

    def count(self, metric: str) -> float:
        families = text_string_to_metric_families(self.ask("/metrics")[1])
        return sum(s.value for f in families for s in f.samples if s.name == metric)


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["asgi_app.py", "wsgi_app.py"])
def test_a_bare_decorator_serves_predictions_and_the_sum_of_all_workers(
    name: str, desk: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    served = Served(name, desk.environment, desk.work, tmp_path / "server.log")
    try:
        wait_until(served.answers, 30)
        for i in range(40):
            status, body = served.ask("/predict", json.dumps({"bid": i / 40, "position": 2}).encode())
            assert (status, json.loads(body)) == (200, {"score": pytest.approx(0.02 + 0.1 * i / 40)})
        status, body = served.ask("/predict", b'{"bid": "much", "position": 2}')
        assert status == 400
        assert "error" in json.loads(body)
        assert served.ask("/predict", b"no JSON")[0] == 400

        wait_until(lambda: served.count("modelwatch_predictions_total") == 41, 10)
        assert served.count("modelwatch_prediction_errors_total") == 1
        assert served.count("modelwatch_prediction_latency_seconds_count") >= 40
    finally:
        served.process.send_signal(signal.SIGTERM)
        code = served.process.wait(30)
    assert code == 0, served.log
    assert "Traceback" not in served.log
    assert "Warning" not in served.log
    assert list(desk.work.iterdir()) == []
