"""Arrivals → what the store keeps of them. Pure.

Of a message, everything that follows from it is made here: one event for each leg of its match
with its canonical bytes and deliveries. So the store only has to write, in one transaction.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from msgspec import to_builtins
from msgspec.json import Encoder

from bridge.delivery.payload import message_event, receipt_event
from bridge.ids import Ids
from bridge.intake.routing import Leg, Match, RoutingTable
from bridge.store.records import (
    ArrivalKey,
    CarrierId,
    EventRecord,
    FragmentRecord,
    MessageRecord,
    OpenSet,
    QuarantineRecord,
    Record,
)
from smsc.config import Account
from smsc.content import assembly, whole
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


NOBODY: Mapping[str, Account] = {}
KIND = "kind"
"""Field beside those of an arrival in quarantine that says which kind it is."""


def record(
    arrival: Arrival,
    table: RoutingTable,
    ids: Ids,
    now: Millis,
    assembly_timeout: float,
    accounts: Mapping[str, Account] = NOBODY,
) -> Record:
    """Return the record of an arrival, made at ``now``; accounts, by name, say by what repeats
    are told.

    May raise for an arrival that nothing can be made of: :func:`quarantine` takes that one.
    """
    if isinstance(arrival, Message):
        return message_record(arrival, table, ids, now, carrier_id=carrier_id(arrival, 1, accounts))
    if isinstance(arrival, Receipt):
        return message_record(arrival, table, ids, now)
    if isinstance(arrival, Fragment):
        return fragment_record(arrival, ids, assembly_timeout, accounts)
    return quarantine(arrival, ids, arrival.reason)


def carrier_id(
    arrival: Message | Fragment, seq: int, accounts: Mapping[str, Account]
) -> CarrierId | None:
    """Return what repeats of an arrival are told by, where its account trusts its carrier's ids.

    An id counts for all accounts of the carrier, so that it doesn't matter over which of them a
    message comes again, and for each segment alone: some carriers give all of them the same.
    """
    id_ = arrival.carrier_message_id
    if id_ is None:
        return None
    origin = arrival.origin
    account = accounts.get(origin.account)
    if account is None or not account.repeats_by_id:
        return None
    until = origin.received_at + int(account.repeats_by_id * 1_000)
    return CarrierId(f"{len(origin.carrier)}:{origin.carrier} {seq} {id_}", until)


def message_record(
    message: Message | Receipt,
    table: RoutingTable,
    ids: Ids,
    now: Millis,
    *,
    message_id: str | None = None,
    duplicate_of: str | None = None,
    carrier_id: CarrierId | None = None,
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
        carrier_id=carrier_id,
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


def fragment_record(
    fragment: Fragment,
    ids: Ids,
    assembly_timeout: float,
    accounts: Mapping[str, Account] = NOBODY,
) -> FragmentRecord:
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
        carrier_id=carrier_id(fragment, fragment.concat.seq, accounts),
    )


def quarantine(arrival: Arrival, ids: Ids, reason: str) -> QuarantineRecord:
    """Return the record of something that can't be kept otherwise. Never raises.

    It keeps the frame, or the arrival as JSON, with what JSON can't hold replaced by U+FFFD.
    """
    if type(arrival) is Unreadable:
        raw = arrival.raw
    else:
        try:
            raw = _encode({KIND: type(arrival).__name__} | _storable(to_builtins(arrival)))
        except Exception:  # noqa: BLE001  # the last resort must not have a way to fail
            raw = repr(arrival).encode("utf-8", "backslashreplace")
    return QuarantineRecord(id=ids.new("qtn"), key=key(arrival.origin), raw=raw, reason=reason)


def _storable(value: Any) -> Any:
    """Replace lone surrogates, wherever they are."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _storable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(each) for each in value]
    return value


def key(origin: Origin) -> ArrivalKey:
    """Return what makes an arrival recognisable, as the store keeps it."""
    return ArrivalKey(
        origin.account, origin.link, origin.place, origin.fingerprint, origin.received_at
    )


class Joiner:
    """Joins a set and makes the record of what it is: a :data:`bridge.store.records.Join`.

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
        """Return the record of what a set makes, with gaps where segments are missing."""
        message = whole.join(open_set.fragments)
        return message_record(
            message, self._table(), self._ids, self._clock(), message_id=open_set.message_id
        )
