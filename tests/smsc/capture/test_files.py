"""Capture files: every form that there is, in pieces of any size, damaged or cut short."""

import struct

import pytest

from smsc.capture.files import Packet, Reader, file_header, is_capture, packet

AT = 1_760_000_000_123_456
FIRST, SECOND = b"first packet", b"second"


def pcap(order: str, magic: int, units: int, more: int = 0, link_type: int = 1) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, link_type)
    return header + b"".join(
        struct.pack(order + "IIII", at // 10**6, at % 10**6 * units // 10**6, len(octets), 99)
        + bytes(more)
        + octets
        for at, octets in ((AT, FIRST), (AT + 5, SECOND))
    )


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int = 1, options: bytes = b"", most: int = 0) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, most) + options)


def enhanced(order: str, octets: bytes, ticks: int = AT, number: int = 0) -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), 99)
    return block(order, 6, head + octets)


def pcapng(order: str) -> bytes:
    return b"".join([
        section(order), interface(order), block(order, 5, b"statistics"),
        enhanced(order, FIRST), block(order, 0x80000001, bytes(3 << 20)),
        enhanced(order, SECOND, AT + 5),
    ])  # fmt: skip


def read(data: bytes, *, piece: int = 1 << 30) -> tuple[list[Packet], str]:
    reader = Reader()
    found: list[Packet] = []
    for at in range(0, len(data), piece):
        found += reader.feed(data[at : at + piece])
    reader.end()
    return found, reader.fault


BOTH = [Packet(AT, 1, FIRST), Packet(AT + 5, 1, SECOND)]
FORMS = {
    "little": pcap("<", 0xA1B2C3D4, 10**6),
    "big": pcap(">", 0xA1B2C3D4, 10**6),
    "nanoseconds": pcap("<", 0xA1B23C4D, 10**9),
    "nanoseconds, big": pcap(">", 0xA1B23C4D, 10**9),
    "modified": pcap("<", 0xA1B2CD34, 10**6, 8),
    "frame check sequence": pcap("<", 0xA1B2C3D4, 10**6, link_type=0x14000001),
    "pcapng": pcapng("<"),
    "pcapng, big": pcapng(">"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str) -> None:
    assert is_capture(FORMS[form])
    assert read(FORMS[form]) == (BOTH, "")


@pytest.mark.parametrize("form", [form for form in FORMS if "pcapng" not in form])
def test_in_pieces_of_any_size(form: str) -> None:
    for piece in range(1, 60):
        assert read(FORMS[form], piece=piece) == (BOTH, "")


@pytest.mark.parametrize("piece", [1_000, 4_096, 65_536])
def test_a_large_block_that_nobody_wants_is_not_held(piece: int) -> None:
    assert read(FORMS["pcapng"], piece=piece) == (BOTH, "")


def test_interfaces_have_times_and_link_types_of_their_own() -> None:
    nano = struct.pack("<HHBxxx", 9, 1, 9)
    binary = struct.pack("<HHBxxx", 9, 1, 0x8A) + struct.pack("<HHq", 14, 8, 1_000)
    data = (
        section("<")
        + interface("<", 1, nano)
        + interface("<", 101, binary)
        + enhanced("<", FIRST, AT * 1_000)
        + enhanced("<", SECOND, 512, 1)
        + section(">")  # and a section is a file of its own
        + interface(">", 113)
        + enhanced(">", FIRST)
    )

    assert read(data) == (
        [
            Packet(AT, 1, FIRST),
            Packet(1_000_500_000, 101, SECOND),
            Packet(AT, 113, FIRST),
        ],
        "",
    )


def test_older_and_simpler_blocks() -> None:
    old = struct.pack("<HHIIII", 0, 0, AT >> 32, AT & 0xFFFFFFFF, len(FIRST), 99) + FIRST
    data = (
        section("<")
        + interface("<", most=4)
        + block("<", 2, old)
        + block("<", 3, struct.pack("<I", 99) + b"seco")
    )

    assert read(data) == ([Packet(AT, 1, FIRST), Packet(0, 1, b"seco")], "")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", ""),
        (b"ABCDEFGH", "no capture"),
        (FORMS["little"][:-1], "ends within a packet"),
        (FORMS["pcapng"][:-1], "ends within a packet"),
        (section("<") + block("<", 5, bytes(800))[:-1], "ends within a packet"),
        (file_header() + struct.pack("<IIII", 0, 0, 1 << 31, 0), "damaged"),
        (section("<") + struct.pack("<III", 6, 1 << 31, 0), "damaged"),
        (section("<") + struct.pack("<III", 6, 5, 0), "damaged"),
        (section("<") + enhanced("<", b""), "damaged"),  # without its interface
        (section("<") + interface("<") + block("<", 6, bytes(8)), "damaged"),
        (section("<") + interface("<") + block("<", 3, b""), "damaged"),
        (section("<") + block("<", 1, b""), "damaged"),
        (
            section("<")
            + interface("<")
            + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 50, 50) + b"short"),
            "damaged",
        ),
        (block("<", 0x0A0D0D0A, b"????" + bytes(12)), "unknown order"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, fault: str) -> None:
    _, said = read(data)

    assert fault in said if fault else not said


def test_packets_before_the_damage_are_read() -> None:
    found, fault = read(FORMS["little"] + struct.pack("<IIII", 0, 0, 1 << 31, 0) + bytes(500))

    assert found == BOTH
    assert "damaged" in fault


def test_what_is_written_can_be_read() -> None:
    data = file_header() + packet(AT, FIRST) + packet(AT + 5, SECOND)

    assert read(data) == (BOTH, "")
    assert data == FORMS["little"][:16] + data[16:20] + FORMS["little"][20:24] + data[24:]
