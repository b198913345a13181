"""What peers were refused, as the gate hears of it: over a link in memory, from every cause."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from smsc.config import Account, Dial, Listener
from smsc.inbox import Refused
from smsc.link.connection import Connection
from smsc.link.phases import Phase
from smsc.link.refusing import KEPT, RAW, Refusals, by_phase
from smsc.message import VerdictKind
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    BindTransceiverResp,
    CommandId,
    QuerySm,
    Status,
    SubmitSm,
)
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer, bind, deliver

ACCOUNT = Account(name="acme", system_id="acme", window=2, unreadable="reject")
SECRET = "s3cret"


class Line:
    """A link, and what was refused on it."""

    def __init__(self, peer: Peer, gate: MemoryGate, inbox: MemoryInbox) -> None:
        self.peer = peer
        self.gate = gate
        self.inbox = inbox

    async def refused(self) -> list[Refused]:
        await wait_all_tasks_blocked()
        return self.gate.refusals


@asynccontextmanager
async def line(account: Account = ACCOUNT, *, dialled: bool = False) -> AsyncIterator[Line]:
    gate, inbox = MemoryGate(account), MemoryInbox()
    stream, peer = memory_stream_pair()
    connection = Connection(
        stream, link="lnk_1", peer="192.0.2.1:40000", listener=Listener(), inbox=inbox, gate=gate,
        clock=lambda: 7, account=account if dialled else None, local="192.0.2.2:2775",
    )  # fmt: skip
    assert connection.status().local == "192.0.2.2:2775"
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            yield Line(Peer(peer), gate, inbox)
            nursery.cancel_scope.cancel()


def facts(refused: Refused) -> tuple[str, int, str]:
    return refused.command, refused.status, refused.reason


async def test_a_bind_with_its_reason_and_without_its_password(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.send(bind(password=SECRET))

        (refused,) = await it.refused()

    assert refused == Refused(
        at=7, link="lnk_1", system_id="acme", peer="192.0.2.1:40000", command="bind_transceiver",
        status=Status.ESME_RINVPASWD, reason="does not match",
    )  # fmt: skip


async def test_a_second_bind_says_so_and_shows_no_password(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(bind(password=SECRET))

        (refused,) = await it.refused()

    assert refused.account == "acme"
    assert refused.command == "bind_transceiver"
    assert refused.reason == "not allowed on a bound link"
    assert refused.raw == b""


async def test_a_pdu_that_cannot_be_read_with_its_octets(autojump_clock: MockClock) -> None:
    whole = encode(deliver(9, b"hello"))
    broken = (len(whole) - 3).to_bytes(4, "big") + whole[4:-3]
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(deliver(8), broken)

        (refused,) = await it.refused()

    assert refused.raw == broken
    assert facts(refused) == (
        "deliver_sm", Status.ESME_RINVMSGLEN, "short_message: sm_length 5 > 2 octets left",
    )  # fmt: skip


async def test_what_has_no_place_on_a_link(autojump_clock: MockClock) -> None:
    unknown = bytes.fromhex("00000010000077770000000000000003")
    query = encode(Pdu(CommandId.query_sm, 0, 2, QuerySm()))
    async with line() as it:
        await it.peer.send(deliver(1))
        await it.peer.read()
        await it.peer.bind()
        await it.peer.send(query, unknown)

        early, ours, strange = await it.refused()

    assert facts(early) == ("deliver_sm", Status.ESME_RINVBNDSTS, "not allowed before a bind")
    assert (early.account, early.raw) == ("", encode(deliver(1)))
    assert ours.command == "query_sm"
    assert facts(strange) == ("00007777", Status.ESME_RINVCMDID, "an unknown command")


async def test_above_the_window_and_above_the_rate(autojump_clock: MockClock) -> None:
    account = Account(name="acme", system_id="acme", window=2, rate=0.5, burst=3)
    async with line(account) as it:
        it.inbox.hold = trio.Event()
        await it.peer.bind()
        await it.peer.send(deliver(1), deliver(2), deliver(3))
        await wait_all_tasks_blocked()
        it.inbox.hold.set()
        await wait_all_tasks_blocked()
        await it.peer.send(deliver(4), deliver(5))

        window, rate = await it.refused()

    why = "2 requests are unanswered; the account's window is 2"
    assert facts(window) == ("deliver_sm", Status.ESME_RTHROTTLED, why)
    assert facts(rate) == (
        "deliver_sm", Status.ESME_RTHROTTLED, "above the account's rate of 0.5 a second",
    )  # fmt: skip
    assert rate.raw == encode(deliver(5))


@pytest.mark.parametrize("kind", [k for k in VerdictKind if k is not VerdictKind.STORED])
async def test_what_the_store_has_no_room_for(kind: VerdictKind, autojump_clock: MockClock) -> None:
    async with line() as it:
        it.inbox.kind = kind
        await it.peer.bind()
        await it.peer.send(deliver(1))

        (refused,) = await it.refused()

    assert refused.command == "deliver_sm"
    assert refused.status
    assert refused.reason


async def test_lost_framing(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.bind()
        await it.peer.send(b"GET / HTTP/1.1\r\n\r\n")

        (refused,) = await it.refused()

    assert refused.command == "generic_nack"
    assert refused.status == Status.ESME_RINVCMDLEN
    assert "HTTP" in refused.reason


async def test_a_bind_of_ours_that_the_carrier_refuses(autojump_clock: MockClock) -> None:
    account = Account(name="acme", system_id="acme", dial=Dial(password=SECRET))
    async with line(account, dialled=True) as it:
        await it.peer.read()
        await it.peer.send(encode(Pdu(
            CommandId.bind_transceiver_resp, Status.ESME_RINVPASWD, 1, BindTransceiverResp()
        )))  # fmt: skip

        (refused,) = await it.refused()

    assert (refused.account, refused.command, refused.status) == ("acme", "bind_transceiver", 0)
    assert refused.reason.startswith("the carrier refused our bind: ESME_RINVPASWD")


async def test_a_flood_is_counted_rather_than_kept(autojump_clock: MockClock) -> None:
    async with line() as it:
        await it.peer.send(*(deliver(n) for n in range(KEPT + 30)))

        assert len(await it.refused()) == KEPT
        assert it.gate.more_refused == 30


async def test_of_a_large_pdu_the_beginning_is_told(autojump_clock: MockClock) -> None:
    large = encode(Pdu(CommandId.submit_sm, 0, 1, SubmitSm(), ((0x1501, bytes(9_000)),)))
    account = Account(name="acme", system_id="acme", rate=0.5)
    async with line(account) as it:
        await it.peer.bind()
        await it.peer.send(deliver(1), large)

        (refused,) = await it.refused()

    assert refused.raw == large[:RAW]


def test_nothing_is_fetched_twice() -> None:
    refusals = Refusals()
    assert not refusals
    refusals.note(5, 8, 1, "why")

    assert refusals
    assert len(refusals.fetch()[0]) == 1
    assert refusals.fetch() == ([], 0)
    assert not refusals


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_words(phase: Phase) -> None:
    assert by_phase(phase, CommandId.deliver_sm, Status.ESME_RINVBNDSTS).startswith("not allowed ")


def test_what_a_gateway_has_not_is_said() -> None:
    why = by_phase(Phase.BOUND, CommandId.query_sm, Status.ESME_RQUERYFAIL)
    assert why == "this gateway takes messages in; it has none to query, change or send on"
