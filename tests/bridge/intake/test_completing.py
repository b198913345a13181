"""Sets that became whole are joined, whatever the store does meanwhile."""

from collections.abc import Sequence

import msgspec
import pytest
import trio
from trio.testing import MockClock

from bridge.errors import StoreUnavailable
from bridge.intake import completing
from bridge.intake.completing import Completer
from bridge.intake.records import Joiner, fragment_record
from bridge.live import LiveView
from tests.fix_intake import NOW, FaultyStore, HeldThreads, fragment, new_ids


class Bench:
    def __init__(self, store: FaultyStore, threads: HeldThreads, live: LiveView) -> None:
        self.store = store
        self.rings = 0
        self.ids = new_ids()
        join = Joiner(lambda: live.table, self.ids, lambda: NOW)
        self.completer = Completer(threads, join, self.ring)

    def ring(self) -> None:
        self.rings += 1

    def whole_set(self, ref: int) -> int:
        parts = [fragment(seq, ref=ref, place=ref * 10 + seq) for seq in (1, 2)]
        recorded = self.store.record([fragment_record(p, self.ids, 1_800) for p in parts])
        assert recorded[1].whole
        return recorded[1].set_id

    def texts(self) -> list[str]:
        rows = self.store.messages()
        return [msgspec.json.decode(row.event)["data"]["content"] for row in rows]


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads, live_view: LiveView) -> Bench:
    return Bench(faulty_store, held, live_view)


async def test_a_whole_set_becomes_a_message_and_the_bell_is_rung(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.completer.run)
        bench.completer.add(bench.whole_set(1))
        await trio.sleep(1)
        assert bench.texts() == ["part1part2"]
        assert bench.rings == 1
        bench.completer.end()


async def test_at_the_end_what_waits_is_completed_first(bench: Bench) -> None:
    for ref in range(3):
        bench.completer.add(bench.whole_set(ref))
    bench.completer.end()
    await bench.completer.run()

    assert bench.texts() == ["part1part2"] * 3


async def test_while_the_store_fails_it_is_tried_again(
    bench: Bench, autojump_clock: MockClock
) -> None:
    def away(_: Sequence[object]) -> None:
        raise StoreUnavailable("away")

    set_id = bench.whole_set(1)
    bench.store.fault = away
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.completer.run)
        bench.completer.add(set_id)
        await trio.sleep(5.5)
        assert bench.texts() == []
        bench.store.fault = None
        await trio.sleep(1)
        assert bench.texts() == ["part1part2"]
        bench.completer.end()


async def test_at_the_end_a_store_that_fails_leaves_the_rest_to_the_janitor(bench: Bench) -> None:
    def away(_: Sequence[object]) -> None:
        raise StoreUnavailable("away")

    bench.completer.add(bench.whole_set(1))
    bench.store.fault = away
    bench.completer.end()
    with trio.fail_after(5):
        await bench.completer.run()

    assert bench.rings == 0


async def test_a_bug_costs_the_sets_it_met_a_while_and_nothing_else(
    bench: Bench, autojump_clock: MockClock
) -> None:
    def broken(_: Sequence[object]) -> None:
        raise ZeroDivisionError

    first, second = bench.whole_set(1), bench.whole_set(2)
    bench.store.fault = broken
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.completer.run)
        bench.completer.add(first)
        await trio.sleep(1)
        bench.store.fault = None
        bench.completer.add(second)
        await trio.sleep(1)
        bench.completer.end()

    assert bench.texts() == ["part1part2"]


async def test_more_sets_than_may_wait_are_left_to_the_janitor(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completing, "MOST_WAITING", 1)
    for ref in (1, 2):
        bench.completer.add(bench.whole_set(ref))
    bench.completer.end()
    await bench.completer.run()

    assert bench.texts() == ["part1part2"]
