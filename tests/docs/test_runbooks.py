"""Every alert has a runbook, and everything in it that can be tried is tried."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import promql_parser as promql
import pytest
import yaml

from modelwatch import ProductionMonitoringService
from modelwatch.cli.main import build_parser
from modelwatch.config import DEFAULT_ALERT_SEVERITIES, DriftMonitoringConfig, QuietHours, load_config
from modelwatch.config.thresholds import DEFAULT_THRESHOLDS
from modelwatch.conventions import DEFAULT_METRICS_PORT, DEFAULT_SIDECAR_PORT, LATENCY_BUCKETS_SECONDS, MODEL_ALERTS
from modelwatch.drift.decision import FAMILY_SHARES
from modelwatch.drift.family import GROSS_MIN_ROWS
from modelwatch.drift.table import GROSS_SHAPE_JS, GROSS_SHARE_JS
from modelwatch.notify.retry import RetryPolicy
from modelwatch.policy import LEAST_BY_TYPE, LEAST_OF_OTHERS, has_quiet_hours
from modelwatch.service.learning import ENOUGH_ROWS, ENOUGH_SECONDS
from modelwatch.service.operational import GAP_FACTOR, SILENCE_AT_LEAST
from modelwatch.sidecar import web
from modelwatch_rules.alerting import FAILURES_IN_A_ROW, STALE_AFTER_INTERVALS
from modelwatch_rules.anomalies import DAYS, FACTOR, KNOWN_DAYS
from modelwatch_rules.health import DROPPED_AT_LEAST
from modelwatch_rules.inputs import CATEGORY_AT_MOST, EDGE, HISTORY_DAYS, JUMP, REFERENCE_EDGE
from modelwatch_rules.limits import MIN_ERRORS, MIN_REQUESTS
from modelwatch_rules.slo import BURNS, PERIOD, Burn
from modelwatch_rules.timing import PRODUCTION, prometheus_duration

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
RULES = ROOT / "rules" / "generated" / "prometheus" / "modelwatch.rules.yml"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("M*.md"))}
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")

SECTIONS = ["What it means", "How sure", "First three things to look at", "How to tune", "How to silence"]
LOOK = SECTIONS[2]
SEVERITIES = ("none", "info", "warning", "error", "critical")
MOST_LINES = 45
"""Of text: blank lines and fences don't count."""
PROGRAMS = ("modelwatch", "amtool", "curl")
NOBODY_THERE = "http://127.0.0.1:1"

BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=1)
def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


@lru_cache(maxsize=1)
def alerts() -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for rule in rules():
        if "alert" in rule:
            out.setdefault(rule["alert"], []).append(rule)
    return out


def blocks(language: str, text: str) -> Iterator[str]:
    for found in BLOCK.finditer(text):
        if found["language"] == language:
            yield re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)


def lines(language: str) -> list[tuple[str, str]]:
    """Return the page and the line, of all blocks of a language: each line is a thing of its own."""
    return [
        (page, line)
        for page, text in PAGES.items()
        for block in blocks(language, text)
        for line in block.splitlines()
        if line.strip()
    ]


def commands(program: str) -> list[tuple[str, str]]:
    return [(page, line) for page, line in lines("bash") if line.split()[0] == program]


def section(page: str, name: str) -> str:
    return dict(zip(SECTIONS, re.split(r"^## .+\n", PAGES[page], flags=re.MULTILINE)[1:], strict=True))[name]


def plain(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


@lru_cache(maxsize=1)
def rule_names() -> ModuleType:
    """Return the module whose walker knows the labels of every metric: tests are no package to import from."""
    path = ROOT / "tests" / "rules" / "test_rule_names.py"
    spec = importlib.util.spec_from_file_location("rule_names_for_runbooks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert set(PAGES) == set(alerts())
    assert {path.name for path in FOLDER.iterdir()} == {f"{alert}.md" for alert in alerts()} | {"README.md"}


def test_every_alert_links_to_its_page() -> None:
    for alert, found in alerts().items():
        for rule in found:
            assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{alert}.md")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_sections_in_order_and_is_short(page: str) -> None:
    text = PAGES[page]
    assert text.startswith(f"# {page}\n\n")
    assert re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE) == [page, *SECTIONS]
    assert all(section(page, name).strip() for name in SECTIONS)
    read = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("```")]
    assert len(read) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_exactly_three_things_to_look_at_and_one_can_be_pasted(page: str) -> None:
    assert re.findall(r"^(\d+)\. ", section(page, LOOK), flags=re.MULTILINE) == ["1", "2", "3"]
    assert re.findall(r"^\d+\. ", PAGES[page], flags=re.MULTILINE) == ["1. ", "2. ", "3. "]
    assert list(blocks("promql", section(page, LOOK)))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_language_that_is_tried(page: str) -> None:
    fences = re.findall(r"^ *```(\w*)$", PAGES[page], flags=re.MULTILINE)
    assert set(fences) <= {"promql", "bash", "yaml", "python", ""}
    assert len(fences) == 2 * len(BLOCK.findall(PAGES[page]))


def test_links_resolve() -> None:
    for text in (*PAGES.values(), INDEX):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (FOLDER / target).is_file(), target


def test_the_index_says_of_every_alert_what_its_rules_and_its_page_say() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| ([\w, ]+) \| (.+) \|$", INDEX, flags=re.MULTILINE)
    assert sorted(alert for alert, *_ in rows) == sorted(alerts())
    for alert, target, severities, sentence in rows:
        assert target == alert
        labels = {rule["labels"]["severity"] for rule in alerts()[alert]}
        assert severities == ", ".join(name for name in SEVERITIES if name in labels), alert
        assert sentence == plain(PAGES[alert].split("\n\n")[1]), alert


# ── what can be pasted ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("page", "query"), lines("promql"))
def test_a_query_names_metrics_and_labels_that_exist(page: str, query: str) -> None:
    names = rule_names()
    states = frozenset({"alertname", "alertstate", "severity", *names.ALERT_LABELS})
    walker = names.Walker({**names.exposed_by_conventions(), "ALERTS": states})
    walker.labels(promql.parse(query))
    assert walker.used
    assert {name for name in walker.used if ":" in name} <= {rule["record"] for rule in rules() if "record" in rule}


def test_prometheus_takes_every_query(tmp_path: Path, require_server: Callable[[str], str]) -> None:
    records = [{"record": f"runbook:query:{i}", "expr": query} for i, (_, query) in enumerate(lines("promql"))]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": records}]}), encoding="utf-8")
    done = subprocess.run(
        [require_server("promtool"), "check", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_query_about_one_model_names_the_model_of_all_pages(page: str) -> None:
    for name in re.findall(r'model_id="?([^",} \n]+)', PAGES[page]):
        assert name == "ad_score_model_v1"


def test_every_command_is_of_a_program_that_is_tried() -> None:
    assert {line.split()[0] for _, line in lines("bash")} <= set(PROGRAMS)


@pytest.mark.parametrize(("page", "command"), commands("modelwatch"))
def test_a_command_of_ours_parses(page: str, command: str) -> None:
    assert callable(build_parser().parse_args(shlex.split(command)[1:]).func)


def inline_commands() -> set[tuple[str, str]]:
    """Return the commands of ours that stand in a sentence."""
    found = re.compile(r"`modelwatch ([a-z][a-z -]*)`")
    return {(name, command) for name, text in {**PAGES, "README": INDEX}.items() for command in found.findall(text)}


@pytest.mark.parametrize(("page", "command"), sorted(inline_commands()))
def test_a_command_in_a_sentence_exists(page: str, command: str) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        build_parser().parse_args([*command.split(), "--help"])


@pytest.mark.parametrize(("page", "command"), commands("amtool"))
def test_a_command_of_amtool_fails_only_because_nobody_is_there(
    page: str, command: str, require_server: Callable[[str], str]
) -> None:
    argv = [word for word in shlex.split(command)[1:] if not word.startswith("--alertmanager.url")]
    done = subprocess.run(
        [require_server("amtool"), *argv, f"--alertmanager.url={NOBODY_THERE}", "--timeout=5s"],
        capture_output=True, text=True, timeout=30, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "USER": "on-call"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "connection refused" in done.stderr, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_page_silences_its_own_alert_with_a_reason_and_an_end(page: str) -> None:
    (command,) = (line for other, line in commands("amtool") if other == page and " silence add " in f" {line}")
    words = shlex.split(command)
    assert words[:4] == ["amtool", "silence", "add", f"alertname={page}"]
    assert any(word.startswith("--duration=") for word in words)
    assert any(word.startswith("--comment=") for word in words)
    of_models = page in MODEL_ALERTS or page in DEFAULT_ALERT_SEVERITIES or page.startswith("MLModel")
    assert ("model_id=ad_score_model_v1" in words) is of_models
    labels = {word.split("=")[0] for word in words[4:] if not word.startswith("--")}
    assert labels <= rule_names().ALERT_LABELS


@pytest.mark.parametrize(("page", "command"), commands("curl"))
def test_an_address_that_is_asked_is_one_that_is_served(page: str, command: str) -> None:
    (url,) = re.findall(r"http://localhost:\d+\S*", command)
    port, path = re.fullmatch(r"http://localhost:(\d+)(/\S*)", url).groups()  # type: ignore[union-attr]
    if int(port) == DEFAULT_METRICS_PORT:
        assert path == "/metrics"
        return
    assert int(port) == DEFAULT_SIDECAR_PORT
    assert f'add_get("{path}"' in inspect.getsource(web)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if list(blocks("yaml", text))])
def test_a_configuration_is_complete_in_itself(page: str, tmp_path: Path) -> None:
    for number, block in enumerate(blocks("yaml", PAGES[page])):
        path = tmp_path / f"models-{number}.yaml"
        path.write_text(block, encoding="utf-8")
        config = load_config(path)
        assert [model.model_id for model in config.models] == ["ad_score_model_v1"]
        assert not [warning for model in config.models for warning in model.warnings]


def test_every_page_tells_how_to_tune_by_a_file() -> None:
    assert [page for page in PAGES if not list(blocks("yaml", section(page, "How to tune")))] == []


@pytest.mark.parametrize("page", PAGES)
def test_calls_of_the_service_exist_and_silence_what_can_be_silenced(page: str) -> None:
    silenced = set()
    for block in blocks("python", PAGES[page]):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.Call):
                continue
            assert isinstance(node.func, ast.Attribute)
            assert isinstance(node.func.value, ast.Name)
            assert node.func.value.id == "service"
            method = getattr(ProductionMonitoringService, node.func.attr)
            given = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            inspect.signature(method).bind(None, *map(ast.literal_eval, node.args), **given)
            silenced.add(given.get("alertname"))
    # Only what modelwatch tells by itself can be silenced there.
    assert silenced == ({page} if page in MODEL_ALERTS else set())
    unknown = "Mode direct does not know this alert" in PAGES[page]
    assert unknown is (page not in MODEL_ALERTS)


def test_the_calls_that_silence_are_accepted(tmp_path: Path) -> None:
    with ProductionMonitoringService(storage_path=tmp_path / "storage", background=False) as service:
        service.register_model({"model_id": "ad_score_model_v1"})
        for text in PAGES.values():
            for block in blocks("python", text):
                answer = eval(compile(block.strip(), "runbook", "eval"), {"service": service})
                assert answer["status"] == "success", answer


@pytest.mark.parametrize("page", PAGES)
def test_severity_is_offered_where_it_changes_something(page: str) -> None:
    how = section(page, "How to silence")
    if page in DEFAULT_ALERT_SEVERITIES:
        assert f"`severity: {{{page}: none}}`" in how
        load = yaml.safe_load(next(blocks("yaml", section(page, "How to tune"))))
        assert page in load["models"][0]["severity"]
    else:
        assert "`severity` can't change" in how
        assert f"{page}: none" not in PAGES[page]


# ── dashboards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def panels(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        yield item.get("title", "")
        yield from panels(item.get("panels", []))


def test_dashboards_and_panels_are_called_what_they_are() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "grafana" / "dashboards").glob("*.json")]
    known = {board["title"]: set(panels(board["panels"])) for board in boards}
    named = [
        (board, panel)
        for text in PAGES.values()
        for board, rest in re.findall(r"[Dd]ashboard `([^`]+)`, panels? ((?:`[^`]+`(?: and )?)+)", plain(text))
        for panel in re.findall(r"`([^`]+)`", rest)
    ]
    assert named
    for board, panel in named:
        assert panel in known[board]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def minutes(text: str) -> set[str]:
    return {f"{number}m" for number in re.findall(r"(\d+) min", text)}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_how_long_its_rules_wait(page: str) -> None:
    found = re.search(r"Fires (.+?); ends (at once|\d+ min)", plain(section(page, "How sure")))
    assert found is not None
    holds = {rule["for"] for rule in alerts()[page] if "for" in rule}
    assert minutes(found[1]) == holds
    assert holds or found[1] == "at once"
    keeps = {rule.get("keep_firing_for") for rule in alerts()[page]}
    assert keeps == ({None} if found[2] == "at once" else minutes(found[2]))


def burn(one: Burn) -> str:
    spans = (f"{value} {unit}" for value, unit in (_split(one.long), _split(one.short)))
    return f"above {one.factor:g} over {' and '.join(spans)}"


def _split(hours: float) -> tuple[str, str]:
    text = prometheus_duration(hours * PRODUCTION.budget_hour)
    return text[:-1], {"m": "min"}.get(text[-1], text[-1])


RETENTION = "--storage.tsdb.retention.time"
DRIFT = DriftMonitoringConfig()
LEVELS = (
    f"(JS) {DRIFT.thresholds.warning:.2f} is a warning, {DRIFT.thresholds.error:.2f} an error,"
    f" {DRIFT.thresholds.critical:.2f} critical"
)
SHORT, LONG = f"{PRODUCTION.short_window / 60:g} min", f"{PRODUCTION.long_window / 3600:g} h"
WINDOWS = f"the last {SHORT}. The last {LONG}, where those hold fewer than {MIN_REQUESTS} requests"
JUMPED = f"plus {JUMP:.0%}".replace("%", " percentage points")
SEEN = f"Needs {MIN_REQUESTS} predictions in {LONG}"
ROWS = f"Needs {DRIFT.min_rows} rows in the window, {GROSS_MIN_ROWS:g} for a gross change"
GROSS = f"(JS {GROSS_SHAPE_JS:.2f}, or {GROSS_SHARE_JS:g} in missing or"
BUDGET = f"a budget of {DRIFT.false_alarms_per_30d:g} false alarm per model in 30 days"
USUAL = f"the median of the last {HISTORY_DAYS} days"

SAID = {
    "MLModelDataDrift": [LEVELS.removeprefix("(JS)").strip(), GROSS, ROWS, BUDGET, "half of a budget"],
    "MLModelPredictionDrift": [LEVELS, GROSS, ROWS, BUDGET, f"{FAMILY_SHARES['prediction']:.0%}".replace("%", " %")],
    "MLModelLatencyHigh": [
        WINDOWS, f"Needs {MIN_REQUESTS} requests", f"({DEFAULT_THRESHOLDS['latency_ms']:g} ms)",
        f"ends at {LATENCY_BUCKETS_SECONDS[-1]:g} s",
    ],
    "MLModelErrorRateHigh": [
        WINDOWS, f"Needs {MIN_REQUESTS} requests", f"{MIN_ERRORS} errors are enough",
        f"({DEFAULT_THRESHOLDS['error_rate']:g})",
    ],
    "MLModelErrorBudgetBurn": [
        *(burn(one) for one in BURNS), f"Needs {MIN_REQUESTS} requests in the long window, or {MIN_ERRORS} bad ones",
        f"*Budget* needs {PERIOD / 86400:g} days of Prometheus (`{RETENTION}={PERIOD / 86400 + 1:g}d`",
    ],
    "MLModelNoPredictions": [
        f"the greater of {SILENCE_AT_LEAST / 60:g} min and {GAP_FACTOR:g} times the longest gap",
        f"{PRODUCTION.memory / 86400:g} days after the last prediction",
    ],
    "MLModelTrafficAnomaly": [
        "less than a fifth", f"more than {FACTOR} times the busiest, of the last {DAYS} days", f"in the last {LONG}",
        f"Needs {KNOWN_DAYS} of the {DAYS} days", f"needs {MIN_REQUESTS} requests on the quietest",
    ],
    "MLModelInputMissing": [JUMPED, SEEN, USUAL],
    "MLModelInputNovel": [JUMPED, SEEN, USUAL],
    "MLModelStuckOutput": [
        f"{round(100 * (1 - EDGE))} % in one bin", f"more than {round(100 * REFERENCE_EDGE)} % on both sides",
        f"at most {round(100 * CATEGORY_AT_MOST)} %", SEEN,
    ],
    "MLModelReferenceMissing": [f"{ENOUGH_SECONDS / 3600:g} h and {ENOUGH_ROWS:,} rows".replace(",", " ")],
    "ModelwatchCheckStale": [
        f"{STALE_AFTER_INTERVALS} times the interval", f"{PRODUCTION.memory / 86400:g} days after the last prediction",
    ],
    "ModelwatchCheckFailing": [f"Limit: {FAILURES_IN_A_ROW}, and no success for 1.5 intervals"],
    "ModelwatchRecordsDropped": [f"more than {round(100 * DROPPED_AT_LEAST)} % of the predictions", f"the last {LONG}"],
    "ModelwatchDown": [
        f"{PRODUCTION.scrape_interval:g} s between scrapes that is some"
        f" {PRODUCTION.hold / PRODUCTION.scrape_interval:g} failed"
    ],
    "ModelwatchNotificationsFailing": ["after an hour of retries", f"in the last {LONG}"],
    "ModelwatchWatchdog": [f"called every {PRODUCTION.watchdog_interval / 60:g} min"],
}  # fmt: skip
"""What stands on a page that follows from a number in the code."""


@pytest.mark.parametrize("page", SAID)
def test_numbers_are_those_of_the_code(page: str) -> None:
    text = plain(PAGES[page])
    for said in SAID[page]:
        assert said in text


def test_numbers_in_words_are_those_of_the_code() -> None:
    assert FAMILY_SHARES["data"] == 0.5
    assert 1 / FACTOR == 0.2
    assert RetryPolicy().max_age == 3600


def test_prometheus_of_the_compose_file_remembers_the_whole_period_of_an_objective() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    options = dict(option.partition("=")[::2] for option in compose["services"]["prometheus"]["command"])
    assert options[RETENTION] == f"{PERIOD / 86400 + 1:g}d"


def test_the_index_tells_of_default_channels_and_quiet_hours_what_the_policy_does() -> None:
    index = plain(INDEX)
    table = {kind: least.label for kind, least in LEAST_BY_TYPE.items()}
    assert (table["email"], table["slack"], table["pagerduty"]) == ("error", "critical", "critical")
    assert "of a model with `alert_channels`, email is told from error up, Slack and PagerDuty of critical" in index
    assert f"Of any other model every receiver is told from {LEAST_OF_OTHERS.label} up" in index
    hours = QuietHours(times=["22:00-07:00"])
    assert f"below `below` ({hours.below}, unless written)" in index
    assert {kind for kind in table if has_quiet_hours(hours, kind, None)} == {"email", "slack"}
