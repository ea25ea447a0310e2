"""The command as people start, reload and stop it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

GOOD = "models: [{model_id: from_file, latency_quantile: 0.9}]\n"
QUANTILE = "modelwatch_latency_quantile_ratio{"


def _sample(process: Any, start: str) -> float | None:
    lines = process.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), None)


def test_it_says_in_one_line_where_it_listens_and_without_models_what_to_do(start_process: Any, storage: Path) -> None:
    process = start_process()
    assert process.url.startswith("http://127.0.0.1:")
    assert not process.url.endswith(":0")
    assert str(storage) in process.greeting
    assert process.get("/-/ready").status == 200
    process.process.stdout.readline()
    assert process.process.stdout.readline().strip() == f"export MODELWATCH_STORAGE={storage}"
    assert process.end(signal.SIGTERM) == (0, "")
    assert "Traceback" not in process.log


def test_control_c_ends_it_as_quietly(start_process: Any, tmp_path: Path) -> None:
    config = tmp_path / "models.yaml"
    config.write_text(GOOD, encoding="utf-8")
    process = start_process("--config", str(config))
    assert "1 model" in process.greeting
    code, rest = process.end(signal.SIGINT)
    assert (code, rest) == (0, "")
    assert "Traceback" not in process.log


def test_sighup_takes_over_a_good_configuration_and_keeps_the_old_one_for_a_bad(
    start_process: Any, tmp_path: Path, wait_until: Any
) -> None:
    config = tmp_path / "models.yaml"
    config.write_text(GOOD, encoding="utf-8")
    process = start_process("--config", str(config))
    assert _sample(process, QUANTILE) == 0.9

    config.write_text(GOOD.replace("0.9", "0.99"), encoding="utf-8")
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _sample(process, QUANTILE) == 0.99)
    assert _sample(process, "modelwatch_config_last_reload_successful") == 1.0

    config.write_text(GOOD.replace("latency_quantile: 0.9", "latency_quantil: 2"), encoding="utf-8")
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _sample(process, "modelwatch_config_last_reload_successful") == 0.0)
    assert _sample(process, QUANTILE) == 0.99
    assert "did you mean 'latency_quantile'?" in process.log
    assert "The last reload of the configuration failed" in process.get("/").text

    config.write_text(GOOD, encoding="utf-8")
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _sample(process, "modelwatch_config_last_reload_successful") == 1.0)
    assert process.end(signal.SIGTERM)[0] == 0
    assert "Traceback" not in process.log


def test_what_keeps_it_from_starting_is_one_sentence(start_process: Any, tmp_path: Path) -> None:
    config = tmp_path / "models.yaml"
    config.write_text("models: [{model_id: 3}]\n", encoding="utf-8")
    bad_file = start_process("--config", str(config))
    assert bad_file.process.wait(20) == 2
    assert "model_id" in bad_file.log

    running = start_process()
    taken = start_process("--listen", running.url.removeprefix("http://"))
    assert taken.process.wait(20) == 2
    assert "can't listen on 127.0.0.1:" in taken.log

    (tmp_path / "file").write_text("", encoding="utf-8")
    no_folder = start_process("--storage", str(tmp_path / "file"))
    assert no_folder.process.wait(20) == 2
    for process in (bad_file, taken, no_folder):
        assert "Traceback" not in process.log


def test_a_stop_gives_back_the_checks_at_once(start_process: Any, make_app: Any, wait_until: Any) -> None:
    app = make_app()
    app.register_model({"model_id": "m"})
    process = start_process()
    jobs = app._parts.jobs
    assert jobs.sidecar_runs(app._clock())
    assert process.end(signal.SIGTERM)[0] == 0
    assert not jobs.sidecar_runs(app._clock())
    assert jobs.leases.acquire(app._clock(), 30)


def test_who_is_killed_loses_the_checks_after_a_while(start_process: Any, make_app: Any) -> None:
    process = start_process()
    process.process.kill()
    process.process.wait(20)
    app = make_app()
    app.register_model({"model_id": "m"})
    jobs, now = app._parts.jobs, app._clock()
    assert jobs.sidecar_runs(now)
    assert not jobs.sidecar_runs(now + 31)
    assert jobs.leases.acquire(now + 31, 30)


def test_the_option_goes_over_the_environment(
    start_process: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWATCH_STORAGE", str(tmp_path / "elsewhere"))
    assert str(tmp_path / "storage") in start_process().greeting
