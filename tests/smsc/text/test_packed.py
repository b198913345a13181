import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.message import Part
from smsc.text import packed


def pack(septets: bytes, header: int = 0) -> bytes:
    """Write bits one after the other, as the specification draws them."""
    bits = "".join(f"{septet:07b}"[::-1] for septet in septets)
    bits = "0" * packed.fill_bits(header) + bits
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def part(septets: bytes, header: int = 0) -> Part:
    return Part(pack(septets, header), "gsm7", 0, bytes(header), packed=True)


@pytest.mark.parametrize(
    ("header", "bits"), [(0, 0), (1, 6), (6, 1), (7, 0), (8, 6), (9, 5), (12, 2), (13, 1)]
)
def test_r10_text_begins_on_a_septet(header: int, bits: int) -> None:
    assert packed.fill_bits(header) == bits
    assert (8 * header + bits) % 7 == 0


@given(
    st.binary(max_size=300).map(lambda octets: bytes(o & 0x7F for o in octets)), st.integers(0, 140)
)
def test_r10_septets_come_back(septets: bytes, header: int) -> None:
    unpacked = packed.unpack(pack(septets, header), header)

    assert unpacked[: len(septets)] == septets
    assert unpacked[len(septets) :] in (b"", b"\0")  # seven bits left over


@given(st.binary(), st.integers(0, 140))
def test_any_octets_are_septets(octets: bytes, header: int) -> None:
    septets = packed.unpack(octets, header)

    assert len(septets) == max(8 * len(octets) - packed.fill_bits(header), 0) // 7
    assert septets.isascii()
    assert packed.read(octets, header) in (septets, septets[:-1])


@pytest.mark.parametrize("padding", [b"\0", b"\r"])
@pytest.mark.parametrize("header", [0, 6, 7, 12])
def test_r10_seven_bits_left_over_are_no_character(padding: bytes, header: int) -> None:
    for length in range(20):
        text = b"abcdefghijklmnopqrst"[:length]
        full = (8 * header + packed.fill_bits(header) + 7 * length) % 8 == 1

        assert packed.read(pack(text + (padding if full else b""), header), header) == text


def test_an_at_sign_where_bits_are_not_left_over_stays() -> None:
    assert packed.read(pack(b"ab\0")) == b"ab\0"
    assert packed.read(pack(b"ab\r")) == b"ab\r"


def test_r10_parts_are_unpacked_one_by_one() -> None:
    assert packed.join([part(b"abc", 6), part(b"", 6), part(b"d", 6), part(b"ef", 7)]) == b"abcdef"


def test_a_full_part_in_the_middle_ends_in_text() -> None:
    full = b"x" * 152 + b"\0"
    first, last = part(full, 6), part(b"x" * 152 + b"\r", 6)
    assert len(first.octets) + 6 == packed.MOST

    assert packed.join([first, part(b"y", 6)]) == full + b"y"
    assert packed.join([first, last]) == full + b"x" * 152
    # Its sender kept an escape and its character together, and had seven bits left.
    assert packed.join([first, part(b"\x1be", 6)]) == b"x" * 152 + b"\x1be"


def test_a_part_that_is_not_full_may_be_padded() -> None:
    assert packed.join([part(b"abcdefg\0"), part(b"h")]) == b"abcdefgh"


def test_a_whole_payload_is_unpacked_in_good_time() -> None:
    septets = bytes(range(1, 128)) * 589

    assert packed.read(pack(septets, 6), 6) == septets
