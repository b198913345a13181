"""The GSM 7-bit alphabets: default and national ones (3GPP TS 23.038 §6.2.1 and annex A).

Octets here are *unpacked*: one septet an octet, as most carriers send them; :mod:`smsc.text.packed`
is for the others. Decoding loses nothing: what an alphabet does not define still shows as
something, and the caller is told.

Reading is one table look-up an octet in C. Escapes are rare, so they are resolved in a second
pass over the text, and only where an escape is present at all.
"""

import codecs
import re
from collections.abc import Mapping
from functools import cache

from smsc.text import national

ESCAPE = "\x1b"

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""Character of each septet, 0 to 0x7F; 0x1B is the escape to a single shift table."""

EXTENSION: Mapping[int, str] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""The default single shift table: character of the septet after an escape."""

LOCKING: Mapping[int, str] = {0: DEFAULT, **national.LOCKING}
"""Locking tables by national language identifier; 0 is the default alphabet."""

SINGLE: Mapping[int, Mapping[int, str]] = {0: EXTENSION, **national.SINGLE}
"""Single shift tables by national language identifier; 0 is the default extension table."""

REPLACEMENT = "\ufffd"

HIGH = bytes(range(0x80, 0x100)).decode("cp1252", "replace")
"""What octets above 0x7F most likely mean: carriers that send them send Latin-1 or its Windows
superset under the name of the default alphabet."""

_PAIR = re.compile("\x1b(.?)", re.DOTALL)


def _escapes(single: Mapping[int, str], escape: int = 0x1B) -> dict[int, str]:
    """Return what an escape and the octet behind it show together.

    Two escapes are reserved for a further table, and one at the end escapes nothing: either
    shows a space (23.038 §6.2.1.1).
    """
    return {**single, 0x1B: " ", escape: " "}


_READINGS = {language: table + HIGH for language, table in LOCKING.items()}
for _language in national.NO_LOCKING:
    _READINGS[_language] = DEFAULT + HIGH
_ESCAPES = {language: _escapes(table) for language, table in SINGLE.items()}
_DEFAULT_READING = _READINGS[0]
_DEFAULT_ESCAPES = _ESCAPES[0]


def decode(octets: bytes, locking: int = 0, single: int = 0) -> tuple[str, bool]:
    """Return the text of unpacked septets, and whether all of it is certain.

    ``locking`` and ``single`` are national language identifiers, apart from each other. An
    escape before a septet the single shift table does not define shows the locking table's
    character (23.038 §6.2.1.1). Uncertain are: tables that are not known, which are replaced by
    the default ones; a septet the locking table does not define, which shows as U+FFFD; an octet
    above 0x7F, which shows as in Windows-1252.
    """
    if not locking and not single:
        text = codecs.charmap_decode(octets, "strict", _DEFAULT_READING)[0]
        if ESCAPE not in text:
            return text, octets.isascii()
        return _unescape(octets, text, _DEFAULT_ESCAPES), octets.isascii()
    reading = _READINGS.get(locking)
    escapes = _ESCAPES.get(single)
    text = codecs.charmap_decode(octets, "strict", reading or _DEFAULT_READING)[0]
    text = _unescape(octets, text, escapes or _DEFAULT_ESCAPES)
    sure = reading is not None and escapes is not None and REPLACEMENT not in text
    return text, sure and octets.isascii()


def _unescape(octets: bytes, text: str, escapes: Mapping[int, str]) -> str:
    # The text has one character an octet, so a place in one is a place in the other. The octet
    # decides, for several octets may share a character: those that are not defined.
    return _PAIR.sub(lambda match: escapes.get(octets[match.end() - 1], match[1]), text)


class Variant:
    """A carrier's own mixture of the alphabet with another: an octet each, and an escape."""

    def __init__(self, reading: str, single: Mapping[int, str], escape: int = 0x1B) -> None:
        """Read octets by the 256 characters of ``reading``, U+001B being the escape."""
        self.reading = reading
        self.single = single
        self._escapes = _escapes(single, escape)

    def __call__(self, octets: bytes) -> tuple[str, bool]:
        """Return the text of ``octets``, and whether all of it is certain."""
        text = codecs.charmap_decode(octets, "strict", self.reading)[0]
        text = _unescape(octets, text, self._escapes)
        return text, REPLACEMENT not in text


_UNENCODABLE = "\u0100"  # anything Latin-1 lacks


class _Septets(dict[int, str]):
    """Code point → its septets as a Latin-1 text; what is absent becomes unencodable."""

    def __missing__(self, key: int) -> str:
        return _UNENCODABLE


@cache  # at most 14 × 14 pairs of tables
def _septets(locking: int, single: int) -> _Septets:
    septets = _Septets()
    for septet, character in SINGLE[single].items():
        septets.setdefault(ord(character), ESCAPE + chr(septet))
    for septet, character in enumerate(LOCKING.get(locking, DEFAULT)):
        if character not in (ESCAPE, REPLACEMENT):
            septets[ord(character)] = chr(septet)
    return septets


def encode(text: str, locking: int = 0, single: int = 0) -> bytes | None:
    """Return ``text`` as unpacked septets, or None where the tables lack a character of it.

    :func:`unencodable` says which one. Raises KeyError for a language without tables.
    """
    try:
        return text.translate(_septets(locking, single)).encode("latin-1")
    except UnicodeEncodeError:
        return None


def unencodable(text: str, locking: int = 0, single: int = 0) -> int | None:
    """Return the index of the first character the tables lack; None where they have them all."""
    septets = _septets(locking, single)
    return next((at for at, character in enumerate(text) if ord(character) not in septets), None)
