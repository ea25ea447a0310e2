"""A backtest as text and as a page: when, why, and the YAML, whatever features are called."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta, timezone
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from modelwatch.checks.backtest import Backtest, Episode, Suggestion, Timeline
from modelwatch.policy import Severity
from modelwatch.reports import backtest_html, backtest_text
from modelwatch.reports.backtesting import tolerance_yaml
from modelwatch.reports.timeline import COLUMNS, MOST_ROWS, blocks, drawing

UTC = timezone.utc
HOSTILE = "<script>alert('{{ 7*7 }}')</script>\u202e: # - |"


def found(names: tuple[str, ...] = (HOSTILE,), checks: int = 300) -> Backtest:
    severity = np.zeros((len(names), checks), dtype=np.int64)
    severity[:, 100:110] = 2
    severity[:, 105] = 4
    times = np.linspace(0.0, (checks - 1) * 3600.0, checks)
    episode = Episode("data", times[100], times[110], 10, Severity.ERROR, names, "24h", f"{names[0]}: mean +1.2 sd")
    return Backtest(
        model_id=HOSTILE, model_version="2", profile="12345678", calibrated=True, interval=3600.0, checks=checks,
        scored=checks - 24, rows=1234567.0, reason="needs 24 h", episodes=(episode,),
        suggestions=tuple(Suggestion(name, "data", 10, 0.12) for name in names), tolerance=dict.fromkeys(names, 0.12),
        silent=True, fixed=False, unseen="", timeline=Timeline(times, names, severity),
    )  # fmt: skip


def test_a_short_alarm_is_seen_in_a_long_time() -> None:
    timeline = found(("fare",), 5000).timeline
    line = blocks(timeline, UTC, 20)[0]
    assert len(line.split()[1]) == COLUMNS
    assert line.count("█") == 1
    svg = ElementTree.fromstring(drawing(timeline, UTC))
    assert [float(rect.get("width") or 0) >= 1.0 for rect in svg.iter("rect")] == [True] * 3


def test_each_column_holds_the_worst_of_its_checks() -> None:
    severity = np.zeros((1, 100), dtype=np.int64)
    severity[0, [0, 99]] = 3
    line = blocks(Timeline(np.arange(100.0), ("fare",), severity), UTC, 20)[0]
    assert line.split()[1] == "▒" + "·" * (COLUMNS - 2) + "▒"


def test_of_many_features_the_first_are_drawn_and_the_others_counted() -> None:
    names = tuple(f"feature {i}" for i in range(MOST_ROWS + 12))
    timeline = found(names).timeline
    assert "  and 12 more" in blocks(timeline, UTC, 20)
    assert len(ElementTree.fromstring(drawing(timeline, UTC)).findall("path")) == MOST_ROWS


def test_times_are_told_in_the_zone() -> None:
    text = backtest_text(found(("fare",)), timezone(timedelta(hours=2), "CEST"))
    assert "1970-01-01 02:00 CEST to 1970-01-13 13:00 CEST" in text
    assert "1970-01-05 06:00 CEST, 10 h: fare, 24h window" in text


def test_text_says_what_was_looked_at_and_what_could_not_be() -> None:
    text = backtest_text(found(("fare",)), UTC)
    assert "1 alarm in 300 checks" in text
    assert "1 234 567 rows against profile 12345678, tolerances learnt from its days, a check every 1 h" in text
    assert "24 checks could score nothing: needs 24 h" in text


def test_hostile_names_do_no_harm_on_the_page() -> None:
    page = backtest_html(found(), UTC)
    assert "<script" not in page
    assert "49" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    ElementTree.fromstring(
        page.replace("<!doctype html>", "").replace('">\n<meta', '"/>\n<meta').replace('dark">', 'dark"/>')
    )


def test_the_yaml_says_the_same_whatever_features_are_called() -> None:
    assert yaml.safe_load(tolerance_yaml(found())) == {
        "models": [{"model_id": HOSTILE, "drift": {"tolerance": {HOSTILE: 0.12}}}]
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"silent": False}, "some alarms of features remain with it)"),
        ({"silent": False, "fixed": True}, "drift.fixed_thresholds alarm whatever is tolerated"),
        ({"suggestions": (Suggestion("fare", "data", 1, None),), "tolerance": {}}, "no tolerance would"),
        ({"suggestions": (Suggestion("prediction", "prediction", 2, 0.3),)}, "a distance of 0.30; predictions have no"),
        ({"calibrated": False}, "unless a change is gross"),
    ],
)
def test_what_can_not_be_had_is_said(changed: dict[str, object], words: str) -> None:
    told = replace(found(("fare",)), **changed)  # type: ignore[arg-type]
    assert words in backtest_text(told, UTC)


def test_an_alarm_that_is_not_over_is_told_as_such() -> None:
    one = found(("fare",))
    text = backtest_text(replace(one, episodes=(replace(one.episodes[0], end=None),)), UTC)
    assert ", 8.29 d and not over: fare" in text
