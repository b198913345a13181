"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1).

Octets here are *unpacked*: one septet an octet, as SMPP carries them. Decoding loses nothing:
what the alphabet does not define still shows as something, and the caller is told.

Reading is one table look-up an octet in C. Escapes are rare, so they are resolved in a second
pass over the text, and only where an escape is present at all.
"""

import codecs
import re
from collections.abc import Mapping

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

LOCKING: Mapping[int, str] = {0: DEFAULT}
"""Locking tables by national language identifier; 0 is the default alphabet."""

SINGLE: Mapping[int, Mapping[int, str]] = {0: EXTENSION}
"""Single shift tables by national language identifier; 0 is the default extension table."""

_HIGH = bytes(range(0x80, 0x100)).decode("cp1252", "replace")
# What octets above 0x7F most likely mean: carriers that send them send Latin-1 or its
# Windows superset under the name of the default alphabet.

_PAIR = re.compile("\x1b(.?)", re.DOTALL)


def _reading(locking: str) -> str:
    return locking + _HIGH


def _escapes(locking: str, single: Mapping[int, str]) -> dict[str, str]:
    """Return what an escape and a character that was read by ``locking`` show together."""
    pairs = {locking[septet]: character for septet, character in single.items()}
    pairs[ESCAPE] = " "  # reserved for a further extension: shown as a space
    pairs[""] = " "  # an escape that escapes nothing
    return pairs


_READINGS = {language: _reading(table) for language, table in LOCKING.items()}
_ESCAPES = {
    (locking, single): _escapes(table, extension)
    for locking, table in LOCKING.items()
    for single, extension in SINGLE.items()
}
_DEFAULT_READING = _READINGS[0]
_DEFAULT_ESCAPES = _ESCAPES[0, 0]


def decode(octets: bytes, locking: int = 0, single: int = 0) -> tuple[str, bool]:
    """Return the text of unpacked septets, and whether all of it is certain.

    An escape before a septet the single shift table does not define shows that septet's own
    character; two escapes show a space, as does one at the end (23.038 §6.2.1.1). An octet above
    0x7F shows as in Windows-1252. Tables that are not known are replaced by the default ones;
    both make the text uncertain.
    """
    if not locking and not single:
        text = codecs.charmap_decode(octets, "strict", _DEFAULT_READING)[0]
        if ESCAPE not in text:
            return text, octets.isascii()
        return _unescape(text, _DEFAULT_ESCAPES), octets.isascii()
    known = locking in LOCKING and single in SINGLE
    locking = locking if locking in LOCKING else 0
    single = single if single in SINGLE else 0
    text = codecs.charmap_decode(octets, "strict", _READINGS[locking])[0]
    return _unescape(text, _ESCAPES[locking, single]), known and octets.isascii()


def _unescape(text: str, pairs: Mapping[str, str]) -> str:
    return _PAIR.sub(lambda match: pairs.get(match[1], match[1]), text)


_UNENCODABLE = "\u0100"  # anything Latin-1 lacks


class _Septets(dict[int, str]):
    """Code point → its septets as a Latin-1 text; what is absent becomes unencodable."""

    def __missing__(self, key: int) -> str:
        return _UNENCODABLE


_SEPTETS = _Septets(
    {ord(character): chr(septet) for septet, character in enumerate(DEFAULT)}
    | {ord(character): ESCAPE + chr(septet) for septet, character in EXTENSION.items()}
)
del _SEPTETS[ord(ESCAPE)]


def encode(text: str) -> bytes | None:
    """Return ``text`` as unpacked septets, or None where the alphabet lacks a character of it.

    :func:`unencodable` says which one.
    """
    try:
        return text.translate(_SEPTETS).encode("latin-1")
    except UnicodeEncodeError:
        return None


def unencodable(text: str) -> int | None:
    """Return the index of the first character the alphabet lacks; None where it has them all."""
    return next((at for at, character in enumerate(text) if ord(character) not in _SEPTETS), None)
