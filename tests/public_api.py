"""Print the public API, a line for all that people can write: ``python tests/public_api.py > tests/public_api.txt``.

Annotations and defaults stand as in the source, so that all versions of Python print the same.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import modelwatch


def describe() -> Iterator[str]:
    """Return the lines, name by name."""
    for name in sorted(modelwatch.__all__):
        thing = getattr(modelwatch, name)
        if inspect.isclass(thing):
            yield from _class(name, thing)
        elif callable(thing) and not inspect.isfunction(thing):
            yield f"{name}{signature(type(thing).__call__)}"
            yield from _members(name, type(thing))
        elif callable(thing):
            yield f"{name}{signature(thing)}"
        else:
            yield f"{name}: {type(thing).__name__}"


def _class(name: str, cls: type) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__mro__[1:] if base in (str, enum.Enum, BaseModel)]
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if issubclass(cls, enum.Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in cls)
    elif issubclass(cls, BaseModel):
        yield from (f"{name}({line})" for line in _fields(cls))
    else:
        yield f"{name}{signature(cls.__init__)}"
    yield from _members(name, cls)


def _fields(cls: type[BaseModel]) -> Iterator[str]:
    written = {key: value for base in reversed(cls.__mro__) for key, value in inspect.get_annotations(base).items()}
    for name, info in cls.model_fields.items():
        yield f"{name}: {written[name]}{_default(info)}"


def _default(info: FieldInfo) -> str:
    return "" if info.is_required() else f" = {info.get_default(call_default_factory=True)!r}"


def _members(name: str, cls: type) -> Iterator[str]:
    for key in sorted(public_members(cls)):
        found = inspect.getattr_static(cls, key)
        if isinstance(found, (staticmethod, classmethod)):
            yield f"{name}.{key}{signature(found.__func__)}  [{type(found).__name__}]"
        elif inspect.isfunction(found):
            yield f"{name}.{key}{signature(found)}"
        else:
            function = getattr(found, "fget", None) or getattr(found, "func", None)
            yield f"{name}.{key}{signature(function)}  [property]" if function else f"{name}.{key}  [attribute]"


def public_members(cls: type) -> list[str]:
    """Return the methods and properties of a class that are ours and meant for everybody."""
    ours = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "modelwatch"]
    names = {key for base in ours for key, value in vars(base).items() if not key.startswith("_") and _is_member(value)}
    return sorted(names - set(getattr(cls, "model_fields", {})))


def _is_member(value: object) -> bool:
    return inspect.isroutine(value) or (hasattr(type(value), "__get__") and not isinstance(value, type))


def signature(function: Any) -> str:
    """Return a signature as it is written, without quotes around annotations."""
    shown = inspect.signature(function, follow_wrapped=True)
    parameters = [_Written.of(parameter) for parameter in shown.parameters.values()]
    return str(shown.replace(parameters=parameters, return_annotation=_Written.text(shown.return_annotation)))


class _Written:
    """An annotation that prints as the text it was written as."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    @classmethod
    def text(cls, annotation: Any) -> Any:
        return cls(annotation) if isinstance(annotation, str) else annotation

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> inspect.Parameter:
        default = parameter.default
        if inspect.isroutine(default):  # `clock=time.time` prints with no address in memory
            parameter = parameter.replace(default=_Written(f"{default.__module__}.{default.__name__}"))
        return parameter.replace(annotation=cls.text(parameter.annotation))


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in describe())
