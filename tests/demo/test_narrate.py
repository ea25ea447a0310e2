"""What the demo says, where a terminal and where a file listens."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from modelwatch.demo.narrate import Narrator, first_seconds
from modelwatch.demo.script import CHANNELS, Arrival, Script, Timetable

ALERT = Arrival(
    "email",
    44.0,
    firing=True,
    subject="input",
    headline="[WARNING] flight_delay: 2 of 5 inputs drifted",
    text="Subject: [WARNING] flight_delay: 2 of 5 inputs drifted (distance, carrier) since 02:10 EST\n\n"
    "distance: mean +0.84 sd " + "[brackets] " * 20,
)


def narrator(*, terminal: bool, width: int = 60, now: float | None = 44.4) -> tuple[Narrator, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, color_system=None, width=width, highlight=False)
    return Narrator(console, lambda: now), out


def test_lines_are_left_whole_in_a_file() -> None:
    say, out = narrator(terminal=False)
    say.arrived(ALERT, since_fault=4.0, since_cure=None)
    assert out.getvalue().splitlines() == [
        " 44 s  ALERT by email, 4.0 s after the fault",
        "       │ Subject: [WARNING] flight_delay: 2 of 5 inputs drifted (distance, carrier) since 02:10 EST",
        "       │",
        "       │ distance: mean +0.84 sd " + "[brackets] " * 19 + "[brackets]",
    ]


def test_lines_fit_the_terminal_and_stay_behind_their_bar() -> None:
    say, out = narrator(terminal=True)
    say.arrived(ALERT, since_fault=4.0, since_cure=None)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert all(line.startswith("       │ ") or line == "       │" for line in lines[1:])
    assert sum(line.count("[brackets]") for line in lines) == 20


def test_an_alert_that_is_raised_is_told_in_one_line_until_it_is_over() -> None:
    say, out = narrator(terminal=False)
    say.arrived(ALERT, since_fault=4.0, since_cure=None)
    say.arrived(replace(ALERT, headline="[ERROR] worse"), since_fault=8.0, since_cure=None)
    assert out.getvalue().splitlines()[-1] == " 44 s  RAISED by email: [ERROR] worse"
    say.arrived(replace(ALERT, firing=False), since_fault=40.0, since_cure=20.0)
    say.arrived(ALERT, since_fault=50.0, since_cure=30.0)
    assert out.getvalue().count("ALERT by email") == 2


def test_there_is_no_time_before_the_first_flight() -> None:
    say, out = narrator(terminal=False, now=None)
    say.flights_read(327_346)
    assert out.getvalue() == "       Read 327 346 flights that left New York in 2013.\n"


def test_resolved_and_false_alarms_have_their_own_words() -> None:
    say, out = narrator(terminal=False)
    over = Arrival("slack", 70.0, firing=False, subject="input", headline="", text="RESOLVED")
    say.arrived(over, since_fault=30.0, since_cure=12.5)
    say.arrived(ALERT, since_fault=None, since_cure=None)
    assert "RESOLVED on Slack, 12.5 s after the fault ended" in out.getvalue()
    assert "ALERT by email, and nothing is wrong: a false alarm" in out.getvalue()


def test_the_summary_gives_seconds_for_every_channel() -> None:
    script = Script(Timetable())
    arrivals = [Arrival(c, 45.0 + i, True, "input", "", "") for i, c in enumerate(CHANNELS)]
    arrivals += [Arrival(c, 80.0 + i, False, "input", "", "") for i, c in enumerate(CHANNELS)]
    for second in range(90):
        script.advance(float(second), [a for a in arrivals if a.at <= second])
    say, out = narrator(terminal=False)
    say.summary(script, arrivals, 27_000, ".demo")
    text = out.getvalue()
    assert "From the fault to the alert: log 5.0 s, email 6.0 s, slack 7.0 s." in text
    assert "From the cure to 'resolved': log 23.0 s, email 24.0 s, slack 25.0 s." in text
    assert "All that the demo wrote is in .demo" in text


@pytest.mark.parametrize(
    ("arrivals", "words"),
    [([], "27 000 flights, and nobody was told anything"), ([ALERT], "1 false alarm: nothing was wrong")],
)
def test_the_summary_without_a_fault(arrivals: list[Arrival], words: str) -> None:
    script = Script(Timetable(), with_fault=False)
    script.advance(90.0, arrivals)
    say, out = narrator(terminal=False)
    say.summary(script, arrivals, 27_000, ".demo")
    assert words in out.getvalue()
    assert script.exit_code == len(arrivals)


def test_seconds_count_from_the_cause_and_ignore_what_was_before() -> None:
    early = Arrival("log", 10.0, True, "input", "", "")
    assert first_seconds([early, ALERT], 40.0, firing=True) == {"email": 4.0}
