"""Places for links: counting them, and freeing one whose peer is gone."""

from collections.abc import Callable

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from bridge.errors import StoreUnavailable
from bridge.intake import places as module
from bridge.intake.places import ELSEWHERE, GRANT_LASTS, ROOM, Places
from bridge.store.contract import Order, ProcessStatus
from smsc.config import Account
from smsc.status import LinkStatus
from tests.fix_intake import NOW, FaultyStore, HeldThreads
from tests.fix_links import Link

ACME = Account(name="acme", system_id="acme", max_links=2)
HERE, THERE = "192.0.2.1:5000", "192.0.2.2:5000"


def status(link: str, *, peer: str = HERE, age: int = 0, account: str = "acme") -> LinkStatus:
    return LinkStatus(
        link=link, account=account, peer=peer, state="bound", opened_at=NOW, alive_at=NOW - age
    )


class Bench:
    """Places with links of this process, and a store that knows of another's."""

    def __init__(self, store: FaultyStore, threads: HeldThreads) -> None:
        self.store = store
        self.rings = 0
        self.links: dict[str, Link] = {}
        self.on_ring: Callable[[list[Order]], None] = lambda _: None
        self.places = Places(threads, self.now, new_id=lambda: "ord_1", ring=self.ring)

    @staticmethod
    def now() -> int:
        return NOW + int(trio.current_time() * 1_000)

    def ring(self) -> None:
        self.rings += 1
        self.on_ring(self.store.orders(self.now()))

    def open(self, shown: LinkStatus, *, alive: bool = True) -> Link:
        link = self.links[shown.link] = Link(shown, self.closed, alive=alive)
        self.places.opened(link)
        return link

    def closed(self, status: LinkStatus) -> None:
        self.places.closed(status.link)

    def tell(self, *links: LinkStatus) -> None:
        """What another process tells the store of its links."""
        other = ProcessStatus(
            id="prc_2", node="n/b", pid=2, pid_started=0.0, role="carrier", started_at=NOW
        )
        self.store.beat(other, links, NOW)

    async def room(self, account: Account = ACME, peer: str = HERE) -> bool:
        await self.places.look()
        return await self.places.make_room(account, peer)

    def probed(self) -> list[str]:
        return [name for name, link in self.links.items() if link.probed]


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads) -> Bench:
    return Bench(faulty_store, held)


async def test_room_that_is_there_costs_nobody_a_question(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.open(status("lnk_1"))

    assert await bench.room()
    assert bench.probed() == []


async def test_r24_of_links_of_the_same_address_the_silent_one_is_asked_first(
    bench: Bench,
    autojump_clock: MockClock,
) -> None:
    account = replace(ACME, max_links=4)
    for shown in (
        status("lnk_1", peer=THERE, age=90_000),
        status("lnk_2", age=10),
        status("lnk_3", peer="192.0.2.1:9", age=5_000),
        status("lnk_4", peer=THERE),
    ):
        bench.open(shown, alive=False)

    freed = []
    for _ in range(4):
        assert await bench.room(account)
        freed.append(next(name for name in bench.probed() if name not in freed))
        bench.places.grant(f"new_{len(freed)}", "acme")

    assert freed == ["lnk_3", "lnk_2", "lnk_1", "lnk_4"]


async def test_r24_no_more_links_are_replaced_than_are_in_the_way(
    bench: Bench, autojump_clock: MockClock
) -> None:
    for number in range(2):
        bench.open(status(f"lnk_{number}"), alive=False)

    assert await bench.room()
    assert bench.places.count("acme") == 1


async def test_links_of_other_accounts_are_not_asked(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.open(status("lnk_1", account="other"), alive=False)
    for number in (2, 3):
        bench.open(status(f"lnk_{number}"))

    assert not await bench.room()
    assert bench.probed() == ["lnk_2", "lnk_3"]


async def test_r24_several_binds_at_once_ask_each_link_once(
    bench: Bench, autojump_clock: MockClock
) -> None:
    hold = trio.Event()
    account = replace(ACME, max_links=3)
    for number in range(3):
        bench.open(status(f"lnk_{number}"), alive=number == 1).hold = hold
    found: list[bool] = []

    async def bind(number: int) -> None:
        room = await bench.room(account)
        if room:
            bench.places.grant(f"new_{number}", "acme")
        found.append(room)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(bind, number)
        await wait_all_tasks_blocked()
        hold.set()

    assert [link.probed for link in bench.links.values()] == [1, 1, 1]
    assert sorted(found) == [False, False, False, True, True]
    assert bench.places.count("acme") == 3


async def test_a_bind_asks_only_so_many(
    bench: Bench, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ASKED", 2)
    for number in range(5):
        bench.open(status(f"lnk_{number}"))

    assert not await bench.room()
    assert len(bench.probed()) == 2


async def test_a_bind_waits_only_so_long(bench: Bench, autojump_clock: MockClock) -> None:
    for number in range(2):
        bench.open(status(f"lnk_{number}")).hold = trio.Event()

    assert not await bench.room()
    assert trio.current_time() == pytest.approx(ROOM)


# Links of another process.


async def test_r24_a_link_of_another_process_is_asked_by_way_of_the_store(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.tell(status("lnk_1", age=5), status("lnk_2", age=9))

    def obey(orders: list[Order]) -> None:
        assert [(order.kind, order.link) for order in orders] == [("probe", "lnk_2")]
        bench.tell(status("lnk_1"), replace(status("lnk_2"), state="closed"))

    bench.on_ring = obey

    assert await bench.room()
    assert bench.rings == 1
    assert trio.current_time() < 1


async def test_r24_a_link_of_another_process_that_answers_stays(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.tell(status("lnk_1", age=5), status("lnk_2", age=9))
    bench.on_ring = lambda _: bench.tell(status("lnk_1", age=-9_000), status("lnk_2", age=-9_000))

    assert not await bench.room()
    assert trio.current_time() < 1


async def test_a_process_that_does_not_heed_keeps_its_links(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.tell(status("lnk_1"))

    assert not await bench.room(replace(ACME, max_links=1))
    assert trio.current_time() == pytest.approx(ELSEWHERE)
    assert bench.store.orders(bench.now()) == []


async def test_without_the_store_only_our_own_can_be_asked(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.tell(status("lnk_1", age=9))
    bench.open(status("lnk_2"), alive=False)
    await bench.places.look()

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    bench.store.order = away  # type: ignore[assignment,method-assign]  # a fault

    assert await bench.places.make_room(ACME, HERE)
    assert bench.probed() == ["lnk_2"]


async def test_grants_and_ended_links_are_remembered_for_a_while(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.places.grant("lnk_1", "acme")
    bench.open(status("lnk_2"))
    bench.tell(status("lnk_2"))
    bench.places.closed("lnk_2")
    await bench.places.look()
    assert bench.places.count("acme") == 1

    await trio.sleep(GRANT_LASTS + 1)
    assert bench.places.count("acme") == 0
    bench.open(status("lnk_3"))
    bench.places.closed("lnk_3")
    assert list(bench.places._ended) == ["lnk_3"]
