"""Orders about links."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from bridge.errors import StoreUnavailable
from bridge.intake.orders import POLL, Orders
from bridge.store.contract import Order
from smsc.inbox import LiveLink
from smsc.status import LinkStatus
from tests.fix_intake import NOW, FaultyStore, HeldThreads
from tests.fix_links import Link


class Bench:
    """A process with three links of two accounts."""

    def __init__(self, store: FaultyStore, threads: HeldThreads) -> None:
        self.store = store
        self.heard: list[list[str]] = []
        self.announced: list[tuple[str, str]] = []
        self.links = {
            name: Link(
                LinkStatus(
                    link=name, account=account, peer="192.0.2.1:1", state="bound",
                    opened_at=NOW, alive_at=NOW,
                ),
                lambda _: None,
            )
            for name, account in (("lnk_1", "acme"), ("lnk_2", "acme"), ("lnk_3", "other"))
        }  # fmt: skip
        self.orders = Orders(
            threads,
            lambda: NOW + int(trio.current_time() * 1_000),
            self.serving,
            heed=self.heed,
            announce=self.announce,
        )

    def serving(self) -> list[LiveLink]:
        return [link for link in self.links.values() if link.shown.state == "bound"]

    def heed(self, orders: Sequence[Order]) -> None:
        self.heard.append([order.id for order in orders])

    async def announce(self, status: LinkStatus) -> None:
        await trio.lowlevel.checkpoint()
        self.announced.append((status.link, status.state))
        raise StoreUnavailable("away")  # the next beat tells it

    def give(self, number: int, kind: str = "probe", **what: str) -> None:
        made = Order(id=f"ord_{number}", kind=kind, until=NOW + 60_000, **what)  # type: ignore[arg-type]  # short for tests
        self.store.order(made)

    def probed(self) -> list[int]:
        return [link.probed for link in self.links.values()]


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads) -> Bench:
    return Bench(faulty_store, held)


async def test_r24_a_link_is_probed_once_for_an_order(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.give(1, link="lnk_2")
    bench.give(2, link="lnk_9")
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            await bench.orders.look(nursery)

    assert bench.probed() == [0, 1, 0]
    assert bench.announced == [("lnk_2", "bound")]


async def test_r24_who_stays_silent_is_gone_and_told_of(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.links["lnk_3"].alive = False
    bench.give(1, link="lnk_3")
    async with trio.open_nursery() as nursery:
        await bench.orders.look(nursery)

    assert bench.links["lnk_3"].shown.state == "closed"
    assert bench.announced == [("lnk_3", "closed")]


async def test_all_links_of_an_account(bench: Bench, autojump_clock: MockClock) -> None:
    bench.give(1, account="acme")
    async with trio.open_nursery() as nursery:
        await bench.orders.look(nursery)

    assert bench.probed() == [1, 1, 0]


async def test_two_orders_do_not_ask_one_link_at_once(
    bench: Bench, autojump_clock: MockClock
) -> None:
    hold = bench.links["lnk_1"].hold = trio.Event()
    bench.give(1, link="lnk_1")
    bench.give(2, account="acme")
    async with trio.open_nursery() as nursery:
        await bench.orders.look(nursery)
        await trio.testing.wait_all_tasks_blocked()
        hold.set()

    assert bench.probed() == [1, 1, 0]


async def test_other_orders_are_handed_on_with_every_look(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.give(1, "record", account="acme")
    bench.give(2, link="lnk_1")
    async with trio.open_nursery() as nursery:
        await bench.orders.look(nursery)
        await trio.sleep(61)
        await bench.orders.look(nursery)

    assert bench.heard == [["ord_1"], []]


async def test_it_looks_when_rung_for_and_every_second(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.orders.run)
        await trio.testing.wait_all_tasks_blocked()
        assert bench.heard == []
        bench.orders.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert len(bench.heard) == 1
        await trio.sleep(POLL + 0.1)
        assert len(bench.heard) == 2
        nursery.cancel_scope.cancel()


async def test_a_store_that_is_away_keeps_the_orders(
    bench: Bench, autojump_clock: MockClock
) -> None:
    def away(_: int) -> list[Order]:
        raise StoreUnavailable("away")

    bench.give(1, link="lnk_1")
    bench.store.orders = away  # type: ignore[assignment,method-assign]  # a fault
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.orders.run)
        await trio.sleep(3 * POLL)
        assert bench.probed() == [0, 0, 0]
        del bench.store.orders
        await trio.sleep(2 * POLL)
        nursery.cancel_scope.cancel()

    assert bench.probed() == [1, 0, 0]
