"""A reference profile as JSON, and back. Reading trusts nothing: a profile may come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import PurePath
from typing import Any, NoReturn, TypeVar

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.correlation import CorrelationConstants
from modelwatch.profile.correlation_json import (
    by_hour_from_json,
    by_hour_json,
    correlation_from_json,
    correlation_json,
)
from modelwatch.profile.kinds import TASKS
from modelwatch.profile.moments import QUANTILES, Moments
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.serial_learnt import LearntReader, dump_natural, dump_strata
from modelwatch.profile.strata import Strata
from modelwatch.profile.values import MAX_TEXT, can_be_category
from modelwatch.records import PREDICTION, PREDICTION_SCORE, PREDICTIONS, CellLayout, FeatureCells, IntArray

SCHEMA_VERSION = 1
_MAX_COUNT = 2**53
_ANSWERS = {"prediction": PREDICTION, "prediction_score": PREDICTION_SCORE}
"""Where predictions stand in the document, in the order of the layout, and under which name."""

T = TypeVar("T")


def dump(profile: ReferenceProfile) -> str:
    """Return a profile as JSON, one line per feature, keys in a fixed order."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "id": profile.id,
        "revision": profile.revision,
        "created": profile.created.isoformat(),
        "model_id": profile.model_id,
        "model_version": profile.model_version,
        "task": profile.task,
        "rows": profile.rows,
        "labelled_rows": profile.labelled_rows,
        "days": profile.days,
        "time_range": list(profile.time_range) if profile.time_range else None,
        "timezone": profile.timezone,
        "decision_threshold": profile.decision_threshold,
        "calibrated": profile.calibrated,
        "strata": {"kind": profile.strata.kind, "timezone": profile.strata.timezone} if profile.strata else None,
        "natural_days": profile.natural_days,
        "options": dict(profile.options),
        "warnings": list(profile.warnings),
    }
    lines = [f" {_text(key)}: {_text(value)}" for key, value in head.items()]
    members = [_member_text(profile, index) for index in range(len(profile.layout.members))]
    score = members.pop() if profile.layout.score is not None else None
    prediction = members.pop() if profile.layout.prediction is not None else "null"
    features = ",\n  ".join(members)
    lines.append(f' "features": [\n  {features}\n ]')
    lines.append(f' "prediction": {prediction}')
    if score is not None:
        lines.append(f' "prediction_score": {score}')
    if profile.correlation is not None:
        lines.append(f' "correlation": {_text(correlation_json(profile.correlation))}')
    if profile.correlation_by_hour is not None:
        lines.append(f' "correlation_by_hour": {_text(by_hour_json(profile.correlation_by_hour))}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _member_text(profile: ReferenceProfile, index: int) -> str:
    member, first = profile.layout.members[index], profile.layout.offsets[index]
    own = _member_json(profile, member)
    if profile.natural:
        own["natural"] = dump_natural(profile.natural, index)
    if profile.strata is None:
        return _text(own)
    # Most of a file: without blanks, and without the zeros at the end.
    strata = dump_strata(profile.strata.counts[:, first : first + member.size])
    return f'{_text(own)[:-1]}, "strata": {strata}}}'


def _member_json(profile: ReferenceProfile, member: FeatureCells) -> dict[str, Any]:
    out = member.as_json()
    out["counts"] = profile.counts_of(member.name).tolist()
    moments = profile.moments.get(member.name)
    if moments is not None:
        out["moments"] = {
            "mean": moments.mean,
            "sd": moments.sd,
            "min": moments.minimum,
            "max": moments.maximum,
            **moments.quantiles,
        }
    if member.name in profile.importance:
        out["importance"] = profile.importance[member.name]
    return out


def parse(text: str, source: str) -> ReferenceProfile:
    """Rebuild a profile; raise ProfileError naming `source`, the place in it, and what is wrong."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProfileError(
            f"{source}: this is no JSON that a profile could be read from ({error}){advice(source)}"
        ) from error
    if not isinstance(document, dict):
        raise ProfileError(f"{source}: a profile is a JSON object, this is a {type(document).__name__}")
    return _Reader(source).read(document)


def advice(source: str) -> str:
    """Return what to do about a file that is no profile, where its name tells that it holds something else.

    >>> advice("profile.json"), advice("data.csv")[:49]
    ('', '; pass a profile, which `modelwatch reference bui')
    """
    if PurePath(source).suffix in ("", ".json"):
        return ""
    return (
        "; pass a profile, which `modelwatch reference build` or ReferenceProfile.save writes as JSON, or, to"
        " set_reference, the data itself"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


class _Reader:
    """Reads one document; every message begins with where it came from."""

    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, doc: Mapping[str, Any]) -> ReferenceProfile:
        self._check_version(doc)
        rows = self._whole(doc, "rows")
        members = [self._member(m, f"features[{i}]") for i, m in enumerate(self._get(doc, "features", list))]
        answers = {key: self._member(self._get(doc, key, dict), key) for key in _ANSWERS if doc.get(key) is not None}
        layout = CellLayout(
            tuple(m for m, *_ in members), *(answers[key][0] if key in answers else None for key in _ANSWERS)
        )
        everything = [*members, *answers.values()]
        self._check_members(doc, layout, everything, rows)
        given = [*doc["features"], *(doc[key] for key in answers)]
        learnt = LearntReader(self._source, layout, given)
        strata = learnt.strata(doc.get("strata"), rows)
        together = self._correlation(doc, layout)
        natural = learnt.natural()
        return ReferenceProfile(
            layout=layout,
            counts=np.concatenate([counts for _, counts, _, _ in everything]),
            rows=rows,
            moments={m.name: moments for m, _, moments, _ in everything if moments is not None},
            created=self._time(doc),
            task=self._one_of(doc, "task", (None, *TASKS)),
            model_id=self._printable(doc, "model_id"),
            model_version=self._printable(doc, "model_version"),
            decision_threshold=self._number(doc, "decision_threshold"),
            timezone=self._printable(doc, "timezone") if doc.get("timezone") is not None else None,
            days=self._whole(doc, "days"),
            time_range=self._range(doc),
            labelled_rows=self._whole(doc, "labelled_rows"),
            importance={m.name: weight for m, _, _, weight in everything if weight is not None},
            options=self._get(doc, "options", dict),
            warnings=tuple(self._warnings(doc)),
            strata=strata,
            natural=natural,
            natural_days=learnt.days(doc.get("natural_days", 0), natural),
            calibrated=self._get(doc, "calibrated", bool),
            correlation=together,
            correlation_by_hour=self._by_hour(doc, together, strata, layout),
            revision=self._whole(doc, "revision"),
        )

    def _fail(self, what: str) -> NoReturn:
        raise ProfileError(f"{self._source}: {what}")

    def _check_version(self, doc: Mapping[str, Any]) -> None:
        version = doc.get("schema_version")
        if version is None:
            self._fail("this is no reference profile: it has no schema_version")
        if version != SCHEMA_VERSION or isinstance(version, bool):
            self._fail(
                f"schema_version is {version!r}, this release reads {SCHEMA_VERSION}; build the profile again, "
                "or use the release of modelwatch that wrote it"
            )

    def _check_members(
        self, doc: Mapping[str, Any], layout: CellLayout, members: list[tuple[Any, ...]], rows: int
    ) -> None:
        if not members:
            self._fail("it has neither features nor a prediction")
        names = [member.name for member in layout.members]
        if not all(len(name) <= MAX_TEXT and name.isprintable() for name in names):
            self._fail(f"a feature has a name that is not at most {MAX_TEXT} printable characters")
        if len(set(names)) != len(names):
            self._fail("two features have the same name")
        if layout.score is not None and (layout.prediction is None or layout.score.kind != "numeric"):
            self._fail("prediction_score must be numeric, and beside a prediction")
        given = zip(_ANSWERS.values(), (layout.prediction, layout.score), strict=True)
        answers = [name for name, member in given if member is not None]
        if not PREDICTIONS.isdisjoint(names[: len(layout.features)]) or names[len(layout.features) :] != answers:
            self._fail(f'only the prediction may have the name "", only its score {PREDICTION_SCORE!r}, and no feature')
        # Of a feature whose counts were taken anew from production, there may be more or fewer.
        rebased = self._get(doc, "options", dict).get("rebased")
        for member, counts, _, _ in members:
            if counts.sum() != rows and not (isinstance(rebased, dict) and member.name in rebased):
                self._fail(f"the counts of {member.name!r} add up to {counts.sum()}, not to the {rows} rows")
        if self._get(doc, "id", str) != layout.id:
            self._fail("the id does not belong to the cells: the file was changed after it was built")

    def _member(self, value: object, where: str) -> tuple[FeatureCells, IntArray, Moments | None, float | None]:
        if not isinstance(value, dict):
            self._fail(f"{where} is no object")
        kind = self._one_of(value, "kind", ("numeric", "categorical"), where)
        name = self._get(value, "name", str, where)
        if kind == "numeric":
            cells = FeatureCells(name, "numeric", self._number(value, "minimum", where), self._edges(value, where))
            if cells.edges[0] < cells.minimum:
                self._fail(f"{where}.edges begin below the minimum")
        else:
            cells = FeatureCells(
                name,
                "categorical",
                categories=tuple(self._texts(value, "categories", where)),
                known=frozenset(self._texts(value, "known", where)),
                vocabulary_complete=self._get(value, "vocabulary_complete", bool, where),
            )
        counts = self._counts(value, cells.size, where)
        moments = self._moments(value, where) if kind == "numeric" else None
        weight = self._number(value, "importance", where) if "importance" in value else None
        return cells, counts, moments, weight

    def _edges(self, value: Mapping[str, Any], where: str) -> tuple[float, ...]:
        edges = [self._as_number(e, f"{where}.edges") for e in self._get(value, "edges", list, where)]
        if not edges or any(low >= high for low, high in pairwise(edges)):
            self._fail(f"{where}.edges must be at least one number, ascending")
        return tuple(edges)

    def _counts(self, value: Mapping[str, Any], size: int, where: str) -> IntArray:
        counts = self._get(value, "counts", list, where)
        if len(counts) != size:
            self._fail(f"{where}.counts has {len(counts)} entries, its cells are {size}")
        if not all(type(c) is int and 0 <= c <= _MAX_COUNT for c in counts):
            self._fail(f"{where}.counts must be whole numbers of at least 0")
        return np.array(counts, dtype=np.int64)

    def _moments(self, value: Mapping[str, Any], where: str) -> Moments:
        given = self._get(value, "moments", dict, where)
        where = f"{where}.moments"
        return Moments(
            mean=self._number(given, "mean", where),
            sd=self._number(given, "sd", where),
            minimum=self._number(given, "min", where),
            maximum=self._number(given, "max", where),
            quantiles={name: self._number(given, name, where) for name in QUANTILES},
        )

    def _texts(self, value: Mapping[str, Any], key: str, where: str) -> list[str]:
        texts = self._get(value, key, list, where)
        if not all(isinstance(text, str) and can_be_category(text) for text in texts):
            self._fail(f"{where}.{key} must be texts of at most {MAX_TEXT} printable characters")
        if len(set(texts)) != len(texts):
            self._fail(f"{where}.{key} holds a category twice")
        return texts

    def _printable(self, doc: Mapping[str, Any], key: str) -> str:
        # What is shown in a terminal must not be able to steer it.
        text = self._get(doc, key, str)
        if len(text) > MAX_TEXT or not text.isprintable():
            self._fail(f"{key} must be at most {MAX_TEXT} printable characters")
        return text

    def _warnings(self, doc: Mapping[str, Any]) -> list[str]:
        warnings = self._get(doc, "warnings", list)
        if not all(isinstance(text, str) and text.isprintable() for text in warnings):
            self._fail("warnings must be printable texts")
        return warnings

    def _range(self, doc: Mapping[str, Any]) -> tuple[float, float] | None:
        if doc.get("time_range") is None:
            return None
        ends = [self._as_number(end, "time_range") for end in self._get(doc, "time_range", list)]
        if len(ends) != 2 or ends[0] > ends[1]:
            self._fail("time_range must be two ascending numbers")
        return ends[0], ends[1]

    def _correlation(self, doc: Mapping[str, Any], layout: CellLayout) -> CorrelationConstants | None:
        if doc.get("correlation") is None:
            return None
        try:
            return correlation_from_json(doc["correlation"], layout)
        except ValueError as error:
            self._fail(str(error))

    def _by_hour(
        self,
        doc: Mapping[str, Any],
        together: CorrelationConstants | None,
        strata: Strata | None,
        layout: CellLayout,
    ) -> CorrelationConstants | None:
        if doc.get("correlation_by_hour") is None:
            return None
        if together is None or strata is None:
            self._fail("correlation_by_hour is there without correlation, or without counts by hour")
        try:
            return by_hour_from_json(doc["correlation_by_hour"], together, strata, layout)
        except ValueError as error:
            self._fail(str(error))

    def _time(self, doc: Mapping[str, Any]) -> datetime:
        text = self._get(doc, "created", str)
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            self._fail(f"created is {text[:40]!r}, which is no ISO-8601 time")

    def _one_of(self, value: Mapping[str, Any], key: str, allowed: tuple[T, ...], where: str = "") -> T:
        given = value.get(key)
        for option in allowed:
            if given == option:
                return option
        self._fail(f"{_place(where, key)} is {given!r}; it must be one of {', '.join(map(str, allowed))}")

    def _get(self, value: Mapping[str, Any], key: str, type_: type[T], where: str = "") -> T:
        given = value.get(key)
        if not isinstance(given, type_):
            problem = "is missing" if key not in value else f"is {given!r:.40}, not of type {type_.__name__}"
            self._fail(f"{_place(where, key)} {problem}")
        return given

    def _whole(self, value: Mapping[str, Any], key: str) -> int:
        number = self._get(value, key, int)
        if isinstance(number, bool) or not 0 <= number <= _MAX_COUNT:
            self._fail(f"{key} is {number!r}; it must be a whole number of at least 0")
        return number

    def _number(self, value: Mapping[str, Any], key: str, where: str = "") -> float:
        if key not in value:
            self._fail(f"{_place(where, key)} is missing")
        return self._as_number(value[key], _place(where, key))

    def _as_number(self, given: object, where: str) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            self._fail(f"{where} holds {given!r:.40}, which is no number")
        try:
            number = float(given)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._fail(f"{where} holds a number that is not finite")
        return number


def _place(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
