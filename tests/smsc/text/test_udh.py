import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.message import Concat
from smsc.text import udh


def test_a_header_is_told_from_the_text() -> None:
    header = udh.parse(bytes.fromhex("050003a10201") + b"hi")

    assert header is not None
    assert header.octets == bytes.fromhex("050003a10201")
    assert header.elements == ((0, b"\xa1\x02\x01"),)


@pytest.mark.parametrize(
    "hex_",
    [
        "",
        "68656c6c6f",  # plain text: the length is beyond the end
        "06080a204f0201",  # an element beyond the header
        "0600031502010068",  # one octet too many for the elements
        "0100",  # an element without its length
    ],
)
def test_what_does_not_add_up_is_no_header(hex_: str) -> None:
    assert udh.parse(bytes.fromhex(hex_)) is None


def test_an_empty_header_is_sound() -> None:
    assert udh.parse(b"\0hi") == udh.Header(b"\0", ())


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (((0, b"\0\2\1"),), Concat("udh", 8, 0, 2, 1)),
        (((8, b"\xbe\xef\2\1"),), Concat("udh", 16, 0xBEEF, 2, 1)),
        (((0, b"\1\2\1"), (8, b"\0\1\3\2")), Concat("udh", 16, 1, 3, 2)),
        (((8, b"\0\1\3\2"), (0, b"\1\2\1")), Concat("udh", 8, 1, 2, 1)),
        (((0, b"\1\2\1"), (0, b"\1\2\0")), Concat("udh", 8, 1, 2, 1)),
        (((0, b"\1\1\1"),), Concat("udh", 8, 1, 1, 1)),
    ],
)
def test_the_last_possible_segment_number_wins(
    elements: tuple[udh.Element, ...], expected: Concat
) -> None:
    """R16: a header is a list of elements; 8 and 16 bits, reference 0."""
    assert udh.concat(elements) == (expected, ())


@pytest.mark.parametrize("data", [b"\1\2\0", b"\1\2\3", b"\1\0\1", b"\1\0\0", b"\1\2", b"\0\1\2\1"])
def test_impossible_segment_numbers_are_flagged(data: bytes) -> None:
    assert udh.concat(((0, data),)) == (None, ("bad-concat",))


def test_other_elements_make_no_segment() -> None:
    assert udh.concat(((0x70, b"\1\2"),)) == (None, ())


def test_shifts_and_ports() -> None:
    elements = ((0x24, b"\3"), (0x25, b"\1"), (0x05, bytes.fromhex("0b8423f0")))

    assert udh.shifts(elements) == (1, 3)
    assert udh.ports(elements) == (2948, 9200)
    assert udh.ports(((0x04, b"\xf0\xf1"),)) == (0xF0, 0xF1)
    assert udh.shifts(((0x24, b""),)) == (0, 0)
    assert udh.ports(()) is None


@given(st.binary())
def test_any_octets_are_a_header_or_none(octets: bytes) -> None:
    header = udh.parse(octets)

    if header is not None:
        assert octets.startswith(header.octets)
        assert sum(2 + len(data) for _, data in header.elements) + 1 == len(header.octets)
        udh.concat(header.elements)
        udh.shifts(header.elements)
        udh.ports(header.elements)
