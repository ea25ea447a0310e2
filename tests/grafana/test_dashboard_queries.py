"""Every query parses, and names only metrics and labels that are exposed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import promql_parser
import pytest

from modelwatch import conventions as c
from modelwatch.exceptions import InputError
from modelwatch_grafana.lines import MADE_UP_LABELS
from modelwatch_grafana.promql import select

Json = dict[str, Any]
VALUES = {
    "job": "models", "instance": ".+", "model_id": "fraud", "model_version": ".*", "window": "1h", "drift_type": ".+",
    "profile": "0a1b2c3d", "feature": "age", "segment": ".*", "__rate_interval": "4m", "__range": "6h",
}  # fmt: skip
METRICS = {
    name: {*metric.labels, *(("le",) if metric.type == "histogram" else ())}
    for metric in vars(c).values()
    if isinstance(metric, c.Metric)
    for name in [f"{metric.name}_bucket" if metric.type == "histogram" else metric.name]
}
TARGET_LABELS = {"job", "instance"}
OF_PROMETHEUS: dict[str, set[str]] = {
    "up": set(),
    "scrape_samples_scraped": set(),
    "scrape_duration_seconds": set(),
    "ALERTS": {"alertname", "alertstate", "severity", "model_id", "model_version", "metric"},
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_rule_group_last_evaluation_timestamp_seconds": {"rule_group"},
    "prometheus_rule_group_last_duration_seconds": {"rule_group"},
}
"""What is not ours, with its labels."""
OF_NO_TARGET = {
    "ALERTS": "made by rules from the series of all targets, so an alert has no job and no instance",
    "prometheus_rule_evaluation_failures_total": "Prometheus' own, whose job is none of those to choose from",
    "prometheus_rule_group_last_evaluation_timestamp_seconds": "likewise",
    "prometheus_rule_group_last_duration_seconds": "likewise",
}
"""Exclusions from the linter's rules on job and instance, each with its reason."""
CONSTANT = ("modelwatch_feature_reference_bucket", "modelwatch_prediction_reference_bucket")
NOT_BRIDGED = {
    "modelwatch_storage_info": "a target that was replaced a minute ago would count twice",
    "modelwatch_build_info": "likewise",
    "up": "a failed scrape is what it tells",
    "ALERTS": "made by rules, which bridge failed scrapes themselves",
}


@pytest.fixture
def parsed(
    expressions: list[tuple[str, str]], variables: dict[str, Json], fill: Callable[..., str]
) -> list[tuple[str, promql_parser.Expr]]:
    """Return the syntax tree of every query of panels and variables."""
    asked = [
        (f"variable {name}", re.fullmatch(r"(?:label_values|query_result)\((.*?)(?:, \w+)?\)", v["query"]))
        for name, v in variables.items()
        if v["type"] == "query"
    ]
    inner = [(where, match.group(1)) for where, match in asked if match is not None]
    assert len(inner) == len(asked)
    return [(where, promql_parser.parse(fill(expr, VALUES))) for where, expr in [*expressions, *inner]]


def selectors(parsed: list[tuple[str, Any]], nodes: Callable[..., list[Any]]) -> list[tuple[str, Any]]:
    found = [
        (where, node) for where, tree in parsed for node in nodes(tree)
        if isinstance(node, promql_parser.VectorSelector)
    ]  # fmt: skip
    assert len(found) > 40
    return found


def test_every_selector_names_an_exposed_metric_and_labels_that_it_has(parsed: Any, nodes: Any) -> None:
    for where, selector in selectors(parsed, nodes):
        labels = {matcher.name for matcher in selector.matchers.matchers}
        known = METRICS | OF_PROMETHEUS
        assert selector.name in known, f"{where}: {selector.name} is not exposed"
        assert labels <= known[selector.name] | TARGET_LABELS, f"{where}: {selector}"


def test_every_grouping_is_by_labels_that_are_exposed_or_made_up(expressions: list[tuple[str, str]]) -> None:
    exposed = {label for labels in (METRICS | OF_PROMETHEUS).values() for label in labels}
    known = exposed | TARGET_LABELS | MADE_UP_LABELS | {"sample"}
    for where, expr in expressions:
        groups = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expr)
        assert {label for group in groups for label in re.findall(r"\w+", group)} <= known, where


def test_every_query_of_a_panel_can_be_narrowed_to_jobs_and_instances(
    expressions: list[tuple[str, str]], nodes: Any, fill: Any
) -> None:
    trees = [(where, promql_parser.parse(fill(expr, VALUES))) for where, expr in expressions]
    for where, selector in selectors(trees, nodes):
        matchers = {m.name: (m.op, m.value) for m in selector.matchers.matchers}
        if selector.name in OF_NO_TARGET:
            assert not TARGET_LABELS & matchers.keys(), where
            continue
        assert matchers["job"] == (promql_parser.MatchOp.Re, "models"), where
        assert matchers["instance"] == (promql_parser.MatchOp.Re, ".+"), where


@pytest.mark.parametrize("dashboard", ["modelwatch-model.json"], indirect=True)
def test_the_chosen_model_is_compared_and_not_matched(parsed: Any, nodes: Any) -> None:
    """An id may look like a regular expression."""
    of_panels = [(where, tree) for where, tree in parsed if not where.startswith("variable ")]
    for where, selector in selectors(of_panels, nodes):
        matchers = {m.name: (m.op, m.value) for m in selector.matchers.matchers}
        if selector.name != "up":
            assert matchers["model_id"] == (promql_parser.MatchOp.Equal, "fraud"), where


@pytest.mark.parametrize("dashboard", ["modelwatch-fleet.json", "modelwatch-monitoring.json"], indirect=True)
def test_many_models_can_be_narrowed_to_some(expressions: list[tuple[str, str]], nodes: Any, fill: Any) -> None:
    trees = [(where, promql_parser.parse(fill(expr, VALUES))) for where, expr in expressions]
    for where, selector in selectors(trees, nodes):
        matchers = {m.name: (m.op, m.value) for m in selector.matchers.matchers}
        if "model_id" in METRICS.get(selector.name, ()):
            assert matchers["model_id"] == (promql_parser.MatchOp.Re, "fraud"), where


def test_counters_are_rates_over_the_scrape_interval_or_increases_over_what_is_shown(
    expressions: list[tuple[str, str]],
) -> None:
    for where, expr in expressions:
        for before, name, after in re.findall(r"(\w+\()?(\w+(?:_total|_bucket))\{[^}]*\}(\[[^]]*\])?", expr):
            if name in CONSTANT:
                continue
            expected = [
                ("rate(", "[$__rate_interval]"),
                ("increase(", "[$__rate_interval]"),
                ("increase(", "[$window]"),
                ("increase(", "[$__range]"),
            ]
            assert (before, after) in expected, f"{where}: {name}"


def bare_counters(node: Any) -> set[str]:
    """Return the counters of an expression that no aggregation is around."""
    if isinstance(node, promql_parser.AggregateExpr):
        return set()
    if isinstance(node, promql_parser.VectorSelector):
        name = node.name or ""
        return {name} if name.endswith(("_total", "_bucket")) else set()
    children = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    children += node.args if isinstance(node, promql_parser.Call) else []
    return {name for child in children if child is not None for name in bare_counters(child)}


def test_a_counter_without_an_aggregation_would_be_found() -> None:
    assert bare_counters(promql_parser.parse("rate(a_total[5m]) / sum(rate(b_total[5m]))")) == {"a_total"}


def test_every_counter_is_aggregated(expressions: list[tuple[str, str]], nodes: Any, fill: Any) -> None:
    for where, expr in expressions:
        tree = promql_parser.parse(fill(expr, VALUES))
        assert not bare_counters(tree), where


def test_what_is_asked_at_one_instant_does_not_vanish_with_a_failed_scrape(
    panels: list[Json], nodes: Any, fill: Any
) -> None:
    for panel in panels:
        for target in panel["targets"]:
            if not target["instant"]:
                continue
            tree = promql_parser.parse(fill(target["expr"], VALUES))
            over_time = {
                str(node.vector_selector) for node in nodes(tree) if isinstance(node, promql_parser.MatrixSelector)
            }
            for node in nodes(tree):
                if isinstance(node, promql_parser.VectorSelector) and node.name not in NOT_BRIDGED:
                    allowed = panel["title"] == "Storages exposed twice"
                    assert allowed or str(node) in over_time, f"{panel['title']}: {node}"


@pytest.mark.parametrize("metric", [c.DRIFT_SCORE, c.FEATURE_SHIFT_SD, c.FEATURE_NOVEL_RATIO, c.DRIFT_ATTRIBUTION])
def test_what_is_over_is_gone_from_tables_unless_its_target_is_down(panels: list[Json], metric: c.Metric) -> None:
    """A shift that ended would otherwise stand for minutes beside a severity of none."""
    for panel in panels:
        for target in panel["targets"]:
            stale = rf"last_over_time\({metric.name}\{{[^}}]*\}}\[5m\]\)(?! unless on \(job, instance\) \(up\{{)"
            assert not re.search(stale, target["expr"]), panel["title"]


def test_ratios_are_guarded_against_an_empty_denominator(expressions: list[tuple[str, str]]) -> None:
    for where, expr in expressions:
        divisors = re.findall(r" / (?!1000)(?:on \([^)]*\) group_left \(\) )?(.)", expr)
        assert all(divisor == "(" for divisor in divisors), where
        assert expr.count(" > 0)") >= len(divisors), where


def test_a_selector_with_a_label_that_the_metric_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"modelwatch_drift_score has no label side; it has drift_type, feature"):
        select(c.DRIFT_SCORE, side='="above"')


def test_a_metric_without_a_version_is_selected_by_model_only() -> None:
    assert select(c.SILENCE_LIMIT) == (
        'modelwatch_silence_limit_seconds{job=~"$job",instance=~"$instance",model_id="$model_id"}'
    )
