"""What values mean, in words: for people who look at a PDU (SMPP 3.4 §5.2, §5.3.2).

Tables, and the rows that show a PDU's octets by them. Nothing here is used to read a message.
"""

from collections.abc import Sequence
from typing import Any, Final

from smsc.content.receipt import MESSAGE_TYPE, MESSAGE_TYPES, STATES
from smsc.text import charset, coding
from smsc.wire.fields import Body, CString, Element, Integer, Kind, Listing, fields_of
from smsc.wire.spec import (
    BODIES,
    COMMAND_NAMES,
    STATUS_NAMES,
    TLV_FORMS,
    Tag,
    status_text,
    tag_name,
)

TON: Final = {
    0: "unknown",
    1: "international",
    2: "national",
    3: "network specific",
    4: "subscriber number",
    5: "alphanumeric",
    6: "abbreviated",
}
"""Type of number, §5.2.5."""

NPI: Final = {
    0: "unknown",
    1: "ISDN (E.164)",
    3: "data (X.121)",
    4: "telex (F.69)",
    6: "land mobile (E.212)",
    8: "national",
    9: "private",
    10: "ERMES",
    14: "internet (IP)",
    18: "WAP client id",
}
"""Numbering plan indicator, §5.2.6."""

_MODES = ("default mode", "datagram mode", "forward mode", "store and forward mode")
_FEATURES = {0x40: "user data header", 0x80: "reply path"}
_RECEIPT_WANTED = ("no receipt wanted", "receipt wanted", "receipt wanted on failure", "reserved")
_ACKS = {
    0x04: "delivery acknowledgement wanted",
    0x08: "manual acknowledgement wanted",
    0x10: "intermediate notification wanted",
}
_CODINGS = {
    0: "SMSC default alphabet",
    1: "IA5 / ASCII",
    2: "octets",
    3: "Latin-1 (ISO 8859-1)",
    4: "octets",
    5: "JIS (X 0208)",
    6: "Cyrillic (ISO 8859-5)",
    7: "Hebrew (ISO 8859-8)",
    8: "UCS-2",
    9: "pictograms",
    10: "ISO-2022-JP",
    13: "extended Kanji JIS (X 0212)",
    14: "Korean (KS C 5601)",
}
_CLASSES = ("class 0: shown at once", "class 1: phone", "class 2: SIM", "class 3: terminal")
_NETWORK_TYPES = {1: "ANSI-136", 2: "IS-95", 3: "GSM"}

# SMPP 5.0 §4.8.4
_CONGESTION: Final = (
    (0, "idle"),
    (29, "low load"),
    (49, "medium load"),
    (79, "high load"),
    (89, "optimum load"),
    (99, "nearing congestion"),
    (100, "congested"),
)
"""Up to which congestion_state a peer is what."""
_CONTENT_NETWORKS = {0: "generic", 1: "GSM", 2: "TDMA", 3: "CDMA"}
_AREA_FORMATS = {0: "alias", 1: "ellipsoid arc", 2: "polygon"}
_UNITS = {
    8: "seconds",
    9: "minutes",
    10: "hours",
    11: "days",
    12: "weeks",
    13: "months",
    14: "years",
}
_PORTED = {0: "not looked up", 1: "not ported", 2: "ported"}
_VALIDITY = {
    0: "kept for good",
    1: "until power down",
    2: "while in this registration area",
    3: "shown only",
    4: "for the time given",
}

_ELEMENTS: Final = {
    0x00: "concatenated message, 8-bit reference",
    0x01: "special message indication",
    0x04: "application ports, 8-bit",
    0x05: "application ports, 16-bit",
    0x06: "SMSC control parameters",
    0x07: "UDH source indicator",
    0x08: "concatenated message, 16-bit reference",
    0x09: "wireless control message protocol",
    0x0A: "text formatting",
    0x20: "e-mail header",
    0x21: "hyperlink",
    0x22: "reply address",
    0x23: "enhanced voice mail information",
    0x24: "national language single shift",
    0x25: "national language locking shift",
    0x70: "(U)SIM toolkit security headers",
}

FLAGS: Final = {
    "bad-concat": "an impossible segment number: read as a message of its own",
    "bad-udh": "a user data header was announced, and there is none: read as text",
    "coding-mismatch": "the receipt's text is ASCII or UCS-2, whatever data_coding says",
    "conflicting-part": "a segment came twice with different octets: the first to arrive counts",
    "message-payload-ignored": "short_message and message_payload are both filled",
    "tlv-overrun": "an optional parameter runs past the end: kept as octets, from it on",
    "trailing": "octets behind the last optional parameter: kept as they came",
    coding.COMPRESSED: "the text is compressed (3GPP TS 23.042): handed on as octets",
    charset.UNDECODABLE: "some octets mean nothing in the charset",
    charset.UNKNOWN_CHARSET: "the account's options name a charset that does not exist",
    coding.UNKNOWN_CODING: "this data_coding is reserved: the charset is a guess",
    "unparsed-receipt": "neither an id nor a state could be found in this receipt",
    "unreadable-body": "the body of this response cannot be read; its status counts",
}
"""Remarks on a reading, in words."""


def of_field(name: str, value: object) -> str:
    """Return what the value of a mandatory field means; ``""`` where there is nothing to say."""
    if not isinstance(value, int):
        return ""
    if name.endswith("_ton"):
        return TON.get(value, "reserved")
    if name.endswith("_npi"):
        return NPI.get(value, "reserved")
    if name == "esm_class":
        return _esm_class(value)
    if name == "data_coding":
        return _data_coding(value)
    if name == "registered_delivery":
        wanted = [text for bit, text in _ACKS.items() if value & bit]
        return ", ".join([_RECEIPT_WANTED[value & 3], *wanted])
    if name == "interface_version":
        return f"SMPP {value >> 4}.{value & 15}" if value >= 0x10 else "SMPP 3.3 or before"
    if name == "message_state":
        return STATES.get(value, "")
    if name == "error_status_code":
        return of_status(value)
    return ""


def of_status(status: int) -> str:
    """Return the name of a command_status and what it says."""
    name = STATUS_NAMES.get(status)
    return f"{name}: {status_text(status)}" if name else f"not defined: {status_text(status)}"


def of_element(iei: int) -> str:
    """Return the name of an information element of a user data header."""
    return _ELEMENTS.get(iei, "unknown element")


def of_flag(flag: str) -> str:
    """Return a flag in words."""
    name, _, field = flag.partition(":")
    if name == "oversize":
        return f"{field} is longer than the specification allows"
    return FLAGS.get(flag, "")


def of_tlv(tag: int, value: bytes) -> str:
    """Return the value of an optional parameter as far as its form is known."""
    form = TLV_FORMS.get(tag)
    if form is None:
        return ""
    if form.kind == "c-octet-string":
        return repr(value.rstrip(b"\0").decode("latin-1"))
    if not form.least <= len(value) <= form.most:
        return ""  # thousands of digits are no value, and more than Python would write
    if form.kind == "integer":
        number = int.from_bytes(value, "big")
        if tag == Tag.broadcast_area_success and number <= 100:
            return f"{number} %"
        words = _number_in_words(tag, number)
        return f"{number}" + (f" ({words})" if words else "")
    return _octets_in_words(tag, value)


def _number_in_words(tag: int, number: int) -> str:
    if tag == Tag.message_state:
        return STATES.get(number, "")
    if tag == Tag.congestion_state:
        return next((words for most, words in _CONGESTION if number <= most), "")
    if tag == Tag.broadcast_error_status:
        return of_status(number)
    if tag == Tag.broadcast_area_success:
        return "not known" if number == 255 else ""
    if tag == Tag.dest_addr_np_resolution:
        return _PORTED.get(number, "")
    return ""


def _octets_in_words(tag: int, value: bytes) -> str:
    if tag == Tag.network_error_code:
        network = _NETWORK_TYPES.get(value[0], f"network {value[0]}")
        return f"{network}, code {int.from_bytes(value[1:], 'big')}"
    if tag == Tag.broadcast_content_type:
        network = _CONTENT_NETWORKS.get(value[0], f"network {value[0]}")
        return f"{network}, content 0x{value[1:].hex()}"
    if tag == Tag.broadcast_frequency_interval:
        if value[0] == 0:
            return "as often as possible"
        unit = _UNITS.get(value[0])
        return f"every {int.from_bytes(value[1:], 'big')} {unit}" if unit else ""
    if tag == Tag.broadcast_area_identifier:
        return _AREA_FORMATS.get(value[0], "reserved")
    if tag in (Tag.source_node_id, Tag.dest_node_id):
        return repr(value.decode("latin-1"))
    if tag == Tag.ms_validity:
        words = _VALIDITY.get(value[0])
        return f"{value[0]}" + (f" ({words})" if words else "")
    return ""


def _esm_class(value: int) -> str:
    kind = value & MESSAGE_TYPE
    if kind == 0:
        what = "message"
    elif kind == 0x04:
        what = "delivery receipt"
    else:
        what = MESSAGE_TYPES.get(kind, "reserved message type").replace("-", " ")
    features = [text for bit, text in _FEATURES.items() if value & bit]
    return ", ".join([_MODES[value & 3], what, *features])


def _data_coding(value: int) -> str:
    if value < 0x10:
        return _CODINGS.get(value, "reserved")
    meant = coding.CODINGS[value & 0xFF]
    if coding.UNKNOWN_CODING in meant.flags:
        return "reserved"
    words = [meant.charset if meant.charset != charset.BINARY else "octets"]
    if meant.compressed:
        words = ["compressed"]
    if meant.message_class is not None:
        words.append(_CLASSES[meant.message_class])
    if meant.auto_deletion:
        words.append("to be deleted once read")
    if meant.waiting is not None:
        words.append(f"{meant.waiting} waiting" if meant.active else f"no {meant.waiting} waiting")
        if not meant.stored:
            words.append("not to be kept")
    return ", ".join(words)


_HEADER = ("command_length", "command_id", "command_status", "sequence_number")
_SHOWN: Final = 24
"""Octets of one field that a row shows."""


def row(at: int, octets: bytes, name: str, value: object = None, meaning: str = "") -> str:
    """Return one line: offset, name, value, meaning, octets."""
    shown = octets[:_SHOWN].hex(" ") + (f" … {len(octets)} octets" if len(octets) > _SHOWN else "")
    what = "" if value is None else repr(value) if isinstance(value, str) else str(value)
    words = "  ".join(word for word in (what, meaning, f"[{shown or 'empty'}]") if word)
    return f"  {at:5}  {name:24} {words}"


def rows(
    octets: bytes, fields: dict[str, Any], tlvs: Sequence[tuple[int, bytes]]
) -> tuple[list[str], int]:
    """Return a line for each field of a PDU, and the octet behind the last one.

    ``fields`` are those of the body as :func:`smsc.wire.pdu.named` gives them, perhaps not all;
    of a header that is cut short the whole numbers are shown.
    """
    lines: list[str] = []
    at = 0
    command = -1
    for name in _HEADER[: len(octets) // 4]:
        number = int.from_bytes(octets[at : at + 4], "big")
        shown: int | None = number
        meaning = ""
        if name == "command_id":
            command, shown = number, None
            meaning = COMMAND_NAMES.get(number, "unknown")
        elif name == "command_status":
            meaning = of_status(number)
        lines.append(row(at, octets[at : at + 4], name, shown, meaning))
        at += 4
    if command in BODIES:
        more, at = _walk(BODIES[command], fields, octets, at, "")
        lines += more
    for tag, value in tlvs:
        behind = at + 4 + len(value)
        name = "tlv " + tag_name(tag)
        lines.append(row(at, octets[at:behind], name, None, of_tlv(tag, value)))
        at = behind
    return lines, at


def _walk(
    struct: type[Body] | type[Element], fields: dict[str, Any], octets: bytes, at: int, path: str
) -> tuple[list[str], int]:
    kinds: dict[str, Kind] = dict(fields_of(struct))
    lines: list[str] = []
    for name, value in fields.items():
        kind = kinds.get(name, Integer(1))  # counts and flags are no fields of the struct
        if isinstance(kind, Listing):
            by_flag = {element.element_flag: element for element in kind.elements}
            for place, element in enumerate(value):
                inner = by_flag[element.get(kind.flag, 0)]
                more, at = _walk(inner, element, octets, at, f"{path}{name}[{place}].")
                lines += more
            continue
        if isinstance(kind, Integer):
            size = kind.size
        else:
            size = len(value) + 1 if isinstance(kind, CString) else len(value)
        shown = None if isinstance(value, bytes) else value
        lines.append(row(at, octets[at : at + size], path + name, shown, of_field(name, value)))
        at += size
    return lines, at
