"""The simulated carrier against our own server over loopback, and against hand-made gateways."""

import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from smsc.config import Account, Listener
from smsc.link.server import Server, open_listeners
from smsc.message import Fragment, Message, VerdictKind
from smsc.simulator.carrier import (
    BIND_TIMEOUT,
    BindRefused,
    Carrier,
    message,
    status_text,
)
from smsc.simulator.segments import Segment, segments
from smsc.wire.pdu import Pdu, decode
from smsc.wire.spec import CommandId, DataSm, DeliverSm, EnquireLink, Status, Tag, Unbind
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer

SOURCE, DESTINATION = "+447700900123", "+447700900999"
DEADLINE = 20


class Gateway:
    def __init__(self, account: Account) -> None:
        self.inbox = MemoryInbox()
        self.gate = MemoryGate(account)
        ids = itertools.count(1)
        self.server = Server(
            Listener(),
            self.inbox,
            self.gate,
            clock=lambda: time.time_ns() // 1_000_000,
            new_link=lambda: f"lnk_{next(ids)}",
        )
        self.port = 0


@asynccontextmanager
async def gateway(window: int = 100, **options: float) -> AsyncIterator[Gateway]:
    account = Account(
        name="acme",
        system_id="acme",
        window=window,
        **options,  # type: ignore[arg-type]  # numbers only
    )
    it = Gateway(account)
    sockets = await open_listeners("127.0.0.1", 0)
    it.port = sockets[0].socket.getsockname()[1]
    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            await nursery.start(it.server.serve, sockets)
            yield it
            nursery.cancel_scope.cancel()


def carrier(it: Gateway, window: int = 100) -> Carrier:
    return Carrier(port=it.port, system_id="acme", password="secret", window=window)


async def test_it_binds_delivers_and_unbinds() -> None:
    async with gateway() as it, carrier(it) as sender:
        (answer,) = await sender.send("hello", source=SOURCE, destination=DESTINATION)
        assert answer.ok
        assert answer.seconds > 0
        (arrival,) = it.inbox.arrivals
        assert isinstance(arrival, Message)
        assert (arrival.source.value, arrival.destination.value) == (SOURCE, DESTINATION)
        assert arrival.content.text == "hello"
        assert (await sender.enquire()).ok
        await sender.unbind()
        assert sender.ended.is_set()
        while it.gate.links:
            await trio.lowlevel.checkpoint()
        assert it.inbox.losses == []


async def test_what_follows_a_link_that_was_left_or_unbound_runs_on() -> None:
    after = []
    async with gateway() as it:
        async with carrier(it):
            pass
        await trio.lowlevel.checkpoint()
        after.append("left")
        async with carrier(it) as sender:
            await sender.unbind()
            await trio.lowlevel.checkpoint()
            after.append("unbound")
        await trio.lowlevel.checkpoint()
        after.append("left again")

    assert after == ["left", "unbound", "left again"]


@pytest.mark.parametrize("command", ["submit_sm", "data_sm"])
async def test_other_commands_bring_an_id(command: str) -> None:
    async with gateway() as it, carrier(it) as sender:
        (answer,) = await sender.send(
            "hello",
            source=SOURCE,
            destination=DESTINATION,
            command="submit_sm" if command == "submit_sm" else "data_sm",
        )

        assert answer.message_id == "msg_1"
        (arrival,) = it.inbox.arrivals
        assert isinstance(arrival, Message)
        assert arrival.content.text == "hello"


async def test_a_long_text_is_sent_in_segments_under_a_new_reference_each() -> None:
    async with gateway() as it, carrier(it) as sender:
        for _ in range(2):
            answers = await sender.send("x" * 200, source=SOURCE, destination=DESTINATION)
            assert [answer.ok for answer in answers] == [True, True]

        concats = [a.concat for a in it.inbox.arrivals if isinstance(a, Fragment)]
        assert [(c.ref, c.seq, c.total) for c in concats] == [
            (1, 1, 2),
            (1, 2, 2),
            (2, 1, 2),
            (2, 2, 2),
        ]


async def test_a_refused_bind_is_raised() -> None:
    async with gateway() as it:
        with pytest.raises(BindRefused, match="ESME_RINVPASWD") as raised:
            async with Carrier(port=it.port, system_id="acme", password="wrong"):
                pass

        assert raised.value.status == Status.ESME_RINVPASWD


async def test_nobody_listening_is_an_os_error() -> None:
    (free,) = await open_listeners("127.0.0.1", 0)
    port = free.socket.getsockname()[1]
    await free.aclose()

    with pytest.raises(OSError, match="all attempts to connect"):
        async with Carrier(port=port, system_id="acme"):
            pass


async def test_the_callers_error_comes_out_as_it_is() -> None:
    async with gateway() as it:
        with pytest.raises(KeyError, match="mine"):
            async with carrier(it):
                raise KeyError("mine")


async def test_pouring_keeps_to_the_window_and_counts() -> None:
    part = message(Segment(b"x", 0), source=SOURCE, destination=DESTINATION)
    async with gateway(window=8) as it, carrier(it, window=8) as sender:
        await sender.pour(itertools.repeat(part, 500))

        assert max(it.inbox.batches) <= 8
        assert len(it.inbox.arrivals) == 500
        assert sender.statistics.sent == 500
        assert sender.statistics.statuses == {"ESME_ROK": 500}
        assert len(sender.statistics.latencies) == 500
        median, worst = sender.statistics.percentile(0.5), sender.statistics.percentile(1)
        assert 0 < median <= worst == max(sender.statistics.latencies)


async def test_above_the_gateways_window_it_is_throttled() -> None:
    part = message(Segment(b"x", 0), source=SOURCE, destination=DESTINATION)
    async with gateway(window=2) as it, carrier(it, window=10) as sender:
        it.inbox.hold = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.deliver, [part] * 5)
            while sender.statistics.answered < 3:
                await trio.lowlevel.checkpoint()
            assert sender.statistics.statuses == {"ESME_RTHROTTLED": 3}
            it.inbox.hold.set()

        assert sender.statistics.statuses == {"ESME_RTHROTTLED": 3, "ESME_ROK": 2}


async def test_errors_are_answers() -> None:
    async with gateway() as it, carrier(it) as sender:
        it.inbox.kind = VerdictKind.FULL
        (answer,) = await sender.send("hello", source=SOURCE, destination=DESTINATION)

        assert not answer.ok
        assert answer.status == Status.ESME_RMSGQFUL


# Against a gateway made by hand, under the mock clock.


@asynccontextmanager
async def by_hand(
    *, answer_enquiries: bool = True
) -> AsyncIterator[tuple[Carrier, Peer, trio.Nursery]]:
    ours, theirs = memory_stream_pair()
    peer = Peer(theirs)
    sender = Carrier(system_id="acme", stream=ours, answer_enquiries=answer_enquiries, window=5)

    async def accept() -> None:
        assert await peer.told() == ("bind_transceiver", 0, 1)
        await peer.send(b"\0\0\0\x11\x80\0\0\x09\0\0\0\0\0\0\0\x01\0")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with sender:
            yield sender, peer, nursery
            await theirs.aclose()
            await sender.ended.wait()
        nursery.cancel_scope.cancel()


async def test_it_answers_what_the_gateway_asks(autojump_clock: MockClock) -> None:
    async with by_hand() as (sender, peer, _):
        await peer.send(
            Pdu(CommandId.enquire_link, 0, 5, EnquireLink()),
            Pdu(CommandId.deliver_sm, 0, 6, DeliverSm()),
            b"\0\0\0\x10\0\0\x01\x10\0\0\0\0\0\0\0\x07",
            Pdu(CommandId.unbind, 0, 8, Unbind()),
        )

        assert [await peer.told() for _ in range(4)] == [
            ("enquire_link_resp", 0, 5),
            ("deliver_sm_resp", 0, 6),
            ("generic_nack", Status.ESME_RINVCMDID, 7),
            ("unbind_resp", 0, 8),
        ]
        assert sender.statistics.requests["enquire_link"] == 1


async def test_a_gateway_that_does_not_answer_the_bind_is_given_up(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    with trio.fail_after(BIND_TIMEOUT + 1), pytest.raises(BindRefused, match="no answer"):
        async with Carrier(system_id="acme", stream=ours):
            pass
    assert await Peer(theirs).told() == ("bind_transceiver", 0, 1)


async def test_all_who_wait_for_the_window_are_woken(autojump_clock: MockClock) -> None:
    async with by_hand() as (sender, peer, nursery):
        part = message(Segment(b"x", 0), source=SOURCE, destination=DESTINATION)
        done: list[int] = []

        async def deliver(count: int) -> None:
            done.append(len(await sender.deliver([part] * count)))

        for count in (5, 6, 7):
            nursery.start_soon(deliver, count)
        with trio.fail_after(DEADLINE):
            for _ in range(5 + 6 + 7):
                _, _, sequence = await peer.told() or ("", 0, 0)
                await peer.send(b"\0\0\0\x11\x80\0\0\x05\0\0\0\0%b\0" % sequence.to_bytes(4, "big"))
            while len(done) < 3:
                await wait_all_tasks_blocked()

        assert sorted(done) == [5, 6, 7]


async def test_it_can_be_made_to_ignore_enquire_link(autojump_clock: MockClock) -> None:
    async with by_hand(answer_enquiries=False) as (_, peer, _nursery):
        await peer.send(
            Pdu(CommandId.enquire_link, 0, 5, EnquireLink()), Pdu(CommandId.unbind, 0, 8, Unbind())
        )

        assert await peer.told() == ("unbind_resp", 0, 8)


async def test_a_link_that_ends_leaves_requests_without_status(autojump_clock: MockClock) -> None:
    async with by_hand() as (sender, peer, nursery):
        part = message(Segment(b"x", 0), source=SOURCE, destination=DESTINATION)
        statuses: list[int | None] = []

        async def deliver() -> None:
            statuses.extend(answer.status for answer in await sender.deliver([part] * 12))

        nursery.start_soon(deliver)
        nursery.start_soon(sender.pour, [part] * 12)
        for _ in range(5):  # the window is full; both wait
            await peer.read()
        await peer.stream.aclose()
        await sender.ended.wait()
        await wait_all_tasks_blocked()

        assert statuses == [None] * 12


async def test_pouring_keeps_to_a_rate(autojump_clock: MockClock) -> None:
    async with by_hand() as (sender, peer, nursery):
        part = message(Segment(b"x", 0), source=SOURCE, destination=DESTINATION)
        started = trio.current_time()

        async def pour() -> None:
            await sender.pour([part] * 4, rate=2)

        nursery.start_soon(pour)
        times = []
        for number in range(2, 6):
            assert await peer.told() == ("deliver_sm", 0, number)
            times.append(round(trio.current_time() - started, 3))
            await peer.send(b"\0\0\0\x11\x80\0\0\x05\0\0\0\0" + number.to_bytes(4, "big") + b"\0")

        assert times == [0, 0.5, 1.0, 1.5]


async def test_raw_octets_go_out_as_they_are(autojump_clock: MockClock) -> None:
    async with by_hand() as (sender, peer, _):
        sender.raw(b"\0\0\0\x10\0\0\0\x15\0\0\0\0\xff\xff\xff\xff")

        assert await peer.told() == ("enquire_link", 0, 0xFFFFFFFF)


# PDUs.


@pytest.mark.parametrize(
    ("address", "ton", "npi", "sent"),
    [
        ("+447700900123", 1, 1, "447700900123"),
        ("12345", 0, 1, "12345"),
        ("EXAMPLE", 5, 0, "EXAMPLE"),
        ("+", 5, 0, "+"),
    ],
)
def test_addresses_are_sent_by_their_kind(address: str, ton: int, npi: int, sent: str) -> None:
    pdu = decode(message(Segment(b"x", 0), source=address, destination="12345"))

    assert isinstance(pdu, Pdu)
    assert isinstance(pdu.body, DeliverSm)
    body = pdu.body
    assert (body.source_addr_ton, body.source_addr_npi, body.source_addr) == (ton, npi, sent)


def test_data_sm_carries_text_and_segment_numbers_as_tlvs() -> None:
    first, _ = segments("x" * 200, concatenation="sar")
    pdu = decode(message(first, source=SOURCE, destination=DESTINATION, command="data_sm"))

    assert isinstance(pdu, Pdu)
    assert isinstance(pdu.body, DataSm)
    assert pdu.tlv(Tag.message_payload) == first.octets
    assert pdu.tlv(Tag.sar_total_segments) == b"\x02"


def test_statuses_have_names_where_the_specification_has_them() -> None:
    assert status_text(0) == "ESME_ROK"
    assert status_text(0x12345) == "0x00012345"
