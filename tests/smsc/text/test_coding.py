import pytest

from smsc.text import coding
from smsc.text.coding import CODINGS, COMPRESSED, UNKNOWN_CODING, Coding

UNKNOWN = (UNKNOWN_CODING,)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0x00, Coding("gsm7")),
        (0x05, Coding("shift_jis")),
        (0x08, Coding("ucs2")),
        (0x0A, Coding("iso-2022-jp")),
        (0x0B, Coding("gsm7", UNKNOWN)),
        (0x0D, Coding("euc-jp")),
        (0x0E, Coding("euc-kr")),
        # general, with and without class
        (0x10, Coding("gsm7", message_class=0)),
        (0x15, Coding("binary", message_class=1)),
        (0x1A, Coding("ucs2", message_class=2)),
        (0x1C, Coding("gsm7", UNKNOWN, message_class=0)),
        (0x20, Coding("binary", (COMPRESSED,))),
        (0x3B, Coding("binary", (COMPRESSED,), message_class=3)),
        (0x2C, Coding("binary", (UNKNOWN_CODING, COMPRESSED))),
        # the same, marked for deletion
        (0x40, Coding("gsm7", auto_deletion=True)),
        (0x48, Coding("ucs2", auto_deletion=True)),
        (0x55, Coding("binary", message_class=1, auto_deletion=True)),
        (0x60, Coding("binary", (COMPRESSED,), auto_deletion=True)),
        (0x78, Coding("binary", (COMPRESSED,), message_class=0, auto_deletion=True)),
        # reserved
        (0x80, Coding("gsm7", UNKNOWN)),
        (0xBF, Coding("gsm7", UNKNOWN)),
        # message waiting: discard, store, store UCS-2
        (0xC0, Coding("gsm7", waiting="voicemail", stored=False)),
        (0xC9, Coding("gsm7", waiting="fax", active=True, stored=False)),
        (0xD2, Coding("gsm7", waiting="email")),
        (0xEB, Coding("ucs2", waiting="other", active=True)),
        # class
        (0xF0, Coding("gsm7", message_class=0)),
        (0xF7, Coding("binary", message_class=3)),
        (0xF9, Coding("gsm7", UNKNOWN, message_class=1)),
    ],
)
def test_r11_codings_by_group(value: int, meant: Coding) -> None:
    assert CODINGS[value] == meant


def test_r11_every_coding_means_something() -> None:
    assert len(CODINGS) == 256
    assert {meant.charset for meant in CODINGS[0x10:]} == {"gsm7", "binary", "ucs2"}
    assert all(meant.flags for meant in CODINGS[0x80:0xC0])
    assert [value for value, meant in enumerate(CODINGS) if meant.compressed] == [
        *range(0x20, 0x40),
        *range(0x60, 0x80),
    ]


def test_what_a_coding_says_is_metadata() -> None:
    assert coding.metadata(0x00) == {}
    assert coding.metadata(0x12) == {"message_class": 2}
    assert coding.metadata(0x70) == {"message_class": 0, "auto_deletion": 1, "compressed": 1}
    assert coding.metadata(0xC8) == {
        "waiting": "voicemail",
        "waiting_active": 1,
        "waiting_store": 0,
    }
    assert coding.metadata(0xE1) == {"waiting": "fax", "waiting_active": 0, "waiting_store": 1}
