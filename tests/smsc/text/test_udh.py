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
def test_r16_the_last_possible_segment_number_wins(
    elements: tuple[udh.Element, ...], expected: Concat
) -> None:
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


@pytest.mark.parametrize(
    ("iei", "hex_", "expected"),
    [
        (
            0x01,
            "8005",
            {
                "waiting": "voicemail",
                "waiting_active": 1,
                "waiting_store": 1,
                "waiting_count": 5,
                "waiting_profile": 1,
            },
        ),
        (
            0x01,
            "4700",
            {
                "waiting": "video",
                "waiting_active": 0,
                "waiting_store": 0,
                "waiting_count": 0,
                "waiting_profile": 3,
            },
        ),
        (0x04, "f0f1", {"destination_port": 0xF0, "source_port": 0xF1}),
        (0x05, "0b8423f0", {"destination_port": 2948, "source_port": 9200}),
        (0x06, "81", {"smsc_control": 0x81}),
        (0x07, "03", {"udh_source": "smsc"}),
        (0x09, "01020a", {"wcmp": "01020a"}),
        (0x20, "1f", {"email_header": 31}),
        (0x22, "0c91447700091032", {"reply_address": "+447700900123"}),
        (0x22, "05a12143f5", {"reply_address": "12345"}),
        (0x22, "0bd0cdf27c1e3e9701", {}),  # one octet too many
        (0x22, "0cd0cdf27c1e3e97", {"reply_address": "Messag"}),  # six septets
        (
            0x23,
            "590c91447700091032" + "0300",
            {
                "waiting": "voicemail",
                "waiting_active": 1,
                "waiting_store": 1,
                "waiting_count": 3,
                "waiting_profile": 3,
                "voicemail_full": 2,
                "voicemail_deleted": 1,
                "voicemail_address": "+447700900123",
            },
        ),
        (0x24, "01", {"single_shift": "turkish"}),
        (0x25, "0d", {"locking_shift": "urdu"}),
        (0x24, "00", {}),
        (0x25, "63", {}),
        (0x01, "80", {}),
        (0x04, "f0", {}),
        (0x07, "09", {}),
        (0x22, "", {}),
        (0x23, "590c9144", {}),
        (0x70, "0102", {}),
    ],
)
def test_what_elements_say(iei: int, hex_: str, expected: dict[str, str | int]) -> None:
    assert udh.metadata(((iei, bytes.fromhex(hex_)),)) == expected


def test_of_repeated_elements_the_last_one_counts() -> None:
    elements = ((0x01, b"\x00\x02"), (0x24, b"\x01"), (0x01, b"\x81\x01"), (0x24, b"\x02"))

    read = udh.metadata(elements)

    assert read["waiting"] == "fax"
    assert read["single_shift"] == "spanish"
    assert udh.shifts(elements) == (0, 2)


@given(st.lists(st.tuples(st.integers(0, 0x30), st.binary(max_size=20))).map(tuple))
def test_any_elements_say_something_or_nothing(elements: tuple[udh.Element, ...]) -> None:
    for value in udh.metadata(elements).values():
        assert isinstance(value, int) or value.encode()


@given(st.binary())
def test_any_octets_are_a_header_or_none(octets: bytes) -> None:
    header = udh.parse(octets)

    if header is not None:
        assert octets.startswith(header.octets)
        assert sum(2 + len(data) for _, data in header.elements) + 1 == len(header.octets)
        udh.concat(header.elements)
        udh.shifts(header.elements)
        udh.ports(header.elements)
