"""Metrics mounted in somebody's server: what the ASGI and the WSGI application answer."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric as Family

from modelwatch.collector import Source, make_asgi_app, make_wsgi_app, render
from modelwatch.exceptions import InputError

OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
Answer = tuple[int, dict[str, str], bytes]


def filled() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("served", "Requests.", ["who"], registry=registry).labels('a "b"').inc(3)
    Histogram("took_seconds", "Durations.", registry=registry).observe(0.2)
    return registry


REGISTRY = filled()


def ask_asgi(source: Source, method: str = "GET", query: str = "", accept: str = "", encoding: str = "") -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"accept", accept.encode("latin-1")), (b"accept-encoding", encoding.encode("latin-1"))]
    scope = {"type": "http", "method": method, "path": "/x", "query_string": query.encode("latin-1")}
    asyncio.run(make_asgi_app(source)(scope | {"headers": headers}, receive, send))
    start, body = sent
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, body["body"]


def ask_wsgi(source: Source, method: str = "GET", query: str = "", accept: str = "", encoding: str = "") -> Answer:
    started: list[Any] = []
    environ = {"REQUEST_METHOD": method, "QUERY_STRING": query, "HTTP_ACCEPT": accept, "HTTP_ACCEPT_ENCODING": encoding}
    body = b"".join(make_wsgi_app(source)(environ, lambda *given: started.append(given)))  # type: ignore[arg-type]
    ((status, headers),) = started
    return int(status.split()[0]), {name.lower(): value for name, value in headers}, body


ASK = pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])


@ASK
def test_get_is_answered_with_the_text_format(ask: Any) -> None:
    status, headers, body = ask(lambda: REGISTRY)
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b'served_total{who="a \\"b\\""} 3.0\n' in body
    assert headers["content-length"] == str(len(body))


@ASK
def test_open_metrics_is_for_those_who_ask(ask: Any) -> None:
    _, headers, body = ask(lambda: REGISTRY, accept=OPEN_METRICS)
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@ASK
def test_gzip_is_for_those_who_accept_it_and_caches_are_told(ask: Any) -> None:
    plain = ask(lambda: REGISTRY, encoding="gzip;q=0")
    packed = ask(lambda: REGISTRY, encoding="br, gzip")
    assert "content-encoding" not in plain[1]
    assert packed[1]["content-encoding"] == "gzip"
    assert gzip.decompress(packed[2]) == plain[2]
    assert plain[1]["vary"] == packed[1]["vary"] == "Accept, Accept-Encoding"


@ASK
def test_head_gets_the_headers_of_get_and_no_body(ask: Any) -> None:
    get, head = ask(lambda: REGISTRY), ask(lambda: REGISTRY, method="HEAD")
    assert head == (get[0], get[1], b"")


@ASK
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_other_methods_are_refused_with_those_allowed(ask: Any, method: str) -> None:
    status, headers, body = ask(lambda: REGISTRY, method=method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert body == b"metrics are read with GET or HEAD\n"


@ASK
def test_only_the_samples_that_were_named_are_shown(ask: Any) -> None:
    query = urlencode([("name[]", "took_seconds_count"), ("name[]", "no_such_thing")])
    _, _, body = ask(lambda: REGISTRY, query=query)
    assert [line for line in body.splitlines() if not line.startswith(b"#")] == [b"took_seconds_count 1.0"]


@ASK
def test_a_query_without_end_is_refused(ask: Any) -> None:
    assert ask(lambda: REGISTRY, query="a=1&" * 1001)[0] == 400


@ASK
def test_where_there_is_nothing_to_expose_the_answer_is_503_and_says_where_to_look(ask: Any) -> None:
    status, _, body = ask(lambda: None)
    assert status == 503
    assert b"the log of this process says why" in body


LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    query=LATIN | st.just("name[]=served_total"),
    accept=LATIN | st.just(OPEN_METRICS) | st.just("text/plain;version=1.0.0"),
    encoding=LATIN | st.sampled_from(["gzip", "*;q=0", "gzip;q=0.0"]),
)
def test_both_kinds_of_application_answer_alike_whatever_they_are_asked(
    method: str, query: str, accept: str, encoding: str
) -> None:
    def plain(answer: Answer) -> Answer:
        status, headers, body = answer
        packed = headers.get("content-encoding") == "gzip" and body
        # A gzip header holds the time of day.
        return (
            status,
            {n: v for n, v in headers.items() if n != "content-length"},
            gzip.decompress(body) if packed else body,
        )

    asked = {"method": method, "query": query, "accept": accept, "encoding": encoding}
    assert plain(ask_asgi(lambda: REGISTRY, **asked)) == plain(ask_wsgi(lambda: REGISTRY, **asked))


SAMPLES = sorted({sample.name for family in REGISTRY.collect() for sample in family.samples})


@given(names=st.sets(st.sampled_from(SAMPLES), min_size=1))
def test_a_selection_is_exactly_the_lines_of_the_whole_with_these_names(names: set[str]) -> None:
    def lines(text: bytes) -> set[bytes]:
        return {line for line in text.splitlines() if not line.startswith(b"#")}

    def name(line: bytes) -> str:
        return line.split(b"{")[0].split(b" ")[0].decode()

    whole, chosen = render(REGISTRY)[0], render(REGISTRY, names=sorted(names))[0]
    assert lines(chosen) == {line for line in lines(whole) if name(line) in names}


def test_the_event_loop_goes_on_while_the_metrics_are_collected() -> None:
    enough = threading.Event()
    in_time: list[bool] = []

    class Slow:
        def collect(self) -> Iterable[Family]:
            in_time.append(enough.wait(10))  # a loop that stood still would never get there
            return []

    registry = CollectorRegistry()
    registry.register(Slow())
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        async def heart() -> None:
            for _ in range(50):
                await asyncio.sleep(0)
            enough.set()

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        scrape = asyncio.create_task(make_asgi_app(lambda: registry)(scope, send, send))  # type: ignore[arg-type]
        await asyncio.gather(scrape, heart())

    asyncio.run(main())
    assert in_time == [True]
    assert sent[0]["status"] == 200


def test_the_server_starts_and_stops_with_it() -> None:
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(make_asgi_app(lambda: None)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_websocket_is_turned_away_and_what_nobody_knows_is_an_error() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(make_asgi_app(lambda: None)({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]
    with pytest.raises(InputError, match="by HTTP, not by 'gopher'"):
        asyncio.run(make_asgi_app(lambda: None)({"type": "gopher"}, receive, send))
