"""Packets: what is a TCP segment in them, however it is wrapped; and those we make up."""

import random
import struct

import pytest

from smsc.capture.packets import ACK, PSH, SYN, Segment, checksum, frame, segment

CARRIER, GATEWAY = ("192.0.2.1", 50_000), ("198.51.100.2", 2_775)
CARRIER6, GATEWAY6 = ("2001:db8::1", 50_000), ("2001:db8::2", 2_775)

MADE = frame(CARRIER, GATEWAY, 1_000, 2_000, PSH | ACK, b"hello")
MADE6 = frame(CARRIER6, GATEWAY6, 1_000, 2_000, PSH | ACK, b"hello")
FOUND = Segment(CARRIER, GATEWAY, 1_000, PSH | ACK, b"hello", 5)
FOUND6 = Segment(CARRIER6, GATEWAY6, 1_000, PSH | ACK, b"hello", 5)
IP, IP6 = MADE[14:], MADE6[14:]


@pytest.mark.parametrize(
    ("link_type", "octets"),
    [
        (1, MADE),
        (1, MADE + bytes(9)),  # padded to the shortest frame
        (1, MADE[:12] + b"\x81\x00\x00\x07" + MADE[12:]),
        (1, MADE[:12] + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + MADE[12:]),
        (1, MADE[:12] + b"\x88\x64\x11\x00\x00\x01\x00\x30\x00\x21" + IP),
        (0, b"\x02\0\0\0" + IP),
        (108, b"\0\0\0\x02" + IP),
        (12, IP),
        (101, IP),
        (228, IP),
        (113, bytes(14) + b"\x08\x00" + IP),
        (113, bytes(14) + b"\x81\x00\x00\x07\x08\x00" + IP),
        (276, b"\x08\x00" + bytes(18) + IP),
        (276, b"\x81\x00" + bytes(18) + b"\x00\x07\x08\x00" + IP),
    ],
)
def test_every_link_type_is_unwrapped(link_type: int, octets: bytes) -> None:
    assert segment(link_type, octets) == FOUND


@pytest.mark.parametrize(
    ("link_type", "octets"),
    [
        (1, MADE6),
        (0, b"\x1e\0\0\0" + IP6),
        (101, IP6),
        (229, IP6),
        (276, b"\x86\xdd" + bytes(18) + IP6),
        # behind options for each hop and an authentication header
        (101, IP6[:4] + struct.pack(">HBB", len(IP6) - 40 + 8 + 12, 0, 64) + IP6[8:40]
         + b"\x33\x00" + bytes(6) + b"\x06\x01" + bytes(10) + IP6[40:]),
    ],
)  # fmt: skip
def test_ipv6_too(link_type: int, octets: bytes) -> None:
    assert segment(link_type, octets) == FOUND6


def test_addresses_of_two_families_meet_as_ipv6() -> None:
    assert segment(1, frame(CARRIER, GATEWAY6, 0, 0, SYN)) == Segment(
        CARRIER, GATEWAY6, 0, SYN, b"", 0
    )


@pytest.mark.parametrize("made", [MADE, MADE6])
def test_what_the_capture_cut_off_is_known(made: bytes) -> None:
    found = segment(1, made[:-3])

    assert found is not None
    assert (found.payload, found.size) == (b"he", 5)


def test_a_length_left_to_the_card_is_that_of_the_packet() -> None:
    found = segment(101, IP[:2] + b"\0\0" + IP[4:])

    assert found == FOUND


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        IP[:9] + b"\x11" + IP[10:],  # UDP
        IP[:6] + b"\x20\x00" + IP[8:],  # more fragments
        IP[:6] + b"\x00\x10" + IP[8:],  # a later one
        b"\x41" + IP[1:],  # a header too short
        IP[:32] + b"\xf0" + IP[33:],  # TCP that begins behind the packet
        IP[:32] + b"\x10" + IP[33:],  # … or within its header
        IP6[:6] + b"\x2c" + IP6[7:],  # a fragment
        b"\x70" + IP[1:],
    ],
)
def test_what_is_no_tcp_is_none(octets: bytes) -> None:
    assert segment(101, octets) is None


def test_an_unknown_link_type_is_none() -> None:
    assert segment(147, MADE) is None


def test_nothing_raises_however_damaged() -> None:
    chance = random.Random(7)
    whole = (MADE, MADE6, *((b"\x02\0\0\0" + packet) for packet in (IP, IP6)))
    for _ in range(3_000):
        octets = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        del octets[chance.randrange(len(octets) + 1) :]
        for link_type in (0, 1, 101, 113, 276):
            segment(link_type, bytes(octets))


def folded(octets: bytes) -> int:
    """The checksum by the words of RFC 1071 §1."""
    octets += b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ total


@pytest.mark.parametrize(
    "octets", [b"", b"\0\0", b"\xff\xff", b"\x01", b"\0\x01\xff\xfe", bytes(range(255)), MADE]
)
def test_the_checksum_is_the_one_of_the_internet(octets: bytes) -> None:
    assert checksum(octets) == folded(octets)


@pytest.mark.parametrize("made", [MADE, MADE6])
def test_checksums_of_what_is_made_up_are_right(made: bytes) -> None:
    ip = made[14:]
    if ip[0] >> 4 == 4:
        assert folded(ip[:20]) == 0
        ends, tcp = ip[12:20], ip[20:]
    else:
        ends, tcp = ip[8:40], ip[40:]
    assert folded(ends + struct.pack(">II", len(tcp), 6) + tcp) == 0
