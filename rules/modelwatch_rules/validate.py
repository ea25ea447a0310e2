"""Ask promtool and amtool, where they are installed, whether generated files are right."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from modelwatch.exceptions import InputError
from modelwatch_rules.generate import (
    ALERTMANAGER_FILE,
    MERGE_FILE,
    PROMETHEUS_FILE,
    RULES_PATH,
    TEST_FILES,
    TESTS_FOLDER,
)

__all__ = ["Checked", "check", "run_tests"]

TIMEOUT = 300.0
_WARNING_MARKS = ("FAILED", "lint error", "duplicate rule")


@dataclass(frozen=True)
class Checked:
    """What one program said about one file.

    Attributes
    ----------
    what : str
        The command, as one would type it.
    outcome : {"ok", "finding", "not run"}
        "not run": the program is not installed.
    output : str
        What it said.
    """

    what: str
    outcome: Literal["ok", "finding", "not run"]
    output: str = ""


def check(out: Path, *, which: Callable[[str], str | None] = shutil.which) -> list[Checked]:
    """Check the files that :func:`modelwatch_rules.generate.generate` wrote.

    Parameters
    ----------
    out
        The output folder.
    which
        Finds programs.

    Raises
    ------
    InputError
        If there is nothing to check.
    """
    commands = [
        (["promtool", "check", "rules", "--lint=all", "--lint-fatal"], out / RULES_PATH),
        (["promtool", "check", "config"], out / PROMETHEUS_FILE),
        (["amtool", "check-config"], out / ALERTMANAGER_FILE),
    ]
    found = [_run(command, path, which) for command, path in commands if path.is_file()]
    if (merge := out / MERGE_FILE).is_file():
        found.append(_check_part(merge, which))
    if not found:
        raise InputError(f"{out}: no generated files; write them with: modelwatch rules generate --out {out}")
    return found


def run_tests(out: Path, *, which: Callable[[str], str | None] = shutil.which) -> list[Checked]:
    """Run the unit tests that were generated beside the rules: one promtool for each file, as many as there are cores.

    Parameters
    ----------
    out
        The output folder.
    which
        Finds programs.

    Raises
    ------
    InputError
        If there are no tests, or promtool is not installed.
    """
    files = sorted((out / TESTS_FOLDER).glob(TEST_FILES))
    if not files:
        raise InputError(f"{out}: no unit tests of rules; write them with: modelwatch rules generate --out {out}")
    if which("promtool") is None:
        raise InputError("promtool is not installed, and nothing else can run the tests; it comes with Prometheus")
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(lambda file: _run(["promtool", "test", "rules"], file, which), files))


def _run(command: Sequence[str], path: Path, which: Callable[[str], str | None], shown: Path | None = None) -> Checked:
    what = f"{' '.join(command)} {shown or path}"
    program = which(command[0])
    if program is None:
        return Checked(what, "not run", f"{command[0]} is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - a program that was looked up, and a path
            [program, *command[1:], str(path)], capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Checked(what, "finding", f"could not be run: {error}")
    output = f"{done.stdout}\n{done.stderr}".strip()
    # Some of promtool's findings are said and leave the exit code at 0.
    bad = done.returncode != 0 or any(mark in output for mark in _WARNING_MARKS)
    return Checked(what, "finding" if bad else "ok", output)


def _check_part(merge: Path, which: Callable[[str], str | None]) -> Checked:
    """Check our part of somebody's configuration inside the smallest configuration that can hold it."""
    part = yaml.safe_load(merge.read_text(encoding="utf-8"))
    whole = {
        **part,
        "route": {"receiver": "theirs", **part["route"]},
        "receivers": [{"name": "theirs"}, *part["receivers"]],
    }
    with tempfile.NamedTemporaryFile("w", dir=merge.parent, suffix=".yml", encoding="utf-8") as file:
        yaml.safe_dump(whole, file, allow_unicode=True)
        file.flush()
        return _run(["amtool", "check-config"], Path(file.name), which, shown=merge)
