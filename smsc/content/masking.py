"""PDUs without what is nobody's business: numbers, texts, passwords.

What may be shown is listed, and everything else is masked: so a parameter that nobody here knows
never tells what a person wrote. Octets are masked by asterisks one for one, so that lengths and
offsets stay what they were, and a masked PDU decodes to the same shape.
"""

from typing import Any, Final

from smsc.text import udh
from smsc.wire.fields import Body, CString, Element, Integer, Kind, Listing, fields_of
from smsc.wire.pdu import HEADER_SIZE, Pdu, Undecodable, named
from smsc.wire.spec import BINDS, BODIES, TLV_FORMS, CommandId, Tag

SHOWN_FIELDS: Final = frozenset({
    "service_type", "system_id", "system_type", "message_id", "schedule_delivery_time",
    "validity_period", "final_date",
})  # fmt: skip
"""Strings of bodies that are shown; integers all are."""

ADDRESSES: Final = frozenset({
    "source_addr", "destination_addr", "esme_addr", "dest_address", "address_range",
})  # fmt: skip
"""Strings of which head and tail are shown."""

SHOWN_TLVS: Final = frozenset({
    Tag.receipted_message_id, Tag.network_error_code, Tag.ussd_service_op, Tag.ms_validity,
    Tag.alert_on_message_delivery, Tag.its_session_info, Tag.broadcast_content_type,
    Tag.broadcast_frequency_interval, Tag.broadcast_end_time, Tag.source_network_id,
    Tag.dest_network_id, Tag.source_node_id, Tag.dest_node_id,
})  # fmt: skip
"""Parameters that are shown though they are no integers; integers all are."""

SHOWN_ELEMENTS: Final = frozenset({0x00, 0x01, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x24, 0x25})
"""Elements of a user data header that are shown: how parts are joined, ports, tables."""

SHOWN_METADATA: Final = frozenset({
    "locking_shift", "message_type", "service_type", "single_shift", "udh_source", "waiting",
})  # fmt: skip
"""Words of metadata that are shown; numbers all are."""

_STAR: Final = b"*"
_CREDENTIALS: Final = frozenset({*map(int, BINDS), int(CommandId.outbind)})


def number(address: str) -> str:
    """Return an address with its middle masked, as long as it was: ``4477*****123``."""
    size = len(address)
    head, tail = min(5, size * 2 // 5), min(3, size // 4)
    return address[:head] + "*" * (size - head - tail) + address[size - tail :]


def text(words: str) -> str:
    """Return how long a text is, and nothing of what it says."""
    return f"[{len(words)} character{'' if len(words) == 1 else 's'}]"


def without_password(frame: bytes) -> bytes:
    """Return a PDU with the password of a bind or outbind masked, readable or not.

    A password is what stands between the first two NULs of the body; where one is missing
    nothing tells where it ends, and all that may be of it is masked.
    """
    if int.from_bytes(frame[4:8], "big") not in _CREDENTIALS:
        return frame
    begin = frame.find(b"\0", HEADER_SIZE) + 1 or HEADER_SIZE
    end = frame.find(b"\0", begin)
    end = len(frame) if end < 0 or begin == HEADER_SIZE else end
    return frame[:begin] + _STAR * (end - begin) + frame[end:]


def masked(frame: bytes, pdu: Pdu | Undecodable) -> bytes:
    """Return a PDU's octets with everything masked that is not known to be harmless.

    ``pdu`` is what ``frame`` decodes to.
    """
    octets = bytearray(without_password(frame))
    fields: dict[str, Any] = {}
    if isinstance(pdu, Undecodable):
        fields = pdu.fields
    elif pdu.body is not None:
        fields = named(pdu.body)
    at = HEADER_SIZE
    body = BODIES.get(pdu.command_id)
    if body is not None:
        at = _mask_fields(octets, at, body, fields)
    for tag, value in () if isinstance(pdu, Undecodable) else pdu.tlvs:
        at += 4
        if not _shows(tag, value):
            octets[at : at + len(value)] = _STAR * len(value)
        at += len(value)
    octets[at:] = _STAR * (len(octets) - at)  # what was left over
    return bytes(octets)


def element(iei: int, data: bytes) -> bytes:
    """Return the octets of an element of a user data header, masked unless harmless."""
    return data if iei in SHOWN_ELEMENTS else _STAR * len(data)


def metadata(name: str, value: str | int) -> str | int:
    """Return a value of metadata, masked unless harmless."""
    return value if isinstance(value, int) or name in SHOWN_METADATA else text(value)


def _shows(tag: int, value: bytes) -> bool:
    form = TLV_FORMS.get(tag)
    if form is None:
        return False
    # A number of more octets than it may have is none, and could be anything.
    return tag in SHOWN_TLVS or (form.kind == "integer" and len(value) <= form.most)


def _mask_fields(
    octets: bytearray, at: int, struct: type[Body] | type[Element], fields: dict[str, Any]
) -> int:
    """Mask fields where they stand; return the octet behind them."""
    kinds: dict[str, Kind] = dict(fields_of(struct))
    for name, value in fields.items():
        kind = kinds.get(name, Integer(1))  # counts and flags are no fields of the struct
        if isinstance(kind, Integer):
            at += kind.size
        elif isinstance(kind, CString):
            if name in ADDRESSES:
                octets[at : at + len(value)] = number(value).encode("latin-1")
            elif name not in SHOWN_FIELDS:
                octets[at : at + len(value)] = _STAR * len(value)
            at += len(value) + 1
        elif isinstance(kind, Listing):
            by_flag = {each.element_flag: each for each in kind.elements}
            for each in value:
                at = _mask_fields(octets, at, by_flag[each.get(kind.flag, 0)], each)
        else:
            octets[at : at + len(value)] = _masked_message(value, fields)
            at += len(value)
    return at


def _masked_message(octets: bytes, fields: dict[str, Any]) -> bytes:
    """Return a short_message of which at most the user data header is shown."""
    header = udh.parse(octets) if fields.get("esm_class", 0) & 0x40 else None
    if header is None:
        return _STAR * len(octets)
    size = octets[0] + 1
    shown = bytearray(octets[:size])
    at = 1
    while at + 2 <= size:
        iei, length = shown[at], shown[at + 1]
        at += 2
        shown[at : at + length] = element(iei, bytes(shown[at : at + length]))
        at += length
    return bytes(shown[:size]) + _STAR * (len(octets) - size)
