"""Real HTTP receivers on loopback sockets, to deliver to.

A :class:`Receiver` answers each request with what its script says, and keeps what it got. It can
be slow (a reply held until the test lets go), deaf, rude (resets, garbage) or gone.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trustme
from msgspec import Struct


class Reply(Struct, frozen=True, kw_only=True):
    """What a receiver does with one request."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    raw: bytes | None = None
    """Sent instead of a response made of the above."""
    hold: trio.Event | None = None
    """Wait for this before answering."""
    deaf: bool = False
    """Never answer."""
    close: bool = False
    """Close after answering (with ``raw=b""``: instead of it)."""
    reset: bool = False
    """Close by RST."""


class Received(Struct, frozen=True, kw_only=True):
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    names: tuple[str, ...]
    """Header names in their order, repeated ones too."""
    body: bytes
    connection: int
    """Which connection brought it, counted from 1."""


Script = Callable[[Received], Reply]


class Receiver:
    """One listening HTTP/1.1 server. Its script is a function, or replies to give in turn, of
    which the last is repeated."""

    def __init__(self, script: Script | list[Reply] | Reply = Reply()) -> None:  # noqa: B008  # immutable
        self.script = script
        self.requests: list[Received] = []
        self.connections = 0
        self.scheme = "http"
        self.port = 0
        self._changed = trio.Event()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def wait_for(self, count: int) -> list[Received]:
        """Wait until so many requests have come."""
        while len(self.requests) < count:
            await self._changed.wait()
        return self.requests

    async def listen(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus["Receiver"] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = int(listener.socket.getsockname()[1])
        self.scheme = "https" if tls else "http"

        async def serve(stream: trio.SocketStream) -> None:
            self.connections += 1
            spoken: trio.abc.Stream = stream
            if tls is not None:
                spoken = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                async with stream:
                    await self._serve(spoken, stream, self.connections)

        async with trio.open_nursery() as nursery:
            task_status.started(self)
            await trio.serve_listeners(serve, [listener], handler_nursery=nursery)

    async def _serve(
        self, stream: trio.abc.Stream, socket: trio.SocketStream, connection: int
    ) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                chunk = await stream.receive_some(65536)
                if not chunk:
                    return
                buffer += chunk
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _version = first.split(" ")
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            length = int(headers.get("content-length", 0))  # a GET has none
            while len(buffer) < length:
                buffer += await stream.receive_some(65536)
            received = Received(
                method=method,
                path=path,
                headers=headers,
                names=tuple(name for name, _ in pairs),
                body=buffer[:length],
                connection=connection,
            )
            buffer = buffer[length:]
            if not await self._answer(received, stream, socket):
                return

    async def _answer(
        self, received: Received, stream: trio.abc.Stream, socket: trio.SocketStream
    ) -> bool:
        reply = self._next(received)
        self.requests.append(received)
        self._changed.set()
        self._changed = trio.Event()
        if reply.deaf:
            await trio.sleep_forever()
        if reply.hold is not None:
            await reply.hold.wait()
        if reply.reset:
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        await stream.send_all(response(reply) if reply.raw is None else reply.raw)
        return not reply.close

    def _next(self, received: Received) -> Reply:
        if isinstance(self.script, Reply):
            return self.script
        if callable(self.script):
            return self.script(received)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def response(reply: Reply) -> bytes:
    """Write a plain HTTP/1.1 response."""
    lines = [f"HTTP/1.1 {reply.status} -", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body


@asynccontextmanager
async def listening(
    script: Script | list[Reply] | Reply = Reply(),  # noqa: B008  # immutable
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Receiver]:
    """Run a receiver for the length of a block."""
    async with trio.open_nursery() as nursery:
        receiver = Receiver(script)
        await nursery.start(lambda task_status: receiver.listen(tls=tls, task_status=task_status))
        yield receiver
        nursery.cancel_scope.cancel()


Listen = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def receiver(nursery: trio.Nursery) -> Listen:
    """Start receivers that live as long as the test."""

    async def start(
        script: Script | list[Reply] | Reply = Reply(),  # noqa: B008  # immutable
        *,
        tls: ssl.SSLContext | None = None,
    ) -> Receiver:
        started = Receiver(script)
        await nursery.start(lambda task_status: started.listen(tls=tls, task_status=task_status))
        return started

    return start


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """What a receiver named ``receiver.example`` shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate_authority.issue_cert("receiver.example").configure_cert(context)
    return context


@pytest.fixture
def client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """What trusts it."""
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context
