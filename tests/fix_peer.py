"""The other end of a link, octet by octet: sends what it is told and reads PDUs."""

import trio

from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CommandId,
    DeliverSm,
    Status,
)

Told = tuple[str, int, int]
"""Command, status, sequence_number of a PDU read."""


class Peer:
    """One end of a stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._framer = Framer(1 << 20)
        self._pdus: list[Pdu] = []

    async def send(self, *pdus: Pdu | bytes) -> None:
        octets = b"".join(pdu if isinstance(pdu, bytes) else encode(pdu) for pdu in pdus)
        await self.stream.send_all(octets)

    async def read(self) -> Pdu | None:
        """Return the next PDU; None at the end of the stream, or when it broke."""
        while not self._pdus:
            try:
                data = await self.stream.receive_some(65_536)
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            for frame in self._framer.feed(data):
                pdu = decode(frame)
                assert isinstance(pdu, Pdu)
                self._pdus.append(pdu)
        return self._pdus.pop(0)

    async def told(self) -> Told | None:
        """Return the next PDU as command, status and sequence_number."""
        pdu = await self.read()
        if pdu is None:
            return None
        return CommandId(pdu.command_id).name, pdu.command_status, pdu.sequence_number

    async def bind(self, system_id: str = "acme", password: str = "secret") -> None:
        await self.send(bind(system_id, password))
        answer = await self.told()
        assert answer == ("bind_transceiver_resp", Status.ESME_ROK, 1)


def bind(
    system_id: str = "acme",
    password: str = "secret",
    command: CommandId = CommandId.bind_transceiver,
) -> Pdu:
    kind = {
        CommandId.bind_transceiver: BindTransceiver,
        CommandId.bind_receiver: BindReceiver,
        CommandId.bind_transmitter: BindTransmitter,
    }[command]
    return Pdu(command, 0, 1, kind(system_id=system_id, password=password, interface_version=0x34))


def deliver(sequence: int, text: bytes = b"hello") -> Pdu:
    body = DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="447700900123",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="447700900999",
        short_message=text,
    )
    return Pdu(CommandId.deliver_sm, 0, sequence, body)
