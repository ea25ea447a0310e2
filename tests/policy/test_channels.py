from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import SeverityName
from modelwatch.exceptions import InputError
from modelwatch.policy import AlertLevel, Severity, channels_for, severity_of

LEVELS: list[SeverityName] = ["info", "warning", "error", "critical"]
ALL = ["log", "email", "slack", "pagerduty", "webhook", "alertmanager", "teams"]


@dataclass(frozen=True)
class Receiver:
    type: str
    min_severity: SeverityName | None = None


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("none", ()),
        ("info", ("log", "webhook", "alertmanager")),
        ("warning", ("log", "webhook", "alertmanager", "teams")),
        ("error", ("log", "email", "webhook", "alertmanager", "teams")),
        ("critical", tuple(ALL)),
    ],
)
def test_the_default_table(severity: str, told: tuple[str, ...]) -> None:
    assert channels_for(severity, ALL, {}, {}) == told


@pytest.mark.parametrize("severity", ["error", "critical"])
def test_an_error_that_would_reach_nobody_goes_to_all_the_models_channels(severity: str) -> None:
    receivers = {"slack": Receiver("slack", None), "email": Receiver("email", "critical")}
    assert channels_for("error", ["slack"], {}, {}) == ("slack",)
    assert channels_for("error", ["slack", "email"], receivers, {}) == ("slack", "email")
    assert channels_for(severity, ["log"], {}, {severity: ["pagerduty"]}) == ("log",)  # type: ignore[dict-item]


def test_a_warning_that_reaches_nobody_stays_unsent() -> None:
    assert channels_for("warning", ["slack"], {}, {}) == ()


def test_an_error_that_only_unreachable_channels_would_get_goes_to_all() -> None:
    assert channels_for("error", ["email", "slack"], {}, {}, reachable={"slack"}) == ("email", "slack")
    assert channels_for("error", ["log", "email", "slack"], {}, {}, reachable={"log"}) == ("log", "email")


def test_routing_goes_over_the_table_and_names_types_or_receivers() -> None:
    receivers = {"slack-ads": Receiver("slack"), "slack-ops": Receiver("slack"), "email": Receiver("email")}
    channels = ["log", "slack-ads", "slack-ops", "email"]
    assert channels_for("warning", channels, receivers, {"warning": ["slack"]}) == ("slack-ads", "slack-ops")
    assert channels_for("warning", channels, receivers, {"warning": ["slack-ops", "log"]}) == ("log", "slack-ops")
    assert channels_for("error", channels, receivers, {"warning": ["slack"]}) == ("log", "email")
    assert channels_for("warning", channels, receivers, {"warning": []}) == ()


def test_routing_never_adds_a_channel_that_the_model_does_not_have() -> None:
    assert channels_for("warning", ["log"], {"slack": Receiver("slack")}, {"warning": ["log", "slack"]}) == ("log",)


@pytest.mark.parametrize(("least", "told"), [("info", True), ("warning", True), ("error", False), ("critical", False)])
def test_a_receivers_own_severity_goes_over_routing(least: SeverityName, told: bool) -> None:
    receivers = {"slack": Receiver("slack", least)}
    for routing in ({}, {"warning": ["slack"]}, {"warning": ["log"]}):
        assert ("slack" in channels_for("warning", ["log", "slack"], receivers, routing)) is told  # type: ignore[arg-type]


def test_without_written_channels_every_receiver_is_told_from_warning_up() -> None:
    receivers = {"email": Receiver("email"), "slack": Receiver("slack", "error")}
    assert channels_for("info", None, receivers, {}) == ("log",)
    assert channels_for("warning", None, receivers, {}) == ("email",)
    assert channels_for("error", None, receivers, {}) == ("email", "slack")


def test_without_written_channels_and_receivers_the_log_is_told() -> None:
    for severity in LEVELS:
        assert channels_for(severity, None, {}, {}) == ("log",)
        assert channels_for(severity, None, {"log": None}, {}) == ("log",)


def test_without_written_channels_routing_still_may_name_the_log() -> None:
    receivers = {"slack": Receiver("slack"), "log": None}
    assert channels_for("warning", None, receivers, {"warning": ["log", "slack"]}) == ("log", "slack")


def test_a_handler_without_receiver_is_of_the_type_of_its_name() -> None:
    receivers = {"email": None, "pager": None}
    assert channels_for("error", ["email", "pager"], receivers, {}) == ("email", "pager")
    assert channels_for("warning", ["email", "pager"], receivers, {}) == ("pager",)


def test_severities_have_three_spellings() -> None:
    assert severity_of("critical") is severity_of(AlertLevel.CRITICAL) is severity_of(Severity.CRITICAL)
    for severity in (Severity.ERROR, AlertLevel.ERROR, "error"):
        assert channels_for(severity, ["email"], {}, {}) == ("email",)


@pytest.mark.parametrize("wrong", ["warn", "", None, 3])
def test_an_unknown_severity_is_refused_with_those_that_exist(wrong: object) -> None:
    with pytest.raises(InputError, match="severity must be one of none, info, warning, error, critical"):
        severity_of(wrong)  # type: ignore[arg-type]


channels = st.lists(st.sampled_from(ALL), max_size=5)
receivers = st.dictionaries(
    st.sampled_from(ALL), st.none() | st.builds(Receiver, st.sampled_from(ALL), st.none() | st.sampled_from(LEVELS))
)
routings = st.dictionaries(st.sampled_from(LEVELS), st.lists(st.sampled_from(ALL), max_size=3))


@given(st.sampled_from(LEVELS), channels, receivers, routings)
def test_told_channels_are_the_models_each_once_in_its_order(
    severity: str,
    given_channels: list[str],
    given_receivers: dict[str, Receiver | None],
    routing: dict[SeverityName, list[str]],
) -> None:
    told = channels_for(severity, given_channels, given_receivers, routing)
    order = list(dict.fromkeys(given_channels))
    assert [c for c in order if c in told] == list(told)


@given(st.sampled_from(["error", "critical"]), st.none() | channels.filter(bool), receivers, routings)
def test_no_error_reaches_nobody(
    severity: str,
    given_channels: list[str] | None,
    given_receivers: dict[str, Receiver | None],
    routing: dict[SeverityName, list[str]],
) -> None:
    assert channels_for(severity, given_channels, given_receivers, routing)


@given(
    st.sampled_from(["error", "critical"]), channels.filter(bool), receivers, routings, st.sets(st.sampled_from(ALL))
)
def test_where_nobody_reachable_would_be_told_of_an_error_all_the_models_channels_are(
    severity: str,
    given_channels: list[str],
    given_receivers: dict[str, Receiver | None],
    routing: dict[SeverityName, list[str]],
    reachable: set[str],
) -> None:
    told = channels_for(severity, given_channels, given_receivers, routing, reachable=reachable)
    assert set(told) & reachable or set(told) == set(given_channels)


@given(channels.filter(bool), receivers)
def test_whoever_is_told_of_something_is_told_of_what_is_worse(
    given_channels: list[str], given_receivers: dict[str, Receiver | None]
) -> None:
    told = [set(channels_for(level, given_channels, given_receivers, {})) for level in ("info", "warning")]
    assert told[0] <= told[1]
    # An error that none of them would get goes to all, and critical then to fewer: those that it was meant for.
    meant = [
        set(channels_for(level, [*given_channels, "log"], {**given_receivers, "log": None}, {})) for level in LEVELS
    ]
    assert meant[0] <= meant[1] <= meant[2] <= meant[3]


@given(st.sampled_from(LEVELS), channels.filter(bool))
def test_the_table_of_the_documents_holds_for_any_choice_of_channels(
    severity: SeverityName, given_channels: list[str]
) -> None:
    table = {
        "log": "info", "webhook": "info", "alertmanager": "info", "teams": "warning", "email": "error",
        "slack": "critical", "pagerduty": "critical",
    }  # fmt: skip
    meant = {c for c in given_channels if LEVELS.index(severity) >= LEVELS.index(table[c])}  # type: ignore[arg-type]
    told = set(channels_for(severity, given_channels, {}, {}))
    assert told == (meant or (set(given_channels) if severity in ("error", "critical") else set()))


@given(st.sampled_from(LEVELS), routings, receivers)
def test_a_receivers_min_severity_goes_over_everything(
    severity: SeverityName, routing: dict[SeverityName, list[str]], given_receivers: dict[str, Receiver | None]
) -> None:
    told = channels_for(severity, ["log", *ALL], {**given_receivers, "log": Receiver("log", "info")}, routing)
    for channel in ALL:
        receiver = given_receivers.get(channel)
        if channel != "log" and receiver is not None and receiver.min_severity is not None:
            assert (channel in told) == (LEVELS.index(severity) >= LEVELS.index(receiver.min_severity))
