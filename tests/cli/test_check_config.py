import io
from pathlib import Path

import pytest

from modelwatch.cli.check_config import run

DATA = Path(__file__).parents[1] / "config" / "testdata"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODELWATCH_CONFIG", raising=False)
    monkeypatch.delenv("MODELWATCH_SLACK_URL_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def check(path: Path | None) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(str(path) if path is not None else None, out, err)
    return code, out.getvalue(), err.getvalue()


def test_a_right_file_is_summed_up() -> None:
    code, out, err = check(DATA / "complete.yaml")
    assert (code, err) == (0, "")
    assert out.split("\n\n")[0].splitlines()[1:] == [
        "  2 models",
        "  ad_score_model_v1        version 2026-11-20 · windows 1h, 24h every 30m · channels email, slack-ads",
        "  account_health_model_v2  windows 1h, 24h every 60 min · channels every receiver, else log",
        "  receivers: email, slack-ads (slack)",
    ]


def test_receivers_of_all_types_are_listed_without_their_addresses(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "alerting:\n  receivers:\n"
        "    pagerduty: {routing_key_file: secrets/pd}\n"
        "    nights: {type: pagerduty, routing_key_file: secrets/nights, min_severity: error}\n"
        "    webhook: {url: 'https://example.com/hook/S3CRET'}\n"
        "    am: {type: alertmanager, url_file: secrets/am}\n"
        "models:\n"
        "  - {model_id: m, alert_channels: [pagerduty, nights, webhook, am, alertmanager]}\n"
    )
    code, out, err = check(path)
    assert (code, err) == (0, "")
    assert "  receivers: pagerduty, nights (pagerduty), webhook, am (alertmanager)" in out.splitlines()
    assert "S3CRET" not in out
    [warning] = [line for line in out.splitlines() if line.startswith("warning: m: the channel")]
    assert warning.startswith("warning: m: the channel 'alertmanager' has no receiver")


def test_secret_files_that_are_of_no_use_are_warned_of_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hook").write_text("S3CRET is no address", encoding="utf-8")
    (tmp_path / "good").write_text("https://hooks.example.com/S3CRET", encoding="utf-8")
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "/nope/slack")
    path = tmp_path / "models.yaml"
    path.write_text(
        "alerting:\n  receivers:\n"
        "    pagerduty: {routing_key_file: nope}\n"
        "    good: {type: webhook, url_file: good}\n"
        "    hook: {type: webhook, url_file: hook}\n"
        "models:\n  - {model_id: m}\n"
    )
    code, out, err = check(path)
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("warning: receiver")] == [
        "warning: receiver 'slack' can't deliver: url_file '/nope/slack' cannot be read: No such file or directory",
        f"warning: receiver 'pagerduty' can't deliver: routing_key_file '{tmp_path / 'nope'}' cannot be read:"
        " No such file or directory",
        f"warning: receiver 'hook' can't deliver: url_file '{tmp_path / 'hook'}' holds no http(s) address",
    ]
    assert "S3CRET" not in out


def test_the_customers_file_is_right_and_channels_without_receiver_are_warned_of() -> None:
    code, out, err = check(DATA / "customer.json")
    assert (code, err) == (0, "")
    assert "ad_score_model_v1: the channel 'email' has no receiver" in out
    assert "ad_score_model_v1: the channel 'slack' has no receiver" in out
    assert "account_health_model_v2: the channel" not in out


def test_a_receiver_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "/run/secrets/slack")
    _, out, _ = check(DATA / "customer.json")
    assert "'email' has no receiver" in out
    assert "'slack' has no receiver" not in out


def test_mistakes_go_to_stderr_one_per_line(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models: [{model_id: m, sampling_rate: 2, retention_days: 0}]")
    code, out, err = check(path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert all(line.startswith(f"{path}:1: models[0].") for line in err.splitlines())


@pytest.mark.parametrize("path", sorted(DATA.glob("invalid-*")), ids=lambda path: path.name)
def test_every_kind_of_mistake_ends_with_code_2_and_no_traceback(path: Path) -> None:
    code, out, err = check(path)
    assert (code, out) == (2, "")
    assert err.startswith(str(path))
    assert "Traceback" not in err


def test_no_file_at_all_says_how_to_give_one() -> None:
    code, _, err = check(None)
    assert code == 2
    assert "--config" in err
    assert "MODELWATCH_CONFIG" in err


def test_a_local_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models: []")
    code, out, _ = check(None)
    assert (code, out.partition("\n\n")[0]) == (0, "models.yaml: OK\n  no models: only those that register themselves")
    assert "series" not in out


def test_a_file_of_the_environment_that_is_missing_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWATCH_CONFIG", "absent.yaml")
    code, _, err = check(None)
    assert code == 2
    assert err == "absent.yaml: cannot read the configuration file: No such file or directory\n"


def test_a_secret_in_the_environment_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "https://hooks.slack.com/hunter2")
    code, out, err = check(DATA / "customer.json")
    assert code == 2
    assert "hunter2" not in out + err
