"""Carriers, and a judge, that nobody here wrote: npm's ``smpp``, Perl's ``Net::SMPP``, Kannel's
bearerbox and tshark.

A peer that is not installed is a skip that says how to get it; where ``CI`` is set it is a
failure, so that nothing is left out there unnoticed.
"""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import Struct

from bridge.customer import Customer
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, PASSWORD, SYSTEM_ID, Gateway

DRIVERS = Path(__file__).parent / "peers"

International = {"source_addr_ton": 1, "source_addr_npi": 1, "dest_addr_ton": 1, "dest_addr_npi": 1}
Addresses: dict[str, Any] = {
    **International,
    "source_addr": SENDER,
    "destination_addr": NUMBER.lstrip("+"),
}
"""Fields of a message from :data:`SENDER` to :data:`NUMBER`."""

Fields = dict[str, Any]
Order = tuple[str, Fields]
"""A command and its fields, as :mod:`tests.peers` know them; octets as ``{"hex": …}``."""
Told = dict[str, Any]
"""A PDU the gateway sent, as a peer read it: ``command``, ``status``, ``sequence``, and of
``system_id``, ``password``, ``interface_version``, ``sc_interface_version`` and ``message_id``
what was in it."""


def octets(data: bytes) -> dict[str, str]:
    """Octets as the drivers take them."""
    return {"hex": data.hex()}


def find(program: str, *, get: str) -> str:
    """Where a program is; ``get`` says how to get it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return path or absent(program, get)


def absent(what: str, get: str) -> Any:
    """Skip the test, or let it fail where everything must be there."""
    reason = f"{what} is not installed: {get}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def node_smpp() -> Sequence[str]:
    """The command of a carrier that speaks through npm's smpp."""
    node = find("node", get="apt-get install nodejs npm")
    if not (DRIVERS / "node_modules/smpp").is_dir():
        absent("npm's smpp", "npm ci --prefix tests/peers")
    return node, str(DRIVERS / "node_smpp.js")


@pytest.fixture
def net_smpp() -> Sequence[str]:
    """The command of a carrier that speaks through Perl's Net::SMPP."""
    perl = find("perl", get="apt-get install perl")
    if subprocess.run([perl, "-MNet::SMPP", "-e", "1"], capture_output=True).returncode:
        absent("Perl's Net::SMPP", "apt-get install libnet-smpp-perl")
    return perl, str(DRIVERS / "net_smpp.pl")


@pytest.fixture
def kannel() -> Sequence[str]:
    """The commands of Kannel's bearerbox and smsbox."""
    get = "apt-get install kannel"
    return find("bearerbox", get=get), find("smsbox", get=get)


class Driver:
    """A carrier that does what it is told, one order after the other. Made by
    :func:`open_driver`."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._pending = b""

    async def do(self, **order: Any) -> list[Told]:
        """Give one order, await what came of it."""
        assert self.process.stdin
        assert self.process.stdout
        await self.process.stdin.send_all(json.dumps(order).encode() + b"\n")
        while b"\n" not in self._pending:
            data = await self.process.stdout.receive_some()
            assert data, f"the peer has ended: {await self.process.wait()}"
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        result: list[Told] = json.loads(line)
        return result

    async def dial(self, port: int) -> None:
        """Connect."""
        await self.do(dial=port)

    async def listen(self) -> int:
        """Be an SMSC for the gateway to dial; the port."""
        (found,) = await self.do(listen=True)
        return int(found["port"])

    async def tell(self, *requests: Order) -> None:
        """Send what has no response."""
        await self.do(tell=requests)

    async def send(self, *requests: Order) -> list[Told]:
        """Send all of these at once; their responses, in the order of the requests."""
        return await self.do(send=requests)

    async def bind(self, kind: str = "transceiver", **fields: Any) -> Told:
        """Bind; the answer."""
        credentials = {"system_id": SYSTEM_ID, "password": PASSWORD, "interface_version": 0x34}
        (answer,) = await self.send((f"bind_{kind}", credentials | fields))
        return answer

    async def asked(self, command: str, times: int = 1) -> list[Told]:
        """What the gateway has asked of this command, once it has been so often."""
        return await self.do(**{"await": command, "times": times})

    async def closed(self) -> None:
        """Return when the connection has ended."""
        await self.do(closed=True)


@asynccontextmanager
async def open_driver(command: Sequence[str]) -> AsyncIterator[Driver]:
    """A driver of :mod:`tests.peers`; what it writes on standard error is shown with a failure."""
    process = await trio.lowlevel.open_process(
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Driver(process)
        assert process.stdin
        await process.stdin.aclose()
        assert await process.wait() == 0
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def events_of(gateway: Gateway, customer: Customer, *, before: int, new: int) -> list[Any]:
    """The events a customer got beyond ``before``, once they are ``new``; all verified."""
    with trio.move_on_after(15):
        await customer.until(lambda: customer.count >= before + new)
    received = list(customer.received)[before:]
    assert [each.problem for each in received] == [""] * new, gateway.log()
    return [each.event for each in received]


async def link_closed(gateway: Gateway, kind: str, *, reason: str) -> dict[str, Any]:
    """What the gateway logged of a link of this kind that ended for this reason, once it did."""
    found: list[dict[str, Any]] = []

    def told() -> bool:
        lines = gateway.log_file.read_bytes().splitlines(keepends=True)
        said = [json.loads(line) for line in lines if line[:1] == b"{" and line[-1:] == b"\n"]
        found[:] = [line for line in said if line.get("event") == "session.closed"]
        found[:] = [line for line in found if (line["kind"], line["reason"]) == (kind, reason)]
        return bool(found)

    await gateway.until(told)
    return found[-1]


# The judge: what went over the wire, as a capture that tshark reads.

SMPP_PORT = 2775
"""The gateway's port in a capture, whatever it was."""


class Seen(Struct, frozen=True):
    """One PDU of the gateway, as tshark dissected it."""

    command: int
    status: int
    sequence: int
    marks: str
    """What tshark has against it, in its words; empty: nothing."""


Conversation = list[tuple[bool, bytes]]
"""One connection: whether the gateway sent it, and PDUs, in order."""


class Relay:
    """Stands between carriers and the gateway and keeps what they said. Made by
    :func:`open_relay`."""

    def __init__(self, port: int, *, ours: bool) -> None:
        self.port = port
        """Where to connect instead."""
        self._ours = ours
        self.conversations: list[Conversation] = []

    async def join(self, target: int, dialled: trio.SocketStream) -> None:
        """Carry octets between who dialled and a port until both sides have ended."""
        conversation: Conversation = []
        self.conversations.append(conversation)
        async with (
            dialled,
            await trio.open_tcp_stream("127.0.0.1", target) as there,
            trio.open_nursery() as nursery,
        ):
            carry = partial(_carry, conversation, nursery.cancel_scope)
            nursery.start_soon(carry, dialled, there, self._ours)
            nursery.start_soon(carry, there, dialled, not self._ours)


async def _carry(
    conversation: Conversation,
    broken: trio.CancelScope,
    source: trio.SocketStream,
    target: trio.SocketStream,
    ours: bool,
) -> None:
    pending = b""
    try:
        async for chunk in source:
            pending += chunk
            # A packet a PDU, so that each stands for itself in the capture.
            while len(pending) >= 16 and len(pending) >= (size := _command_length(pending)):
                conversation.append((ours, pending[:size]))
                pending = pending[size:]
            await target.send_all(chunk)
        await target.send_eof()
    except trio.BrokenResourceError:
        broken.cancel()
    if pending:
        conversation.append((ours, pending))


def _command_length(data: bytes) -> int:
    return max(16, int.from_bytes(data[:4]))


@asynccontextmanager
async def open_relay(target: int, *, ours: bool = False) -> AsyncIterator[Relay]:
    """A relay to this port of the gateway, or, where ``ours`` says that it is the gateway who
    dials, of a carrier."""
    (listening,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    relay = Relay(listening.socket.getsockname()[1], ours=ours)
    async with trio.open_nursery() as nursery:

        async def serve(dialled: trio.SocketStream) -> None:
            await relay.join(target, dialled)

        nursery.start_soon(trio.serve_listeners, serve, [listening])
        yield relay
        nursery.cancel_scope.cancel()


def pcap(conversations: Sequence[Conversation]) -> bytes:
    """A capture file of these: raw IPv4, one TCP packet a PDU, no checksums."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 101)]
    for index, conversation in enumerate(conversations):
        said = {False: 1, True: 1}
        for number, (ours, pdu) in enumerate(conversation):
            ports = (40_000 + index, SMPP_PORT)
            source, target = reversed(ports) if ours else ports
            hosts = bytes((192, 0, 2, 1 + ours)) + bytes((192, 0, 2, 2 - ours))
            tcp = struct.pack(
                ">HHIIBBHHH", source, target, said[ours], said[not ours], 0x50, 0x18, 65_535, 0, 0
            )
            said[ours] += len(pdu)
            size = 40 + len(pdu)
            ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 6, 0) + hosts
            out.append(struct.pack("<IIII", index, number, size, size) + ip + tcp + pdu)
    return b"".join(out)


@pytest.fixture
def tshark() -> str:
    """The program."""
    return find("tshark", get="apt-get install tshark")


async def dissect(tshark: str, path: Path, conversations: Sequence[Conversation]) -> list[Seen]:
    """What tshark makes of every PDU of the gateway, by way of a capture file at ``path``."""
    await trio.Path(path).write_bytes(pcap(conversations))
    shown = (
        "smpp.command_id", "smpp.command_status", "smpp.sequence_number",
        "_ws.malformed", "_ws.short", "_ws.expert.message",
    )  # fmt: skip
    done = await trio.run_process(
        [
            tshark, "-n", "-r", str(path), "-d", f"tcp.port=={SMPP_PORT},smpp",
            "-Y", f"tcp.srcport=={SMPP_PORT}", "-T", "fields", "-E", "separator=|",
            *(word for field in shown for word in ("-e", field)),
        ],
        capture_stdout=True,
        capture_stderr=True,
    )  # fmt: skip
    seen = []
    for line in done.stdout.decode().splitlines():
        command, status, sequence, *marks = line.split("|")
        seen.append(
            Seen(
                int(command or "0", 0),
                int(status or "0", 0),
                int(sequence or "0", 0),
                " ".join(marks).strip(),
            )
        )
    return seen
