"""Where features, predictions and all else are found in a call; what can't be found is refused at decoration."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from modelwatch.decorator.rows import ONE_ANSWER
from modelwatch.exceptions import InputError

Pick = str | Callable[..., Any] | None
"""Where a value comes from: the name of an argument, or a callable that is given the call's arguments."""
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
Reader = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""Reads a value from the arguments of a call."""


def name_of(function: object) -> str:
    """Return what a function is called in messages."""
    return getattr(function, "__qualname__", None) or f"{function!r:.200}"


def check_reference_path(reference: object) -> None:
    """Refuse, at decoration, a reference that names no profile.

    Raises
    ------
    InputError
        If it is neither a path nor "auto".
    """
    if reference is None or (isinstance(reference, (str, os.PathLike)) and str(reference).strip()):
        return
    got = "an empty text" if isinstance(reference, str) else type(reference).__name__
    msg = f"@monitor(reference=…) takes the path of a reference profile, or 'auto', got {got}"
    raise InputError(msg)


def exception_types(given: object) -> tuple[type[BaseException], ...]:
    """Return the exceptions to ignore, whatever they came in; checked now, as inside a call it would be too late."""
    kinds = (given,) if isinstance(given, type) else given
    if not isinstance(kinds, (tuple, list, set, frozenset)):
        msg = f"@monitor(ignore_errors=…) takes exception classes, got {type(given).__name__}"
        raise InputError(msg)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            msg = f"@monitor(ignore_errors=…) takes exception classes, got {kind!r:.80}"
            raise InputError(msg)
    return tuple(kinds)


def check_batch(batch: object) -> None:
    """Refuse anything but True, False and None.

    Raises
    ------
    InputError
        If it is something else.
    """
    if batch not in (True, False, None):
        msg = f"@monitor(batch=…) takes True, False, or None to tell by the call, got {batch!r:.80}"
        raise InputError(msg)


class Arguments:
    """How to find the features, and named arguments, in a call of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function_name = name_of(function)
        try:
            self._signature = inspect.signature(function)
        except (ValueError, TypeError) as error:
            msg = (
                f"@monitor on {self._function_name}: Python can't tell its arguments; decorate a function of your own"
                " that calls it"
            )
            raise InputError(msg) from error
        names = list(self._signature.parameters)
        # A plain function that becomes a method has no other mark than this convention.
        self._skip = 1 if names[:1] in (["self"], ["cls"]) else 0
        self._names = names[self._skip :]

    def features(self, said: Collection[object] = ()) -> Reader:
        """Return how to read the only argument, or all by name if there are several; but for those `said` otherwise."""
        names = [name for name in self._names if name not in said] or self._names
        kinds = {name: self._signature.parameters[name].kind for name in names}
        named = [name for name, kind in kinds.items() if kind not in _VARIADIC]
        if len(names) == 1 and not named:
            place, many = self._skip, kinds[names[0]] is inspect.Parameter.VAR_POSITIONAL
            return (lambda args, kwargs: args[place:]) if many else (lambda args, kwargs: kwargs)
        if len(named) != 1:
            return self._all(names)
        only = self._only(named[0])
        return only if len(names) == 1 else self._only_unless_more(only, self._all(names))

    def _only(self, name: str) -> Reader:
        place, default = self._skip + self._names.index(name), self._signature.parameters[name].default
        if self._signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY:
            return lambda args, kwargs: kwargs.get(name, default)

        def only(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return args[place] if len(args) > place else kwargs.get(name, default)

        return only

    def _only_unless_more(self, only: Reader, everything: Reader) -> Reader:
        """Read the one argument of a function that also takes whatever else is given, if nothing else is."""
        fixed = [name for name in self._names if self._signature.parameters[name].kind not in _VARIADIC]
        most = self._skip + len(fixed)

        def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            if len(args) > most or any(key not in fixed for key in kwargs):
                return everything(args, kwargs)
            value = only(args, kwargs)
            return everything(args, kwargs) if type(value) in ONE_ANSWER else value

        return read

    def _all(self, names: Sequence[str]) -> Reader:
        keywords = [n for n in names if self._signature.parameters[n].kind is inspect.Parameter.VAR_KEYWORD]

        def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            found = {name: bound.arguments[name] for name in names if name in bound.arguments}
            for name in keywords:
                found.update(found.pop(name))
            return found

        return read

    def reader(self, pick: Pick, what: str) -> Reader:
        """Return how to read what `pick` names from a call."""
        skip = self._skip
        if callable(pick):
            return lambda args, kwargs: pick(*args[skip:], **kwargs)
        if pick not in self._names:
            msg = f"@monitor({what}={pick!r}): {self._function_name} has no such argument; it has {self._names}"
            raise InputError(msg)

        def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return bound.arguments[pick]

        return read


def result_reader(pick: Pick) -> Callable[[Any], Any] | None:
    """Return how to read the prediction from a result; None if it is the result itself."""
    if pick is None or callable(pick):
        return pick

    def read(result: object) -> object:
        kind = type(result)
        if issubclass(kind, Mapping):
            return result[pick]  # type: ignore[index] # a mapping, as its type says
        if kind is list:  # the answers to a batch
            return [read(each) for each in result]  # type: ignore[attr-defined] # a list
        if hasattr(kind, "columns") or hasattr(kind, "column_names"):  # of pandas, polars or pyarrow
            return result[pick]  # type: ignore[index] # a table
        return getattr(result, pick)

    return read
