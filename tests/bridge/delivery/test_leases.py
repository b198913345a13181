"""Who serves which lane, on a mock clock and a real store."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
import trio.testing

from bridge.delivery.leases import LEASE, MARGIN, RENEW, Leases
from bridge.delivery.serving import Recipient, prepare
from bridge.errors import StoreUnavailable
from bridge.model import Endpoint
from bridge.store.contract import Lease, ProcessStatus, Store
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.message import Millis


def recipient(name: str, lanes: int = 1) -> Recipient:
    secret = "whsec_" + "c2VjcmV0IG9mIHR3ZW50eS1mb3VyIG9jdGV0cyE="
    return prepare(
        Endpoint(name=name, url="https://receiver.example/", secrets=(secret,), lanes=lanes), "1"
    )


class Away(SqliteStore):
    """A store that can be away."""

    away = False

    def lease(self, process: str, lanes: object, ttl: float) -> list[Lease]:
        if self.away:
            raise StoreUnavailable("away")
        return super().lease(process, lanes, ttl)  # type: ignore[arg-type]  # passed on


class Bench:
    """Leases of one process over a store whose clock is trio's."""

    def __init__(self, path: Path) -> None:
        self.store = Away(path, clock=self.clock)
        self.recipients: dict[str, Recipient] = {"a": recipient("a"), "b": recipient("b")}
        self.first = self.process("prc_1")

    @staticmethod
    def clock() -> Millis:
        try:
            return 1_000_000 + round(trio.current_time() * 1_000)
        except RuntimeError:  # outside of a run: the store is being opened
            return 1_000_000

    def process(self, name: str) -> Leases:
        def recipients() -> Mapping[str, Recipient]:
            return self.recipients

        return Leases(
            StoreThreads(self.store, inline=True),
            name,
            self.clock,
            recipients=recipients,
            on_taken=lambda: None,
        )

    def beat(self, store: Store, *names: str) -> None:
        for name in names:
            status = ProcessStatus(
                id=name, node="n", pid=1, pid_started=0, role="delivery", started_at=0,
                seen_at=self.clock(),
            )  # fmt: skip
            store.beat(status, (), self.clock())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store.db")


async def running(nursery: trio.Nursery, *processes: Leases) -> None:
    """Run these, until all have arranged themselves."""
    for process in processes:
        nursery.start_soon(process.run)
    await trio.sleep(RENEW + 1)


async def test_every_lane_is_taken_and_kept(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    await running(nursery, bench.first)
    tokens = {name: lane.token for name, lane in bench.first.lanes.items()}
    await trio.sleep(10 * LEASE)

    assert {name: lane.token for name, lane in bench.first.lanes.items()} == tokens
    assert set(tokens) == {"a", "b"}
    assert all(lane.lease_until > trio.current_time() for lane in bench.first.lanes.values())


async def test_a_lease_that_cannot_be_renewed_ends_the_sending_before_it_runs_out(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    await running(nursery, bench.first)
    bench.store.away = True
    lane = bench.first.lanes["a"]
    await trio.sleep_until(lane.lease_until)
    assert lane.room(trio.current_time()) == 0

    bench.store.away = False
    await trio.sleep(MARGIN)
    assert bench.first.lanes["a"].room(trio.current_time()) > 0


async def test_a_lane_lost_meanwhile_is_forgotten_and_taken_again_when_it_is_free(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    await running(nursery, bench.first)
    before = bench.first.lanes["a"]
    bench.store.release("prc_1", ["a"])
    bench.store.lease("prc_2", ["a"], 12)
    await trio.sleep(RENEW + 1)
    assert "a" not in bench.first.lanes
    assert before.retiring

    await trio.sleep(12)
    assert bench.first.lanes["a"].token > before.token


async def test_a_process_that_comes_gets_its_share_and_leaves_it_to_the_others(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench.recipients = {name: recipient(name) for name in "abcdefgh"}
    await running(nursery, bench.first)
    assert len(bench.first.lanes) == 8

    second = bench.process("prc_2")
    async with trio.open_nursery() as life:
        life.start_soon(second.run)
        for _ in range(15):
            bench.beat(bench.store, "prc_1", "prc_2")
            await trio.sleep(1)
        assert 0 < len(second.lanes) < 8
        assert set(bench.first.lanes) | set(second.lanes) == set("abcdefgh")
        assert not set(bench.first.lanes) & set(second.lanes)
        life.cancel_scope.cancel()
    await second.give_back()
    assert second.lanes == {}

    for _ in range(2 * round(RENEW) + 2):
        bench.beat(bench.store, "prc_1")
        await trio.sleep(1)
    assert len(bench.first.lanes) == 8


async def test_a_lane_with_something_under_way_is_kept_until_that_is_settled(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    await running(nursery, bench.first)
    lane = bench.first.lanes["a"]
    lane.held.add(1)
    del bench.recipients["a"]
    await trio.sleep(2 * LEASE)
    assert lane.retiring
    assert bench.store.lease("prc_2", ["a"], 1) == []

    lane.settled([1])
    bench.first.retire(lane)
    await trio.sleep(1)
    assert [lease.lane for lease in bench.store.lease("prc_2", ["a"], 1)] == ["a"]


async def test_leftover_lanes_of_a_known_endpoint_are_served_others_not(
    bench: Bench, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    await running(nursery, bench.first)
    bench.first.notice(["a/3", "unknown", "unknown/1"])
    await trio.sleep(0.1)

    assert set(bench.first.lanes) == {"a", "b", "a/3"}
