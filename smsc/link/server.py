"""The port carriers connect to: accept, serve each connection, part from all of them in order.

Two nurseries, one in the other, because shutdown has two steps: the inner one accepts and is
cancelled first, the outer one holds the connections and ends when the last of them has. What
bounds :meth:`Server.drain` is a deadline on the outer one.
"""

import errno
import os
import socket as stdlib_socket
from collections.abc import Callable, Sequence

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from smsc.config import Listener
from smsc.inbox import BindGate, Inbox
from smsc.link.connection import Connection
from smsc.message import Millis
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

    ``clock`` is the time of day; ``new_link`` makes a link's id; ``secure`` may wrap an accepted
    connection into another stream (TLS), and does no I/O itself.

    Bounds: ``listener.max_connections`` at once, bound or not; more wait in the kernel's queue.
    """

    def __init__(
        self,
        listener: Listener,
        inbox: Inbox,
        gate: BindGate,
        *,
        clock: Callable[[], Millis],
        new_link: Callable[[], str],
        secure: Callable[[trio.SocketStream], trio.abc.Stream] = lambda stream: stream,
    ) -> None:
        self._listener = listener
        self._inbox = inbox
        self._gate = gate
        self._clock = clock
        self._new_link = new_link
        self._secure = secure
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
        for connection in self._connections:
            connection.unbind("shutdown")
        if self._links_scope is not None:
            self._links_scope.deadline = min(self._links_scope.deadline, deadline)
            await self._ended.wait()

    def statuses(self) -> list[LinkStatus]:
        """Return every connection as it is now, bound or not."""
        return [connection.status() for connection in self._connections]

    def refresh(self) -> None:
        """Look at all accounts again: unbind the links of those that are gone, at once."""
        for connection in self._connections:
            connection.refresh()

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
        try:
            connection = Connection(
                self._secure(stream),
                link=self._new_link(),
                peer=_peer_of(stream),
                listener=self._listener,
                inbox=self._inbox,
                gate=self._gate,
                clock=self._clock,
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
            self._room.release()
            await trio.aclose_forcefully(stream)


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
        return "unknown"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
