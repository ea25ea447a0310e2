"""Every example runs from an empty folder with nothing configured, and says what its docstring promises."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.demo.mail_sink import SmtpSink

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SERVED = {"asgi_app.py", "wsgi_app.py", "fastapi_app.py", "flask_app.py"}
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name not in SERVED)

Run = Callable[..., tuple[str, str]]


def test_serving_records_every_prediction_and_says_how_far_learning_is(run: Run) -> None:
    out, log = run("serve_with_service.py")
    assert out == "1000 predictions, 0 errors, healthy\nreference: learning, 1 000 of 5 000 rows, 0 of 24 h\n"
    assert log == ""


def test_the_email_handler_gets_the_error_and_not_the_info(run: Run) -> None:
    out, _ = run("email_handler.py")
    assert "Subject: [ERROR] performance: accuracy fell below 0.9" in out
    assert out.count("Subject:") == 1
    assert '"accuracy": 0.81' in out
    assert re.search(r"Since \d{4}-\d\d-\d\dT[\d:.]+\+00:00", out)
    assert "error: {'log': 'sent', 'email': 'sent'}" in out
    assert "info: {'log': 'sent'}" in out


def test_the_email_handler_sends_through_the_server_it_is_given(run: Run) -> None:
    with SmtpSink() as sink:
        out, _ = run("email_handler.py", sink.address)
        mail = sink.wait_for(lambda mail: True)
    assert "error: {'log': 'sent', 'email': 'sent'}" in out
    assert mail["Subject"] == "[ERROR] performance: accuracy fell below 0.9"
    facts = mail.get_content()
    assert json.loads(facts[facts.index("{") :]) == {"model_id": "ad_score_model_v1", "accuracy": 0.81}
    assert len(sink.messages) == 1


def test_broken_data_trigger_retraining_sound_data_do_not_and_without_a_reference_it_says_learning(run: Run) -> None:
    out, log = run("drift_and_retraining.py")
    sound, drifted, types, retraining, learning = out.splitlines()
    assert sound.startswith("delays_with_reference: no drift: 2 inputs and predictions within tolerance")
    assert drifted.startswith("delays_with_reference: 1 of 2 inputs drifted: distance (mean +")
    assert types == "delays_with_reference: drift types: data, prediction"
    assert retraining == "delays_with_reference: retraining triggered"
    assert learning == "delays_from_zero: not scored: no reference yet: learning, 500 of 5 000 rows, 0 of 24 h"
    assert log == ""


def test_the_batch_loop_finds_the_broken_batch_and_tells_people_once(run: Run) -> None:
    out, log = run("batch_loop.py")
    nothing_yet, sound, drifted, told = out.splitlines()
    assert nothing_yet == "not scored: no reference yet: learning, 200 of 5 000 rows, 0 of 24 h"
    assert sound.startswith("no drift: 2 inputs and predictions within tolerance")
    assert drifted.startswith("1 of 2 inputs drifted: logins (")
    assert told == "told: {'log': 'sent'}"
    assert log.count("level=warning") == 1
    assert "Drift detected in account_health_model_v2: data, prediction" in log


def test_the_training_pipeline_stores_the_baseline_with_its_origin(run: Run) -> None:
    out, log = run("training_pipeline.py")
    origin = {"source": "training", "dataset": "baseline"}
    assert out.splitlines() == [
        f"ad_score_model_v1 accuracy 0.94 {origin}",
        f"ad_score_model_v1 auc 0.91 {origin}",
        f"ad_score_model_v2 accuracy 0.94 {origin}",
        f"ad_score_model_v2 auc 0.91 {origin}",
        f"ad_score_model_v2 latency_ms 12 {origin}",
    ]
    assert log == ""


def test_diagnostics_show_metrics_alerts_and_what_was_cleaned_up(run: Run) -> None:
    out, _ = run("diagnostics.py")
    assert re.search(r"^service: healthy, storage: \S+/home/storage$", out, re.MULTILINE)
    assert re.search(r"^  accuracy: 0.97 at \d{4}-", out, re.MULTILINE)
    assert re.search(r"^  prediction_mean: 0.45 at \d{4}-", out, re.MULTILINE)
    assert re.search(r"^  slowest minute: \d\.\d+ ms$", out, re.MULTILINE)
    assert re.search(r"^  warning \d{4}-\S+: a campaign begins$", out, re.MULTILINE)
    assert out.endswith("cleanup: success\n")


def test_diagnostics_of_a_model_without_traffic_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diagnose = runpy.run_path(str(EXAMPLES / "diagnostics.py"))["diagnose"]
    with ProductionMonitoringService(storage_path=tmp_path, background=False) as service:
        service.register_model({"model_id": "quiet"})
        diagnose(service)
    assert "  slowest minute: no traffic yet\n" in capsys.readouterr().out


def test_the_customers_configuration_file_registers_its_models(run: Run) -> None:
    out, log = run("config_file.py")
    assert out.splitlines() == [
        "ad_score_model_v1: healthy, 1 predictions, learning, 1 of 5 000 rows, 0 of 24 h",
        "account_health_model_v2: healthy, 1 predictions, " + out.splitlines()[1].rpartition("predictions, ")[2],
    ]
    assert "account_health_model_v2: healthy, 1 predictions, learning, " in out
    assert log == ""


def test_the_pipeline_records_batches_and_one_row_and_finds_the_broken_batch(run: Run) -> None:
    out, log = run("sklearn_pipeline.py")
    recorded, sound, drifted = out.splitlines()
    assert recorded == "3001 predictions of account_health_model_v2 recorded"
    assert sound.startswith("no drift: 2 inputs and predictions within tolerance")
    assert drifted.startswith("1 of 2 inputs drifted: logins (")
    assert log == ""


def test_the_pyfunc_model_predicts_as_it_is_served_and_records(run: Run) -> None:
    """Through MLflow's own saving and loading where it is installed, else by the protocol that it documents."""
    out, _ = run("mlflow_pyfunc.py")
    scores, recorded = out.splitlines()[-2:]
    assert scores == "[0.06, 0.14, 0.32]"
    assert re.fullmatch(r"recorded: True, the last is \w+-0\.2", recorded)


def test_the_pyfunc_model_can_be_saved_by_value_after_it_has_predicted(desk: Any) -> None:
    path = desk.home / "model.pkl"
    save = (
        "import cloudpickle, mlflow_pyfunc; import pandas as pd;"
        "cloudpickle.register_pickle_by_value(mlflow_pyfunc);"
        "model = mlflow_pyfunc.AdScore(); model.load_context(None);"
        "model.predict(None, pd.DataFrame({'bid': [0.4], 'position': [2]}));"
        f"open({str(path)!r}, 'wb').write(cloudpickle.dumps(model))"
    )
    load = (
        f"import pickle; import pandas as pd; model = pickle.load(open({str(path)!r}, 'rb'));"
        "print(list(model.predict(None, pd.DataFrame({'bid': [0.4], 'position': [2]}))));"
        "from modelwatch import monitor; print(monitor.flush(), monitor.last_prediction_id())"
    )
    here = {"PYTHONPATH": f"{desk.environment['PYTHONPATH']}:{EXAMPLES}"}
    for script, more, out in ((save, here, ""), (load, {}, r"\[.*0\.06.*\]\nTrue \w+-0\.0\n")):
        argv, environment = [sys.executable, "-c", script], desk.environment | more
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert re.fullmatch(out, done.stdout), done.stdout + done.stderr


def test_the_class_for_a_model_server_records_methods_a_batch_and_a_block(run: Run) -> None:
    out, log = run("bentoml_service.py")
    assert out == "0.06\n[0.14, 0.32]\n0.02\nrecorded: True\n"
    assert log == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_runs_again_on_what_it_left(run: Run, name: str) -> None:
    run(name)
    assert run(name)[0]


def test_an_example_that_needed_another_machine_would_fail(desk: Any) -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=desk.environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert "this looks up 192.0.2.1" in done.stderr


def test_the_readme_lists_every_example_and_nothing_else() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    assert linked == {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert "(examples/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_example_says_first_what_it_shows_and_imports_only_public_names() -> None:
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""'), path.name
        assert not re.search(r"^\s*(?:from|import) modelwatch\.", text, re.MULTILINE), path.name
        assert re.search(r"^from modelwatch import ", text, re.MULTILINE), path.name
