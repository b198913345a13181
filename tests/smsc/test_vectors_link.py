"""Every vector, well-formed or not, sent by a bound carrier: what does the link make of it?

Each framed request gets exactly one answer, with its own number; a link ends only where framing
is lost or the peer unbinds; and nothing raises (R3).

R1 to R25, here and in the docstrings of other tests, are what a gateway must do to survive what
real carriers send: the requirements that peers' issue trackers taught us.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock, memory_stream_pair

from smsc.config import Account, Listener
from smsc.link.connection import Connection
from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    ARRIVALS,
    COMMAND_NAMES,
    RESPONSE_BIT,
    UNANSWERED,
    CommandId,
    EnquireLink,
    Status,
)
from tests.fix_inbox import MemoryGate, MemoryInbox
from tests.fix_peer import Peer, bind

VECTORS = Path(__file__).parents[1] / "vectors"
LISTENER = Listener()
PROBED = 0x000F00D5
PROBE = encode(Pdu(CommandId.enquire_link, 0, PROBED, EnquireLink()))


def _vectors() -> list[Any]:
    return [
        pytest.param(bytes.fromhex(vector["hex"]), id=vector["id"])
        for name in ("pdus", "malformed")
        for vector in json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    ]


@pytest.mark.parametrize("octets", _vectors())
async def test_one_answer_each_and_no_link_lost(octets: bytes, autojump_clock: MockClock) -> None:
    framer = Framer(LISTENER.pdu_limit)
    frames = framer.feed(octets)
    requests = [
        (int.from_bytes(frame[4:8], "big"), int.from_bytes(frame[12:16], "big"))
        for frame in frames
        if not frame[4] & 0x80
    ]
    parts = any(command == CommandId.unbind for command, _ in requests)
    inbox = MemoryInbox()
    ours, theirs = memory_stream_pair()
    peer = Peer(theirs)
    connection = Connection(
        ours,
        link="lnk_1",
        peer="192.0.2.1:40000",
        listener=LISTENER,
        inbox=inbox,
        gate=MemoryGate(Account(name="acme", system_id="acme")),
        clock=lambda: 1_800_000_000_000,
    )

    with structlog.testing.capture_logs() as log, trio.fail_after(3_600):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            await peer.send(bind())
            await peer.read()
            # What is half a PDU would swallow the probe: its stream just ends.
            await peer.send(octets if framer.pending and not framer.lost else octets + PROBE)
            if framer.pending and not framer.lost:
                await theirs.send_stream.aclose()
            told: list[Pdu] = []
            while not nursery.cancel_scope.cancel_called:
                with trio.move_on_after(1):  # of the mock clock: nothing more is to come
                    pdu = await peer.read()
                    if pdu is not None:
                        told.append(pdu)
                        continue
                nursery.cancel_scope.cancel()

    answers = [(pdu.command_id, pdu.sequence_number) for pdu in told]
    expected = [
        (
            command | RESPONSE_BIT
            if command in COMMAND_NAMES and command not in UNANSWERED
            else int(CommandId.generic_nack),
            sequence,
        )
        for command, sequence in requests
        if command not in UNANSWERED or command == CommandId.outbind
    ]
    if framer.lost:
        expected.append((int(CommandId.generic_nack), 0))
        # Beside it, and perhaps after it, comes what was open: what can't be read is taken in too.
        (nack,) = [pdu for pdu in told if not pdu.sequence_number]
        assert nack.command_status == Status.ESME_RINVCMDLEN
    elif not framer.pending and not parts:
        expected.append((int(CommandId.enquire_link_resp), PROBED))
    elif parts:
        answers = answers[: len(expected)]
    assert sorted(answers) == sorted(expected)
    taken = sum(
        pdu.command_id & ~RESPONSE_BIT in ARRIVALS and not pdu.command_status for pdu in told
    )
    assert taken == len(inbox.arrivals)
    assert not [event for event in log if event["event"].endswith(".failed")]
