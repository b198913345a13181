"""The live configuration: followed within a second, applied as a difference."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bridge import passwords
from bridge.config import LiveFile, load
from bridge.errors import StoreUnavailable
from bridge.live import LiveView, apply_file, declared
from bridge.model import Live, Number
from bridge.store.contract import LiveObject
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NOW = 1_795_000_000_000
FILE = """
[[accounts]]
name = "acme"
system_id = "acme"
password = "secret08"

[[tenants]]
name = "retail"

[[numbers]]
number = "+447700900999"
routes = ["support"]

[[routes]]
name = "support"
endpoints = ["helpdesk"]

[[endpoints]]
name = "helpdesk"
url = "https://example.com/"
secrets = ["whsec_QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD"]
"""


class Store(SqliteStore):
    """The real one, with a switch that takes it away."""

    away = False

    def live(self, known: int = -1) -> Live | None:
        if self.away:
            raise StoreUnavailable("away")
        return super().live(known)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db", clock=lambda: NOW)


def file(text: str = FILE) -> LiveFile:
    return load(text, "test.toml", {}, str)[1]


def test_a_file_becomes_objects_of_each_kind(store: Store) -> None:
    applied = apply_file(store, file(), NOW)
    live = store.live()

    assert sorted(applied.added) == [
        "account acme", "endpoint helpdesk", "number +447700900999", "route support",
        "tenant retail",
    ]  # fmt: skip
    assert live is not None
    assert live.numbers == file().numbers
    assert live.endpoints == file().endpoints
    assert passwords.verify(live.accounts[0].password_hash, "secret08")


def test_applying_the_same_file_again_changes_nothing(store: Store) -> None:
    first = apply_file(store, file(), NOW)
    second = apply_file(store, file(), NOW)

    assert second.revision == first.revision
    assert (second.added, second.changed, second.removed) == ((), (), ())


def test_a_new_password_is_a_change(store: Store) -> None:
    apply_file(store, file(), NOW)

    applied = apply_file(store, file(FILE.replace("secret08", "secret09")), NOW)

    assert applied.changed == ("account acme",)


def test_what_a_file_declares_no_more_is_removed(store: Store) -> None:
    apply_file(store, file(), NOW)

    applied = apply_file(store, LiveFile(source="test.toml"), NOW)

    assert len(applied.removed) == 5


def test_no_password_is_stored_in_plain() -> None:
    objects = declared(file(), Live())

    assert not any(b"secret08" in each.json for each in objects)


def test_no_representation_shows_a_secret_or_a_hash(store: Store) -> None:
    objects = declared(file(), Live())
    apply_file(store, file(), NOW)

    for shown in (repr(objects), repr(store.live()), repr(file())):
        assert "acme" in shown or "test.toml" in shown
        for secret in ("argon2", "QUJD", "secret08"):
            assert secret not in shown


async def test_a_view_shows_the_newest_revision_whole(store: Store) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    told: list[int] = []
    view.subscribe(lambda: told.append(view.current.revision))
    await view.load()
    apply_file(store, file(), NOW)
    await view.load()
    await view.load()

    assert [each.name for each in view.current.accounts] == ["acme"]
    assert view.accounts["acme"] is view.current.accounts[0]
    assert view.table.match("+447700900999").number == "+447700900999"
    assert told[-1] == view.current.revision
    assert len(told) == len(set(told))


async def test_a_change_is_seen_within_a_second(store: Store, autojump_clock: MockClock) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    seen = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.follow)
        await wait_all_tasks_blocked()
        await trio.sleep(1.5)
        view.subscribe(seen.set)
        apply_file(store, file(), NOW)
        with trio.fail_after(1):
            await seen.wait()
        nursery.cancel_scope.cancel()


async def test_a_ring_makes_it_seen_at_once(store: Store, autojump_clock: MockClock) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    seen = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.follow)
        await trio.sleep(1.5)
        view.subscribe(seen.set)
        apply_file(store, file(), NOW)
        view.wake()
        with trio.fail_after(0.1):
            await seen.wait()
        nursery.cancel_scope.cancel()


async def test_while_the_store_is_away_the_last_revision_stays_in_force(
    store: Store, autojump_clock: MockClock
) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    apply_file(store, file(), NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.follow)
        await trio.sleep(2)
        store.away = True
        apply = SqliteStore.live(store)
        await trio.sleep(10)
        held = view.current
        store.away = False
        apply_file(store, LiveFile(source="test.toml"), NOW)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()

    assert held == apply
    assert view.current.accounts == ()


async def test_what_a_newer_version_wrote_leaves_the_last_revision_in_force(
    store: Store, autojump_clock: MockClock
) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    apply_file(store, file(), NOW)
    newer = LiveObject("number", "60777", b'{"number":"60777","of_tomorrow":1}')
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.follow)
        await trio.sleep(2)
        held = view.current
        store.apply("newer.toml", [newer], NOW)
        await trio.sleep(5)
        assert view.current is held
        store.apply("newer.toml", [], NOW)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()

    assert view.current.revision == held.revision + 2


async def test_an_earlier_reading_never_overtakes_a_later_one(store: Store) -> None:
    apply_file(store, file(), NOW)
    first, may_go = trio.Event(), trio.Event()

    class Slow(StoreThreads):
        async def read(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
            found = await super().read(call, *args)
            if not first.is_set():
                first.set()
                await may_go.wait()
            return found

    view = LiveView(Slow(store, inline=True))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.load)
        await first.wait()
        apply_file(store, LiveFile(source="test.toml"), NOW)
        nursery.start_soon(view.load)
        await wait_all_tasks_blocked()
        may_go.set()

    assert view.current.accounts == ()


async def test_a_subscriber_that_fails_stops_nobody(store: Store) -> None:
    view = LiveView(StoreThreads(store, inline=True))
    told: list[int] = []

    def failing() -> None:
        raise ValueError("a bug")

    view.subscribe(failing)
    view.subscribe(lambda: told.append(1))
    apply_file(store, file(), NOW)
    await view.load()

    assert told


async def test_a_view_may_begin_with_a_revision(store: Store) -> None:
    live = Live(revision=3, numbers=(Number(number="*"),))

    view = LiveView(StoreThreads(store, inline=True), live)

    assert view.table.match("anything").number == "*"
