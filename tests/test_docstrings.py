"""Every public name, method and argument is explained, and shown in an example that runs.

Examples run as doctests with all other tests; here it is only asked whether they are there.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel

import modelwatch

HEADER = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
PLUMBING = {"caller", "knows", "attach_profile", "reference_of", "storage", "metrics_places", "closed"}
"""Public by spelling, used by the decorator and the status page; explained in a line each."""


def sections(text: str) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by title; what stands before the first one is under ""."""
    parts = HEADER.split(inspect.cleandoc(text))
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented(section: str) -> set[str]:
    """Return the names that a Parameters section explains, each with a line or more below it."""
    names: set[str] = set()
    lines = section.strip("\n").splitlines()
    for line, below in pairwise([*lines, ""]):
        if line and not line.startswith(" ") and below.startswith("    "):
            names |= {name.strip().lstrip("*") for name in line.partition(" : ")[0].split(",")}
    return names


class Public:
    """One thing that people call, and where it is explained."""

    def __init__(self, path: str, function: Any, doc: str | None, owner: type | None = None) -> None:
        self.path, self.function, self.doc = path, function, doc or ""
        self.owner_doc = (owner.__doc__ or "") if owner is not None else ""

    @property
    def arguments(self) -> set[str]:
        fields = getattr(self.function, "model_fields", None)
        if fields is not None:
            return set(fields)
        return set(inspect.signature(self.function).parameters) - {"self", "cls"}

    @property
    def returns(self) -> bool:
        if inspect.isclass(self.function):
            return False
        return inspect.signature(self.function).return_annotation not in (None, "None")

    @property
    def shown(self) -> bool:
        """Whether an example of its own, or of its class, uses it."""
        name = self.path.rpartition(".")[2]
        calls = [line for line in self.owner_doc.splitlines() if re.match(r"\s*(>>>|\.\.\.) ", line)]
        return ">>> " in self.doc or any(re.search(rf"\b{name}\b", line) for line in calls)


def members(name: str, cls: type) -> Iterator[Public]:
    ours = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "modelwatch"]
    for key in sorted({key for base in ours for key in vars(base) if not key.startswith("_")} - PLUMBING):
        found: Any = inspect.getattr_static(cls, key)
        if not isinstance(found, cached_property) and inspect.isroutine(found):
            function = getattr(found, "__func__", found)
            yield Public(f"{name}.{key}", function, function.__doc__, cls)


def public() -> Iterator[Public]:
    for name in modelwatch.__all__:
        thing = getattr(modelwatch, name)
        if inspect.isclass(thing):
            yield Public(name, thing, thing.__doc__)
            yield from members(name, thing)
        elif inspect.isfunction(thing):
            yield Public(name, thing, thing.__doc__)
        elif callable(thing):
            yield Public(name, type(thing).__call__, type(thing).__call__.__doc__)
            yield from members(name, type(thing))


def properties() -> Iterator[tuple[str, Any]]:
    for name in modelwatch.__all__:
        thing = getattr(modelwatch, name)
        for key in dir(thing) if inspect.isclass(thing) else ():
            found = inspect.getattr_static(thing, key)
            function = getattr(found, "fget", None) or getattr(found, "func", None)
            if not key.startswith("_") and function is not None and function.__module__.startswith("modelwatch"):
                yield f"{name}.{key}", function


ALL = {thing.path: thing for thing in public()}
# Built by `build` and `load`, never by hand; its fields are explained where they stand.
MADE_OTHERWISE = {"ReferenceProfile"}
CALLABLE = {path: t for path, t in ALL.items() if path not in MADE_OTHERWISE and path != "AlertLevel"}


def test_there_is_something_to_look_at() -> None:
    assert {"ProductionMonitoringService.record_prediction", "monitor.flush", "start_metrics_server"} <= set(CALLABLE)
    assert len(CALLABLE) > 40


@pytest.mark.parametrize("path", ALL)
def test_a_sentence_says_what_it_is_for(path: str) -> None:
    first = sections(ALL[path].doc)[""].strip().partition("\n")[0]
    assert re.match(r"^[A-Z]\S* .+[.,;:]", first), f"{path}: {first!r}"


@pytest.mark.parametrize("path", CALLABLE)
def test_every_argument_is_explained_and_nothing_that_is_none(path: str) -> None:
    thing = CALLABLE[path]
    explained = documented(sections(thing.doc).get("Parameters", ""))
    assert thing.arguments - explained == set(), f"{path} does not explain these"
    assert explained - thing.arguments == set(), f"{path} explains what it does not take"


@pytest.mark.parametrize("path", CALLABLE)
def test_what_is_returned_is_explained(path: str) -> None:
    thing = CALLABLE[path]
    text = sections(thing.doc)
    assert ("Returns" in text) == thing.returns, path
    if thing.returns:
        assert re.search(r"^\w.*$", text["Returns"], re.MULTILINE), path


@pytest.mark.parametrize("path", CALLABLE)
def test_an_example_shows_it(path: str) -> None:
    assert CALLABLE[path].shown, path


@pytest.mark.parametrize("path", CALLABLE)
def test_sections_stand_in_the_order_of_numpydoc(path: str) -> None:
    known = ["", "Parameters", "Returns", "Raises", "Notes", "References", "Examples"]
    found = list(sections(CALLABLE[path].doc))
    assert set(found) <= set(known), path
    assert found == sorted(found, key=known.index), path


@pytest.mark.parametrize(("path", "function"), list(properties()))
def test_every_property_is_explained(path: str, function: Any) -> None:
    assert re.match(r"^[A-Z].+\.", (function.__doc__ or "").strip(), re.DOTALL), path


def test_every_member_of_an_enumeration_is_explained() -> None:
    for name in modelwatch.__all__:
        thing = getattr(modelwatch, name)
        if inspect.isclass(thing) and issubclass(thing, enum.Enum):
            for member in thing:
                assert re.search(rf"\b{member.name}\b", thing.__doc__ or ""), f"{name}.{member.name}"


def test_calls_that_answer_with_a_dict_name_its_keys() -> None:
    for path, thing in CALLABLE.items():
        if not inspect.isclass(thing.function) and inspect.signature(thing.function).return_annotation == "Result":
            returns = sections(thing.doc).get("Returns", "")
            assert re.search(r"\bstatus\b", returns), f"{path}: {returns!r}"


def test_configurations_are_checked_field_by_field() -> None:
    configured = {
        path for path, t in CALLABLE.items() if inspect.isclass(t.function) and issubclass(t.function, BaseModel)
    }
    assert configured == {"ModelMonitoringConfig", "DriftMonitoringConfig"}
