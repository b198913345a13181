"""What a ``data_coding`` octet says: an alphabet, and how the message wants to be treated.

Below 0x10 it is SMPP's own list (SMPP 3.4 §5.2.19); from there on it is the data coding scheme
of 3GPP TS 23.038 §4, whose *group* stands in the upper half. Every value means something here:
what is reserved is read as the likeliest alphabet, and flagged.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

UNKNOWN_CODING: Final = "unknown-coding"
"""Flag: the coding is reserved or not defined; the charset is a guess."""
COMPRESSED: Final = "compressed-text"
"""Flag: the text is compressed (3GPP TS 23.042); it is handed on as octets."""

Indication = Literal["voicemail", "fax", "email", "other"]
"""Kinds of message that can be waiting."""

INDICATIONS: Final[tuple[Indication, ...]] = ("voicemail", "fax", "email", "other")
"""By the two bits that say so (23.038 §4, 23.040 §9.2.3.24.2)."""


class Coding(Struct, frozen=True):
    """A data_coding value, taken apart."""

    charset: str
    """Canonical name: see :mod:`smsc.text.charset`."""
    flags: tuple[str, ...] = ()
    """:data:`UNKNOWN_CODING` or :data:`COMPRESSED`, where they hold."""
    message_class: int | None = None
    """0: shown at once and not kept; 1: phone, 2: SIM, 3: terminal."""
    waiting: Indication | None = None
    """A message waiting indication is set or cleared, for this kind."""
    active: bool = False
    """Whether there are any messages waiting."""
    stored: bool = True
    """Whether the indication is kept as a message too; False: shown and forgotten."""
    auto_deletion: bool = False
    """Marked for deletion once read."""

    @property
    def compressed(self) -> bool:
        """Whether the text is compressed (3GPP TS 23.042)."""
        return COMPRESSED in self.flags


_LOW = {
    0x00: "gsm7",
    0x01: "ascii",
    0x02: "binary",
    0x03: "latin1",
    0x04: "binary",
    0x05: "shift_jis",  # JIS X 0208: what carriers send under it is Shift_JIS
    0x06: "iso-8859-5",
    0x07: "iso-8859-8",
    0x08: "ucs2",
    0x09: "shift_jis",  # pictograms: in Shift_JIS's private range
    0x0A: "iso-2022-jp",
    0x0D: "euc-jp",
    0x0E: "euc-kr",
}
"""SMPP 3.4 §5.2.19; 11, 12 and 15 are reserved."""

_ALPHABETS = ("gsm7", "binary", "ucs2", None)
"""Bits 3 and 2 of the general groups."""


def _low(value: int) -> Coding:
    charset = _LOW.get(value)
    return Coding(charset) if charset else Coding("gsm7", (UNKNOWN_CODING,))


def _general(value: int) -> Coding:
    """00xx and 01xx: bit 5 compressed, bit 4 has a class, bit 6 marked for deletion."""
    alphabet = _ALPHABETS[value >> 2 & 3]
    flags = () if alphabet else (UNKNOWN_CODING,)
    if value & 0x20:
        alphabet, flags = "binary", (*flags, COMPRESSED)
    return Coding(
        alphabet or "gsm7",
        flags,
        message_class=value & 3 if value & 0x10 else None,
        auto_deletion=bool(value & 0x40),
    )


def _waiting(value: int) -> Coding:
    """1100 discard, 1101 store, 1110 store in UCS-2: bit 3 active, bits 1 and 0 the kind."""
    return Coding(
        "ucs2" if value & 0x20 else "gsm7",
        waiting=INDICATIONS[value & 3],
        active=bool(value & 8),
        stored=value >> 4 != 0xC,
    )


def _class(value: int) -> Coding:
    """1111: bit 2 8-bit data, bits 1 and 0 the class; bit 3 is reserved."""
    return Coding(
        "binary" if value & 4 else "gsm7",
        (UNKNOWN_CODING,) if value & 8 else (),
        message_class=value & 3,
    )


def _of(value: int) -> Coding:
    group = value >> 4
    if not group:
        return _low(value)
    if group < 0x8:
        return _general(value)
    if group < 0xC:
        return Coding("gsm7", (UNKNOWN_CODING,))
    return _waiting(value) if group < 0xF else _class(value)


CODINGS: Final = tuple(_of(value) for value in range(0x100))
"""Every data_coding value."""


def _metadata(coding: Coding) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    if coding.message_class is not None:
        found["message_class"] = coding.message_class
    if coding.waiting is not None:
        found["waiting"] = coding.waiting
        found["waiting_active"] = int(coding.active)
        found["waiting_store"] = int(coding.stored)
    if coding.auto_deletion:
        found["auto_deletion"] = 1
    if coding.compressed:
        found["compressed"] = 1
    return found


_METADATA = tuple(_metadata(coding) for coding in CODINGS)


def metadata(value: int) -> Mapping[str, str | int]:
    """Return what a data_coding value says besides its alphabet, as an arrival's metadata.

    ``message_class`` 0 to 3; ``waiting``, one of :data:`INDICATIONS`, with ``waiting_active`` and
    ``waiting_store`` 1 or 0; ``auto_deletion`` and ``compressed`` 1. What does not apply is absent.
    """
    return _METADATA[value & 0xFF]
