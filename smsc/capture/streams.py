"""TCP segments → streams: put in order, without repeats, with what is missing noted.

Theory
------
A *way* is one direction of a connection. It knows the sequence number it wants next. A segment
that brings it is passed on; of one that repeats what was passed on only the new octets are; one
from beyond waits for what is before it. What never came is given up, and its size noted with the
next piece, when

* the capture shows nothing of it for :data:`PATIENCE` of its own time, or
* more than :data:`HELD` octets wait behind it, or
* the capture ends, or another connection takes over the same addresses and ports.

Sequence numbers wrap: they are compared within half their range (RFC 9293 §3.4).

Bounds: :data:`HELD` octets a way, :data:`MOST_STREAMS` connections; beyond that the one that was
silent longest is ended.
"""

from typing import Final

from msgspec import Struct

from smsc.capture.packets import SYN, Place, Segment

PATIENCE: Final = 2_000_000
"""Microseconds."""
HELD: Final = 262_144
OVERHEAD: Final = 64
"""Octets that a segment which waits counts for beside its own."""
MOST_STREAMS: Final = 4_096

_ALL: Final = 1 << 32
_HALF: Final = 1 << 31


class Piece(Struct, frozen=True, gc=False):
    """Octets of one way, in order."""

    at: int
    """When their last came: microseconds since the epoch."""
    stream: int
    """Number of the connection in the capture, from 1."""
    source: Place
    target: Place
    octets: bytes
    first: bool = False
    """They begin the stream: the connection was seen from its beginning."""
    lost: int = 0
    """Octets missing before these."""
    last: bool = False
    """Nothing more comes of this way."""


class _Way:
    """One direction."""

    def __init__(self) -> None:
        self.wanted: int | None = None
        self.first = False  # nothing passed on yet, and the beginning was seen
        self.lost = 0
        self.waiting: dict[int, bytes] = {}
        self.held = 0
        self.since: int | None = None  # when the latest reason to wait came up


class _Stream:
    def __init__(self, number: int) -> None:
        self.number = number
        self.begun: dict[Place, int] = {}  # initial sequence numbers seen
        self.ways: dict[Place, _Way] = {}


class Streams:
    """All connections of one capture."""

    def __init__(self) -> None:
        self.count = 0
        """Connections seen."""
        self._streams: dict[frozenset[Place], _Stream] = {}

    def take(self, at: int, segment: Segment) -> list[Piece]:
        """Take a segment; return what it completes."""
        pieces: list[Piece] = []
        key = frozenset((segment.source, segment.target))
        stream = self._streams.pop(key, None)
        beginning = bool(segment.flags & SYN)
        if stream is not None and beginning:
            known = stream.begun.get(segment.source)
            again = segment.source in stream.ways if known is None else known != segment.sequence
            if again:
                pieces += self._end(key, stream, at)
                stream = None
        if stream is None:
            self.count += 1
            stream = _Stream(self.count)
            if len(self._streams) >= MOST_STREAMS:
                oldest = next(iter(self._streams))
                pieces += self._end(oldest, self._streams.pop(oldest), at)
        self._streams[key] = stream  # behind all others: it was heard of last
        way = stream.ways.setdefault(segment.source, _Way())
        sequence = segment.sequence
        if beginning:
            stream.begun[segment.source] = sequence
            sequence = (sequence + 1) % _ALL
            if way.wanted is None:
                way.wanted = sequence
                way.first = True
        if segment.size:
            if way.wanted is None:
                way.wanted = sequence
            pieces += self._arrange(stream, way, at, sequence, segment)
        return pieces

    def end(self, at: int) -> list[Piece]:
        """Return what still waits, as the capture has ended."""
        pieces = [
            piece for key, stream in self._streams.items() for piece in self._end(key, stream, at)
        ]
        self._streams.clear()
        return pieces

    def _arrange(
        self, stream: _Stream, way: _Way, at: int, sequence: int, segment: Segment
    ) -> list[Piece]:
        pieces: list[Piece] = []
        assert way.wanted is not None
        ahead = _distance(way.wanted, sequence)
        if ahead > 0:
            if sequence not in way.waiting or len(way.waiting[sequence]) < len(segment.payload):
                if sequence in way.waiting:
                    way.held -= len(way.waiting[sequence]) + OVERHEAD
                way.held += len(segment.payload) + OVERHEAD
                way.since = at if way.since is None else way.since
                way.waiting[sequence] = segment.payload
        elif ahead + segment.size > 0:
            octets = segment.payload[-ahead:]
            way.wanted = (sequence + segment.size) % _ALL
            pieces += self._pass(stream, way, at, segment.source, segment.target, octets)
            way.lost += segment.size + ahead - len(octets)  # the capture kept only their beginning
            pieces += self._release(stream, way, at, segment.source, segment.target)
        if way.since is not None and at - way.since > PATIENCE:
            pieces += self._release(stream, way, at, segment.source, segment.target, way.held - 1)
        if way.held > HELD:
            pieces += self._release(stream, way, at, segment.source, segment.target, HELD // 2)
        return pieces

    def _release(
        self, stream: _Stream, way: _Way, at: int, source: Place, target: Place, most: int = HELD
    ) -> list[Piece]:
        """Pass on what has waited and waits no more.

        While more than ``most`` octets wait, what is missing before them is given up.
        """
        pieces: list[Piece] = []
        assert way.wanted is not None
        begin = way.wanted
        for sequence in sorted(way.waiting, key=lambda each: _distance(begin, each)):
            ahead = _distance(way.wanted, sequence)
            if ahead > 0:
                if way.held <= most:
                    break
                way.lost += ahead
                way.wanted = sequence
                ahead = 0
            octets = way.waiting.pop(sequence)
            way.held -= len(octets) + OVERHEAD
            if ahead + len(octets) > 0:
                way.wanted = (sequence + len(octets)) % _ALL
                pieces += self._pass(stream, way, at, source, target, octets[-ahead:])
        if not way.waiting:
            way.since = None
        elif pieces:
            way.since = at
        return pieces

    def _pass(
        self, stream: _Stream, way: _Way, at: int, source: Place, target: Place, octets: bytes
    ) -> list[Piece]:
        if not octets:
            return []
        piece = Piece(at, stream.number, source, target, octets, way.first, way.lost)
        way.first = False
        way.lost = 0
        return [piece]

    def _end(self, key: frozenset[Place], stream: _Stream, at: int) -> list[Piece]:
        pieces: list[Piece] = []
        for source, way in stream.ways.items():
            target = next((place for place in key if place != source), source)
            if way.waiting:
                pieces += self._release(stream, way, at, source, target, -1)
            pieces.append(Piece(at, stream.number, source, target, b"", False, way.lost, True))
        return pieces


def _distance(wanted: int, sequence: int) -> int:
    """Return how far ahead a sequence number is, negative where it is behind."""
    return (sequence - wanted + _HALF) % _ALL - _HALF
