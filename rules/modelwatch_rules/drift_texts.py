"""What the alerts about drift say: what moved, how far beyond which tolerance, how sure, its effect, where to look."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_rules.context import quality, traffic
from modelwatch_rules.recording import DRIFTED
from modelwatch_rules.timing import Timing, prometheus_duration
from modelwatch_rules.words import COUNT, PERCENT, SCORE, SHIFT, fetch, given, last, lines, say

__all__ = ["DriftTexts"]

MAX_FEATURES = 5
_WARNING = int(Severity.WARNING)
_WORST_FEATURES = f"sort_desc(topk({MAX_FEATURES}, {DRIFTED}{{<model>}}))"
_RANKED = f"max({DRIFTED}{{<model>}}) > 0"
_FURTHER_FEATURES = f"count({DRIFTED}{{<model>}}) - {MAX_FEATURES} > 0"
TIMES = 'printf "%.1f"'
_WORTH_SAYING = 0.005
"""A share of less than half a percent is not told."""
_SHIFT_WORTH_SAYING = 0.05


class DriftTexts:
    """The texts of one alert about drift.

    Parameters
    ----------
    drift_type : {"data", "prediction", "multivariate"}
        What drifted.
    timing
        How old a number may be, and over which windows traffic is told.
    """

    def __init__(self, drift_type: str, timing: Timing) -> None:
        self._type = f'drift_type="{drift_type}"'
        self._is_data = drift_type == "data"
        self._timing = timing

    def summary(self) -> str:
        """Return a sentence such as ``2 of 25 inputs drifted (bid_floor, placement).``."""
        return f"{_by_segment(self._segment_summary(), self._whole_summary())}."

    def _segment_summary(self) -> str:
        if not self._is_data:
            return "Predictions drifted in this segment"
        return f"Inputs drifted in this segment{given(self._segment_inputs(), f' ({_names()})')}"

    def _segment_inputs(self) -> str:
        """How many times its tolerance each of the worst inputs of the segment is."""
        score, tolerance = (
            self._last(m, self._type, f"feature!={_EMPTY}", _THE_DISTANCE) for m in (c.DRIFT_SCORE, c.DRIFT_THRESHOLD)
        )
        return f"sort_desc(topk({MAX_FEATURES}, max by (feature) ({score} / ({tolerance} > 0))))"

    def _segment_description(self) -> str:
        """Return what is known of a segment: no more is exposed of each than what drifted most."""
        name = "{{ if $i }}\n{{ end }}{{ $one.Labels.feature }}"
        line = f"{name}: {{{{ $one.Value | {TIMES} }}}} times its tolerance"
        inputs = given(
            self._segment_inputs(),
            f"{{{{ range $i, $one := . }}}}{line}{{{{ end }}}}",
            "Inputs: which ones is not known at the moment",
        )
        whole = f"max({last(c.DRIFT_SEVERITY, self._timing.bridge, '<model>', self._type, *_WHOLE)}) >= {_WARNING}"
        return lines(
            inputs if self._is_data else "Predictions: beyond their tolerance",
            f"Effect: {given(whole, 'the model as a whole drifted too', 'the model as a whole is within tolerance')}",
            f"Look first: {'what feeds these inputs' if self._is_data else 'the inputs'} in this segment alone",
        )

    def _whole_summary(self) -> str:
        if not self._is_data:
            return f'{{{{ $feature := "" }}}}Predictions drifted{self._in_worst_window(f" ({self._distance()})")}'
        drifted, scored = (f"max({self._last(metric)})" for metric in (c.DRIFTED_FEATURES, c.SCORED_FEATURES))
        # What is held was not scored by this check: at night it is more than what was.
        known = f"{drifted} > 0 <= {scored}"
        count = say(known, COUNT, "", f"{say(scored, COUNT, ' of ')} inputs drifted", "Inputs drifted")
        more = say(_FURTHER_FEATURES, COUNT, ", +", " more")
        names = _worst(f" ({_names()}{more})")
        return f"{count}{names}"

    def description(self, severity: Severity) -> str:
        """Return the facts; `severity` is the tier of the rule."""
        return _by_segment(self._segment_description(), self._whole_description(severity))

    def _whole_description(self, severity: Severity) -> str:
        if self._is_data:
            first = self._features()
            more = say(_FURTHER_FEATURES, COUNT, "And: +", " more inputs")
            place = f"what feeds {_worst(_names(2), 'the inputs')}"
        else:
            first = f'{{{{ $feature := "" }}}}Predictions: {self._moved()}'
            more, place = "", "the inputs, then the model"
        return lines(
            first,
            more,
            self._sure(),
            self._held(),
            f"Effect: {self._effect()}{quality(self._timing)}",
            traffic(self._timing),
            self._uncalibrated() if severity == Severity.WARNING else "",
            f"Look first: {self._same_version()}{place}",
        )

    def _last(self, metric: c.Metric, *matchers: str) -> str:
        of_segment = ("<segment>",) if c.SEGMENT in metric.labels else ()
        return last(metric, self._timing.bridge, "<model>", *matchers, *of_segment)

    # ── features ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _features(self) -> str:
        """One line for each of the worst features."""
        unknown = "Inputs: which ones is not known at the moment"
        name = "{{ $feature := $one.Labels.feature }}{{ if $i }}\n{{ end }}{{ $feature }}"
        line = f"{name}: {self._moved()}"
        return _worst(f"{{{{ range $i, $one := . }}}}{line}{{{{ end }}}}", unknown)

    def _in_worst_window(self, then: str, otherwise: str = "") -> str:
        """Return text in which $window is the window in which $feature moved most."""
        shown = f"topk(1, max by (window) ({self._last(c.FEATURE_MISSING_RATIO, '<feature>')}))"
        ratio = self._ratio("<feature>")
        window = '{{ $window := . | first | label "window" }}'
        return given(f"{shown}\nor on ()\ntopk(1, {ratio})", f"{window}{then}", otherwise)

    def _ratio(self, feature: str) -> str:
        """How many times its tolerance a score is, at most, by window."""
        score, tolerance = (
            self._last(m, self._type, feature, _THE_DISTANCE) for m in (c.DRIFT_SCORE, c.DRIFT_THRESHOLD)
        )
        return f"max by (window) ({score} / ({tolerance} > 0))"

    def _distance(self) -> str:
        where = (self._type, "<feature>", "<window>", _THE_DISTANCE)
        tolerance = say(f"max({self._last(c.DRIFT_THRESHOLD, *where)})", SCORE, ", tolerance ")
        return say(f"max({self._last(c.DRIFT_SCORE, *where)})", SCORE, "JS ", tolerance, "JS not measured now")

    def _moved(self) -> str:
        """How far $feature is from the reference, and in which way."""
        where = ("<feature>", "<window>")
        sd = f"max({self._last(c.FEATURE_SHIFT_SD, *where)})"
        shift = say(f"{sd} >= {_SHIFT_WORTH_SAYING} or {sd} <= -{_SHIFT_WORTH_SAYING}", SHIFT, ", mean ", " sd")
        novel = self._share(c.FEATURE_NOVEL_RATIO, " unseen or outside the reference range")
        missing = self._share(c.FEATURE_MISSING_RATIO, " missing")
        distance = f"{self._distance()} in the {{{{ $window }}}} window"
        return self._in_worst_window(f"{distance}{shift}{novel}{missing}", "drifted")

    def _share(self, metric: c.Metric, what: str) -> str:
        return say(f"max({self._last(metric, '<feature>', '<window>')}) >= {_WORTH_SAYING}", PERCENT, ", ", what)

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────

    def _sure(self) -> str:
        """How many rows speak, in the window that deviates most."""
        rows = {s: f"max({self._last(c.WINDOW_ROWS, '<window>', f'sample={_quoted(s)}')})" for s in _SAMPLES}
        against = say(f"{rows['reference']} > 0", COUNT, " against ", " in the reference")
        told = say(rows["current"], COUNT, "", f" rows in the last {{{{ $window }}}}{against}; ")
        feature = f"feature!={_EMPTY}" if self._is_data else f"feature={_EMPTY}"
        window = '{{ $window := . | first | label "window" }}'
        numbers = given(f"topk(1, {self._ratio(feature)})", f"{window}{told}")
        return f"How sure: {numbers}not chance, the tests keep the model's budget of false alarms"

    def _held(self) -> str:
        held = f"{self._last(c.DRIFT_STATE, self._type, 'state=' + _quoted('held'))} == 1"
        return given(held, "Held: too few rows now to say it is over; at most 24 h")

    def _uncalibrated(self) -> str:
        return given(
            f"max({self._last(c.DRIFT_CALIBRATED)}) == 0",
            "Severity: warning, unless the change is gross: the reference has no timestamps to learn normal variation"
            " from",
        )

    def _effect(self) -> str:
        return self._effect_on_predictions() if self._is_data else self._drifted_inputs()

    def _drifted_inputs(self) -> str:
        count = f"max({self._last(c.DRIFTED_FEATURES)}) > 0"
        return say(count, COUNT, "", " of the inputs drifted too", "no input drifted by itself")

    def _effect_on_predictions(self) -> str:
        prediction = f"drift_type={_quoted('prediction')}"
        severity = f"max({self._last(c.DRIFT_SEVERITY, prediction, 'feature=' + _EMPTY)}) >= {_WARNING}"
        state = f"max({self._last(c.DRIFT_STATE, prediction, 'state=' + _quoted('ok'))}) == 1"
        fine = given(state, "predictions within tolerance", "predictions not scored")
        return given(severity, "predictions drifted too", fine)

    def _same_version(self) -> str:
        """Nothing is said of a version that is younger than a day, or not known to be older."""
        before = f"last_over_time({c.MODEL_INFO.name}{{<model>}}[{prometheus_duration(self._timing.bridge)}] offset 1d)"
        return given(before, "no model version change in 24 h, so upstream: ")


_EMPTY = '""'
_THE_DISTANCE = f"{c.METHOD}={_EMPTY}"
"""By a further method a score is on another scale."""
_WHOLE = (f"feature={_EMPTY}", f"segment={_EMPTY}")
_SAMPLES = ("current", "reference")


def _by_segment(segment: str, whole: str) -> str:
    return f"{{{{ if $labels.segment }}}}{segment}{{{{ else }}}}{whole}{{{{ end }}}}"


def _quoted(value: str) -> str:
    return f'"{value}"'


def _worst(then: str, otherwise: str = "") -> str:
    """Return text about the worst features, which are the dot in it: by their shares, and by name where none has one.

    Without that, a message of a model whose drift is held would be another one at each evaluation.
    """
    by_name = f"{{{{ if not ({fetch(_RANKED)}) }}}}{{{{ $worst = $worst | sortByLabel `{c.FEATURE}` }}}}{{{{ end }}}}"
    other = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f"{{{{ $worst := {fetch(_WORST_FEATURES)} }}}}{by_name}{{{{ with $worst }}}}{then}{other}{{{{ end }}}}"


def _names(at_most: int = MAX_FEATURES) -> str:
    """Return names of features, from an answer that is the dot."""
    some = "{{ if $i }}, {{ end }}{{ $one.Labels.feature }}"
    if at_most < MAX_FEATURES:
        some = f"{{{{ if lt $i {at_most} }}}}{some}{{{{ end }}}}"
    return f"{{{{ range $i, $one := . }}}}{some}{{{{ end }}}}"
