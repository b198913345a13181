"""What customers and operators configure, and what becomes of a delivery. Values only.

Names identify what a file declares; ids (type prefix + ULID) identify what happened. Times are
:data:`smsc.message.Millis`, durations seconds.
"""

from enum import Enum
from typing import Literal

from msgspec import Struct

from smsc.config import Account
from smsc.message import Millis

DEFAULT_TENANT = "default"

RETRY_SCHEDULE: tuple[float, ...] = (
    0, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 86_400,
)  # fmt: skip
"""Seconds before each attempt, counted from the one before: 13 attempts, 75.7 hours."""


class Tenant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer of the gateway."""

    name: str


class Number(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address a tenant receives on."""

    number: str
    """``+447700900999`` (exact), ``+4477*`` (prefix), ``*`` (any), or a short code. The exact
    one wins, then the longest prefix."""
    routes: tuple[str, ...] = ()
    """Names of the routes its messages take. None: they are listed as unrouted."""
    tenant: str = DEFAULT_TENANT


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule from message to endpoints."""

    name: str
    endpoints: tuple[str, ...]
    """Names of endpoints of the same tenant; each gets every message of the route."""
    routing_tag: str | None = None
    """Handed on in every payload as ``routingTag``."""
    tenant: str = DEFAULT_TENANT


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a tenant wants events sent. ``repr`` never shows secrets."""

    name: str
    url: str
    """``https://…``, or ``http://…`` where the operator allows it."""
    secrets: tuple[str, ...]
    """``whsec_`` + base64 of 24 to 64 octets, newest first; each signs, so that a receiver may
    hold either during a rotation. At most 5."""
    tenant: str = DEFAULT_TENANT
    enabled: bool = True
    """A disabled endpoint collects deliveries and sends none."""
    event_types: tuple[str, ...] = ("*",)
    """Exact names, ``message.*`` or ``*``."""
    headers: dict[str, str] = {}
    """Sent with every request: at most 20, none of the gateway's own."""
    max_concurrency: int = 8
    """Requests under way at once, over all lanes."""
    lanes: int = 1
    """How many lanes its deliveries are spread over; at most max_concurrency."""
    timeout: float = 15
    """Seconds for a whole attempt, 1 to 30."""
    connect_timeout: float = 5
    retry_schedule: tuple[float, ...] = RETRY_SCHEDULE
    """Seconds before each attempt, counted from the one before; the first is 0: at once. At most
    20 steps, 14 days."""
    max_age: float = 273_600
    """Seconds after which a delivery that is only being postponed (Retry-After) is given up."""
    max_retry_after: float = 3_600
    """Longest Retry-After that is honoured, in seconds."""
    permanent_status_codes: tuple[int, ...] = ()
    """HTTP statuses after which no retry is made."""

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, secrets={len(self.secrets)})"


class Live(Struct, frozen=True, kw_only=True):
    """The live half of the configuration at one revision. Never changed, only replaced."""

    revision: int = 0
    accounts: tuple[Account, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    numbers: tuple[Number, ...] = ()
    routes: tuple[Route, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


EventType = Literal["message.received", "receipt.received"]


class DeliveryState(Enum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """A dead letter: given up on, listed, and only sent again when somebody says so."""
    DISCARDED = "discarded"


DELIVERY_TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset(
        {DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DEAD}
    ),
    DeliveryState.DEAD: frozenset({DeliveryState.PENDING, DeliveryState.DISCARDED}),
    DeliveryState.DELIVERED: frozenset(),
    DeliveryState.DISCARDED: frozenset(),
}


class Attempt(Struct, frozen=True, kw_only=True):
    """Facts of one HTTP request. Holds neither secret nor request body."""

    number: int
    """1-based."""
    started_at: Millis
    duration_ms: float
    connect_ms: float | None = None
    """None on a kept-alive connection."""
    first_byte_ms: float | None = None
    """From the request's last octet to the response's first."""
    status: int | None = None
    """HTTP status; None where no response came."""
    error: str | None = None
    """Why there was no usable response: ``dns``, ``egress``, ``connect``, ``tls``, ``timeout``,
    ``protocol``, ``reset`` …"""
    detail: str = ""
    """The error in words."""
    remote: str = ""
    """Address that was dialled."""
    response: str = ""
    """Beginning of the response body (at most 16 KiB); kept for failures only."""


class Outcome(Enum):
    """What an attempt led to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Failed; the schedule goes on."""
    POSTPONE = "postpone"
    """Asked to come later (Retry-After): no step of the schedule is spent."""
    DEAD = "dead"
    """No use trying again."""
    GONE = "gone"
    """410: the endpoint wants nothing more."""
