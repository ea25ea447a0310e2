"""The file that an Alertmanager has loaded: whom its routes tell of an alert, and which alerts mute which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Route", "inhibitions", "matches", "receiver_names", "root_of", "told"]

_MATCHER = re.compile(
    r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s=!~,"{}]+))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,{}]*))\s*'
)
"""A name, an operator and a value, the first and the last with or without quotes."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

Matcher = tuple[str, str, str]
"""A label, an operator, and a value or pattern."""


@dataclass(frozen=True)
class Route:
    """A route as Alertmanager reads it: what it leaves out comes from the one above."""

    matchers: tuple[Matcher, ...]
    receiver: str
    goes_on: bool
    routes: tuple[Route, ...]


def root_of(config: Mapping[str, Any]) -> Route:
    """Return the routes of a file.

    Raises
    ------
    ValueError
        If a matcher is none that this understands.
    """
    return _route(config.get("route") or {}, "")


def _route(route: Mapping[str, Any], above: str) -> Route:
    receiver = str(route.get("receiver") or above)
    below = tuple(_route(child, receiver) for child in route.get("routes") or ())
    return Route(_matchers(route, ""), receiver, bool(route.get("continue")), below)


def _matchers(holder: Mapping[str, Any], prefix: str) -> tuple[Matcher, ...]:
    """Return the matchers of a route, or of a side of an inhibition, in order; also in the form of old files."""
    found = [matcher for text in holder.get(f"{prefix}matchers") or () for matcher in _parsed(str(text))]
    found += [(str(k), "=", str(v)) for k, v in (holder.get(f"{prefix}match") or {}).items()]
    found += [(str(k), "=~", str(v)) for k, v in (holder.get(f"{prefix}match_re") or {}).items()]
    return tuple(sorted(found))


def _parsed(text: str) -> Iterator[Matcher]:
    r"""Yield the matchers of a text.

    >>> list(_parsed('{severity=~"a|b", model_id="say \\"hi\\""}')), list(_parsed("team != ml"))
    ([('severity', '=~', 'a|b'), ('model_id', '=', 'say "hi"')], [('team', '!=', 'ml')])
    """
    rest = text.strip().removeprefix("{").removesuffix("}")
    while rest.strip():
        found = _MATCHER.match(rest)
        if found is None:
            raise ValueError("a matcher of its file can't be read")
        quoted_name, name, operator, quoted, bare = found.groups()
        yield _plain(quoted_name) if name is None else name, operator, bare if quoted is None else _plain(quoted)
        rest = rest[found.end() :].removeprefix(",")


def _plain(quoted: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], quoted)


def matches(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Return whether an alert with some labels is meant; a label that is missing is an empty one."""
    return all(_holds(labels.get(name, ""), operator, value) for name, operator, value in matchers)


def _holds(value: str, operator: str, wanted: str) -> bool:
    if operator in ("=", "!="):
        return (value == wanted) == (operator == "=")
    return (re.fullmatch(wanted, value) is not None) == (operator == "=~")


def told(route: Route, labels: Mapping[str, str]) -> list[str]:
    """Return whom routes tell of an alert; nobody if they are not for it.

    >>> ours = Route((("alertname", "=~", "MLModel.+"),), "ml", False, ())
    >>> told(Route((), "others", False, (ours,)), {"alertname": "MLModelDataDrift"})
    ['ml']
    """
    if not matches(route.matchers, labels):
        return []
    found: list[str] = []
    for child in route.routes:
        below = told(child, labels)
        found += below
        if below and not child.goes_on:
            break
    return found or [route.receiver]


def receiver_names(config: Mapping[str, Any]) -> set[str]:
    """Return what the receivers of a file are called."""
    return {str(one.get("name")) for one in config.get("receivers") or () if isinstance(one, dict)}


def inhibitions(config: Mapping[str, Any]) -> set[tuple[tuple[Matcher, ...], tuple[Matcher, ...], tuple[str, ...]]]:
    """Return which alerts of a file mute which, and what both must have in common.

    Raises
    ------
    ValueError
        If a matcher is none that this understands.
    """
    return {
        (_matchers(rule, "source_"), _matchers(rule, "target_"), tuple(sorted(map(str, rule.get("equal") or ()))))
        for rule in config.get("inhibit_rules") or ()
    }
