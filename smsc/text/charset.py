"""Which characters a carrier's octets stand for.

A *charset* has one canonical name. A carrier's *coding* is the ``data_coding`` octet, which
:mod:`smsc.text.coding` takes apart. Nothing here raises for any octets, coding or name: what
cannot be read for sure is read as well as possible, and flagged. Text never holds lone surrogates
or U+0000, which stores and JSON readers choke on: U+FFFD stands in their place.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from smsc.message import Part
from smsc.text import coding as codings
from smsc.text import gsm0338, packed
from smsc.text.variants import VARIANTS

UNDECODABLE: Final = "undecodable-octets"
"""Flag: some octets mean nothing in the charset; shown as their likeliest reading or U+FFFD."""
UNKNOWN_CODING: Final = codings.UNKNOWN_CODING
UNKNOWN_CHARSET: Final = "unknown-charset"
"""Flag: the account's options name a charset that does not exist."""

BINARY: Final = "binary"
REPLACEMENT = gsm0338.REPLACEMENT

_CODECS = {
    "utf-8": ("utf-8-sig",),
    "iso-8859-2": ("iso8859-2",),
    "iso-8859-5": ("iso8859-5",),
    "iso-8859-6": ("iso8859-6",),
    "iso-8859-7": ("iso8859-7",),
    "iso-8859-8": ("iso8859-8",),
    "iso-8859-9": ("iso8859-9",),
    "iso-8859-15": ("iso8859-15",),
    "windows-1251": ("cp1251",),
    "windows-1252": ("cp1252",),
    "koi8-r": ("koi8-r",),
    "shift_jis": ("cp932",),
    # The first has half-width katakana, which phones send; the second Chinese and Korean.
    "iso-2022-jp": ("iso2022_jp_ext", "iso2022_jp_2"),
    "euc-jp": ("euc_jp",),
    "euc-kr": ("cp949",),
    "gb18030": ("gb18030",),
    "big5": ("cp950",),
}
"""Charsets the standard library reads, by canonical name: codecs in order of preference."""

CHARSETS = frozenset({"gsm7", "ucs2", "ucs2-le", "latin1", "ascii", BINARY, *_CODECS, *VARIANTS})
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
    "iso8859-2": "iso-8859-2",
    "iso8859-6": "iso-8859-6",
    "iso8859-7": "iso-8859-7",
    "iso8859-9": "iso-8859-9",
    "latin2": "iso-8859-2",
    "latin5": "iso-8859-9",
    "cp1251": "windows-1251",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "ks-c-5601": "euc-kr",
    "jis": "shift_jis",
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


_BY_CODING = tuple((meant.charset, meant.flags) for meant in codings.CODINGS)
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


def read(part: Part) -> tuple[str, tuple[str, ...]]:
    """Return the text of a part that stands by itself, and flags on the reading."""
    octets = packed.read(part.octets, len(part.udh)) if part.packed else part.octets
    return decode(part.charset, octets, part.locking, part.single)


def decode(
    name: str, octets: bytes, locking: int = 0, single: int = 0
) -> tuple[str, tuple[str, ...]]:
    """Return the text of ``octets`` in the charset ``name``, and flags on the reading.

    ``locking`` and ``single`` are national language tables and concern ``gsm7`` only, whose
    septets are unpacked. Binary content has no text. A name that is not canonical is read as
    Latin-1 and flagged.
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


_ISO_2022 = re.compile(rb"\x1b(\$[@B]|\([JI])")


def _shift_jis(octets: bytes) -> tuple[str, bool]:
    # Some carriers mean JIS in seven bits by the same coding; no Shift_JIS text has its escapes.
    name = "iso-2022-jp" if octets.isascii() and _ISO_2022.search(octets) else "shift_jis"
    return _library(_CODECS[name], octets)


def _library(codecs_: tuple[str, ...], octets: bytes) -> tuple[str, bool]:
    for codec in codecs_:
        try:
            return octets.decode(codec), True
        except UnicodeDecodeError:
            continue
    return octets.decode(codecs_[0], "replace"), False


_READERS: dict[str, Callable[[bytes], tuple[str, bool]]] = {
    **{name: partial(_library, names) for name, names in _CODECS.items()},
    **VARIANTS,
    "ucs2": _ucs2,
    "ucs2-le": _ucs2_le,
    "latin1": _latin1,
    "ascii": _ascii,
    "shift_jis": _shift_jis,
}
