"""One port, several workers: who serves it, who stands by, and who takes over."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import Metric as Family

from modelwatch.collector import MetricsServer, Source, connections
from modelwatch.collector import server as server_module
from modelwatch.collector.turns import Turn
from modelwatch.demo.servers import free_port
from modelwatch.exceptions import InputError

HOST = "127.0.0.1"
Start = Callable[..., MetricsServer]
Wait = Callable[..., None]


def named(name: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("worker_number", "Which worker answers.", ["name"], registry=registry).labels(name).set(1)
    return registry


def answering(port: int) -> str:
    """Return the name of the worker that answers on a port; "" if none does."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode()).partition('name="')[2].partition('"')[0]
    except (urllib.error.URLError, OSError):
        return ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a factory of servers that name themselves, on one storage."""
    made: list[MetricsServer] = []

    def make(
        name: str,
        port: int,
        storage: Path | None = tmp_path / "storage",
        addr: str = HOST,
        source: Source | None = None,
    ) -> MetricsServer:
        registry = named(name)
        made.append(MetricsServer(port, addr, source or (lambda: registry), storage))
        return made[-1]

    yield make
    for server in made:
        server.close()


def test_the_first_serves_and_the_next_takes_over_when_it_is_gone(start: Start, wait_until: Wait) -> None:
    port = free_port()
    first, second = start("first", port), start("second", port)
    assert (first.serving, second.serving, answering(port)) == (True, False, "first")
    assert first.port == second.port == port
    first.close()
    wait_until(lambda: second.serving)
    assert answering(port) == "second"


def test_one_that_stands_by_and_is_closed_never_serves(start: Start, wait_until: Wait) -> None:
    port = free_port()
    first, second, third = (start(name, port) for name in ("first", "second", "third"))
    second.close()
    first.close()
    wait_until(lambda: third.serving)
    assert answering(port) == "third"


def test_closing_hands_the_port_on_and_waits_for_the_answer_under_way(start: Start, wait_until: Wait) -> None:
    asked, may_answer = threading.Event(), threading.Event()
    order: list[str] = []

    class Slow:
        def collect(self) -> Iterable[Family]:
            asked.set()
            may_answer.wait(10)
            order.append("collected")
            return []

    registry, port = CollectorRegistry(), free_port()
    registry.register(Slow())
    first = start("first", port, source=lambda: registry)
    second = start("second", port)
    scrape = threading.Thread(target=answering, args=(port,))
    scrape.start()
    assert asked.wait(5)

    def close() -> None:
        first.close()
        order.append("closed")

    closing = threading.Thread(target=close)
    closing.start()
    wait_until(lambda: second.serving)
    may_answer.set()
    closing.join(5)
    scrape.join(5)
    assert order == ["collected", "closed"]


def test_closing_cuts_nobody_off_who_has_connected(start: Start) -> None:
    server = start("first", 0)
    clients = [socket.create_connection((HOST, server.port), 5) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    server.close()
    for client in clients:
        with client, client.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.0 200 OK\r\n"


def test_an_application_with_another_storage_is_told_that_the_port_is_taken(start: Start, tmp_path: Path) -> None:
    port = free_port()
    start("first", port)
    with pytest.raises(
        InputError, match=rf"{HOST}:{port}: Address already in use; .*another storage than {tmp_path}/b"
    ):
        start("second", port, tmp_path / "b")
    assert answering(port) == "first"


def test_a_port_of_another_program_is_an_error_and_the_turn_is_given_back(start: Start, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        for _ in range(2):
            with pytest.raises(InputError, match="another program has that port"):
                start("ours", port)
    assert start("ours", port).serving


def test_who_stands_by_for_a_port_of_another_program_says_so_once_and_serves_when_it_is_free(
    start: Start, tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "COMPLAIN_SECONDS", 0.0)
    monkeypatch.setattr(server_module, "STAND_BY_SECONDS", 0.01)
    tries: list[int] = []
    really_try = MetricsServer._try

    def try_and_count(server: MetricsServer) -> bool:
        tries.append(1)
        return really_try(server)

    monkeypatch.setattr(MetricsServer, "_try", try_and_count)
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        elsewhere = Turn(tmp_path / "storage", HOST, port)
        assert elsewhere.take()
        ours = start("ours", port)
        elsewhere.give_back()
        wait_until(lambda: caplog.records)
        before = len(tries)
        wait_until(lambda: len(tries) > before + 3)
    wait_until(lambda: ours.serving)
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1
    assert answering(port) == "ours"


def test_any_free_port_is_for_one_worker_alone(start: Start) -> None:
    first, second = start("first", 0), start("second", 0)
    assert first.port != second.port
    assert (answering(first.port), answering(second.port)) == ("first", "second")


def test_where_nothing_can_be_locked_whoever_comes_first_has_the_port(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    port = free_port()
    start("first", port, tmp_path / "file")
    with pytest.raises(InputError, match=f"{HOST}:{port}"):
        start("second", port, tmp_path / "file")
    assert answering(port) == "first"


@pytest.mark.parametrize("port", [-1, 65536, 99999, "9100", True, None, 9100.0])
def test_what_is_no_port_is_refused_with_what_is(start: Start, port: Any) -> None:
    with pytest.raises(InputError, match="port must be a whole number from 0"):
        start("x", port)


@pytest.mark.parametrize("addr", ["no.such.host.invalid", "203.0.113.1", "", "a" * 300 + ".example", None])
def test_an_address_that_is_not_ours_is_refused(start: Start, addr: Any) -> None:
    with pytest.raises(InputError, match=r"metrics can't be served on|addr must be text"):
        start("x", 9100, addr=addr)


def test_an_ipv6_address_is_written_as_urls_want_it(start: Start) -> None:
    server = start("six", 0, addr="::1")
    assert server.url == f"http://[::1]:{server.port}/metrics"
    with urllib.request.urlopen(server.url, timeout=5) as answer:
        assert answer.status == 200


@given(addr=st.text(), port=st.integers(1, 65535))
def test_the_lock_of_any_address_is_a_file_in_its_folder(addr: str, port: int) -> None:
    storage = Path("/storage")
    path = Turn(storage, addr, port).path
    assert path.parent == storage / "ports"
    assert path.resolve() == path
    assert len(path.name) < 200


def test_a_lock_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    first, second = (Turn(tmp_path, HOST, 9100) for _ in range(2))
    assert first.take()
    first.path.unlink()
    assert second.take()
    first.give_back()
    assert not Turn(tmp_path, HOST, 9100).take()
    second.give_back()


FORKED = """
import os, sys
from pathlib import Path
from prometheus_client import CollectorRegistry, Gauge
from modelwatch.collector import MetricsServer

def start(name):
    registry = CollectorRegistry()
    Gauge("worker_number", "Which worker answers.", ["name"], registry=registry).labels(name).set(1)
    return MetricsServer(int(sys.argv[1]), "127.0.0.1", lambda: registry, Path(sys.argv[2]))

server = start("parent")
if os.fork() == 0:
    again = start("child")
    print("child", os.getpid(), server.alive, server.serving, again.alive, again.serving, flush=True)
    server.close()  # the parent's: nothing happens
    sys.stdin.read()
    os._exit(0)
print("parent", os.getpid(), server.serving, flush=True)
sys.stdin.read()
"""


def test_the_child_of_a_fork_keeps_neither_port_nor_turn_and_takes_over_when_its_parent_is_killed(
    tmp_path: Path, start: Start, wait_until: Wait
) -> None:
    port, storage = free_port(), tmp_path / "storage"
    process = subprocess.Popen(
        [sys.executable, "-c", FORKED, str(port), str(storage)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = dict(line.split(" ", 1) for line in (process.stdout.readline(), process.stdout.readline()))
    try:
        assert said["parent"].split()[1:] == ["True"]
        assert said["child"].split()[1:] == ["False", "False", "True", "False"]
        assert answering(port) == "parent"
        process.kill()
        process.wait()
        wait_until(lambda: answering(port) == "child", 5.0)
        third = start("third", port)
        assert not third.serving
        os.kill(int(said["child"].split()[0]), signal.SIGKILL)
        wait_until(lambda: third.serving, 5.0)
        assert answering(port) == "third"
    finally:
        process.communicate()


def _metrics_threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def _silent(port: int, how_many: int) -> list[socket.socket]:
    return [socket.create_connection((HOST, port), 5) for _ in range(how_many)]


def test_a_scrape_works_beside_a_hundred_connections_that_say_nothing(start: Start) -> None:
    server = start("first", 0)
    silent = _silent(server.port, 100)
    assert answering(server.port) == "first"
    assert _metrics_threads() <= connections.MOST_THREADS
    for client in silent:
        client.close()


def test_it_is_the_oldest_silent_connection_that_goes(start: Start) -> None:
    server = start("first", 0)
    silent = _silent(server.port, connections.MOST_THREADS)
    assert answering(server.port) == "first"
    assert silent[0].recv(1) == b""
    silent[-1].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert silent[-1].recv(15) == b"HTTP/1.0 200 OK"
    for client in silent:
        client.close()


def test_who_dribbles_a_request_is_cut_off_in_favour_of_others_too(start: Start) -> None:
    server = start("first", 0)
    dribbling = _silent(server.port, 3 * connections.MOST_THREADS)
    for client in dribbling:
        with contextlib.suppress(OSError):
            client.sendall(b"GET /metrics HTTP/1.0\r\nHost: ")
    assert answering(server.port) == "first"
    for client in dribbling:
        client.close()


def test_where_all_threads_are_answering_one_more_is_told_to_come_again(
    start: Start, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    may_answer = threading.Event()

    class Slow:
        def describe(self) -> Iterable[Family]:
            return []

        def collect(self) -> Iterable[Family]:
            asked.append(1)
            may_answer.wait(10)
            return []

    registry = CollectorRegistry()
    registry.register(Slow())
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.1)
    server = start("first", 0, source=lambda: registry)
    clients = _silent(server.port, connections.MOST_THREADS)
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    wait_until(lambda: len(asked) == connections.MOST_THREADS)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{HOST}:{server.port}/metrics", timeout=5)
    with refused.value as answer:
        assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
    may_answer.set()
    for client in clients:
        with client:
            assert client.recv(15) == b"HTTP/1.0 200 OK"
    wait_until(lambda: _metrics_threads() == 0)


def test_many_scrapes_at_once_are_all_answered(start: Start) -> None:
    port, clients = start("first", 0).port, []
    for _ in range(5 * connections.MOST_THREADS):
        clients += _silent(port, 1)
        clients[-1].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    for client in clients:
        with client, client.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.0 200 OK\r\n"


def test_a_client_that_says_nothing_is_let_go_soon(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections._Handler, "timeout", 0.05)
    (client,) = _silent(start("first", 0).port, 1)
    with client:
        assert client.recv(1) == b""
