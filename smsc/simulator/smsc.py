"""A simulated carrier's SMSC: the gateway dials it and binds, and it delivers.

It listens on a port of its own, answers every bind with what it was told to, and hands out the
links that are bound; from then on they are carriers like the one in
:mod:`smsc.simulator.carrier`. :func:`invited` is the third way to be connected: the carrier
dials, but has the gateway bind back.
"""

import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from smsc.simulator.carrier import BindRefused, Carrier
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import RESPONSE_BIT, Bind, CommandId, Outbind, Status

BIND_PATIENCE: Final = 30.0
"""Seconds to wait for the gateway's bind."""
PARTING: Final = 1.0
"""Seconds a gateway has to leave after its bind was refused."""

_BINDS: Final = frozenset(
    int(command)
    for command in (
        CommandId.bind_receiver, CommandId.bind_transmitter, CommandId.bind_transceiver,
    )
)  # fmt: skip
_HEADER: Final = struct.Struct(">IIII")


class SmscLink(Carrier):
    """One link over which the gateway binds to us; bound while the ``async with`` block runs.

    Entering raises :class:`~smsc.simulator.carrier.BindRefused` where the bind was refused, by
    ``refuse`` or for its credentials, or never came.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        system_id: str,
        password: str,
        refuse: int = 0,
        outbind: Outbind | None = None,
        window: int = 100,
    ) -> None:
        super().__init__(system_id=system_id, password=password, window=window, stream=stream)
        self._credentials = (system_id, password)
        self._refuse = refuse
        self._outbind = outbind
        self._asked = trio.Event()
        self._told = 0
        self.bound_as: Bind | None = None
        """The gateway's bind."""

    async def _begin(self) -> None:
        if self._outbind is not None:
            self.raw(encode(Pdu(CommandId.outbind, 0, 1, self._outbind)))
        with trio.move_on_after(BIND_PATIENCE):
            await self._asked.wait()
        if self.bound_as is None or self._told:
            with trio.move_on_after(PARTING):  # it is to read what it was told
                await self.ended.wait()
            raise BindRefused(self._told or None)

    def _receive(self, frame: bytes, now: float) -> bool:
        command = int.from_bytes(frame[4:8], "big")
        if command not in _BINDS:
            return super()._receive(frame, now)
        bind = decode(frame)
        if not isinstance(bind, Pdu) or not isinstance(bind.body, Bind):
            return True
        self.bound_as = bind.body
        if (bind.body.system_id, bind.body.password) == self._credentials:
            self._told = self._refuse
        else:
            self._told = Status.ESME_RINVPASWD
        body = b"" if self._told else b"simulator\0"
        head = _HEADER.pack(
            16 + len(body), command | RESPONSE_BIT, self._told, bind.sequence_number
        )
        self.raw(head + body)
        self._asked.set()
        return True

    def _end(self) -> None:
        super()._end()
        self._asked.set()


class Smsc:
    """A port that gateways bind to. Made by :func:`open_smsc`."""

    def __init__(
        self,
        system_id: str,
        password: str,
        *,
        refuse: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._credentials = (system_id, password)
        self._tls = tls
        self.refuse = refuse
        """The status to refuse right binds with; 0: they are accepted."""
        self.port = 0
        """Where it listens."""
        self._links: list[SmscLink] = []
        self.seen: Counter[str] = Counter()
        """How many connections ended how: ``bound``, or the status a bind was refused with."""
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def links(self) -> list[SmscLink]:
        """Links that are bound now, the oldest first."""
        return [link for link in self._links if not link.ended.is_set()]

    async def link(self, number: int = 1) -> SmscLink:
        """Return the latest link once so many are bound at the same time."""
        while len(links := self.links) < number:
            await self._changed.park()
        return links[-1]

    async def refused(self, number: int = 1) -> None:
        """Return once so many binds were refused."""
        while self.seen.total() - self.seen["bound"] < number:
            await self._changed.park()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        system_id, password = self._credentials
        try:
            over: trio.abc.Stream = stream
            if self._tls is not None:
                over = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
            async with SmscLink(
                over, system_id=system_id, password=password, refuse=self.refuse
            ) as link:
                self._links.append(link)
                self._note("bound")
                try:
                    await link.ended.wait()
                finally:
                    self._links.remove(link)
                    self._changed.unpark_all()
        except BindRefused as error:
            self._note(str(error))
        except trio.BrokenResourceError:  # no TLS, or gone
            self._note("broken")

    def _note(self, what: str) -> None:
        self.seen[what] += 1
        self._changed.unpark_all()


@asynccontextmanager
async def open_smsc(
    system_id: str,
    password: str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    refuse: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Smsc]:
    """An SMSC while the block runs; its end cuts all links, as if it had been killed."""
    smsc = Smsc(system_id, password, refuse=refuse, tls=tls)
    listeners = await trio.open_tcp_listeners(port, host=host)
    smsc.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, smsc.serve, listeners)
        yield smsc
        nursery.cancel_scope.cancel()


def invited(
    stream: trio.abc.Stream,
    *,
    outbind: Outbind,
    system_id: str,
    password: str,
    window: int = 100,
) -> SmscLink:
    """A link that a carrier dialled to have the gateway bind back, with these credentials."""
    return SmscLink(stream, system_id=system_id, password=password, outbind=outbind, window=window)
