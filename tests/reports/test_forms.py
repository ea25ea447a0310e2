"""The forms of a report: the same facts in each, fit for where they go, whatever features are called."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from modelwatch import compare
from modelwatch.reports import Comparison, html_fragment, html_page, junit_report, text_report


@pytest.fixture(scope="module")
def found(before: dict[str, Any], drifted: dict[str, Any]) -> Comparison:
    rng = np.random.default_rng(2)
    return compare(
        before,
        drifted,
        predictions=(rng.beta(2, 5, 6000), rng.beta(2, 5, 3000)),
        model_id="ads <script>alert(1)</script>",
    )


@pytest.fixture(scope="module")
def clean(before: dict[str, Any]) -> Comparison:
    return compare(before, before)


DRIFTED = {"fare", "<b>carrier</b>", "age"}


class Page(HTMLParser):
    """What a browser would load, run and draw."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag == "meta" else [tag]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "div", "h1", "h2", "h3", "b", "i", "p", "span", "ul", "li", "svg",
    "path", "text", "rect",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "class", "viewbox", "role", "aria-label", "d", "x", "y", "text-anchor",
    "width", "height",
}  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
def test_html_holds_only_elements_of_ours_well_nested_and_hostile_names_as_text(found: Comparison, whole: bool) -> None:
    page = Page(html_page(found.content) if whole else html_fragment(found.content))
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= ELEMENTS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    for name in found.profile.feature_names:
        assert name in page.texts


@pytest.mark.parametrize("whole", [True, False])
def test_html_loads_nothing_from_anywhere(found: Comparison, whole: bool) -> None:
    text = html_page(found.content) if whole else html_fragment(found.content)
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style
    assert not {"script", "link", "img", "iframe", "object", "embed", "a", "base"} & {t for t, _ in Page(text).tags}


def test_the_style_of_a_fragment_touches_nothing_else_on_the_page(found: Comparison) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", html_fragment(found.content), re.DOTALL)
    selectors = re.findall(r"(?:^|[}{,])\s*([^{},@;]+?)\s*(?=[{,])", re.sub(r"\([^)]*\)|:\s*[^;{}]+;", "", style))
    assert len(selectors) > 20
    assert all(selector.startswith(".mw") for selector in selectors)


def test_html_fits_both_light_and_dark_screens(found: Comparison) -> None:
    assert html_page(found.content).count("prefers-color-scheme: dark") == 2


def test_html_draws_each_feature_and_the_reference_under_what_is_compared(found: Comparison) -> None:
    tags = Page(html_page(found.content)).tags
    drawn = len(found.profile.layout.members)
    assert [tag for tag, _ in tags].count("svg") == drawn
    classes = [attributes.get("class") for tag, attributes in tags if tag == "path"]
    assert classes.count("before") == classes.count("now") == drawn


def test_a_page_of_a_hundred_features_is_small() -> None:
    rng = np.random.default_rng(3)
    many = {f"feature {i}": rng.normal(size=2000) for i in range(100)}
    drifted = compare(many, {name: column + 1.0 for name, column in many.items()})
    assert len(drifted.drifted_features) == 100
    assert len(drifted.to_html().encode()) < 300_000
    assert len(html_page(compare(many, many).content).encode()) < 200_000


def test_control_characters_are_written_out(found: Comparison) -> None:
    """They may come with a profile of anybody's making."""
    hostile = "a\x00\x1b[31m\u202eb"
    entry = replace(
        found.content.entries[0], name=hostile, found={"severity": "error", "state": "drift", "change": hostile}
    )
    content = replace(found.content, model_id=hostile, summary=hostile, notes=(hostile,), entries=(entry,))
    for text in (text_report(content), html_page(content), junit_report(content)):
        assert r"a\x00\x1b[31m\u202eb" in text
        assert not set("\x00\x1b\u202e") & set(text)
    assert ElementTree.fromstring(junit_report(content)).get("failures") == "1"


def test_junit_has_a_case_for_each_feature_and_a_failure_for_each_that_drifted(found: Comparison) -> None:
    root = ElementTree.fromstring(junit_report(found.content))
    assert root.tag == "testsuites"
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["data drift", "prediction drift", "multivariate drift"]
    cases = {case.get("name"): case for case in suites["data drift"].findall("testcase")}
    assert set(cases) == set(found.profile.feature_names)
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == DRIFTED
    failure = cases["age"].find("failure")
    assert failure is not None
    assert failure.get("type") in {"warning", "error", "critical"}
    assert "missing" in (failure.get("message") or "")
    for suite in (*root, root):
        below = suite.iter("testcase")
        counted = [(case.find("failure") is not None, case.find("skipped") is not None) for case in below]
        assert int(suite.get("tests") or -1) == len(counted)
        assert int(suite.get("failures") or -1) == sum(failure for failure, _ in counted)
        assert int(suite.get("skipped") or -1) == sum(skipped for _, skipped in counted)
        assert suite.get("errors") == "0"


def test_junit_skips_what_could_not_be_scored(before: dict[str, Any]) -> None:
    few = {name: column[:20] for name, column in before.items()}
    root = ElementTree.fromstring(junit_report(compare(before, few).content))
    assert root.get("failures") == "0"
    assert root.get("skipped") == root.get("tests")
    assert int(root.get("tests") or 0) > 0


def test_json_says_what_monitor_model_drift_says_and_more(found: Comparison) -> None:
    told = json.loads(found.to_json())
    assert told == found.to_dict()
    assert (told["drift_detected"], told["found"], told["drift_types"]) == (True, True, ["data"])
    assert set(told["top_features"]) == DRIFTED
    assert told["rows"] == 3000.0
    assert told["reference_rows"] == 6000.0
    assert told["details"]["data"]["features"]["age"]["test"] == "missing"


def test_text_says_what_moved_and_how(found: Comparison) -> None:
    text = text_report(found.content)
    assert text.splitlines()[0].startswith("DRIFT (error) · ads <script>alert(1)</script>: 3 of 10 inputs drifted")
    assert "unseen values" in text
    assert "missing (was " in text
    assert "reference " in text
    assert str(found) == text == repr(found)


def test_text_of_no_drift_is_short(clean: Comparison) -> None:
    lines = str(clean).splitlines()
    assert lines[0].startswith("no drift: 10 inputs within tolerance")
    assert len(lines) == 2


def test_the_same_tables_give_the_same_reports(before: dict[str, Any], drifted: dict[str, Any]) -> None:
    one, two = (compare(before, drifted) for _ in range(2))
    for form in (str, Comparison.to_json, Comparison.to_html, Comparison.to_junit):
        assert form(one) == form(two)
