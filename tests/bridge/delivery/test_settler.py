"""Outcomes are written down in batches, whatever the store says."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from bridge.delivery.serving import ServedLane, prepare
from bridge.delivery.settler import ENOUGH, Settler
from bridge.errors import BatchRejected, StoreUnavailable
from bridge.model import Attempt, Endpoint
from bridge.store.contract import Settlement
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.message import Millis
from tests.fix_store import all_due, key, leased, message

ENDPOINT = Endpoint(
    name="a",
    url="https://receiver.example/",
    secrets=("whsec_" + "c2VjcmV0IG9mIHR3ZW50eS1mb3VyIG9jdGV0cyE=",),
)


class Picky(SqliteStore):
    """Refuses batches, as often as told or for a text in them; counts transactions."""

    unavailable = 0
    refused_text = "-"
    batches: list[int]

    def settle_lanes(self, batches: Sequence[tuple[str, int, Sequence[Settlement]]]) -> list[str]:
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable("away")
        every = [one for _, _, settlements in batches for one in settlements]
        if any(self.refused_text in one.attempt.response for one in every):
            raise BatchRejected("a text in a row")
        self.batches.append(len(every))
        return super().settle_lanes(batches)


class Bench:
    """A settler over a store with deliveries in lanes ``a`` and ``b``."""

    def __init__(self, store: Picky, count: int = 10) -> None:
        self.store = store
        store.record([message(f"{n}{lane}", key(n, link=f"lnk_{lane}"), lane)
                      for lane in "ab" for n in range(1, count + 1)])  # fmt: skip
        recipient = prepare(ENDPOINT, "1")
        self.lanes = {
            lane: ServedLane(lane, recipient, leased(store, lane).token, 1e9) for lane in "ab"
        }
        self.lost: list[str] = []
        self.settler = Settler(
            StoreThreads(store, inline=True),
            on_settled=lambda lane, settlements: lane.settled([s.delivery for s in settlements]),
            on_stale=lambda lane: self.lost.append(lane.name),
        )

    def finish(self, lane: str, response: str = "") -> int:
        """Hand over that everything due in a lane was delivered; how much that was."""
        due = all_due(self.store, lane)
        served = self.lanes[lane]
        served.take_in(due, len(due), 0)
        for one in due:
            attempt = Attempt(number=1, started_at=0, duration_ms=1, status=200, response=response)
            self.settler.put(
                served, Settlement(delivery=one.id, attempt=attempt, state="delivered")
            )
        return len(due)

    async def flush(self) -> None:
        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.settler.run)
                await self.settler.flushed()
                nursery.cancel_scope.cancel()


@pytest.fixture
def bench(tmp_path: Path, clock: Callable[[], Millis]) -> Bench:
    store = Picky(tmp_path / "store.db", clock=clock)
    store.batches = []
    return Bench(store)


async def test_all_lanes_are_settled_in_one_transaction(bench: Bench) -> None:
    count = bench.finish("a") + bench.finish("b")
    await bench.flush()

    assert bench.store.batches == [count]
    assert not any(lane.held for lane in bench.lanes.values())
    assert all_due(bench.store, "a") == all_due(bench.store, "b") == []


async def test_a_stale_lane_is_told_and_the_other_settled(bench: Bench) -> None:
    bench.store.release("prc_1", ["a"])
    leased(bench.store, "a", "prc_2")
    bench.finish("a")
    bench.finish("b")
    await bench.flush()

    assert bench.lost == ["a"]
    assert len(all_due(bench.store, "a")) == 10
    assert all_due(bench.store, "b") == []


async def test_a_store_that_is_away_is_tried_until_it_is_back(
    bench: Bench, autojump_clock: trio.testing.MockClock
) -> None:
    bench.store.unavailable = 100
    bench.finish("a")
    began = trio.current_time()
    await bench.flush()

    assert all_due(bench.store, "a") == []
    assert 450 < trio.current_time() - began < 500


async def test_one_that_cannot_be_stored_costs_only_its_texts(bench: Bench) -> None:
    bench.store.refused_text = "poison"
    bench.finish("a", response="fine")
    bench.finish("b", response="poison")
    await bench.flush()

    assert all_due(bench.store, "a") == all_due(bench.store, "b") == []


async def test_one_that_can_never_be_stored_stays_held(bench: Bench) -> None:
    bench.store.refused_text = ""  # refuses everything
    count = bench.finish("a")
    await bench.flush()

    assert len(bench.lanes["a"].held) == count
    assert len(all_due(bench.store, "a")) == count


def test_enough_is_less_than_one_transaction() -> None:
    assert ENOUGH < 1_000
