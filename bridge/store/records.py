"""What is recorded of what carriers sent: the values that go into a store, and what became of them.

How a store keeps them is the contract's: :mod:`bridge.store.contract`.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from smsc.message import Fragment, Millis


class ArrivalKey(Struct, frozen=True, gc=False):
    """What makes an arrival recognisable."""

    account: str
    link: str
    place: int
    fingerprint: bytes
    """32 octets."""
    received_at: Millis


class CarrierId(Struct, frozen=True, gc=False):
    """The id a carrier gave a message, where repeats are told by it."""

    key: str
    """Equal for repeats only: made of the carrier's name, the id, and which segment it is."""
    until: Millis
    """When the first one with it is forgotten."""


class DeliveryRecord(Struct, frozen=True, gc=False):
    """One event for one endpoint, due at once."""

    endpoint: str
    lane: str


class EventRecord(Struct, frozen=True):
    """What happened, as customers see it."""

    id: str
    """``evt_…``."""
    type: str
    tenant: str
    body: bytes
    """Canonical bytes, UTF-8 JSON: stored once, sent identically each time."""
    created_at: Millis
    deliveries: tuple[DeliveryRecord, ...] = ()


class MessageRecord(Struct, frozen=True, kw_only=True):
    """A message (or receipt) with everything that follows from it."""

    id: str
    """``msg_…``."""
    kind: Literal["message", "receipt"] = "message"
    key: ArrivalKey
    carrier: str
    tenant: str
    number: str | None
    """The configured number it matched; None: unrouted."""
    source: str
    destination: str
    encoding: str
    total: int = 1
    complete: bool = True
    raw: bytes
    """The arrival as msgspec JSON: octets and coding kept so that it can be read again."""
    events: tuple[EventRecord, ...]
    """At least one; with no delivery at all the message is listed as unrouted."""
    duplicate_of: str | None = None
    """Id of the message this one may repeat. Set, the repeat check is not made again."""
    carrier_id: CarrierId | None = None


class FragmentRecord(Struct, frozen=True, kw_only=True):
    """One segment, to be joined with others."""

    id: str
    """``frg_…``."""
    key: ArrivalKey
    set_key: str
    """What segments of one message share: see :func:`smsc.content.assembly.set_key`."""
    total: int
    seq: int
    digest: bytes
    """SHA-256 of coding, header and octets: tells a repeated part from another one."""
    fragment: Fragment
    expires_at: Millis
    """When a set opened by this fragment is given up waiting for."""
    opens_at: Millis = 0
    """When such a set begins to wait; 0: when the fragment arrived."""
    carrier_id: CarrierId | None = None


class QuarantineRecord(Struct, frozen=True, kw_only=True):
    """What could not be read or stored otherwise."""

    id: str
    """``qtn_…``."""
    key: ArrivalKey
    raw: bytes
    reason: str
    duplicate_of: str | None = None
    """Id of what this one may repeat."""


Record = MessageRecord | FragmentRecord | QuarantineRecord


class Recorded(Struct, frozen=True, gc=False):
    """What became of one record."""

    id: str
    """Of what is stored now: the record's own, or the earlier one's where it is a repeat."""
    repeat: Literal["", "absorbed", "answered", "named", "part"] = ""
    """``absorbed``: repeats one whose answer was never written; nothing new was stored.
    ``answered``: repeats one whose answer was written, and nobody wanted it marked: nothing new
    was stored. ``named``: its carrier gave it the id of an earlier one; nothing new was stored.
    ``part``: a segment its set (or the set's tombstone) already has; nothing new was stored."""
    set_id: int = 0
    """For fragments that were stored or are parts of an unfinished set: their set."""
    whole: bool = False
    """That set has every segment now, and is to be completed."""


class OpenSet(Struct, frozen=True, kw_only=True):
    """A set as :meth:`Store.complete` and :meth:`Store.expire` hand it to the join."""

    id: int
    message_id: str | None
    """Id of the message it was delivered as when it expired before; a late part makes a new
    event of the same message."""
    fragments: tuple[Fragment, ...]
    """Without repeats, by sequence number."""
    opened_at: Millis


Join = Callable[[OpenSet], MessageRecord]
"""Pure: joins, routes and renders. An exception quarantines that set alone."""


Mark = Callable[[MessageRecord | QuarantineRecord, str], MessageRecord | QuarantineRecord | None]
"""Pure: makes of a record what is stored instead when it repeats one that was answered, whose id
is given: the same with ``duplicate_of``; None: nothing is stored. Must not raise."""


class Room(Struct, frozen=True, kw_only=True):
    """How much of one carrier's may wait to become whole."""

    parts: int
    octets: int
    """As stored."""


class Reread(Struct, frozen=True):
    """Something in quarantine, and what it is understood as now."""

    number: int
    """Its place in the store."""
    record: Record
    """Of the key it was stored with; a :class:`QuarantineRecord` says why it stays."""


class Doubt(Struct, frozen=True, kw_only=True):
    """Which arrivals of a link have become doubtful."""

    link: str
    account: str
    since: Millis
    """Arrivals received before this are not in doubt."""
    answered_to: int
    """Places up to this one had their answers written, unless named in :attr:`unanswered`."""
    unanswered: tuple[int, ...] = ()
    only_unanswered: bool = False
    """Only those in :attr:`unanswered`: for commits in doubt on a link that is well."""
    until: Millis
    """When it ends."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A bind or PDU that a carrier was refused, and why."""

    at: Millis
    account: str
    """Empty where no account has the system_id."""
    link: str
    peer: str
    command: str
    """As the specification spells it."""
    status: int
    """The command_status it was answered with."""
    reason: str
    """In words, without anything secret."""
    raw: bytes = b""
    """The PDU, at most 4 KiB of it; nothing of binds, which hold a password."""
