"""Addresses of peers, as limits and lists of permitted networks look at them.

A peer is shown as ``address:port``, IPv6 addresses in brackets. An IPv4 address that came through
an IPv6 socket (``::ffff:192.0.2.1``, RFC 4291 §2.5.5.2) is the IPv4 address.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
"""A peer whose socket could not say who it is."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_SITE: Final = 64
"""Bits of an IPv6 address that tell sites apart; the rest a site gives out as it likes."""


def shown(host: str, port: int) -> str:
    """Return a peer as it is shown everywhere."""
    try:
        address = _plain(ip_address(host.partition("%")[0]))
    except ValueError:
        return UNKNOWN
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def address_of(peer: str) -> Address | None:
    """Return the address of a shown peer; None where there is none to be read."""
    host, colon, _ = peer.rpartition(":")
    try:
        return _plain(ip_address(host.removeprefix("[").removesuffix("]"))) if colon else None
    except ValueError:
        return None


def neighbourhood(peer: str) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 network of 64 bits.

    All peers that can't be read are one.
    """
    address = address_of(peer)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _SITE << _SITE, _SITE)))
    return str(address) if address else UNKNOWN


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks in CIDR form. Raises ValueError where one is none."""
    return tuple(_unmapped(ip_network(text)) for text in texts)


def is_within(peer: str, networks: Iterable[Network]) -> bool:
    """Say whether a peer's address is in one of the networks; a peer without one never is."""
    address = address_of(peer)
    return address is not None and any(address in network for network in networks)


def is_permitted(peer: str, texts: Iterable[str]) -> bool:
    """Say whether a list of networks permits a peer, failing closed.

    Nobody is permitted by a list with an entry that can't be read.
    """
    try:
        return is_within(peer, networks_of(texts))
    except ValueError:
        return False


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _unmapped(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        length = network.prefixlen - _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, length))
    return network
