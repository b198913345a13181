"""Deliveries from a real store to real receivers: what is promised about each of them.

Time is real, because sockets and the store's thread are; each story has a deadline and waits for
facts. Schedules are short, so that nothing has to be waited for.
"""

import hashlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import msgspec
import pytest
import trio
from msgspec.structs import replace
from standardwebhooks import Webhook

from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.egress import Policy, Resolver
from bridge.delivery.exchange import Facts
from bridge.delivery.lanes import assign, lane_of
from bridge.delivery.sender import DirectSender
from bridge.errors import StoreUnavailable
from bridge.live import LiveView
from bridge.model import Endpoint, Outcome
from bridge.store.contract import Due, LiveObject, ProcessStatus, Settlement
from bridge.store.listing import DeliveryRow
from bridge.store.records import ArrivalKey, DeliveryRecord, EventRecord, MessageRecord
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from smsc.message import Millis
from tests.fix_http import Listen, Received, Reply

SECRET = "whsec_ZGlzcGF0Y2hlci1kaXNwYXRjaGVyLWRpc3BhdGNoZXI="
AT_ONCE = (0.0, 0.02, 0.02, 0.02)
LOOPBACK = Policy((ip_network("127.0.0.0/8"),))


def endpoint(name: str, url: str, **options: Any) -> Endpoint:
    return Endpoint(name=name, url=url, **{"secrets": (SECRET,), "timeout": 5.0, **options})


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Telling(StoreThreads):
    """Says when something was written."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self._written = trio.Event()

    async def write(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        result = await super().write(call, *args)
        self._written.set()
        self._written = trio.Event()
        return result

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until writing has made a condition true."""
        while not condition():
            await self._written.wait()


class Gateway:
    """A store, its live configuration, and the processes that deliver from it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.jump: Callable[[float], None] = lambda _seconds: None
        """Moves the store's clock forward."""
        self.threads = Telling(store)
        self.live = LiveView(self.threads)
        self.endpoints: dict[str, Endpoint] = {}
        self.attempts: list[tuple[Due, Facts, Outcome]] = []
        self.count = 0
        self._attempted = trio.Event()

    def clock(self) -> Millis:
        return time.time_ns() // 1_000_000

    async def configure(self, *endpoints: Endpoint) -> None:
        """Declare endpoints, as a file does."""
        self.endpoints = {each.name: each for each in endpoints}
        objects = [
            LiveObject("endpoint", each.name, msgspec.json.encode(each)) for each in endpoints
        ]
        self.store.apply("test", objects, self.clock())
        await self.live.load()

    def receive(self, *names: str, count: int = 1) -> list[str]:
        """Store messages for endpoints; return their ids."""
        records = []
        for _ in range(count):
            self.count += 1
            number = f"{self.count:026d}"
            event = f"evt_{number}"
            records.append(
                MessageRecord(
                    id=f"msg_{number}",
                    key=ArrivalKey(
                        "one", "lnk_1", self.count, hashlib.sha256(event.encode()).digest(),
                        self.clock(),
                    ),
                    carrier="carrier",
                    tenant="default",
                    number="*",
                    source="+447700900123",
                    destination="+447700900999",
                    encoding="gsm7",
                    raw=b"{}",
                    events=(
                        EventRecord(
                            event, "message.received", "default",
                            json.dumps({"eventId": event}).encode(), self.clock(),
                            tuple(
                                DeliveryRecord(name, lane_of(self.endpoints[name], event))
                                for name in names
                            ),
                        ),
                    ),
                )
            )  # fmt: skip
        self.store.record(records)
        return [record.id for record in records]

    def beat(self, process: str) -> None:
        status = ProcessStatus(
            id=process, node="n", pid=1, pid_started=0, role="delivery", started_at=0,
            seen_at=self.clock(),
        )  # fmt: skip
        self.store.beat(status, (), self.clock())

    def watch(self, due: Due, facts: Facts, outcome: Outcome, _now: Millis) -> None:
        self.attempts.append((due, facts, outcome))
        self._attempted.set()
        self._attempted = trio.Event()

    async def attempted(self, count: int) -> None:
        """Wait for so many attempts in all."""
        while len(self.attempts) < count:
            await self._attempted.wait()

    @asynccontextmanager
    async def delivering(
        self, process: str = "prc_1", *, policy: Policy = LOOPBACK, stop_within: float = 5
    ) -> AsyncIterator[Dispatcher]:
        """Run one delivery process; at the end it is stopped in good order."""
        dispatcher = Dispatcher(
            self.threads,
            self.live,
            DirectSender(Resolver(policy)),
            self.clock,
            random.Random(1),
            process,
            watch=self.watch,
        )
        self.live.subscribe(dispatcher.reconfigured)
        async with trio.open_nursery() as nursery:
            await nursery.start(dispatcher.run)
            try:
                yield dispatcher
            finally:
                with trio.CancelScope(shield=True):
                    await dispatcher.stop(trio.current_time() + stop_within)

    def deliveries(self, *messages: str) -> list[DeliveryRow]:
        return [row for message in messages for row in self.store.deliveries(message)]

    async def settled(self, *messages: str, state: str = "delivered") -> None:
        """Wait until all deliveries of these messages have this state."""
        await self.threads.until(
            lambda: all(row.state == state for row in self.deliveries(*messages))
        )


class Troubled(SqliteStore):
    """A store whose calls fail as often as it is told to, and that counts reads."""

    failures: dict[str, int]
    reads: list[str]

    def _may_fail(self, name: str) -> None:
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            raise StoreUnavailable("away")

    def due(self, lane: str, now: Millis, limit: int, held: Sequence[int] = ()) -> list[Due]:
        self.reads.append(lane)
        self._may_fail("due")
        return super().due(lane, now, limit, held)

    def lease(self, process: str, lanes: Sequence[str], ttl: float) -> Any:
        self._may_fail("lease")
        return super().lease(process, lanes, ttl)

    def settle_lanes(self, batches: Sequence[tuple[str, int, Sequence[Settlement]]]) -> list[str]:
        self._may_fail("settle")
        return super().settle_lanes(batches)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    skew = [0]
    store = Troubled(tmp_path / "smsbridge.db", clock=lambda: time.time_ns() // 1_000_000 + skew[0])
    store.failures, store.reads = {}, []
    made = Gateway(store)
    made.jump = lambda seconds: skew.__setitem__(0, skew[0] + round(seconds * 1000))
    with trio.fail_after(30):
        yield made
    store.close()


async def test_what_is_stored_arrives_signed_and_is_settled(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    await gateway.configure(endpoint("crm", peer.url()))
    [message] = gateway.receive("crm")

    async with gateway.delivering():
        await gateway.settled(message)

    [got] = peer.requests
    assert Webhook(SECRET).verify(got.body, got.headers) == {"eventId": got.headers["webhook-id"]}
    assert got.headers["webhook-id"] == "evt_" + message[4:]
    assert got.headers["webhook-attempt"] == "1"
    assert got.headers["webhook-endpoint-id"] == "crm"
    [row] = gateway.deliveries(message)
    [attempt] = row.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, 200, None)
    assert attempt.remote == f"127.0.0.1:{peer.port}"


async def test_a_ring_is_enough_and_a_lost_one_costs_a_poll(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    await gateway.configure(endpoint("crm", peer.url()))

    async with gateway.delivering() as dispatcher:
        first = gateway.receive("crm")
        dispatcher.ring()
        await gateway.settled(*first)
        second = gateway.receive("crm")
        await gateway.settled(*second)

    assert len(peer.requests) == 2


async def test_failures_are_tried_again_with_the_same_id_and_body(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver([Reply(status=500, body=b"oh\0no"), Reply(status=302), Reply(status=200)])
    await gateway.configure(endpoint("crm", peer.url(), retry_schedule=AT_ONCE))
    [message] = gateway.receive("crm")

    async with gateway.delivering():
        await gateway.settled(message)

    first, second, third = peer.requests
    assert first.body == second.body == third.body
    ids = {got.headers["webhook-id"] for got in peer.requests}
    assert len(ids) == 1
    assert [got.headers["webhook-attempt"] for got in peer.requests] == ["1", "2", "3"]
    [row] = gateway.deliveries(message)
    assert [attempt.status for attempt in row.attempts] == [500, 302, 200]
    assert row.attempts[0].response == "oh\ufffdno"


async def test_after_the_last_step_it_is_a_dead_letter_that_can_be_retried(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver([Reply(status=503)] * 4 + [Reply()])
    await gateway.configure(endpoint("crm", peer.url(), retry_schedule=AT_ONCE))
    [message] = gateway.receive("crm")

    async with gateway.delivering() as dispatcher:
        await gateway.settled(message, state="dead")
        [letter] = gateway.store.dead_letters()
        assert letter.attempts == 4
        assert letter.last_status == 503
        assert letter.reason == "no success in 4 attempts; last: status 503"

        gateway.store.retry([letter.id], endpoint=None, now=gateway.clock())
        dispatcher.ring()
        await gateway.settled(message)

    assert [got.headers["webhook-attempt"] for got in peer.requests] == ["1", "2", "3", "4", "5"]


async def test_retry_after_pauses_the_lane_and_spends_no_step(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver([Reply(status=503, headers=(("Retry-After", "1"),)), Reply()])
    # One step only: a failure that spent it would be a dead letter.
    await gateway.configure(endpoint("crm", peer.url(), retry_schedule=(0.0,), max_concurrency=1))
    messages = gateway.receive("crm", count=2)
    began = trio.current_time()

    async with gateway.delivering():
        await peer.wait_for(1)
        await gateway.settled(*messages)

    assert trio.current_time() - began >= 0.9
    assert [outcome for _, _, outcome in gateway.attempts] == [
        Outcome.POSTPONE, Outcome.DELIVERED, Outcome.DELIVERED,
    ]  # fmt: skip


async def test_a_permanent_status_makes_a_dead_letter_at_once(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver(Reply(status=422))
    await gateway.configure(endpoint("crm", peer.url(), permanent_status_codes=(422,)))
    [message] = gateway.receive("crm")

    async with gateway.delivering():
        await gateway.settled(message, state="dead")

    assert len(peer.requests) == 1


async def test_410_buries_what_is_pending_and_ends_sending_until_the_endpoint_changes(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver([Reply(status=410), Reply()])
    crm = endpoint("crm", peer.url(), max_concurrency=1)
    await gateway.configure(crm)
    messages = gateway.receive("crm", count=5)

    async with gateway.delivering() as dispatcher:
        await gateway.settled(*messages, state="dead")
        assert {letter.reason for letter in gateway.store.dead_letters()} == {"gone"}

        later = gateway.receive("crm")
        dispatcher.ring()
        await gateway.configure(crm, endpoint("other", peer.url("/other")))
        [other] = gateway.receive("other")
        await gateway.settled(other)
        assert [got.path for got in peer.requests] == ["/hook", "/other"]

        await gateway.configure(replace(crm, timeout=6))
        await gateway.settled(*later)

    assert [got.path for got in peer.requests] == ["/hook", "/other", "/hook"]


async def test_a_private_target_is_refused_and_shown(gateway: Gateway, receiver: Listen) -> None:
    peer = await receiver()
    await gateway.configure(endpoint("crm", peer.url(), retry_schedule=(0.0,)))
    [message] = gateway.receive("crm")

    async with gateway.delivering(policy=Policy()):
        await gateway.settled(message, state="dead")

    assert peer.connections == 0
    [row] = gateway.deliveries(message)
    assert row.attempts[0].error == "egress"


async def test_an_endpoint_that_hangs_slows_no_other(gateway: Gateway, receiver: Listen) -> None:
    deaf = await receiver(Reply(deaf=True))
    well = await receiver()
    await gateway.configure(endpoint("deaf", deaf.url()), endpoint("well", well.url()))
    stuck = gateway.receive("deaf", count=100)

    async with gateway.delivering(stop_within=1) as dispatcher:
        await deaf.wait_for(8)
        for _ in range(20):
            messages = gateway.receive("well", count=10)
            dispatcher.ring()
            await gateway.settled(*messages)
        assert len(deaf.requests) == 8
        assert dispatcher.figures()["held"] <= 16

    assert len(well.requests) == 200
    assert all(row.state == "pending" and not row.attempts for row in gateway.deliveries(*stuck))


async def test_an_endpoint_that_keeps_failing_is_left_alone_and_nothing_is_spent(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver(Reply(status=500))
    await gateway.configure(endpoint("crm", peer.url(), max_concurrency=1))
    messages = gateway.receive("crm", count=30)

    async with gateway.delivering() as dispatcher:
        await gateway.attempted(10)
        await gateway.threads.until(lambda: not dispatcher.figures()["held"])
        dispatcher.ring()
        assert dispatcher.figures()["lanes_open"] == 1

    assert len(peer.requests) == 10
    untouched = [row for row in gateway.deliveries(*messages) if not row.attempts]
    assert len(untouched) == 20
    assert {row.state for row in untouched} == {"pending"}


async def test_a_disabled_endpoint_collects_and_sends_when_it_is_enabled(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    crm = endpoint("crm", peer.url(), enabled=False)
    well = endpoint("well", peer.url("/well"))
    await gateway.configure(crm, well)
    waiting = gateway.receive("crm")

    async with gateway.delivering() as dispatcher:
        sent = gateway.receive("well")
        dispatcher.ring()
        await gateway.settled(*sent)
        assert [got.path for got in peer.requests] == ["/well"]

        await gateway.configure(replace(crm, enabled=True), well)
        await gateway.settled(*waiting)


async def test_a_new_url_holds_from_the_next_attempt(gateway: Gateway, receiver: Listen) -> None:
    old, new = await receiver(Reply(status=500)), await receiver()
    crm = endpoint("crm", old.url(), retry_schedule=(0.0, 0.5, 0.5))
    await gateway.configure(crm)
    [message] = gateway.receive("crm")

    async with gateway.delivering():
        await gateway.attempted(1)
        await gateway.configure(replace(crm, url=new.url()))
        await gateway.settled(message)

    assert (len(old.requests), len(new.requests)) == (1, 1)


async def test_several_lanes_and_those_left_over_are_served(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    crm = endpoint("crm", peer.url(), lanes=4)
    await gateway.configure(crm)
    messages = gateway.receive("crm", count=40)
    await gateway.configure(replace(crm, lanes=2))
    messages += gateway.receive("crm", count=40)

    async with gateway.delivering():
        await gateway.settled(*messages)

    assert len(peer.requests) == 80


async def test_a_store_that_fails_for_a_while_costs_time_only(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    await gateway.configure(endpoint("crm", peer.url()))
    assert isinstance(gateway.store, Troubled)
    gateway.store.failures = {"lease": 1, "due": 2, "settle": 2}
    messages = gateway.receive("crm", count=3)

    async with gateway.delivering():
        await gateway.settled(*messages)

    assert gateway.store.failures == {"lease": 0, "due": 0, "settle": 0}
    assert len(peer.requests) == 3


async def test_an_idle_lane_is_not_read_because_another_one_rang(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    idle = [endpoint(f"idle-{number}", peer.url()) for number in range(50)]
    await gateway.configure(endpoint("busy", peer.url()), *idle)
    assert isinstance(gateway.store, Troubled)

    async with gateway.delivering() as dispatcher:
        for _ in range(10):
            messages = gateway.receive("busy")
            dispatcher.ring()
            await gateway.settled(*messages)

    assert set(gateway.store.reads) == {"busy"}


def serves(dispatcher: Dispatcher, lanes: int) -> bool:
    return dispatcher.figures()["lanes"] == lanes


async def test_lanes_are_shared_out_and_handed_over_at_once_when_a_process_ends(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    endpoints = [endpoint(f"e{number}", peer.url(f"/{number}")) for number in range(8)]
    await gateway.configure(*endpoints)
    names = [each.name for each in endpoints]
    processes = ["prc_a", "prc_b"]
    for process in processes:
        gateway.beat(process)
    share = len(assign(names, processes, "prc_b"))
    assert 0 < share < 8

    async with gateway.delivering("prc_b") as second:
        async with gateway.delivering("prc_a") as first:
            for dispatcher, lanes in ((first, 8 - share), (second, share)):
                await gateway.threads.until(partial(serves, dispatcher, lanes))
            messages = [id_ for name in names for id_ in gateway.receive(name, count=3)]
            first.ring()
            second.ring()
            await gateway.settled(*messages)
        gateway.store.leave("prc_a")
        second.reconfigured()
        await gateway.threads.until(partial(serves, second, 8))
        messages = [id_ for name in names for id_ in gateway.receive(name)]
        second.ring()
        await gateway.settled(*messages)

    assert len(peer.requests) == 32  # each once


async def test_a_lane_taken_over_by_another_process_is_settled_by_that_one(
    gateway: Gateway, receiver: Listen
) -> None:
    hold = trio.Event()
    peer = await receiver(Reply(hold=hold))
    await gateway.configure(endpoint("crm", peer.url()))
    [message] = gateway.receive("crm")

    async with gateway.delivering():
        await peer.wait_for(1)
        gateway.jump(31)  # the lease runs out
        [lease] = gateway.store.lease("prc_other", ["crm"], 30)
        hold.set()
        await gateway.attempted(1)

    [row] = gateway.deliveries(message)
    assert row.state == "pending"
    assert row.attempts == ()
    [due] = gateway.store.due("crm", gateway.clock(), 10)
    assert gateway.store.lease("prc_other", ["crm"], 30) == [replace(lease, until=_ANY)]
    assert due.attempts == 0


async def test_a_stop_lets_attempts_end_and_gives_the_lanes_back(
    gateway: Gateway, receiver: Listen
) -> None:
    hold = trio.Event()
    peer = await receiver(Reply(hold=hold))
    await gateway.configure(endpoint("crm", peer.url(), max_concurrency=2))
    messages = gateway.receive("crm", count=6)

    async with trio.open_nursery() as nursery, gateway.delivering() as dispatcher:
        await peer.wait_for(2)
        ended: list[bool] = []

        async def stop() -> None:
            ended.append(await dispatcher.stop(trio.current_time() + 10))

        nursery.start_soon(stop)
        await trio.testing.wait_all_tasks_blocked()
        hold.set()

    assert ended == [True]
    assert len(peer.requests) == 2
    states = [row.state for row in gateway.deliveries(*messages)]
    assert sorted(states) == ["delivered"] * 2 + ["pending"] * 4
    assert [lease.lane for lease in gateway.store.lease("prc_2", ["crm"], 30)] == ["crm"]


async def test_a_stop_abandons_what_does_not_end_in_time(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver(Reply(deaf=True))
    await gateway.configure(endpoint("crm", peer.url(), timeout=30))
    [message] = gateway.receive("crm")

    began = trio.current_time()
    async with gateway.delivering(stop_within=0.4):
        await peer.wait_for(1)
        began = trio.current_time()

    assert trio.current_time() - began < 5
    [row] = gateway.deliveries(message)
    assert (row.state, row.attempts) == ("pending", ())
    assert [lease.lane for lease in gateway.store.lease("prc_2", ["crm"], 30)] == ["crm"]


async def test_an_endpoint_that_cannot_be_sent_to_harms_no_other(
    gateway: Gateway, receiver: Listen
) -> None:
    peer = await receiver()
    await gateway.configure(
        endpoint("broken", "gopher://example"),
        endpoint("secretless", peer.url(), secrets=("nonsense",)),
        endpoint("well", peer.url()),
    )
    waiting = gateway.receive("broken", "secretless")
    sent = gateway.receive("well")

    async with gateway.delivering():
        await gateway.settled(*sent)

    assert all(row.state == "pending" for row in gateway.deliveries(*waiting))


async def test_each_message_reaches_every_endpoint_once_under_load(
    gateway: Gateway, receiver: Listen
) -> None:
    seen: list[tuple[str, str]] = []

    def script(got: Received) -> Reply:
        seen.append((got.path, got.headers["webhook-id"]))
        return Reply()

    peer = await receiver(script)
    await gateway.configure(*(endpoint(name, peer.url(f"/{name}")) for name in "abc"))
    messages: list[str] = []

    async with gateway.delivering() as dispatcher:
        for _ in range(20):
            messages += gateway.receive("a", "b", "c", count=25)
            dispatcher.ring()
            await trio.lowlevel.checkpoint()
        await gateway.settled(*messages[-25:])
        await gateway.settled(*messages)

    assert len(seen) == len(set(seen)) == 1_500
    assert sorted(seen) == sorted(
        (f"/{name}", f"evt_{message[4:]}") for message in messages for name in "abc"
    )


class _Any:
    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # not for sets


_ANY: Any = _Any()
