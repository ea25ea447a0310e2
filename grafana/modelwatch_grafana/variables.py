"""The variables at the top of a dashboard: what is looked at."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import DATASOURCE, Json
from modelwatch_grafana.promql import TARGET_MATCHERS, quoted, select

__all__ = ["fleet_variables", "model_variables"]

ON_TIME_RANGE_CHANGE = 2
ALPHABETICAL, NUMERICAL = 1, 3
DEFAULT_WINDOW = "1h"


def model_variables() -> list[Json]:
    """Return the variables of the model dashboard; each comes after those that its query uses."""
    of_model = f'{c.MODEL_ID}="$model_id",{c.MODEL_VERSION}=~"$model_version"'
    return [
        _datasource(),
        _query("model_id", "Model", f"label_values({c.MODEL_INFO.name}{{{TARGET_MATCHERS}}}, {c.MODEL_ID})"),
        _query(
            "model_version",
            "Version",
            f'label_values({c.MODEL_INFO.name}{{{TARGET_MATCHERS},{c.MODEL_ID}="$model_id"}}, {c.MODEL_VERSION})',
            # A model without a version has an empty label, which `.+` would not match.
            all_value=".*",
        ),
        _query(
            "segment",
            "Segment",
            f"label_values({c.FEATURE_MISSING.name}{{{TARGET_MATCHERS},{of_model}}}, {c.SEGMENT})",
            # The whole model has an empty label.
            all_value=".*",
        ),
        _query("window", "Window", f"query_result({_windows()})", regex='/window="([^"]+)"/', sort=NUMERICAL),
        _query(
            "drift_type",
            "Drift type",
            f"label_values({select(c.DRIFT_STATE)}, {c.DRIFT_TYPE})",
            all_value=".+",
        ),
        _query("profile", "Reference profile", f"label_values({select(c.MODEL_INFO)}, {c.PROFILE})"),
        _query(
            "feature",
            "Feature",
            f"label_values({select(c.FEATURE_MISSING, profile=quoted('$profile'))}, {c.FEATURE})",
        ),
        *_targets(),
    ]


def fleet_variables() -> list[Json]:
    """Return the variables of dashboards about many models."""
    models = f"label_values({c.MODEL_INFO.name}{{{TARGET_MATCHERS}}}, {c.MODEL_ID})"
    # What is no model's (a fault of a process) has no model_id, and belongs to all of them.
    return [_datasource(), _query("model_id", "Model", models, all_value=".*"), *_targets()]


def _targets() -> list[Json]:
    instances = f'label_values({c.BUILD_INFO.name}{{job=~"$job"}}, instance)'
    return [
        _query("job", "Job", f"label_values({c.BUILD_INFO.name}, job)", all_value=".+"),
        _query("instance", "Instance", instances, all_value=".+"),
    ]


def _windows() -> str:
    """Return one series per window; before the first check one of 1 h, so that a range is never empty."""
    known = f"group by ({c.WINDOW}) ({select(c.WINDOW_ROWS)})"
    return f'{known} or on () label_replace(vector(1), "{c.WINDOW}", "{DEFAULT_WINDOW}", "", "")'


def _datasource() -> Json:
    return {
        "name": "datasource",
        "type": "datasource",
        "label": "Data Source",
        "description": "The Prometheus that scrapes the models",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def _query(
    name: str, label: str, query: str, *, all_value: str | None = None, regex: str = "", sort: int = ALPHABETICAL
) -> Json:
    """Return a variable with the values that a query finds; with `all_value`, several can be chosen, and all are."""
    several = all_value is not None
    return {
        "name": name,
        "type": "query",
        "label": label,
        "datasource": dict(DATASOURCE),
        "definition": query,
        "query": query,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]} if several else {},
        "hide": 0,
        "includeAll": several,
        **({"allValue": all_value} if several else {}),
        "multi": several,
        "options": [],
        "refresh": ON_TIME_RANGE_CHANGE,
        "regex": regex,
        "skipUrlSync": False,
        "sort": sort,
    }
