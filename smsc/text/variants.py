"""Charsets of single carriers: GSM 03.38 mixed with something else, one octet a character.

Nobody standardised them; their ``x-`` names are those under which other gateways know them. An
account's option ``charsets`` says where one is meant, most often under data_coding 0.
"""

from collections.abc import Mapping
from typing import Final

from smsc.text.gsm0338 import DEFAULT, ESCAPE, EXTENSION, HIGH, Variant


def _changed(moved: Mapping[int, int]) -> Variant:
    """Return the default alphabet with octets that stand for another one's character.

    ``moved`` is octet → septet. The extension's characters are found behind an escape at either
    place, for peers differ on whether the second octet is moved too.
    """
    reading = list(DEFAULT + HIGH)
    single = dict(EXTENSION)
    for octet, septet in moved.items():
        reading[octet] = DEFAULT[septet]
        if septet in EXTENSION:
            single.setdefault(octet, EXTENSION[septet])
    return Variant("".join(reading), single)


_AIRWIDE = {0x24: 0x02, 0x40: 0x00, 0x5F: 0x11}
_VFD2 = {
    0x02: 0x24,
    0x1E: 0x7D,
    0x24: 0x02,
    0x40: 0x00,
    0x5D: 0x5E,
    0x5E: 0x5F,
    0x5F: 0x5D,
    0x7D: 0x7E,
    0x7E: 0x1E,
    0xA1: 0x40,
}
_VFTR = {0x24: 0x02, 0x40: 0x00, 0x5F: 0x11, 0x7F: 0x10}

_ROMAN8 = bytes(range(0x100)).decode("hp-roman8", "replace")
_ROMAN8_ESCAPE = 0x8D
_ROMAN8_SINGLE = {
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x65: "€",
    0x86: "^",
    0xB8: "|",
}

VARIANTS: Final[Mapping[str, Variant]] = {
    # An SMSC's mixture of GSM 03.38 with IA5.
    "x-airwide-ia5": _changed(_AIRWIDE),
    # German national replacement characters (ISO 646-DE, shifted), and "@" where ASCII has it.
    "x-vfd2-gsm": _changed(_VFD2),
    # Latin-1 above 0x7F, the Greek capitals of GSM 03.38 below 0x20.
    "x-vftr-gsm": _changed(_VFTR),
    # The euro sign as in Windows-1252 instead of behind an escape.
    "x-tmobilenl-gsm": _changed({}),
    # HP Roman-8; 0x8D is the escape to the characters of the GSM 03.38 extension.
    "x-hp-roman8-esc8d": Variant(
        _ROMAN8[:_ROMAN8_ESCAPE] + ESCAPE + _ROMAN8[_ROMAN8_ESCAPE + 1 :],
        _ROMAN8_SINGLE,
        _ROMAN8_ESCAPE,
    ),
}
"""Readers by canonical name of the charset."""
