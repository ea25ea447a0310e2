"""A check as somebody reads it: text, JSON, JUnit for a build, HTML that needs nothing else, and :func:`compare`."""

from modelwatch.reports.backtesting import backtest_html, backtest_json, backtest_text
from modelwatch.reports.comparison import NAMELESS, Comparison, compare, comparison_of
from modelwatch.reports.content import Content, content_of
from modelwatch.reports.html import html_fragment, html_page
from modelwatch.reports.junit import junit_report
from modelwatch.reports.plain import json_report, text_report

__all__ = [
    "NAMELESS",
    "Comparison",
    "Content",
    "backtest_html",
    "backtest_json",
    "backtest_text",
    "compare",
    "comparison_of",
    "content_of",
    "html_fragment",
    "html_page",
    "json_report",
    "junit_report",
    "text_report",
]
