import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import parse_duration, validate_name
from modelwatch.config.values import BYTES_PER_UNIT, SECONDS_PER_UNIT, parse_size, show, size_text
from modelwatch.exceptions import ConfigError, InputError

HOSTILE = [
    "it's \"quoted\"", "back\\slash\\n", "{{ $value }}", "{}{{}}{0}%s", "../../etc/passwd", "🚀 запуск 模型",
    "👩‍👩‍👧", "<script>", "a b", " leading", "a,b;c=d", "$(rm)", "`x`", "__other__", "x" * 200,
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800), ("1h", 3600), ("24h", 86400), ("168h", 604800), ("7d", 604800), ("10s", 10), ("500ms", 0.5),
        ("1w", 604800), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0), (30, 1800), (0.5, 30), ("30", 1800), (" 5s ", 5),
        (timedelta(hours=4), 14400), (np.timedelta64(4, "h"), 14400), (np.timedelta64(10**9, "ns"), 1),
        (np.int64(30), 1800), (np.float32(0.5), 30),
    ],
)  # fmt: skip
def test_durations_are_read(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "h",
        "1",
        "-5m",
        "5 parsecs",
        "1h 30m",
        "1h-",
        "1e3s",
        "٣m",
        "9" * 400 + "d",
        math.nan,
        math.inf,
        -1,
        timedelta(seconds=-1),
        np.timedelta64("NaT"),
        True,
        None,
        [1],
    ],
)
def test_what_is_no_duration_is_refused_with_the_value(value: object) -> None:
    with pytest.raises(ConfigError, match="got "):
        parse_duration(value, default_unit=None if value == "1" else "m")  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "meant"), [("30min", "30m"), ("1H", "1h"), ("2 hours", "2h"), ("3 days", "3d")])
def test_a_unit_in_words_is_answered_with_the_right_one(text: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        parse_duration(text)


def test_a_bare_number_is_refused_where_a_unit_is_needed() -> None:
    with pytest.raises(ConfigError, match="no unit"):
        parse_duration(60, default_unit=None)


@given(st.integers(0, 10**6), st.sampled_from(sorted(SECONDS_PER_UNIT)))
def test_number_and_unit_multiply(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == pytest.approx(number * SECONDS_PER_UNIT[unit])


@given(st.integers(0, 500), st.integers(0, 59), st.integers(0, 59))
def test_parts_add(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.floats(0, 1e9), st.sampled_from(sorted(SECONDS_PER_UNIT)))
def test_a_bare_number_counts_in_the_default_unit(number: float, unit: str) -> None:
    assert parse_duration(number, default_unit=unit) == pytest.approx(number * SECONDS_PER_UNIT[unit])


@given(st.text() | st.floats() | st.integers())
def test_any_value_is_a_finite_duration_or_refused(value: str | float) -> None:
    try:
        seconds = parse_duration(value)
    except ConfigError:
        return
    assert math.isfinite(seconds)
    assert seconds >= 0


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_but_visible_names_are_accepted(name: str) -> None:
    assert validate_name(name, "model_id") == name


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x00", "\x1b[31m", "\x7f", "a\u2028b", "a\u2029b", "\u202eevil", "\ud800", "tab\tbed", "\x85"]
)
def test_control_characters_are_refused_and_shown_escaped(name: str) -> None:
    with pytest.raises(InputError, match="control character") as caught:
        validate_name(name, "model_id")
    assert "model_id" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", " ", "\u00a0", "\u200b", "x" * 201])
def test_empty_blank_and_overlong_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"must (not be empty|have at most 200)"):
        validate_name(name, "feature")


@pytest.mark.parametrize("name", [None, 17, True, b"m", ["m"]])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="feature must be text"):
        validate_name(name, "feature")


@given(st.text())
def test_a_name_comes_back_unchanged_or_not_at_all(name: str) -> None:
    try:
        assert validate_name(name, "model_id") == name
    except InputError as refusal:
        message = str(refusal)
    else:
        return
    assert message.isprintable()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_shown_values_are_one_short_printable_line(value: object) -> None:
    assert show(value).isprintable()
    assert len(show(value)) <= 80


@pytest.mark.parametrize(
    "secret", ["https://hooks.slack.com/services/T/B/x", "xoxb-1-2", "smtp://me:pw@host", ["xoxp-1"], {"a": "XOXB-1"}]
)
def test_what_looks_like_a_secret_is_not_shown(secret: object) -> None:
    assert show(secret) == "(a value that looks like a secret: not shown)"


def test_huge_numbers_do_not_break_a_message() -> None:
    assert show(10**5000) == "a huge number"
    assert show(np.float64(0.5)).endswith("0.5)") or show(np.float64(0.5)) == "0.5"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("10GB", 10**10), ("500MiB", 500 * 2**20), ("1.5 kB", 1500), ("2gib", 2**31), ("4096", 4096), (4096, 4096),
        ("1 B", 1), (1e9, 10**9), ("1TiB", 2**40),
    ],
)  # fmt: skip
def test_sizes_are_read(value: str | float, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value",
    ["", "GB", "-1GB", "1GB 2MB", "1e3", "9" * 30, "0", 0, -5, math.inf, math.nan, 10**400, True, None, [1], "10 Gigs"],
)
def test_what_is_no_size_is_refused_with_what_is_allowed(value: object) -> None:
    with pytest.raises(ConfigError, match='must be a number of bytes or a size such as "500MiB" or "10GB"'):
        parse_size(value)  # type: ignore[arg-type]


@given(st.integers(1, 10**15))
def test_a_size_as_text_is_read_as_about_the_same(size: int) -> None:
    assert parse_size(size_text(size)) == pytest.approx(size, rel=0.006)


@given(st.sampled_from(sorted(BYTES_PER_UNIT)), st.integers(1, 1000))
def test_a_size_in_any_unit_is_that_many(unit: str, number: int) -> None:
    assert parse_size(f"{number}{unit}") == number * BYTES_PER_UNIT[unit]
