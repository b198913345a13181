"""Which characters a carrier's octets stand for.

A *charset* has one canonical name, the one payloads show as ``encoding``. A carrier's
*coding* is the ``data_coding`` octet of SMPP 3.4 §5.2.19, whose groups above 0x0F are those of
3GPP TS 23.038 §4. Nothing here raises for any octets, coding or name: what cannot be read for
sure is read as well as possible, and flagged. Text never holds lone surrogates or U+0000, which
stores and JSON readers choke on: U+FFFD stands in their place.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from typing import Final

from smsc.text import gsm0338

UNDECODABLE: Final = "undecodable-octets"
"""Flag: some octets mean nothing in the charset; shown as their likeliest reading or U+FFFD."""
UNKNOWN_CODING: Final = "unknown-coding"
"""Flag: the coding is reserved or not defined; the charset is a guess."""
UNKNOWN_CHARSET: Final = "unknown-charset"
"""Flag: the account's options name a charset that does not exist."""

BINARY: Final = "binary"
REPLACEMENT = "\ufffd"

_CODECS = {
    "utf-8": "utf-8",
    "iso-8859-5": "iso8859-5",
    "iso-8859-8": "iso8859-8",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "shift_jis": "cp932",
    "iso-2022-jp": "iso2022_jp_2",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
}
"""Charsets the standard library reads, by canonical name."""

CHARSETS = frozenset({"gsm7", "ucs2", "ucs2-le", "latin1", "ascii", BINARY, *_CODECS})
"""Canonical names of all charsets."""

_ALIASES = {
    "gsm": "gsm7",
    "gsm0338": "gsm7",
    "gsm-7": "gsm7",
    "utf-16": "ucs2",
    "utf-16-be": "ucs2",
    "utf-16be": "ucs2",
    "ucs-2": "ucs2",
    "utf-16-le": "ucs2-le",
    "utf-16le": "ucs2-le",
    "latin-1": "latin1",
    "iso-8859-1": "latin1",
    "us-ascii": "ascii",
    "ia5": "ascii",
    "utf8": "utf-8",
    "cp1252": "windows-1252",
    "iso8859-5": "iso-8859-5",
    "iso8859-8": "iso-8859-8",
    "iso8859-15": "iso-8859-15",
    "latin9": "iso-8859-15",
    "shift-jis": "shift_jis",
    "sjis": "shift_jis",
    "octets": BINARY,
    "8bit": BINARY,
}


def canonical(name: str) -> str | None:
    """Return the canonical name of a charset, or None where there is no such charset."""
    name = name.lower().replace("_", "-")
    name = _ALIASES.get(name, name)
    return name if name in CHARSETS else None


_LOW = {
    0x00: "gsm7",
    0x01: "ascii",
    0x02: BINARY,
    0x03: "latin1",
    0x04: BINARY,
    0x05: "shift_jis",  # JIS X 0208: what carriers send under it is Shift_JIS
    0x06: "iso-8859-5",
    0x07: "iso-8859-8",
    0x08: "ucs2",
    0x0A: "iso-2022-jp",
    0x0D: "euc-jp",
    0x0E: "euc-kr",
}
"""SMPP 3.4 §5.2.19; 9 (pictogram), 11, 12 and 15 have no defined characters."""

_ALPHABETS = ("gsm7", BINARY, "ucs2", "gsm7")
"""Bits 3 and 2 of the general groups; the fourth value is reserved (23.038 §4)."""


def _by_group(coding: int) -> tuple[str, tuple[str, ...]]:
    if coding < 0x10:
        charset = _LOW.get(coding)
        return (charset, ()) if charset else ("gsm7", (UNKNOWN_CODING,))
    alphabet = _ALPHABETS[coding >> 2 & 3]
    group = coding >> 4
    if group in (0xC, 0xD):  # message waiting, default alphabet
        return "gsm7", ()
    if group == 0xE:  # message waiting, UCS-2
        return "ucs2", ()
    if group == 0xF:  # data coding / message class
        return BINARY if coding & 4 else "gsm7", ()
    if group == 0x1 or 0x4 <= group <= 0x7:  # general data coding, uncompressed
        return alphabet, (() if coding >> 2 & 3 != 3 else (UNKNOWN_CODING,))
    if group in (0x2, 0x3):  # compressed text: nothing here to expand it
        return BINARY, (UNKNOWN_CODING,)
    return "gsm7", (UNKNOWN_CODING,)


_BY_CODING = tuple(_by_group(coding) for coding in range(0x100))
_NO_FLAGS: tuple[str, ...] = ()


def for_coding(coding: int, overrides: Mapping[int, str]) -> tuple[str, tuple[str, ...]]:
    """Return the charset of a data_coding value, and flags on how sure that is.

    ``overrides`` are an account's own meanings, coding → name; they go before the specification.
    A name that does not exist is flagged and ignored.
    """
    if overrides:
        name = overrides.get(coding)
        if name is not None:
            charset = canonical(name)
            if charset is not None:
                return charset, _NO_FLAGS
            guess, flags = _BY_CODING[coding & 0xFF]
            return guess, (*flags, UNKNOWN_CHARSET)
    return _BY_CODING[coding & 0xFF]


def message_class(coding: int) -> int | None:
    """Return the message class a data_coding carries (23.038 §4), 0 for immediate display."""
    return coding & 3 if coding >> 4 in (0x1, 0x3, 0x5, 0x7, 0xF) else None


def decode(
    name: str, octets: bytes, locking: int = 0, single: int = 0
) -> tuple[str, tuple[str, ...]]:
    """Return the text of ``octets`` in the charset ``name``, and flags on the reading.

    ``locking`` and ``single`` are national language tables and concern ``gsm7`` only. Binary
    content has no text. A name that is not canonical is read as Latin-1 and flagged.
    """
    if name == "gsm7":
        text, sure = gsm0338.decode(octets, locking, single)
        return text, _NO_FLAGS if sure else (UNDECODABLE,)
    if name == BINARY:
        return "", _NO_FLAGS
    text, sure = _READERS.get(name, _foreign)(octets)
    if "\0" in text:
        text, sure = text.replace("\0", REPLACEMENT), False
    if name not in CHARSETS:
        return text, (UNKNOWN_CHARSET,)
    return text, _NO_FLAGS if sure else (UNDECODABLE,)


def _ucs2(octets: bytes) -> tuple[str, bool]:
    if octets.startswith(codecs.BOM_UTF16_LE):
        return _utf16(octets[2:], "utf-16-le")
    if octets.startswith(codecs.BOM_UTF16_BE):
        return _utf16(octets[2:], "utf-16-be")
    return _utf16(octets, "utf-16-be")


def _ucs2_le(octets: bytes) -> tuple[str, bool]:
    if octets.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        return _ucs2(octets)
    return _utf16(octets, "utf-16-le")


_SURROGATE = re.compile("[\ud800-\udfff]")


def _utf16(octets: bytes, codec: str) -> tuple[str, bool]:
    try:
        return octets.decode(codec), True
    except UnicodeDecodeError:
        whole = len(octets) & ~1
        text = octets[:whole].decode(codec, "surrogatepass")
        tail = REPLACEMENT if whole < len(octets) else ""
        return _SURROGATE.sub(REPLACEMENT, text) + tail, False


def _latin1(octets: bytes) -> tuple[str, bool]:
    return octets.decode("latin-1"), True


def _ascii(octets: bytes) -> tuple[str, bool]:
    if octets.isascii():
        return octets.decode("ascii"), True
    return octets.decode("cp1252", "replace"), False


def _foreign(octets: bytes) -> tuple[str, bool]:
    return octets.decode("latin-1"), False


class _Library:
    """A reader that leaves the work to a codec of the standard library."""

    def __init__(self, codec: str) -> None:
        self._codec = codec

    def __call__(self, octets: bytes) -> tuple[str, bool]:
        try:
            return octets.decode(self._codec), True
        except UnicodeDecodeError:
            return octets.decode(self._codec, "replace"), False


_READERS: dict[str, Callable[[bytes], tuple[str, bool]]] = {
    "ucs2": _ucs2,
    "ucs2-le": _ucs2_le,
    "latin1": _latin1,
    "ascii": _ascii,
    **{name: _Library(codec) for name, codec in _CODECS.items()},
}
