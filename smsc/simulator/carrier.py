"""A simulated carrier: one link to a gateway, over which it delivers what its subscribers sent.

For the demonstration, for ``smsbridge simulate carrier`` and for tests. It keeps to a window and
a rate, times every answer, and answers what the gateway asks. It is a polite peer: impolite ones
are made with :meth:`Carrier.raw`.

Two tasks serve a carrier beside its callers: one reads, one writes what has gathered. Callers
push requests as far as the window allows and wait for answers; a link that ends answers them all
with status None. In flight is bounded by the window, and octets to write thereby, too.
"""

import math
import struct
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Literal, Self

import trio
from msgspec import Struct

from smsc.config import BindKind, Dial
from smsc.link.reaching import Unreachable, reach
from smsc.simulator.segments import Concatenation, Encoding, Segment, segments
from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, Undecodable, decode, encode
from smsc.wire.spec import (
    RESPONSE_BIT,
    STATUS_NAMES,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CommandId,
    DataSm,
    DeliverSm,
    EnquireLink,
    SubmitSm,
    Tag,
    Unbind,
    answer_id,
)

MessageCommand = Literal["deliver_sm", "submit_sm", "data_sm"]

LATENCIES_KEPT: Final = 100_000
"""How many of the latest latencies :class:`Statistics` keeps."""
BIND_TIMEOUT: Final = 30.0
"""Seconds to wait for the answer to our bind."""
UNBIND_TIMEOUT: Final = 5.0
"""Seconds to wait for the answer to our unbind."""

_HEADER: Final = struct.Struct(">IIII")
_SEQUENCE: Final = struct.Struct(">I")
_BINDS: Final[dict[BindKind, type[BindReceiver | BindTransmitter | BindTransceiver]]] = {
    "receiver": BindReceiver,
    "transmitter": BindTransmitter,
    "transceiver": BindTransceiver,
}
_BIND_COMMANDS: Final[dict[BindKind, CommandId]] = {
    "receiver": CommandId.bind_receiver,
    "transmitter": CommandId.bind_transmitter,
    "transceiver": CommandId.bind_transceiver,
}
_PDU_LIMIT: Final = 131_072
RECEIPT: Final = 0x04
"""esm_class of a delivery receipt (SMPP 3.4 §5.2.12)."""


class BindRefused(Exception):
    """The gateway refused the bind, or left or was silent without an answer (``status`` None)."""

    def __init__(self, status: int | None) -> None:
        super().__init__("no answer" if status is None else status_text(status))
        self.status = status


class Answer(Struct, frozen=True):
    """What became of one request."""

    status: int | None
    """command_status of the answer; None if the link ended before it came."""
    message_id: str
    seconds: float
    """From handing the request over to reading its answer."""

    @property
    def ok(self) -> bool:
        """Whether the request was accepted."""
        return self.status == 0


class Statistics:
    """Counts and times of one carrier's requests."""

    def __init__(self) -> None:
        self.sent = 0
        """Requests handed over."""
        self.statuses: Counter[str] = Counter()
        """Answers by the name of their status."""
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        """Seconds to the answer, of the latest :data:`LATENCIES_KEPT`."""
        self.unsolicited = 0
        """Responses that matched nothing."""
        self.requests: Counter[str] = Counter()
        """What the gateway asked of us, by command."""

    @property
    def answered(self) -> int:
        """Requests that were answered, however."""
        return self.statuses.total()

    def percentile(self, share: float) -> float:
        """Return the latency that ``share`` (0 to 1) of the answers stayed within, in seconds."""
        if not self.latencies:
            return 0.0
        ordered = sorted(self.latencies)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class _Batch:
    """Requests whose caller waits for all their answers."""

    __slots__ = ("answers", "done", "remaining")

    def __init__(self, count: int | None) -> None:
        self.answers: list[Answer | None] | None = None if count is None else [None] * count
        self.remaining = 0
        self.done = trio.Event()


class Carrier:
    """One link to a gateway, bound while the ``async with`` block runs.

    Entering it dials ``host``:``port`` (or takes ``stream``) and binds; :class:`BindRefused` if
    that is refused, OSError if nobody listens. Leaving it unbinds, and closes in any case. With
    ``tls`` it dials as the gateway itself does, and OSError also tells of a failed handshake.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 2775,
        *,
        system_id: str,
        password: str = "",
        kind: BindKind = "transceiver",
        version: int = 0x34,
        system_type: str = "",
        window: int = 100,
        answer_enquiries: bool = True,
        stream: trio.abc.Stream | None = None,
        tls: Dial | None = None,
    ) -> None:
        """``tls`` names the files TLS needs, as the options of an account that we dial do."""
        self._host = host
        self._port = port
        self._tls = tls
        self._kind = kind
        self._bind = _BINDS[kind](
            system_id=system_id,
            password=password,
            system_type=system_type,
            interface_version=version,
        )
        self._window = window
        self._answer_enquiries = answer_enquiries
        self._stream = stream
        self._framer = Framer(_PDU_LIMIT)
        self._out: list[bytes] = []
        self._ready = trio.Event()
        self._freed = trio.Event()
        self._in_flight: dict[int, tuple[float, _Batch, int]] = {}
        self._sequence = 0
        self._reference = 0
        self._tasks: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._scope: trio.CancelScope | None = None
        self.statistics = Statistics()
        self.ended = trio.Event()
        """Set once the link is gone, whoever closed it."""
        self.bind_answer: Pdu | None = None
        """The gateway's answer to the bind."""

    async def __aenter__(self) -> Self:
        if self._stream is None:
            self._stream = await self._connect()
        self._tasks = trio.open_nursery()
        nursery = await self._tasks.__aenter__()
        self._scope = nursery.cancel_scope
        nursery.start_soon(self._read)
        nursery.start_soon(self._write)
        try:
            await self._begin()
        except BaseException:
            await self._leave()
            raise
        self.statistics = Statistics()  # the bind does not count
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.unbind()
        finally:
            await self._leave()

    # What a carrier does.

    async def send(
        self,
        text: str,
        *,
        source: str,
        destination: str,
        encoding: Encoding = "auto",
        concatenation: Concatenation = "udh8",
        command: MessageCommand = "deliver_sm",
    ) -> list[Answer]:
        """Deliver one text, in as many segments as it takes; return when all are answered."""
        self._reference = (self._reference + 1) & 0xFFFF
        parts = segments(
            text, encoding=encoding, concatenation=concatenation, reference=self._reference
        )
        return await self.deliver(
            [
                message(part, source=source, destination=destination, command=command)
                for part in parts
            ]
        )

    async def deliver(self, frames: Sequence[bytes]) -> list[Answer]:
        """Send requests under numbers of our own, in order; return their answers, in order."""
        batch = _Batch(len(frames))
        await self._push(frames, batch, 0)
        await batch.done.wait()
        now_gone = Answer(None, "", 0.0)
        return [answer or now_gone for answer in batch.answers or ()]

    async def pour(self, frames: Iterable[bytes], *, rate: float = 0) -> None:
        """Send many requests, ``rate`` a second (0: as the window allows), until all are answered.

        Answers go to :attr:`statistics` alone. Returns early if the link ends.
        """
        batch = _Batch(None)
        await self._push(frames, batch, rate)
        await batch.done.wait()

    async def enquire(self) -> Answer:
        """Ask whether the gateway is there."""
        (answer,) = await self.deliver([encode(Pdu(CommandId.enquire_link, 0, 0, EnquireLink()))])
        return answer

    async def unbind(self) -> None:
        """Unbind and wait for the answer, at most :data:`UNBIND_TIMEOUT`; ends the link."""
        if self.ended.is_set():
            return
        with trio.move_on_after(UNBIND_TIMEOUT):
            await self.deliver([encode(Pdu(CommandId.unbind, 0, 0, Unbind()))])
        if self._stream is not None:
            # Not by cancelling our tasks: the caller runs in their scope, and would be, too.
            await trio.aclose_forcefully(self._stream)
        await self.ended.wait()

    def raw(self, octets: bytes) -> None:
        """Write octets as they are, whatever they are. Nothing waits for an answer to them."""
        self._out.append(octets)
        self._ready.set()

    # Tasks.

    async def _connect(self) -> trio.abc.Stream:
        if self._tls is None:
            return await trio.open_tcp_stream(self._host, self._port)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            return (await reach(f"{host}:{self._port}", self._tls)).stream
        except Unreachable as error:
            message = f"can't connect to {host}:{self._port} over TLS: {error}"
            raise ConnectionError(message) from None

    async def _begin(self) -> None:
        """Bind. Raises :class:`BindRefused`."""
        command = _BIND_COMMANDS[self._kind]
        answer = Answer(None, "", BIND_TIMEOUT)
        with trio.move_on_after(BIND_TIMEOUT):
            (answer,) = await self.deliver([encode(Pdu(command, 0, 0, self._bind))])
        if not answer.ok:
            raise BindRefused(answer.status)

    async def _push(self, frames: Iterable[bytes], batch: _Batch, rate: float) -> None:
        """Send as window and rate allow. The batch holds one count of its own meanwhile."""
        batch.remaining += 1
        begun = trio.current_time()
        for index, frame in enumerate(frames):
            if rate:
                due = begun + index / rate
                if due > trio.current_time():
                    await trio.sleep_until(due)
            while len(self._in_flight) >= self._window and not self.ended.is_set():
                if self._freed.is_set():  # else somebody waits for it already
                    self._freed = trio.Event()
                await self._freed.wait()
            if self.ended.is_set():
                break
            self._sequence = self._sequence % 0x7FFFFFFF + 1
            self._in_flight[self._sequence] = (trio.current_time(), batch, index)
            batch.remaining += 1
            self._out.append(frame[:12] + _SEQUENCE.pack(self._sequence) + frame[16:])
            self._ready.set()
            self.statistics.sent += 1
        _count_down(batch)

    async def _write(self) -> None:
        assert self._stream is not None
        while True:
            if self._out:
                data = b"".join(self._out)
                self._out.clear()
                try:
                    await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return
            else:
                self._ready = trio.Event()
                await self._ready.wait()

    async def _read(self) -> None:
        assert self._stream is not None
        try:
            while data := await self._stream.receive_some(65_536):
                now = trio.current_time()
                for frame in self._framer.feed(bytes(data)):
                    if not self._receive(frame, now):
                        return
                if self._framer.lost:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._end()

    # Steps.

    def _receive(self, frame: bytes, now: float) -> bool:
        """Take one PDU of the gateway's; return whether the link goes on."""
        _, command, status, sequence = _HEADER.unpack_from(frame)
        if not command & RESPONSE_BIT:
            return self._answer(command, sequence)
        waiting = self._in_flight.pop(sequence, None)
        if waiting is None:
            self.statistics.unsolicited += 1
            return True
        sent_at, batch, index = waiting
        self.statistics.latencies.append(now - sent_at)
        self.statistics.statuses[status_text(status)] += 1
        if self.bind_answer is None:
            answer = decode(frame)
            self.bind_answer = None if isinstance(answer, Undecodable) else answer
        if batch.answers is not None:
            message_id = frame[16:].partition(b"\0")[0].decode("latin-1")
            batch.answers[index] = Answer(status, message_id, now - sent_at)
        _count_down(batch)
        self._freed.set()
        return True

    def _answer(self, command: int, sequence: int) -> bool:
        """Answer a request of the gateway's."""
        try:
            self.statistics.requests[CommandId(command).name] += 1
        except ValueError:
            self.statistics.requests[f"{command:08x}"] += 1
        if command == CommandId.enquire_link and not self._answer_enquiries:
            return True
        response = answer_id(command)
        if response is not None:
            nul = b"\0" if command in (CommandId.deliver_sm, CommandId.submit_sm) else b""
            status = 3 if response == CommandId.generic_nack else 0
            self.raw(_HEADER.pack(16 + len(nul), response, status, sequence) + nul)
        return True

    def _end(self) -> None:
        """Answer whoever waits that nothing comes any more."""
        self.ended.set()
        self._freed.set()
        for _, batch, _ in self._in_flight.values():
            _count_down(batch)
        self._in_flight.clear()

    async def _leave(self) -> None:
        """End both tasks and close, without an exception group around the caller's error."""
        assert self._scope is not None
        assert self._tasks is not None
        assert self._stream is not None
        self._scope.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            self._end()
            await trio.aclose_forcefully(self._stream)


def message(
    part: Segment,
    *,
    source: str,
    destination: str,
    command: MessageCommand = "deliver_sm",
    receipt: bool = False,
) -> bytes:
    """Return one segment as a PDU with sequence_number 0, for :meth:`Carrier.deliver`.

    ``receipt`` marks it as a delivery receipt in its esm_class (SMPP 3.4 §5.2.12).

    ``+`` and digits are sent as international, other digits as of unknown type, and anything
    else as an alphanumeric name (SMPP 3.4 §5.2.5).
    """
    source_ton, source_npi, source_addr = _address(source)
    dest_ton, dest_npi, destination_addr = _address(destination)
    esm_class = part.esm_class | RECEIPT if receipt else part.esm_class
    if command == "data_sm":
        tlvs = part.tlvs
        if part.octets:
            tlvs = (*tlvs, (int(Tag.message_payload), part.octets))
        body = DataSm(
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=source_addr,
            dest_addr_ton=dest_ton,
            dest_addr_npi=dest_npi,
            destination_addr=destination_addr,
            esm_class=esm_class,
            data_coding=part.data_coding,
        )
        return encode(Pdu(CommandId.data_sm, 0, 0, body, tlvs))
    kind = DeliverSm if command == "deliver_sm" else SubmitSm
    return encode(
        Pdu(
            CommandId.deliver_sm if command == "deliver_sm" else CommandId.submit_sm,
            0,
            0,
            kind(
                source_addr_ton=source_ton,
                source_addr_npi=source_npi,
                source_addr=source_addr,
                dest_addr_ton=dest_ton,
                dest_addr_npi=dest_npi,
                destination_addr=destination_addr,
                esm_class=esm_class,
                data_coding=part.data_coding,
                short_message=part.octets,
            ),
            part.tlvs,
        )
    )


def status_text(status: int) -> str:
    """Return a status by its name in the specification, else in hex."""
    return STATUS_NAMES.get(status) or f"0x{status:08x}"


def _address(value: str) -> tuple[int, int, str]:
    if value.startswith("+") and value[1:].isdigit():
        return 1, 1, value[1:]
    if value.isdigit():
        return 0, 1, value
    return 5, 0, value


def _count_down(batch: _Batch) -> None:
    batch.remaining -= 1
    if not batch.remaining:
        batch.done.set()
