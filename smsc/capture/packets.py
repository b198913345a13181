"""Packets → TCP segments, and back: Ethernet and its kin, IPv4, IPv6, TCP.

What is no TCP, or not whole enough to tell, is no segment. Fragments of IP are passed over, and
what they held is then found missing from its stream: TCP avoids them.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from struct import Struct as Packer
from struct import unpack_from
from typing import Final

from msgspec import Struct

Place = tuple[str, int]
"""Address and port."""

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_PPPOE: Final = 0x8864
_PPP_TYPES: Final = {0x0021: _IPV4, 0x0057: _IPV6}
_TCP: Final = 6
_EXTENSIONS: Final = frozenset({0, 43, 60})  # hop by hop, routing, destination options
_AUTHENTICATION: Final = 51


class Segment(Struct, frozen=True, gc=False):
    """What one packet says of a TCP stream."""

    source: Place
    target: Place
    sequence: int
    flags: int
    payload: bytes
    size: int
    """Octets of payload it had on the wire, of which the capture may hold fewer."""


def segment(link_type: int, octets: bytes) -> Segment | None:
    """Return the TCP segment in a packet; None where there is none. Never raises."""
    unwrap = _LINKS.get(link_type)
    found = None if unwrap is None else unwrap(octets)
    if found is None:
        return None
    kind, at = found
    if kind == _IPV4:
        return _ipv4(octets, at)
    return _ipv6(octets, at) if kind == _IPV6 else None


Unwrapped = tuple[int, int] | None
"""Ethernet type of what is inside, and where that begins."""


def _ethernet(octets: bytes) -> Unwrapped:
    return _typed(octets, 12)


def _typed(octets: bytes, at: int) -> Unwrapped:
    """Follow an Ethernet type at an offset, through tags of virtual networks."""
    for _ in range(4):
        if len(octets) < at + 2:
            return None
        kind = int.from_bytes(octets[at : at + 2], "big")
        if kind in _TAGS:
            at += 4
        elif kind == _PPPOE:
            return _PPP_TYPES.get(int.from_bytes(octets[at + 8 : at + 10], "big"), 0), at + 10
        else:
            return kind, at + 2
    return None


def _cooked(octets: bytes) -> Unwrapped:
    return _typed(octets, 14)


def _cooked_2(octets: bytes) -> Unwrapped:
    kind = int.from_bytes(octets[:2], "big")
    # Behind the header a tag goes on with its network's number and the type of what is inside.
    return (kind, 20) if kind not in _TAGS else _typed(octets, 22)


def _loopback(octets: bytes) -> Unwrapped:
    # The family's number is that of the machine: IPv6 has many, IPv4 is 2 everywhere.
    return _bare(octets, 4)


def _raw(octets: bytes) -> Unwrapped:
    return _bare(octets, 0)


def _bare(octets: bytes, at: int) -> Unwrapped:
    version = octets[at] >> 4 if len(octets) > at else 0
    return {4: (_IPV4, at), 6: (_IPV6, at)}.get(version)


_LINKS: Final[dict[int, Callable[[bytes], Unwrapped]]] = {
    0: _loopback,  # BSD
    1: _ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: _loopback,  # OpenBSD
    113: _cooked,  # Linux, "any"
    228: _raw,
    229: _raw,
    276: _cooked_2,
}


def _ipv4(octets: bytes, at: int) -> Segment | None:
    if len(octets) < at + 20:
        return None
    head = (octets[at] & 0x0F) * 4
    total, fragment = unpack_from(">H2xH", octets, at + 2)
    if octets[at + 9] != _TCP or head < 20 or fragment & 0x3FFF:
        return None
    # Zero where the network card was to fill it in.
    end = at + total if total else len(octets)
    source, target = octets[at + 12 : at + 16], octets[at + 16 : at + 20]
    return _tcp(octets, at + head, end, source, target)


def _ipv6(octets: bytes, at: int) -> Segment | None:
    if len(octets) < at + 40:
        return None
    (size,) = unpack_from(">H", octets, at + 4)
    end = at + 40 + size if size else len(octets)
    source, target = octets[at + 8 : at + 24], octets[at + 24 : at + 40]
    following = octets[at + 6]
    at += 40
    for _ in range(8):
        if following == _TCP:
            return _tcp(octets, at, end, source, target)
        if len(octets) < at + 2:
            return None
        if following in _EXTENSIONS:
            length = (octets[at + 1] + 1) * 8
        elif following == _AUTHENTICATION:
            length = (octets[at + 1] + 2) * 4
        else:
            return None
        following = octets[at]
        at += length
    return None


def _tcp(octets: bytes, at: int, end: int, source: bytes, target: bytes) -> Segment | None:
    if len(octets) < at + 14:
        return None
    from_port, to_port, sequence, _, offset, flags = unpack_from(">HHIIBB", octets, at)
    begin = at + (offset >> 4) * 4
    if begin < at + 20 or begin > end:
        return None
    payload = octets[begin:end]  # behind it there may be padding
    return Segment(
        (_written(source), from_port), (_written(target), to_port), sequence, flags, payload,
        end - begin,
    )  # fmt: skip


@lru_cache(4_096)
def _written(address: bytes) -> str:
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


# Made up

MOST_PAYLOAD: Final = 65_000
"""Octets of a segment we make up: IPv4 counts to 65,535 with the headers."""

_tcp_head: Final = Packer(">HHIIBBHHH").pack
_ipv4_head: Final = Packer(">BBHHHBBH4s4s").pack
_ipv6_head: Final = Packer(">IHBB16s16s").pack
_WINDOW: Final = 65_535
_HOPS: Final = 64


def frame(
    source: Place, target: Place, sequence: int, acknowledged: int, flags: int, payload: bytes = b""
) -> bytes:
    """Return an Ethernet frame with a TCP segment between two addresses of one family.

    Checksums are right. Raises ValueError where an address is none.
    """
    from_, to = _packed(source[0]), _packed(target[0])
    if len(from_) != len(to):
        from_, to = _as_ipv6(from_), _as_ipv6(to)
    numbers = (source[1], target[1], sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
    size = 20 + len(payload)
    pseudo = from_ + to + size.to_bytes(4, "big") + _TCP.to_bytes(4, "big")
    bare = _tcp_head(*numbers, 5 << 4, flags, _WINDOW, 0, 0)
    sum_ = checksum(pseudo + bare + payload)
    tcp = _tcp_head(*numbers, 5 << 4, flags, _WINDOW, sum_, 0) + payload
    if len(from_) == 16:
        head = _ipv6_head(6 << 28, size, _TCP, _HOPS, from_, to)
        kind = _IPV6
    else:
        facts = (0x45, 0, 20 + size, 0, 0x4000, _HOPS, _TCP)
        head = _ipv4_head(*facts, checksum(_ipv4_head(*facts, 0, from_, to)), from_, to)
        kind = _IPV4
    # Addresses of cards that say they were made up.
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + kind.to_bytes(2, "big") + head + tcp


@lru_cache(4_096)
def _packed(address: str) -> bytes:
    return ip_address(address).packed


def _as_ipv6(address: bytes) -> bytes:
    return address if len(address) == 16 else b"\0" * 10 + b"\xff\xff" + address


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    # As one number: 2^16 is 1 in this arithmetic, so its remainder is the folded sum.
    total = int.from_bytes(octets, "big") % 0xFFFF
    return 0xFFFF ^ (total or (0xFFFF if any(octets) else 0))
