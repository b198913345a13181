from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.content.dumps import BadLine, read

OCTETS = st.binary(min_size=1, max_size=100)


def one(*lines: str) -> bytes | BadLine:
    ((number, octets),) = read(lines)
    assert number == 1
    return octets


@pytest.mark.parametrize(
    "line",
    [
        "0000003b80",
        "0000003B80",
        "00 00 00 3b 80",
        "0000 003b 80",
        "00:00:00:3b:80",
        "00-00-00-3b-80",
        "0x0000003b80",
        "0x00, 0x00, 0x00, 0x3b, 0x80",
        "{0x0,0x0,0x0,0x3b,0x80};",
        r"\x00\x00\x00\x3b\x80",
        r'"\x00\x00\x00\x3b\x80"',
        r"b'\x00\x00\x00;\x80'",
        "<00000000 3b80>".replace("00000000", "000000"),
        "  00 00 00 3b 80  # a remark",
    ],
)
def test_hex(line: str) -> None:
    assert one(line) == b"\0\0\0\x3b\x80"


def test_a_bytes_literal_may_hold_what_begins_a_remark() -> None:
    assert one("b'\\x00#;'  ") == b"\0#;"
    assert one("b'\\x00;' # remark") == b"\0;"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("012", "an odd number of hex digits (3)"),
        ("hello", "'h' is no hex digit"),
        (r"b'\xzz'", "a bytes literal that Python does not read"),
    ],
)
def test_what_is_no_hex(line: str, reason: str) -> None:
    assert one(line) == BadLine(reason)


def _characters(row: bytes) -> str:
    return "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)


def _rows(octets: bytes, width: int = 16) -> list[tuple[int, bytes]]:
    return [(at, octets[at : at + width]) for at in range(0, len(octets), width)]


def wireshark(octets: bytes) -> list[str]:
    return [f"{at:04x}   {row.hex(' '):47}   {_characters(row)}" for at, row in _rows(octets)]


def tshark(octets: bytes) -> list[str]:
    return [f"{at:04x}  {row.hex(' '):47}   {_characters(row)}" for at, row in _rows(octets)]


def xxd(octets: bytes, width: int = 16) -> list[str]:
    columns = width // 2 * 5 - 1
    return [
        f"{at:08x}: {row.hex(' ', -2):{columns}}  {_characters(row)}"
        for at, row in _rows(octets, width)
    ]


def hexdump(octets: bytes) -> list[str]:
    rows = [
        f"{at:08x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  |{_characters(row)}|"
        for at, row in _rows(octets)
    ]
    return [*rows, f"{len(octets):08x}"]


def od(octets: bytes) -> list[str]:
    return [*(f"{at:07o} {row.hex(' ')}" for at, row in _rows(octets)), f"{len(octets):07o}"]


def od_hex(octets: bytes) -> list[str]:
    return [*(f"{at:06x} {row.hex(' ')}" for at, row in _rows(octets)), f"{len(octets):06x}"]


def _words(row: bytes, between: str = " ") -> str:
    padded = row + b"\0" * (len(row) % 2)
    return between.join(padded[at : at + 2][::-1].hex() for at in range(0, len(padded), 2))


def hexdump_words(octets: bytes) -> list[str]:
    rows = [f"{at:07x} {_words(row):39}" for at, row in _rows(octets)]
    return [*rows, f"{len(octets):07x}"]


def hexdump_x(octets: bytes) -> list[str]:
    rows = [f"{at:07x}    {_words(row, '    '):60}" for at, row in _rows(octets)]
    return [*rows, f"{len(octets):07x}"]


def od_x(octets: bytes) -> list[str]:
    return [*(f"{at:07o} {_words(row)}" for at, row in _rows(octets)), f"{len(octets):07o}"]


@pytest.mark.parametrize(
    "dump", [wireshark, tshark, xxd, hexdump, od, od_hex, hexdump_words, hexdump_x, od_x]
)
@given(octets=OCTETS)
def test_dumps(dump: Callable[[bytes], list[str]], octets: bytes) -> None:
    lines = dump(octets)

    assert one(*lines) == octets
    assert list(read([*lines, "", *lines, "0102"])) == [
        (1, octets),
        (len(lines) + 2, octets),
        (2 * len(lines) + 2, b"\1\2"),
    ]


@given(octets=st.binary(min_size=33, max_size=100))
def test_a_dump_of_wider_rows(octets: bytes) -> None:
    assert one(*xxd(octets, 32)) == octets


def pdu(length: int) -> bytes:
    body = bytes(at % 251 for at in range(length - 8))
    return length.to_bytes(4, "big") + bytes.fromhex("00000005") + body


def xxd_plain(octets: bytes) -> list[str]:
    return [row.hex() for _, row in _rows(octets, 30)]


def od_plain(octets: bytes) -> list[str]:
    return [" " + row.hex(" ") for _, row in _rows(octets)]


@pytest.mark.parametrize("dump", [xxd_plain, od_plain])
@given(lengths=st.lists(st.integers(16, 200), min_size=1, max_size=4))
def test_lines_without_offsets_are_put_together(
    dump: Callable[[bytes], list[str]], lengths: list[int]
) -> None:
    octets = b"".join(map(pdu, lengths))

    assert b"".join(part for _, part in read(dump(octets)) if isinstance(part, bytes)) == octets
    if len(lengths) == 1:
        assert one(*dump(octets)) == octets


def test_lines_that_complete_no_pdu_stay_apart() -> None:
    half, whole = pdu(59)[:30].hex(), pdu(16).hex()

    for lines in (
        [half, whole],  # too short a line
        [half, pdu(30).hex(), whole],  # a PDU by itself
        [half, "zz" * 29, whole],
        [half],
        [pdu(32)[:16].hex(), whole],
        [half, *xxd(pdu(16))],
    ):
        assert [at for at, _ in read(lines)] == list(range(1, len(lines) + 1))


def test_what_is_held_for_a_pdu_has_an_end() -> None:
    first = (131_072).to_bytes(4, "big") + bytes(26)

    def endless() -> Iterator[str]:
        yield first.hex()
        while True:
            yield bytes(30).hex()

    assert next(read(endless())) == (1, first)


def test_repeated_rows_are_left_out_by_hexdump() -> None:
    octets = bytes(64) + b"end"
    full = hexdump(octets)

    assert one(full[0], "*", *full[4:]) == octets
    assert one(hexdump(bytes(64))[0], "*", "00000040") == bytes(64)


def test_a_dump_that_does_not_add_up() -> None:
    rows = wireshark(bytes(48))

    assert isinstance(one(rows[0][:20], rows[1], rows[2]), BadLine)
    assert isinstance(one(*hexdump(bytes(20))[:2], "00000015"), BadLine)


def test_dumps_need_no_line_between_them() -> None:
    assert list(read([*wireshark(b"abc"), *wireshark(b"d")])) == [(1, b"abc"), (2, b"d")]


@given(st.lists(st.text(alphabet="0123456789abcdef :|*.x\\\"'-#b", max_size=40), max_size=6))
def test_any_lines_are_read(lines: list[str]) -> None:
    for number, octets in read(lines):
        assert 1 <= number <= len(lines)
        assert isinstance(octets, bytes | BadLine)
