"""The inbox: what a carrier is told, when, and what is durable then."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from bridge.errors import StoreUnavailable
from bridge.intake.ingest import BATCH, Ingest
from bridge.live import LiveView
from bridge.store.threaded import StoreThreads
from smsc import crashpoint
from smsc.inbox import Inbox, LinkLoss
from smsc.message import Arrival, VerdictKind
from tests.fix_intake import (
    LIVE,
    NOW,
    FaultyStore,
    HeldThreads,
    fragment,
    message,
    new_ids,
)

STORED, THROTTLED = VerdictKind.STORED, VerdictKind.THROTTLED
FULL, UNAVAILABLE = VerdictKind.FULL, VerdictKind.UNAVAILABLE


class Bench:
    """An ingest over the real store."""

    def __init__(self, store: FaultyStore, threads: HeldThreads, live: LiveView) -> None:
        self.store = store
        self.threads = threads
        self.disk = 0.0
        self.rings = 0
        self.told: dict[VerdictKind, int] = {}
        self.ingest = Ingest(
            threads,
            live,
            new_ids(),
            lambda: NOW,
            ring=self.ring,
            queue_limit=5_000,
            disk=lambda: self.disk,
            told=self.tell,
        )
        self.inbox: Inbox = self.ingest

    def ring(self) -> None:
        self.rings += 1

    def tell(self, kind: VerdictKind, count: int) -> None:
        self.told[kind] = self.told.get(kind, 0) + count

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.ingest.run)
            yield self
            with trio.fail_after(60):
                await self.ingest.stop()

    async def take(self, *arrivals: Arrival) -> list[VerdictKind]:
        return [verdict.kind for verdict in await self.inbox.take(arrivals)]

    def taking(self, nursery: trio.Nursery, *arrivals: Arrival) -> list[VerdictKind]:
        """Take in the background; the list fills when the verdicts are there."""
        told: list[VerdictKind] = []

        async def take() -> None:
            told.extend(await self.take(*arrivals))

        nursery.start_soon(take)
        return told


@pytest.fixture
def bench(faulty_store: FaultyStore, held: HeldThreads, live_view: LiveView) -> Bench:
    return Bench(faulty_store, held, live_view)


def away(_: Sequence[object]) -> None:
    raise StoreUnavailable("away")


async def test_arrivals_are_stored_then_told_so(bench: Bench) -> None:
    async with bench.running():
        verdicts = await bench.inbox.take([message(1), fragment(1, place=2)])

    assert [verdict.kind for verdict in verdicts] == [STORED, STORED]
    assert bench.store.messages()[0].id == verdicts[0].id
    assert bench.rings == 1
    assert bench.told == {STORED: 2}


async def test_r22_nothing_is_said_before_the_commit_has_returned(bench: Bench) -> None:
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        told = bench.taking(nursery, message(1))
        await wait_all_tasks_blocked()
        assert told == []
        assert bench.ingest.waiting == 1
        bench.threads.hold.set()
        await wait_all_tasks_blocked()
        assert told == [STORED]
        assert bench.ingest.waiting == 0


async def test_what_gathers_during_a_commit_makes_the_next_batch(bench: Bench) -> None:
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        bench.taking(nursery, message(0))
        await wait_all_tasks_blocked()
        for place in range(1, 6):
            bench.taking(nursery, message(place))
            await wait_all_tasks_blocked()
        bench.threads.hold.set()

    assert [[each.key.place for each in batch] for batch in bench.store.batches] == [
        [0], [1, 2, 3, 4, 5],
    ]  # fmt: skip


async def test_no_batch_is_larger_than_a_transaction_may_be(bench: Bench) -> None:
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        first = bench.taking(nursery, *(message(place) for place in range(600)))
        second = bench.taking(nursery, *(message(place) for place in range(600, 1_200)))
        third = bench.taking(nursery, *(message(place) for place in range(1_200, 3_700)))
        await wait_all_tasks_blocked()
        bench.threads.hold.set()

    assert all(len(batch) <= BATCH for batch in bench.store.batches)
    assert [len(first), len(second), len(third)] == [600, 600, 2_500]
    places = [each.key.place for batch in bench.store.batches for each in batch]
    assert sorted(places) == list(range(3_700))


async def test_r23_more_than_may_wait_is_throttled(bench: Bench) -> None:
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        first = bench.taking(nursery, *(message(place) for place in range(4_000)))
        await wait_all_tasks_blocked()
        second = bench.taking(nursery, *(message(place) for place in range(4_000, 5_500)))
        await wait_all_tasks_blocked()
        third = await bench.take(message(9_000))
        assert third == [THROTTLED]
        bench.threads.hold.set()

    assert first == [STORED] * 4_000
    assert second == [STORED] * 1_000 + [THROTTLED] * 500
    assert bench.told == {STORED: 5_000, THROTTLED: 501}


async def test_a_slow_store_is_told_in_time(bench: Bench, autojump_clock: MockClock) -> None:
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        began = trio.current_time()
        first = bench.taking(nursery, message(1, body="x"))
        await trio.sleep(4)
        second = bench.taking(nursery, message(2, body="y"))
        await trio.sleep(1.001)
        assert first == [UNAVAILABLE]
        assert second == [UNAVAILABLE], "it would wait behind a stuck writer"
        # While the writer is stuck nobody waits for it.
        assert await bench.take(message(3, body="z")) == [UNAVAILABLE]
        assert trio.current_time() - began < 5.1
        assert bench.ingest.waiting == 0
        bench.threads.hold.set()
        await wait_all_tasks_blocked()
        bench.threads.hold = None

        # The commit ended after all: the repeat is recognised. The others were never stored.
        again = await bench.inbox.take([message(4, body="x"), message(5, body="y")])
        assert [verdict.kind for verdict in again] == [STORED, STORED]
        assert again[0].id == bench.store.batches[0][0].id

    assert len(bench.store.messages()) == 2
    assert bench.told == {UNAVAILABLE: 3, STORED: 2}


async def test_time_counts_from_the_taking_not_from_the_batch(
    bench: Bench, autojump_clock: MockClock
) -> None:
    first_hold = bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        first = bench.taking(nursery, message(1))
        await trio.sleep(1)
        second = bench.taking(nursery, message(2))
        await trio.sleep(3)
        bench.threads.hold = trio.Event()
        first_hold.set()
        await trio.sleep(1)
        assert (first, second) == ([STORED], [])
        await trio.sleep(1.5)
        assert second == [UNAVAILABLE], "taken 5.5 s ago, although its batch began 2.5 s ago"
        bench.threads.hold.set()


async def test_r22_a_store_that_fails_is_told_at_once_and_heals(bench: Bench) -> None:
    async with bench.running():
        bench.store.fault = away
        for place in range(3):
            assert await bench.take(message(place)) == [UNAVAILABLE]
        bench.store.fault = None
        assert await bench.take(message(4)) == [STORED]

    assert len(bench.store.messages()) == 1


async def test_r22_a_full_disk_is_told_before_the_store_notices(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with bench.running():
        bench.disk = 0.91
        assert await bench.take(message(1)) == [FULL]
        assert bench.store.batches == []
        bench.disk = 0.89
        await trio.sleep(1)
        assert await bench.take(message(1)) == [STORED]


async def test_a_disk_that_can_not_be_seen_is_left_to_the_store(
    faulty_store: FaultyStore, held: HeldThreads, live_view: LiveView
) -> None:
    def unseen() -> float:
        raise PermissionError

    ingest = Ingest(held, live_view, new_ids(), lambda: NOW, ring=lambda: None, disk=unseen)
    async with trio.open_nursery() as nursery:
        await nursery.start(ingest.run)
        assert (await ingest.take([message(1)]))[0].kind is STORED
        await ingest.stop()


def loss(link: str, *unanswered: int) -> LinkLoss:
    return LinkLoss(link=link, account="acme", alive_at=NOW, unanswered=unanswered)


async def test_a_lost_links_repeats_are_recognised(bench: Bench) -> None:
    async with bench.running():
        first = await bench.inbox.take([message(1, body="x"), message(2, body="y")])
        bench.inbox.lost(loss("lnk_1", 2))
        again = await bench.inbox.take(
            [message(1, link="lnk_2", body="x"), message(2, link="lnk_2", body="y")]
        )

    assert again[0].id != first[0].id, "answered: delivered again, marked"
    assert again[1].id == first[1].id, "never answered: not delivered again"
    duplicates = [row.duplicate_of for row in bench.store.messages()]
    assert sorted(filter(None, duplicates)) == [first[0].id]
    assert len(duplicates) == 3


async def test_a_loss_concerns_what_was_taken_before_it_and_still_waits(bench: Bench) -> None:
    hold = bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        bench.taking(nursery, message(0, link="lnk_9"))
        await wait_all_tasks_blocked()
        bench.taking(nursery, message(1, body="x"))
        await wait_all_tasks_blocked()
        bench.inbox.lost(loss("lnk_1", 1))
        bench.taking(nursery, message(1, link="lnk_2", body="x"))
        await wait_all_tasks_blocked()
        hold.set()

    assert len(bench.store.messages()) == 2


async def test_two_equal_messages_on_a_healthy_link_are_two_messages(bench: Bench) -> None:
    async with bench.running():
        await bench.take(message(1, body="x"), message(2, body="x"))

    assert len(bench.store.messages()) == 2


async def test_a_loss_is_told_to_a_store_that_was_away(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with bench.running():
        await bench.take(message(1, body="x"))
        bench.store.fault = away
        bench.inbox.lost(loss("lnk_1", 1))
        await trio.sleep(10)
        bench.store.fault = None
        await trio.sleep(1)
        assert [doubt.link for doubt in bench.store.doubts] == ["lnk_1"]
        await bench.take(message(1, link="lnk_2", body="x"))

    assert len(bench.store.messages()) == 1


async def test_a_loss_survives_a_stuck_writer(bench: Bench, autojump_clock: MockClock) -> None:
    async with bench.running(), trio.open_nursery() as nursery:
        await bench.take(message(1, body="x"))
        hold = bench.threads.hold = trio.Event()
        told = bench.taking(nursery, message(2))
        await wait_all_tasks_blocked()
        bench.inbox.lost(loss("lnk_1", 1))
        await trio.sleep(6)
        assert told == [UNAVAILABLE]
        hold.set()
        await bench.take(message(1, link="lnk_2", body="x"))

    assert len(bench.store.messages()) == 2


async def test_nothing_is_recorded_before_what_is_to_be_asked_first(
    bench: Bench, autojump_clock: MockClock
) -> None:
    tries: list[int] = []

    async def check() -> None:
        await trio.lowlevel.checkpoint()
        tries.append(len(bench.store.batches))
        if len(tries) < 4:
            raise StoreUnavailable("away")

    async with bench.running():
        bench.ingest.first(check)
        bench.ingest.first(check)
        assert await bench.take(message(1)) == [UNAVAILABLE]
        await trio.sleep(10)
        assert await bench.take(message(1)) == [STORED]

    assert tries == [0, 0, 0, 0]


async def test_a_check_with_a_bug_does_not_stop_intake(bench: Bench) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async with bench.running():
        bench.ingest.first(broken)
        assert await bench.take(message(1)) == [STORED]


async def test_parts_are_answered_one_by_one_and_then_joined(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with bench.running():
        assert await bench.take(fragment(2)) == [STORED]
        assert await bench.take(fragment(1)) == [STORED]
        await trio.sleep(1)
        rows = bench.store.messages()

    assert [(row.total, row.complete) for row in rows] == [(2, True)]
    assert bench.rings == 1


async def test_a_caller_that_gives_up_does_not_undo_the_commit(bench: Bench) -> None:
    hold = bench.threads.hold = trio.Event()
    async with bench.running():
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                bench.taking(nursery, message(1))
                await wait_all_tasks_blocked()
                scope.cancel()
        hold.set()

    assert len(bench.store.messages()) == 1


async def test_stopping_makes_durable_what_was_taken_and_takes_no_more(bench: Bench) -> None:
    hold = bench.threads.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.ingest.run)
        told = [bench.taking(nursery, message(place)) for place in range(3)]
        await wait_all_tasks_blocked()
        nursery.start_soon(bench.ingest.stop)
        await wait_all_tasks_blocked()
        assert await bench.take(message(9)) == [UNAVAILABLE]
        hold.set()

    assert told == [[STORED]] * 3
    assert len(bench.store.messages()) == 3


async def test_stopping_waits_for_a_store_that_is_owed_doubts(
    bench: Bench, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.ingest.run)
        assert await bench.take(message(1)) == [STORED]

        def away(_: Sequence[object]) -> None:
            raise StoreUnavailable("away")

        bench.store.fault = away
        bench.ingest.lost(LinkLoss(link="lnk_1", account="acme", alive_at=NOW, unanswered=(1,)))
        nursery.start_soon(bench.ingest.stop)
        await trio.sleep(3)
        assert bench.store.doubts == []
        bench.store.fault = None

    assert [doubt.unanswered for doubt in bench.store.doubts] == [(1,)]


async def test_cancelled_it_ends_the_commit_and_leaves_nobody_waiting(bench: Bench) -> None:
    hold = bench.threads.hold = trio.Event()
    async with trio.open_nursery() as callers:
        async with trio.open_nursery() as nursery:
            await nursery.start(bench.ingest.run)
            first = bench.taking(callers, message(1))
            await wait_all_tasks_blocked()
            second = bench.taking(callers, message(2))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            hold.set()
        await wait_all_tasks_blocked()
        assert (first, second) == ([STORED], [UNAVAILABLE])


async def test_crash_points_are_announced_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    points: list[str] = []
    monkeypatch.setattr(crashpoint, "hook", points.append)
    async with bench.running():
        await bench.take(fragment(1), fragment(2))
        await wait_all_tasks_blocked()

    assert points == [
        "intake.taken",
        "store.before_commit",
        "store.after_commit",
        "intake.recorded",
        "intake.complete.before",
        "intake.complete.after",
    ]


async def test_nothing_waits_when_nothing_is_taken(bench: Bench) -> None:
    async with bench.running():
        assert await bench.take() == []


@pytest.fixture
def real_threads(tmp_path: Path) -> StoreThreads:
    return StoreThreads(FaultyStore(tmp_path / "store.db"))


async def test_with_real_threads_every_answer_is_durable(real_threads: StoreThreads) -> None:
    """Many links at once: whenever one is told STORED, another connection sees its message."""
    store = real_threads.store
    view = LiveView(real_threads, LIVE)
    ingest = Ingest(real_threads, view, new_ids(), lambda: NOW, ring=lambda: None)

    async def link(name: str) -> None:
        for place in range(1, 21):
            (verdict,) = await ingest.take([message(place, link=name)])
            assert verdict.kind is STORED
            assert store.messages(id=verdict.id) != []

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(ingest.run)
            async with trio.open_nursery() as links:
                for number in range(10):
                    links.start_soon(link, f"lnk_{number}")
            await ingest.stop()
    store.close()


async def test_losses_that_wait_for_a_stuck_writer_are_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.intake.ingest.MOST_LOST", 3)
    bench.threads.hold = trio.Event()
    async with bench.running(), trio.open_nursery() as nursery:
        bench.taking(nursery, message(1))
        await wait_all_tasks_blocked()
        for number in range(5):
            bench.inbox.lost(
                LinkLoss(link=f"lnk_{number}", account="acme", alive_at=NOW, unanswered=())
            )
        bench.threads.hold.set()

    assert [doubt.link for doubt in bench.store.doubts] == ["lnk_2", "lnk_3", "lnk_4"]


async def test_r22_repeats_are_told_by_the_carriers_id_where_the_account_says_so(
    bench: Bench, live_view: LiveView
) -> None:
    (acme, *_) = LIVE.accounts
    live_view.accounts["acme"] = replace(acme, message_id_tlv=0x1400, repeats_by_id=60)

    def named(place: int, id_: str, link: str = "lnk_1") -> Arrival:
        return replace(message(place, link=link), carrier_message_id=id_)

    async with bench.running():
        (first,) = await bench.inbox.take([named(1, "a")])
        repeat, other, twin = await bench.inbox.take(
            [named(1, "a", "lnk_2"), named(2, "b", "lnk_2"), message(3, link="lnk_2")]
        )

    assert (repeat.kind, repeat.id) == (STORED, first.id)
    assert len({first.id, other.id, twin.id}) == 3
    assert len(bench.store.messages()) == 3
