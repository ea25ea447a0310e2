"""From a fault in what a serving process is fed to the e-mail and the Slack message, on real servers, and back.

One story, told by fixtures that build on each other: all is calm; inputs of a model drift; the sidecar is killed while
that alert fires and another model's inputs drift meanwhile; Prometheus is killed, and meanwhile predictions become
slow and fail; all is cured. Tests look at what was seen on the way, so they can run in any order.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from modelwatch.conventions import FEATURE_CORRELATION, NOTIFICATION_FAILURES
from modelwatch_grafana import model_dashboard

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
Labels = frozenset[str]

TESTS = Path(__file__).parents[1]
MODEL = runpy.run_path(str(Path(__file__).with_name("serving.py")))
FLIGHTS, HOSTILE, RANKER, SCORER = (MODEL[name] for name in ("FLIGHTS", "HOSTILE", "RANKER", "SCORER"))
RULES = runpy.run_path(str(TESTS / "rules" / "test_rule_names.py"))
DASHBOARD = runpy.run_path(str(TESTS / "grafana" / "conftest.py"))
TARGET = RULES["TARGET"]
DRIFT = "MLModelDataDrift"
SECONDS = 45.0
HEADLINE = r"\[(WARNING|ERROR|CRITICAL)\] {name}: {drifted} of 3 inputs drifted \(.+\) since .+"


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


def body_of(message: Mapping[str, Any]) -> str:
    return str(message["attachments"][0]["text"])


# ── the story ────────────────────────────────────────────────────────────────────────────────────────────────────────

# Exposed, and so drawn, only while inputs do not go together as they did, which test_every_alert.py provokes.
PAIRS_PANEL = "Pairs of features that no longer go together"
PAIRS = {FEATURE_CORRELATION.name: TARGET | frozenset(FEATURE_CORRELATION.labels)}


@dataclass(frozen=True)
class Told:
    """What people were told of one thing."""

    email: EmailMessage
    slack: Json

    @classmethod
    def of(cls, world: Any, what: str, since: float, *parts: str, seconds: float = SECONDS) -> Told:
        return cls(*world.expect(what, since, *parts, seconds=seconds))


@dataclass(frozen=True)
class Calm:
    told: int
    firing: list[Json]


@pytest.fixture(scope="module")
def calm(world: Any) -> Calm:
    """All is well, and nobody has been told anything."""
    firing = world.query('ALERTS{alertstate="firing",model_id!=""}')
    return Calm(len(world.mail.messages) + len(world.chat.messages), firing)


@pytest.fixture(scope="module")
def drifted(world: Any, calm: Calm) -> Told:
    """Inputs of a model drift, and its team is told."""
    begun = world.break_(FLIGHTS, "drift")
    return Told.of(world, "data drift", begun, "inputs drifted", FLIGHTS)


@dataclass(frozen=True)
class Live:
    """What the running programs exposed and answered while an alert fired."""

    app: str
    sidecar: str
    unanswered: dict[str, str]


@pytest.fixture(scope="module")
def live(world: Any, drifted: Told) -> Live:
    unanswered = {
        f"{p['title']} / {t['refId']}": t["expr"] for p in panels() if p["title"] != PAIRS_PANEL for t in p["targets"]
    }
    choices = list(chosen(world))

    def all_answered() -> bool:
        for where, expr in list(unanswered.items()):
            if any(world.query(DASHBOARD["_fill"](expr, values)) for values in choices):
                del unanswered[where]
        return not unanswered

    try:
        world.wait(all_answered, 30.0)
    except AssertionError:
        return Live(world.scrape("app"), world.scrape("sidecar"), unanswered)
    return Live(world.scrape("app"), world.scrape("sidecar"), {})


def panels() -> list[Json]:
    return [panel for panel in model_dashboard()["panels"] if panel["type"] != "row"]


def chosen(world: Any) -> Iterator[dict[str, str]]:
    """Yield what a reader may have chosen in the dashboard."""
    everything = {"job": ".+", "instance": ".+", "model_version": ".*", "segment": ".*", "drift_type": ".+"}
    common = everything | {"window": "5s"}
    known = world.query('modelwatch_model_info{profile!=""}')
    profiles = {series["metric"]["model_id"]: series["metric"]["profile"] for series in known}
    for model_id in (FLIGHTS, SCORER):
        for feature in ("distance", "carrier"):
            yield common | {
                "model_id": model_id, "feature": feature, "profile": profiles[model_id], "__rate_interval": "10s",
                "__range": "1m",
            }  # fmt: skip


@dataclass(frozen=True)
class Outages:
    """What came of faults that began while something was dead, and of an alert that fired all the while."""

    drift: Told
    latency: Told
    resolved: list[str]
    restored: bool
    confirmed: bool


@pytest.fixture(scope="module")
def killed(world: Any, live: Live) -> Outages:
    """SIGKILL of the sidecar, then of Prometheus, while an alert fires; other faults begin while they are dead."""
    world.servers.sidecar.kill()
    world.wait(lambda: not world.up("modelwatch-sidecar"), 20.0)
    drift_at = world.break_(HOSTILE, "drift")
    served(world)
    world.servers.sidecar.start()
    world.servers.sidecar.wait_ready()
    restarted = time.time()
    world.wait(lambda: world.up("modelwatch-sidecar"), 20.0)
    restored = bool(world.query('modelwatch_drift_severity{drift_type="data",feature=""} >= 2'))

    world.servers.prometheus.kill()
    latency_at = world.break_(RANKER, "slow", "metric")
    world.break_(SCORER, "errors")
    served(world)
    world.servers.prometheus.start()
    world.servers.prometheus.wait_ready()
    latency = Told.of(world, "latency, begun while Prometheus was dead", latency_at, "[CRITICAL]", RANKER)
    world.wait(lambda: world.emails("[ERROR]", RANKER, "auc"), SECONDS)
    world.wait(lambda: world.log_lines("level=warning", f'"{SCORER}"', "MLModelErrorRateHigh"), SECONDS)
    drift = Told.of(world, "data drift, begun while the sidecar was dead", drift_at, "inputs drifted", HOSTILE)
    checked = f"modelwatch_drift_last_success_timestamp_seconds > {restarted}"
    world.wait(lambda: {FLIGHTS, HOSTILE} <= {s["metric"]["model_id"] for s in world.query(checked)}, SECONDS)
    over = ("[RESOLVED]", "inputs drifted")
    resolved = [str(message["Subject"]) for message in world.emails(*over)]
    resolved += [message["attachments"][0]["title"] for message in world.slacks(*over)]
    return Outages(drift, latency, resolved, restored, bool(world.firing(DRIFT, FLIGHTS)))


def served(world: Any) -> None:
    """Wait until some more predictions have been made."""
    before = attempts(world)
    world.wait(lambda: attempts(world) > before + 50, 20.0)


def attempts(world: Any) -> float:
    lines = world.scrape("app").splitlines()
    name = f'modelwatch_predictions_total{{model_id="{RANKER}"'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture(scope="module")
def cured(world: Any, drifted: Told, killed: Outages) -> dict[str, Told]:
    """Everything is well again, and people are told."""
    ended = world.cure()
    found = {
        model_id: Told.of(world, f"resolved, {what}", ended, "[RESOLVED]", model_id, word, seconds=90.0)
        for model_id, what, word in (
            (RANKER, "latency", "Latency"),
            (FLIGHTS, "data drift", "inputs drifted"),
            (HOSTILE, "data drift of the second model", "inputs drifted"),
        )
    }
    report(world.arrived, drifted)
    return found


def report(arrived: Mapping[str, float], drifted: Told) -> None:
    """Print how long everything took, and one message of each kind; seen with ``pytest -s``."""
    say("")
    for what, seconds in arrived.items():
        say(f"{seconds:6.1f} s  {what}")
    for name in ("From", "To", "Subject"):
        say(f"{name}: {drifted.email[name]}")
    say(f"\n{text_of(drifted.email)}")
    say(json.dumps(drifted.slack, ensure_ascii=False, indent=1))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# ── what it is to look like ──────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_is_told_anything_while_all_is_well(calm: Calm) -> None:
    assert calm == Calm(0, [])


def test_the_email_says_which_model_how_bad_which_inputs_and_how_they_moved(drifted: Told) -> None:
    email = drifted.email
    assert email["To"].addresses[0].addr_spec == "team@example.com"
    # It comes while the window is still filling with the fault, so one of the two may not stand out yet.
    assert re.fullmatch(HEADLINE.format(name=re.escape(FLIGHTS), drifted="[12]"), email["Subject"]), email["Subject"]
    assert f"Version: {MODEL['VERSION']}" in text_of(email)
    assert_moved(text_of(email), named_in(email["Subject"]))


def named_in(headline: str) -> list[str]:
    """Return the inputs that a headline names."""
    found = re.search(r"inputs drifted \(([^)]*)\) since", headline)
    assert found is not None
    return found[1].split(", ")


def assert_moved(text: str, features: Sequence[str]) -> None:
    """Check that a text has the numbers of the fault: eight times the distance, most carriers unknown."""
    assert {*features} <= {"distance", "carrier"}
    for name in features:
        found = re.search(rf"^{name}: JS (0\.\d+), tolerance (0\.\d+) in the \d+s window, (.*)$", text, re.MULTILINE)
        assert found is not None, text
        assert 0 < float(found[2]) < float(found[1]) <= 1
        novel = re.search(r"([\d.]+) ?% unseen or outside the reference range", found[3])
        assert novel is not None, text
        assert 1 <= float(novel[1]) <= 80
        shift = re.search(r"mean \+([\d.]+) sd", found[3])
        assert (shift is not None and 0.1 <= float(shift[1]) <= 15) == (name == "distance"), text
    assert re.search(r"^How sure: \d+ rows in the last \d+s against 20000 in the reference", text, re.MULTILINE), text
    assert not re.search("no value|<no|NaN|error", text), text


def test_slack_says_the_same(drifted: Told) -> None:
    slack = drifted.slack
    assert slack["channel"] == "#team"
    title = slack["attachments"][0]["title"]
    assert title == drifted.email["Subject"]
    assert_moved(body_of(slack).replace("*", ""), named_in(title))


def test_a_hostile_name_arrives_as_it_is_and_so_do_all_inputs_that_moved(killed: Outages) -> None:
    email, slack = killed.drift.email, killed.drift.slack
    assert re.fullmatch(HEADLINE.format(name=re.escape(HOSTILE), drifted="2"), email["Subject"]), email["Subject"]
    assert sorted(named_in(email["Subject"])) == ["carrier", "distance"]
    assert_moved(text_of(email), ["carrier", "distance"])
    assert "<b>" not in text_of(email, "html")
    assert "<b>" not in slack["attachments"][0]["title"]
    assert_moved(body_of(slack).replace("*", ""), ["carrier", "distance"])


@pytest.mark.parametrize("program", ["app", "sidecar"])
def test_promtool_finds_nothing_in_what_is_exposed(
    live: Live, program: str, promtool_metrics: Callable[[str], str]
) -> None:
    assert promtool_metrics(getattr(live, program)) == ""


def test_every_panel_has_data(live: Live) -> None:
    assert live.unanswered == {}


def exposed(live: Live) -> dict[str, Labels]:
    """Return the labels of all samples by name, as Prometheus stores them."""
    out: dict[str, Labels] = {}
    for text in (live.app, live.sidecar):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                out[sample.name] = out.get(sample.name, frozenset()) | frozenset(sample.labels) | TARGET
    return out


def test_every_metric_and_label_of_a_rule_is_in_the_real_scrape(world: Any, live: Live) -> None:
    # Where Prometheus alerts, a sidecar sends nothing by itself, so that nothing of that can fail.
    more = {NOTIFICATION_FAILURES.name: TARGET | {"channel"}, **PAIRS}
    walker = RULES["Walker"](exposed(live) | more)
    (path,) = (world.folder / "prometheus" / "prometheus").glob("*.rules.yml")
    rules = [rule for group in yaml.safe_load(path.read_text("utf-8"))["groups"] for rule in group["rules"]]
    for rule in rules:
        walker.labels(promql_parser.parse(rule["expr"]))
        for query in RULES["template_queries"](rule):
            walker.labels(promql_parser.parse(query))
    assert len(walker.used) > 40


def test_every_metric_and_label_of_a_panel_is_in_the_real_scrape(world: Any, live: Live) -> None:
    # Whether a target is up is what Prometheus says of it.
    known = exposed(live) | {"up": TARGET, **PAIRS}
    values = next(chosen(world))
    for panel in panels():
        for target in panel["targets"]:
            tree = promql_parser.parse(DASHBOARD["_fill"](target["expr"], values))
            for node in DASHBOARD["_nodes"](tree):
                if isinstance(node, promql_parser.VectorSelector):
                    # A label that has to be empty may as well not be there.
                    matchers = [m for m in node.matchers.matchers if m.value or m.op != promql_parser.MatchOp.Equal]
                    labels = {matcher.name for matcher in matchers}
                    assert labels <= known.get(str(node.name), frozenset()), f"{panel['title']}: {node}"


def test_kills_end_no_alert(killed: Outages) -> None:
    assert killed.resolved == []
    assert killed.restored, "the last results are there again as soon as the sidecar is"
    assert killed.confirmed, "the first check after the kill finds the same"


def test_critical_is_told_to_everybody_error_by_email_warning_in_the_log(
    world: Any, killed: Outages, cured: dict[str, Told]
) -> None:
    latency = killed.latency
    assert latency.email["To"].addresses[0].addr_spec == "oncall@example.com"
    assert latency.slack["channel"] == "#oncall"
    assert re.match(
        r"\[CRITICAL\] ranker: Latency p95 is \d+(\.\d+)? ?ms \(limit 50 ?ms\) since ", latency.email["Subject"]
    )
    assert world.log_lines("status=firing level=critical", '"ranker"', "MLModelLatencyHigh")

    assert world.emails("[ERROR] ranker: Metric auc is 0.62, below its floor of 0.8")
    assert not world.slacks("auc")
    assert world.log_lines("status=firing level=error", '"ranker"', "MLModelPerformanceBelowFloor")

    assert not world.emails(SCORER)
    assert not world.slacks(SCORER)
    (line, *_) = world.log_lines("status=firing level=warning", '"scorer"', "MLModelErrorRateHigh")
    assert re.search(r"[\d.]+ ?% of predictions fail \(limit 5 ?%\)", line)


def test_resolved_arrives_where_the_alert_did(cured: dict[str, Told], drifted: Told) -> None:
    over = cured[FLIGHTS]
    assert over.email["To"].addresses[0].addr_spec == "team@example.com"
    assert over.email["References"] == drifted.email["References"]
    assert re.search(r"; lasted .+$", over.email["Subject"])
    assert over.slack["channel"] == "#team"
    assert over.slack["attachments"][0]["color"] == "good"


def test_everything_is_in_the_log_too(world: Any, cured: dict[str, Told]) -> None:
    for status in ("firing", "resolved"):
        for name in (FLIGHTS, RANKER):
            assert world.log_lines(f"status={status}", f'"{name}"'), (status, name)


def test_nothing_fires_but_what_was_broken(world: Any, cured: dict[str, Told]) -> None:
    fired = world.query('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[5m]))')
    # The sidecar was killed, which may take longer than the hold time of an alert here; and it left its lease behind:
    # for up to 30 s its successor may not check.
    passing = {"ModelwatchCheckStale", "ModelwatchDown"}
    assert world.query("sum(modelwatch_notification_failures_total) > 0") == []
    if world.query("sum(max_over_time(alertmanager_notification_requests_failed_total[5m])) > 0"):
        # At the speed of this world one attempt of Alertmanager that a busy machine let time out is an alert, rightly,
        # until the next attempt gets through.
        passing.add("ModelwatchNotificationsFailing")
    assert {series["metric"]["alertname"] for series in fired} - passing == {
        DRIFT, "MLModelLatencyHigh", "MLModelErrorRateHigh", "MLModelPerformanceBelowFloor", "ModelwatchWatchdog",
    }  # fmt: skip
