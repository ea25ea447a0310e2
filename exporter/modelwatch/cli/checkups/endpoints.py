"""Where metrics are served on this host: application and sidecar, whose storage they show, and who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from modelwatch import conventions as c
from modelwatch.cli.checkups.finding import TIMEOUT, Finding, Patient, ago, ok, problem, skipped, together
from modelwatch.collector.readers import DOCTOR
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.fetch import get_text
from modelwatch.notify.post import split_user

__all__ = ["look_at_endpoints", "shown"]

LONG_AGO = 300.0
"""Seconds without a scrape after which Prometheus knows nothing any more."""
_ASKED = (c.LAST_SCRAPE, c.STORAGE_INFO, c.PREDICTIONS, c.CONFIG_RELOAD_OK, c.BUILD_INFO)
_SCRAPE_FIX = "modelwatch rules generate --scrape app=HOST:PORT --scrape sidecar=HOST:PORT, and load what it writes"


@dataclass(frozen=True)
class Endpoint:
    """What one address serves."""

    what: str
    url: str
    storage: str
    """Id of its storage; "" if it does not say."""
    last_scrape: float | None
    """When results were read last, 0 for never; None if it exposes none."""
    models: frozenset[str]
    """Models whose recordings it exposes."""
    reload_ok: bool = True


def shown(url: str) -> str:
    """Return an address as it may be shown: without user and password."""
    return split_user(url)[0]


def look_at_endpoints(patient: Patient) -> list[Finding]:
    """Return what application and sidecar serve."""
    places = (("application", patient.app, "--app"), ("sidecar", patient.sidecar, "--sidecar"))
    answers = together([partial(_try, what, url) for what, url, _ in places], 3 * TIMEOUT)
    found: list[Finding] = []
    for (what, url, option), answer in zip(places, answers, strict=True):
        if isinstance(answer, Endpoint):
            found.append(_served(patient, answer))
        else:
            why = f"no metrics at {shown(url)}: {answer or 'it did not answer in time'}"
            if option in patient.given:
                found.append(problem(what, why, f"start it, or give {option} URL of where it serves metrics"))
            else:
                found.append(skipped(what, f"{why}; elsewhere: {option} URL"))
    endpoints = [answer for answer in answers if isinstance(answer, Endpoint)]
    return [*found, *_read_by(patient, endpoints), *_twice(endpoints)]


def _try(what: str, url: str) -> Endpoint | str:
    """Return what is served at an address, or why nothing of ours is."""
    try:
        return _read(what, url) or "another program answers"
    except NotifyError as error:
        return str(error)


def _read(what: str, url: str) -> Endpoint | None:
    base = url.rstrip("/")
    address = base if base.endswith("/metrics") else f"{base}/metrics"
    query = urlencode([("name[]", metric.name) for metric in _ASKED])
    text = get_text(f"{address}?{query}", what="it", timeout=TIMEOUT, agent=DOCTOR)
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError:
        return None
    if not any(sample.name == c.BUILD_INFO.name for sample in samples):
        return None

    def values(metric: c.Metric) -> list[float]:
        return [sample.value for sample in samples if sample.name == metric.name]

    storages = [s.labels.get("storage", "") for s in samples if s.name == c.STORAGE_INFO.name]
    scraped = values(c.LAST_SCRAPE)
    return Endpoint(
        what,
        url,
        storage=storages[0] if storages else "",
        last_scrape=max(scraped) if scraped else None,
        models=frozenset(s.labels["model_id"] for s in samples if s.name == c.PREDICTIONS.name),
        reload_ok=all(values(c.CONFIG_RELOAD_OK)),
    )


def _served(patient: Patient, endpoint: Endpoint) -> Finding:
    url = shown(endpoint.url)
    known = patient.facts.storage_id if patient.facts is not None else ""
    if known and endpoint.storage and endpoint.storage != known:
        return problem(
            endpoint.what, f"{url} shows another storage than {patient.folder}",
            "give both the same MODELWATCH_STORAGE, or the doctor the right --storage",
        )  # fmt: skip
    if not endpoint.reload_ok:
        return problem(
            endpoint.what, f"{url}: its last reload failed, an older configuration holds", "modelwatch check-config"
        )
    count = len(endpoint.models)
    exposes = [f"recordings of {count} model{'s' * (count != 1)}"] if endpoint.models else []
    exposes += ["results"] if endpoint.last_scrape is not None else []
    return ok(endpoint.what, f"{url} serves {' and '.join(exposes) or 'no model yet'}")


def _read_by(patient: Patient, endpoints: list[Endpoint]) -> list[Finding]:
    """Return when results were last read; what nobody reads alerts nobody in mode prometheus."""
    scraped = [endpoint.last_scrape for endpoint in endpoints if endpoint.last_scrape is not None]
    if not scraped:
        return [skipped("last scrape", "nothing here serves results")]
    last = max(scraped)
    age = patient.now - last
    if last and age <= LONG_AGO:
        return [ok("last scrape", f"results were last read {ago(age)}")]
    when = f"{ago(age)}" if last else "NEVER"
    if patient.direct:
        return [skipped("last scrape", f"{when}; nobody has to, as alerting.mode is direct")]
    if patient.unreadable:
        return [skipped("last scrape", f"{when}; {patient.unwatched}")]
    return [problem("last scrape", f"{when}: nobody will be alerted", _SCRAPE_FIX)]


def _twice(endpoints: list[Endpoint]) -> list[Finding]:
    recording = [endpoint for endpoint in endpoints if endpoint.models]
    if len({endpoint.storage for endpoint in recording}) < len(recording):
        return [
            problem(
                "exposed twice", "application and sidecar both expose recordings of one storage: all counts double",
                "start the sidecar without --expose-recordings",
            )
        ]  # fmt: skip
    return []
