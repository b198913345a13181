"""Upkeep: each task does its part, and none suffers from another's trouble."""

from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from bridge.errors import StoreUnavailable
from bridge.intake.records import Joiner, fragment_record, message_record
from bridge.intake.routing import RoutingTable
from bridge.janitor import LONGEST_PAUSE, ORPHAN, Janitor
from bridge.live import LiveView
from bridge.model import Live
from bridge.store.contract import LiveObject
from bridge.store.records import Room
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.message import Millis
from tests.fix_intake import LIVE, NOW, fragment, message, new_ids


class Store(SqliteStore):
    """The real one; calls in :attr:`failing` fail, all are counted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, clock=lambda: NOW)
        self.failing: set[str] = set()
        self.calls: dict[str, int] = {}

    def _called(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if name in self.failing:
            raise StoreUnavailable("away")

    def prune(self, now: Millis) -> int:
        self._called("prune")
        return super().prune(now)

    def checkpoint(self) -> None:
        self._called("checkpoint")
        super().checkpoint()

    def backlog(self) -> dict[str, int]:
        self._called("backlog")
        return super().backlog()


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.rings = 0
        self.vanished = 0
        self.threads = StoreThreads(store, inline=True)
        self.live = LiveView(self.threads, LIVE)
        self.ids = new_ids()
        self.join = Joiner(lambda: self.live.table, self.ids, lambda: self.now)
        self.janitor = Janitor(
            self.threads,
            self.live,
            self.join,
            lambda: self.now,
            ring=self.ring,
            doubt_vanished=self.doubt,
            room=Room(parts=200, octets=1_000_000),
        )

    def ring(self) -> None:
        self.rings += 1

    async def doubt(self) -> int:
        self.vanished += 1
        return 0

    def texts(self) -> list[str]:
        rows = self.store.messages()
        return [msgspec.json.decode(row.event)["data"]["content"] for row in rows]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Store(tmp_path / "store.db"))


def store_part(bench: Bench, seq: int, ref: int = 7) -> None:
    part = fragment(seq, ref=ref, place=ref * 10 + seq)
    bench.store.record([fragment_record(part, bench.ids, 1_800)])


async def test_r15_a_message_whose_time_is_up_is_delivered_with_gaps(bench: Bench) -> None:
    store_part(bench, 2)
    assert not await bench.janitor.expire_sets()
    assert bench.texts() == []
    bench.now = NOW + 1_800_001
    assert not await bench.janitor.expire_sets()

    assert bench.texts() == ["[…]part2"]
    assert bench.rings == 1


async def test_a_set_that_a_crash_left_whole_is_completed(bench: Bench) -> None:
    store_part(bench, 1)
    store_part(bench, 2)
    await bench.janitor.expire_sets()

    assert bench.texts() == ["part1part2"]


async def test_more_sets_than_it_may_do_at_once_are_gone_on_with(bench: Bench) -> None:
    for ref in range(101):
        store_part(bench, 1, ref)
    bench.now = NOW + 1_800_001

    assert await bench.janitor.expire_sets()
    assert not await bench.janitor.expire_sets()
    assert len(bench.store.messages(limit=200)) == 101


async def test_r18_what_there_is_no_room_for_is_delivered_with_gaps(bench: Bench) -> None:
    bench.store.record(
        [fragment_record(fragment(1, ref=n, place=n + 1), bench.ids, 1_800) for n in range(203)]
    )
    await bench.janitor.expire_sets()

    assert bench.texts() == ["part1[…]"] * 3
    assert bench.rings == 1


def deliver_to(bench: Bench, endpoint: str) -> None:
    """Store a message with a delivery to an endpoint, whatever is configured."""
    live = replace(
        LIVE,
        routes=(replace(LIVE.routes[0], endpoints=(endpoint,)),),
        endpoints=(replace(LIVE.endpoints[0], name=endpoint),),
    )
    record = message_record(message(), RoutingTable(live), new_ids(), NOW)
    bench.store.record([record])


def declare(bench: Bench, name: str) -> None:
    endpoint = replace(LIVE.endpoints[0], name=name)
    bench.store.apply(
        "elsewhere", [LiveObject("endpoint", name, msgspec.json.encode(endpoint))], NOW
    )


async def test_what_waits_for_nobody_becomes_a_dead_letter(bench: Bench) -> None:
    deliver_to(bench, "gone")
    declare(bench, "other")
    assert not await bench.janitor.bury_orphans()

    (letter,) = bench.store.dead_letters()
    assert (letter.endpoint, letter.reason) == ("gone", ORPHAN)
    assert bench.store.backlog() == {}


async def test_an_endpoint_we_have_not_heard_of_yet_keeps_what_is_its(bench: Bench) -> None:
    bench.live._set(Live())
    deliver_to(bench, "helpdesk")
    declare(bench, "helpdesk")
    await bench.janitor.bury_orphans()

    assert bench.store.backlog() == {"helpdesk": 1}
    assert [each.name for each in bench.live.current.endpoints] == ["helpdesk"]


async def test_all_tasks_run_in_their_rhythm(bench: Bench, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.janitor.run)
        await trio.sleep(59.5)
        nursery.cancel_scope.cancel()

    assert bench.store.calls == {"checkpoint": 60, "prune": 12, "backlog": 2}
    assert bench.vanished == 30 + 12


async def test_one_tasks_trouble_is_not_the_others(bench: Bench, autojump_clock: MockClock) -> None:
    bench.store.failing = {"checkpoint"}
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.janitor.run)
        await trio.sleep(599.5)
        tries = bench.store.calls["checkpoint"]
        assert 10 < tries < 20, "later and later"
        assert bench.store.calls["prune"] == 120
        bench.store.failing = set()
        await trio.sleep(LONGEST_PAUSE + 10)
        assert bench.store.calls["checkpoint"] > tries + 5, "in its rhythm again"
        nursery.cancel_scope.cancel()


async def test_a_bug_in_a_task_does_not_stop_it(
    bench: Bench, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> int:
        bench.vanished += 1
        raise ZeroDivisionError

    monkeypatch.setattr(bench.janitor, "_doubt_vanished", broken)
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.janitor.run)
        await trio.sleep(30)
        nursery.cancel_scope.cancel()

    assert bench.vanished > 2


async def test_keys_are_kept_until_the_vanished_were_seen_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> int:
        raise StoreUnavailable("away")

    monkeypatch.setattr(bench.janitor, "_doubt_vanished", away)
    with pytest.raises(StoreUnavailable):
        await bench.janitor.prune()

    assert "prune" not in bench.store.calls


async def test_without_a_way_to_find_the_vanished_it_does_the_rest(bench: Bench) -> None:
    janitor = Janitor(bench.threads, bench.live, bench.join, lambda: NOW)

    assert not await janitor.see_to_vanished()
    assert not await janitor.prune()
