"""A sample customer: a webhook receiver that verifies what it gets with the public library.

It is what the demonstration, the story tests and ``smsbridge simulate customer`` receive with,
and a model of what a customer's own receiver has to do: keep the raw body, verify it before
reading it, refuse what does not verify, answer quickly. Nothing of the gateway's own signing
code is used here, so that it can't share a mistake with it.

Theory
------
One task a connection: read, feed the parser, then answer every whole request in order. Each
request becomes a :class:`Received` (verified or not), is kept, shown to ``on_received``, and
answered with what ``respond`` says. Bounds: 1 MiB of body and 32 KiB of headers a request (413
and 431 above, then the connection is closed), 1,000 connections (more wait in the kernel's
queue), 75 s of silence, and the latest 100,000 requests are kept.
"""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
import trio
from msgspec import Struct
from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY = 1 << 20
MAX_HEADERS = 32 << 10
MAX_CONNECTIONS = 1_000
IDLE = 75.0
KEPT = 100_000


class Reply(Struct, frozen=True):
    """What to answer a request with."""

    status: int = 200
    delay: float = 0.0
    """Seconds before the answer; ``math.inf``: never answer."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Received(Struct, frozen=True, kw_only=True):
    """One request, as it came."""

    at: float
    """When its last octet was read: ``time.monotonic()``."""
    path: str
    headers: dict[str, str]
    """By lower-case name; of a repeated one the last."""
    body: bytes
    problem: str = ""
    """Why it did not verify; empty: it did."""
    secret: int = -1
    """Which of the secrets verified it, counted from 0."""
    event: Any = None
    """The body as JSON, only where it verified: what nobody vouches for is not read."""

    @property
    def verified(self) -> bool:
        """Whether the signature is right and fresh."""
        return not self.problem

    @property
    def id(self) -> str:
        """``webhook-id``: the same for every repeat of one event."""
        return self.headers.get("webhook-id", "")

    @property
    def attempt(self) -> int:
        """``webhook-attempt``, 0 where it is missing."""
        value = self.headers.get("webhook-attempt", "")
        return int(value) if value.isdecimal() and len(value) < 6 else 0

    @property
    def type(self) -> str:
        """The event's type, empty where the request did not verify."""
        return self.event.get("type", "") if isinstance(self.event, dict) else ""

    @property
    def data(self) -> dict[str, Any]:
        """The event's ``data``, empty where the request did not verify."""
        data = self.event.get("data") if isinstance(self.event, dict) else None
        return data if isinstance(data, dict) else {}


class Verifier:
    """Checks requests against every secret the customer holds."""

    def __init__(self, secrets: Sequence[str], *, tolerance: float = 300.0) -> None:
        """Take ``whsec_`` secrets; ValueError where one is none.

        ``tolerance``: seconds a signature may be old or early, at most the library's own 300.
        """
        self._hooks: list[Webhook] = []
        for secret in secrets:
            try:
                self._hooks.append(Webhook(secret))
            except Exception:  # noqa: BLE001  # whatever it says would show the secret
                raise ValueError("a webhook secret must be whsec_ and base64") from None
        if not self._hooks:
            raise ValueError("a customer needs at least one webhook secret")
        self._tolerance = tolerance

    def check(self, headers: dict[str, str], body: bytes) -> tuple[Any, int, str]:
        """Return the event, the index of the secret that fits, and ``""``.

        Or None, -1 and why it does not verify. Never raises for anything a request holds.
        """
        problem = ""
        for index, hook in enumerate(self._hooks):
            try:
                event = hook.verify(body, headers)
            except WebhookVerificationError as error:
                problem = str(error)
            except ValueError:  # the library leaks these for broken base64, UTF-8 and JSON
                problem = "Malformed signature or body"
            else:
                late = abs(time.time() - float(headers["webhook-timestamp"]))
                if late > self._tolerance:
                    return None, -1, f"Timestamp {late:.0f} s off"
                return event, index, ""
        return None, -1, problem


Respond = Callable[[Received], Reply]


def scripted(first: Sequence[Reply], then: Reply | None = None) -> Respond:
    """Answer one request after the other as ``first`` says, and all later ones with ``then``."""
    replies = deque(first)
    last = then or Reply()
    return lambda _: replies.popleft() if replies else last


class Customer:
    """A receiver that listens. Made by :func:`open_customer`."""

    def __init__(
        self,
        verifier: Verifier,
        respond: Respond | None,
        on_received: Callable[[Received, Reply], None] | None,
        kept: int,
    ) -> None:
        self.url = ""
        """Where it listens, ``http://127.0.0.1:port``; any path will do."""
        self.received: deque[Received] = deque(maxlen=kept)
        """The latest requests, refused ones too, oldest first."""
        self.count = 0
        """Requests so far, whether still kept or not."""
        self._verifier = verifier
        self._respond = respond
        self._on_received = on_received
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def verified(self) -> list[Received]:
        """Return those kept whose signature is right, oldest first."""
        return [received for received in self.received if received.verified]

    async def until(self, done: Callable[[], object]) -> None:
        """Wait until ``done()`` is true; it is asked now and after every request.

        Has no time limit of its own.
        """
        while not done():
            await self._changed.park()

    def _take(self, request: "_Request") -> Reply:
        event, secret, problem = self._verifier.check(request.headers, request.body)
        received = Received(
            at=time.monotonic(),
            path=request.path,
            headers=request.headers,
            body=request.body,
            problem=problem,
            secret=secret,
            event=event,
        )
        reply = self._respond(received) if self._respond else Reply()
        if problem and reply.status < 300:
            reply = Reply(status=401)
        self.received.append(received)
        self.count += 1
        if self._on_received is not None:
            self._on_received(received, reply)
        self._changed.unpark_all()
        return reply

    async def _serve(self, connections: trio.Semaphore, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer left: it will come again with whatever it wants to say
        finally:
            connections.release()

    async def _converse(self, stream: trio.SocketStream) -> None:
        parser = _Parser()
        while True:
            data = b""
            with trio.move_on_after(IDLE):
                data = await stream.receive_some(65_536)
            if not data:
                return
            requests, refusal = parser.feed(data)
            for request in requests:
                if request.method != "POST":
                    reply = Reply(status=405, headers=(("allow", "POST"),))
                else:
                    reply = self._take(request)
                    await trio.sleep(reply.delay)
                await stream.send_all(_render(reply, close=not request.keep_alive))
                if not request.keep_alive:
                    return
            if refusal:
                await stream.send_all(_render(Reply(status=refusal), close=True))
                return


class _Request(Struct):
    """A request as the parser collects it."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    keep_alive: bool = True


class _Parser:
    """Bytes in, whole requests out, and a status to refuse the connection with."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._whole: list[_Request] = []
        self._refusal = 0
        self.on_message_begin()

    def feed(self, data: bytes) -> tuple[list[_Request], int]:
        """Return what is whole by now, and 0 or the status after which to close."""
        self._whole = []
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refusal = self._refusal or 400
        return self._whole, self._refusal

    # What httptools calls, by its names.

    def on_message_begin(self) -> None:
        self._request = _Request(headers={})
        self._chunks: list[bytes] = []
        self._url: list[bytes] = []
        self._head = self._size = 0

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        if not self._refusal:
            self._url.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value))
        if not self._refusal:
            self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refusal = self._refusal or 413
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._refusal:
            return
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        request.keep_alive = self._parser.should_keep_alive()
        request.path = b"".join(self._url).decode("latin-1")
        request.body = b"".join(self._chunks)
        self._whole.append(request)

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEADERS:
            self._refusal = self._refusal or 431


def _render(reply: Reply, *, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Status"
    head = [f"HTTP/1.1 {reply.status} {phrase}", f"content-length: {len(reply.body)}"]
    head += [f"{name}: {value}" for name, value in reply.headers]
    if close:
        head.append("connection: close")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + reply.body


@asynccontextmanager
async def open_customer(
    secrets: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tolerance: float = 300.0,
    respond: Respond | None = None,
    on_received: Callable[[Received, Reply], None] | None = None,
    kept: int = KEPT,
) -> AsyncIterator[Customer]:
    """Listen for webhooks until the block ends; its connections end with it.

    ``port`` 0 takes a free one. ``respond`` chooses the answer to each request (default: 200);
    one that does not verify is answered 401 instead of anything below 300. ``on_received`` is
    called with every request and its answer, before the answer is sent.

    Raises ValueError for a secret that is none, OSError where the port can't be had. Cancelling
    leaves nothing behind.
    """
    customer = Customer(Verifier(secrets, tolerance=tolerance), respond, on_received, kept)
    connections = trio.Semaphore(MAX_CONNECTIONS)
    listeners = await trio.open_tcp_listeners(port, host=host)
    address, bound = listeners[0].socket.getsockname()[:2]
    customer.url = f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(partial(_accept, customer, listener, connections, nursery))
        yield customer
        nursery.cancel_scope.cancel()


async def _accept(
    customer: Customer,
    listener: trio.SocketListener,
    connections: trio.Semaphore,
    nursery: trio.Nursery,
) -> None:
    async with listener:
        while True:
            await connections.acquire()
            try:
                stream = await listener.accept()
            except OSError:  # out of descriptors, or the peer was gone before we took it
                connections.release()
                await trio.sleep(0.1)
                continue
            except BaseException:
                connections.release()
                raise
            nursery.start_soon(customer._serve, connections, stream)  # noqa: SLF001  # same module


def describe(received: Received, mask: Callable[[str], str] | None) -> str:
    """Tell in one line what came: numbers through ``mask`` and only the length of the text, or
    everything where ``mask`` is None.

    Holds printable characters only, whatever a sender wrote.
    """
    if not received.verified:
        return printable(f"REFUSED {received.id or 'a request'}: {received.problem}")
    data = received.data
    source, destination = str(data.get("fromNumber", "")), str(data.get("toNumber", ""))
    content = str(data.get("content", ""))
    text = f"“{content}”"
    if mask is not None:
        source, destination = mask(source), mask(destination)
        text = f"{len(content)} characters"
    again = f", attempt {received.attempt}" if received.attempt > 1 else ""
    gaps = "" if data.get("complete", True) else ", incomplete"
    repeat = ", may repeat an earlier one" if data.get("duplicateOf") else ""
    return printable(
        f"{received.type} {received.id} {source} → {destination}: {text}"
        f" ({data.get('encoding', '?')}{again}{gaps}{repeat})"
    )


def printable(text: str) -> str:
    """Escape what could move a terminal's cursor or hide what stands there."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
