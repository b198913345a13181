"""The port carriers connect to: accept, serve each connection, part from all of them in order.

Two nurseries, one in the other, because shutdown has two steps: the inner one accepts and is
cancelled first, the outer one holds the connections and ends when the last of them has. What
bounds :meth:`Server.drain` is a deadline on the outer one.

What comes before a link (a balancer's header, the TLS handshake) is done by the connection's own
task, so that accepting never waits for a peer, and counts as session initiation.
"""

import errno
import math
import os
import socket as stdlib_socket
from collections.abc import Callable, Sequence

import structlog
import trio
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from smsc.config import Listener
from smsc.inbox import BindGate, BindRequest, BindVerdict, Inbox, LiveLink
from smsc.link import refusing
from smsc.link.connection import Connection
from smsc.link.door import Door, Sparing
from smsc.link.preamble import TurnedAway, announced, secured
from smsc.link.tls import context_of
from smsc.link.turns import Turns
from smsc.message import Millis
from smsc.peer import UNKNOWN, shown
from smsc.status import LinkStatus

ACCEPT_PAUSE = 0.1
"""Seconds to wait after an accept failed for want of file descriptors or memory."""
BACKLOG = 4096
"""Connections the kernel holds for us; it may cut this down to its own limit."""

_OVERLOAD = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

# What befell one connection before we took it: accept(2) hands on errors of the network, and
# asks to treat them like EAGAIN. (EPERM: a firewall forbade it.) Not every system knows them all.
_GONE = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED", "ECONNRESET", "EPROTO", "ENOPROTOOPT", "ENETDOWN", "ENETUNREACH",
        "EHOSTDOWN", "EHOSTUNREACH", "ENONET", "EOPNOTSUPP", "ETIMEDOUT", "EPERM",
    )
    if hasattr(errno, name)
)  # fmt: skip

_log: FilteringBoundLogger = structlog.get_logger()


class Server:
    """All connections of one listener.

    ``clock`` is the time of day; ``new_link`` makes a link's id.

    Bounds: ``listener.max_connections`` at once, bound or not; more wait in the kernel's queue.
    Those not bound are bounded by address as well: see :mod:`smsc.link.door`.

    Raises :class:`smsc.link.tls.TlsError` where the listener's files can't be used.
    """

    def __init__(
        self,
        listener: Listener,
        inbox: Inbox,
        gate: BindGate,
        *,
        clock: Callable[[], Millis],
        new_link: Callable[[], str],
    ) -> None:
        self._listener = listener
        self._inbox = inbox
        self._door = Door(listener)
        self._gate = _Doorkeeper(gate, self._door)
        self._clock = clock
        self._new_link = new_link
        self._tls = context_of(listener.tls) if listener.tls else None
        self._turns = Turns()
        self._sparing = Sparing(-math.inf)
        self._arriving: set[trio.CancelScope] = set()  # connections that are no links yet
        self._room = trio.Semaphore(listener.max_connections)
        self._connections: set[Connection] = set()
        self._accepting = trio.CancelScope()
        self._links_scope: trio.CancelScope | None = None
        self._ended = trio.Event()

    async def serve(
        self,
        sockets: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until :meth:`drain` is done, or until cancelled. To be called once.

        Resource handling: ``sockets`` are closed on the way out, and every connection is.

        Error handling: an accept that fails for want of resources is logged and tried again
        after :data:`ACCEPT_PAUSE`; one that fails because its connection went away before we
        took it is logged and passed over; any other accept error is raised. No connection's
        fault reaches another connection.
        """
        try:
            async with trio.open_nursery() as links:
                self._links_scope = links.cancel_scope
                with self._accepting:
                    async with trio.open_nursery() as accepting:
                        for listening in sockets:
                            accepting.start_soon(self._accept, listening, links)
                        task_status.started()
        finally:
            self._ended.set()
            for listening in sockets:
                await trio.aclose_forcefully(listening)

    async def drain(self, deadline: float) -> None:
        """Stop accepting, answer what is in flight, unbind every link, close.

        Returns when all connections have ended, which is at ``deadline`` (of trio's clock) at
        the latest: what is open then is cut, and reported as lost.
        """
        self._accepting.cancel()
        for scope in self._arriving:
            scope.cancel()
        for connection in self._connections:
            connection.unbind("shutdown")
        if self._links_scope is not None:
            self._links_scope.deadline = min(self._links_scope.deadline, deadline)
            await self._ended.wait()

    def statuses(self) -> list[LinkStatus]:
        """Return every connection as it is now, bound or not."""
        return [connection.status() for connection in self._connections]

    def newcomers(self) -> list[LinkStatus]:
        """Return those of them that are not bound yet: few, where there are many links."""
        return [each.status() for each in self._connections if not each.bound]

    def count(self) -> int:
        """Return how many connections there are, bound or not."""
        return len(self._connections)

    def refresh(self) -> None:
        """Look at all accounts again: unbind the links of those that are gone, at once."""
        for connection in self._connections:
            connection.refresh()

    def reread(self) -> None:
        """Read the files of TLS again: new connections get what they hold now.

        Blocks for some milliseconds; may be called from any thread. Raises
        :class:`smsc.link.tls.TlsError`; then nothing has changed.
        """
        if self._listener.tls is not None:
            self._tls = context_of(self._listener.tls)

    async def _accept(self, listening: trio.SocketListener, links: trio.Nursery) -> None:
        async with listening:  # closed as soon as we stop: nobody is to wait in its queue
            while True:
                await self._room.acquire()
                try:
                    stream = await listening.accept()
                except OSError as error:
                    self._room.release()
                    if error.errno in _GONE:
                        _log.warning("accept.gone", error=os.strerror(error.errno or 0))
                        continue
                    if error.errno not in _OVERLOAD:
                        raise
                    _log.error(
                        "accept.overload",
                        error=os.strerror(error.errno or 0),
                        connections=len(self._connections),
                    )
                    await trio.sleep(ACCEPT_PAUSE)
                    continue
                except BaseException:
                    self._room.release()
                    raise
                links.start_soon(self._run, stream)

    async def _run(self, stream: trio.SocketStream) -> None:
        link = self._new_link()
        try:
            began = trio.current_time()
            guest = await self._receive(stream, link, began)
            if guest is None:
                return
            connection = Connection(
                guest.stream,
                link=link,
                peer=guest.peer,
                listener=self._listener,
                inbox=self._inbox,
                gate=self._gate,
                clock=self._clock,
                tls=guest.tls,
                certificate=guest.certificate,
                local=_local_of(stream),
                began=began,
                turns=self._turns,
            )
            self._connections.add(connection)
            if self._accepting.cancel_called:  # accepted just before the drain began
                connection.unbind("shutdown")
            try:
                await connection.run()
            finally:
                self._connections.discard(connection)
        except Exception:  # noqa: BLE001  # a fault of ours costs one link, not the port
            _log.exception("link.failed", peer=_peer_of(stream))
        finally:
            self._door.settle(link)
            self._room.release()
            await trio.aclose_forcefully(stream)

    async def _receive(self, stream: trio.SocketStream, link: str, began: float) -> "_Guest | None":
        """See a connection to the point where SMPP begins; None where it doesn't get there."""
        peer = _peer_of(stream)
        patience = self._listener.timers.session_init or math.inf
        scope = trio.CancelScope(deadline=began + patience)
        self._arriving.add(scope)
        if self._accepting.cancel_called:  # accepted just before the drain began
            scope.cancel()
        try:
            with scope:
                if self._door.is_proxy(peer):
                    header = await announced(stream)
                    peer = header.peer or peer
                refusal = self._door.enter(link, peer, trio.current_time())
                if refusal:
                    raise TurnedAway(refusal)
                if self._tls is None:
                    return _Guest(stream, peer)
                tls = await secured(stream, self._tls)
                return _Guest(tls, peer, tls.version, tls.certificate)
            if not self._accepting.cancel_called:
                raise TurnedAway(f"it took more than {patience:g} s to introduce itself")
        except TurnedAway as why:
            self._say_turned_away(link, peer, _local_of(stream), str(why))
        finally:
            self._arriving.discard(scope)
        return None

    def _say_turned_away(self, link: str, peer: str, local: str, detail: str) -> None:
        if not detail:  # a health check: no news
            _log.debug("connection.left", peer=peer)
            return
        kept_back = self._sparing.may(trio.current_time())
        if kept_back is None:
            return
        _log.warning(
            "connection.turned_away", peer=peer, local=local, detail=detail, kept_back=kept_back
        )
        told = refusing.turned_away_told(link, peer, local, detail, self._clock())
        self._gate.refused([told], kept_back)


class _Guest(Struct, frozen=True):
    """A connection over which SMPP may begin."""

    stream: trio.abc.Stream
    peer: str
    tls: str = ""
    certificate: str = ""


class _Doorkeeper:
    """The gate, through which the door hears that a connection is bound."""

    def __init__(self, gate: BindGate, door: Door) -> None:
        self._gate = gate
        self._door = door
        self.account = gate.account  # asked with every chunk: no call in between
        self.closed = gate.closed
        self.refused = gate.refused

    async def ask(self, request: BindRequest) -> BindVerdict:
        return await self._gate.ask(request)

    def opened(self, link: LiveLink) -> None:
        self._door.settle(link.status().link)
        self._gate.opened(link)


async def open_listeners(
    host: str, port: int, *, reuse_port: bool = False
) -> list[trio.SocketListener]:
    """Listen on every address ``host`` stands for; empty for all of them.

    ``reuse_port`` lets other processes that also ask for it share the port (SO_REUSEPORT): the
    kernel spreads connections over them. Beware: it also hides that the port is taken.

    Raises OSError if the address can't be had; no socket is left open then.
    """
    found = await trio.socket.getaddrinfo(
        host or None, port, type=stdlib_socket.SOCK_STREAM, flags=stdlib_socket.AI_PASSIVE
    )
    listeners: list[trio.SocketListener] = []
    try:
        for family, kind, protocol, _, address in found:
            sock = trio.socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
                if reuse_port:
                    sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEPORT, 1)
                if family == stdlib_socket.AF_INET6:
                    sock.setsockopt(stdlib_socket.IPPROTO_IPV6, stdlib_socket.IPV6_V6ONLY, 1)
                await sock.bind(address)
                sock.listen(BACKLOG)
            except BaseException:
                sock.close()
                raise
            listeners.append(trio.SocketListener(sock))
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


def _peer_of(stream: trio.SocketStream) -> str:
    """Return ``address:port``, IPv6 addresses in brackets."""
    try:
        host, port, *_ = stream.socket.getpeername()
    except OSError:  # it left between accept and now
        return UNKNOWN
    return shown(host, port)


def _local_of(stream: trio.SocketStream) -> str:
    """Return the same of our own end."""
    try:
        host, port, *_ = stream.socket.getsockname()
    except OSError:
        return UNKNOWN
    return shown(host, port)
