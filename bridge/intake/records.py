"""Arrivals → what the store keeps of them. Pure.

Of a message, everything that follows from it is made here: one event for each leg of its match
with its canonical bytes and deliveries. So the store only has to write, in one transaction.
"""

import hashlib
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from msgspec.json import Encoder

from bridge.delivery.payload import message_event, receipt_event
from bridge.ids import Ids
from bridge.intake.routing import Leg, Match, RoutingTable
from bridge.store.contract import (
    ArrivalKey,
    EventRecord,
    FragmentRecord,
    MessageRecord,
    OpenSet,
    QuarantineRecord,
    Record,
)
from smsc.content import assembly
from smsc.message import Arrival, Fragment, Message, Millis, Origin, Receipt, Unreadable

_encode = Encoder().encode

_UNROUTED = (Leg(None, None, ()),)
"""An unrouted message has one event as well, which nobody is sent."""


T = TypeVar("T", Message, Receipt)
T_contra = TypeVar("T_contra", contravariant=True)


class Render(Protocol[T_contra]):
    """Makes an event's canonical bytes: see :mod:`bridge.delivery.payload`."""

    def __call__(
        self,
        arrival: T_contra,
        /,
        *,
        event_id: str,
        message_id: str,
        tenant: str,
        number: str | None,
        route_id: str | None,
        routing_tag: str | None,
        created_at: Millis,
        duplicate_of: str | None,
    ) -> bytes:
        """Return UTF-8 JSON."""
        ...


def record(
    arrival: Arrival, table: RoutingTable, ids: Ids, now: Millis, assembly_timeout: float
) -> Record:
    """Return the record of an arrival, made at ``now``.

    May raise for an arrival that nothing can be made of: :func:`quarantine` takes that one.
    """
    kind = type(arrival)
    if kind is Message or kind is Receipt:
        return message_record(arrival, table, ids, now)  # type: ignore[arg-type]  # narrowed by `is`, which mypy can't see through a variable
    if kind is Fragment:
        return fragment_record(arrival, ids, assembly_timeout)  # type: ignore[arg-type]  # as above
    assert type(arrival) is Unreadable
    return quarantine(arrival, ids, arrival.reason)


def message_record(
    message: Message | Receipt,
    table: RoutingTable,
    ids: Ids,
    now: Millis,
    *,
    message_id: str | None = None,
    duplicate_of: str | None = None,
) -> MessageRecord:
    """Return the record of a message or receipt with its events and deliveries.

    ``message_id``: it is known by this id already; ``duplicate_of``: it may repeat that one.
    """
    match = table.match(message.destination.value)
    if message_id is None:
        message_id = ids.new("msg")
    origin = message.origin
    content = message.content
    common = (match, ids, now, message_id, duplicate_of)
    kind: Literal["message", "receipt"]
    if type(message) is Message:
        kind, total, legs = "message", message.total, match.message
        events = _events(message, message_event, "message.received", legs, *common)
    else:
        assert type(message) is Receipt
        kind, total, legs = "receipt", 1, match.receipt
        events = _events(message, receipt_event, "receipt.received", legs, *common)
    return MessageRecord(
        id=message_id,
        kind=kind,
        key=key(origin),
        carrier=origin.carrier,
        tenant=match.tenant,
        number=match.number,
        source=message.source.value,
        destination=message.destination.value,
        encoding=content.encoding,
        total=total,
        complete=not content.missing,
        raw=_encode(message),
        events=events,
        duplicate_of=duplicate_of,
    )


def _events(
    arrival: T,
    render: Render[T],
    type_: str,
    legs: tuple[Leg, ...],
    match: Match,
    ids: Ids,
    now: Millis,
    message_id: str,
    duplicate_of: str | None,
) -> tuple[EventRecord, ...]:
    events: list[EventRecord] = []
    for leg in legs or _UNROUTED:
        event_id = ids.new("evt")
        body = render(
            arrival,
            event_id=event_id,
            message_id=message_id,
            tenant=match.tenant,
            number=match.number,
            route_id=leg.route_id,
            routing_tag=leg.routing_tag,
            created_at=now,
            duplicate_of=duplicate_of,
        )
        deliveries = leg.deliveries(event_id)
        events.append(EventRecord(event_id, type_, match.tenant, body, now, deliveries))
    return tuple(events)


def fragment_record(fragment: Fragment, ids: Ids, assembly_timeout: float) -> FragmentRecord:
    """Return the record of one segment; a set it opens waits ``assembly_timeout`` seconds."""
    origin = fragment.origin
    part = fragment.part
    # The header's length octet keeps header and octets apart.
    octets = bytes((part.coding & 0xFF,)) + part.udh + part.octets
    return FragmentRecord(
        id=ids.new("frg"),
        key=key(origin),
        set_key=assembly.set_key(fragment),
        total=fragment.concat.total,
        seq=fragment.concat.seq,
        digest=hashlib.sha256(octets).digest(),
        fragment=fragment,
        expires_at=assembly.expires_at(origin.received_at, assembly_timeout),
    )


def quarantine(arrival: Arrival, ids: Ids, reason: str) -> QuarantineRecord:
    """Return the record of something that can't be kept otherwise. Never raises."""
    if type(arrival) is Unreadable:
        raw = arrival.raw
    else:
        try:
            raw = _encode(arrival)
        except Exception:  # noqa: BLE001  # the last resort must not have a way to fail
            raw = repr(arrival).encode("utf-8", "backslashreplace")
    return QuarantineRecord(id=ids.new("qtn"), key=key(arrival.origin), raw=raw, reason=reason)


def key(origin: Origin) -> ArrivalKey:
    """Return what makes an arrival recognisable, as the store keeps it."""
    return ArrivalKey(
        origin.account, origin.link, origin.place, origin.fingerprint, origin.received_at
    )


class Joiner:
    """Joins a set and makes its message's record: a :data:`bridge.store.contract.Join`.

    Called in the store's thread; the table is that of the moment, so that a message is routed
    as the configuration is when it becomes whole.
    """

    def __init__(
        self, table: Callable[[], RoutingTable], ids: Ids, clock: Callable[[], Millis]
    ) -> None:
        self._table = table
        self._ids = ids
        self._clock = clock

    def __call__(self, open_set: OpenSet) -> MessageRecord:
        """Return the record of a set's message, with gaps where segments are missing."""
        message = assembly.join(open_set.fragments)
        return message_record(
            message, self._table(), self._ids, self._clock(), message_id=open_set.message_id
        )
