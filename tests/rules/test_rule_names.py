"""Every metric and label that a rule names exists: in the conventions, and in a real scrape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import promql_parser as promql
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch import conventions as c
from modelwatch.service.loop import CheckLoop
from modelwatch_rules.groups import rule_file
from modelwatch_rules.timing import TIMINGS

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

TARGET = frozenset({"job", "instance"})
LEVEL_LABELS = (
    "drift_type", "model_version", "model_id", "segment", "feature", "metric", "bound", "le", "upper", "profile",
    "category", "reason", "channel", "job", "instance", "days_ago",
)  # fmt: skip
ALERT_LABELS = {
    "model_id", "model_version", "segment", "metric", "storage", "feature", "reason", "channel", "job", "instance",
}  # fmt: skip
OTHERS = {
    "up": TARGET,
    "alertmanager_notification_requests_total": TARGET | {"integration"},
    "alertmanager_notification_requests_failed_total": TARGET | {"integration"},
}
"""What Prometheus says itself, and Alertmanager."""

Labels = frozenset[str]


def exposed_by_conventions() -> dict[str, Labels]:
    """Return the labels of every sample by its name, as Prometheus stores it."""
    out: dict[str, Labels] = {}
    for metric in (*c.RECORDING_METRICS, *c.RESULT_METRICS, *c.SIDECAR_METRICS):
        labels = frozenset(metric.labels) | TARGET
        if metric.type == "histogram":
            out |= {
                f"{metric.name}_bucket": labels | {"le"},
                f"{metric.name}_count": labels,
                f"{metric.name}_sum": labels,
            }
        else:
            out[metric.name] = labels
    return out


def level_labels(record: str) -> Labels:
    """Return the labels that the level of a recorded series names."""
    level, rest = record.split(":")[0], []
    while level and level != "fleet":
        label = next(name for name in LEVEL_LABELS if level == name or level.endswith(f"_{name}"))
        rest.append(label)
        level = level[: -len(label)].rstrip("_")
    return frozenset(rest)


class Walker:
    """Works out the labels of an expression's result, and complains of labels that can't be there."""

    def __init__(self, metrics: Mapping[str, Labels]) -> None:
        self.metrics = metrics
        self.used: dict[str, set[str]] = {}

    def labels(self, node: Any) -> Labels | None:
        """Return the labels of an instant vector or range vector, None of a scalar."""
        kind = type(node).__name__
        found: Labels | None = getattr(self, f"_{kind.lower()}")(node)
        return found

    def _vectorselector(self, node: Any) -> Labels:
        known = level_labels(node.name) if ":" in node.name else {**self.metrics, **OTHERS}.get(node.name)
        assert known is not None, f"no metric {node.name}"
        # A label that has to be empty may as well not be there.
        matchers = [m for m in node.matchers.matchers if m.value or m.op != promql.MatchOp.Equal]
        matched = {matcher.name for matcher in matchers}
        assert matched <= known, f"{node.name} has no label {matched - known}"
        self.used.setdefault(node.name, set()).update(matched)
        return known

    def _matrixselector(self, node: Any) -> Labels | None:
        return self.labels(node.vector_selector)

    def _parenexpr(self, node: Any) -> Labels | None:
        return self.labels(node.expr)

    def _numberliteral(self, _: Any) -> None:
        return None

    def _unaryexpr(self, node: Any) -> Labels | None:
        return self.labels(node.expr)

    def _call(self, node: Any) -> Labels | None:
        name = node.func.name
        if name in ("time", "vector"):
            return None if name == "time" else frozenset()
        if name == "label_replace":
            inner, (target, _, source, _) = self.labels(node.args[0]), (arg.val for arg in node.args[1:])
            assert inner is not None
            assert source == "" or source in inner, f"{source} is not there: {node}"
            return inner | {target}
        found = self.labels(node.args[-1])
        assert found is not None, name
        if name == "absent":
            return frozenset(matcher.name for matcher in node.args[0].matchers.matchers)
        return found - {"le"} if name == "histogram_quantile" else found

    def _aggregateexpr(self, node: Any) -> Labels:
        inner = self.labels(node.expr)
        assert inner is not None
        by = frozenset(node.modifier.labels) if node.modifier is not None else frozenset[str]()
        assert by <= inner, f"{by - inner} is not there: {node}"
        return inner if str(node.op) in ("topk", "bottomk") else by

    def _binaryexpr(self, node: Any) -> Labels | None:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if left is None or right is None:
            return right if left is None else left
        modifier = node.modifier
        matching = modifier.matching if modifier is not None else None
        if str(node.op) == "or" and matching is None:
            return left & right
        on = frozenset(matching.labels) if matching is not None else left | right
        assert on <= left, f"{on - left} is not on the left of {node.op}: {node}"
        assert on <= right, f"{on - right} is not on the right of {node.op}: {node}"
        if str(node.op) in ("and", "unless", "or") or "ManyToOne" in str(modifier and modifier.card):
            return left
        return on


def template_queries(rule: Mapping[str, Any]) -> Iterator[str]:
    for text in rule.get("annotations", {}).values():
        for query in re.findall(r"(?:printf|query) `([^`]*)`", text):
            yield query.replace("%q", '"x"')


def rules_of(config: MonitoringConfig, timing: str) -> list[dict[str, Any]]:
    return [rule for group in rule_file(config, TIMINGS[timing])["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("timing", list(TIMINGS))
def test_all_names_and_labels_are_those_of_the_conventions(
    make_config: Callable[..., MonitoringConfig], timing: str
) -> None:
    walker = Walker(exposed_by_conventions())
    records = set()
    for rule in rules_of(make_config("a", {"model_id": "b", "latency_quantile": 0.999}), timing):
        found = walker.labels(promql.parse(rule["expr"])) or frozenset()
        if record := rule.get("record"):
            records.add(record)
            assert found == level_labels(record), record
        else:
            assert found <= ALERT_LABELS, rule["alert"]
        for query in template_queries(rule):
            walker.labels(promql.parse(query))
    assert {name for name in walker.used if ":" in name} <= records


def test_each_record_stands_before_what_reads_it_in_its_group(make_config: Callable[..., MonitoringConfig]) -> None:
    places = {
        rule["record"]: (number, place)
        for number, group in enumerate(rule_file(make_config("a"), TIMINGS["production"])["groups"])
        for place, rule in enumerate(group["rules"])
        if "record" in rule
    }
    for number, group in enumerate(rule_file(make_config("a"), TIMINGS["production"])["groups"]):
        for place, rule in enumerate(group["rules"]):
            walker = Walker(exposed_by_conventions())
            walker.labels(promql.parse(rule["expr"]))
            for name in walker.used.keys() & places.keys():
                assert places[name][0] != number or places[name][1] <= place, f"{name} comes after its reader"


class Served:
    """A service with a model in trouble, on a clock of its own."""

    def __init__(self, folder: Path, clock: Any) -> None:
        profile = ReferenceProfile.build(self.rows(5000, 1), predictions=self.scores(5000, 1))
        self.clock, self.registry, self.seed = clock, CollectorRegistry(), 10
        self.service = ProductionMonitoringService(
            storage_path=folder / "storage", clock=clock, background=False, registry=self.registry
        )
        written = {
            "model_id": "flights",
            "model_version": "7",
            "reference": str(profile.save(folder / "profile.json")),
            "drift_detection_interval": "5s",
            "drift": {"windows": ["10s", "30s"], "fixed_thresholds": {"psi": 0.2}},
            "performance_threshold": {
                "auc": 0.85,
                "bias": {"min": -1, "max": 1},
                "latency_ms": 100,
                "error_rate": 0.01,
            },
            "objective": {"error_rate": 0.001, "latency_ms": 150},
        }
        self.service.register_model(ModelMonitoringConfig.model_validate(written))
        assert self.service._parts.jobs is not None
        self.loop = CheckLoop(self.service._parts.jobs, clock=clock)

    @staticmethod
    def rows(n: int, seed: int, scale: float = 1.0) -> dict[str, Any]:
        """Return inputs; on another scale the fare has nothing to do with the hours of flight any more."""
        rng = np.random.default_rng(seed)
        hours, other = rng.normal(3.0, 1.0, (2, n))
        fare = (hours if scale == 1.0 else other) + rng.normal(0.0, 0.3, n)
        distance = rng.gamma(3.0, 300.0, n) * scale
        return {"distance": distance, "carrier": rng.choice(["UA", "AA"], n).tolist(), "hours": hours, "fare": fare}

    @staticmethod
    def scores(n: int, seed: int) -> Any:
        return np.random.default_rng(seed + 1).beta(2.0, 5.0, n)

    def run(self, seconds: int, scale: float) -> None:
        for _ in range(seconds):
            self.seed += 1
            columns, scores = self.rows(100, self.seed, scale), self.scores(100, self.seed)
            for i, score in enumerate(scores):
                row = {name: values[i] for name, values in columns.items()}
                self.service.record_prediction("flights", float(score), row, latency_ms=2.0)
            assert self.service.flush()
            self.clock.advance(1.0)
            self.loop.tick(self.clock())

    def scrape(self) -> dict[str, Labels]:
        """Return the labels of all samples by name."""
        out: dict[str, Labels] = {}
        for family in text_string_to_metric_families(generate_latest(self.registry).decode()):
            for sample in family.samples:
                out[sample.name] = out.get(sample.name, frozenset()) | frozenset(sample.labels) | TARGET
        return out


@pytest.fixture
def served(tmp_path: Path, clock: Any) -> Iterator[Served]:
    found = Served(tmp_path, clock)
    yield found
    found.loop.close()
    found.service.close()


def test_all_names_and_labels_are_in_a_real_scrape(
    served: Served, make_config: Callable[..., MonitoringConfig]
) -> None:
    served.run(1, 1.0)
    served.clock.advance(3700)  # so that traffic has a history, and silence a limit
    served.service.update_model_metric("flights", "auc", 0.5)
    served.run(35, 1.6)
    walker = Walker(served.scrape())
    for rule in rules_of(make_config("flights"), "production"):
        walker.labels(promql.parse(rule["expr"]))
        for query in template_queries(rule):
            walker.labels(promql.parse(query))
    assert walker.used
