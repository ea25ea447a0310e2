"""The generated unit tests notice every small change to a generated rule.

A rule is changed in one place: a number, a comparison, an operator between sets or numbers, a label that is matched or
grouped by, a window, an aggregation, ``for``, ``keep_firing_for`` or a label of the alert. Some case must then fail.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pytest

from modelwatch import conventions as c
from modelwatch.config import load_config
from modelwatch_rules.groups import DEFAULT_RUNBOOK_BASE, rule_file
from modelwatch_rules.promql import Style
from modelwatch_rules.timing import PRODUCTION, prometheus_duration
from modelwatch_rules.unit_tests import Case, unit_test_cases

Rule = dict[str, Any]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "models.yaml"
STYLE = Style(DEFAULT_RUNBOOK_BASE)

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")
      | (?P<range>\[[0-9a-z]+\])
      | (?P<offset>offset\ [0-9a-z]+)
      | (?P<by>\b(?:by|on|group_left)\ \([a-z_, ]*\))
      | (?P<presence>vector\(1\))
      | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
      | (?P<operator>=~|!~|==|!=|>=|<=|>|<|=|[-+*/])
      | (?P<other>\s+|.)""",
    re.VERBOSE,
)
"""Parts of an expression; ``vector(1)`` is one as it is only there to be there, whatever its value."""
_SWAPS: Mapping[str, Sequence[str]] = {
    ">": (">=", "<"), ">=": (">", "<"), "<": ("<=", ">"), "<=": ("<", ">"), "==": ("!=",), "!=": ("==",),
    "=": ("!=",), "=~": ("!~",), "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",),
    "and": ("unless",), "unless": ("and",), "or": ("and",),
    "sum": ("max",), "max": ("min", "sum"), "min": ("max",), "count": ("sum",),
    "increase": ("rate",), "rate": ("increase",),
    "last_over_time": ("max_over_time",), "min_over_time": ("max_over_time",), "max_over_time": ("min_over_time",),
    "sum_over_time": ("max_over_time",), "avg_over_time": ("max_over_time",),
    "quantile_over_time": (), "absent": ("absent_over_time",),
}  # fmt: skip
_ONE_EACH = "one series of a drift type by version and segment: the maximum takes nothing but the label away"
EQUIVALENT: Mapping[tuple[str, str], str] = {
    (alert, f"'max' -> '{other}' at 0"): _ONE_EACH for alert in c.DRIFT_ALERTS.values() for other in ("min", "sum")
} | {(c.ALERT_SERIES_FOLDED, "'max' -> 'sum' at 0"): "counts: their sum is above zero where the greatest of them is"}
"""Why a rule says the same after a change, by its name and the change: not to be noticed by any case."""
_BATCH = 25
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
"""Where promtool makes a database for each test: on a disk it would wait for that most of the time."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Mutant:
    """One change to one rule.

    Attributes
    ----------
    group : str
    index : int
        Place of the rule in its group.
    what : str
        The change, for people.
    rule : dict
        The rule as changed.
    """

    group: str
    index: int
    what: str
    rule: Rule

    @property
    def about(self) -> str:
        return str(self.rule.get("record") or self.rule["alert"])


def mutants(groups: Sequence[Mapping[str, Any]]) -> Iterator[Mutant]:
    """Yield all changes to the rules of a file that make a difference."""
    return (mutant for mutant in _all(groups) if (mutant.about, mutant.what) not in EQUIVALENT)


def _all(groups: Sequence[Mapping[str, Any]]) -> Iterator[Mutant]:
    for group in groups:
        for index, rule in enumerate(group["rules"]):
            for what, changed in _changes(rule):
                yield Mutant(group["name"], index, what, changed)


def _changes(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for what, expr in _expressions(rule["expr"]):
        yield what, {**rule, "expr": expr}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            for longer in _durations(rule[key]):
                yield f"{key} {rule[key]} -> {longer}", {**rule, key: longer}
            yield f"no {key}", {name: value for name, value in rule.items() if name != key}
    for label in rule.get("labels", {}):
        changed = copy.deepcopy(rule)
        changed["labels"][label] = "other"
        yield f"label {label} -> other", changed


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(expr)]
    for place, (kind, text) in enumerate(tokens):
        for new in _replacements(kind, text):
            changed = "".join([*(t for _, t in tokens[:place]), new, *(t for _, t in tokens[place + 1 :])])
            yield f"{text!r} -> {new!r} at {place}", changed


def _replacements(kind: str, text: str) -> Iterable[str]:
    if kind == "range":
        return [f"[{new}]" for new in _durations(text[1:-1])]
    if kind == "offset":
        return [f"offset {new}" for new in _durations(text.removeprefix("offset "))]
    if kind == "number":
        return _numbers(text)
    if kind == "by":
        return _fewer_labels(text)
    return _SWAPS.get(text, ()) if kind in ("word", "operator") else ()


def _numbers(text: str) -> list[str]:
    value = float(text)
    if value == int(value) and value <= 5:
        return [f"{value + 1:g}", *([f"{value - 1:g}"] if value >= 1 else [])]
    return [f"{value * 1.25:.12g}", f"{value * 0.8:.12g}"]


def _durations(text: str) -> list[str]:
    seconds = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhd])", text))
    return [prometheus_duration(2 * seconds), prometheus_duration(seconds / 2)]


def _fewer_labels(text: str) -> list[str]:
    head, _, inside = text.rstrip(")").partition("(")
    labels = [label for label in inside.split(", ") if label]
    return [f"{head}({', '.join(kept for kept in labels if kept != label)})" for label in labels]


# ── who notices ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Inspector:
    """Runs cases against changed rules.

    Parameters
    ----------
    promtool : str
    folder : Path
        For the files.
    groups
        Of the unchanged rules.
    cases
        Of the generated tests.
    """

    def __init__(self, promtool: str, folder: Path, groups: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> None:
        self._promtool, self._folder = promtool, folder
        self._groups = {group["name"]: [_bare(rule) for rule in group["rules"]] for group in groups}
        self._cases = cases

    def survivors(self, mutants: Sequence[Mutant]) -> list[Mutant]:
        """Return the changes that no case notices. Each round asks one more case, those about the rule itself first."""
        waiting = {number: self._cases_for(mutant) for number, mutant in enumerate(mutants)}
        left = list(waiting)
        while asked := [number for number in left if waiting[number]]:
            names = {self._write(number, mutants[number], *waiting[number].pop(0)): number for number in asked}
            noticed = {names[name] for name in self._failed(list(names))}
            left = [number for number in left if number not in noticed]
        return [mutants[number] for number in left]

    def _cases_for(self, mutant: Mutant) -> list[tuple[Case, set[str]]]:
        """Return the cases that may notice a change, with what is looked at in each."""
        own, further = {mutant.about}, self._readers(mutant.about) - {mutant.about}
        direct = [(case, own) for case in self._cases if any(check.about in own for check in case.checks)]
        direct.sort(key=lambda one: max(check.at for check in one[0].checks) / one[0].step)
        return direct + [
            (case, further) for case in self._cases if any(check.about in further for check in case.checks)
        ]

    def _readers(self, name: str) -> set[str]:
        """Return the rules that a rule is read by, directly or not, and itself."""
        found = {name}
        rules = [rule for rules in self._groups.values() for rule in rules]
        while more := {_name(r) for r in rules if _name(r) not in found and found & _names_in(r["expr"])}:
            found |= more
        return found

    def _write(self, number: int, mutant: Mutant, case: Case, about: set[str]) -> str:
        """Write one test of one mutant; return its name."""
        rules, step = f"m{number}.rules.yml", prometheus_duration(case.step)
        (self._folder / rules).write_text(json.dumps({"groups": self._needed(mutant, about)}), encoding="utf-8")
        checks = [check.as_dict() for check in case.checks if check.about in about]
        test = {**case.as_dict(), "promql_expr_test": checks}
        content = {"rule_files": [rules], "evaluation_interval": step, "tests": [test]}
        name = f"m{number}.test.yml"
        (self._folder / name).write_text(json.dumps(content), encoding="utf-8")
        return name

    def _needed(self, mutant: Mutant, about: set[str]) -> list[dict[str, Any]]:
        """Return groups with the change, of rules that some others need."""
        changed = {name: list(rules) for name, rules in self._groups.items()}
        changed[mutant.group][mutant.index] = _bare(mutant.rule)
        needed = set(about)
        rules = [rule for rules in changed.values() for rule in rules]
        while more := {n for r in rules if _name(r) in needed for n in _names_in(r["expr"])} - needed:
            needed |= more
        kept = {name: [rule for rule in rules if _name(rule) in needed] for name, rules in changed.items()}
        return [{"name": name, "rules": rules} for name, rules in kept.items() if rules]

    def _failed(self, names: Sequence[str]) -> list[str]:
        """Return the tests that fail; two programs at a time, as each waits for the disk now and then."""
        parts = [names[begin : begin + _BATCH] for begin in range(0, len(names), _BATCH)]
        with ThreadPoolExecutor(max_workers=2) as pool:
            return [name for failed in pool.map(self._failed_of, parts) for name in failed]

    def _failed_of(self, names: Sequence[str]) -> list[str]:
        done = subprocess.run(
            [self._promtool, "test", "rules", *names],
            cwd=self._folder, env={"TMPDIR": _MEMORY, "GOMAXPROCS": "1"},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        # What failed is said on the other stream, so that it can't be told by its place; a test that holds is.
        held = re.findall(r"^Unit Testing:  (\S+)\n  SUCCESS", done.stdout, flags=re.MULTILINE)
        return [name for name in names if name not in held]


def _bare(rule: Mapping[str, Any]) -> Rule:
    """Return a rule without texts, which nothing here looks at."""
    return {name: value for name, value in rule.items() if name != "annotations"}


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule.get("record") or rule["alert"])


@cache
def _names_in(expr: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z_]+:[a-zA-Z0-9_:]+", expr))


# ── tests ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def groups() -> list[dict[str, Any]]:
    """Return the rules of the two example models."""
    found: list[dict[str, Any]] = rule_file(load_config(EXAMPLE), PRODUCTION, STYLE)["groups"]
    return found


@pytest.fixture
def inspector(require_server: Callable[[str], str], tmp_path: Path, groups: list[dict[str, Any]]) -> Inspector:
    cases = list(unit_test_cases(load_config(EXAMPLE), PRODUCTION, STYLE))
    return Inspector(require_server("promtool"), tmp_path, groups, cases)


def test_without_a_change_there_is_nothing_to_notice(inspector: Inspector, groups: list[dict[str, Any]]) -> None:
    same = [Mutant(g["name"], len(g["rules"]) - 1, "nothing", g["rules"][-1]) for g in groups]
    assert inspector.survivors(same) == same


@pytest.mark.parametrize(
    "part", [pytest.param(4, id="one of four"), pytest.param(1, id="all", marks=pytest.mark.quality)]
)
def test_every_change_to_a_rule_is_noticed(inspector: Inspector, groups: list[dict[str, Any]], part: int) -> None:
    """Try one of `part` changes to each rule."""
    changed = list(mutants(groups))
    assert len(changed) > 1500
    of_rule = groupby(changed, key=lambda mutant: (mutant.group, mutant.index))
    tried = [mutant for _, found in of_rule for mutant in islice(found, 0, None, part)]
    assert [(mutant.about, mutant.what) for mutant in inspector.survivors(tried)] == []


def test_what_is_excused_can_not_be_noticed(inspector: Inspector, groups: list[dict[str, Any]]) -> None:
    excused = [mutant for mutant in _all(groups) if (mutant.about, mutant.what) in EQUIVALENT]
    assert {(mutant.about, mutant.what) for mutant in excused} == set(EQUIVALENT)
    assert inspector.survivors(excused) == excused
