"""The port between deciding and sending: what one HTTP request is made of, and what came of it.

:mod:`bridge.delivery.sender` implements it. Nothing a peer does is an exception here.
"""

import re
from ipaddress import IPv6Address
from typing import Protocol
from urllib.parse import quote, urlsplit

from msgspec import Struct

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(Struct, frozen=True):
    """Where requests go: an endpoint's URL, taken apart once."""

    tls: bool
    host: str
    """Name in ASCII form, or address without brackets."""
    port: int
    path: str
    """Path and query, as the request line says them."""
    authority: str
    """``Host`` of the request: no port where it is the scheme's own."""


class Request(Struct, frozen=True, gc=False):
    """One POST. ``repr`` shows neither headers nor body."""

    pool: str
    """Connections are only ever shared by requests with the same pool and target."""
    target: Target
    headers: bytes
    """Complete header lines but for Host and Content-Length, each ended by CRLF."""
    body: bytes
    connect_timeout: float = 5

    def __repr__(self) -> str:
        return f"Request({self.pool!r})"


class Facts(Struct, frozen=True, gc=False):
    """What became of one request."""

    duration_ms: float
    status: int | None = None
    """HTTP status; None where no usable response came."""
    error: str | None = None
    """``dns``, ``egress``, ``connect``, ``tls``, ``timeout``, ``protocol`` or ``reset``; None
    where a response came."""
    detail: str = ""
    """The error in words."""
    remote: str = ""
    """``address:port`` that was dialled."""
    connect_ms: float | None = None
    """Looking up, dialling and TLS; None on a kept-alive connection."""
    first_byte_ms: float | None = None
    retry_after: str | None = None
    """The header of that name."""
    directive: str | None = None
    """The header ``webhook-delivery``."""
    response: bytes = b""
    """Beginning of the response body, at most 16 KiB; only for statuses other than 2xx."""


class Exchange(Protocol):
    """Sends requests."""

    async def exchange(self, request: Request, deadline: float) -> Facts:
        """Send one request and read its response, by ``deadline`` on trio's clock.

        Never raises for anything a peer, a resolver or a network does. The request may have
        reached the peer whatever the facts say. Cancelled, it leaves no connection behind.
        """
        ...

    def sweep(self) -> None:
        """Close connections that have been idle too long; to be called every few seconds."""
        ...

    def close(self) -> None:
        """Close every idle connection."""
        ...


def aim(url: str) -> Target:
    """Take an endpoint's URL apart.

    Raises ValueError, in words that never repeat the URL (it may hold a token), where it can't
    be sent to: another scheme, no host, a user or password, a fragment, control characters.
    """
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise ValueError("a URL has no blanks or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL: its host or port can't be read") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("a URL starts with https:// (or http:// where that is allowed)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL holds no user or password: use a header")
    if parts.fragment:
        raise ValueError("a URL sent to has no fragment (#…)")
    host = parts.hostname or ""
    if not host:
        raise ValueError("the URL names no host")
    ascii_host = _ascii_host(host)
    if port == 0:
        raise ValueError("the URL's port is not 1 to 65535")
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]{}|^`\"<>\\")
    return Target(
        tls=scheme == "https",
        host=ascii_host,
        port=port or _DEFAULT_PORTS[scheme],
        path=path,
        authority=shown,
    )


def _ascii_host(host: str) -> str:
    try:
        if ":" in host:
            if "%" in host:
                raise ValueError("a URL's address has no zone (%…)")
            return str(IPv6Address(host))
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("the URL's host is not a valid name") from None
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError("the URL's host is not a valid name")
    return name
