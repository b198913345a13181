"""A text → the segments a carrier delivers it in.

Written from the sender's side and apart from :mod:`smsc.text`'s reading of headers and from
:mod:`smsc.content`'s joining, so that a test of those against this one is a test.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from smsc.text import gsm0338
from smsc.wire.spec import Tag

Encoding = Literal["auto", "gsm7", "ucs2", "latin1", "ascii", "binary"]
"""``auto``: gsm7 if the text fits the alphabet and its extension, else ucs2. ``binary`` sends the
text's Latin-1 octets as 8-bit data."""

Concatenation = Literal["udh8", "udh16", "sar", "payload"]
"""How the segments of a long text say that they belong together: user data header with an 8-bit
or 16-bit reference, ``sar_*`` TLVs, or not at all: one PDU with message_payload."""

UDHI = 0x40
"""esm_class of a segment whose octets begin with a user data header (SMPP 3.4 §5.2.12)."""
ROOM = 140
"""Octets of user data that one segment has on the air (3GPP TS 23.040 §9.2.3.24)."""

_CODINGS: dict[str, int] = {"gsm7": 0, "ascii": 1, "latin1": 3, "binary": 4, "ucs2": 8}
_ESCAPE = 0x1B


class Segment(Struct, frozen=True):
    """What one PDU carries."""

    octets: bytes
    """For short_message: with the user data header where there is one."""
    data_coding: int
    esm_class: int = 0
    tlvs: tuple[tuple[int, bytes], ...] = ()


def segments(
    text: str,
    *,
    encoding: Encoding = "auto",
    concatenation: Concatenation = "udh8",
    reference: int = 0,
    split_anywhere: bool = False,
) -> list[Segment]:
    """Return the segments of ``text``, in order; at least one.

    ``reference`` is cut to the width the concatenation has. No segment ends between the halves
    of a surrogate pair or between an escape and its character, unless ``split_anywhere``: some
    real senders do that, and receivers must bear it.

    Raises ValueError if the encoding lacks a character, or for more than 255 segments.
    """
    name, octets = _encode(text, encoding)
    coding = _CODINGS[name]
    septets = name == "gsm7"
    if concatenation == "payload":
        if len(octets) > 0xFFFF:
            raise ValueError(f"message_payload holds 65,535 octets, not {len(octets)}")
        return [Segment(b"", coding, 0, ((int(Tag.message_payload), octets),))]
    if len(octets) <= _room(0, septets=septets):
        return [Segment(octets, coding)]
    header = {"udh8": 6, "udh16": 7, "sar": 0}[concatenation]
    room = _room(header, septets=septets)
    chunks = list(_cut(octets, room, name, split_anywhere=split_anywhere))
    total = len(chunks)
    if total > 0xFF:
        raise ValueError(f"a message has at most 255 segments, not {total}")
    return [
        _segment(chunk, coding, concatenation, reference, total, number)
        for number, chunk in enumerate(chunks, 1)
    ]


def _encode(text: str, encoding: Encoding) -> tuple[str, bytes]:
    """Return which encoding was used, and the octets: septets unpacked, one an octet."""
    match encoding:
        case "auto" | "gsm7":
            octets = gsm0338.encode(text)
            if octets is not None:
                return "gsm7", octets
            if encoding == "gsm7":
                raise ValueError("the GSM 03.38 alphabet lacks a character of this text")
            return "ucs2", text.encode("utf-16-be")
        case "ucs2":
            return encoding, text.encode("utf-16-be")
        case "latin1" | "binary":
            return encoding, text.encode("latin-1")
        case "ascii":
            return encoding, text.encode("ascii")


def _room(header: int, *, septets: bool) -> int:
    """Return how many octets as SMPP carries them fit beside a header of so many octets.

    Septets are packed on the air, eight in seven octets, and begin on a septet boundary.
    """
    return (ROOM - header) * 8 // 7 if septets else ROOM - header


def _cut(octets: bytes, room: int, name: str, *, split_anywhere: bool) -> Iterator[bytes]:
    if name == "ucs2":
        room -= room % 2
    at = 0
    while at < len(octets):
        end = min(at + room, len(octets))
        if end < len(octets) and not split_anywhere:
            if name == "gsm7" and _escaped(octets, at, end):
                end -= 1
            elif name == "ucs2" and 0xD8 <= octets[end - 2] <= 0xDB:
                end -= 2
        yield octets[at:end]
        at = end


def _escaped(octets: bytes, at: int, end: int) -> bool:
    """Whether the last septet before ``end`` is an escape that needs the one behind it."""
    escapes = 0
    while end - escapes > at and octets[end - 1 - escapes] == _ESCAPE:
        escapes += 1
    return escapes % 2 == 1


def _segment(
    chunk: bytes,
    coding: int,
    concatenation: Concatenation,
    reference: int,
    total: int,
    number: int,
) -> Segment:
    if concatenation == "sar":
        return Segment(
            chunk,
            coding,
            0,
            (
                (int(Tag.sar_msg_ref_num), (reference & 0xFFFF).to_bytes(2, "big")),
                (int(Tag.sar_total_segments), bytes((total,))),
                (int(Tag.sar_segment_seqnum), bytes((number,))),
            ),
        )
    if concatenation == "udh16":
        header = b"\x06\x08\x04" + (reference & 0xFFFF).to_bytes(2, "big")
    else:
        header = b"\x05\x00\x03" + bytes((reference & 0xFF,))
    return Segment(header + bytes((total, number)) + chunk, coding, UDHI)
