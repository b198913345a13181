"""What a tap hears of a link."""

from collections.abc import Sequence

import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from smsc.config import Account, Listener
from smsc.link.connection import Connection
from smsc.status import LinkStatus
from smsc.wire.pdu import encode
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer, deliver


class Listening:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.octets: list[bytes] = []
        self.ends: list[LinkStatus] = []

    def heard(self, link: LinkStatus, frames: Sequence[bytes]) -> None:
        self.frames += frames

    def said(self, link: LinkStatus, octets: bytes) -> None:
        self.octets.append(octets)

    def ended(self, link: LinkStatus) -> None:
        self.ends.append(link)


async def test_a_tap_hears_whole_pdus_both_ways_and_the_end(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    connection = Connection(
        ours,
        link="lnk_1",
        peer="192.0.2.1:40000",
        listener=Listener(),
        inbox=MemoryInbox(),
        gate=MemoryGate(Account(name="acme", system_id="acme")),
        clock=lambda: 0,
    )
    peer, tap = Peer(theirs), Listening()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            await peer.bind()
            await wait_all_tasks_blocked()
            connection.tap = tap
            assert connection.status().recording
            frame = encode(deliver(2))
            await peer.send(frame[:20])
            await wait_all_tasks_blocked()
            assert tap.frames == []
            await peer.send(frame[20:])
            await peer.read()
            await wait_all_tasks_blocked()
            assert tap.frames == [frame]
            assert tap.octets == [bytes.fromhex("00000011 80000005 00000000 00000002 00")]
            await theirs.aclose()
        (end,) = tap.ends
        assert (end.state, end.reason) == ("closed", "closed-by-peer")
