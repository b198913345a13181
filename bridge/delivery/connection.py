"""One HTTP/1.1 connection and the response being read from it: see :mod:`.sender`'s theory.

What counts is the status. Once a response's head is complete its status stands, whatever then
becomes of the body: a receiver that said 200 has the message, and sending it again because the
body was cut off, garbled or endless would help nobody.
"""

import select
import socket

import httptools
import trio

READ_LIMIT = 64 * 1024
"""Octets of a response that are read at most, head included."""
KEEP_LIMIT = 16 * 1024
"""Octets of a body that are kept at most."""
_CHUNK = 8 * 1024


class ExchangeFailed(Exception):
    """There is no usable response. ``error`` and ``detail`` are as in the facts."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail


class PlainStream(trio.abc.Stream):
    """TCP as :class:`trio.SocketStream` has it, for one task at a time, less one trip through
    the scheduler a write: a request is followed by a read, which is a checkpoint anyway."""

    def __init__(self, sock: socket.socket) -> None:
        """Take a connected, non-blocking socket; who made it closes it."""
        self._socket = sock

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it; raises BrokenResourceError where the peer is gone."""
        sent = 0
        with memoryview(data) as view:
            while True:
                try:
                    sent += self._socket.send(view[sent:])
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise trio.BrokenResourceError from error
                if sent == len(view):
                    return
                await trio.lowlevel.wait_writable(self._socket)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something can be written."""
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what there is, ``b""`` at the end; BrokenResourceError where it was cut."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(max_bytes or _CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close at once."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
        await trio.lowlevel.checkpoint()


class Connection:
    """A connected stream. One :meth:`ask` at a time; between two, it may wait in a pool."""

    def __init__(self, stream: trio.abc.Stream, sock: trio.socket.SocketType, remote: str) -> None:
        """Take a stream ready for use and the socket beneath it."""
        self.remote = remote
        self.idle_since = 0.0
        self._stream = stream
        self._socket = sock
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._forget()

    def _forget(self) -> None:
        self.status = 0
        """Of the response; 0 as long as its head isn't complete."""
        self.retry_after: str | None = None
        self.directive: str | None = None
        self.sent_at = 0.0
        self.first_byte_at = 0.0
        self._body: list[bytes] = []
        self._kept = 0
        self._complete = False
        self._keep_alive = False

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._complete and self._keep_alive

    @property
    def body(self) -> bytes:
        """Beginning of the body; kept only for statuses other than 2xx."""
        return b"".join(self._body)[:KEEP_LIMIT]

    def quiet(self) -> bool:
        """Whether nothing can be read: anything would be an end, or not meant for us."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close at once, without TLS's goodbye. Idempotent."""
        self._socket.close()

    async def ask(self, octets: bytes) -> bool:
        """Send a request and read until its response is complete, or 64 KiB of it.

        False: the connection ended before one octet came. Raises :class:`ExchangeFailed` if it
        ends without a complete head, or what came is not HTTP. Cancelled, the connection can
        only be closed; :attr:`status` still tells what had come.
        """
        self._forget()
        total = 0
        try:
            await self._stream.send_all(octets)
        except trio.BrokenResourceError:
            # The peer may have answered before it closed, 413 say: read what there is.
            self._keep_alive = False
        self.sent_at = trio.current_time()
        while not self._complete:
            chunk: bytes | bytearray
            try:
                chunk = await self._stream.receive_some(_CHUNK)
            except trio.BrokenResourceError:
                chunk = b""
            if not total:
                if not chunk:
                    return False
                self.first_byte_at = trio.current_time()
            total += len(chunk)
            problem = self._feed(chunk) if chunk else ("reset", "the peer closed mid-response")
            if self._complete:
                break
            if problem is None and total >= READ_LIMIT:
                problem = ("protocol", f"no complete response head in {READ_LIMIT} octets")
            if problem is not None:
                if self.status:
                    break
                raise ExchangeFailed(*problem)
        return True

    def _feed(self, chunk: bytes | bytearray) -> tuple[str, str] | None:
        try:
            self._parser.feed_data(chunk)
        except httptools.HttpParserUpgrade:
            self._keep_alive = False
            return ("protocol", "the peer switched protocols")
        except httptools.HttpParserError as error:
            self._keep_alive = False
            return ("protocol", f"not a valid HTTP response: {error}")
        return None

    # -- what the parser calls ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins; a second one was not asked for, so it spoils the connection."""
        if self._complete:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the two headers that mean something to us."""
        length = len(name)
        if length == 11 and name.lower() == b"retry-after":
            self.retry_after = value[:128].decode("latin-1")
        elif length == 16 and name.lower() == b"webhook-delivery":
            self.directive = value[:128].decode("latin-1")

    def on_headers_complete(self) -> None:
        """A head is complete; those of 1xx responses precede the real one."""
        status = self._parser.get_status_code()
        if status >= 200 and not self._complete:
            self.status = status

    def on_body(self, data: bytes) -> None:
        """Keep the beginning of a failure's body."""
        if not 200 <= self.status < 300 and self._kept < KEEP_LIMIT:
            self._body.append(data)
            self._kept += len(data)

    def on_message_complete(self) -> None:
        """The response, or a 1xx before it, is complete."""
        if self.status and not self._complete:
            self._complete = True
            # Only in here does the parser still know.
            self._keep_alive = self._parser.should_keep_alive()
