"""Prometheus: does it scrape us, does it evaluate our rules as they would be generated now, and whom does it tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelwatch import conventions as c
from modelwatch.cli.checkups.endpoints import shown
from modelwatch.cli.checkups.finding import TIMEOUT, Finding, Patient, ago, ok, problem, skipped
from modelwatch.cli.tables import listed
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.fetch import get_json
from modelwatch.store.alerts import epoch_seconds

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

__all__ = ["DEFAULT_PROMETHEUS", "ask", "compare_rules", "look_at_prometheus"]

DEFAULT_PROMETHEUS = "http://localhost:9090"
STALE_RULES = 120.0
"""Seconds after which rules that were not evaluated again count as stuck, or three times their interval."""
_PROMETHEUS = "Prometheus"
_GENERATE = "modelwatch rules generate"
_LOAD_FIX = f"{_GENERATE}, name the file in rule_files of prometheus.yml, and reload Prometheus"
_SCRAPE_FIX = f"{_GENERATE} --scrape app=HOST:PORT --scrape sidecar=HOST:PORT, and take its scrape_configs over"
_FRACTION = re.compile(r"(\.\d{1,6})\d*")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{},]|[^\s(){},"]+')
"""Texts, what parts matchers, and all else but white space and parentheses."""
_TWICE = (
    f"count by (storage) (max by (storage, job, instance) ({c.STORAGE_INFO.name})"
    f" and on (job, instance) {c.PREDICTIONS.name}) > 1"
)

Rule = tuple[str, str, tuple[tuple[str, str], ...], float, str]
"""Group, name, labels, how long it must hold, expression without white space and parentheses."""


def look_at_prometheus(patient: Patient) -> list[Finding]:
    """Return whether Prometheus watches us."""
    if patient.unwatched and patient.prometheus is None:
        return [skipped(_PROMETHEUS, f"{patient.unwatched} (--prometheus URL looks)")]
    url = patient.prometheus or DEFAULT_PROMETHEUS
    try:
        version = ask(url, "/api/v1/status/buildinfo")["version"]
    except (NotifyError, KeyError, TypeError) as error:
        said = str(error) if isinstance(error, NotifyError) else "another program answers"
        so = "" if patient.unwatched else "; nobody will be alerted"
        return [problem(_PROMETHEUS, f"{shown(url)}: {said}{so}", "start it, or give --prometheus URL")]
    found = [ok(_PROMETHEUS, f"{shown(url)}, version {version}")]
    for part, look in (("scrapes", _scrapes), ("rules", _rules), ("alertmanagers", _alertmanagers)):
        try:
            found += look(patient, url)
        except NotifyError as error:
            found.append(problem(part, str(error), "modelwatch doctor, once Prometheus answers"))
    return found


def ask(url: str, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
    """Return the data of an answer of Prometheus' API.

    Raises
    ------
    NotifyError
        If it does not answer so.
    """
    answer = get_json(url.rstrip("/") + path, what=_PROMETHEUS, timeout=TIMEOUT, query=query or None)
    if not isinstance(answer, Mapping) or answer.get("status") != "success":
        raise NotifyError("another program than Prometheus answers there")
    return answer["data"]


# ── scrapes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _scrapes(patient: Patient, url: str) -> Iterator[Finding]:
    from modelwatch_rules.scraping import JOBS

    shows_us = {
        (series["metric"].get("job"), series["metric"].get("instance"))
        for series in ask(url, "/api/v1/query", query=f"group by (job, instance) ({c.BUILD_INFO.name})")["result"]
    }
    targets = [
        target
        for target in ask(url, "/api/v1/targets", state="active")["activeTargets"]
        if _of(target) in shows_us or target["labels"].get("job") in JOBS.values()
    ]
    if not targets:
        yield problem("scrapes", "NEVER: no target of modelwatch; nobody will be alerted", _SCRAPE_FIX)
        return
    for target in targets:
        job, instance = _of(target)
        if target["health"] == "down":
            reason = str(target.get("lastError") or "it does not answer")[:200]
            yield problem("scrapes", f"{job} {instance} is down: {reason}", f"start it there, or: {_SCRAPE_FIX}")
        elif target["health"] != "up":
            yield problem("scrapes", f"{job} {instance}: not scraped yet", "wait a scrape interval: modelwatch doctor")
        else:
            yield ok("scrapes", f"{job} {instance}: last scraped {ago(patient.now - _moment(target['lastScrape']))}")
    yield from _storages(patient, url)


def _of(target: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return target["labels"].get("job"), target["labels"].get("instance")


def _storages(patient: Patient, url: str) -> Iterator[Finding]:
    found = ask(url, "/api/v1/query", query=f"group by (storage) ({c.STORAGE_INFO.name})")["result"]
    storages = {series["metric"].get("storage") for series in found}
    if patient.facts is not None and storages and patient.facts.storage_id not in storages:
        yield problem(
            "scrapes", f"Prometheus knows modelwatch, but not the storage {patient.folder}",
            f"scrape who uses it, too: {_SCRAPE_FIX}",
        )  # fmt: skip
    if ask(url, "/api/v1/query", query=_TWICE)["result"]:
        yield problem(
            "exposed twice", "recordings of one storage come from two targets: all is counted double",
            "start the sidecar without --expose-recordings, and scrape each application once",
        )  # fmt: skip
    elif storages:
        yield ok("exposed twice", "no: one target for each storage")


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rules(patient: Patient, url: str) -> Iterator[Finding]:
    from modelwatch_rules.groups import rule_groups
    from modelwatch_rules.timing import PRODUCTION

    names = {group.name for group in rule_groups(patient.config, PRODUCTION)}
    groups = [group for group in ask(url, "/api/v1/rules")["groups"] if group["name"] in names]
    missing = sorted(names - {group["name"] for group in groups})
    if patient.direct:
        if groups:
            yield problem(
                "rules", "our rules are loaded, and modelwatch tells by itself too: people are told twice",
                "write alerting: {mode: prometheus}, or take the rules out of Prometheus",
            )  # fmt: skip
        return
    if missing:
        which = "none of our rules are" if not groups else f"{listed(missing, 3)} not"
        yield problem("rules", f"{which} loaded: nobody will be alerted", _LOAD_FIX)
        return
    sick = [
        (rule["name"], rule.get("lastError") or rule["health"])
        for g in groups
        for rule in g["rules"]
        if rule["health"] == "err"
    ]
    if sick:
        name, reason = sick[0]
        yield problem("rules", f"{len(sick)} fail, such as {name}: {str(reason)[:200]}", _LOAD_FIX)
        return
    yield _as_generated(patient, groups)
    yield from _evaluated(patient, groups)


def _as_generated(patient: Patient, groups: list[Mapping[str, Any]]) -> Finding:
    count = sum(len(group["rules"]) for group in groups)
    if not patient.configured:
        return ok(
            "rules", f"{count} in {len(groups)} groups; not compared, as there is no configuration that can be read"
        )
    timing, differing = compare_rules(patient.config, groups)
    if differing:
        words = f"loaded, but {len(differing)} differ from this configuration: {listed(differing, 3)}"
        return problem("rules", words, f"{_GENERATE}, and reload Prometheus")
    return ok("rules", f"{count} in {len(groups)} groups, as generated from this configuration (--timing {timing})")


def compare_rules(config: MonitoringConfig, groups: list[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Compare loaded groups with what would be generated.

    Parameters
    ----------
    config
        What to generate from.
    groups
        As ``/api/v1/rules`` lists them.

    Returns
    -------
    str, list of str
        The timing that fits best, and the names of rules that differ, are missing or are too many with it.
    """
    from modelwatch_rules.timing import TIMINGS

    loaded = Counter(_loaded(groups))
    found: dict[str, list[str]] = {}
    for name, timing in TIMINGS.items():
        generated = Counter(_generated(config, timing))
        odd = (loaded - generated) + (generated - loaded)
        found[name] = list(dict.fromkeys(rule[1] for rule in odd))
    best = min(found, key=lambda name: (len(found[name]), name != "production"))
    return best, found[best]


def _loaded(groups: list[Mapping[str, Any]]) -> Iterator[Rule]:
    for group in groups:
        for rule in group["rules"]:
            labels = tuple(sorted((rule.get("labels") or {}).items()))
            yield group["name"], rule["name"], labels, float(rule.get("duration") or 0.0), _bare(rule["query"])


def _generated(config: MonitoringConfig, timing: Any) -> Iterator[Rule]:  # noqa: ANN401 - of a package not imported here
    from modelwatch.config import parse_duration
    from modelwatch_rules.groups import rule_file

    for group in rule_file(config, timing)["groups"]:
        for rule in group["rules"]:
            labels = tuple(sorted((rule.get("labels") or {}).items()))
            held = parse_duration(rule["for"], default_unit=None) if "for" in rule else 0.0
            yield group["name"], rule.get("alert") or rule["record"], labels, held, _bare(rule["expr"])


def _bare(expression: str) -> str:
    r"""Return an expression in a form of its own, as Prometheus writes white space, parentheses and matchers anew.

    >>> _bare('sum by (a) (\n  x{c="( ,", b!="}"}\n)')
    'sumbyax{b!="}",c="( ,"}'
    """
    out: list[str] = []
    matchers: list[str] | None = None
    for part in _TOKENS.findall(expression):
        if part == "{":
            matchers = [""]
        elif matchers is None:
            out.append(part)
        elif part == ",":
            matchers.append("")
        elif part == "}":
            out.append("{" + ",".join(sorted(matchers)) + "}")
            matchers = None
        else:
            matchers[-1] += part
    return "".join(out)


def _evaluated(patient: Patient, groups: list[Mapping[str, Any]]) -> Iterator[Finding]:
    stuck = [
        group["name"]
        for group in groups
        if patient.now - _moment(group["lastEvaluation"]) > max(STALE_RULES, 3 * float(group["interval"]))
    ]
    if stuck:
        yield problem(
            "evaluation", f"not evaluated any more: {listed(stuck, 3)}", "see Prometheus' log: it is overloaded"
        )
    elif groups:
        oldest = min(_moment(group["lastEvaluation"]) for group in groups)
        yield ok("evaluation", f"all groups within {max(patient.now - oldest, 0.0):.0f} s")


def _alertmanagers(patient: Patient, url: str) -> Iterator[Finding]:
    if patient.direct:
        return
    active = ask(url, "/api/v1/alertmanagers")["activeAlertmanagers"]
    if not active:
        yield problem(
            "alertmanagers", "Prometheus knows none: nobody will be alerted", f"{_GENERATE} --alertmanager HOST:PORT"
        )
        return
    yield ok("alertmanagers", f"Prometheus tells {listed([shown(one['url']) for one in active], 3)}")


def _moment(text: str) -> float:
    """Return a time of Prometheus, which has nanoseconds, in seconds since the epoch."""
    return epoch_seconds(_FRACTION.sub(r"\1", text).replace("Z", "+00:00"))
