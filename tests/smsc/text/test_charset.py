import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.message import Part
from smsc.text import charset


@pytest.mark.parametrize(
    ("coding", "name", "flags"),
    [
        (0x00, "gsm7", ()),
        (0x01, "ascii", ()),
        (0x02, "binary", ()),
        (0x03, "latin1", ()),
        (0x04, "binary", ()),
        (0x06, "iso-8859-5", ()),
        (0x07, "iso-8859-8", ()),
        (0x08, "ucs2", ()),
        (0x09, "shift_jis", ()),
        (0x0F, "gsm7", ("unknown-coding",)),
        (0x10, "gsm7", ()),
        (0x15, "binary", ()),
        (0x18, "ucs2", ()),
        (0x1C, "gsm7", ("unknown-coding",)),
        (0x20, "binary", ("compressed-text",)),
        (0x80, "gsm7", ("unknown-coding",)),
        (0xC8, "gsm7", ()),
        (0xD0, "gsm7", ()),
        (0xE8, "ucs2", ()),
        (0xF0, "gsm7", ()),
        (0xF6, "binary", ()),
    ],
)
def test_codings(coding: int, name: str, flags: tuple[str, ...]) -> None:
    assert charset.for_coding(coding, {}) == (name, flags)


def test_r11_every_coding_has_a_charset() -> None:
    for coding in range(256):
        name, _ = charset.for_coding(coding, {})

        assert name in charset.CHARSETS


def test_r08_an_account_may_mean_something_else() -> None:
    assert charset.for_coding(0, {0: "ISO-8859-1"}) == ("latin1", ())
    assert charset.for_coding(8, {0: "latin1"}) == ("ucs2", ())


def test_a_charset_that_does_not_exist_is_flagged() -> None:
    assert charset.canonical("klingon") is None
    assert charset.for_coding(0, {0: "klingon"}) == ("gsm7", ("unknown-charset",))
    assert charset.decode("klingon", b"\xe9") == ("é", ("unknown-charset",))


@pytest.mark.parametrize("name", sorted(charset.CHARSETS))
def test_canonical_names_are_their_own(name: str) -> None:
    assert charset.canonical(name) == name
    assert charset.canonical(name.upper()) == name


@pytest.mark.parametrize(
    ("hex_", "text", "flags"),
    [
        ("00480069", "Hi", ()),
        ("d83dde00", "😀", ()),
        ("feff0041", "A", ()),
        ("fffe4100", "A", ()),
        ("0041d83d0042", "A\ufffdB", ("undecodable-octets",)),
        ("de00", "\ufffd", ("undecodable-octets",)),
        ("0048006900", "Hi\ufffd", ("undecodable-octets",)),
        ("d83dde00d8", "😀\ufffd", ("undecodable-octets",)),
        ("00410000", "A\ufffd", ("undecodable-octets",)),
        ("", "", ()),
    ],
)
def test_r12_ucs2(hex_: str, text: str, flags: tuple[str, ...]) -> None:
    assert charset.decode("ucs2", bytes.fromhex(hex_)) == (text, flags)


def test_r12_ucs2_little_endian_honours_a_mark() -> None:
    assert charset.decode("ucs2-le", b"A\0")[0] == "A"
    assert charset.decode("ucs2-le", b"\xfe\xff\0A")[0] == "A"


def test_ascii_shows_what_it_does_not_define() -> None:
    assert charset.decode("ascii", b"caf\xe9") == ("café", ("undecodable-octets",))


def test_binary_has_no_text() -> None:
    assert charset.decode("binary", b"\x00\xff") == ("", ())


@pytest.mark.parametrize(
    ("name", "hex_", "text"),
    [
        ("utf-8", "efbbbf48c3bc", "Hü"),
        ("iso-2022-jp", "1b2442467c4b5c1b2842", "日本"),
        ("iso-2022-jp", "1b2849314142431b2842", "ｱﾁﾂﾃ"),  # half-width katakana
        ("shift_jis", "93fa967b", "日本"),
        ("shift_jis", "1b2442467c4b5c1b2842", "日本"),  # JIS by the same coding
        ("euc-jp", "c6fccbdc", "日本"),
        ("euc-kr", "c7d1b1b9", "한국"),
        ("iso-8859-5", "bfe0d8d2d5e2", "Привет"),
        ("iso-8859-8", "f9ece5ed", "שלום"),
        ("iso-8859-15", "a4", "€"),
    ],
)
def test_charsets_of_the_library(name: str, hex_: str, text: str) -> None:
    assert charset.decode(name, bytes.fromhex(hex_)) == (text, ())


def test_half_a_character_shows() -> None:
    assert charset.decode("euc-kr", b"\xc7\xd1\xb1") == ("한\ufffd", ("undecodable-octets",))


def test_r10_a_packed_part_is_read_behind_its_header() -> None:
    plain = Part(bytes.fromhex("c8329bfd06"), "gsm7", 0, packed=True)
    behind = Part(
        bytes.fromhex("906536fb0d"), "gsm7", 0, bytes.fromhex("050003010201"), packed=True
    )

    assert charset.read(plain) == ("Hello", ())
    assert charset.read(behind) == ("Hello", ())
    assert charset.read(Part(b"Hello", "gsm7", 0)) == ("Hello", ())


@given(st.sampled_from([*sorted(charset.CHARSETS), "klingon"]), st.binary())
def test_any_octets_become_text_that_any_store_can_hold(name: str, octets: bytes) -> None:
    text, _ = charset.decode(name, octets)

    text.encode()
    assert "\0" not in text
