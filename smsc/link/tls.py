"""TLS on a listener: its files, the handshake, and a stream that parts from its peer in peace.

TLS 1.2 or later. Sessions are not resumed: links last for days, and a resumed one would not show
its certificate again. Where authorities are named, a client must show a certificate that one of
them vouches for (mutual TLS); which account it may bind as is decided at the bind.

A peer may close its connection without TLS's own goodbye (``close_notify``), as many do: SMPP has
an unbind of its own, and an end without one counts as a loss whatever TLS says of it.
"""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import trio
from msgspec import Struct

from smsc.config import ListenerTls


class Fault(Struct, frozen=True):
    """What is wrong with the files of a listener."""

    option: str
    """``certificate``, ``key`` or ``client_ca``."""
    detail: str
    """In words, with the file's name."""


class TlsError(Exception):
    """A listener's files can't be used."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = faults


class HandshakeFailed(Exception):
    """A peer did not come to terms with us; why is in words, empty where it only left."""


def context_of(options: ListenerTls) -> ssl.SSLContext:
    """Read a listener's files; blocks for some milliseconds.

    Raises :class:`TlsError` with everything that is wrong with them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    faults = tuple(_load(context, options))
    if faults:
        raise TlsError(faults)
    return context


async def secure(stream: trio.SocketStream, context: ssl.SSLContext) -> "TlsStream":
    """Shake hands as the server.

    Raises :class:`HandshakeFailed`. The caller bounds it in time, and closes the stream if it
    raises or is cancelled.
    """
    tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        raise HandshakeFailed(_words(error.__cause__)) from None
    return TlsStream(tls, stream)


class TlsStream(trio.abc.HalfCloseableStream):
    """TLS over a socket, after its handshake."""

    def __init__(self, tls: "trio.SSLStream[trio.SocketStream]", socket: trio.SocketStream) -> None:
        self._tls = tls
        self._socket = socket
        self._said_goodbye = False
        self.version: str = tls.version() or ""
        """``TLSv1.3`` and the like."""
        shown = tls.getpeercert(binary_form=True)
        self.certificate = hashlib.sha256(shown).hexdigest() if shown else ""
        """SHA-256 of the peer's certificate, in lower-case hexadecimal; empty without one."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send octets: see :class:`trio.abc.SendStream`."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending might not block."""
        await self._tls.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive octets; after :meth:`send_eof`, what they were is not known any more."""
        if self._said_goodbye:
            return await self._socket.receive_some(max_bytes)
        return await self._tls.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Say ``close_notify``, wait for the peer's, and close our side of the socket.

        A peer that has more to say first is not waited for.
        """
        self._said_goodbye = True
        with suppress(trio.BrokenResourceError):  # it said something else first, or just closed
            await self._tls.unwrap()
        await self._socket.send_eof()

    async def aclose(self) -> None:
        """Close the socket."""
        await self._socket.aclose()


def _load(context: ssl.SSLContext, options: ListenerTls) -> Iterator[Fault]:
    """Read all files into a context; yield what is wrong with them."""
    files = {"certificate": options.certificate}
    if options.key:
        files["key"] = options.key
    if options.client_ca:
        files["client_ca"] = options.client_ca
    unread = set()
    for option, name in files.items():
        try:
            Path(name).read_bytes()
        except (OSError, ValueError) as error:
            unread.add(option)
            reason = getattr(error, "strerror", None) or str(error)
            yield Fault(option, f"can't read {name}: {reason}")
    if not unread & {"certificate", "key"}:
        fault = _load_chain(context, options)
        if fault is not None:
            yield fault
    if options.client_ca and "client_ca" not in unread:
        try:
            context.load_verify_locations(options.client_ca)
        except (ssl.SSLError, OSError):
            yield Fault("client_ca", f"{options.client_ca} holds no certificates in PEM form")
        context.verify_mode = ssl.CERT_REQUIRED


def _load_chain(context: ssl.SSLContext, options: ListenerTls) -> Fault | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(options.certificate)
    except (ssl.SSLError, OSError):
        return Fault("certificate", f"{options.certificate} holds no certificate in PEM form")
    key = options.key or options.certificate
    option = "key" if options.key else "certificate"
    try:
        context.load_cert_chain(options.certificate, options.key or None, password=_no_password)
    except _Encrypted:
        return Fault(option, f"the key in {key} is encrypted: it must be without a password")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return Fault(option, f"the key in {key} is not that of {options.certificate}")
        if error.reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
            return Fault("certificate", f"{options.certificate} is too weak: {error.reason}")
        return Fault(option, f"{key} holds no private key in PEM form")
    except OSError as error:
        return Fault(option, f"can't use {key}: {error.strerror}")
    return None


class _Encrypted(Exception):
    """A key wants a password, which nobody is here to give."""


def _no_password() -> str:
    raise _Encrypted


_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate, and this listener wants one",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not vouched for by the listener's client_ca",
    "UNSUPPORTED_PROTOCOL": "it knows no TLS version from 1.2 on",
    "VERSION_TOO_LOW": "it knows no TLS version from 1.2 on",
    "NO_SHARED_CIPHER": "it knows no cipher that we know",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the authority of our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it showed no certificate, and this listener wants one",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it speaks HTTP without TLS",
}
"""OpenSSL's reason → what it means for us. The first octets were looked at before."""


def _words(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{_REASONS['CERTIFICATE_VERIFY_FAILED']}: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        reason = error.reason or "no reason given"
        return _REASONS.get(reason, f"the handshake failed: {reason}")
    return ""
