"""A handler that would deliver nothing is refused when it is given, not at the first alert."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.exceptions import InputError


async def send(alert: dict[str, Any]) -> None:
    raise AssertionError(alert)


def one_by_one(alert: dict[str, Any]) -> Any:
    yield alert


class Sender:
    async def __call__(self, alert: dict[str, Any]) -> None:
        raise AssertionError(alert)

    async def send(self, alert: dict[str, Any]) -> None:
        raise AssertionError(alert)


WAITING = [send, functools.partial(functools.partial(send)), Sender(), Sender().send, functools.partial(Sender())]


@pytest.mark.parametrize("handler", WAITING)
def test_an_async_handler_is_refused_in_whatever_wrapping(make_service: Any, handler: Any) -> None:
    answer = make_service().register_alert_handler("email", handler)
    assert answer["status"] == "error"
    assert "the handler of channel 'email' is an async function, which delivers nothing" in answer["error"]
    with pytest.raises(InputError, match="is an async function"):
        make_service(alert_handlers={"email": handler})


def test_a_generator_is_refused(make_service: Any) -> None:
    assert "is a generator" in make_service().register_alert_handler("email", one_by_one)["error"]


def test_a_plain_function_in_a_partial_and_a_class_of_ones_own_are_welcome(make_service: Any, inbox: Any) -> None:
    service = make_service()
    handlers: list[Any] = [inbox, functools.partial(inbox), inbox.__call__, print, [].append]
    for handler in handlers:
        assert service.register_alert_handler("email", handler)["status"] == "success"


@pytest.mark.parametrize(
    ("handlers", "sentence"),
    [
        ({"email": "x@example.com"}, "the handler of channel 'email' must be callable, got str"),
        ([print], "alert_handlers must be a dict of channel and callable, got list"),
        (print, "alert_handlers must be a dict of channel and callable, got builtin_function_or_method"),
        ({5: print}, "channel must be text"),
    ],
)
def test_the_constructor_refuses_what_is_no_handler_and_makes_nothing(
    tmp_path: Any, handlers: Any, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        ProductionMonitoringService(storage_path=tmp_path / "s", alert_handlers=handlers, background=False)
    assert not (tmp_path / "s").exists()
