"""The applications under the servers that their docstrings name: they predict, show metrics, and end in order."""

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
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"content-type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
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


# What is refused before the model is asked is no prediction.
REFUSED = {"asgi_app.py": (400, 1), "wsgi_app.py": (400, 1), "fastapi_app.py": (422, 0), "flask_app.py": (400, 1)}


@pytest.mark.e2e
@pytest.mark.parametrize("name", REFUSED)
def test_a_bare_decorator_serves_predictions_and_the_sum_of_all_workers(
    name: str, desk: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    served = Served(name, desk.environment, desk.work, tmp_path / "server.log")
    code, errors = REFUSED[name]
    try:
        wait_until(served.answers, 30)
        for i in range(40):
            status, body = served.ask("/predict", json.dumps({"bid": i / 40, "position": 2}).encode())
            assert (status, json.loads(body)) == (200, {"score": pytest.approx(0.02 + 0.1 * i / 40)})
        assert served.ask("/predict", b'{"bid": "much", "position": 2}')[0] == code
        assert served.ask("/predict", b"no JSON")[0] == code

        wait_until(lambda: served.count("modelwatch_predictions_total") == 40 + errors, 10)
        assert served.count("modelwatch_prediction_errors_total") == errors
        assert served.count("modelwatch_prediction_latency_seconds_count") >= 40
        if name == "fastapi_app.py":
            check_fastapi(served, wait_until)
    finally:
        served.process.send_signal(signal.SIGTERM)
        code = served.process.wait(30)
    assert code == 0, served.log
    assert "Traceback" not in served.log
    assert "Warning" not in served.log
    assert list(desk.work.iterdir()) == []


def check_fastapi(served: Served, wait_until: Callable[..., None]) -> None:
    """A batch counts its rows, and a caller's mistake an attempt."""
    rows = [{"bid": 0.4, "position": 2}, {"bid": 0.8, "position": 1}, {"bid": 1.0, "position": 0}]
    status, body = served.ask("/predict_many", json.dumps(rows).encode())
    assert (status, [round(row["score"], 3) for row in json.loads(body)]) == (200, [0.06, 0.14, 0.32])
    wait_until(lambda: served.count("modelwatch_predictions_total") == 43, 10)
    assert served.ask("/predict", b'{"bid": 0.4, "position": -1}')[0] == 400
    wait_until(lambda: served.count("modelwatch_predictions_total") == 44, 10)
    assert served.count("modelwatch_prediction_errors_total") == 0
    assert served.count("modelwatch_recorder_errors_total") == 0
    assert "/predict_many" in served.ask("/openapi.json")[1]
