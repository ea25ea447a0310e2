"""One bad file per kind of mistake in testdata, and in testdata/messages.txt what a person reads about it."""

from pathlib import Path

import pytest

from modelwatch.config import load_config
from modelwatch.exceptions import ConfigError, NotAvailableError

DATA = Path(__file__).parent / "testdata"
BAD_FILES = sorted(path.name for path in DATA.glob("invalid-*"))
MESSAGES = (DATA / "messages.txt").read_text(encoding="utf-8").splitlines()
PARSERS_OWN_WORDS = "..."
JARGON = ("Input should", "pydantic", "type=", "Value error", "Traceback", "NoneType", "<class", "block mapping")


def message_about(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(DATA / name)
    return str(caught.value).replace(str(DATA) + "/", "")


def test_every_bad_file_has_its_message() -> None:
    assert [message.split(":")[0] for message in MESSAGES] == BAD_FILES


@pytest.mark.parametrize("expected", MESSAGES, ids=BAD_FILES)
def test_the_message_says_file_line_key_value_and_what_is_allowed(expected: str) -> None:
    message = message_about(expected.split(":")[0])
    if expected.endswith(PARSERS_OWN_WORDS):
        assert message.startswith(expected.removesuffix(PARSERS_OWN_WORDS))
    else:
        assert message == expected


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_message_is_one_printable_line_without_jargon_and_without_the_secret(name: str) -> None:
    message = message_about(name)
    assert message.isprintable()
    assert not [word for word in (*JARGON, "hunter2") if word in message]


@pytest.mark.parametrize("name", BAD_FILES)
def test_no_other_exception_stands_behind_a_message(name: str) -> None:
    """A chained exception would print what the message leaves out, secrets too, wherever it is logged."""
    with pytest.raises(ConfigError) as caught:
        load_config(DATA / name)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_comes_later_is_told_from_what_is_wrong(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(DATA / name)
    assert isinstance(caught.value, NotAvailableError) == ("later-release" in name)
