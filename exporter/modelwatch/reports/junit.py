"""A check as JUnit XML, which every build server shows: a test case for each feature."""

from __future__ import annotations

from xml.etree import ElementTree

from modelwatch.reports.content import Content, Entry, visible

__all__ = ["junit_report"]

NOT_SCORED = frozenset({"insufficient_data", "no_reference", "warming_up", "learning"})


def junit_report(content: Content) -> str:
    """Return a check as JUnit XML.

    Parameters
    ----------
    content : Content
        What the report says. What is at its ``min_severity`` or above has failed, what could not be scored is skipped.

    Returns
    -------
    str
        A ``testsuites`` document with a suite for each kind of drift.
    """
    root = ElementTree.Element("testsuites", name="modelwatch drift")
    for kind, family in content.families:
        entries = [entry for entry in content.entries if entry.drift_type == kind]
        # A kind of drift that could not be scored is no reason to say nothing.
        cases = [_case(content, entry) for entry in entries] or [_unscored(content, kind, family.reason)]
        failed = sum(case.find("failure") is not None for case in cases)
        skipped = sum(case.find("skipped") is not None for case in cases)
        suite = ElementTree.SubElement(
            root, "testsuite", name=f"{kind} drift", tests=str(len(cases)), failures=str(failed), errors="0",
            skipped=str(skipped),
        )  # fmt: skip
        suite.extend(cases)
        if family.reason:
            ElementTree.SubElement(suite, "system-out").text = visible(family.reason)
    for attribute in ("tests", "failures", "errors", "skipped"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _class(content: Content, kind: str) -> str:
    return visible(f"{content.model_id or 'drift'}.{kind}")


def _case(content: Content, entry: Entry) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=visible(entry.name), classname=_class(content, entry.drift_type))
    if entry.severity >= content.min_severity:
        words = visible(entry.words or entry.measured or entry.state)
        failure = ElementTree.SubElement(case, "failure", type=entry.severity.label, message=words)
        failure.text = "\n".join(visible(line) for line in (entry.words, entry.measured) if line)
    elif "score" not in entry.found and entry.state in NOT_SCORED:
        ElementTree.SubElement(case, "skipped", message=entry.state)
    if entry.measured:
        ElementTree.SubElement(case, "system-out").text = entry.measured
    return case


def _unscored(content: Content, kind: str, reason: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=kind, classname=_class(content, kind))
    ElementTree.SubElement(case, "skipped", message=visible(reason or "nothing to score"))
    return case
