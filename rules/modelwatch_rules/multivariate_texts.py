"""What the alert about inputs that no longer go together says: which pairs, and how their correlations moved."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_rules.context import quality, traffic
from modelwatch_rules.drift_texts import DriftTexts
from modelwatch_rules.timing import Timing
from modelwatch_rules.words import SCORE, fetch, lines, say

__all__ = ["MultivariateTexts"]

MAX_PAIRS = 3


class MultivariateTexts(DriftTexts):
    """The texts of the alert about multivariate drift.

    Parameters
    ----------
    timing
        How old a number may be, and over which windows traffic is told.
    """

    def __init__(self, timing: Timing) -> None:
        super().__init__("multivariate", timing)

    def summary(self) -> str:
        """Return a sentence such as ``Inputs no longer go together as they did (bid_floor and placement).``."""
        names = "{{ range . }} ({{ .Labels.feature }} and {{ .Labels.other }}){{ end }}"
        return f"Inputs no longer go together as they did{_each(self._foremost(1), names)}."

    def description(self, severity: Severity) -> str:
        """Return the facts."""
        return lines(
            self._pairs(),
            self._far(),
            self._sure(),
            self._held(),
            f"Effect: {self._drifted_inputs()}, {self._effect_on_predictions()}{quality(self._timing)}",
            traffic(self._timing),
            "Severity: warning at most, as each of these inputs by itself may look as it always did",
            f"Look first: {self._same_version()}what feeds {_each(self._foremost(1), _BOTH, 'the inputs')}",
        )

    def _foremost(self, most: int) -> str:
        """Return the pairs that changed most, by how much their correlations differ."""
        by = f"{c.FEATURE}, {c.OTHER_FEATURE}, {c.WINDOW}"
        now, before = (
            f"max by ({by}) ({self._last(c.FEATURE_CORRELATION, sample)})" for sample in (_CURRENT, _REFERENCE)
        )
        return f"sort_desc(topk({most}, abs({now} - {before})))"

    def _pairs(self) -> str:
        """Return a line for each of the foremost pairs."""
        names = (
            "{{ $feature := $one.Labels.feature }}{{ $other := $one.Labels.other }}{{ $window := $one.Labels.window }}"
            "{{ if $i }}\n{{ end }}{{ $feature }} and {{ $other }}: correlation "
        )
        line = f"{names}{self._correlation(_REFERENCE)} → {self._correlation(_CURRENT)} in the {{{{ $window }}}} window"
        return _each(
            self._foremost(MAX_PAIRS),
            f"{{{{ range $i, $one := . }}}}{line}{{{{ end }}}}",
            "Inputs: which ones is not known at the moment",
        )

    def _correlation(self, sample: str) -> str:
        where = ("<feature>", "<other>", "<window>", sample)
        return say(f"max({self._last(c.FEATURE_CORRELATION, *where)})", SCORE, otherwise="unknown")

    def _far(self) -> str:
        tolerance = say(f"max({self._last(c.DRIFT_THRESHOLD, self._type)})", SCORE, ", tolerance ")
        before = "How far: distance "
        return say(f"max({self._last(c.DRIFT_SCORE, self._type)})", SCORE, before, tolerance)


_CURRENT, _REFERENCE = (f'{c.SAMPLE}="{sample}"' for sample in ("current", "reference"))
_BOTH = "{{ range . }}{{ .Labels.feature }} and {{ .Labels.other }}{{ end }}"


def _each(expr: str, then: str, otherwise: str = "") -> str:
    """Return text about an answer, which is the dot in it, or other text if there is none."""
    other = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f"{{{{ with {fetch(expr)} }}}}{then}{other}{{{{ end }}}}"
