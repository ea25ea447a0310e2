"""Matchers of Alertmanager's routes and inhibitions."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["OWN_ALERTS", "SITE_LABELS", "any_of", "matcher", "severities"]

_MEANS_SOMETHING = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""In a pattern of Go, which refuses a backslash before some others that Python's `re.escape` puts one before."""

OWN_ALERTS = "MLModel.+|Modelwatch.+"
"""The names of our alerts, as a pattern."""

SITE_LABELS = ("cluster", "env", "environment", "namespace", "region")
"""Labels that sites tell their environments by: what staging says must neither mute nor be mixed with production.

A label that neither alert carries is equal, so these cost nothing where they are not in use.
"""


def matcher(label: str, value: str, operator: str = "=") -> str:
    r"""Return a matcher; quotes and backslashes are all that means something between its quotes.

    >>> print(matcher("model_id", 'say "hello" \\ {{ $value }}'))
    model_id="say \"hello\" \\ {{ $value }}"
    """
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}{operator}"{quoted}"'


def any_of(label: str, values: Sequence[str]) -> str:
    r"""Return a matcher of any of some values of a label, whatever they hold.

    >>> print(any_of("model_id", ["a|b"]), any_of("model_id", ["a|b", 'say "x"']))
    model_id="a|b" model_id=~"a\\|b|say \"x\""
    """
    if len(values) == 1:
        return matcher(label, values[0])
    return matcher(label, "|".join(_MEANS_SOMETHING.sub(r"\\\g<0>", value) for value in values), "=~")


def severities(labels: Sequence[str]) -> str:
    r"""Return a matcher of any of some values of the label `severity`.

    >>> print(severities(["page"]), severities(["P.1", "P.2"]))
    severity="page" severity=~"P\\.1|P\\.2"
    """
    return any_of("severity", labels)
