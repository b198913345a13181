"""The user data header in front of a message's text (3GPP TS 23.040 §9.2.3.24).

A header is a length octet and a list of information elements, each an identifier, a length
and its data. A header that does not add up is ignored as a whole, as the specification asks:
then all octets are text, for nothing may be lost.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from smsc.message import Concat
from smsc.text import gsm0338, packed
from smsc.text.coding import INDICATIONS
from smsc.text.national import LANGUAGES

BAD_UDH: Final = "bad-udh"
"""Flag: a header was announced, but what is there is none; its octets were read as text."""
BAD_CONCAT: Final = "bad-concat"
"""Flag: a segment number that is impossible; read as a message of its own."""

CONCAT_8: Final = 0x00
SPECIAL: Final = 0x01
PORTS_8: Final = 0x04
PORTS_16: Final = 0x05
SMSC_CONTROL: Final = 0x06
SOURCE: Final = 0x07
CONCAT_16: Final = 0x08
WCMP: Final = 0x09
EMAIL_HEADER: Final = 0x20
REPLY_ADDRESS: Final = 0x22
VOICE_MAIL: Final = 0x23
SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25

Element = tuple[int, bytes]
"""An information element: identifier and data."""


class Header(Struct, frozen=True, gc=False):
    """A header that adds up."""

    octets: bytes
    """As it came, with its length octet: so many octets precede the text."""
    elements: tuple[Element, ...]
    """In order, repeated and unknown ones too."""


def parse(user_data: bytes) -> Header | None:
    """Return the header ``user_data`` starts with, or None where there is no sound one.

    A length octet of 0 is a sound header without elements.
    """
    if not user_data:
        return None
    end = user_data[0] + 1
    if end > len(user_data):
        return None
    elements = []
    at = 1
    while at < end:
        if at + 2 > end:
            return None
        data = at + 2
        at = data + user_data[at + 1]
        if at > end:
            return None
        elements.append((user_data[data - 2], user_data[data:at]))
    return Header(user_data[:end], tuple(elements))


def concat(elements: tuple[Element, ...]) -> tuple[Concat | None, tuple[str, ...]]:
    """Return which segment the elements make this, or None, and flags.

    Where elements repeat or exclude each other the last one wins; those that are impossible (a
    wrong length, a total or number of 0, a number above the total) are passed over and flagged
    where no other one remains. Reference 0 is as good as any.
    """
    flags: tuple[str, ...] = ()
    for iei, data in reversed(elements):
        if iei == CONCAT_8:
            bits, size = 8, 3
        elif iei == CONCAT_16:
            bits, size = 16, 4
        else:
            continue
        if len(data) == size and 1 <= data[-1] <= data[-2]:
            reference = int.from_bytes(data[:-2], "big")
            return Concat("udh", 8 if bits == 8 else 16, reference, data[-2], data[-1]), ()
        flags = (BAD_CONCAT,)
    return None, flags


def shifts(elements: tuple[Element, ...]) -> tuple[int, int]:
    """Return the identifiers of the locking and single shift tables, 0 for the default ones."""
    locking = single = 0
    for iei, data in elements:
        if len(data) == 1:
            if iei == LOCKING_SHIFT:
                locking = data[0]
            elif iei == SINGLE_SHIFT:
                single = data[0]
    return locking, single


def ports(elements: tuple[Element, ...]) -> tuple[int, int] | None:
    """Return the destination and source application ports, or None; the last element wins."""
    for iei, data in reversed(elements):
        if (iei == PORTS_16 and len(data) == 4) or (iei == PORTS_8 and len(data) == 2):
            half = len(data) // 2
            return int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big")
    return None


Metadata = Mapping[str, str | int]
_SOURCES = {b"\1": "sender", b"\2": "recipient", b"\3": "smsc"}


def metadata(elements: tuple[Element, ...]) -> dict[str, str | int]:
    """Return what the elements say besides segments, as an arrival's metadata.

    Yes is 1 and no 0; of repeated elements the last one counts; what has an impossible form says
    nothing (its octets stay in the header). Names: ``destination_port``, ``source_port``;
    ``waiting`` (voicemail, fax, email, other, video) with ``waiting_active``, ``waiting_store``,
    ``waiting_count`` and ``waiting_profile``; ``voicemail_address``, ``voicemail_full`` (0 no, 1
    almost, 2 full), ``voicemail_deleted`` (1: tells of messages removed); ``reply_address``;
    ``locking_shift`` and ``single_shift``, languages; ``smsc_control``, a number; ``udh_source``
    (sender, recipient, smsc); ``wcmp``, hexadecimal; ``email_header``, octets of text before the
    mail's body.
    """
    found: dict[str, str | int] = {}
    if both := ports(elements):
        found["destination_port"], found["source_port"] = both
    for iei, data in elements:
        if (reader := _READERS.get(iei)) is not None:
            found.update(reader(data))
    return found


def _special(data: bytes) -> Metadata:
    """Special SMS message indication (23.040 §9.2.3.24.2): goes before that of the coding."""
    if len(data) != 2:
        return {}
    kind, count = data
    # Bits 4 to 2 extend the kind "other": 1 is video.
    extended = kind & 3 == 3 and kind >> 2 & 7 == 1
    return {
        "waiting": "video" if extended else INDICATIONS[kind & 3],
        "waiting_active": int(count > 0),
        "waiting_store": kind >> 7,
        "waiting_count": count,
        "waiting_profile": (kind >> 5 & 3) + 1,
    }


def _voice_mail(data: bytes) -> Metadata:
    """Enhanced voice mail information (23.040 §9.2.3.24.13), as far as its count."""
    if len(data) < 3:
        return {}
    behind = 3 + (data[1] + 1) // 2
    if len(data) <= behind:
        return {}
    status, count = data[0], data[behind]
    found: dict[str, str | int] = {
        "waiting": "voicemail",
        "waiting_active": int(count > 0),
        "waiting_store": status >> 4 & 1,
        "waiting_count": count,
        "waiting_profile": (status >> 2 & 3) + 1,
        "voicemail_full": 2 if status & 0x40 else status >> 5 & 1,
        "voicemail_deleted": status & 1,
    }
    if address := _address(data[1:behind]):
        found["voicemail_address"] = address
    return found


_DIGITS = "0123456789*#abc"


def dialled(octets: bytes, count: int | None = None) -> str:
    """Return the digits in the half octets, lower half first (23.040 §9.1.2.3); at most the
    first ``count`` halves are looked at, and filler is passed over."""
    halves = [half for octet in octets for half in (octet & 15, octet >> 4)][:count]
    return "".join(_DIGITS[half] for half in halves if half < len(_DIGITS))


def _address(data: bytes) -> str:
    """Return an address field: count of half octets, type, halves (23.040 §9.1.2.5)."""
    if len(data) < 2 or len(data) != 2 + (data[0] + 1) // 2:
        return ""
    if data[1] >> 4 & 7 == 5:  # alphanumeric: packed septets
        septets = packed.unpack(data[2:])[: data[0] * 4 // 7]
        return gsm0338.decode(septets)[0]
    digits = dialled(data[2:], data[0])
    return "+" + digits if digits and data[1] >> 4 & 7 == 1 else digits


def _reply(data: bytes) -> Metadata:
    address = _address(data)
    return {"reply_address": address} if address else {}


def _shift(name: str, data: bytes) -> Metadata:
    language = LANGUAGES.get(data[0]) if len(data) == 1 else None
    return {name: language} if language else {}


def _number(name: str, data: bytes) -> Metadata:
    return {name: data[0]} if len(data) == 1 else {}


_READERS: dict[int, Callable[[bytes], Metadata]] = {
    SPECIAL: _special,
    SMSC_CONTROL: partial(_number, "smsc_control"),
    SOURCE: lambda data: {"udh_source": _SOURCES[data]} if data in _SOURCES else {},
    WCMP: lambda data: {"wcmp": data.hex()} if data else {},
    EMAIL_HEADER: partial(_number, "email_header"),
    REPLY_ADDRESS: _reply,
    VOICE_MAIL: _voice_mail,
    LOCKING_SHIFT: partial(_shift, "locking_shift"),
    SINGLE_SHIFT: partial(_shift, "single_shift"),
}
