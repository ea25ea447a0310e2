"""Unit tests for the generated rules, from the same configuration: files that `promtool test rules` runs.

Every alert has a case in which it fires and one in which it is silent, and every record one that says what it is to
be. Cases are by group of rules; a file holds those of one group that have the same step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelwatch_rules.timing import prometheus_duration
from modelwatch_rules.unit_tests import (
    checks,
    health,
    inputs,
    objectives,
    outputs,
    performance,
    silence,
    traffic,
    usual,
)
from modelwatch_rules.unit_tests.case import Case
from modelwatch_rules.unit_tests.context import Context

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.promql import Style
    from modelwatch_rules.timing import Timing

__all__ = ["Case", "unit_test_cases", "unit_test_files"]


def unit_test_cases(config: MonitoringConfig, timing: Timing, style: Style) -> Iterator[Case]:
    """Yield all cases."""
    of = Context(config, timing, style)
    for module in (traffic, silence, usual, objectives, checks, performance, inputs, outputs, health):
        yield from module.cases(of)


def unit_test_files(
    config: MonitoringConfig, timing: Timing, style: Style, rule_file: str, *, fuzzy: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the contents of test files by name.

    Parameters
    ----------
    config, timing, style
        What the rules were made from.
    rule_file
        Path of the rules, as seen from the test files.
    fuzzy
        Whether numbers may differ in their last digits: windows that are open to the left are extrapolated.
    """
    files: dict[str, dict[str, Any]] = {}
    for case in unit_test_cases(config, timing, style):
        step = prometheus_duration(case.step)
        name = f"{case.group.removesuffix('.rules')}.{step}.test.yml"
        head = {"rule_files": [rule_file], "evaluation_interval": step, **({"fuzzy_compare": True} if fuzzy else {})}
        files.setdefault(name, {**head, "tests": []})["tests"].append(case.as_dict())
    return files
