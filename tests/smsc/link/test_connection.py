"""A link over memory streams and the mock clock: nothing here takes real time."""

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import structlog
import trio
from structlog.typing import EventDict
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from smsc import crashpoint
from smsc.config import Account, BindKind, Dial, Listener, Timers
from smsc.link import arriving
from smsc.link import connection as module
from smsc.link.connection import Connection
from smsc.link.turns import FEW, Turns
from smsc.message import Arrival, Message, Unreadable, Verdict, VerdictKind
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    BindReceiver,
    BindReceiverResp,
    CommandId,
    EnquireLink,
    EnquireLinkResp,
    Outbind,
    Status,
    Unbind,
    UnbindResp,
)
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer, bind, deliver

ACCOUNT = Account(name="acme", system_id="acme", carrier="example", window=100)
TIMEOUT = 3_600  # of the mock clock


@dataclass
class Line:
    """One connection and all that is around it."""

    peer: Peer
    connection: Connection
    inbox: MemoryInbox
    gate: MemoryGate
    ended: trio.Event


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


@asynccontextmanager
async def line(
    listener: Listener | None = None,
    *,
    inbox: MemoryInbox | None = None,
    gate: MemoryGate | None = None,
    stream: trio.abc.Stream | None = None,
    peer: trio.abc.Stream | None = None,
    turns: Turns | None = None,
    account: Account | None = None,
    kind: BindKind = "transceiver",
) -> AsyncIterator[Line]:
    inbox = inbox or MemoryInbox()
    gate = gate or MemoryGate(ACCOUNT)
    if stream is None or peer is None:
        stream, peer = memory_stream_pair()
    connection = Connection(
        stream,
        link="lnk_1",
        peer="192.0.2.1:40000",
        listener=listener or Listener(),
        inbox=inbox,
        gate=gate,
        clock=lambda: int(trio.current_time() * 1000),
        turns=turns,
        account=account,
        kind=kind,
    )
    ended = trio.Event()

    async def run() -> None:
        await connection.run()
        ended.set()

    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            yield Line(Peer(peer), connection, inbox, gate, ended)
            nursery.cancel_scope.cancel()


async def test_a_message_is_handed_over_and_answered(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(deliver(7, b"hello"))

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 7)

        (message,) = it.inbox.arrivals
        assert isinstance(message, Message)
        assert message.content.text == "hello"
        assert message.origin.account == "acme"
        assert message.origin.carrier == "example"
        assert message.origin.link == "lnk_1"
        assert message.origin.place == 1
        await wait_all_tasks_blocked()
        status = it.connection.status()
        assert (status.state, status.account, status.carrier) == ("bound", "acme", "example")
        assert (status.kind, status.version) == ("transceiver", 0x34)
        assert (status.arrivals, status.answered, status.window) == (1, 1, 0)
        assert it.gate.opens[0].link == "lnk_1"


async def test_what_comes_in_one_chunk_is_handed_over_at_once(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(*(deliver(n) for n in range(1, 51)))

        assert [await it.peer.told() for _ in range(50)] == [
            ("deliver_sm_resp", Status.ESME_ROK, n) for n in range(1, 51)
        ]
        assert it.inbox.batches == [50]


async def test_r23_reading_goes_on_while_the_inbox_is_busy(autojump_clock: MockClock) -> None:
    """R23: enquire_link is never queued behind work."""
    async with line() as it:
        await it.peer.bind()
        it.inbox.hold = trio.Event()
        await it.peer.send(deliver(7))
        await it.inbox.took.wait()
        await it.peer.send(Pdu(CommandId.enquire_link, 0, 8, EnquireLink()))

        assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 8)
        it.inbox.hold.set()
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 7)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (VerdictKind.THROTTLED, Status.ESME_RTHROTTLED),
        (VerdictKind.FULL, Status.ESME_RMSGQFUL),
        (VerdictKind.UNAVAILABLE, Status.ESME_RX_T_APPN),
    ],
)
async def test_trouble_of_the_inbox_is_told_and_heals(
    kind: VerdictKind, status: Status, autojump_clock: MockClock
) -> None:
    async with line() as it:
        await it.peer.bind()
        it.inbox.kind = kind
        await it.peer.send(deliver(1))
        assert await it.peer.told() == ("deliver_sm_resp", status, 1)

        it.inbox.kind = VerdictKind.STORED
        await it.peer.send(deliver(2))
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)


@pytest.mark.parametrize(
    ("system_id", "password", "status", "refusal"),
    [
        ("nobody", "secret", Status.ESME_RINVSYSID, "unknown-system-id"),
        ("acme", "hunter2", Status.ESME_RINVPASWD, "wrong-password"),
    ],
)
async def test_a_refused_bind_is_told_logged_without_its_password_and_closed(
    system_id: str,
    password: str,
    status: Status,
    refusal: str,
    autojump_clock: MockClock,
    log: list[EventDict],
) -> None:
    async with line() as it:
        await it.peer.send(bind(system_id, password))

        assert await it.peer.told() == ("bind_transceiver_resp", status, 1)
        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()

    assert it.gate.closes == []
    assert it.inbox.losses == []
    (refused,) = [event for event in log if event["event"] == "bind.refused"]
    assert refused["refusal"] == refusal
    assert refused["peer"] == "192.0.2.1:40000"
    assert password not in repr(log)


async def test_a_message_before_bind_is_refused_and_the_link_stays(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.send(deliver(5))
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_RINVBNDSTS, 5)

        await it.peer.bind()
        assert it.inbox.arrivals == []


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", id="http"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"\r\n\r\n", id="line ends"),
        pytest.param(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", id="zeros"),
        pytest.param(struct.pack(">IIII", 15, 0x15, 0, 1), id="length 15"),
        pytest.param(struct.pack(">IIII", 0x80000000, 0x05, 0, 1), id="2 GiB"),
        pytest.param(struct.pack(">IIII", 0xFFFFFFFF, 0x05, 0, 1), id="4 GiB"),
        pytest.param(struct.pack(">IIII", 1_025, 0x09, 0, 1), id="above the unbound limit"),
    ],
)
async def test_r04_garbage_is_answered_logged_and_closed(
    octets: bytes, autojump_clock: MockClock, log: list[EventDict]
) -> None:
    """R4: what is no SMPP is nacked, logged in a line, and closed."""
    async with line() as it:
        await it.peer.send(octets)

        assert await it.peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)
        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()

    (lost,) = [event for event in log if event["event"] == "framing.lost"]
    assert lost["prefix"] == octets[:16].hex()
    assert log[-1]["event"] == "session.closed"
    assert log[-1]["reason"] == "framing-lost"


async def test_a_bound_link_takes_large_pdus_and_loses_framing_above_the_limit(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        payload = b"\0\0\0\0" + bytes(60_000)
        await it.peer.send(
            struct.pack(">IIII", 16 + len(payload), 0x15, 0, 1) + payload,
            deliver(2),
            struct.pack(">IIII", 131_073, 0x05, 0, 3),
        )

        assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 1)
        assert {await it.peer.told(), await it.peer.told()} == {
            ("generic_nack", Status.ESME_RINVCMDLEN, 0),
            ("deliver_sm_resp", Status.ESME_ROK, 2),
        }
        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.inbox.losses[0].unanswered == ()


async def test_r03_what_cannot_be_read_is_kept_and_answered(autojump_clock: MockClock) -> None:
    """R3: a carrier that would send it for days goes on to the next."""
    async with line() as it:
        await it.peer.bind()
        frame = struct.pack(">IIII", 20, CommandId.deliver_sm, 0, 5) + b"abcd"
        await it.peer.send(frame, deliver(7))

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 5)
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 7)
        unread, message = it.inbox.arrivals
        assert isinstance(unread, Unreadable)
        assert unread.raw == frame
        assert (unread.origin.place, message.origin.place) == (1, 2)


async def test_an_account_may_take_smaller_pdus_than_its_listener(
    autojump_clock: MockClock,
) -> None:
    account = Account(name="acme", system_id="acme", pdu_limit=2_048)
    async with line(gate=MemoryGate(account)) as it:
        await it.peer.bind()
        await it.peer.send(struct.pack(">IIII", 2_048, 0x15, 0, 2) + bytes(2_032))
        assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 2)

        it.gate.accounts["acme"] = Account(name="acme", system_id="acme", pdu_limit=4_096)
        it.connection.refresh()
        await it.peer.send(struct.pack(">IIII", 4_096, 0x15, 0, 3) + bytes(4_080))
        assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 3)
        await it.peer.send(struct.pack(">IIII", 4_097, 0x15, 0, 4))

        assert await it.peer.told() == ("generic_nack", Status.ESME_RINVCMDLEN, 0)


async def test_unreadable_and_unknown_pdus_are_answered_and_the_link_stays(
    autojump_clock: MockClock,
) -> None:
    account = Account(name="acme", system_id="acme", unreadable="reject")
    async with line(gate=MemoryGate(account)) as it:
        await it.peer.bind()
        await it.peer.send(
            struct.pack(">IIII", 20, CommandId.deliver_sm, 0, 5) + b"abcd",
            struct.pack(">IIII", 16, 0x0110, 0, 6),
            deliver(7),
        )

        name, status, number = await it.peer.told() or ("", 0, 0)
        assert (name, number) == ("deliver_sm_resp", 5)
        assert status != Status.ESME_ROK
        assert await it.peer.told() == ("generic_nack", Status.ESME_RINVCMDID, 6)
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 7)
        assert it.connection.status().errors == 2


@pytest.mark.parametrize("octets", [b"", b"\0", struct.pack(">IIII", 64, 9, 0, 1) + b"acm"])
async def test_silence_before_bind_is_cut_by_session_init(
    octets: bytes, autojump_clock: MockClock, log: list[EventDict]
) -> None:
    async with line() as it:
        started = trio.current_time()
        if octets:
            await it.peer.send(octets)

        assert await it.peer.told() is None
        assert trio.current_time() - started == pytest.approx(10)
        await it.peer.stream.aclose()
        await it.ended.wait()
    assert log[-1]["reason"] == "session-init-timeout"


async def test_a_gate_that_takes_its_time_is_waited_for_up_to_session_init(
    autojump_clock: MockClock,
) -> None:
    gate = MemoryGate(ACCOUNT)
    gate.hold = trio.Event()
    async with line(gate=gate) as it:
        await it.peer.send(bind(), Pdu(CommandId.enquire_link, 0, 2, EnquireLink()), deliver(3))
        assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 2)
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_RINVBNDSTS, 3)

        assert await it.peer.told() == ("bind_transceiver_resp", Status.ESME_RSYSERR, 1)
        assert await it.peer.told() is None
    assert gate.opens == []


@pytest.mark.parametrize("bound", [True, False])
async def test_a_pdu_that_comes_octet_by_octet_is_cut_in_time(
    bound: bool, autojump_clock: MockClock
) -> None:
    timers = Timers(pdu=5, enquire_link=60)
    async with line(Listener(timers=timers)) as it:
        if bound:
            await it.peer.bind()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def drip() -> None:
                enquiry = struct.pack(">IIII", 16, CommandId.enquire_link, 0, 1)
                await it.peer.send(enquiry[:8])
                await trio.sleep(2)
                await it.peer.send(enquiry[8:] + b"\0")  # whole: the next one has its own time
                for octet in struct.pack(">III", 64, CommandId.deliver_sm, 0)[1:]:
                    await trio.sleep(1)
                    await it.peer.send(bytes((octet,)))

            nursery.start_soon(drip)
            assert await it.peer.told() == ("enquire_link_resp", Status.ESME_ROK, 1)
            assert await it.peer.told() is None
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started == pytest.approx(7)
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.connection.status().reason == "slow-pdu"


async def test_r24_half_a_pdu_then_silence_is_asked_about_and_cut(
    autojump_clock: MockClock,
) -> None:
    """R24: a half-open link is found out."""
    async with line(Listener(timers=Timers(pdu=0))) as it:
        await it.peer.bind()
        started = trio.current_time()
        await it.peer.send(struct.pack(">IIII", 64, CommandId.deliver_sm, 0, 1) + b"\0")

        assert await it.peer.told() == ("enquire_link", 0, 1)
        assert await it.peer.told() is None
        assert trio.current_time() - started == pytest.approx(40)
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.gate.closes[0].reason == "enquire-link-timeout"
        assert it.inbox.losses[0].unanswered == ()


async def test_a_peer_that_may_take_its_time_is_asked_again_in_time(
    autojump_clock: MockClock,
) -> None:
    timers = Timers(enquire_link=5, response=60, inactivity=0)
    async with line(Listener(timers=timers)) as it:
        await it.peer.bind()
        for asked in (5, 10, 15):
            question = await it.peer.told()
            assert question is not None
            assert question[0] == "enquire_link"
            assert trio.current_time() == pytest.approx(asked)
            await it.peer.send(Pdu(CommandId.enquire_link_resp, 0, question[2], EnquireLinkResp()))


async def test_a_peer_that_answers_enquire_link_stays_until_inactivity(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        started = trio.current_time()
        asked = 0
        while (pdu := await it.peer.read()) is not None:
            if pdu.command_id == CommandId.enquire_link:
                asked += 1
                await it.peer.send(
                    Pdu(CommandId.enquire_link_resp, 0, pdu.sequence_number, EnquireLinkResp())
                )
            else:
                assert pdu.command_id == CommandId.unbind
                await it.peer.send(Pdu(CommandId.unbind_resp, 0, pdu.sequence_number, UnbindResp()))
        assert asked == 9
        assert trio.current_time() - started == pytest.approx(300)
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.inbox.losses == []
        assert it.gate.closes[0].reason == "inactivity"


# Links that we bind.

DIALLING = Account(
    name="acme",
    system_id="acme",
    outbind=True,
    dial=Dial(hosts=("smsc.example.com",), system_id="us", password="hunter2"),
)


async def test_a_dialled_link_binds_and_takes_messages(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    gate = MemoryGate(DIALLING)
    async with line(gate=gate, account=DIALLING, kind="receiver") as it:
        bound = await it.peer.read()
        assert bound is not None
        assert isinstance(bound.body, BindReceiver)
        assert (bound.body.system_id, bound.body.password) == ("us", "hunter2")
        assert it.connection.status().account == "acme"
        # Larger than a stranger's PDU may be, and right behind the answer.
        large = struct.pack(">IIII", 4_000, CommandId.enquire_link, 0, 3) + bytes(3_984)
        resp = Pdu(CommandId.bind_receiver_resp, 0, 1, BindReceiverResp(system_id="SMSC"))
        await it.peer.send(encode(resp) + encode(deliver(2)) + large)

        told = {await it.peer.told(), await it.peer.told()}
        assert told == {
            ("deliver_sm_resp", Status.ESME_ROK, 2),
            ("enquire_link_resp", Status.ESME_ROK, 3),
        }
        status = it.gate.opens[0]
        assert (status.state, status.direction, status.kind) == ("bound", "dialled", "receiver")
        assert it.gate.asked == []
        await it.peer.send(Pdu(CommandId.unbind, 0, 4, Unbind()))
        assert await it.peer.told() == ("unbind_resp", Status.ESME_ROK, 4)
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.gate.closes[0].reason == "unbound-by-peer"
        assert it.inbox.losses == []
    assert "hunter2" not in repr(log)


async def test_a_refused_bind_of_ours_is_logged_in_words(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    async with line(gate=MemoryGate(DIALLING), account=DIALLING) as it:
        assert await it.peer.told() == ("bind_transceiver", 0, 1)
        await it.peer.send(struct.pack(">IIII", 16, CommandId.bind_transceiver_resp, 0x0E, 1))
        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()

        assert it.gate.opens == it.gate.closes == []
        assert it.connection.status().reason.startswith("bind-refused: ESME_RINVPASWD (")
    (refused,) = [event for event in log if event["event"] == "bind.refused_by_peer"]
    assert refused["refusal"].startswith("ESME_RINVPASWD (")
    assert "hunter2" not in repr(log)


async def test_an_outbind_is_bound_back_to(autojump_clock: MockClock) -> None:
    async with line(gate=MemoryGate(DIALLING)) as it:
        await it.peer.send(Pdu(CommandId.outbind, 0, 1, Outbind("acme", "secret")))
        assert await it.peer.told() == ("bind_transceiver", 0, 1)
        await it.peer.send(
            struct.pack(">IIII", 16, CommandId.bind_transceiver_resp, 0, 1), deliver(2)
        )

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
        (asked,) = it.gate.asked
        assert (asked.outbind, asked.system_id, asked.password) == (True, "acme", "secret")
        assert it.gate.opens[0].direction == "outbind"


@pytest.mark.parametrize(
    ("account", "password", "detail"),
    [
        (DIALLING, "wrong", "outbind-refused: wrong-password"),
        (ACCOUNT, "secret", "outbind-refused: outbind-not-allowed"),
    ],
)
async def test_an_outbind_that_is_not_wanted_is_closed(
    account: Account, password: str, detail: str, autojump_clock: MockClock
) -> None:
    async with line(gate=MemoryGate(account)) as it:
        await it.peer.send(Pdu(CommandId.outbind, 0, 1, Outbind("acme", password)))

        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.connection.status().reason == detail


# How links end.


async def test_the_peers_unbind_waits_for_answers_and_is_no_loss(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    async with line() as it:
        await it.peer.bind()
        it.inbox.hold = trio.Event()
        await it.peer.send(deliver(2), Pdu(CommandId.unbind, 0, 3, Unbind()))
        await it.inbox.took.wait()
        it.inbox.hold.set()

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
        assert await it.peer.told() == ("unbind_resp", Status.ESME_ROK, 3)
        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()

    assert it.inbox.losses == []
    assert [status.state for status in it.gate.closes] == ["closed"]
    closed = log[-1]
    assert (closed["event"], closed["parted"]) == ("session.closed", True)
    assert (closed["arrivals"], closed["answered"], closed["unanswered"]) == (1, 1, 0)


async def test_a_peer_that_vanishes_is_a_loss_with_what_it_was_not_told(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(deliver(1))
        await it.peer.told()
        it.inbox.hold = trio.Event()
        it.inbox.took = trio.Event()
        await it.peer.send(deliver(2), deliver(3))
        await it.inbox.took.wait()
        alive_at = it.connection.status().alive_at
        await it.peer.stream.aclose()
        await wait_all_tasks_blocked()
        it.inbox.hold.set()
        await it.ended.wait()

        (loss,) = it.inbox.losses
        assert (loss.link, loss.account, loss.alive_at) == ("lnk_1", "acme", alive_at)
        assert loss.unanswered == (2, 3)
        assert len(it.gate.closes) == 1


async def test_a_peer_that_only_closed_its_side_is_still_answered(
    autojump_clock: MockClock,
) -> None:
    stream, peer = memory_stream_pair()
    async with line(stream=stream, peer=peer) as it:
        await it.peer.bind()
        await it.peer.send(deliver(2))
        await peer.send_eof()

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
        assert await it.peer.told() is None
        await it.ended.wait()
        assert it.inbox.losses[0].unanswered == (1,)


async def test_r24_connect_and_close_is_no_news(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    async with line() as it:
        await it.peer.stream.aclose()
        await it.ended.wait()

    assert [event["log_level"] for event in log] == ["debug"]
    assert it.gate.closes == []


async def test_our_unbind_completes(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        it.connection.unbind("shutdown")
        assert await it.peer.told() == ("unbind", 0, 1)
        await it.peer.send(Pdu(CommandId.unbind_resp, 0, 1, UnbindResp()))

        assert await it.peer.told() is None
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert it.inbox.losses == []
        assert it.gate.closes[0].reason == "shutdown"


async def test_a_peer_that_ignores_unbind_is_lost_after_the_response_timer(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        started = trio.current_time()
        it.connection.unbind("shutdown")
        assert await it.peer.told() == ("unbind", 0, 1)

        assert await it.peer.told() is None
        assert trio.current_time() - started == pytest.approx(10)
        await it.peer.stream.aclose()
        await it.ended.wait()
        assert len(it.inbox.losses) == 1


async def test_a_removed_account_is_unbound_on_refresh(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        it.connection.refresh()
        assert it.connection.status().state == "bound"

        it.gate.accounts.clear()
        it.connection.refresh()

        assert await it.peer.told() == ("unbind", 0, 1)


async def test_a_removed_account_is_noticed_at_the_next_pdu_at_the_latest(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        it.gate.accounts.clear()
        await it.peer.send(deliver(2))

        assert await it.peer.told() == ("unbind", 0, 1)
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_RX_T_APPN, 2)
        assert it.inbox.arrivals == []


async def test_new_account_options_hold_from_the_next_pdu(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        it.gate.accounts["acme"] = Account(name="acme", system_id="acme", window=1)
        it.inbox.hold = trio.Event()
        await it.peer.send(deliver(1), deliver(2))

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_RTHROTTLED, 2)


async def test_r24_a_probed_peer_that_says_anything_keeps_its_link(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        answers: list[bool] = []

        async def probe() -> None:
            answers.append(await it.connection.probe(2))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe)
            nursery.start_soon(probe)
            assert await it.peer.told() == ("enquire_link", 0, 1)
            await trio.sleep(1.9)
            await it.peer.send(deliver(2))

        assert answers == [True, True]
        assert it.connection.status().state == "bound"
        assert it.gate.closes == []


async def test_r24_a_probed_peer_that_stays_silent_is_closed_and_reported_first(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    stream = Stuck(ours)
    async with line(stream=stream, peer=theirs) as it:
        await it.peer.bind()
        await wait_all_tasks_blocked()
        it.inbox.hold = trio.Event()
        await it.peer.send(deliver(2))
        await it.inbox.took.wait()
        stream.stuck = True
        started = trio.current_time()

        assert not await it.connection.probe(2)

        assert trio.current_time() - started == pytest.approx(2)
        assert [status.reason for status in it.gate.closes] == ["probe-timeout"]
        assert it.inbox.losses[0].unanswered == (1,)
        assert not await it.connection.probe(2)
        await it.ended.wait()
        assert trio.current_time() - started == pytest.approx(2)
        assert len(it.gate.closes) == len(it.inbox.losses) == 1


async def test_a_peer_that_is_only_asked_keeps_its_link(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        started = trio.current_time()

        assert not await it.connection.answers(2)

        assert trio.current_time() - started == pytest.approx(2)
        assert it.connection.status().state == "bound"
        assert it.inbox.losses == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.connection.answers, 2)
            assert await it.peer.told() == ("enquire_link", 0, 1)
            assert await it.peer.told() == ("enquire_link", 0, 2)
            await it.peer.send(deliver(2))
        assert await it.peer.told() == ("deliver_sm_resp", 0, 2)


async def test_r24_a_peer_that_was_asked_has_no_longer_than_the_response_timer(
    autojump_clock: MockClock,
) -> None:
    async with line() as it:
        await it.peer.bind()
        started = trio.current_time()
        assert not await it.connection.answers(2)

        await it.ended.wait()

        (status,) = it.gate.closes
        assert status.reason == "enquire-link-timeout"
        assert status.at == int((started + Timers().response) * 1000)


class Counted(Turns):
    def __init__(self) -> None:
        super().__init__()
        self.paid = 0

    async def pay(self, seconds: float) -> None:
        self.paid += 1
        await super().pay(seconds)


@pytest.mark.parametrize("command", [CommandId.enquire_link, CommandId.query_sm, 0x80000004])
async def test_r23_who_sends_much_that_brings_nothing_waits_for_a_turn(
    command: int, autojump_clock: MockClock
) -> None:
    turns = Counted()
    async with line(turns=turns) as it:
        await it.peer.bind()
        await it.peer.send(*(deliver(n) for n in range(2, 100)))
        await it.peer.send(struct.pack(">IIII", 16, command, 0, 1) * FEW)
        await wait_all_tasks_blocked()
        assert turns.paid == 0

        await it.peer.send(struct.pack(">IIII", 16, command, 0, 1) * (FEW + 1))
        await wait_all_tasks_blocked()
        assert turns.paid == 1


async def test_cancelling_closes_and_reports(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        it.inbox.hold = trio.Event()
        await it.peer.send(deliver(1))
        await it.inbox.took.wait()

    assert it.inbox.losses[0].unanswered == (1,)
    assert it.gate.closes[0].reason == "cancelled"
    assert await it.peer.told() is None


async def test_cancelling_closes_a_stream_that_could_linger(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    inbound, outbound = Closable(near), Closable(near)
    async with line(stream=trio.StapledStream(outbound, inbound), peer=far) as it:
        await it.peer.bind()

    assert inbound.closed
    assert outbound.closed


class Closable(trio.abc.Stream):
    """A stream that tells whether it was closed."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


# Bounds.


class Stuck(trio.abc.Stream):
    """A stream whose peer never reads: each write blocks for ever."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.stuck = False
        self.reads = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.stuck:
            await trio.sleep_forever()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self.reads += 1
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_peer_that_does_not_read_is_cut_and_its_answers_count_as_never_written(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    stream = Stuck(ours)
    async with line(stream=stream, peer=theirs) as it:
        await it.peer.bind()
        await wait_all_tasks_blocked()
        stream.stuck = True
        started = trio.current_time()
        await it.peer.send(deliver(1))

        await it.ended.wait()
        assert trio.current_time() - started == pytest.approx(module.WRITE_TIMEOUT)
        assert it.gate.closes[0].reason == "write-timeout"
        assert it.inbox.losses[0].unanswered == (1,)


async def test_reading_stops_while_too_much_is_unsent(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    stream = Stuck(ours)
    async with line(stream=stream, peer=theirs) as it:
        await it.peer.bind()
        await wait_all_tasks_blocked()
        stream.stuck = True
        enquiry = struct.pack(">IIII", 16, CommandId.enquire_link, 0, 1)
        await it.peer.send(enquiry * 4_000)  # 64,000 octets of answers: below the limit
        await wait_all_tasks_blocked()
        reads = stream.reads
        await it.peer.send(enquiry * 50)
        await wait_all_tasks_blocked()
        assert stream.reads == reads + 1  # still listening
        await it.peer.send(enquiry * 200)
        await wait_all_tasks_blocked()
        assert stream.reads == reads + 1  # now above the limit
        before = it.connection.status().alive_at

        await it.peer.send(enquiry)
        await wait_all_tasks_blocked()
        assert it.connection.status().alive_at == before
        await it.ended.wait()


# Our own faults.


class FaultyInbox(MemoryInbox):
    def __init__(self, faults: list[Exception | int]) -> None:
        super().__init__()
        self.faults = faults

    async def take(self, arrivals: Sequence[Arrival]) -> Sequence[Verdict]:
        verdicts = await super().take(arrivals)
        if not self.faults:
            return verdicts
        fault = self.faults.pop(0)
        if isinstance(fault, Exception):
            raise fault
        return verdicts[:fault]


@pytest.mark.parametrize("fault", [RuntimeError("boom"), 0])
async def test_a_fault_of_the_inbox_is_a_temporary_error(
    fault: Exception | int, autojump_clock: MockClock, log: list[EventDict]
) -> None:
    async with line(inbox=FaultyInbox([fault])) as it:
        await it.peer.bind()
        await it.peer.send(deliver(1))
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_RX_T_APPN, 1)

        await it.peer.send(deliver(2))
        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 2)
    (failed,) = [event for event in log if event["event"] == "arrivals.failed"]
    assert failed["error"].startswith("RuntimeError in ")
    assert "boom" not in str(failed)  # a fault's words may quote a message


async def test_r03_a_fault_of_the_reading_keeps_the_octets(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3: a poisonous PDU costs only itself, and is kept."""

    def boom(*_args: object, **_more: object) -> Arrival:
        raise RuntimeError("secret text")

    async with line() as it:
        await it.peer.bind()
        monkeypatch.setattr(arriving, "interpret", boom)
        await it.peer.send(deliver(1))

        assert await it.peer.told() == ("deliver_sm_resp", Status.ESME_ROK, 1)
        (arrival,) = it.inbox.arrivals
        assert isinstance(arrival, Unreadable)
        assert arrival.raw[12:16] == b"\0\0\0\1"
        assert "secret" not in arrival.reason


async def test_a_fault_of_the_gate_is_a_temporary_refusal(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    class FaultyGate(MemoryGate):
        @property
        def links(self) -> int:
            raise RuntimeError("boom")

    async with line(gate=FaultyGate(ACCOUNT)) as it:
        await it.peer.send(bind())

        assert await it.peer.told() == ("bind_transceiver_resp", Status.ESME_RSYSERR, 1)
    (failed,) = [event for event in log if event["event"] == "bind.failed"]
    assert failed["error"].startswith("RuntimeError in ")
    assert "boom" not in str(failed)


async def test_crash_points_are_passed_in_order(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    async with line() as it:
        await it.peer.bind()
        await wait_all_tasks_blocked()
        monkeypatch.setattr(crashpoint, "hook", passed.append)
        await it.peer.send(deliver(1))
        await it.peer.told()
        await wait_all_tasks_blocked()

    assert passed == [
        "carrier.decoded",
        "carrier.interpreted",
        "carrier.verdict",
        "carrier.answered",
    ]
