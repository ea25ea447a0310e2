"""Unit tests for the generated rules, from the same configuration: files that `promtool test rules` runs.

Every alert has a case in which it fires and one in which it is silent, and every record one that says what it is to
be. Cases are by group of rules; a file holds those of one group that have the same step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelwatch_rules.timing import prometheus_duration
from modelwatch_rules.unit_tests import inputs, outputs, traffic, usual
from modelwatch_rules.unit_tests.case import Case
from modelwatch_rules.unit_tests.context import Context

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.promql import Style
    from modelwatch_rules.timing import Timing

__all__ = ["Case", "test_cases", "test_files"]


def test_cases(config: MonitoringConfig, timing: Timing, style: Style) -> Iterator[Case]:
    """Yield all cases."""
    of = Context(config, timing, style)
    for module in (traffic, usual, inputs, outputs):
        yield from module.cases(of)


def test_files(config: MonitoringConfig, timing: Timing, style: Style, rule_file: str) -> dict[str, dict[str, Any]]:
    """Return the contents of test files by name.

    Parameters
    ----------
    config, timing, style
        What the rules were made from.
    rule_file
        Path of the rules, as seen from the test files.
    """
    files: dict[str, dict[str, Any]] = {}
    for case in test_cases(config, timing, style):
        step = prometheus_duration(case.step)
        name = f"{case.group.removesuffix('.rules')}.{step}.test.yml"
        file = files.setdefault(name, {"rule_files": [rule_file], "evaluation_interval": step, "tests": []})
        file["tests"].append(case.as_dict())
    return files
