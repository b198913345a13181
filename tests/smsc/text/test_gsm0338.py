import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.text import gsm0338

ALL = "".join(gsm0338.DEFAULT.split("\x1b")) + "".join(gsm0338.EXTENSION.values())


def test_the_alphabet_has_a_character_for_each_septet() -> None:
    assert len(gsm0338.DEFAULT) == 128
    assert len(set(gsm0338.DEFAULT)) == 128
    assert gsm0338.DEFAULT.index(gsm0338.ESCAPE) == 0x1B


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"a\x1b\x65b", "a€b"),
        (b"a\x1b\x1bb", "a b"),  # reserved: a space
        (b"\x1b\x1b\x65", " e"),  # the second escape is used up by the first
        (b"a\x1b", "a "),  # an escape that escapes nothing
        (b"\x1b\x41", "A"),  # not in the extension: the default character
        (b"\x1b\x00", "@"),
        (b"\x1b\x0a", "\f"),
        (b"\x1b\x0d", "\r"),  # reserved control
        (b"@ \x00", "¡ @"),
    ],
)
def test_r14_escapes(octets: bytes, text: str) -> None:
    assert gsm0338.decode(octets) == (text, True)


def test_r09_an_at_sign_ends_nothing() -> None:
    assert gsm0338.decode(b"\0a\0b\0\0") == ("@a@b@@", True)


@pytest.mark.parametrize(
    ("octets", "locking", "single", "text"),
    [
        (b"\x04\x1be", 1, 1, "€€"),  # Turkish: one in each table
        (b"\x1bg\x0c", 0, 1, "ğø"),  # apart from each other
        (b"\x1bg\x0c", 1, 0, "gğ"),
        (b"\x09\x1b\x09", 2, 2, "Çç"),  # Spanish: no locking table
        (b"\x1b\x1b\x0b", 3, 3, " Ô"),
        (b"\x1b\x7f", 6, 6, gsm0338.LOCKING[6][0x7F]),  # not in the single shift table
    ],
)
def test_r13_national_tables(octets: bytes, locking: int, single: int, text: str) -> None:
    assert gsm0338.decode(octets, locking, single) == (text, True)


def test_a_septet_the_table_does_not_define_shows_and_is_uncertain() -> None:
    assert gsm0338.decode(b"\x00a", 11, 0) == ("\ufffda", False)
    # Behind an escape, the octet decides and not what it would show alone.
    assert gsm0338.decode(b"\x1b\x00", 11, 11) == ("@", True)
    assert gsm0338.decode(b"\x1b\x00", 11, 1) == ("\ufffd", False)


def test_octets_above_the_alphabet_show_and_are_uncertain() -> None:
    assert gsm0338.decode(b"caf\xe9 \x80") == ("café €", False)
    assert gsm0338.decode(b"\x1b\xe9") == ("é", False)


def test_an_unknown_national_table_is_read_as_the_default_one() -> None:
    assert gsm0338.decode(b"a\x1b\x65", 99, 0) == ("a€", False)
    assert gsm0338.decode(b"a\x1b\x65", 0, 99) == ("a€", False)


@given(st.text(alphabet=ALL))
def test_what_can_be_encoded_comes_back(text: str) -> None:
    octets = gsm0338.encode(text)

    assert octets is not None
    assert gsm0338.decode(octets) == (text, True)
    assert gsm0338.unencodable(text) is None


@given(st.text())
def test_what_cannot_be_encoded_is_named(text: str) -> None:
    at = gsm0338.unencodable(text)

    assert (gsm0338.encode(text) is None) == (at is not None)
    if at is not None:
        assert text[at] not in ALL
        assert gsm0338.encode(text[:at]) is not None


@given(st.binary(), st.integers(0, 255), st.integers(0, 255))
def test_no_octets_are_lost_or_refused(octets: bytes, locking: int, single: int) -> None:
    text, _ = gsm0338.decode(octets, locking, single)

    text.encode()
    assert (len(octets) + 1) // 2 <= len(text) <= len(octets)
