"""Templates of alert texts: pieces that fetch a number when the alert fires, and say nothing where there is none.

They are Go templates as Prometheus 2.42 knows them. Names come in by ``$labels`` and are quoted by ``%q`` only, so that
nothing in a name can end a string, a selector or a template. In an expression ``<model>`` stands for such a matcher:
see :data:`MATCHERS`.

Alertmanager's message puts the model, its version and segment, the severity and the time around these texts. A summary
is a sentence; a description has one fact a line, ``Label: text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from modelwatch.conventions import Metric
from modelwatch_rules.promql import bridged

__all__ = ["COUNT", "MATCHERS", "NUMBER", "PERCENT", "SCORE", "SHIFT", "TIME", "fetch", "given", "last", "lines", "say"]

COUNT = 'printf "%.0f"'
NUMBER = 'printf "%.3g"'
PERCENT = "humanizePercentage"
SCORE = 'printf "%.2f"'
SHIFT = 'printf "%+.2g"'
TIME = "humanizeDuration"

MATCHERS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "id": (("model_id", "$labels.model_id"),),
        "model": (("model_id", "$labels.model_id"), ("model_version", "$labels.model_version")),
        "metric": (("metric", "$labels.metric"),),
        "segment": (("segment", "$labels.segment"),),
        "storage": (("storage", "$labels.storage"),),
        "input": (("feature", "$labels.feature"),),
        "feature": (("feature", "$feature"),),
        "other": (("other", "$other"),),
        "window": (("window", "$window"),),
        "measure": (("metric", "$measure"),),
    }
)
"""By placeholder, the labels that are matched and the template variables that hold their values."""

_PLACEHOLDER = re.compile(r"<(\w+)>")


def fetch(expr: str) -> str:
    """Return the part of a template that asks Prometheus for `expr`.

    >>> fetch("up{<id>,<window>}")
    'printf `up{model_id=%q,window=%q}` $labels.model_id $window | query'
    """
    matched = [MATCHERS[name] for name in _PLACEHOLDER.findall(expr)]
    variables = [variable for labels in matched for _, variable in labels]
    text = _PLACEHOLDER.sub(lambda found: ",".join(f"{label}=%q" for label, _ in MATCHERS[found[1]]), expr)
    if not variables:
        return f"query `{text}`"
    return f"{' '.join(('printf', f'`{text}`', *variables))} | query"


def given(expr: str, then: str, otherwise: str = "") -> str:
    """Return text that is there if `expr` has an answer; the dot in it is the answer."""
    other = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f"{{{{ with {fetch(expr)} }}}}{then}{other}{{{{ end }}}}"


def say(expr: str, form: str, before: str = "", after: str = "", otherwise: str = "") -> str:
    """Return ``before VALUE after`` for the first sample of an answer, or `otherwise` if there is none.

    >>> say("a{<id>}", NUMBER, "JS ")
    '{{ with printf `a{model_id=%q}` $labels.model_id | query }}JS {{ . | first | value | printf "%.3g" }}{{ end }}'
    """
    return given(expr, f"{before}{{{{ . | first | value | {form} }}}}{after}", otherwise)


def last(metric: Metric | str, seconds: float, *matchers: str) -> str:
    """Return a selector of the last samples; a matcher is a placeholder or written out.

    >>> last("a", 10, "<id>", 'bound="max"')
    'last_over_time(a{<id>,bound="max"}[10s])'
    """
    name = metric if isinstance(metric, str) else metric.name
    return bridged(f"{name}{{{','.join(matchers)}}}", seconds)


def lines(first: str, *more: str) -> str:
    r"""Return a description. `first` is always there; a fact that begins with a condition depends on it as a whole.

    >>> lines("How bad: very", "{{ with 1 }}And: more{{ end }}")
    'How bad: very\n{{- with 1 }}\nAnd: more{{ end }}'
    """
    return "".join([first, *(_line(fact) for fact in more if fact)])


def _line(fact: str) -> str:
    if not fact.startswith("{{ with"):
        return f"\n{fact}"
    condition, _, body = fact.partition(" }}")
    return f"\n{{{{-{condition.removeprefix('{{')} }}}}\n{body}"
