"""The timetable of the demo, followed with a clock that the tests hold in their hands."""

import pytest

from modelwatch.demo.script import CHANNELS, PROFILES, Arrival, Channel, Script, Step, Timetable
from modelwatch.exceptions import InputError

TIMES = Timetable()


def message(channel: Channel, at: float, firing: bool = True, subject: str = "data drift") -> Arrival:
    return Arrival(channel, at, firing, subject, "title", "text")


def everywhere(at: float, firing: bool = True, subject: str = "data drift") -> list[Arrival]:
    return [message(channel, at, firing, subject) for channel in CHANNELS]


def follow(script: Script, arrivals: list[Arrival], until: float) -> dict[Step, float]:
    """Run the script second by second; an arrival is seen once its time has come."""
    seen: dict[Step, float] = {}
    for second in range(int(until) + 1):
        so_far = [a for a in arrivals if a.at <= second]
        for step in script.advance(float(second), so_far):
            assert step not in seen, f"{step} came twice"
            seen[step] = float(second)
        if Step.END in seen:
            break
    return seen


def test_fault_alert_cure_resolved_end() -> None:
    script = Script(TIMES)
    seen = follow(script, everywhere(46) + everywhere(75, firing=False), until=300)
    assert seen == {Step.FAULT: 40, Step.ALERTED: 46, Step.CURE: 56, Step.RESOLVED: 75, Step.END: 75}
    assert script.exit_code == 0


def test_the_fault_ends_after_45_seconds_even_if_nobody_was_told() -> None:
    seen = follow(Script(TIMES), everywhere(100) + everywhere(130, firing=False), until=300)
    assert seen == {Step.FAULT: 40, Step.CURE: 85, Step.ALERTED: 100, Step.RESOLVED: 130, Step.END: 130}


def test_an_alert_counts_when_it_has_arrived_on_every_channel() -> None:
    late_email = [message("log", 45), message("slack", 45), message("email", 50)]
    assert follow(Script(TIMES), late_email, until=60)[Step.ALERTED] == 50


def test_resolved_means_that_every_alert_of_every_channel_is_over() -> None:
    arrivals = everywhere(45) + everywhere(47, subject="prediction drift")
    arrivals += everywhere(70, firing=False) + everywhere(80, firing=False, subject="prediction drift")
    assert follow(Script(TIMES), arrivals, until=300)[Step.RESOLVED] == 80


def test_no_alert_within_two_minutes_of_the_fault_is_a_failure() -> None:
    script = Script(TIMES)
    seen = follow(script, [message("log", 45)], until=400)
    assert seen == {Step.FAULT: 40, Step.CURE: 85, Step.ALERT_OVERDUE: 160, Step.END: 160}
    assert script.exit_code == 1


def test_no_resolved_within_two_minutes_of_the_cure_is_a_failure() -> None:
    script = Script(TIMES)
    seen = follow(script, everywhere(45), until=400)
    assert seen[Step.RESOLVED_OVERDUE] == seen[Step.END] == 55 + 120
    assert script.exit_code == 1


def test_exit_on_alert_ends_with_the_alert() -> None:
    script = Script(TIMES, exit_on_alert=True)
    assert follow(script, everywhere(44), until=300) == {Step.FAULT: 40, Step.ALERTED: 44, Step.END: 44}
    assert script.exit_code == 0


def test_exit_on_alert_without_an_alert_fails_even_if_ended_early() -> None:
    script = Script(TIMES, exit_on_alert=True, duration=50)
    assert Step.END in follow(script, [], until=60)
    assert script.exit_code == 1


def test_without_the_fault_silence_is_success_and_any_alert_is_not() -> None:
    silent = Script(TIMES, with_fault=False)
    assert follow(silent, [], until=300) == {Step.END: 90}
    assert silent.exit_code == 0
    alarmed = Script(TIMES, with_fault=False)
    assert follow(alarmed, [message("log", 30)], until=300) == {Step.END: 90}
    assert alarmed.exit_code == 1


def test_an_alarm_before_the_fault_is_a_false_one_and_does_not_pass_for_the_alert() -> None:
    script = Script(TIMES)
    seen = follow(script, everywhere(20) + everywhere(50), until=55)
    assert seen[Step.ALERTED] == 50
    assert len(script.false_alarms) == 3
    assert script.exit_code == 1


def test_duration_ends_it_early_or_keeps_it_going() -> None:
    story = everywhere(45) + everywhere(70, firing=False)
    assert follow(Script(TIMES, duration=20), story, until=300) == {Step.END: 20}
    kept = follow(Script(TIMES, duration=200), story, until=300)
    assert (kept[Step.RESOLVED], kept[Step.END]) == (70, 200)


def test_the_ci_profile_breaks_things_after_15_seconds() -> None:
    seen = follow(Script(PROFILES["ci"]), everywhere(20) + everywhere(40, firing=False), until=100)
    assert (seen[Step.FAULT], seen[Step.CURE], seen[Step.END]) == (15, 22, 40)


def test_twice_the_speed_is_twice_the_rate_and_half_of_all_times_but_not_less_patience() -> None:
    fast = TIMES.faster(2)
    assert (fast.rate, fast.windows, fast.interval) == (600, (5, 15), 2)
    assert (fast.fault_at, fast.fault_longest, fast.calm, fast.truth_after) == (20, 22.5, 45, (1, 3))
    assert (fast.alert_patience, fast.resolved_patience) == (TIMES.alert_patience, TIMES.resolved_patience)
    assert TIMES.faster(1) == TIMES


@pytest.mark.parametrize("speed", [0.0, -1.0, 1000.0, float("nan")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(InputError, match="--speed must be"):
        TIMES.faster(speed)


def test_it_knows_about_how_long_it_will_take() -> None:
    lengths = [
        Script(TIMES).expected_length,
        Script(TIMES, exit_on_alert=True).expected_length,
        Script(TIMES, with_fault=False).expected_length,
        Script(TIMES, duration=7).expected_length,
    ]
    assert lengths == [84, 48, 90, 7]
