"""Names of models, features and classes, versions, and values as they may stand in a message.

It stands below everything, so that a function can be decorated before anything of weight is imported.
"""

from __future__ import annotations

import re
import unicodedata

from modelwatch.exceptions import InputError

__all__ = ["MAX_NAME_LENGTH", "VERSION_VARIABLE", "check_version", "show", "validate_name"]

MAX_NAME_LENGTH = 200
VERSION_VARIABLE = "MODELWATCH_MODEL_VERSION"
"""The version that a process serves, for models that name none."""
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SECRET = re.compile(r"hooks\.|xox[a-z]-|://[^/\s]*@", re.IGNORECASE)
_SHOWN = 80


def validate_name(text: object, what: str) -> str:
    r"""Return `text` if it may be a model_id, feature or class name.

    Quotes, backslashes, braces, slashes, emoji are all fine: a name is never used raw as a path, in a query, in YAML,
    HTML or a template. Refused are only names that a person cannot see for what they are.

    Parameters
    ----------
    text : object
        The candidate: non-empty printable Unicode of at most 200 characters.
    what : str
        What it names, for the message: ``"model_id"``.

    Raises
    ------
    InputError
        If it is not text, empty or blank, too long, or holds control characters, line or paragraph separators,
        unpaired surrogates or characters that turn the direction of the text.

    Examples
    --------
    >>> validate_name("ads/../{{ $value }} 🚀", "model_id")
    'ads/../{{ $value }} 🚀'
    >>> validate_name("a\nb", "model_id")
    Traceback (most recent call last):
    modelwatch.exceptions.InputError: model_id 'a\nb' holds the control character '\n' at position 2; ...
    """
    if not isinstance(text, str):
        quotes = " (put it in quotes)" if isinstance(text, (int, float)) else ""
        raise InputError(f"{what} must be text, got {show(text)}{quotes}")
    for position, character in enumerate(text, 1):
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI:
            raise InputError(
                f"{what} {show(text)} holds the control character {character!a} at position {position};"
                " only printable characters are allowed"
            )
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise InputError(f"{what} must not be empty: at least one printable character is needed, got {show(text)}")
    if len(text) > MAX_NAME_LENGTH:
        raise InputError(f"{what} must have at most {MAX_NAME_LENGTH} characters, got {len(text)}: {show(text)}")
    return text


def check_version(version: object) -> None:
    """Refuse a model version that is no text."""
    if version is not None and not isinstance(version, str):
        msg = f"version must be text, such as '2026-11-24', got {type(version).__name__}"
        raise InputError(msg)


def show(value: object) -> str:
    """Return a value as it may stand in a message: short, on one line, and never a credential.

    >>> show(True), show(None), show("https://user:secret@host/")
    ('true', 'nothing', '(a value that looks like a secret: not shown)')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a huge number"  # and str() refuses ints of more than 4300 digits
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in repr(value))
    if _SECRET.search(text):
        return "(a value that looks like a secret: not shown)"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
