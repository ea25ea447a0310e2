"""From pydantic's list of errors to sentences that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from modelwatch.config.values import show
from modelwatch.exceptions import ConfigError, NotAvailableError, did_you_mean

__all__ = ["EACH", "Path", "Problem", "error_of", "explain", "mistake", "mistakes", "not_available"]

Path = tuple[str | int, ...]

EACH = "x-each"
"""Key of a field's extra schema under which stands what one item of a list or mapping must be."""

NOT_AVAILABLE = "modelwatch_not_available"
MISTAKE = "modelwatch_mistake"

TAGGED = ("receivers", "performance_threshold")
"""Mappings whose values are tagged unions: pydantic puts the tag behind their key, where nobody wrote one."""

SHOWN_OF_RECEIVERS = frozenset({"type", "min_severity", "channel", "to", "from", "tls", "smtp"})
"""The only keys of a receiver whose values an error may show."""

SECRET_KEYS = frozenset(
    {"password", "token", "url", "routing_key", "webhook", "webhook_url", "secret", "api_key", "bot_token", "apikey"}
)


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong, and whether the feature merely comes later."""

    path: Path
    sentence: str
    later: bool = False

    def line(self, source: str, number: int | None = None) -> str:
        """Return one line of an error message: file, line number, key path, sentence."""
        place = f"{source}:{number}" if number is not None else source
        return ": ".join(part for part in (place, path_text(self.path), self.sentence) if part)


def mistake(sentence: str) -> PydanticCustomError:
    """Return an error to raise inside a validator; its sentence reaches the user unchanged."""
    return PydanticCustomError(MISTAKE, "{sentence}", {"sentence": sentence})


def mistakes(found: Sequence[tuple[Path, str]]) -> PydanticCustomError:
    """Return one error for several mistakes, each with its path below the object that is being validated."""
    return PydanticCustomError(MISTAKE, "{sentence}", {"sentence": found[0][1], "found": list(found)})


def not_available(what: str, allowed: str) -> PydanticCustomError:
    """Return an error to raise inside a validator for a value that a later release gives life to."""
    sentence = f"{what} is not available yet; allowed: {allowed}"
    return PydanticCustomError(NOT_AVAILABLE, "{sentence}", {"sentence": sentence})


def path_text(path: Path) -> str:
    """Return a key path as people read it.

    >>> path_text(("models", 0, "performance_threshold", "a b"))
    "models[0].performance_threshold.'a b'"
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = re.fullmatch(r"[\w-]+", step) is not None and show(step) == repr(step)
            text += ("." if text else "") + (step if plain else show(step))
    return text


def error_of(problems: Iterable[Problem], source: str, lines: Mapping[Path, int] | None = None) -> ConfigError:
    """Return one error that lists all problems, one per line, in the order of the file.

    It is a :class:`~modelwatch.exceptions.NotAvailableError` if nothing is wrong but that all of it comes later.
    Raise it ``from None``: what stands behind it may hold the secrets that its text leaves out.
    """
    numbers = lines or {}
    listed = sorted(((_line_number(p.path, numbers), p) for p in problems), key=lambda pair: pair[0] or 0)
    text = "\n".join(dict.fromkeys(problem.line(source, number) for number, problem in listed))
    if all(problem.later for _, problem in listed):
        return NotAvailableError(text)
    return ConfigError(text)


def _line_number(path: Path, lines: Mapping[Path, int]) -> int | None:
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def explain(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Translate pydantic's errors about a `root` object into problems, in their order."""
    return [problem for details in error.errors(include_url=False) for problem in _problems(details, root)]


def _problems(details: ErrorDetails, root: type[BaseModel]) -> list[Problem]:
    found = details.get("ctx", {}).get("found") if details["type"] == MISTAKE else None
    if found is None:
        return [_problem(details, root)]
    return [Problem((*_written_path(details["loc"]), *below), sentence) for below, sentence in found]


def _problem(details: ErrorDetails, root: type[BaseModel]) -> Problem:
    location = details["loc"]
    path, kind = _written_path(location), details["type"]
    if kind in (MISTAKE, NOT_AVAILABLE):
        return Problem(path, details["msg"], later=kind == NOT_AVAILABLE)
    if kind == "extra_forbidden":
        return _unknown_key(path, _classes_at(root, location[:-1]))
    if location[-1:] == ("[key]",) and kind == "literal_error":
        options = _options(_field_at(root, location)[0].annotation)
        close = did_you_mean(str(details["input"]), options)
        return Problem(path, f"unknown key {show(details['input'])}{close}; allowed: {', '.join(options)}")
    if kind == "missing":
        return Problem(path[:-1], f"the key {path[-1]!r} is required and missing")
    if kind.startswith("union_tag"):
        return Problem(path, _wrong_tag(details, root))
    return Problem(path, _wrong_value(details, path, root))


def _written_path(location: Sequence[str | int]) -> Path:
    steps = [step for step in location if step != "[key]"]
    for name in TAGGED:
        if name in steps and len(steps) > (tag := steps.index(name) + 2):
            del steps[tag]
    return tuple(steps)


def _unknown_key(path: Path, owners: Sequence[type[BaseModel]]) -> Problem:
    key = str(path[-1])
    later = {name for owner in owners for name in getattr(owner, "later", ())}
    if key in later:
        return Problem(path, f"the key {key!r} is not available yet", later=True)
    known = _known_keys(owners)
    if key.lower() in SECRET_KEYS:
        return Problem(path, f"secrets are not written into a configuration; {_secret_hint(key, known)}")
    close = did_you_mean(key, [*known, *later])
    allowed = "" if close or not known else "; allowed: " + ", ".join(known)
    return Problem(path, f"unknown key {show(key)}{close}{allowed}")


def _secret_hint(key: str, known: Iterable[str]) -> str:
    files = [name for name in known if name.endswith("_file")]
    best = f"{key.lower()}_file" if f"{key.lower()}_file" in files else " or ".join(map(repr, files))
    if not files:
        return "only receivers take one, through a key that ends in '_file'"
    return (
        f"write it to a file and name that in {best!r}"
        if best in files
        else f"write it to a file and name that in {best}"
    )


def _known_keys(owners: Iterable[type[BaseModel]]) -> list[str]:
    hidden = {"defaulted"}
    keys = (field.alias or name for owner in owners for name, field in owner.model_fields.items())
    return [key for key in dict.fromkeys(keys) if key not in hidden]


def _wrong_tag(details: ErrorDetails, root: type[BaseModel]) -> str:
    known = [
        tag for owner in _classes_at(root, details["loc"]) for tag in _options(owner.model_fields["type"].annotation)
    ]
    allowed = "allowed types: " + ", ".join(known)
    tag = details.get("ctx", {}).get("tag")
    if not isinstance(details["input"], Mapping):
        return "must be a mapping of keys such as 'type' and 'min_severity'"
    if tag is None:
        return f"the key 'type' is required, because this receiver's name is none of the types; {allowed}"
    return f"unknown receiver type {show(tag)}{did_you_mean(str(tag), known)}; {allowed}"


def _wrong_value(details: ErrorDetails, path: Path, root: type[BaseModel]) -> str:
    value, location = details["input"], details["loc"]
    field, depth = _field_at(root, location)
    if field is None:
        return f"must be a mapping of keys, got {show(value)}"
    each = field.json_schema_extra.get(EACH) if isinstance(field.json_schema_extra, dict) else None
    allowed = each if each and depth < len(location) else field.description
    got = f", got {show(value)}" if _may_be_shown(path) else ""
    return f"must be {allowed or details['msg']}{got}{_hint(details, field.annotation)}"


def _may_be_shown(path: Path) -> bool:
    if "receivers" not in path:
        return True
    keys = path[path.index("receivers") + 2 :]
    return bool(keys) and keys[0] in SHOWN_OF_RECEIVERS


def _hint(details: ErrorDetails, annotation: object) -> str:
    value, kind = details["input"], details["type"]
    if kind == "literal_error" and isinstance(value, str):
        return did_you_mean(value, _options(annotation))
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return " (put it in quotes)"
    if kind in ("float_type", "int_type") and isinstance(value, str) and _is_number(value):
        return " (leave out the quotes)"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _options(annotation: object) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(option) for option in get_args(annotation)]
    return [option for part in get_args(annotation) for option in _options(part)]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _walk(root: type[BaseModel], location: Sequence[str | int]) -> Iterator[tuple[list[type[BaseModel]], Any]]:
    """Yield after each step of a location the models that may stand there, and the field it named, if any."""
    owners = [root]
    for step in location:
        fields = [f for o in owners for n, f in o.model_fields.items() if step in (n, f.alias)]
        tagged = [o for o in owners if "type" in o.model_fields and step in _options(o.model_fields["type"].annotation)]
        if fields:
            owners = list(_models_in(fields[0].annotation))
        elif tagged:
            owners = tagged
        yield owners, fields[0] if fields else None


def _classes_at(root: type[BaseModel], location: Sequence[str | int]) -> list[type[BaseModel]]:
    owners = [root]
    for step_owners, _ in _walk(root, location):
        owners = step_owners
    return owners


def _field_at(root: type[BaseModel], location: Sequence[str | int]) -> tuple[Any, int]:
    """Return the innermost field on the way to a location, and how many steps lead to it."""
    found, depth = None, 0
    for index, (_, field) in enumerate(_walk(root, location), 1):
        if field is not None:
            found, depth = field, index
    return found, depth
