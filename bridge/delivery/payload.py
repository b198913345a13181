"""Canonical bytes of events, ``sms.v1`` (CONTRACT §1, §2): built once, stored, sent each time.

Every key of the contract is always present, in the contract's order, null where there is
nothing to say. Additive changes only.

What the contract leaves open:

``parts``
    ``[]`` for a message of one part; else one ``{"seq", "udhHex"}`` for each part that came, by
    ``seq`` (1-based), so that what is missing shows.
``udhHex``
    The header of the only part, its length octet included; null for several parts, where each
    has its own.
``encoding``
    The charset the text was read with; ``binary`` where there is none, and ``mixed`` where parts
    were read with different ones.
``contentBase64``
    The octets behind the headers of all parts that came, where the text is not all there is:
    content that is ``binary``, ``mixed`` or addressed to a port, and text with
    ``undecodable-octets``.
``flags``
    Remarks on the reading: ``undecodable-octets``, ``bad-udh`` and so on.
``metadata``
    What the carrier said beside the text, named as in :mod:`smsc.content.metadata`, in camel case
    (``messageClass``, ``destinationPort``, ``replyAddress`` …).
``tlvs``
    Tag as four lower-case hex digits → value in hex. Of a repeated tag the first is shown.
``tenantId``, ``numberId``, ``routeId``
    Names from the configuration, since names identify what it declares.
``receipt.received``
    Holds the canonical names too (``fromNumber`` … ``timestamp``), seen from the receipt: it
    comes *from* the number the original message was sent to. Behind what the contract names it
    has ``submittedCount``, ``deliveredCount`` and ``text`` (the beginning of the original
    message) as the carrier gave them, and ``encoding``, ``complete``, ``contentBase64``,
    ``flags``, ``metadata`` and ``tlvs`` as a message has. Intermediate notifications are told by
    ``metadata.messageType``.
"""

from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct
from msgspec.json import Encoder

from smsc.message import Content, Message, Millis, Receipt

SCHEMA_VERSION = "1.0"

_NOT_TEXT = frozenset({"binary", "mixed"})
"""Encodings of content that is not text, or not all of it."""

LAST_SECOND = 253_402_300_799
"""The end of the year 9999: RFC 3339 can't say more."""


class _Part(Struct, frozen=True, gc=False, rename="camel"):
    seq: int
    udh_hex: str | None


class _MessageData(Struct, frozen=True, gc=False, rename="camel"):
    message_id: str
    from_number: str
    to_number: str
    content: str
    timestamp: str
    carrier: str
    received_at: str
    from_number_type: str
    to_number_type: str
    encoding: str
    part_count: int
    parts: tuple[_Part, ...]
    complete: bool
    content_base64: str | None
    udh_hex: str | None
    keyword: str | None
    opt_out_action: str | None
    route_id: str | None
    routing_tag: str | None
    number_id: str | None
    carrier_message_id: str | None
    duplicate_of: str | None
    tlvs: dict[str, str]
    flags: tuple[str, ...]
    metadata: dict[str, str | int]


class _ReceiptData(Struct, frozen=True, gc=False, rename="camel"):
    message_id: str
    from_number: str
    to_number: str
    content: str
    timestamp: str
    carrier: str
    received_at: str
    carrier_message_id_text: str | None
    carrier_message_id_tlv: str | None
    carrier_message_id: str | None
    state: str | None
    error: str | None
    submitted_at: str | None
    done_at: str | None
    route_id: str | None
    routing_tag: str | None
    number_id: str | None
    duplicate_of: str | None
    submitted_count: int | None
    delivered_count: int | None
    text: str | None
    encoding: str
    complete: bool
    content_base64: str | None
    tlvs: dict[str, str]
    flags: tuple[str, ...]
    metadata: dict[str, str | int]


class _Event(Struct, frozen=True, gc=False, rename="camel"):
    type: str
    schema_version: str
    event_id: str
    timestamp: str
    tenant_id: str
    data: _MessageData | _ReceiptData


_encode = Encoder().encode


def message_event(
    message: Message,
    *,
    event_id: str,
    message_id: str,
    tenant: str,
    number: str | None,
    route_id: str | None,
    routing_tag: str | None,
    created_at: Millis,
    duplicate_of: str | None = None,
) -> bytes:
    """Render ``message.received`` as canonical UTF-8 JSON.

    ``data.timestamp`` is the carrier's time where it is known, else the time of receipt.
    """
    origin = message.origin
    content = message.content
    source = message.source
    destination = message.destination
    parts = content.parts
    received_at = rfc3339(origin.received_at)
    metadata = message.metadata
    several = message.total > 1
    udh = b"" if several or not parts else parts[0].udh
    return _encode(
        _Event(
            "message.received",
            SCHEMA_VERSION,
            event_id,
            rfc3339(created_at),
            tenant,
            _MessageData(
                message_id,
                source.value,
                destination.value,
                content.text,
                received_at if message.sent_at is None else rfc3339(message.sent_at),
                origin.carrier,
                received_at,
                source.type,
                destination.type,
                content.encoding,
                message.total,
                _parts(message.total, content) if several else (),
                not content.missing,
                _octets(content, metadata),
                udh.hex() if udh else None,
                None,
                None,
                route_id,
                routing_tag,
                number,
                message.carrier_message_id,
                duplicate_of,
                _tlvs(message.tlvs) if message.tlvs else {},
                content.flags,
                {_camel(name): metadata[name] for name in metadata} if metadata else {},
            ),
        )
    )


def receipt_event(
    receipt: Receipt,
    *,
    event_id: str,
    message_id: str,
    tenant: str,
    number: str | None,
    route_id: str | None,
    routing_tag: str | None,
    created_at: Millis,
    duplicate_of: str | None = None,
) -> bytes:
    """Render ``receipt.received`` as canonical UTF-8 JSON.

    ``messageId`` is this receipt's own; the ids the carrier named are ``carrierMessageId…``.
    """
    origin = receipt.origin
    content = receipt.content
    metadata = receipt.metadata
    received_at = rfc3339(origin.received_at)
    done_at = None if receipt.done_at is None else rfc3339(receipt.done_at)
    return _encode(
        _Event(
            "receipt.received",
            SCHEMA_VERSION,
            event_id,
            rfc3339(created_at),
            tenant,
            _ReceiptData(
                message_id,
                receipt.source.value,
                receipt.destination.value,
                content.text,
                received_at,
                origin.carrier,
                received_at,
                receipt.id_text,
                receipt.id_tlv,
                receipt.id,
                receipt.state,
                receipt.error,
                None if receipt.submitted_at is None else rfc3339(receipt.submitted_at),
                done_at,
                route_id,
                routing_tag,
                number,
                duplicate_of,
                receipt.submitted,
                receipt.delivered,
                receipt.text,
                content.encoding,
                not content.missing,
                _octets(content, metadata),
                _tlvs(receipt.tlvs),
                content.flags,
                {_camel(name): metadata[name] for name in metadata},
            ),
        )
    )


def rfc3339(at: Millis) -> str:
    """Write a time as ``2026-11-21T10:15:30.123Z``; times outside the years 1970–9999 as the
    nearest one that can be written, since a carrier's nonsense must not cost the message."""
    second, milli = divmod(at, 1000)
    if not 0 <= second <= LAST_SECOND:
        second, milli = (0, 0) if second < 0 else (LAST_SECOND, 999)
    return f"{_to_the_second(second)}{milli:03d}Z"


@lru_cache(maxsize=4096)
def _to_the_second(second: int) -> str:
    # Messages of one second share all but their milliseconds.
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


@lru_cache(maxsize=256)
def _camel(name: str) -> str:
    # Names are few: those of smsc.content.metadata.
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _octets(content: Content, metadata: dict[str, str | int]) -> str | None:
    """Return the octets of content whose text is not all there is, else None."""
    if (
        content.encoding in _NOT_TEXT
        or "undecodable-octets" in content.flags
        or "destination_port" in metadata
    ):
        return b64encode(b"".join([part.octets for part in content.parts])).decode()
    return None


def _parts(total: int, content: Content) -> tuple[_Part, ...]:
    missing = set(content.missing)
    present = [seq for seq in range(1, total + 1) if seq not in missing]
    return tuple(
        _Part(seq, part.udh.hex() if part.udh else None)
        for seq, part in zip(present, content.parts, strict=False)
    )


def _tlvs(tlvs: tuple[tuple[int, bytes], ...]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for tag, value in tlvs:
        shown.setdefault(f"{tag:04x}", value.hex())
    return shown
