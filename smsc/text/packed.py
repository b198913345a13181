"""Packed septets: eight in seven octets (3GPP TS 23.038 §6.1.2.1), as a few carriers send them.

The text begins on a septet boundary counted from the start of the user data: behind a header
come 0 to 6 fill bits (3GPP TS 23.040 §9.2.3.24). Its end is not marked. Where seven bits are
left over, 23.038 §6.1.2.3.1 asks the sender for a carriage return in them, so that they don't
show as an ``@``; many senders leave them 0 all the same.
"""

from typing import Final

from smsc.message import Part

MOST: Final = 140
"""Octets of user data one segment has on the air, with its header."""

_CR = 0x0D
_PADDING = (0x00, _CR)
_ESCAPE = 0x1B

# The septet at place k of eight has the upper k bits of octet k - 1 below the lower ones of octet
# k, of seven. All septets of one place are made at once, by translating every seventh octet.
_UPPER = [bytes(octet >> (8 - place) for octet in range(0x100)) for place in range(8)]
_LOWER = [bytes(octet << place & 0x7F for octet in range(0x100)) for place in range(8)]


def fill_bits(header: int) -> int:
    """Return how many bits lie between a header of so many octets and the first septet."""
    return -8 * header % 7


def unpack(octets: bytes, header: int = 0) -> bytes:
    """Return all whole septets of ``octets`` behind a header of so many octets, one an octet.

    Spare bits at the end are passed over; a padding of seven bits is not told from a septet:
    :func:`read` and :func:`join` do that.
    """
    fill = fill_bits(header)
    if fill:
        # All at once: a payload may have 65,535 octets.
        octets = (int.from_bytes(octets, "little") >> fill).to_bytes(len(octets), "little")
    count = max(8 * len(octets) - fill, 0) // 7
    groups = -(-len(octets) // 7)
    octets = octets.ljust(7 * groups, b"\0")
    septets = bytearray(8 * groups)
    for place in range(8):
        upper = octets[place - 1 :: 7].translate(_UPPER[place]) if place else b""
        lower = octets[place::7].translate(_LOWER[place]) if place < 7 else b""
        both = int.from_bytes(upper, "big") | int.from_bytes(lower, "big")
        septets[place::8] = both.to_bytes(groups, "big")
    return bytes(septets[:count])


def read(octets: bytes, header: int = 0) -> bytes:
    """Return the septets of a text that ends where ``octets`` do, without its padding.

    A carriage return or ``@`` that exactly fills the last octet is taken for padding.
    """
    septets = unpack(octets, header)
    return septets[:-1] if _may_be_padded(septets, octets, header) else septets


def join(parts: list[Part]) -> bytes:
    """Return the septets of parts that follow each other, each unpacked by itself.

    A carriage return that fills the last octet is taken for padding, as 23.038 asks. An ``@`` is
    only where the part could have held more: at the message's end, where the part is not full,
    or where its sender kept the escape behind it and its character together.
    """
    texts = [unpack(part.octets, len(part.udh)) for part in parts]
    for place, (part, septets) in enumerate(zip(parts, texts, strict=True)):
        if not _may_be_padded(septets, part.octets, len(part.udh)):
            continue
        behind = next((text for text in texts[place + 1 :] if text), b"")
        full = len(part.udh) + len(part.octets) == MOST
        if septets[-1] == _CR or not (behind and full) or behind[0] == _ESCAPE:
            texts[place] = septets[:-1]
    return b"".join(texts)


def _may_be_padded(septets: bytes, octets: bytes, header: int) -> bool:
    bits = 8 * len(octets) - fill_bits(header)
    return bits % 7 == 0 and septets[-1:] != b"" and septets[-1] in _PADDING
