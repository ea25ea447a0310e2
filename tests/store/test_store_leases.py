"""One holder at a time."""

from __future__ import annotations

import threading
from pathlib import Path

from modelwatch.store import StoreWriter


def test_a_lease_is_held_renewed_and_taken_over_when_it_ran_out(writer: StoreWriter) -> None:
    assert writer.acquire_lease("checks", "a", ttl=30, now=100)
    assert not writer.acquire_lease("checks", "b", ttl=30, now=129.9)
    assert writer.acquire_lease("checks", "a", ttl=30, now=120)
    assert not writer.acquire_lease("checks", "b", ttl=30, now=149)
    assert writer.acquire_lease("checks", "b", ttl=30, now=150)
    assert not writer.acquire_lease("checks", "a", ttl=30, now=151)


def test_a_lease_given_back_is_free_but_only_by_its_holder(writer: StoreWriter) -> None:
    writer.acquire_lease("checks", "a", ttl=30, now=0)
    assert not writer.release_lease("checks", "b")
    assert writer.lease_holder("checks", 1) == "a"
    assert writer.release_lease("checks", "a")
    assert writer.lease_holder("checks", 1) is None
    assert writer.acquire_lease("checks", "b", ttl=30, now=1)


def test_a_lease_from_a_clock_that_was_set_back_does_not_last_for_ever(writer: StoreWriter) -> None:
    writer.acquire_lease("checks", "dead", ttl=30, now=1e9)
    assert not writer.acquire_lease("checks", "b", ttl=30, now=1e9 - 20)
    assert writer.acquire_lease("checks", "b", ttl=30, now=1e9 - 3600)


def test_leases_of_other_names_are_other_leases(writer: StoreWriter) -> None:
    assert writer.acquire_lease("x", "a", ttl=30, now=0)
    assert writer.acquire_lease("y", "b", ttl=30, now=0)


def test_of_many_who_ask_at_once_one_gets_it(folder: Path) -> None:
    stores = [StoreWriter(folder) for _ in range(4)]
    won: list[str] = []

    def ask(number: int) -> None:
        for lease in range(20):
            if stores[number].acquire_lease(f"lease {lease}", f"holder {number}", ttl=60, now=0):
                won.append(f"lease {lease}")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sorted(won) == sorted(f"lease {lease}" for lease in range(20))
