"""The PROXY protocol, versions 1 and 2: what a load balancer says of who connected to it.

The header is the first thing on a connection, once, before TLS. It is read only where a balancer
is known to stand, and required there: a header from anybody else would let them choose the
address they are known by.

Cited is *The PROXY protocol*, Willy Tarreau, versions 1 & 2 (haproxy.org, ``proxy-protocol.txt``).

*Bound.* A text header has at most 107 octets (§2.1); a binary one at most 536, which is what a
sender may count on to fit into one segment (§2.2). A longer one is a fault.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from msgspec import Struct

from smsc.peer import shown

MOST_TEXT: Final = 107
MOST_BINARY: Final = 536

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY: Final = b"PROXY "
_FIXED: Final = 16
"""Octets of a binary header before its addresses: signature, command, family, length."""

_LOCAL, _PROXIED = 0x0, 0x1
_FAMILIES: Final = {0x1: (IPv4Address, 4), 0x2: (IPv6Address, 16)}
_STREAM: Final = 0x1
_WIDTHS: Final = {0x0: 0, 0x1: 12, 0x2: 36, 0x3: 216}
"""Address family → octets its addresses take, whatever follows them (§2.2)."""


class Header(Struct, frozen=True):
    """A whole header."""

    size: int
    """Octets it took; what follows is not part of it."""
    peer: str = ""
    """``address:port`` of who connected to the balancer. Empty where it speaks for itself (a
    health check: ``LOCAL``) or does not know (``UNKNOWN``): then the socket's peer counts."""
    version: int = 1


class Fault(Struct, frozen=True):
    """What came is no header; it won't become one."""

    detail: str


def read(data: bytes) -> Header | Fault | None:
    """Read the header at the beginning of what came; None while more is needed."""
    if data.startswith(_PROXY):
        return _read_text(data)
    if data.startswith(_SIGNATURE):
        return _read_binary(data)
    if _PROXY.startswith(data) or _SIGNATURE.startswith(data):
        return None
    return Fault("it does not begin with a PROXY protocol header")


def _read_text(data: bytes) -> Header | Fault | None:
    """§2.1: ``PROXY TCP4 source destination port port CRLF``."""
    end = data.find(b"\r\n", 0, MOST_TEXT)
    if end < 0:
        if len(data) < MOST_TEXT:
            return None
        return Fault(f"its PROXY line has no end within {MOST_TEXT} octets")
    size = end + 2
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":  # whatever follows on the line must be ignored
        return Header(size)
    if words[1] not in (b"TCP4", b"TCP6") or len(words) != 6:
        return Fault("its PROXY line is not one of TCP4, TCP6 or UNKNOWN")
    kind = IPv4Address if words[1] == b"TCP4" else IPv6Address
    try:
        source = kind(words[2].decode("ascii"))
        kind(words[3].decode("ascii"))
        port = _port(words[4])
        _port(words[5])
    except ValueError:  # UnicodeDecodeError is one
        return Fault("its PROXY line holds no valid addresses and ports")
    return Header(size, shown(str(source), port))


def _port(word: bytes) -> int:
    """§2.1: decimal digits, no leading zero, 0 to 65535."""
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and word != b"0"):
        raise ValueError
    port = int(word)
    if port > 0xFFFF:
        raise ValueError
    return port


def _read_binary(data: bytes) -> Header | Fault | None:
    """§2.2. Type-length-values behind the addresses are passed over, the checksum's too."""
    if len(data) < _FIXED:
        return None
    version, command = divmod(data[12], 16)
    family, transport = divmod(data[13], 16)
    length = int.from_bytes(data[14:16])
    size = _FIXED + length
    if version != 2:
        return Fault(f"its PROXY header has version {version}")
    if command not in (_LOCAL, _PROXIED):
        return Fault(f"its PROXY header has the unknown command {command}")
    if size > MOST_BINARY:
        return Fault(f"its PROXY header has {size} octets, more than {MOST_BINARY}")
    width = _WIDTHS.get(family)
    if command == _PROXIED and (width is None or transport > 2 or length < width):
        return Fault("its PROXY header's addresses are of no known form")
    if len(data) < size:
        return None
    if command == _LOCAL or family not in _FAMILIES or transport != _STREAM:
        return Header(size, version=2)
    kind, octets = _FAMILIES[family]
    source = kind(data[_FIXED : _FIXED + octets])
    port = int.from_bytes(data[_FIXED + 2 * octets : _FIXED + 2 * octets + 2])
    return Header(size, shown(str(source), port), version=2)
