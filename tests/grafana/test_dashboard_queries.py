"""Every query parses, and names only metrics and labels that are exposed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import promql_parser
import pytest

from modelwatch import conventions as c
from modelwatch.exceptions import InputError
from modelwatch_grafana.promql import select

Json = dict[str, Any]
VALUES = {
    "job": "models", "instance": ".+", "model_id": "fraud", "model_version": ".*", "window": "1h", "drift_type": ".+",
    "profile": "0a1b2c3d", "feature": "age", "__rate_interval": "4m",
}  # fmt: skip
METRICS = {
    name: {*metric.labels, *(("le",) if metric.type == "histogram" else ())}
    for metric in vars(c).values()
    if isinstance(metric, c.Metric)
    for name in [f"{metric.name}_bucket" if metric.type == "histogram" else metric.name]
}
TARGET_LABELS = {"job", "instance"}


@pytest.fixture(scope="module")
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
    assert len(found) > 60
    return found


def test_every_selector_names_an_exposed_metric_and_labels_that_it_has(parsed: Any, nodes: Any) -> None:
    for where, selector in selectors(parsed, nodes):
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert selector.name in METRICS, f"{where}: {selector.name} is not exposed"
        assert labels <= METRICS[selector.name] | TARGET_LABELS, f"{where}: {selector}"


def test_every_grouping_is_by_labels_that_are_exposed(expressions: list[tuple[str, str]]) -> None:
    known = {label for labels in METRICS.values() for label in labels} | {"sample"}
    for where, expr in expressions:
        groups = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expr)
        assert {label for group in groups for label in re.findall(r"\w+", group)} <= known, where


def test_every_query_of_a_panel_can_be_narrowed_to_jobs_and_instances(
    expressions: list[tuple[str, str]], nodes: Any, fill: Any
) -> None:
    trees = [(where, promql_parser.parse(fill(expr, VALUES))) for where, expr in expressions]
    for where, selector in selectors(trees, nodes):
        matchers = {m.name: (m.op, m.value) for m in selector.matchers.matchers}
        assert matchers["job"] == (promql_parser.MatchOp.Re, "models"), where
        assert matchers["instance"] == (promql_parser.MatchOp.Re, ".+"), where
        assert matchers["model_id"] == (promql_parser.MatchOp.Equal, "fraud"), f"{where}: an id may look like a regex"


def test_counters_are_rates_over_the_scrape_interval_or_increases_over_the_chosen_window(
    expressions: list[tuple[str, str]],
) -> None:
    constant = ("modelwatch_feature_reference_bucket", "modelwatch_prediction_reference_bucket")
    for where, expr in expressions:
        for before, name, after in re.findall(r"(\w+\()?(modelwatch_\w+(?:_total|_bucket))\{[^}]*\}(\[[^]]*\])?", expr):
            if name in constant:
                continue
            expected = [
                ("rate(", "[$__rate_interval]"),
                ("increase(", "[$__rate_interval]"),
                ("increase(", "[$window]"),
            ]
            assert (before, after) in expected, f"{where}: {name}"


def test_ratios_are_guarded_against_an_empty_denominator(expressions: list[tuple[str, str]]) -> None:
    for where, expr in expressions:
        divisors = re.findall(r" / (?!1000)(?:on \([^)]*\) group_left \(\) )?(.)", expr)
        assert all(divisor == "(" for divisor in divisors), where
        assert expr.count(" > 0)") == len(divisors), where


def test_a_selector_with_a_label_that_the_metric_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"modelwatch_drift_score has no label side; it has drift_type, feature"):
        select(c.DRIFT_SCORE, side='="above"')


def test_a_metric_without_a_version_is_selected_by_model_only() -> None:
    assert select(c.SILENCE_LIMIT) == (
        'modelwatch_silence_limit_seconds{job=~"$job",instance=~"$instance",model_id="$model_id"}'
    )
