"""Every kind of alert, provoked once on real servers: it reaches the right people and nobody else, and so does its end.

One story, told by fixtures that build on each other: much is wrong from the beginning, more breaks; it gets night, so
that there are too few rows to tell whether what drifted still does; the sidecar hangs and comes back; all is cured.
Tests look at what was seen on the way, so they can run in any order. The alerts that are not here (latency, errors, a
floor) are provoked in ``test_prometheus_world.py``.
"""

from __future__ import annotations

import re
import runpy
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch import conventions as c
from modelwatch.demo.servers import Binaries
from modelwatch_rules import anomalies, inputs

pytestmark = pytest.mark.e2e

W = runpy.run_path(str(Path(__file__).with_name("every_alert_world.py")))
M, TIMING, MIN_ROWS = W["M"], W["TIMING"], W["MIN_ROWS"]
ONCALL_MAIL, ADS, RISK, ONCALL, EVERYBODY = (W[n] for n in ("ONCALL_MAIL", "ADS", "RISK", "ONCALL", "EVERYBODY"))
SECONDS = 60.0
RESOLVED = "resolved"
CHECKS_AT_NIGHT = 5


@dataclass(frozen=True)
class Kind:
    """One alert: of which model ("" for modelwatch itself), how bad, what its headline says, and who is told."""

    alert: str
    about: str
    level: str
    words: str
    people: frozenset[str]
    ends: bool = True

    @classmethod
    def of(cls, alert: str, about: str, level: str, words: str, people: Iterable[str], *, ends: bool = True) -> Kind:
        return cls(alert, about, level, words, frozenset(people), ends)

    def is_told_by(self, message: Any) -> bool:
        said = rf"{re.escape(self.about or 'modelwatch')}: {self.words}.* since .*"
        return re.fullmatch(said, message.headline) is not None


MISSING = "The reference of the model can't be used"
SILENT, UNSEEN = r"No predictions for 30m \d+s", "No predictions are seen: nothing .* exposes this model"
DOWN = r"Prometheus can't read 127\.0\.0\.1:\d+ \(job modelwatch-{}\)"

# From the beginning: nobody does anything for these.
STANDING = (
    Kind.of(c.ALERT_NO_PREDICTIONS, M["BACKLOG"], "critical", SILENT, [RISK]),
    Kind.of(c.ALERT_NO_PREDICTIONS, M["GHOST"], "critical", UNSEEN, ONCALL),
    Kind.of(c.ALERT_REFERENCE_MISSING, M["TAMPERED"], "warning", MISSING, [ADS]),
    # The model says that this one is an error, of which by default those are told who read their e-mail. It ends when
    # the sidecar reads its configuration again.
    Kind.of(c.ALERT_REFERENCE_MISSING, M["ORPHAN"], "error", MISSING, [ONCALL_MAIL], ends=False),
    Kind.of(c.ALERT_CHECK_FAILING, M["SCRAMBLED"], "warning", r"The drift check failed \d+ times in a row", [RISK]),
    # What is left out stays so, whatever else is mended.
    Kind.of(
        c.ALERT_SERIES_FOLDED, M["SCRAMBLED"], "warning",
        r"\d+ series of the model are not exposed \(segments\)", [RISK], ends=False,
    ),
    # A model that is not in the configuration belongs to nobody, so everybody is told.
    Kind.of(c.ALERT_CHECK_STALE, M["ISLAND"], "warning", r"No drift check has succeeded for [\d.]+s", EVERYBODY),
    Kind.of(
        c.ALERT_NOTIFICATIONS_FAILING, "", "error",
        "Messages to all receivers of type webhook in Alertmanager fail", EVERYBODY,
    ),
)  # fmt: skip
RECORDER_DOWN = Kind.of(c.ALERT_DOWN, "", "error", DOWN.format("app"), EVERYBODY)

BROKEN_EARLY = {
    M["NIGHT"]: ["drift"],
    M["FROZEN"]: ["frozen"],
    M["MIXED"]: ["mixed"],
    M["PRICES"]: ["metric"],
    M["PROMISED"]: ["errors"],
    M["FLOODED"]: ["flood"],
}
DRIFTED = Kind.of(c.ALERT_DATA_DRIFT, M["NIGHT"], "error", r"(?:[12] of 3 inputs|Inputs) drifted \(.+\)", [ADS])
BURNING = Kind.of(
    c.ALERT_BUDGET_BURN,
    M["PROMISED"],
    "critical",
    r"Too many requests fail: the budget .* [\d.]+ times as fast",
    ONCALL,
)
CEILING = Kind.of(
    c.ALERT_ABOVE_CEILING, M["PRICES"], "error", r"Metric rmse is 0\.31, above its ceiling of 0\.15", [ADS]
)
EARLY = (
    DRIFTED,
    BURNING,
    CEILING,
    Kind.of(c.ALERT_PREDICTION_DRIFT, M["FROZEN"], "error", r"Predictions drifted \(JS .+\)", [RISK]),
    Kind.of(
        c.ALERT_MULTIVARIATE_DRIFT, M["MIXED"], "warning",
        # By its end the pair that is furthest from the reference may be another one.
        r"Inputs no longer go together as they did \(\w+ and \w+\)", [RISK],
    ),
    Kind.of(c.ALERT_STUCK_OUTPUT, M["FROZEN"], "warning", "Nearly all predictions are the same", [RISK]),
    Kind.of(
        c.ALERT_RECORDS_DROPPED,
        M["FLOODED"],
        "warning",
        r"\d+ records were dropped in the last .* \(queue_full\)",
        [ADS],
    ),
)  # fmt: skip
TWICE = Kind.of(c.ALERT_EXPOSED_TWICE, "", "warning", "2 targets expose the recordings of one storage", EVERYBODY)

BROKEN_LATE = {
    M["NEWCOMER"]: ["missing"],
    M["TAMPERED"]: ["drift"],
    M["SHOP"]: ["silent"],
    M["BACKLOG"]: ["silent"],
    M["NIGHT"]: ["night"],
}
LATE = (
    Kind.of(
        c.ALERT_INPUT_MISSING, M["NEWCOMER"], "warning", r"Input distance is [\d.]+% missing or unreadable", [RISK]
    ),
    Kind.of(
        c.ALERT_INPUT_NOVEL, M["TAMPERED"], "warning", r"Input .+ is [\d.]+% out of range or unseen", [ADS]
    ),
    Kind.of(c.ALERT_TRAFFIC_ANOMALY, M["SHOP"], "warning", r"Far fewer requests than usual: \d+ requests", [ADS]),
)  # fmt: skip
# Prometheus repeats for minutes that the application is back: the message about the end may count both, that one first.
CHECKER_DOWN = Kind.of(
    c.ALERT_DOWN, "", "error", rf"(?:{DOWN.format('sidecar')}|{DOWN.format('app')}, \+1 more)", EVERYBODY
)
KINDS = (*STANDING, RECORDER_DOWN, *EARLY, TWICE, *LATE, CHECKER_DOWN)

CHECKED = {*M["SERVED"]} - {M["SCRAMBLED"]}
"""Whose checks succeed: of those that fail nobody says that they are stale."""
ELSEWHERE = {c.ALERT_LATENCY_HIGH, c.ALERT_ERROR_RATE_HIGH, c.ALERT_BELOW_FLOOR}
"""Provoked in ``test_prometheus_world.py``."""


# ── the story ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Story:
    """The world, and what was seen in it."""

    world: Any
    began: float = field(default_factory=time.time)
    due: dict[tuple[Kind, str], float] = field(default_factory=dict)
    """When what was provoked that somebody is to be told of: an alert at its level, or as resolved."""
    arrived: dict[tuple[Kind, str], float] = field(default_factory=dict)
    """After how many seconds all of them were."""

    def told(self, kind: Kind, level: str) -> set[str]:
        """Return who was told of an alert at a level, or that it is over."""
        return self._told(self.world.messages(), kind, level)

    @staticmethod
    def _told(messages: list[Any], kind: Kind, level: str) -> set[str]:
        return {m.to for m in messages if m.level == level and kind.is_told_by(m)}

    def provoked(self, kinds: Iterable[Kind], since: float) -> None:
        self.due |= {(kind, kind.level): since for kind in kinds}

    def ended(self, kinds: Iterable[Kind], since: float) -> None:
        self.due |= {(kind, RESOLVED): since for kind in kinds}

    def lacking(self) -> list[tuple[Kind, str]]:
        """Return what is due and was not told to all yet; note how long the others took."""
        messages = self.world.messages()
        for (kind, level), since in self.due.items():
            if (kind, level) not in self.arrived and self._told(messages, kind, level) >= kind.people:
                self.arrived[kind, level] = time.time() - since
        return [one for one in self.due if one not in self.arrived]

    def expect(self, *kinds: Kind) -> None:
        """Wait until all that is due, or these kinds alone, was told to whom it must be."""
        try:
            self.world.wait(lambda: not [one for one in self.lacking() if not kinds or one[0] in kinds], SECONDS)
        except AssertionError:
            names = [f"{kind.alert} of {kind.about or 'modelwatch'}, {level}" for kind, level in self.lacking()]
            pytest.fail(f"not told within {SECONDS:g} s: {names}. {self.world.situation()}")

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, and note what is told meanwhile."""
        self.world.wait(lambda: (self.lacking(), condition())[1], SECONDS)


@pytest.fixture(scope="module")
def start(
    tmp_path_factory: pytest.TempPathFactory,
    require_server: Callable[[str], str],
) -> Iterator[Story]:
    """Start all programs; much is wrong from the beginning."""
    binaries = Binaries(require_server("prometheus"), require_server("alertmanager"))
    began = time.time()
    with W["started"](tmp_path_factory.mktemp("every-alert"), binaries) as world:
        story = Story(world, began)
        story.provoked([*STANDING, RECORDER_DOWN], began)
        yield story
        report(story)


@dataclass(frozen=True)
class Broken:
    """What Alertmanager knew of alerts that are muted by others, and of those that mute them."""

    traffic_of_backlog: list[str]
    burning: dict[str, str]


@pytest.fixture(scope="module")
def broken(start: Story) -> Broken:
    """Much breaks at once; what is unusual has to wait until something is usual."""
    world = start.world
    start.provoked(EARLY, world.break_(BROKEN_EARLY))
    start.expect(RECORDER_DOWN)
    exposed = world.start_twin("storage")
    start.provoked([TWICE], exposed)
    start.ended([RECORDER_DOWN], exposed)
    start.wait(lambda: usual_is_known(world))
    start.provoked(LATE, world.break_(BROKEN_LATE))
    start.expect()
    burning = {
        alert["labels"]["severity"]: alert["status"]["state"]
        for alert in world.alerts(alertname=c.ALERT_BUDGET_BURN, model_id=M["PROMISED"])
    }
    start.wait(lambda: states(world, c.ALERT_TRAFFIC_ANOMALY, M["BACKLOG"]))
    return Broken(states(world, c.ALERT_TRAFFIC_ANOMALY, M["BACKLOG"]), burning)


def usual_is_known(world: Any) -> bool:
    """Say whether all days of traffic are known but the one that is once it has fallen, and usual shares of values."""
    last, both = anomalies.KNOWN_DAYS - 1, f"{M['SHOP']}|{M['BACKLOG']}"
    days = f'{anomalies.LEAST_BY_DAY}{{{anomalies.DAY}="{last}",{c.MODEL_ID}=~"{both}"}} >= 100'
    shares = (
        (c.FEATURE_MISSING, M["NEWCOMER"], "distance"),
        (c.FEATURE_OUT_OF_RANGE, M["TAMPERED"], "distance"),
        (c.FEATURE_OUT_OF_RANGE, M["TAMPERED"], "carrier"),
    )
    return len(world.query(days)) == 2 and all(
        world.query(f'{inputs.usual(metric, TIMING)}{{{c.MODEL_ID}="{model_id}",{c.FEATURE}="{feature}"}} < 0.1')
        for metric, model_id, feature in shares
    )


def states(world: Any, alert: str, model_id: str) -> list[str]:
    return [known["status"]["state"] for known in world.alerts(alertname=alert, model_id=model_id)]


@dataclass(frozen=True)
class Night:
    """What was to be seen of an alert during checks that found too few rows."""

    rows: float
    checks: float
    failures: float
    headlines: set[str]
    states: set[str]


@pytest.fixture(scope="module")
def night(start: Story, broken: Broken) -> Night:
    """Hardly anybody asks the model whose inputs drift; check after check finds too few rows to say anything."""
    world = start.world
    mine = f'{c.MODEL_ID}="{M["NIGHT"]}"'
    held = f'{c.DRIFT_STATE.name}{{{mine},{c.DRIFT_TYPE}="data",state="held"}} == 1'
    checks = f"{c.DRIFT_CHECKS.name}{{{mine}}}"
    failures = f"{c.DRIFT_CHECK_FAILURES.name}{{{mine}}}"
    start.wait(lambda: world.query(held))
    before, headlines, seen = world.total(checks), set(), set()

    def long_enough() -> bool:
        for alert in world.alerts(alertname=DRIFTED.alert, model_id=M["NIGHT"], severity=DRIFTED.level):
            headlines.add(str(alert["annotations"]["summary"]))
            seen.add(str(alert["status"]["state"]))
        return bool(world.query(held)) and world.total(checks) >= before + CHECKS_AT_NIGHT

    start.wait(long_enough)
    rows = f'max({c.WINDOW_ROWS.name}{{{mine},sample="current"}})'
    return Night(world.total(rows), world.total(checks) - before, world.total(failures), headlines, seen)


@dataclass(frozen=True)
class Hung:
    """What Alertmanager knew of the stale checks while the sidecar hung: by model, their states and what mutes them."""

    stale: dict[str, str]
    muted_by: set[str]
    drift: list[str]


@pytest.fixture(scope="module")
def hung(start: Story, night: Night) -> Hung:
    """The sidecar hangs until all checks are stale."""
    world = start.world
    start.provoked([CHECKER_DOWN], world.freeze_sidecar())
    start.expect(CHECKER_DOWN)
    start.wait(lambda: {*stale_checks(world)} >= CHECKED)
    known = stale_checks(world)
    names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in world.alerts()}
    muted_by = {names[source] for alert in known.values() for source in alert["status"]["inhibitedBy"]}
    drift = states(world, DRIFTED.alert, M["NIGHT"])
    return Hung({model_id: alert["status"]["state"] for model_id, alert in known.items()}, muted_by, drift)


def stale_checks(world: Any) -> dict[str, Any]:
    """Return what Alertmanager knows of stale checks of models that a configuration lists, by model."""
    known = {alert["labels"]["model_id"]: alert for alert in world.alerts(alertname=c.ALERT_CHECK_STALE)}
    return {model_id: alert for model_id, alert in known.items() if model_id != M["ISLAND"]}


@pytest.fixture(scope="module")
def cured(start: Story, hung: Hung) -> None:
    """The sidecar goes on, all else is well again but for what the configuration says, and people are told."""
    world = start.world
    world.thaw_sidecar()
    world.break_(dict.fromkeys(world.faults, ()))
    since = world.break_({M["BACKLOG"]: ["live"], M["GHOST"]: ["served"]})
    world.mend()
    world.answer_the_pager()
    world.start_twin("a storage of its own")
    start.ended([kind for kind in KINDS if kind.ends and (kind, RESOLVED) not in start.due], since)
    start.expect()
    start.wait(lambda: not stale_checks(world))


def report(story: Story) -> None:
    """Print who was told of what, and after how long; seen with ``pytest -s``."""
    for (kind, level), seconds in story.arrived.items():
        people = ", ".join(sorted(kind.people))
        say(f"{seconds:6.1f} s  {kind.alert} of {kind.about or 'modelwatch'}, {level}: {people}")
    say(f"{time.time() - story.began:6.1f} s  in all")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# ── what it is to look like ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_alert_of_the_rules_is_provoked_here_or_in_the_other_world(start: Story) -> None:
    (path,) = (start.world.folder / "prometheus" / "prometheus").glob("*.rules.yml")
    rules = [rule for group in yaml.safe_load(path.read_text("utf-8"))["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules if "alert" in rule} == {
        c.ALERT_WATCHDOG, *ELSEWHERE, *(kind.alert for kind in KINDS)
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.alert}-{kind.about or 'modelwatch'}")
def test_an_alert_is_told_to_those_whose_model_it_is_and_to_nobody_else(start: Story, cured: None, kind: Kind) -> None:
    assert start.told(kind, kind.level) == kind.people
    everybody = {m.to for m in start.world.messages() if kind.is_told_by(m)}
    assert everybody == kind.people


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.alert}-{kind.about or 'modelwatch'}")
def test_its_end_is_told_to_the_same_people(start: Story, cured: None, kind: Kind) -> None:
    assert start.told(kind, RESOLVED) == (kind.people if kind.ends else set())


def test_nobody_is_told_of_anything_else(start: Story, cured: None) -> None:
    assert [m for m in start.world.messages() if not any(kind.is_told_by(m) for kind in KINDS)] == []


def test_a_silent_model_is_not_also_called_one_with_little_traffic(broken: Broken) -> None:
    assert broken.traffic_of_backlog == ["suppressed"]


def test_of_two_tiers_the_higher_one_is_told(start: Story, broken: Broken, cured: None) -> None:
    assert broken.burning == {"critical": "active", "warning": "suppressed"}
    assert start.told(BURNING, "warning") == set()
    assert start.told(CEILING, "warning") == start.told(CEILING, "info") == set()


def test_a_night_with_too_few_rows_resolves_nothing(start: Story, night: Night) -> None:
    assert 0 < night.rows < MIN_ROWS
    assert night.checks >= CHECKS_AT_NIGHT
    assert night.failures == 0, "too few rows are no failure"
    assert night.states == {"active"}
    assert all(re.fullmatch(rf"{DRIFTED.words}\.", headline) for headline in night.headlines), night.headlines


def test_a_night_and_a_sidecar_that_hangs_end_no_alert(start: Story, hung: Hung, cured: None) -> None:
    assert "active" in hung.drift
    ends = [m for m in start.world.messages() if m.level == RESOLVED and DRIFTED.is_told_by(m)]
    assert len(ends) == 1, "there is one end, and that came with the cure"
    assert start.arrived[DRIFTED, RESOLVED] > 0


def test_stale_checks_are_not_told_while_what_checks_is_down_nor_when_it_is_back(hung: Hung) -> None:
    assert {*hung.stale} >= CHECKED
    assert {*hung.stale.values()} == {"suppressed"}
    assert hung.muted_by == {c.ALERT_DOWN}


def test_the_watchdog_calls_its_webhook_again_and_again_and_nobody_else(start: Story, cured: None) -> None:
    calls = start.world.deadman.messages
    assert len(calls) >= 2
    assert {alert["labels"]["alertname"] for call in calls for alert in call["alerts"]} == {c.ALERT_WATCHDOG}
    assert {alert["status"] for call in calls for alert in call["alerts"]} == {"firing"}
