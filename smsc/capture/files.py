"""pcap and pcapng files: octets in, packets out; and the few octets it takes to write one.

Nothing is read from a file here: give a :class:`Reader` octets as they come, in pieces of any
size. Written by hand rather than with a library because captures come from strangers and may be
large or damaged: dpkt, the usual choice, knows one interface of a pcapng file only, and sets
memory aside for whatever a length in it says.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from collections.abc import Callable
from struct import Struct as Packer
from typing import Final

from msgspec import Struct

MICROSECONDS: Final = 1_000_000

MOST: Final = 1 << 20
"""Octets of a packet, and of a block that is looked into; a longer one is a damaged file."""

ETHERNET: Final = 1
"""Link type of what we write."""

_PCAP: Final = {
    # As little-endian octets: order, units a second, octets of a packet's header.
    b"\xd4\xc3\xb2\xa1": ("<", 10**6, 16),
    b"\xa1\xb2\xc3\xd4": (">", 10**6, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9, 16),
    b"\xa1\xb2\x3c\x4d": (">", 10**9, 16),
    b"\x34\xcd\xb2\xa1": ("<", 10**6, 24),  # "modified": eight octets more a packet
    b"\xa1\xb2\xcd\x34": (">", 10**6, 24),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_PCAP_HEADER: Final = 24

_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_PACKET: Final = 6
_TIME_UNIT: Final = 9
_TIME_OFFSET: Final = 14


class Packet(Struct, frozen=True, gc=False):
    """A packet as it was captured."""

    at: int
    """Microseconds since the epoch."""
    link_type: int
    """What its first octets are; https://www.tcpdump.org/linktypes.html."""
    octets: bytes


class _Interface(Struct, frozen=True, gc=False):
    link_type: int
    most: int
    units: int
    offset: int


def is_capture(head: bytes) -> bool:
    """Whether a file that begins so is a capture; four octets tell."""
    return head[:4] in _PCAP or head[:4] == _SECTION


class Reader:
    """Reads one capture. At most :data:`MOST` octets are held, besides those being fed."""

    def __init__(self) -> None:
        self.fault = ""
        """Why nothing more can be read, in words; empty while all is well."""
        self._buffer = bytearray()
        self._offset = 0  # in the file, of the buffer's first octet
        self._skip = 0  # octets to come that nobody wants
        self._step: Callable[[], bool] = self._begin
        self._packets: list[Packet] = []
        self._order = "<"
        self._units = MICROSECONDS
        self._header = 16
        self._link_type = 0
        self._interfaces: list[_Interface] = []

    def feed(self, data: bytes) -> list[Packet]:
        """Take octets; return the packets completed by them."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            self._offset += skipped
            data = data[skipped:]
        self._buffer += data
        while not self.fault and self._step():
            pass
        if self.fault:
            self._buffer.clear()
        packets, self._packets = self._packets, []
        return packets

    def end(self) -> None:
        """Note that nothing more comes: what is left over is a packet cut short."""
        if not self.fault and (self._buffer or self._skip):
            self.fault = f"it ends within a packet, at octet {self._offset + len(self._buffer):,}"

    def _begin(self) -> bool:
        if len(self._buffer) < 4:
            return False
        magic = bytes(self._buffer[:4])
        if magic == _SECTION:
            self._step = self._block
            return True
        if magic not in _PCAP:
            self.fault = "it is no capture"
            return False
        if len(self._buffer) < _PCAP_HEADER:
            return False
        self._order, self._units, self._header = _PCAP[magic]
        (word,) = Packer(self._order + "I").unpack_from(self._buffer, 20)
        self._link_type = word & 0xFFFF  # above it: how long the frame check sequence is
        self._drop(_PCAP_HEADER)
        self._step = self._record
        return True

    # pcap

    def _record(self) -> bool:
        if len(self._buffer) < self._header:
            return False
        seconds, fraction, size, _ = Packer(self._order + "IIII").unpack_from(self._buffer)
        if size > MOST:
            self.fault = f"a packet of {size:,} octets at octet {self._offset:,}: it is damaged"
            return False
        if len(self._buffer) < self._header + size:
            return False
        octets = bytes(self._buffer[self._header : self._header + size])
        at = seconds * MICROSECONDS + fraction * MICROSECONDS // self._units
        self._packets.append(Packet(at, self._link_type, octets))
        self._drop(self._header + size)
        return True

    # pcapng

    def _block(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 12:
            return False
        if buffer.startswith(_SECTION):
            order = _ORDERS.get(bytes(buffer[8:12]))
            if order is None:
                self.fault = f"a section of an unknown order at octet {self._offset:,}"
                return False
            self._order = order
            self._interfaces = []
        kind, size = Packer(self._order + "II").unpack_from(buffer)
        if size < 12 or size % 4:
            self.fault = f"a block of {size:,} octets at octet {self._offset:,}: it is damaged"
            return False
        wanted = kind in (_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET)
        if wanted and size > MOST:
            self.fault = f"a packet of {size:,} octets at octet {self._offset:,}: it is damaged"
            return False
        if not wanted:
            self._drop(size)
            return True
        if len(buffer) < size:
            return False
        body = bytes(buffer[8 : size - 4])
        self._drop(size)
        if kind == _INTERFACE:
            self._describe(body)
        else:
            self._capture(kind, body)
        return True

    def _describe(self, body: bytes) -> None:
        if len(body) < 8:
            self._damaged()
            return
        link_type, _, most = Packer(self._order + "HHI").unpack_from(body)
        units, offset, at = MICROSECONDS, 0, 8
        while at + 4 <= len(body):
            code, size = Packer(self._order + "HH").unpack_from(body, at)
            value = body[at + 4 : at + 4 + size]
            if code == _TIME_UNIT and size == 1:
                units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _TIME_OFFSET and size == 8 and len(value) == 8:
                (offset,) = Packer(self._order + "q").unpack(value)
            at += 4 + size + -size % 4
        self._interfaces.append(_Interface(link_type, most, units, offset))

    def _capture(self, kind: int, body: bytes) -> None:
        number, high, low, at = 0, 0, 0, 20
        if kind == _SIMPLE_PACKET:
            if len(body) < 4 or not self._interfaces:
                self._damaged()
                return
            (size,) = Packer(self._order + "I").unpack_from(body)
            size = min(size, self._interfaces[0].most or size, len(body) - 4)
            at = 4
        else:
            if len(body) < 20:
                self._damaged()
                return
            form = "IIII" if kind == _PACKET else "HxxIII"
            number, high, low, size = Packer(self._order + form).unpack_from(body)
        if number >= len(self._interfaces) or size > len(body) - at:
            self._damaged()
            return
        interface = self._interfaces[number]
        ticks = high << 32 | low
        time = interface.offset * MICROSECONDS + ticks * MICROSECONDS // interface.units
        self._packets.append(Packet(time, interface.link_type, body[at : at + size]))

    def _damaged(self) -> None:
        self.fault = f"a block that makes no sense before octet {self._offset:,}: it is damaged"

    def _drop(self, size: int) -> None:
        """Be done with so many octets, of which some may still be to come."""
        held = min(size, len(self._buffer))
        del self._buffer[:held]
        self._skip = size - held
        self._offset += held


_file_header: Final = Packer("<IHHiIII").pack
_packet_header: Final = Packer("<IIII").pack


def file_header(link_type: int = ETHERNET) -> bytes:
    """Return what a pcap file begins with."""
    return _file_header(0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link_type)


def packet(at: int, octets: bytes) -> bytes:
    """Return a packet as it stands in the file; ``at`` in microseconds since the epoch."""
    return _packet_header(at // MICROSECONDS, at % MICROSECONDS, len(octets), len(octets)) + octets
