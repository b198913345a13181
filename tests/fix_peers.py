"""Carriers, and a judge, that nobody here wrote: npm's ``smpp``, Perl's ``Net::SMPP``, Kannel's
bearerbox and tshark.

A peer that is not installed is a skip that says how to get it; where ``CI`` is set it is a
failure, so that nothing is left out there unnoticed.
"""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

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
``system_id``, ``message_id``, ``sc_interface_version`` what was in it."""


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

    async def dial(self, port: int, **options: Any) -> None:
        """Connect."""
        await self.do(dial=port, **options)

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
