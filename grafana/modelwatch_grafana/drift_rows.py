"""Panels about drift: scores, the features behind them, and distributions against the reference."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_grafana.elements import Column, Json, Label, Panel, Query
from modelwatch_grafana.panels import bar_chart, state_timeline, timeseries
from modelwatch_grafana.promql import bridged_while_down, quoted, rate, select, share_by_bin, share_by_category
from modelwatch_grafana.tables import cells, table
from modelwatch_grafana.words import NO_REFERENCE, NOISY, NOISY_STEPS, SEVERITIES, SEVERITY_STEPS, background

__all__ = ["drift", "input_quality", "predictions_against_reference", "reference_against_current"]

MAX_TABLE_ROWS = 15
NOTHING_SCORED = "nothing scored in this window: see the state of the checks"
CHOSEN_TYPE = '=~"$drift_type"'
CHOSEN_WINDOW = '="$window"'
CHOSEN_PROFILE = '="$profile"'
CHOSEN_FEATURE = '="$feature"'
A_FEATURE = '!=""'
ANY_SEGMENT = '=~".*"'
THE_PREDICTION = '=""'
THE_DISTANCE = '=""'
"""The score that has a tolerance, and none by a further method, which is on another scale."""


def drift(uid: str) -> tuple[Panel, ...]:
    """Return scores over time, the features now, since when which have drifted, what is tolerated; and pairs."""
    return _drift_scores(), _top_features(uid), _drifted_features(), _tolerances(), _pairs()


def _drift_scores() -> Panel:
    by = f"{c.DRIFT_TYPE}, {c.FEATURE}"
    chosen = {"drift_type": CHOSEN_TYPE, "window": CHOSEN_WINDOW}
    return timeseries(
        "Drift by feature, $window window",
        "Debiased Jensen-Shannon distance from the reference, 0 to 1, with the lowest warning tolerance; that of each "
        "feature stands in the table below. A distance above it alarms only if it is also not chance. No line: the "
        "feature could not be scored.",
        [
            Query(
                f"max by ({by}) ({select(c.DRIFT_SCORE, **chosen, method=THE_DISTANCE)})", "{{drift_type}} {{feature}}"
            ),
            Query(
                f"min by ({c.DRIFT_TYPE}) ({select(c.DRIFT_THRESHOLD, **chosen, method=THE_DISTANCE)})",
                "{{drift_type}} lowest tolerance",
                limit=True,
            ),
        ],
        unit="none",
        no_value=NOTHING_SCORED,
        height=10,
        legend_values=True,
    )


def _top_features(uid: str) -> Panel:
    def worst(metric: c.Metric, **matchers: str) -> Query:
        selector = select(metric, **({"feature": A_FEATURE} | matchers))
        return cells(f"max by ({c.FEATURE}) ({bridged_while_down(selector)})")

    of_kind = {"drift_type": CHOSEN_TYPE}
    scored = {**of_kind, "window": CHOSEN_WINDOW}
    return table(
        "Features now, furthest from the reference first",
        "Score and tolerance in the chosen window. Shift of the mean, missing, novel (unseen or out of range) and part "
        "of the drift are of the window where the feature is worst, and only of features at info or above. "
        "Click a feature to see its distribution below.",
        [
            # A held feature has a severity and no score; nothing has a score and no severity.
            Column("Severity", worst(c.DRIFT_SEVERITY, **of_kind), properties=background(SEVERITIES, SEVERITY_STEPS)),
            Column("Score", worst(c.DRIFT_SCORE, **scored, method=THE_DISTANCE)),
            Column("Tolerance", worst(c.DRIFT_THRESHOLD, **scored, method=THE_DISTANCE)),
            Column("Shift (sd)", worst(c.FEATURE_SHIFT_SD)),
            Column("Missing", worst(c.FEATURE_MISSING_RATIO), unit="percentunit"),
            Column("Novel", worst(c.FEATURE_NOVEL_RATIO), unit="percentunit"),
            Column("Of the drift", worst(c.DRIFT_ATTRIBUTION), unit="percentunit"),
        ],
        key=c.FEATURE,
        labels=[Label(c.FEATURE, "Feature", ({"id": "links", "value": [_choose_feature(uid)]},))],
        sort="Score",
        limit=MAX_TABLE_ROWS,
        no_value=NOTHING_SCORED,
    )


def _tolerances() -> Panel:
    def of(metric: c.Metric, **matchers: str) -> Query:
        selector = select(metric, **({"feature": A_FEATURE} | matchers))
        return cells(f"max by ({c.FEATURE}) ({bridged_while_down(selector)})")

    scored = {"drift_type": CHOSEN_TYPE, "window": CHOSEN_WINDOW, "method": THE_DISTANCE}
    return table(
        "Tolerance by feature, $window window",
        "The distance from which a feature is a warning, widest first: 0.05, or four times its own normal variation, "
        "whichever is larger. Of a feature whose shape varies too much by itself, the mean is watched instead where "
        "that varies less, as in a week; and missing and novel values.",
        [
            Column("Tolerance", of(c.DRIFT_THRESHOLD, **scored)),
            Column("Score", of(c.DRIFT_SCORE, **scored)),
            Column("Shape", of(c.FEATURE_NOISY), properties=background(NOISY, NOISY_STEPS)),
        ],
        key=c.FEATURE,
        labels=[Label(c.FEATURE, "Feature")],
        sort="Tolerance",
        limit=MAX_TABLE_ROWS,
        no_value=NOTHING_SCORED,
        height=8,
    )


def _choose_feature(uid: str) -> Json:
    kept = (
        "datasource", "model_id", "model_version", "segment", "window", "drift_type", "profile", "job", "instance",
    )  # fmt: skip
    variables = "&".join(f"${{{name}:queryparam}}" for name in kept)
    return {
        "title": "Its distribution",
        "url": f"/d/{uid}?${{__url_time_range}}&{variables}&var-feature=${{__value.raw:percentencode}}",
        "targetBlank": False,
    }


def _drifted_features() -> Panel:
    least = int(Severity.WARNING)
    selector = select(c.DRIFT_SEVERITY, feature=A_FEATURE, drift_type=CHOSEN_TYPE)
    return state_timeline(
        "Features at warning or above",
        "Since when each feature has drifted. Features that never did in this time range are left out.",
        [Query(f"max by ({c.FEATURE}) ({selector}) >= {least}", "{{feature}}")],
        no_value="no input has drifted in this time range",
        mappings=[SEVERITIES],
        steps=SEVERITY_STEPS,
        height=8,
    )


def _pairs() -> Panel:
    by = f"{c.FEATURE}, {c.OTHER_FEATURE}"
    names = "{{feature}} and {{other}}"

    def correlation(sample: str) -> str:
        return f"max by ({by}) ({select(c.FEATURE_CORRELATION, window=CHOSEN_WINDOW, sample=quoted(sample))})"

    return timeseries(
        "Pairs of features that no longer go together",
        "Correlation now and, dashed, in the reference, of the five pairs that changed most in the chosen window. No "
        "line: features go together as they did there, or could not be compared.",
        [
            Query(correlation("current"), names),
            Query(correlation("reference"), f"{names}, reference", limit=True),
        ],
        unit="none",
        no_value="no pair of inputs has changed in this window",
        height=8,
        legend_values=True,
    )


# ── distributions ────────────────────────────────────────────────────────────────────────────────────────────────


def _bins(title: str, description: str, no_value: str, shares: tuple[str, str]) -> Panel:
    """Return bars by bin: buckets apart (heatmap format), as rows with their labels, then one column per sample."""
    return bar_chart(
        title,
        description,
        [Query(expr, "{{le}}", instant=True, format="heatmap") for expr in shares],
        unit="percentunit",
        no_value=no_value,
        transformations=[
            {"id": "reduce", "options": {"mode": "seriesToRows", "reducers": ["lastNotNull"], "labelsToFields": True}},
            {
                "id": "groupingToMatrix",
                "options": {
                    "columnField": "sample",
                    "rowField": "le",
                    "valueField": "Last *",
                    "emptyValue": "null",
                },
            },
        ],
        axis="le\\sample",
    )


def _categories(title: str, description: str, no_value: str, shares: tuple[str, str]) -> Panel:
    """Return bars by category, the most frequent of the reference first."""
    names = {"Value #A": "current", "Value #B": "reference"}
    return bar_chart(
        title,
        description,
        [
            Query(expr, sample, instant=True, format="table")
            for expr, sample in zip(shares, names.values(), strict=True)
        ],
        unit="percentunit",
        no_value=no_value,
        transformations=[
            {"id": "joinByField", "options": {"byField": "category", "mode": "outer"}},
            {"id": "filterFieldsByName", "options": {"include": {"names": ["category", *names]}}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {},
                    "indexByName": {name: i for i, name in enumerate(["category", *names])},
                    "renameByName": names,
                },
            },
            {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "reference", "desc": True}]}},
        ],
        axis="category",
    )


def reference_against_current() -> tuple[Panel, ...]:
    """Return the chosen feature as a number and as a category; one of the two says that it is the other."""
    chosen = {"profile": CHOSEN_PROFILE, "feature": CHOSEN_FEATURE}
    return (
        _bins(
            "$feature, as a number",
            "Share of the values in each bin of the reference profile, by the bin's upper bound: now and in the "
            "reference. Values outside the reference range are not in it; see the last panels for those.",
            "not a numeric input, no values in this window, or no reference: see the state of the checks",
            share_by_bin(c.FEATURE_VALUE, c.FEATURE_REFERENCE, **chosen),
        ),
        _categories(
            "$feature, as a category",
            f"Share of each category, now and in the reference. {c.UNSEEN} are values that the reference never saw, "
            f"{c.OTHER} its rarer ones.",
            "not a categorical input, no values in this window, or no reference: see the state of the checks",
            share_by_category(**chosen),
        ),
    )


def predictions_against_reference() -> tuple[Panel, ...]:
    """Return the predictions as numbers and as labels."""
    return (
        _bins(
            "Predicted values",
            "Share of the predicted values, or of the scores of predicted classes, in each bin of the reference "
            "profile, by the bin's upper bound.",
            "predicts labels without scores, nothing in this window, or no reference predictions in the profile",
            share_by_bin(c.PREDICTION_VALUE, c.PREDICTION_REFERENCE, profile=CHOSEN_PROFILE),
        ),
        _categories(
            "Predicted labels",
            "Share of each predicted label, now and in the reference.",
            "predicts numbers, nothing in this window, or no reference predictions in the profile",
            share_by_category(profile=CHOSEN_PROFILE, feature=THE_PREDICTION),
        ),
    )


def input_quality() -> tuple[Panel, ...]:
    """Return shares of rows over time that are missing, out of range or novel, by feature; of all segments together."""
    by = f"{c.MODEL_VERSION}, {c.FEATURE}"
    of_all = f" / on ({c.MODEL_VERSION}) group_left () ({rate(c.SAMPLED_PREDICTIONS, c.MODEL_VERSION)} > 0)"
    legend = "{{feature}} {{model_version}}"
    # Rows are not counted by segment, so a segment's share of all rows would look like a share of its own.
    of = {"feature": A_FEATURE, "segment": ANY_SEGMENT}
    missing = f"({rate(c.FEATURE_MISSING, by, **of)} + {rate(c.FEATURE_INVALID, by, **of)})"
    outside = rate(c.FEATURE_OUT_OF_RANGE, by, **of)
    unseen = rate(c.FEATURE_CATEGORY, by, category=quoted(c.UNSEEN), **of)
    panels = (
        (
            "Missing or unreadable",
            "Share of rows where the feature is None or NaN, or can't be read as the feature's kind. All segments.",
            missing,
            NO_REFERENCE,
        ),
        (
            "Out of range",
            "Share of rows with a number below or above everything in the reference. All segments.",
            outside,
            "no numeric input, or no reference",
        ),
        (
            "Unseen categories",
            "Share of rows with a category that the reference never saw. All segments.",
            unseen,
            "no categorical input, or no reference",
        ),
    )
    return tuple(
        timeseries(
            title, description, [Query(count + of_all, legend)], unit="percentunit", no_value=empty, width=8,
            height=10, legend_values=True,
        )
        for title, description, count, empty in panels
    )  # fmt: skip
