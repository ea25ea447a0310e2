"""Lines of tables that are about several models: what a line is called by, so that columns find each other.

Grafana joins the answers of several queries by one field, and a label that is empty (a model without a version) is no
field at all. So every query of a table carries one made-up label, ``row``, out of all that tell lines apart. The first
query has every line, and the labels to show; the others have no line that the first one has not.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelwatch import conventions as c
from modelwatch_grafana.elements import Json, Label

__all__ = ["MADE_UP_LABELS", "ROW", "line", "line_with_names", "named", "to_model"]

ROW = "row"
VERSION = "version"
"""The version to show: a dash where there is none."""
CHOICE = "version_choice"
"""The version for a link: all where there is none."""
MADE_UP_LABELS = frozenset({ROW, VERSION, CHOICE})
SEPARATOR = "\\n"
"""In PromQL. No id or feature has a newline in it, so that no two lines look alike."""
NO_VERSION = "–"
ALL_VERSIONS = "All"
TITLES = {"alertname": "Alert"}
KEPT_VARIABLES = ("datasource", "job", "instance")


def line(expr: str, labels: Sequence[str] = c.MODEL_LABELS) -> str:
    """Return an expression by the label ``row``, from those of its labels that tell lines apart."""
    return f"max by ({ROW}) ({_joined(expr, labels)})"


def line_with_names(expr: str, labels: Sequence[str] = c.MODEL_LABELS) -> str:
    """Return an expression by ``row`` and by the labels that :func:`named` shows: for the first column."""
    others = [label for label in labels if label != c.MODEL_VERSION]
    if c.MODEL_VERSION not in labels:
        return f"max by ({', '.join([ROW, *others])}) ({_joined(expr, labels)})"
    versions = _or_else(_or_else(_joined(expr, labels), VERSION, NO_VERSION), CHOICE, ALL_VERSIONS)
    return f"max by ({', '.join([ROW, *others, VERSION, CHOICE])}) ({versions})"


def named(*labels: str, versions: bool = True, model_links: Sequence[Json] = ()) -> tuple[Label, ...]:
    """Return the columns of labels: model, version, and more of them by their own names."""
    out = [Label(c.MODEL_ID, "Model", ({"id": "links", "value": list(model_links)},) if model_links else ())]
    if versions:
        out += [Label(VERSION, "Version"), Label(CHOICE, "", ({"id": "custom.hidden", "value": True},))]
    return (*out, *(Label(label, TITLES.get(label, label.title())) for label in labels))


def to_model(uid: str, *, versions: bool = True) -> list[Json]:
    """Return the link from a model's name in a table to its dashboard, about the version of the same line."""
    variables = "&".join(f"${{{name}:queryparam}}" for name in KEPT_VARIABLES)
    version = f"&var-{c.MODEL_VERSION}=${{__data.fields.{CHOICE}:percentencode}}" if versions else ""
    model = f"var-{c.MODEL_ID}=${{__value.raw:percentencode}}"
    return [
        {
            "title": "Model dashboard",
            "url": f"/d/{uid}?${{__url_time_range}}&{variables}&{model}{version}",
            "targetBlank": False,
        }
    ]


def _joined(expr: str, labels: Sequence[str]) -> str:
    named_labels = ", ".join(f'"{label}"' for label in labels)
    return f'label_join({expr}, "{ROW}", "{SEPARATOR}", {named_labels})'


def _or_else(expr: str, label: str, otherwise: str) -> str:
    """Return an expression with the version under another label, or a text where there is no version."""
    given = f'label_replace({expr}, "{label}", "$1", "{c.MODEL_VERSION}", "(.+)")'
    return f'label_replace({given}, "{label}", "{otherwise}", "{c.MODEL_VERSION}", "")'
