"""Requests over our own connections: trio streams, llhttp as the parser.

Theory
------
One request at a time on a connection; connections that may be used again wait in a stack by
(pool, target), so that the warmest is used first and the coldest grows old and is closed. A
request is one write: head and body together.

*Only vetted addresses.* Every new connection resolves, vets and dials what was vetted, with the
name for SNI and certificate. Nothing is read from proxy variables; no redirect is followed.

*A kept-alive connection may be dead already.* If it ends before one octet of a response came,
the request is sent once more on a fresh connection: a receiver must expect repeats anyway. If
something can be read from an idle connection (an end, or a response nobody asked for), it is
closed instead of being used, so that no response is taken for another request's.

*Bounds.* At most 64 KiB of a response are read and 16 KiB of its body kept; a connection with
more to come is closed. At most ``idle_limit`` connections wait in all, each for at most
``idle_timeout`` seconds. How many are in use is the callers' affair (a lane's concurrency).
"""

import socket
import ssl

import trio

from bridge.delivery.connection import Connection, ExchangeFailed, PlainStream
from bridge.delivery.egress import Refused, Resolver, Unresolved
from bridge.delivery.exchange import Facts, Request, Target

_SHORTEST_DIAL = 0.05
_JUST_NOW = 0.05
"""Seconds after a response in which nobody says anything unasked: a peer that closes with it is
found out by the retry, and what came with the response was seen there."""

Key = tuple[str, Target]


class DirectSender:
    """The direct implementation of :class:`bridge.delivery.exchange.Exchange`."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        tls: ssl.SSLContext | None = None,
        idle_timeout: float = 30,
        idle_limit: int = 1_024,
    ) -> None:
        """Take a resolver, which holds the egress policy, and what certificates are trusted
        (the system's for None)."""
        self._resolver = resolver
        self._tls = tls or ssl.create_default_context()
        self._tls.minimum_version = max(self._tls.minimum_version, ssl.TLSVersion.TLSv1_2)
        self._idle: dict[Key, list[Connection]] = {}
        self._idle_count = 0
        self._idle_timeout = idle_timeout
        self._idle_limit = idle_limit
        self._closed = False

    async def exchange(self, request: Request, deadline: float) -> Facts:
        """Send one request and read its response: see the port."""
        began = trio.current_time()
        key = (request.pool, request.target)
        octets = _render(request)
        dialled = _Dialled()
        failure = ("timeout", "no response in time")
        connection = self._take(key, began)
        try:
            with trio.CancelScope(deadline=deadline):
                if connection is not None and not await connection.ask(octets):
                    connection.close()
                    connection = None
                if connection is None:
                    connection = await self._connect(request, dialled)
                    dialled.took_ms = (trio.current_time() - began) * 1000
                    if not await connection.ask(octets):
                        failure = ("reset", "the peer closed without a response")
        except ExchangeFailed as failed:
            failure = (failed.error, failed.detail)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        ended = trio.current_time()
        duration_ms = (ended - began) * 1000
        if connection is None or not connection.status:
            if connection is not None:
                connection.close()
                dialled.remote = connection.remote
            return Facts(duration_ms, None, *failure, dialled.remote, dialled.took_ms)
        facts = Facts(
            duration_ms,
            connection.status,
            None,
            "",
            connection.remote,
            dialled.took_ms,
            (connection.first_byte_at - connection.sent_at) * 1000,
            connection.retry_after,
            connection.directive,
            connection.body,
        )
        self._give_back(key, connection, ended)
        return facts

    def sweep(self) -> None:
        """Close connections that have been idle too long; to be called every few seconds."""
        oldest = trio.current_time() - self._idle_timeout
        for key, stack in list(self._idle.items()):
            cold = 0
            while cold < len(stack) and stack[cold].idle_since <= oldest:
                stack[cold].close()
                cold += 1
            del stack[:cold]
            self._idle_count -= cold
            if not stack:
                del self._idle[key]

    def close(self) -> None:
        """Close every idle connection now, and those in use as soon as they are given back."""
        self._closed = True
        for stack in self._idle.values():
            for connection in stack:
                connection.close()
        self._idle.clear()
        self._idle_count = 0

    def _take(self, key: Key, now: float) -> Connection | None:
        stack = self._idle.get(key)
        while stack:
            connection = stack.pop()
            self._idle_count -= 1
            idle = now - connection.idle_since
            if idle < _JUST_NOW or (idle < self._idle_timeout and connection.quiet()):
                return connection
            connection.close()
        return None

    def _give_back(self, key: Key, connection: Connection, now: float) -> None:
        if self._closed or not connection.reusable or self._idle_count >= self._idle_limit:
            connection.close()
            return
        connection.idle_since = now
        stack = self._idle.get(key)
        if stack is None:
            stack = self._idle[key] = []
        stack.append(connection)
        self._idle_count += 1

    async def _connect(self, request: Request, dialled: "_Dialled") -> Connection:
        target = request.target
        give_up = trio.current_time() + request.connect_timeout
        with trio.CancelScope(deadline=give_up):
            try:
                addresses = await self._resolver.resolve(target.host, target.port, tls=target.tls)
            except Refused as refused:
                raise ExchangeFailed("egress", str(refused)) from None
            except Unresolved as unresolved:
                raise ExchangeFailed("dns", str(unresolved)) from None
            problem = ""
            for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
                dialled.remote = _shown(address, target.port)
                # What is left of the time, shared out: a dead address must not use up all.
                patience = (give_up - trio.current_time()) / left
                with trio.move_on_after(max(patience, _SHORTEST_DIAL)):
                    try:
                        return await self._dial(address, target)
                    except OSError as error:
                        problem = error.strerror or str(error)
                        continue
                problem = "no answer"
            raise ExchangeFailed("connect", problem)
        raise ExchangeFailed("timeout", f"no connection within {request.connect_timeout:g} s")

    async def _dial(self, address: str, target: Target) -> Connection:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM)
        sock = trio.socket.from_stdlib_socket(plain)  # owns it from here on
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await sock.connect((address, target.port))
            stream: trio.abc.Stream = PlainStream(plain)
            if target.tls:
                stream = await self._secure(trio.SocketStream(sock), target.host)
            return Connection(stream, sock, _shown(address, target.port))
        except BaseException:
            sock.close()
            raise

    async def _secure(self, stream: trio.SocketStream, host: str) -> trio.abc.Stream:
        secured = trio.SSLStream(stream, self._tls, server_hostname=host, https_compatible=True)
        try:
            await secured.do_handshake()
        except trio.BrokenResourceError as broken:
            raise ExchangeFailed("tls", _tls_problem(broken)) from None
        return secured


class _Dialled:
    """What is known of a new connection, complete or not."""

    def __init__(self) -> None:
        self.remote = ""
        self.took_ms: float | None = None


def _render(request: Request) -> bytes:
    target = request.target
    return b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
        target.path.encode(),
        target.authority.encode(),
        len(request.body),
        request.headers,
        request.body,
    )


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _tls_problem(broken: trio.BrokenResourceError) -> str:
    cause = broken.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or "handshake failed"
    return "the peer closed during the handshake"
