"""Drift checks, scheduled and asked for: windows in, a result out."""

from modelwatch.checks.asked import ABSENT, UNLIKE, asked_batch, asked_check, counted_check
from modelwatch.checks.common import NO_REFERENCE, Absence, only
from modelwatch.checks.scheduled import scheduled_check, scheduled_checks
from modelwatch.drift.report import drift_report, family_report

__all__ = [
    "ABSENT",
    "NO_REFERENCE",
    "UNLIKE",
    "Absence",
    "asked_batch",
    "asked_check",
    "counted_check",
    "drift_report",
    "family_report",
    "only",
    "scheduled_check",
    "scheduled_checks",
]
