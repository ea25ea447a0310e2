"""Matchers of Alertmanager's routes and inhibitions."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["OWN_ALERTS", "SITE_LABELS", "matcher", "severities"]

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


def severities(labels: Sequence[str]) -> str:
    r"""Return a matcher of any of some values of the label `severity`.

    >>> print(severities(["page"]), severities(["P.1", "P.2"]))
    severity="page" severity=~"P\\.1|P\\.2"
    """
    if len(labels) == 1:
        return matcher("severity", labels[0])
    # Of what such a value may hold only the dot means something in a pattern.
    return matcher("severity", "|".join(label.replace(".", "\\.") for label in labels), "=~")
