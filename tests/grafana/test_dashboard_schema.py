"""The keys and kinds of values of the dashboards are those of Grafana's own schema, as its Python SDK knows it."""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Json = dict[str, Any]

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11")


def there_and_back(dashboard: Json) -> Json:
    with warnings.catch_warnings():
        # The SDK would rather have the format that only Grafana 13 reads.
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard
    register_default_plugins()
    back = json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(dashboard)), cls=JSONEncoder))
    assert isinstance(back, dict)
    return back


def changes(given: Any, back: Any, where: str = "") -> Iterator[str]:
    """Yield what did not survive. What came back besides are defaults that we leave to Grafana."""
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key not in back:
                yield f"{where}/{key} is unknown"
            else:
                yield from changes(value, back[key], f"{where}/{key}")
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for i, (one, other) in enumerate(zip(given, back, strict=True)):
            yield from changes(one, other, f"{where}[{i}]")
    elif given != back or type(given) is not type(back):
        yield f"{where}: {given!r} came back as {back!r}"


def test_grafana_s_own_types_know_every_key_of_ours(dashboard: Json) -> None:
    assert list(changes(dashboard, there_and_back(dashboard))) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(refersh="30s"),
        lambda d: d["panels"][1].update(descripton="x"),
        lambda d: d["panels"][1]["options"].update(texMode="name"),
        lambda d: d["panels"][1]["targets"][0].update(legendFromat="x"),
        lambda d: d["templating"]["list"][1].update(allVaule=".+"),
        lambda d: d["annotations"]["list"][1].update(titelFormat="x"),
    ],
)
def test_a_misspelt_key_would_be_found(dashboard: Json, spoil: Callable[[Json], None]) -> None:
    spoilt = copy.deepcopy(dashboard)
    spoil(spoilt)
    assert len(list(changes(spoilt, there_and_back(spoilt)))) == 1
