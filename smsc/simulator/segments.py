"""A text → the segments a carrier delivers it in.

Written from the sender's side and apart from :mod:`smsc.text`'s reading of headers and packed
septets and from :mod:`smsc.content`'s joining, so that a test of those against this one is a test.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from smsc.text import gsm0338
from smsc.text.national import LANGUAGES
from smsc.wire.spec import Tag

Encoding = Literal[
    "auto", "gsm7", "ucs2", "latin1", "ascii", "binary", "ucs2-le", "utf-8", "iso-8859-5",
    "iso-8859-8", "iso-8859-15", "windows-1252", "shift_jis", "iso-2022-jp", "euc-jp", "euc-kr",
]  # fmt: skip
"""``auto``: gsm7 if the text fits the alphabet and its extension, else ucs2. ``binary`` sends the
text's Latin-1 octets as 8-bit data. The others are names of :mod:`smsc.text.charset`."""

Concatenation = Literal["udh8", "udh16", "sar", "payload"]
"""How the segments of a long text say that they belong together: user data header with an 8-bit
or 16-bit reference, ``sar_*`` TLVs, or not at all: one PDU with message_payload."""

LANGUAGE_NUMBERS: dict[str, int] = {name: number for number, name in LANGUAGES.items()}
"""What ``locking`` and ``single`` of :func:`segments` stand for (23.038 §6.2.1.2.4)."""

UDHI = 0x40
"""esm_class of a segment whose octets begin with a user data header (SMPP 3.4 §5.2.12)."""
ROOM = 140
"""Octets of user data that one segment has on the air (3GPP TS 23.040 §9.2.3.24)."""

_CODINGS: dict[str, int] = {
    "gsm7": 0, "ascii": 1, "latin1": 3, "binary": 4, "shift_jis": 5, "iso-8859-5": 6,
    "iso-8859-8": 7, "ucs2": 8, "ucs2-le": 8, "iso-2022-jp": 10, "euc-jp": 13, "euc-kr": 14,
}  # fmt: skip
"""SMPP 3.4 §5.2.19. What is not there goes as 0, for an account that says so."""

_CODECS: dict[str, str] = {
    "ascii": "ascii", "latin1": "latin-1", "binary": "latin-1", "ucs2": "utf-16-be",
    "ucs2-le": "utf-16-le", "utf-8": "utf-8", "iso-8859-5": "iso8859-5",
    "iso-8859-8": "iso8859-8", "iso-8859-15": "iso8859-15", "windows-1252": "cp1252",
    "shift_jis": "cp932", "iso-2022-jp": "iso2022_jp_ext", "euc-jp": "euc_jp", "euc-kr": "cp949",
}  # fmt: skip
_MULTIBYTE = frozenset({"utf-8", "shift_jis", "iso-2022-jp", "euc-jp", "euc-kr"})
_ESCAPE = 0x1B
_CR = 0x0D


class Segment(Struct, frozen=True):
    """What one PDU carries."""

    octets: bytes
    """For short_message: with the user data header where there is one."""
    data_coding: int
    esm_class: int = 0
    tlvs: tuple[tuple[int, bytes], ...] = ()


class Alphabet(Struct, frozen=True):
    """How septets are written: national language tables, and whether they are packed."""

    locking: int = 0
    single: int = 0
    packed: bool = False

    def elements(self) -> bytes:
        """Return the information elements that name the tables (23.040 §9.2.3.24.15, .16)."""
        elements = bytes((0x24, 1, self.single)) if self.single else b""
        return elements + (bytes((0x25, 1, self.locking)) if self.locking else b"")


def segments(
    text: str,
    *,
    encoding: Encoding = "auto",
    concatenation: Concatenation = "udh8",
    reference: int = 0,
    split_anywhere: bool = False,
    locking: int = 0,
    single: int = 0,
    packed: bool = False,
    data_coding: int | None = None,
) -> list[Segment]:
    """Return the segments of ``text``, in order; at least one.

    ``reference`` is cut to the width the concatenation has. No segment ends between the octets
    of a character, the halves of a surrogate pair or between an escape and its character, unless
    ``split_anywhere``: some real senders do that, and receivers must bear it.

    ``locking`` and ``single`` are national language identifiers for septets, which each segment's
    header then names; ``packed`` puts eight septets in seven octets. ``data_coding`` goes before
    what the specification has for the encoding.

    Raises ValueError if the encoding lacks a character, or for more than 255 segments.
    """
    alphabet = Alphabet(locking, single, packed)
    name, octets = _encode(text, encoding, alphabet)
    coding = _CODINGS.get(name, 0) if data_coding is None else data_coding
    septets = name == "gsm7"
    elements = alphabet.elements() if septets else b""
    own = len(elements) + 1 if elements else 0
    if not septets:
        alphabet = Alphabet()
    if concatenation == "payload":
        if own + len(octets) > 0xFFFF:
            raise ValueError(f"message_payload holds 65,535 octets, not {own + len(octets)}")
        whole = _segment(elements, octets, coding, alphabet)
        return [Segment(b"", coding, whole.esm_class, ((int(Tag.message_payload), whole.octets),))]
    if len(octets) <= _room(own, septets=septets):
        return [_segment(elements, octets, coding, alphabet)]
    concat = {"udh8": 5, "udh16": 6, "sar": 0}[concatenation]
    header = concat + len(elements) + 1 if concat or elements else 0
    room = _room(header, septets=septets)
    if name in _MULTIBYTE and not split_anywhere:
        chunks = list(_cut_characters(text, room, _CODECS[name]))
    else:
        chunks = list(_cut(octets, room, name, split_anywhere=split_anywhere))
    total = len(chunks)
    if total > 0xFF:
        raise ValueError(f"a message has at most 255 segments, not {total}")
    return [
        _numbered(chunk, coding, alphabet, elements, concatenation, reference, total, number)
        for number, chunk in enumerate(chunks, 1)
    ]


def _encode(text: str, encoding: Encoding, alphabet: Alphabet) -> tuple[str, bytes]:
    """Return which encoding was used, and the octets: septets unpacked, one an octet."""
    if encoding in ("auto", "gsm7"):
        octets = gsm0338.encode(text, alphabet.locking, alphabet.single)
        if octets is not None:
            return "gsm7", octets
        if encoding == "gsm7":
            raise ValueError("the GSM 03.38 alphabet lacks a character of this text")
        encoding = "ucs2"
    return encoding, text.encode(_CODECS[encoding])


def _room(header: int, *, septets: bool) -> int:
    """Return how many octets as SMPP carries them fit beside a header of so many octets.

    Septets are packed on the air, eight in seven octets, and begin on a septet boundary.
    """
    return (ROOM - header) * 8 // 7 if septets else ROOM - header


def _cut(octets: bytes, room: int, name: str, *, split_anywhere: bool) -> Iterator[bytes]:
    wide = name.startswith("ucs2")
    if wide:
        room -= room % 2
    high = -2 if name == "ucs2" else -1
    at = 0
    while at < len(octets):
        end = min(at + room, len(octets))
        if end < len(octets) and not split_anywhere:
            if name == "gsm7" and _escaped(octets, at, end):
                end -= 1
            elif wide and 0xD8 <= octets[end + high] <= 0xDB:
                end -= 2
        yield octets[at:end]
        at = end


def _escaped(octets: bytes, at: int, end: int) -> bool:
    """Whether the last septet before ``end`` is an escape that needs the one behind it."""
    escapes = 0
    while end - escapes > at and octets[end - 1 - escapes] == _ESCAPE:
        escapes += 1
    return escapes % 2 == 1


def _cut_characters(text: str, room: int, codec: str) -> Iterator[bytes]:
    """Yield segments of whole characters, each encoded by itself: shift states end with it."""
    begin = 0
    octets = b""
    for end in range(1, len(text) + 1):
        longer = text[begin:end].encode(codec)
        if len(longer) > room:
            yield octets
            begin = end - 1
            longer = text[begin:end].encode(codec)
        octets = longer
    yield octets


def _pack(septets: bytes, header: int) -> bytes:
    """Return septets packed behind a header of so many octets (23.040 §9.2.3.24, 23.038 §6.1.2).

    Seven bits that are left over hold a carriage return.
    """
    fill = -8 * header % 7
    padding = bytes((_CR,)) if (fill + 7 * len(septets)) % 8 == 1 else b""
    octets = bytearray()
    number, bits = 0, fill
    for septet in septets + padding:
        number |= septet << bits
        bits += 7
        while bits >= 8:
            octets.append(number & 0xFF)
            number >>= 8
            bits -= 8
    if bits and septets:
        octets.append(number)
    return bytes(octets)


def _segment(elements: bytes, chunk: bytes, coding: int, alphabet: Alphabet) -> Segment:
    header = bytes((len(elements),)) + elements if elements else b""
    if alphabet.packed:
        chunk = _pack(chunk, len(header))
    return Segment(header + chunk, coding, UDHI if header else 0)


def _numbered(
    chunk: bytes,
    coding: int,
    alphabet: Alphabet,
    elements: bytes,
    concatenation: Concatenation,
    reference: int,
    total: int,
    number: int,
) -> Segment:
    if concatenation == "sar":
        segment = _segment(elements, chunk, coding, alphabet)
        return Segment(
            segment.octets,
            coding,
            segment.esm_class,
            (
                (int(Tag.sar_msg_ref_num), (reference & 0xFFFF).to_bytes(2, "big")),
                (int(Tag.sar_total_segments), bytes((total,))),
                (int(Tag.sar_segment_seqnum), bytes((number,))),
            ),
        )
    if concatenation == "udh16":
        concat = b"\x08\x04" + (reference & 0xFFFF).to_bytes(2, "big")
    else:
        concat = b"\x00\x03" + bytes((reference & 0xFF,))
    return _segment(concat + bytes((total, number)) + elements, chunk, coding, alphabet)
