"""What a person is told: the facts of a 3 a.m. message, and nothing that was not measured."""

from __future__ import annotations

import math
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelwatch.notify import messages
from modelwatch.notify.messages import AlertText, ModelFacts, drift_text, plain_text, resolved_text, text_of
from modelwatch.notify.wording import clean, duration, number, percent, safe_url
from modelwatch.policy import Severity
from modelwatch.records import CheckResult, FamilyResult, FeatureShift, FurtherScore, TestResult

NOW = 1795504200.0  # 2026-11-24 02:10 in New York
NEW_YORK = "America/New_York"
FACTS = ModelFacts(
    "ad_score_model_v1",
    owner="ml-ads",
    runbook_url="https://wiki.example.com/ads?a=1&b=2",
    dashboard_url="https://grafana.example.com/d/ads",
)


def outcome(feature: str, test: str = "novel", severity: Severity = Severity.ERROR, **changed: Any) -> TestResult:
    fields: dict[str, Any] = {
        "feature": feature, "test": test, "window": "1h", "n": 41183.0, "m": 20000.0, "score": 0.64,
        "score_low": 0.6, "score_high": 0.7, "threshold": 0.1, "p_real": 1e-9, "p_value": 1e-9, "severity": severity,
    }  # fmt: skip
    return TestResult(**(fields | changed))


def shift(feature: str, **changed: Any) -> FeatureShift:
    fields: dict[str, Any] = {
        "feature": feature, "window": "1h", "shift_sd": None, "missing_ratio": 0.0, "missing_reference": 0.0,
        "novel_ratio": 0.0, "novel_reference": 0.0, "below_ratio": 0.0, "above_ratio": 0.0, "attribution": 0.5,
    }  # fmt: skip
    return FeatureShift(**(fields | changed))


BID = shift("bid_floor", shift_sd=3.1, novel_ratio=0.61, above_ratio=0.61)
PLACEMENT = shift("placement", novel_ratio=0.12)


def family(names: tuple[str, ...] = ("bid_floor", "placement"), **changed: Any) -> FamilyResult:
    fields: dict[str, Any] = {
        "drift_type": "data", "state": "drift", "severity": Severity.ERROR,
        "tests": tuple(outcome(name, score=0.64 if i == 0 else 0.25) for i, name in enumerate(names)),
        "feature_severity": {**dict.fromkeys(names, Severity.ERROR),
                             **{f"quiet_{i}": Severity.NONE for i in range(25 - len(names))}},
        "shifts": tuple(shift(n, shift_sd=3.1, novel_ratio=0.61, above_ratio=0.61) if n != "placement" else PLACEMENT
                        for n in names),
    }  # fmt: skip
    return FamilyResult(**(fields | changed))


def check(data: FamilyResult, prediction: FamilyResult | None = None, **changed: Any) -> CheckResult:
    families = {"data": data} | ({"prediction": prediction} if prediction is not None else {})
    result = CheckResult(
        model_id="ad_score_model_v1", model_version="2026-11-20", profile_id="ab" * 32, checked_at=NOW, duration=0.1,
        calibrated=True, families=families, windows={"1h": 41183.0}, reference_rows=20000.0,
        prediction_mean=(0.0812, 0.0791),
    )  # fmt: skip
    return replace(result, **changed)


STEADY = FamilyResult("prediction", "ok", Severity.NONE)


def text(
    data: FamilyResult, prediction: FamilyResult | None = STEADY, facts: ModelFacts = FACTS, **kw: Any
) -> AlertText:
    return drift_text(check(data, prediction), data, facts=facts, since=NOW, now=NOW + 60, timezone=NEW_YORK, **kw)


def test_drift_subject_says_what_which_and_since_when() -> None:
    expected = "[ERROR] ad_score_model_v1: 2 of 25 inputs drifted (bid_floor, placement) since 02:10 EST"
    assert text(family()).subject == expected


def test_drift_message_has_the_facts_of_three_in_the_morning() -> None:
    message = text(family()).message
    for fact in (
        "Version: 2026-11-20",
        "Window: 1 h\n",
        "bid_floor: mean +3.1 sd, 61 % above the reference range (was 0 %). JS 0.64, tolerance 0.10",
        "placement: 12 % unseen values (was 0 %). JS 0.25, tolerance 0.10",
        "n = 41 200 in the last 1 h against 20 000 in the reference",
        "not chance (budget: 1 false alarm per 30 days)",
        "mean prediction 0.0812 → 0.0791; predictions within tolerance",
        "Look first: what feeds bid_floor, placement (a change of unit or scale?; new codes, or another spelling?)",
        "Owner: ml-ads",
        "Dashboard: https://grafana.example.com/d/ads",
        "Runbook: https://wiki.example.com/ads?a=1&b=2",
    ):
        assert fact in message


def test_slack_and_html_have_the_same_features_and_links() -> None:
    made = text(family())
    for medium in (made.slack, made.html):
        assert "61 % above the reference range (was 0 %)" in medium
        assert "https://wiki.example.com/ads?a=1&amp;b=2" in medium
        assert "ml-ads" in medium
    head = "*ERROR* · `ad_score_model_v1` (version 2026-11-20) · *2 of 25 inputs drifted* since 02:10 EST, 1 h window"
    assert made.slack.splitlines()[0] == head


def test_can_wait_is_said_only_when_labels_and_predictions_are_known_to_be_well() -> None:
    assert "can wait" not in text(family()).message
    assert "quality on real labels not measured" in text(family()).message
    assert "can wait" in text(family(), facts=replace(FACTS, floors_hold=True)).message
    assert "can wait" not in text(family(), facts=replace(FACTS, floors_hold=False)).message
    drifted = FamilyResult("prediction", "drift", Severity.WARNING)
    assert "can wait" not in text(family(), drifted, replace(FACTS, floors_hold=True)).message
    unknown = FamilyResult("prediction", "insufficient_data", Severity.NONE, reason="needs 50 rows, has 12")
    assert "predictions not scored: needs 50 rows, has 12" in text(family(), unknown).message


def test_version_and_operations_are_mentioned_only_when_known() -> None:
    plain = text(family()).message
    assert "version change" not in plain
    assert "latency" not in plain
    known = replace(FACTS, version_since=NOW - 90000, others=(), previous_alarm_at=NOW - 19 * 86400)
    told = text(family(), facts=known).message
    assert "no model version change in the 24 h before, so upstream: what feeds bid_floor" in told
    assert "latency, errors and traffic are normal" in told
    assert "Previous alarm of this model: 19 days ago" in told
    fresh = text(family(), facts=replace(FACTS, version_since=NOW - 2400)).message
    assert "this model version began 40 min before: the deployment, then" in fresh


def test_more_than_five_features_are_counted_not_listed() -> None:
    names = tuple(f"feature_{i:02}" for i in range(17))
    made = text(family(names))
    assert "17 of 25 inputs drifted" in made.subject
    assert "+12 more" in made.subject
    assert "feature_05" not in made.message
    assert "feature_05" not in made.html


def test_prediction_drift_speaks_of_predictions() -> None:
    found = family(("",), drift_type="prediction", severity=Severity.WARNING)
    found = replace(
        found,
        tests=(outcome("", "shape", Severity.WARNING, threshold=0.05),),
        feature_severity={"": Severity.WARNING},
        shifts=(shift("", shift_sd=-0.72),),
    )
    made = drift_text(check(family(), found), found, facts=FACTS, since=NOW, now=NOW, timezone=NEW_YORK)
    assert made.subject == "[WARNING] ad_score_model_v1: predictions drifted since 02:10 EST"
    assert "Predictions: mean -0.72 sd. JS 0.64, tolerance 0.05" in made.message


def test_a_held_severity_says_why_it_is_held() -> None:
    assert "Held: needs 50 rows, has 12" in text(family(state="held", reason="needs 50 rows, has 12")).message


def test_a_fact_says_how_an_input_moved_how_far_and_which_fixed_threshold_it_is_beyond() -> None:
    moved = shift("distance", shift_sd=0.614, tail=("above", 1597.0, 0.14, 0.28))
    further = (FurtherScore("psi", "distance", "1h", 0.314, 0.2), FurtherScore("ks", "distance", "1h", 0.3))
    made = text(family(("distance",), tests=(outcome("distance", "shape"),), shifts=(moved,), further=further))
    told = "distance: mean +0.61 sd, share above 1 600 doubled. JS 0.64, tolerance 0.10. PSI 0.314, fixed threshold 0.2"
    assert told in made.lines


def test_a_long_name_of_a_category_is_cut() -> None:
    moved = shift("carrier", changed=(("U" * 50, 0.12, 0.31),))
    made = text(family(("carrier",), tests=(outcome("carrier", "shape"),), shifts=(moved,)))
    assert f"carrier: {'U' * 39}…: 12 % → 31 %" in made.message


def test_operational_texts_give_value_limit_and_sample() -> None:
    common: dict[str, Any] = {"severity": Severity.ERROR, "now": NOW, "timezone": NEW_YORK}
    latency = messages.latency_text(
        FACTS, quantile=0.95, seconds=0.231, limit_seconds=0.15, requests=1234, window_seconds=300, **common
    )
    assert latency.subject == "[ERROR] ad_score_model_v1: p95 latency 231 ms (limit 150 ms) since 02:10 EST"
    assert "1 230 requests in the last 5 min" in latency.message
    errors = messages.error_rate_text(
        FACTS, rate=0.041, limit=0.02, errors=41, requests=1000, window_seconds=300, **common
    )
    assert "4.1 % of predictions fail (limit 2 %)" in errors.subject
    assert "41 of 1 000 requests in the last 5 min" in errors.message
    silent = messages.no_predictions_text(FACTS, last_at=NOW - 1800, limit_seconds=900, **common)
    assert silent.subject == "[ERROR] ad_score_model_v1: no predictions for 30 min since 01:40 EST"
    failing = messages.check_failing_text(FACTS, failures=3, error="disk I/O error", **common)
    assert "drift check failed 3 times in a row" in failing.subject
    assert "Reason: disk I/O error" in failing.message


def test_a_broken_floor_says_by_how_much_when_measured_and_whether_anybody_wrote_it() -> None:
    common: dict[str, Any] = {"severity": Severity.CRITICAL, "now": NOW, "timezone": NEW_YORK, "measured_at": NOW}
    floor = messages.performance_text(
        FACTS, metric="auc", value=0.81, limit=0.85, below=True, written=True, since=NOW - 600, **common
    )
    assert floor.subject == "[CRITICAL] ad_score_model_v1: auc 0.81 is below its floor 0.85 since 02:00 EST"
    assert "How bad: 0.04 below the floor, 4.7 % of it" in floor.lines
    assert "Measured: the value given to update_model_metric at 02:10 EST" in floor.lines
    assert "nobody wrote" not in floor.message
    ceiling = messages.performance_text(
        FACTS, metric="bias|<b>", value=0.5, limit=0, below=False, written=False, **common
    )
    assert "is above its ceiling 0 since" in ceiling.headline
    assert "a default that nobody wrote" in ceiling.message
    assert "<b>" not in ceiling.html


def test_resolved_says_how_long_it_lasted() -> None:
    first = text(family())
    over = resolved_text("ad_score_model_v1", first.headline, 11100)
    assert over.subject == first.subject.replace("[ERROR]", "[RESOLVED]") + "; lasted 3 h 5 min"
    assert "Lasted 3 h 5 min." in over.slack


def test_an_alert_of_the_users_own_gets_a_layout() -> None:
    made = text_of(
        {"level": "warning", "message": "retrain\nsoon", "model_id": "m", "data": {"auc": 0.81234, "x": [{}]}}
    )
    assert made.subject == "[WARNING] m: retrain"
    assert made.lines == ("soon", "auc: 0.812")


def test_the_result_of_a_call_passed_on_as_data_is_told_without_what_says_nothing() -> None:
    result = {"status": "success", "model_id": "m", "drift_types": ["data"], "severity": "error", "top_features": [],
              "summary": "1 of 3 inputs drifted", "details": {"data": {}}, "long": list(range(50))}  # fmt: skip
    made = text_of({"level": "warning", "message": "drift in the batch", "model_id": "m", "data": result})
    assert made.lines == ("drift_types: data", "severity: error", "summary: 1 of 3 inputs drifted")


def test_own_data_under_the_key_text_is_no_composed_text() -> None:
    assert text_of({"level": "info", "message": "hi", "data": {"text": {"subject": "x"}}}).subject == "[INFO] hi"


# ── hostile names ────────────────────────────────────────────────────────────────────────────────────────────────────

NASTY = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        ["a\r\nBcc: x@example.com", "<script>alert(1)</script>", "<!channel>", "{{ $value }}", '"\\', "`*_~", "../..",
         "a\u202eb", "\ud800", "&lt;", "\x00", "<https://evil.example.com|click>", "' onclick='x", "😀" * 20]
    ),
)  # fmt: skip
OUR_TAGS = {"p", "strong", "table", "tr", "th", "td", "a", "html", "body"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def assert_harmless(made: AlertText) -> None:
    assert made.subject.isprintable()
    assert all(line.isprintable() for line in (made.headline, *made.lines))
    parser = Tags()
    parser.feed(made.html)
    parser.close()
    assert parser.found <= OUR_TAGS
    assert parser.attributes <= {"style", "href"}
    for part in made.slack.split("<")[1:]:
        assert part.startswith(("https://wiki.example.com", "https://grafana.example.com"))
    assert all(line.isprintable() for line in made.slack.split("\n"))


@given(model=NASTY, features=st.lists(NASTY, min_size=1, max_size=7, unique=True), label=NASTY, owner=NASTY)
def test_no_name_breaks_a_subject_html_or_slack(model: str, features: list[str], label: str, owner: str) -> None:
    moved = [shift(name, changed=((label, 0.1, 0.4),)) for name in features]
    found = family(tuple(features), shifts=tuple(moved), tests=tuple(outcome(n, "shape") for n in features))
    facts = replace(FACTS, model_id=model, owner=owner)
    made = drift_text(
        replace(check(found, STEADY), model_version=label), found, facts=facts, since=NOW, now=NOW, timezone=NEW_YORK
    )
    assert_harmless(made)
    assert_harmless(resolved_text(model, made.headline, 5.0))


@given(message=NASTY, model=NASTY, key=NASTY, value=NASTY)
def test_no_message_of_the_users_own_breaks_anything(message: str, model: str, key: str, value: str) -> None:
    assert_harmless(plain_text("error", message, model, {key: value}))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//host", "https://", "http://[", "ftp://h/", "", None]
)
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert safe_url(url) == ""


def test_a_link_cannot_leave_its_attribute() -> None:
    assert safe_url('https://h/"><script>|x y') == "https://h/%22%3E%3Cscript%3E%7Cx%20y"


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(-1e300, 1e300))
def test_number_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    read = float(number(value).replace(" ", ""))
    assert math.isclose(read, value, rel_tol=0.0051, abs_tol=1e-320)


@given(st.floats(0, 1))
def test_percent_never_rounds_some_to_none_or_all(ratio: float) -> None:
    words = percent(ratio)
    assert (words == "0 %") == (ratio == 0)
    assert (words == "100 %") == (ratio == 1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(659, "11 min"), (3599, "1 h"), (86399, "1 day"), (1455158, "17 days"), (47 * 3600, "1 day 23 h")],
)
def test_a_duration_in_one_unit_is_rounded_and_not_cut_off(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(0, 1e9))
@example(seconds=1455158.0)
@example(seconds=659.0)
def test_duration_is_right_within_its_smaller_unit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}
    words = duration(seconds).split(" ")
    read = sum(float(n) * units[u] for n, u in zip(words[::2], words[1::2], strict=True))
    assert abs(read - seconds) <= max(0.05 * seconds, 0.01)


@given(st.text())
def test_clean_is_printable_and_keeps_printable_text(value: str) -> None:
    assert clean(value).isprintable()
    if value.isprintable():
        assert clean(value) == value


def test_numpy_scalars_read_like_numbers() -> None:
    assert number(np.float64(41183.0)) == "41 200"


def test_of_predictions_that_drift_in_class_and_score_both_are_told() -> None:
    names = ("@prediction_score", "")
    found = family(names, drift_type="prediction", severity=Severity.WARNING)
    made = text(found)
    assert made.subject == "[WARNING] ad_score_model_v1: predictions drifted since 02:10 EST"
    assert "Top score: mean +3.1 sd" in made.message
    assert "Predictions: mean +3.1 sd" in made.message
    assert "@prediction_score" not in made.message + made.html
