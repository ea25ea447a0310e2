"""What the configuration says about each model, as a template of Alertmanager: its owner, dashboard and runbook.

Alerts carry addresses too, the same for every model; a model's own go over them. A template can't hand a value back,
so it is called with what the alert says and writes the foot of the message itself: owner and links.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from modelwatch_rules.model_groups import model_groups

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig

__all__ = ["ABOUT", "about_template", "go_string"]

ABOUT = "modelwatch.about"
"""Takes a list: one of "text", "slack", "html" and "url", then model_id, model_version, dashboard, runbook, silence."""

_FIELDS = ("owner", "dashboard_url", "runbook_url")
_UNSAFE = re.compile(r'[\s|<>"\\^`{}]')
"""What ends an address in Slack's markup, in an attribute or in plain text."""

_HEAD = """\
{{ define "%s" -}}
{{- $id := index . 1 -}}
{{- $version := index . 2 -}}
{{- $owner := "" -}}
{{- $dashboard := index . 3 -}}
{{- $runbook := index . 4 -}}
{{- $silence := index . 5 -}}
{{- if not $id -}}
"""

# Slack's "<" and ">" come out of printf: written down they would be markup where the same template makes HTML.
_FOOT = r"""
{{- end -}}
{{- $kind := index . 0 -}}
{{- if eq $kind "slack" -}}
{{- with $dashboard }}{{ . | ESCAPE | printf "<%s|Dashboard> · " }}{{ end -}}
{{- with $runbook }}{{ . | ESCAPE | printf "<%s|Runbook> · " }}{{ end -}}
{{- $silence | ESCAPE | printf "<%s|Silence>" -}}
{{- with $owner }}{{ " · owner " }}{{ . | ESCAPE }}{{ end -}}
{{- else if eq $kind "html" -}}
{{- with $owner }}<p><strong>Owner:</strong> {{ . }}</p>{{ end -}}
<p>{{ with $dashboard }}<a href="{{ . }}">Dashboard</a> · {{ end -}}
{{- with $runbook }}<a href="{{ . }}">Runbook</a> · {{ end -}}
<a href="{{ $silence }}">Silence</a></p>
{{- else if eq $kind "url" -}}
{{- or $dashboard $silence -}}
{{- else -}}
{{- with $owner }}{{ print "Owner: " . "\n" }}{{ end -}}
{{- with $dashboard }}{{ print "Dashboard: " . "\n" }}{{ end -}}
{{- with $runbook }}{{ print "Runbook: " . "\n" }}{{ end -}}
{{- print "Silence: " $silence "\n" -}}
{{- end -}}
{{- end }}"""


def about_template(config: MonitoringConfig, escape: str) -> str:
    """Return the definition of :data:`ABOUT`.

    Parameters
    ----------
    config : MonitoringConfig
        Its models.
    escape : str
        The pipeline that makes a text harmless to Slack.
    """
    return _HEAD % ABOUT + "\n".join(_branches(config)) + _FOOT.replace("ESCAPE", escape.strip().removeprefix("| "))


def go_string(text: str) -> str:
    r"""Return `text` as a string of Go's templates, without anything that could mean something on the way there.

    >>> print(go_string('a "b" {{ $value }} <<news>>'))
    "a \"b\" \u007b\u007b $value \u007d\u007d \u003c\u003cnews\u003e\u003e"
    """
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[<>{}\x7f]", lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _branches(config: MonitoringConfig) -> Iterator[str]:
    for (model_id, version), models in model_groups(config).items():
        known = [(name, value) for name in _FIELDS if (value := _common(models, name))]
        if known:
            same = f"eq $id {go_string(model_id)}"
            condition = f"and ({same}) (eq $version {go_string(version)})" if version else same
            said = "".join(f"{{{{ ${name.removesuffix('_url')} = {go_string(value)} }}}}" for name, value in known)
            yield f"{{{{- else if {condition} }}}}{said}"


def _common(models: Sequence[ModelMonitoringConfig], field: str) -> str | None:
    """Return what all versions of a model say; None if they differ, as an alert without a version is about all."""
    values = {getattr(model, field) for model in models}
    value = values.pop() if len(values) == 1 else None
    return _UNSAFE.sub(lambda found: quote(found[0]), value) if value and field.endswith("_url") else value
