"""Where requests may go: no way into the operator's own network (CONTRACT §5, SSRF).

The policy is pure: :func:`vet` judges one address. :class:`Resolver` looks names up and lets
every address through it; what it returns is what is dialled, each time a connection is opened,
so that a name that changes its mind between check and use (DNS rebinding) changes nothing.

Three tiers. *Private* networks may be allowed by any listed network that contains the address.
*Sensitive* ones (loopback, link-local, cloud metadata, tunnels into IPv4 …) only by an entry that
lies inside them: ``0.0.0.0/0`` does not open loopback, ``127.0.0.1/32`` does. *Senseless* ones
(multicast, broadcast, unspecified) never.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import trio
from msgspec import Struct

from bridge.delivery.exchange import Target

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

MAX_ADDRESSES = 8
"""How many addresses of one name are dialled at most."""


class Tier(Enum):
    """How an address that is not public may be allowed."""

    PRIVATE = "private"
    SENSITIVE = "sensitive"
    SENSELESS = "senseless"


TABLE: tuple[tuple[str, Tier, str], ...] = (
    ("0.0.0.0/8", Tier.SENSELESS, "unspecified"),
    ("10.0.0.0/8", Tier.PRIVATE, "private"),
    ("100.64.0.0/10", Tier.PRIVATE, "carrier-grade NAT"),
    ("127.0.0.0/8", Tier.SENSITIVE, "loopback"),
    ("168.63.129.16/32", Tier.SENSITIVE, "cloud metadata"),
    ("169.254.0.0/16", Tier.SENSITIVE, "link-local"),
    ("172.16.0.0/12", Tier.PRIVATE, "private"),
    ("192.0.0.0/24", Tier.SENSITIVE, "protocol assignments"),
    ("192.0.2.0/24", Tier.SENSITIVE, "documentation"),
    ("192.88.99.0/24", Tier.SENSITIVE, "6to4 relay"),
    ("192.168.0.0/16", Tier.PRIVATE, "private"),
    ("198.18.0.0/15", Tier.SENSITIVE, "benchmarking"),
    ("198.51.100.0/24", Tier.SENSITIVE, "documentation"),
    ("203.0.113.0/24", Tier.SENSITIVE, "documentation"),
    ("224.0.0.0/4", Tier.SENSELESS, "multicast"),
    ("240.0.0.0/4", Tier.SENSELESS, "reserved or broadcast"),
    ("::/128", Tier.SENSELESS, "unspecified"),
    ("::1/128", Tier.SENSITIVE, "loopback"),
    ("::/96", Tier.SENSITIVE, "IPv4-compatible"),
    ("64:ff9b::/96", Tier.SENSITIVE, "NAT64"),
    ("64:ff9b:1::/48", Tier.SENSITIVE, "local NAT64"),
    ("100::/64", Tier.SENSITIVE, "discard-only"),
    ("2001::/32", Tier.SENSITIVE, "Teredo"),
    ("2001::/23", Tier.SENSITIVE, "protocol assignments"),
    ("2001:db8::/32", Tier.SENSITIVE, "documentation"),
    ("2002::/16", Tier.SENSITIVE, "6to4"),
    ("3fff::/20", Tier.SENSITIVE, "documentation"),
    ("5f00::/16", Tier.SENSITIVE, "segment routing"),
    ("fd00:ec2::254/128", Tier.SENSITIVE, "cloud metadata"),
    ("fc00::/7", Tier.PRIVATE, "unique local"),
    ("fe80::/10", Tier.SENSITIVE, "link-local"),
    ("fec0::/10", Tier.SENSITIVE, "site-local"),
    ("ff00::/8", Tier.SENSELESS, "multicast"),
)
"""Networks that are not public: the first that holds an address names it."""

_NETWORKS = tuple((ip_network(network), tier, name) for network, tier, name in TABLE)
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class Refused(Exception):
    """No address of the target may be dialled; the text says why."""


class Unresolved(Exception):
    """The name has no address, or none was found in time; the text says why."""


class Policy(Struct, frozen=True):
    """What the operator allows beyond public HTTPS."""

    allow_networks: tuple[Network, ...] = ()
    allow_http: bool = False
    """Plain ``http://`` to public addresses too. To allowed networks it is always allowed."""


def vet(address: str, port: int, allow_networks: Sequence[Network] = ()) -> str | None:
    """Say why an address may not be dialled; None if it may.

    An IPv4 address mapped into IPv6 is judged as the IPv4 address it is.
    """
    if problem := port_problem(port):
        return problem
    try:
        parsed = canonical(address)
    except ValueError:
        return "not an address"
    for network, tier, name in _NETWORKS:
        if parsed in network:
            return None if _allowed(parsed, network, tier, allow_networks) else f"{name} address"
    if parsed.version == 6 and parsed not in _GLOBAL_UNICAST:
        return "not a global unicast address"
    return None


def port_problem(port: int) -> str | None:
    """Say why nobody may be dialled on a port; None if they may."""
    if port in (80, 443) or 1024 <= port <= 65535:
        return None
    return f"port {port} is not 80, 443 or 1024 and above"


def foreseeable(target: Target, allow_networks: Sequence[Network] = ()) -> str | None:
    """Say why a target will never be dialled, as far as its URL alone tells; None if it may."""
    try:
        canonical(target.host)
    except ValueError:
        return port_problem(target.port)  # a name: what it leads to is judged at each dial
    return vet(target.host, target.port, allow_networks)


def permitted(policy: Policy, address: str, port: int, *, tls: bool) -> str | None:
    """Judge an address as :func:`vet` does, and whether it may be spoken to without TLS."""
    reason = vet(address, port, policy.allow_networks)
    if reason is not None or tls or policy.allow_http:
        return reason
    parsed = canonical(address)
    if any(parsed in network for network in policy.allow_networks):
        return None
    return "http:// is not allowed here: use https://"


def canonical(address: str) -> Address:
    """Parse an address; one mapped from IPv4 becomes the IPv4 address. Raises ValueError."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or IPv6Address(int(parsed))  # without a zone
    return parsed


def _allowed(
    address: Address, special: Network, tier: Tier, allow_networks: Sequence[Network]
) -> bool:
    if tier is Tier.SENSELESS:
        return False
    for allowed in allow_networks:
        if address not in allowed:
            continue
        if tier is Tier.PRIVATE or allowed.prefixlen >= special.prefixlen:
            # Both hold the address, so the longer prefix lies inside the shorter.
            return True
    return False


Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port → addresses; raises OSError where there are none."""


class Resolver:
    """Finds the addresses of a target that may be dialled.

    Lookups of one name are shared while one is under way, and at most ``limit`` names are
    looked up at once, in threads of their own: a name server that never answers keeps one
    thread busy for each name, and never the store's.
    """

    def __init__(self, policy: Policy, *, lookup: Lookup | None = None, limit: int = 32) -> None:
        self.policy = policy
        self._lookup = lookup or self._getaddrinfo
        self._limiter = trio.CapacityLimiter(limit)
        self._under_way: dict[tuple[str, int], _Shared] = {}

    async def resolve(self, host: str, port: int, *, tls: bool) -> list[str]:
        """Return addresses to dial, in order, at most 8.

        Raises :class:`Refused` if there are only forbidden ones, :class:`Unresolved` if there
        are none. Takes as long as the system's resolver: the caller sets the time limit.
        """
        try:
            addresses: Sequence[str] = [str(ip_address(host))]
        except ValueError:
            addresses = await self._shared_lookup(host, port)
        allowed: list[str] = []
        reason = ""
        for address in addresses:
            refusal = permitted(self.policy, address, port, tls=tls)
            if refusal is None:
                allowed.append(str(canonical(address)))
            else:
                reason = refusal
        if not allowed:
            raise Refused(reason)
        return list(dict.fromkeys(allowed))[:MAX_ADDRESSES]

    async def _shared_lookup(self, host: str, port: int) -> Sequence[str]:
        key = (host, port)
        shared = self._under_way.get(key)
        if shared is None:
            shared = self._under_way[key] = _Shared()
            # Not the caller's task: it may run out of time, and a thread inside the resolver
            # can't be stopped. This way those who ask again wait for the same one.
            trio.lowlevel.spawn_system_task(self._look_up, key, shared)
        await shared.done.wait()
        if not shared.addresses:
            raise Unresolved(shared.failure)
        return shared.addresses

    async def _look_up(self, key: tuple[str, int], shared: "_Shared") -> None:
        try:
            shared.addresses = await self._lookup(*key)
        except (OSError, UnicodeError) as error:
            shared.failure = getattr(error, "strerror", None) or str(error)
        except Exception as error:  # noqa: BLE001  # no more threads, say: a system task must not fail
            shared.failure = f"it can't be looked up now: {type(error).__name__}"
        finally:
            del self._under_way[key]
            shared.done.set()

    async def _getaddrinfo(self, host: str, port: int) -> Sequence[str]:
        found = await trio.to_thread.run_sync(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            abandon_on_cancel=True,
            limiter=self._limiter,
        )
        return [str(info[4][0]) for info in found]


class _Shared:
    """A lookup under way, for all who wait for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.addresses: Sequence[str] = ()
        self.failure = "the name has no address"
