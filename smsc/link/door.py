"""Who is let in before anything is known of them but their address.

Theory
------
A connection that has not bound costs a descriptor, a task and some memory, and whoever opens it
has proved nothing. So one address may have only so many of them, and may open only so many a
second; more are closed unheard. What counts as one address is an IPv4 address or an IPv6 network
of 64 bits (:func:`smsc.peer.neighbourhood`). Behind a balancer it is the carrier's, once the
balancer has told it.

What a peer says first is enough to tell commonly mistaken ones apart, for the log.

*Bounds.* The table of rates keeps :data:`MOST_ADDRESSES` addresses and forgets the one not seen
for longest, whose bucket is full again thereby. Who is counted as not bound has a connection, and
those are bounded by the listener. Anybody can cause a refusal, so their log lines are spared:
:class:`Sparing`.
"""

import math
from collections import Counter, OrderedDict

from smsc.config import Listener
from smsc.link.limits import TokenBucket
from smsc.peer import is_within, neighbourhood, networks_of

MOST_ADDRESSES = 10_000
BURST = 10
"""Seconds' worth of connections that may come at once."""


class Door:
    """The limits of one listener, before a bind."""

    def __init__(self, listener: Listener) -> None:
        self._most = listener.binds_per_address
        self._rate = listener.bind_rate
        self._burst = math.ceil(listener.bind_rate * BURST)
        self._proxies = networks_of(listener.proxies)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._unbound: Counter[str] = Counter()
        self._links: dict[str, str] = {}  # link not bound yet → address it counts for

    def is_proxy(self, peer: str) -> bool:
        """Say whether a peer is a balancer, which must say first for whom it speaks."""
        return bool(self._proxies) and is_within(peer, self._proxies)

    def enter(self, link: str, peer: str, now: float) -> str:
        """Let a connection in, and count it; else say why not, in words, and count nothing."""
        if not (self._most or self._rate):
            return ""
        address = neighbourhood(peer)
        if self._most and self._unbound[address] >= self._most:
            return f"{address} has {self._unbound[address]} connections that are not bound"
        if self._rate and not self._bucket(address, now).take(now):
            return f"{address} opens more than {self._rate:g} connections a second"
        self._unbound[address] += 1
        self._links[link] = address
        return ""

    def settle(self, link: str) -> None:
        """Count a connection no more: it is bound, or gone. Idempotent."""
        address = self._links.pop(link, None)
        if address is not None:
            self._unbound[address] -= 1
            if not self._unbound[address]:
                del self._unbound[address]

    def _bucket(self, address: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > MOST_ADDRESSES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(address)
        return bucket


class Sparing:
    """Log lines anybody can cause: ten at once, then one a second; the rest are counted."""

    def __init__(self, now: float, *, rate: float = 1, burst: int = 10) -> None:
        self._bucket = TokenBucket(rate, burst, now)
        self._kept_back = 0

    def may(self, now: float) -> int | None:
        """Return how many lines were kept back since the last one; None to keep this one back."""
        if not self._bucket.take(now):
            self._kept_back += 1
            return None
        kept_back, self._kept_back = self._kept_back, 0
        return kept_back


_METHODS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"CONN", b"DELE", b"PRI ")


def recognised(prefix: bytes) -> str:
    """Say what a peer speaks by its first octets, where that is something well known; else "".

    ``TLS``: a record of handshake or alert (RFC 8446 §5.1). ``SMPP``: a command_length below
    64 KiB and a request.
    """
    if len(prefix) >= 3 and prefix[0] in (0x15, 0x16) and prefix[1] == 3:
        return "TLS"
    if prefix.startswith(_METHODS):
        return "HTTP"
    if prefix.startswith((b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n")):
        return "a PROXY protocol header"
    if prefix.startswith(b"SSH-"):
        return "SSH"
    if len(prefix) >= 8 and not any(prefix[:2]) and not any(prefix[4:7]):
        return "SMPP"
    return ""
