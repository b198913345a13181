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
def test_escapes(octets: bytes, text: str) -> None:
    assert gsm0338.decode(octets) == (text, True)


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
