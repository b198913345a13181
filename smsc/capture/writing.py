"""A connection written down as a capture: the octets are real, the packets around them made up.

Each piece of octets becomes a segment of its own, acknowledged by what the other side says next.
The connection begins with a handshake at the first packet's time, whenever it really began, and
its sequence numbers begin at 0: so a reader finds every octet in its place, and sees where some
are missing.
"""

from smsc.capture import files, packets
from smsc.capture.packets import ACK, FIN, PSH, SYN, Place


class Conversation:
    """Both ways of one connection. What each method returns is to be appended to the file."""

    def __init__(self, dialler: Place, dialled: Place) -> None:
        """The two ends; ``dialler`` is who connected. Raises ValueError where one is none."""
        self._ends = (dialler, dialled)
        self._sequences = [0, 0]
        packets.frame(dialler, dialled, 0, 0, SYN)

    def begin(self, at: int) -> bytes:
        """Return the file's beginning, and the handshake; ``at`` is in microseconds."""
        made = files.file_header() + self._packet(0, at, SYN)
        self._sequences[0] += 1
        made += self._packet(1, at, SYN | ACK)
        self._sequences[1] += 1
        return made + self._packet(0, at, ACK)

    def say(self, at: int, octets: bytes, *, dialler: bool) -> bytes:
        """Return the packets with octets that one end sent."""
        way = 0 if dialler else 1
        made = b""
        for begin in range(0, len(octets), packets.MOST_PAYLOAD):
            piece = octets[begin : begin + packets.MOST_PAYLOAD]
            made += self._packet(way, at, PSH | ACK, piece)
            self._sequences[way] += len(piece)
        return made

    def miss(self, octets: int, *, dialler: bool) -> None:
        """Leave out so many octets of one end, which shows as a gap."""
        self._sequences[0 if dialler else 1] += octets

    def end(self, at: int, *, dialler: bool) -> bytes:
        """Return the packets that close the connection; ``dialler``: that end began."""
        first = 0 if dialler else 1
        made = b""
        for way in (first, 1 - first):
            made += self._packet(way, at, FIN | ACK)
            self._sequences[way] += 1
        return made + self._packet(first, at, ACK)

    def _packet(self, way: int, at: int, flags: int, octets: bytes = b"") -> bytes:
        sequence, acknowledged = self._sequences[way], self._sequences[1 - way]
        made = packets.frame(
            self._ends[way], self._ends[1 - way], sequence,
            acknowledged if flags & ACK else 0, flags, octets,
        )  # fmt: skip
        return files.packet(at, made)
