"""The user data header in front of a message's text (3GPP TS 23.040 §9.2.3.24).

A header is a length octet and a list of information elements, each an identifier, a length
and its data. A header that does not add up is ignored as a whole, as the specification asks:
then all octets are text, for nothing may be lost.
"""

from typing import Final

from msgspec import Struct

from smsc.message import Concat

BAD_UDH: Final = "bad-udh"
"""Flag: a header was announced, but what is there is none; its octets were read as text."""
BAD_CONCAT: Final = "bad-concat"
"""Flag: a segment number that is impossible; read as a message of its own."""

CONCAT_8: Final = 0x00
PORTS_8: Final = 0x04
PORTS_16: Final = 0x05
CONCAT_16: Final = 0x08
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
