"""Versions of Prometheus and Alertmanager that files are made for, and what needs a later one than the default.

The defaults are the oldest versions that the generated files work with, and those that everything was run on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from modelwatch.exceptions import InputError

__all__ = [
    "ALERTMANAGER",
    "FUZZY_COMPARE",
    "PROMETHEUS",
    "SLACK_ANSWERS",
    "WEBHOOK_URL_FILE",
    "Version",
    "parse_version",
]

_TEXT = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,4})?")


class Version(NamedTuple):
    """A version but for its last number, which brings nothing new."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


PROMETHEUS = Version(2, 42)
"""Rules say ``keep_firing_for``, which came with it."""

ALERTMANAGER = Version(0, 25)
"""Quiet hours say ``location``, which came with it."""

WEBHOOK_URL_FILE = Version(0, 26)
"""Webhooks read their address from a file: https://github.com/prometheus/alertmanager/pull/3223."""

SLACK_ANSWERS = Version(0, 26)
"""What Slack refuses with status 200 is seen: https://github.com/prometheus/alertmanager/pull/3121."""

FUZZY_COMPARE = Version(3, 5)
"""Unit tests of rules compare numbers to the last digits but one: https://github.com/prometheus/prometheus/pull/16395,
merged in April 2025, months before this version."""

_NEEDED = {"Prometheus": (PROMETHEUS, "keep_firing_for"), "Alertmanager": (ALERTMANAGER, "location in time_intervals")}


def parse_version(text: str, program: str) -> Version:
    """Return the version that somebody wrote: ``"0.27"``, ``"v2.53.1"``.

    Parameters
    ----------
    text : str
        As written.
    program : {"Prometheus", "Alertmanager"}
        Whose version it is.

    Raises
    ------
    InputError
        If it is no version, or older than what the generated files need.

    Examples
    --------
    >>> parse_version("v0.27.0", "Alertmanager") >= WEBHOOK_URL_FILE
    True
    """
    option = f"--{program.lower()}-version"
    least, why = _NEEDED[program]
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{option} must be a version of {program} such as {least}, got {text!r:.80}")
    version = Version(int(found[1]), int(found[2]))
    if version < least:
        raise InputError(
            f"{option} must be {least} or later, got {text!r:.80}: the generated files use {why}, which came with it"
        )
    return version
