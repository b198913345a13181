"""tshark dissects everything the gateway sends, and has nothing against any of it."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from bridge.customer import open_customer
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    BINDS,
    BODIES,
    RESPONSE_BIT,
    CommandId,
    EnquireLinkResp,
    LinkState,
    Status,
    UnbindResp,
    answer_id,
    refusal,
)
from tests.fix_gateway import (
    ACCOUNT,
    NUMBER,
    PASSWORD,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    open_gateway,
    routed,
)
from tests.fix_peer import Peer, bind, deliver
from tests.fix_peers import Conversation, Relay, dissect, open_relay

BOUND = 60
HEADER = struct.Struct(">IIII")

LIVE = """
[listeners.timers]
session_init = 2
enquire_link = 0.3
"""
SLOW = f"""
[[accounts]]
name = "slow"
system_id = "slow"
password = "{PASSWORD}"
rate = 0.01
burst = 1
unreadable = "reject"
"""

REQUESTS = {
    command: body()
    for command, body in BODIES.items()
    if not command & RESPONSE_BIT and command not in BINDS
}
"""Every command that is a request, with nothing in it."""


class Carriers:
    """Dial through the relay."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Peer]:
        async with await trio.open_tcp_stream("127.0.0.1", self.relay.port) as stream:
            yield Peer(stream)

    @asynccontextmanager
    async def bound(
        self,
        kind: CommandId = CommandId.bind_transceiver,
        version: int = 0x34,
        system_id: str = SYSTEM_ID,
    ) -> AsyncIterator[Peer]:
        async with self.dial() as peer:
            await self.bind(peer, kind, version, system_id)
            yield peer

    async def bind(self, peer: Peer, kind: CommandId, version: int, system_id: str) -> None:
        request = encode(bind(system_id, PASSWORD, kind))
        await peer.send(request.replace(b"\0\x34\0\0\0", bytes((0, version, 0, 0, 0))))
        told = await peer.told()
        assert told == (f"{kind.name}_resp", Status.ESME_ROK, 1)


async def read(peer: Peer, answers: int) -> set[int]:
    """Read this many answers, answering what we are asked; their sequence_numbers."""
    read: set[int] = set()
    while len(read) < answers:
        pdu = await peer.read()
        assert pdu is not None
        if pdu.command_id == CommandId.enquire_link:
            await peer.send(
                Pdu(CommandId.enquire_link_resp, 0, pdu.sequence_number, EnquireLinkResp())
            )
        else:
            read.add(pdu.sequence_number)
    return read


async def every_request(peer: Peer) -> None:
    """Send one of each, and what is none; all but those without a response are answered."""
    sequence = 100
    expected = 0
    for command, body in REQUESTS.items():
        if command in (CommandId.unbind, CommandId.outbind):
            continue
        sequence += 1
        await peer.send(Pdu(command, 0, sequence, body))
        refused = refusal(LinkState.BOUND_TRX, command)
        expected += answer_id(command) is not None or refused is not None
    await peer.send(deliver(200), HEADER.pack(16, 0x00000ABC, 0, 201))
    # Cut off in the middle of a field.
    for number, command in enumerate(
        (CommandId.deliver_sm, CommandId.submit_sm, CommandId.data_sm, CommandId.query_sm)
    ):
        await peer.send(HEADER.pack(19, command, 0, 300 + number) + b"\0\1\1")
    # Said twice.
    await peer.send(bind(SYSTEM_ID, PASSWORD))
    await read(peer, expected + 2 + 4 + 1)


def framed(conversations: list[Conversation]) -> list[tuple[int, int, int]]:
    """Command, status and sequence_number of all the gateway said."""
    headers = [HEADER.unpack(pdu[:16]) for each in conversations for ours, pdu in each if ours]
    return [(command, status, sequence) for _, command, status, sequence in headers]


async def test_nothing_we_send_is_malformed(tmp_path: Path, tshark: str) -> None:
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            live = LIVE + ACCOUNT + SLOW + routed(NUMBER, "customer")
            live += endpoint("customer", customer.url)
            async with (
                open_gateway(tmp_path, live) as gateway,
                open_relay(gateway.smpp_port) as relay,
            ):
                await provoke(gateway, Carriers(relay))
        told = framed(relay.conversations)
        seen = await dissect(tshark, tmp_path / "all.pcap", relay.conversations)

    assert [(each.command, each.status, each.sequence) for each in seen] == told
    assert [each for each in seen if each.marks] == []
    commands = {command for command, _, _ in told}
    answers = {command for command in BODIES if command & RESPONSE_BIT}
    assert commands == answers | {CommandId.enquire_link, CommandId.unbind}
    assert len({status for _, status, _ in told}) > 5


async def provoke(gateway: Gateway, carriers: Carriers) -> None:
    """Have the gateway say everything it can say to a carrier that dials it."""
    # Every kind of bind in every version; the carrier unbinds.
    for kind in (
        CommandId.bind_receiver, CommandId.bind_transmitter, CommandId.bind_transceiver,
    ):  # fmt: skip
        for version in (0x00, 0x33, 0x34, 0x50):
            async with carriers.bound(kind, version) as peer:
                await peer.send(*(deliver(number) for number in range(2, 5)))
                await peer.send(Pdu(CommandId.unbind, 0, 9, REQUESTS[CommandId.unbind]))
                assert await read(peer, 4) == {2, 3, 4, 9}
                assert await peer.told() is None

    # Every request; then those that are too many.
    async with carriers.bound() as peer:
        await every_request(peer)
    async with carriers.bound(system_id="slow") as peer:
        await every_request(peer)

    # Before a bind; refused binds.
    async with carriers.dial() as peer:
        for command, body in REQUESTS.items():
            if command not in (CommandId.unbind, CommandId.outbind):
                await peer.send(Pdu(command, 0, command, body))
        await read(peer, 5)
    for system_id, password in ((SYSTEM_ID, "wrong"), ("nobody", PASSWORD)):
        async with carriers.dial() as peer:
            await peer.send(bind(system_id, password))
            await read(peer, 1)
            assert await peer.told() is None

    # Framing lost; nothing but silence.
    for octets in (HEADER.pack(15, 5, 0, 7), HEADER.pack(0x7FFFFFFF, 5, 0, 7)):
        async with carriers.bound() as peer:
            await peer.send(octets)
            nack = await peer.told()
            assert nack
            assert nack[0] == "generic_nack"
            assert await peer.told() is None

    # We ask, and we part.
    async with carriers.bound() as peer, trio.open_nursery() as nursery:
        assert (await peer.told() or ("",))[0] == "enquire_link"
        nursery.start_soon(gateway.stop)
        while pdu := await peer.read():
            if pdu.command_id == CommandId.unbind:
                await peer.send(Pdu(CommandId.unbind_resp, 0, pdu.sequence_number, UnbindResp()))


async def test_the_judge_has_eyes(tmp_path: Path, tshark: str) -> None:
    whole = HEADER.pack(19, CommandId.bind_transceiver_resp, 0, 1) + b"ab\0"
    unended = HEADER.pack(18, CommandId.bind_transceiver_resp, 0, 2) + b"ab"

    seen = await dissect(tshark, tmp_path / "bad.pcap", [[(True, whole), (True, unended)]])

    assert [(each.sequence, bool(each.marks)) for each in seen] == [(1, False), (2, True)]
