"""Captures → PDUs: the SMPP among the streams of a capture, cut by our own framing.

Theory
------
Each way of each connection is *sought*, *cut*, *strange* or *over*. It is sought until 16 octets
look like a header (:func:`_is_header`): at the very beginning where that was seen, else anywhere,
because a capture may begin, or go on after a gap, within a PDU. Then it is cut by a
:class:`~smsc.wire.framing.Framer`, until octets are missing (sought again) or framing is lost
(over). A way that does not look like SMPP from its beginning, or for :data:`SOUGHT` octets, is
strange: nothing of it is held. Ways of ports that were named are never strange.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from struct import Struct as Packer
from typing import Final

from msgspec import Struct

from smsc.capture.files import Reader
from smsc.capture.packets import Place, segment
from smsc.capture.streams import Piece, Streams
from smsc.wire.errors import WireError
from smsc.wire.framing import Framer
from smsc.wire.spec import COMMAND_NAMES

LIMIT: Final = 131_072
"""Largest command_length believed: what a listener accepts by default."""
SOUGHT: Final = 2 * LIMIT
"""Octets within which a header must be found."""
_HEADER: Final = Packer(">III").unpack_from
_TLS: Final = b"\x16\x03"


class Cut(Struct, frozen=True):
    """Octets cut out of a stream: one PDU, or what is left of one."""

    at: int
    """When its last octet came: microseconds since the epoch."""
    stream: int
    """Number of the connection in the capture, from 1."""
    source: Place
    target: Place
    octets: bytes
    error: WireError | None = None
    """Why these octets are no PDU, where they are none."""
    lost: int = 0
    """Octets missing from the capture, or passed over, since the PDU before."""


class _Way:
    def __init__(self, *, named: bool) -> None:
        self.named = named
        self.framer: Framer | None = None
        self.sought = bytearray()
        self.searched = 0
        self.lost = 0
        self.idle = False  # strange, or over
        self.fresh = True  # nothing was cut yet
        self.whole = False  # seen from its beginning


class Dialogues:
    """Reads one capture: feed it, then end it.

    Bounds: those of :mod:`smsc.capture.files` and :mod:`smsc.capture.streams`, and one PDU or
    :data:`SOUGHT` octets for each way that is sought or cut.
    """

    def __init__(self, ports: Collection[int] = ()) -> None:
        """``ports``: only streams to or from one of these; else all that look like SMPP."""
        self._ports = frozenset(ports)
        self._reader = Reader()
        self._streams = Streams()
        self._ways: dict[tuple[int, Place], _Way] = {}
        self._at = 0
        self._packets = 0
        self._smpp: set[int] = set()
        self._tls: set[int] = set()
        self._links: Counter[int] = Counter()
        self._others = 0

    def feed(self, data: bytes) -> Iterator[Cut]:
        """Take octets of the file; yield what they complete."""
        for packet in self._reader.feed(data):
            self._packets += 1
            self._at = packet.at
            found = segment(packet.link_type, packet.octets)
            if found is None:
                self._links[packet.link_type] += 1
                continue
            if self._ports and self._ports.isdisjoint((found.source[1], found.target[1])):
                self._others += 1
                continue
            for piece in self._streams.take(packet.at, found):
                yield from self._cut(piece)

    def end(self) -> Iterator[Cut]:
        """Yield what is left when the file has ended."""
        self._reader.end()
        for piece in self._streams.end(self._at):
            yield from self._cut(piece)

    def summary(self) -> str:
        """Say in a sentence what the capture holds, and why perhaps nothing was found."""
        count = self._streams.count
        words = f"{self._packets:,} packets, {count:,} TCP streams, {len(self._smpp):,} with SMPP"
        if self._tls:
            words += f"; {len(self._tls):,} are TLS, which can't be looked into"
        if self._others:
            words += f"; {self._others:,} packets of other ports"
        if self._packets and not count and not self._others:
            kinds = ", ".join(str(kind) for kind, _ in self._links.most_common(3))
            words += f"; no TCP was found (link type {kinds})"
        if self._reader.fault:
            words += f"; not read to its end: {self._reader.fault}"
        return words

    @property
    def fault(self) -> str:
        """Why the file could not be read to its end; empty where it could."""
        return self._reader.fault

    def _cut(self, piece: Piece) -> Iterator[Cut]:
        key = (piece.stream, piece.source)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = _Way(named=bool(self._ports))
            way.whole = piece.first
        if piece.lost:
            way.lost += piece.lost
            if way.framer is not None:
                way.lost += way.framer.pending  # its end is missing
                way.framer = None
            way.lost += len(way.sought)
            way.sought.clear()
            way.whole = False
        if not way.idle and piece.octets:
            yield from self._read(piece, way)
        if piece.last:
            del self._ways[key]
            yield from self._left_over(piece, way)

    def _read(self, piece: Piece, way: _Way) -> Iterator[Cut]:
        octets = piece.octets
        if way.framer is None:
            way.sought += octets
            begin = self._begin(way)
            if begin is None:
                self._judge(piece, way)
                return
            way.lost += begin
            octets = bytes(way.sought[begin:])
            way.sought.clear()
            way.framer = Framer(LIMIT)
        self._smpp.add(piece.stream)
        for frame in way.framer.feed(octets):
            way.fresh = False
            yield self._made(piece, way, frame)
        if way.framer.lost is not None:
            way.idle = True
            yield self._made(piece, way, way.framer.pending_prefix(), way.framer.lost)

    def _begin(self, way: _Way) -> int | None:
        """Return where the first PDU begins in what is sought."""
        sought = way.sought
        if way.whole and way.fresh:
            # Where the port was named it is SMPP, and if it is not that is what is to be shown.
            return 0 if way.named or (len(sought) >= 16 and _is_header(sought, 0)) else None
        for at in range(way.searched, len(sought) - 15):
            if _is_header(sought, at):
                behind = at + int.from_bytes(sought[at : at + 4], "big")
                if behind + 12 > len(sought) or _is_header(sought, behind):
                    return at
        way.searched = max(0, len(sought) - 15)
        return None

    def _judge(self, piece: Piece, way: _Way) -> None:
        """Give up on a way that is no SMPP."""
        if way.whole and way.fresh and way.sought.startswith(_TLS):
            self._tls.add(piece.stream)
        whole = way.whole and way.fresh and len(way.sought) >= 16
        if not way.named and (whole or len(way.sought) > SOUGHT):
            way.idle = True
            way.sought.clear()
        elif len(way.sought) > SOUGHT:
            way.lost += SOUGHT - LIMIT
            del way.sought[: SOUGHT - LIMIT]
            way.searched = max(0, way.searched - (SOUGHT - LIMIT))

    def _left_over(self, piece: Piece, way: _Way) -> Iterator[Cut]:
        if way.idle or way.framer is None or not way.framer.pending:
            return
        rest = way.framer.pending_prefix()
        length = int.from_bytes(rest[:4], "big") if len(rest) >= 4 else 0
        detail = f"the capture ends within this PDU: {way.framer.pending} octets"
        detail += f" of {length}" if length else ""
        error = WireError("incomplete", 0, "command_length", 0, detail)
        yield self._made(piece, way, rest, error)

    def _made(self, piece: Piece, way: _Way, octets: bytes, error: WireError | None = None) -> Cut:
        lost, way.lost = way.lost, 0
        return Cut(piece.at, piece.stream, piece.source, piece.target, octets, error, lost)


def _is_header(octets: bytes | bytearray, at: int) -> bool:
    """Whether a PDU of a known command seems to begin there; twelve octets tell."""
    length, command, status = _HEADER(octets, at)
    return 16 <= length <= LIMIT and command in COMMAND_NAMES and status < 1 << 16
