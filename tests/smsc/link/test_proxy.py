"""The PROXY protocol: what its specification shows, what it forbids, and anything at all."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.link.proxy import MOST_BINARY, MOST_TEXT, Fault, Header, read

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1") + b"\x13\x88\x0a\xd7"
IPV6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + b"\x13\x88\x0a\xd7"
)
TLV = b"\x03\x00\x04\xde\xad\xbe\xef"  # PP2_TYPE_CRC32C


def binary(
    addresses: bytes = IPV4, *, command: int = 0x21, family: int = 0x11, length: int | None = None
) -> bytes:
    size = len(addresses) if length is None else length
    return SIGNATURE + struct.pack(">BBH", command, family, size) + addresses


@pytest.mark.parametrize(
    ("data", "peer"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 2775\r\n", "192.0.2.1:5000"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 2775\r\n", "[2001:db8::1]:5000"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5000 2775\r\n", "192.0.2.1:5000"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""),
        (binary(), "192.0.2.1:5000"),
        (binary(IPV4 + TLV), "192.0.2.1:5000"),
        (binary(IPV6, family=0x21), "[2001:db8::1]:5000"),
        (binary(IPV6 + TLV * 60, family=0x21), "[2001:db8::1]:5000"),
        (binary(b"", command=0x20, family=0x00), ""),
        (binary(IPV4, command=0x20), ""),
        (binary(b"", family=0x00), ""),
        (binary(TLV, family=0x00), ""),
        (binary(bytes(216), family=0x31), ""),
        (binary(IPV4, family=0x12), ""),  # UDP: not ours, and no fault
    ],
)
def test_r25_who_connected_is_read(data: bytes, peer: str) -> None:
    found = read(data + b"\x00\x00\x00\x10")

    assert isinstance(found, Header)
    assert (found.peer, found.size) == (peer, len(data))
    for size in range(len(data)):
        assert read(data[:size]) is None


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin"),
        (b"\x00\x00\x00\x2f\x00\x00\x00\x09", "does not begin"),
        (b"\r\n\r\n\r\n", "does not begin"),
        (b"PROXY TCP4 192.0.2.1\r\n", "not one of"),
        (b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "not one of"),
        (b"PROXY \r\n", "not one of"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "not one of"),
        (b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "no valid"),
        (b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "no valid"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "no valid"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "no valid"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "no valid"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 \xb2 2\r\n", "no valid"),
        (b"PROXY TCP4 \xff 192.0.2.2 1 2\r\n", "no valid"),
        (b"PROXY UNKNOWN" + b" " * MOST_TEXT, "no end"),
        (binary(command=0x11), "version 1"),
        (binary(command=0x2F), "unknown command 15"),
        (binary(length=MOST_BINARY), "octets, more than"),
        (binary(IPV4[:11]), "no known form"),
        (binary(IPV4, family=0x21), "no known form"),
        (binary(IPV4, family=0x41), "no known form"),
        (binary(IPV4, family=0x13), "no known form"),
    ],
)
def test_r25_what_is_no_header_is_a_fault(data: bytes, detail: str) -> None:
    found = read(data)

    assert isinstance(found, Fault)
    assert detail in found.detail


def test_the_longest_headers_are_taken() -> None:
    text = b"PROXY UNKNOWN".ljust(MOST_TEXT - 2) + b"\r\n"
    assert read(text) == Header(MOST_TEXT)
    assert isinstance(read(b"PROXY UNKNOWN".ljust(MOST_TEXT)), Fault)
    whole = binary(IPV4.ljust(MOST_BINARY - 16, b"\0"))
    assert read(whole) == Header(MOST_BINARY, "192.0.2.1:5000", 2)


begun = st.sampled_from(
    [b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE, SIGNATURE + b"!"]
)


@given(begun, st.binary(max_size=600))
def test_any_octets_are_a_header_a_fault_or_too_few(start: bytes, rest: bytes) -> None:
    data = start + rest
    found = read(data)

    if found is None:
        assert len(data) < MOST_BINARY
    elif isinstance(found, Header):
        assert 0 < found.size <= len(data)
        assert read(data[: found.size]) == found
        assert read(data[: found.size - 1]) is None
