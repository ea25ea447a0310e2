"""A YAML or JSON file as plain values, with the line of every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, NoReturn

import yaml

from modelwatch.config.problems import Path, Problem
from modelwatch.config.values import show
from modelwatch.exceptions import ConfigError, did_you_mean

__all__ = ["SUFFIXES", "Document", "read_document"]

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 250_000
"""Keys and values with every alias followed: a small file can stand for a huge one, by accident or not."""

MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Document:
    """What a file holds, where its keys are, and what is wrong with it beyond its content."""

    value: Any
    lines: dict[Path, int]
    problems: list[Problem]


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``2026-11-20`` stays text, and ``1e-3`` is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def read_document(path: FilePath) -> Document:
    """Read a configuration file.

    Raises
    ------
    ConfigError
        If it cannot be read, is no text, breaks the rules of its format, or is empty.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: a configuration file must end in {', '.join(SUFFIXES)}, got {path.suffix!r}"
            + did_you_mean(path.suffix, SUFFIXES)
        )
    text = _read_text(path)
    try:
        document = _read_json(text, path) if path.suffix.lower() == ".json" else _read_yaml(text, path)
    except RecursionError:
        raise ConfigError(f"{path}: keys and lists are nested too deeply to read") from None
    if document.value is None:
        raise ConfigError(f"{path}: the file is empty; at least 'models:' with a list of models is needed")
    return document


def _read_text(path: FilePath) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration file: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: a configuration file must have at most {MAX_BYTES} bytes, got {len(raw)}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: must be UTF-8 text, got the byte 0x{raw[error.start]:02x}") from None


def _read_json(text: str, path: FilePath) -> Document:
    duplicates: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            duplicates.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return value

    if not text.strip():
        return Document(None, {}, [])
    try:
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not valid JSON at column {error.colno}: {error.msg}") from None
    except ValueError:
        raise ConfigError(f"{path}: not valid JSON: a number has too many digits") from None
    lines, problems = _json_lines(text)
    if duplicates and not problems:
        problems = [Problem((), f"the key {show(key)} is written twice in one object") for key in duplicates]
    return Document(value, lines, problems)


def _json_lines(text: str) -> tuple[dict[Path, int], list[Problem]]:
    """Find the lines of keys with the YAML reader, which reads nearly all JSON; where it can't, do without lines."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        return _survey(node)
    except (yaml.YAMLError, ConfigError):
        return {}, []


def _read_yaml(text: str, path: FilePath) -> Document:
    try:
        loader = _Loader(text)  # looks for control characters already
    except yaml.YAMLError as error:
        _raise_yaml(error, path)
    try:
        node = loader.get_single_node()
        lines, problems = _survey(node)
        value = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        _raise_yaml(error, path)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (ValueError, OverflowError):
        raise ConfigError(f"{path}: not valid YAML: a number or date cannot be read; put it in quotes") from None
    finally:
        loader.dispose()
    return Document(value, lines, problems)


def _raise_yaml(error: yaml.YAMLError, path: FilePath) -> NoReturn:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    column = f" at column {mark.column + 1}" if mark is not None else ""
    raise ConfigError(f"{place}: not valid YAML{column}: {_yaml_problem(error)}") from None


def _yaml_problem(error: yaml.YAMLError) -> str:
    """Say what is wrong without repeating text of the file: it may be part of a secret."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read")
    for clue, sentence in (
        ("alias", "a value that begins with * must be in quotes (or refers to an anchor that is not defined)"),
        ("anchor", "an anchor (&name) is defined twice; a value that begins with & must be in quotes"),
        ("constructor", "a value that begins with ! must be in quotes"),
        ("expected <block end>", "the indentation does not match that of the lines above"),
        ("tag handle", "a value that begins with ! must be in quotes"),
        ("\\t", "indent with spaces, not with a tab"),
        (
            "mapping values are not allowed",
            "a colon where none is allowed; check the indentation, or put the text in quotes",
        ),
        ("cannot start any token", "a value that begins with this character must be in quotes"),
        ("special characters", "the file holds a control character"),
        ("expected a single document", "the file holds more than one document (---)"),
    ):
        if clue in problem or clue in str(getattr(error, "context", "") or ""):
            return sentence
    return problem


def _survey(node: yaml.Node | None) -> tuple[dict[Path, int], list[Problem]]:
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    if node is not None:
        for count, (path, line, problem) in enumerate(_visit(node, (), ())):
            lines[path] = line
            if problem is not None:
                problems.append(problem)
            if count > MAX_NODES:
                raise ConfigError(f"more than {MAX_NODES} values, with every alias followed")
    return lines, problems


_Seen = Iterator[tuple[Path, int, Problem | None]]


def _visit(node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> _Seen:
    """Yield each key or item with its path, its line from 1, and what is wrong with it, if anything."""
    line = node.start_mark.line + 1
    if any(node is ancestor for ancestor in above):
        yield path, line, Problem(path, "an alias (*name) must not stand inside what it refers to")
        return
    if isinstance(node, yaml.MappingNode):
        yield from _visit_mapping(node, path, (*above, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1, None
            yield from _visit(item, (*path, index), (*above, node))


def _visit_mapping(node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]) -> _Seen:
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag == MERGE:
            yield from _visit(value, path, above)
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            written = f" {show(key.value)}" if isinstance(key, yaml.ScalarNode) else ""
            yield path, line, Problem(path, f"the key{written} must be text; put it in quotes")
            continue
        here = (*path, key.value)
        if key.value in first:
            yield (
                here,
                line,
                Problem(here, f"the key {show(key.value)} is written twice, first in line {first[key.value]}"),
            )
        else:
            first[key.value] = line
            yield here, line, None
        yield from _visit(value, here, above)
