import json
from pathlib import Path
from typing import Any

import pytest

from modelwatch.config import (
    AlertingConfig,
    AlertmanagerReceiver,
    EmailReceiver,
    LogReceiver,
    ModelMonitoringConfig,
    PagerDutyReceiver,
    SlackReceiver,
    WebhookReceiver,
    channels_without_receiver,
    environment_receivers,
    load_config,
)
from modelwatch.exceptions import ConfigError

EMAIL = {"to": "team@example.com", "smtp": "smtp.example.com:587"}


def receiver(name: str, **keys: Any) -> Any:
    return AlertingConfig.model_validate({"receivers": {name: keys}}).receivers[name]


def test_a_receiver_is_of_the_type_that_its_name_says() -> None:
    assert isinstance(receiver("email", **EMAIL), EmailReceiver)
    assert isinstance(receiver("slack", url_file="u"), SlackReceiver)
    assert isinstance(receiver("log", min_severity="error"), LogReceiver)


def test_the_type_may_differ_from_the_name() -> None:
    assert isinstance(receiver("email", type="slack", url_file="u"), SlackReceiver)
    assert isinstance(receiver("slack-ads", type="slack", url_file="u"), SlackReceiver)


def test_email_goes_to_one_address_or_to_many() -> None:
    assert receiver("email", **EMAIL).to == ("team@example.com",)
    assert receiver("email", **{**EMAIL, "to": ["a@b", "c@d", "a@b"]}).to == ("a@b", "c@d")


def test_the_sender_is_written_from() -> None:
    assert receiver("email", **EMAIL, **{"from": "modelwatch <mw@example.com>"}).from_ == "modelwatch <mw@example.com>"


@pytest.mark.parametrize(
    ("smtp", "host", "port"), [("localhost:25", "localhost", 25), ("[::1]:2525", "::1", 2525), ("h:465", "h", 465)]
)
def test_smtp_is_a_host_and_a_port(smtp: str, host: str, port: int) -> None:
    email = receiver("email", to="a@b", smtp=smtp)
    assert (email.host, email.port) == (host, port)


@pytest.mark.parametrize("smtp", ["h", "h:", ":25", "h:0", "h:65536", "h:25\n", "smtp://h:25", "a b:25", ""])
def test_what_is_no_host_and_port_is_refused(smtp: str) -> None:
    with pytest.raises(ConfigError, match=r"receivers.email.smtp: must be .host:port."):
        receiver("email", to="a@b", smtp=smtp)


@pytest.mark.parametrize(
    ("tls", "port", "word"),
    [(True, 587, "starttls"), (True, 465, "tls"), (False, 25, "none"), ("auto", 25, "auto"), ("tls", 25, "tls")],
)
def test_tls_is_a_word_or_true_or_false(tls: object, port: int, word: str) -> None:
    assert receiver("email", to="a@b", smtp=f"h:{port}", tls=tls).tls == word


@pytest.mark.parametrize("to", ["team", "a@b\nBcc: c@d", "a@b, c@d", [], [""], 5, None, ["a@b", "x"]])
def test_what_is_no_address_is_refused(to: object) -> None:
    with pytest.raises(ConfigError, match="email address"):
        receiver("email", to=to, smtp="h:25")


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("email", {**EMAIL, "password": SECRET}),
        ("email", {**EMAIL, "pasword": SECRET}),
        ("email", {**EMAIL, "smtp": f"me:{SECRET}@h:25"}),
        ("email", {**EMAIL, "username": [SECRET]}),
        ("email", {**EMAIL, "password_file": [SECRET]}),
        ("slack", {"url": f"https://hooks.slack.com/{SECRET}"}),
        ("slack", {"url_file": f"https://example.com/{SECRET}"}),
        ("slack", {"token_file": f"xoxb-{SECRET}", "channel": "#c"}),
        ("slack", {"token": SECRET}),
        ("slack", {"url_file": {"url": SECRET}}),
        ("slack", {f"https://hooks.slack.com/{SECRET}": None}),
        ("slack", {"type": f"https://hooks.slack.com/{SECRET}"}),
        ("slack", {"url_file": "u", "channel": [f"https://hooks.slack.com/{SECRET}"]}),
        ("webhook", {"url": f"https://me:{SECRET}@example.com/"}),
        ("webhook", {"url": f"example.com/{SECRET}"}),
        ("webhook", {"url": [f"https://example.com/{SECRET}"]}),
        ("webhook", {"url": "https://example.com", "bearer": SECRET}),
        ("webhook", {"url_file": f"https://example.com/{SECRET}"}),
        ("alertmanager", {"url": f"http://me:{SECRET}@am:9093"}),
        ("alertmanager", {"url_file": f"HTTP://me:{SECRET}@am:9093"}),
        ("pagerduty", {"routing_key": SECRET}),
        ("pagerduty", {"routing_key_file": (SECRET * 5)[:32]}),
        ("pagerduty", {"routing_key_file": {"key": SECRET}}),
    ],
)
def test_no_message_repeats_a_secret(name: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        receiver(name, **keys)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_receiver_that_is_a_bare_url_is_refused_without_it() -> None:
    with pytest.raises(ConfigError) as caught:
        AlertingConfig.model_validate({"receivers": {"slack": SECRET}, "slack": SECRET})
    assert SECRET not in str(caught.value)


def test_pagerduty_takes_its_key_from_a_file() -> None:
    found = receiver("pagerduty", routing_key_file="/run/secrets/pd", min_severity="error")
    assert isinstance(found, PagerDutyReceiver)
    assert (found.routing_key_file, found.min_severity) == ("/run/secrets/pd", "error")


@pytest.mark.parametrize(("name", "kind"), [("webhook", WebhookReceiver), ("alertmanager", AlertmanagerReceiver)])
def test_an_address_is_written_out_or_kept_in_a_file(
    name: str, kind: type[WebhookReceiver] | type[AlertmanagerReceiver]
) -> None:
    for keys in ({"url": "https://example.com:8443/prefix/x?y=z"}, {"url_file": "/run/secrets/url"}):
        found = receiver(name, **keys)
        assert isinstance(found, kind)
        assert (found.url, found.url_file, found.min_severity) == (keys.get("url"), keys.get("url_file"), None)
        assert isinstance(receiver("other", type=name, **keys), kind)


@pytest.mark.parametrize("name", ["webhook", "alertmanager"])
@pytest.mark.parametrize(
    "url",
    ["ftp://h", "h:9093", "http://", "https://:443", "http://h:x", "http://h:0", "http://[", "https://h/a b",
     "https://h/\nx", "javascript:alert(1)", "", "https://u@h", "https://u:p@h", "https://:p@h/x"],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused_unseen(name: str, url: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"receivers\.{name}\.url: must (be an address|not hold a user name)"
    ) as caught:
        receiver(name, url=url)
    assert "not shown" in str(caught.value)


def test_files_of_receivers_start_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "alerting:\n  receivers:\n    pagerduty: {routing_key_file: secrets/pd}\n"
        "    webhook: {url_file: secrets/hook}\n    alertmanager: {url: 'http://am:9093/prefix'}\n"
    )
    pager, hook, manager = load_config(path).alerting.receivers.values()
    assert isinstance(pager, PagerDutyReceiver)
    assert isinstance(hook, WebhookReceiver)
    assert isinstance(manager, AlertmanagerReceiver)
    assert (pager.routing_key_file, hook.url_file) == (str(tmp_path / "secrets/pd"), str(tmp_path / "secrets/hook"))
    assert manager.url == "http://am:9093/prefix"
    (tmp_path / "models.json").write_text(json.dumps({"alerting": {"receivers": {"webhook": {"url": "http://h"}}}}))
    assert load_config(tmp_path / "models.json").alerting.receivers["webhook"] == WebhookReceiver(url="http://h")


@pytest.mark.parametrize("interval", ["4h", "10s"])
def test_alerts_are_repeated_after_a_while(interval: str) -> None:
    expected = {"4h": 14400.0, "10s": 10.0}[interval]
    assert AlertingConfig(repeat_interval=interval).repeat_interval_seconds == expected


def test_defaults_are_four_hours_and_twenty_an_hour() -> None:
    alerting = AlertingConfig()
    assert (alerting.repeat_interval_seconds, alerting.hourly_cap, alerting.mode) == (14400.0, 20, "direct")


def test_the_environment_defines_a_slack_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = environment_receivers({"MODELWATCH_SLACK_URL_FILE": "secrets/url"})
    assert found == {"slack": SlackReceiver(url_file=str(tmp_path / "secrets/url"))}
    assert environment_receivers({}) == {}
    assert environment_receivers({"MODELWATCH_SLACK_URL_FILE": ""}) == {}


def test_a_url_in_the_environment_where_a_file_belongs_is_refused_unseen() -> None:
    with pytest.raises(ConfigError, match="path of a file") as caught:
        environment_receivers({"MODELWATCH_SLACK_URL_FILE": f"https://hooks.slack.com/{SECRET}"})
    assert SECRET not in str(caught.value)


def test_channels_that_nobody_serves_are_named() -> None:
    model = ModelMonitoringConfig(model_id="m", alert_channels=["log", "email", "slack", "teams"])
    alerting = AlertingConfig.model_validate({"receivers": {"email": EMAIL}})
    assert channels_without_receiver(model, alerting, {"teams"}) == ("slack",)
    assert channels_without_receiver(model, AlertingConfig(), ()) == ("email", "slack", "teams")
