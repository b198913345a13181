"""Streams: whole and in order, whatever order, overlap and gaps the packets come with."""

import random
from collections.abc import Sequence

import pytest

from smsc.capture import streams
from smsc.capture.packets import ACK, SYN, Place, Segment
from smsc.capture.streams import Piece, Streams

CARRIER, GATEWAY = ("192.0.2.1", 50_000), ("198.51.100.2", 2_775)
OTHER = ("192.0.2.1", 50_001)
SECOND = 1_000_000
TEXT = bytes(range(200))


def data(
    sequence: int, octets: bytes = b"", *, source: Place = CARRIER, flags: int = ACK, size: int = -1
) -> Segment:
    target = CARRIER if source == GATEWAY else GATEWAY
    return Segment(
        source, target, sequence % 2**32, flags, octets, len(octets) if size < 0 else size
    )


def joined(pieces: Sequence[Piece], source: Place = CARRIER) -> bytes:
    """The octets of one way, ``<n>`` where n are missing."""
    return b"".join(
        (b"<%d>" % piece.lost if piece.lost else b"") + piece.octets
        for piece in pieces
        if piece.source == source
    )


def taken(segments: Sequence[Segment], *, apart: int = 10) -> list[Piece]:
    found = Streams()
    pieces = [
        piece
        for place, segment in enumerate(segments)
        for piece in found.take(place * apart, segment)
    ]
    return [*pieces, *found.end(len(segments) * apart)]


@pytest.mark.parametrize("begin", [0, 77, 2**32 - 100, 2**31 - 5])
@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_overlap_gives_the_same_stream(begin: int, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, 199), 9))
    parts = [
        (at, TEXT[at : end + chance.randrange(5)])
        for at, end in zip([0, *cuts], [*cuts, 200], strict=True)
    ]
    parts += chance.sample(parts, 3)
    chance.shuffle(parts)
    segments = [data(begin + 1 + at, octets) for at, octets in parts]

    pieces = taken([data(begin, flags=SYN), *segments])

    assert joined(pieces) == TEXT
    assert [piece.first for piece in pieces if piece.octets].count(True) == 1
    assert {piece.stream for piece in pieces} == {1}


def test_both_ways_are_apart() -> None:
    pieces = taken(
        [
            data(10, flags=SYN),
            data(500, flags=SYN | ACK, source=GATEWAY),
            data(11, b"question"),
            data(501, b"answer", source=GATEWAY),
        ]
    )

    assert joined(pieces) == b"question"
    assert joined(pieces, GATEWAY) == b"answer"
    assert [piece.first for piece in pieces if piece.octets] == [True, True]
    assert [piece.last for piece in pieces] == [False, False, True, True]


def test_a_capture_may_begin_in_the_middle() -> None:
    pieces = taken([data(900, b"mid"), data(903, b"dle")])

    assert joined(pieces) == b"middle"
    assert not any(piece.first for piece in pieces)


def test_what_never_comes_is_counted_at_the_end() -> None:
    assert joined(taken([data(0, b"one"), data(5, b"two"), data(20, b"three")])) == (
        b"one<2>two<12>three"
    )


def test_what_never_comes_is_given_up_after_a_while() -> None:
    found = Streams()
    pieces = found.take(0, data(0, b"one")) + found.take(0, data(5, b"two"))
    assert joined(pieces) == b"one"

    pieces = found.take(2 * SECOND + 1, data(8, b"three"))

    assert joined(pieces) == b"<2>twothree"


def test_no_more_than_a_bound_waits() -> None:
    found = Streams()
    found.take(0, data(0, b"x"))
    pieces = [
        piece
        for place in range(300)
        for piece in found.take(0, data(11 + place * 1_000, bytes(1_000)))
    ]

    assert pieces[0].lost == 10
    assert sum(len(piece.octets) for piece in pieces) > 200_000


def test_many_small_ones_that_wait_count_too() -> None:
    found = Streams()
    found.take(0, data(0, b"x"))
    pieces = [
        piece for place in range(9_000) for piece in found.take(0, data(11 + 2 * place, b"y"))
    ]

    assert pieces


def test_what_the_capture_cut_off_is_missing_at_once() -> None:
    assert joined(taken([data(0, b"on", size=3), data(3, b"two")])) == b"on<1>two"


def test_keeping_alive_repeats_nothing() -> None:
    assert joined(taken([data(0, b"one"), data(2, b"e"), data(3, b"two")])) == b"onetwo"


def test_the_same_ports_may_be_used_again() -> None:
    pieces = taken(
        [
            data(10, flags=SYN),
            data(11, b"first"),
            data(5_000, flags=SYN),
            data(5_000, flags=SYN),  # sent again
            data(5_001, b"second"),
        ]
    )

    assert [(piece.stream, piece.octets, piece.last) for piece in pieces] == [
        (1, b"first", False),
        (1, b"", True),
        (2, b"second", False),
        (2, b"", True),
    ]


def test_the_longest_silent_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    found = Streams()
    third = ("192.0.2.9", 1)
    found.take(0, data(0, b"a"))
    found.take(0, Segment(OTHER, GATEWAY, 0, ACK, b"b", 1))
    found.take(0, data(1, b"a"))

    pieces = found.take(0, Segment(third, GATEWAY, 0, ACK, b"c", 1))

    assert [(piece.source, piece.last) for piece in pieces] == [(OTHER, True), (third, False)]
    assert found.count == 3
