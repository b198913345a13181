"""Reaching a carrier's SMSC: name or address → connected stream, over TLS where it is wanted.

Files are read and names are looked up for each connection, so that what was renewed holds from
the next one. Where we dial is the operator's word: no address is refused.
"""

import os
import socket
import ssl

import trio
from msgspec import Struct

from smsc.config import Dial, host_and_port
from smsc.link.tls import TlsStream
from smsc.peer import shown


class Unreachable(Exception):
    """A host could not be connected to; why, in words."""


class Reached(Struct, frozen=True):
    """A connection to a host."""

    stream: trio.abc.Stream
    peer: str
    """``address:port``."""
    local: str
    """That of our own end."""
    tls: str = ""
    """``TLSv1.3`` and the like; empty on a plain connection."""


async def reach(host: str, dial: Dial) -> Reached:
    """Connect to one of ``dial.hosts``; of several addresses, whichever answers first.

    Raises :class:`Unreachable`. The caller bounds it in time; nothing is left open if it raises
    or is cancelled.
    """
    try:
        name, port = host_and_port(host)
    except ValueError as error:
        raise Unreachable(f"{host} {error}") from None
    try:
        stream = await trio.open_tcp_stream(name, port)
    except UnicodeError:  # not even to be asked for: an empty label, or one too long
        raise Unreachable(f"{name} can't be looked up: it is no host name") from None
    except OSError as error:
        raise Unreachable(_words(error)) from None
    try:
        found = Reached(
            stream,
            shown(*stream.socket.getpeername()[:2]),
            shown(*stream.socket.getsockname()[:2]),
        )
        return await _secured(stream, found, name, dial) if dial.tls else found
    except OSError as error:
        await trio.aclose_forcefully(stream)
        raise Unreachable(_words(error)) from None
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _secured(stream: trio.SocketStream, found: Reached, name: str, dial: Dial) -> Reached:
    context = await trio.to_thread.run_sync(context_of, dial)
    tls = trio.SSLStream(stream, context, server_hostname=name, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        raise Unreachable(_tls_words(error.__cause__)) from None
    wrapped = TlsStream(tls, stream)
    return Reached(wrapped, found.peer, found.local, wrapped.version)


def context_of(dial: Dial) -> ssl.SSLContext:
    """Read the files of a ``dial``; blocks for some milliseconds. Raises :class:`Unreachable`."""
    try:
        context = ssl.create_default_context(cafile=dial.tls_ca or None)
    except (OSError, ValueError) as error:
        raise Unreachable(f"can't use tls_ca {dial.tls_ca}: {_file_words(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if dial.tls_certificate:
        try:
            context.load_cert_chain(dial.tls_certificate, password=_no_password)
        except (OSError, ValueError) as error:
            words = f"can't use tls_certificate {dial.tls_certificate}: {_file_words(error)}"
            raise Unreachable(words) from None
    return context


def _no_password() -> str:
    """Be asked for the password of an encrypted key, which nobody is here to give."""
    raise ValueError("its key is encrypted: it must be without a password")


def _file_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "it does not hold in PEM form what it should"
    return getattr(error, "strerror", None) or str(error)


def _tls_words(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return f"the TLS handshake failed: {error.reason or 'no reason given'}"
    return "it left in the middle of the TLS handshake"


def _words(error: OSError) -> str:
    """Say what kept us from connecting, of several addresses each reason once."""
    if isinstance(error, socket.gaierror):
        return f"the name can't be looked up: {error.strerror}"
    causes = (
        error.__cause__.exceptions
        if isinstance(error.__cause__, BaseExceptionGroup)
        else (error.__cause__ or error,)
    )
    reasons = (
        os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(cause)
        for cause in causes
    )
    return ", ".join(dict.fromkeys(reasons))
