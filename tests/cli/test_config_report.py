"""`check-config` beyond mistakes: who is told, what it costs in series and disk, what can't alarm or reaches nobody."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modelwatch import ReferenceProfile
from modelwatch.cli.audience import LEVELS, audience_of
from modelwatch.cli.check_config import Options, run
from modelwatch.cli.main import main
from modelwatch.config import MonitoringConfig, load_config
from modelwatch.notify.outbox import Outbox
from modelwatch.policy import Severity
from modelwatch.service.models import ModelBook
from modelwatch.service.routes import AlertRoutes
from modelwatch_rules.routing import expected_receivers

RECEIVERS: dict[str, Any] = {
    "email": {"to": "ml@example.com", "from": "mw@example.com", "smtp": "smtp.example.com:587", "tls": "none"},
    "slack": {"url_file": "slack_url"},
    "hook": {"type": "webhook", "url": "https://example.com/hook", "min_severity": "warning"},
}
MODELS: list[dict[str, Any]] = [
    {"model_id": "pages", "alert_channels": ["log", "email", "slack"]},
    {"model_id": "mails", "alert_channels": ["email"]},
    {"model_id": "logs", "alert_channels": ["log"]},
    {"model_id": "everybody"},
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slack_url").write_text("https://hooks.example.com/S3CRET")


def write(**sections: Any) -> Path:
    path = Path("models.yaml")
    path.write_text(yaml.safe_dump(sections))
    return path


def check(path: Path, **options: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run(str(path), out, err, Options(**options)), out.getvalue(), err.getvalue()


def as_json(path: Path, **options: Any) -> Any:
    code, out, err = check(path, format="json", **options)
    assert (code, err) == (0, "")
    return json.loads(out)


def section(out: str, title: str) -> list[str]:
    """Return the lines of a section, without runs of spaces."""
    [found] = [part for part in out.split("\n\n") if part.startswith(title)]
    return [" ".join(line.split()) for line in found.splitlines()[1:]]


def warnings(out: str) -> list[str]:
    return [line.removeprefix("warning: ") for line in out.splitlines() if line.startswith("warning: ")]


# ── who is told ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_gets_what_is_one_row_for_all_models_alike() -> None:
    more = [{"model_id": f"model_{n}", "alert_channels": ["email"]} for n in range(50)]
    _, out, _ = check(write(alerting={"receivers": RECEIVERS}, models=[*MODELS, *more]))
    assert section(out, "who is told (alerting.mode: direct)") == [
        "model info warning error critical",
        "pages log log log, email log, email, slack",
        "mails, model_0 and 49 more nobody nobody email email",
        "logs log log log log",
        "everybody, any other model log email, hook, slack email, hook, slack email, hook, slack",
    ]


@pytest.mark.parametrize("mode", ["direct", "prometheus"])
@pytest.mark.parametrize("routing", [{}, {"warning": ["slack"], "critical": ["email", "hook"]}])
def test_both_ways_of_alerting_tell_the_same_people(mode: str, routing: dict[str, list[str]]) -> None:
    alerting = {"mode": mode, "receivers": RECEIVERS, "severity_routing": routing}
    config = load_config(write(alerting=alerting, models=MODELS))
    routes = AlertRoutes(config, book := ModelBook({}), outbox := Outbox())
    for model in config.models:
        book.register(model, 0.0)
    for audience in audience_of(config):
        for level in LEVELS:
            model_id = audience.model.model_id if audience.model is not None else None
            direct = routes.route(level, model_id)
            through = expected_receivers(config, model_id, level.label)
            assert sorted(audience.told[level]) == sorted(direct)
            assert sorted(audience.told[level]) == sorted(set(through) - {"modelwatch-nobody"})
    outbox.close()


def test_gaps_are_told_loudly() -> None:
    _, out, _ = check(write(alerting={"receivers": RECEIVERS}, models=MODELS[:3]))
    assert warnings(out) == [
        "warning of mails reaches nobody",
        "error and critical of logs: log only!",
        "receiver 'hook' is told of nothing: no model of this file names it, or no severity goes to it",
    ]


def test_a_channel_that_alertmanager_cannot_reach_is_told_with_what_it_meant() -> None:
    models = [{"model_id": "m", "alert_channels": ["slacck"]}]
    _, out, _ = check(write(alerting={"mode": "prometheus", "receivers": RECEIVERS}, models=models))
    told = warnings(out)
    assert "m: the channel 'slacck' has no receiver; Alertmanager can't reach it (did you mean 'slack'?)" in told
    assert "error and critical of m: log only!" in told
    assert any(w.startswith("alerting.receivers.hook: a webhook gets the JSON of Alertmanager") for w in told)


def test_versions_that_tell_others_stand_apart() -> None:
    models = [
        {"model_id": "m", "model_version": "1", "alert_channels": ["email"]},
        {"model_id": "m", "model_version": "2", "alert_channels": ["slack"]},
    ]
    for mode in ("direct", "prometheus"):
        _, out, _ = check(write(alerting={"mode": mode, "receivers": RECEIVERS}, models=models))
        rows = section(out, "who is told")
        assert "m version 1 nobody nobody email email" in rows
        assert "m version 2 nobody nobody slack slack" in rows


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


def profile_of(folder: Path, inputs: int = 3) -> ReferenceProfile:
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"x{n}": rng.normal(50, 5, 2000) for n in range(inputs)}
    profile = ReferenceProfile.build({**columns, "zero": np.zeros(2000)}, predictions=rng.random(2000))
    profile.save(folder / "profile.json")
    return profile


def test_a_profile_makes_the_series_exact_and_none_gives_the_formula(tmp_path: Path) -> None:
    profile_of(tmp_path)
    path = write(models=[{"model_id": "known", "reference": "profile.json"}, {"model_id": "learns"}])
    rows = section(check(path)[1], "series, for one storage")
    assert rows[1] == "known 200 265 profile.json"
    assert rows[2] == "learns 101 + 31 per input 110 + 48 per input reference: auto"
    assert "inputs of learns are not known: --features N" in rows[3]
    found = as_json(path, features=7)
    known, learns = found["models"]
    assert learns["series"]["recordings"] == {"fixed": 101 + 7 * 31, "per_input": 0}
    assert found["series"]["recordings"]["fixed"] == 8 + sum(
        m["series"]["recordings"]["fixed"] for m in (known, learns)
    )
    assert found["series"]["in_all"]["per_input"] == 0


def test_inputs_whose_shape_cannot_alarm_are_listed(tmp_path: Path) -> None:
    profile_of(tmp_path)
    path = write(models=[{"model_id": "m", "reference": "profile.json"}])
    reason = "one value only in the reference (0): another one is told as novel, a gap as missing"
    assert section(check(path)[1], "shape can't alarm") == ["model input why", f"m zero {reason}"]
    assert as_json(path)["models"][0]["shape_cannot_alarm"] == [{"input": "zero", "reason": reason}]


def test_where_only_predictions_are_recorded_it_works_too(tmp_path: Path) -> None:
    """Without the packages that checks need, as on a model server that counts megabytes."""
    profile_of(tmp_path)
    path = write(models=[{"model_id": "m", "reference": "profile.json"}])
    missing = "import sys; sys.modules.update(dict.fromkeys(['scipy', 'sqlalchemy', 'aiohttp', 'apscheduler']));"
    code = f"{missing} from modelwatch.cli.main import main; sys.exit(main(['check-config', {str(path)!r}]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    expected = "m all scipy is not installed here, without which drift is not scored"
    assert section(ran.stdout, "shape can't alarm")[1] == expected


def test_a_reference_that_cannot_be_read_is_a_warning() -> None:
    code, out, _ = check(write(models=[{"model_id": "m", "reference": "nowhere.json"}]))
    assert code == 0
    assert any("m: the reference profile can't be read, drift would not be scored: " in w for w in warnings(out))


def test_a_model_that_is_a_burden_for_prometheus_is_a_warning(tmp_path: Path) -> None:
    profile_of(tmp_path, inputs=200)
    expose = {"max_series_per_model": 10_000}
    _, out, _ = check(write(models=[{"model_id": "m", "reference": "profile.json"}], expose=expose))
    assert any("series at one target are more than 5000" in w for w in warnings(out))


def test_inputs_that_are_counted_but_not_exposed_are_a_warning(tmp_path: Path) -> None:
    profile_of(tmp_path, inputs=200)
    path = write(models=[{"model_id": "m", "reference": "profile.json"}])
    (told,) = [w for w in warnings(check(path)[1]) if "not exposed" in w]
    assert "inputs are counted but not exposed, the least important: " in told
    assert "all would be more than 5 000 series (expose.max_series_per_model)" in told
    assert 4900 < as_json(path)["models"][0]["series"]["recordings"]["fixed"] <= 5000


def test_series_are_foretold_by_segment_and_what_is_put_together_is_a_warning(tmp_path: Path) -> None:
    profile_of(tmp_path)
    one = {"model_id": "m", "reference": "profile.json"}
    whole = as_json(write(models=[one]))["models"][0]["series"]["recordings"]["fixed"]
    path = write(models=[{**one, "segments": ["country", "device"]}])
    out = check(path)[1]
    assert "  by segment (country, device): at most, with 20 values and more (m)" in out.splitlines()
    assert not any("segments" in w for w in warnings(out))
    assert as_json(path)["models"][0]["series"]["recordings"]["fixed"] > 10 * whole
    few = write(models=[{**one, "segments": "country"}], expose={"max_series_per_model": 1200})
    assert any("segments: the first 3 that come are exposed by themselves" in w for w in warnings(check(few)[1]))
    none = write(models=[{**one, "segments": "country"}], expose={"max_series_per_model": 300})
    assert any("for all segments together, only classes by segment" in w for w in warnings(check(none)[1]))


def test_disk_follows_from_traffic_sampling_and_retention(tmp_path: Path) -> None:
    profile_of(tmp_path)
    base = {"reference": "profile.json", "retention_days": 30}
    path = write(
        storage={"max_size": "1GB"},
        models=[
            {"model_id": "all", **base},
            {"model_id": "tenth", "sampling_rate": 0.1, **base},
            {"model_id": "counts", "log_predictions": False, **base},
        ],
    )
    found = as_json(path, predictions_per_day=5e6)
    every, tenth, counts = (model["disk"] for model in found["models"])
    assert every["bytes_per_day"] == pytest.approx(sum(every["per_day_by_kind"].values()), abs=5)
    # Where there are few rows in each chunk, what the chunk itself takes counts for more.
    assert 5 < every["per_day_by_kind"]["rows"] / tenth["per_day_by_kind"]["rows"] < 10
    assert counts["per_day_by_kind"]["rows"] == 0
    assert every["bytes_in_the_end"] == pytest.approx(30 * every["bytes_per_day"], rel=0.01)
    assert found["disk"]["max_bytes"] == 10**9
    [warning] = [w for w in found["warnings"] if w.startswith("disk: ")]
    assert "storage.max_size 1 GB" in warning
    # Of what nobody said how much comes, nothing is wrong.
    assert not [w for w in as_json(path)["warnings"] if w.startswith("disk: ")]


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_warnings_are_findings_only_where_that_is_asked_for() -> None:
    path = write(models=[{"model_id": "m", "alert_channels": ["log"]}])
    assert check(path)[0] == 0
    assert check(path, strict=True)[0] == 1
    good = write(alerting={"receivers": RECEIVERS}, models=[{"model_id": "everybody"}])
    assert check(good, strict=True)[::2] == (0, "")


def test_the_file_is_an_argument_or_an_option_but_not_two(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(models=[]))
    for argv in ([path], ["--config", path], [path, "--config", path], []):
        assert main(["check-config", *argv]) == 0
        assert capsys.readouterr().out.startswith("models.yaml: OK\n")
    assert main(["check-config", path, "--config", "other.yaml"]) == 2
    assert "two files are given" in capsys.readouterr().err


def test_mistakes_as_json_are_a_list() -> None:
    path = Path("models.yaml")
    path.write_text("models: [{model_id: m, sampling_rate: 2, retention_days: 0}]")
    code, out, err = check(path, format="json")
    found = json.loads(out)
    assert (code, err, found["ok"], len(found["mistakes"])) == (2, "", False, 2)


def test_nothing_that_is_secret_is_told() -> None:
    _, out, _ = check(write(alerting={"receivers": RECEIVERS}, models=MODELS))
    assert "S3CRET" not in out + json.dumps(as_json(Path("models.yaml")))


def test_severity_none_tells_nobody_and_is_no_level() -> None:
    assert Severity.NONE not in LEVELS
    assert audience_of(MonitoringConfig())[0].told[Severity.CRITICAL] == ("log",)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--predictions-per-day", "x", "must be a number above 0, got 'x'"),
        ("--predictions-per-day", "nan", "must be a number above 0, got 'nan'"),
        ("--predictions-per-day", "0", "must be a number above 0, got '0'"),
        ("--predictions-per-day", "1e13", "must be at most 1e+12, got '1e13'"),
        ("--workers", "x", "must be a whole number from 1 to 100000, got 'x'"),
        ("--features", "0", "must be a whole number from 1 to 100000, got '0'"),
    ],
)
def test_a_number_that_is_none_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], option: str, value: str, sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check-config", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: {sentence}" in capsys.readouterr().err
