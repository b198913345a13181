"""What comes before SMPP on a connection that was accepted: who is there, and in which language.

First a balancer's header, where one stands before us; then TLS, where the listener speaks it;
then SMPP. The octets are looked at in the kernel's buffer before they are taken out of it, so
that nobody reads a piece of what is the next one's.

Everything here is bounded in octets by :mod:`smsc.link.proxy`, and in time by the caller.
"""

import socket
import ssl

import trio

from smsc.link.door import recognised
from smsc.link.proxy import MOST_BINARY, Fault, Header, read
from smsc.link.tls import HandshakeFailed, TlsStream, secure

_HANDSHAKE = b"\x16"
"""The first octet of TLS: a record of type handshake (RFC 8446 §5.1)."""


class TurnedAway(Exception):
    """A connection comes to nothing; why is in words, empty where the peer only left again."""


async def announced(stream: trio.SocketStream) -> Header:
    """Take a balancer's header off the stream. Raises :class:`TurnedAway`."""
    before = b""
    while True:
        seen = await _peek(stream, MOST_BINARY)
        if not seen:
            raise TurnedAway("it left in the middle of its PROXY header" if before else "")
        found = read(before + seen)
        if isinstance(found, Fault):
            raise TurnedAway(_with_guess(found.detail, before + seen))
        size = len(seen) if found is None else found.size - len(before)
        before += await _take(stream, size)
        if found is not None:
            return found


async def secured(stream: trio.SocketStream, context: ssl.SSLContext) -> TlsStream:
    """Shake hands with a peer, if it speaks TLS at all. Raises :class:`TurnedAway`."""
    seen = await _peek(stream, 16)
    if not seen:
        raise TurnedAway("")
    if not seen.startswith(_HANDSHAKE):
        raise TurnedAway(_with_guess("it does not speak TLS, and this listener does", seen))
    try:
        return await secure(stream, context)
    except HandshakeFailed as error:
        raise TurnedAway(str(error) or "it left in the middle of the TLS handshake") from None


async def _peek(stream: trio.SocketStream, most: int) -> bytes:
    """Return what has come, leaving it there; empty at the end of the stream."""
    try:
        return await stream.socket.recv(most, socket.MSG_PEEK)
    except OSError:
        return b""


async def _take(stream: trio.SocketStream, size: int) -> bytes:
    """Take octets that were seen."""
    try:
        return await stream.socket.recv(size)
    except OSError:
        return b""


def _with_guess(detail: str, seen: bytes) -> str:
    guess = recognised(seen)
    return f"{detail}: this looks like {guess}" if guess else detail
