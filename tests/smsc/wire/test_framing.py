import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.wire.framing import Framer
from smsc.wire.spec import Status

LIMIT = 1_000


def frame(octets: bytes) -> bytes:
    return (4 + len(octets)).to_bytes(4, "big") + octets


frames = st.lists(st.binary(min_size=12, max_size=60).map(frame), max_size=8)


def fed(framer: Framer, chunks: list[bytes]) -> list[bytes]:
    return [found for chunk in chunks for found in framer.feed(chunk)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(edges)]


@given(frames, st.binary(max_size=40), st.lists(st.integers(0, 600), max_size=12))
def test_frames_and_loss_do_not_depend_on_the_chunks(
    sent: list[bytes], rest: bytes, places: list[int]
) -> None:
    stream = b"".join(sent) + rest
    whole, split, single = Framer(LIMIT), Framer(LIMIT), Framer(LIMIT)

    found = whole.feed(stream)

    assert found[: len(sent)] == sent
    assert found == fed(split, cut(stream, places))
    assert found == fed(single, [stream[at : at + 1] for at in range(len(stream))])
    if whole.lost is None:
        assert whole.pending == split.pending == single.pending
        assert whole.pending_prefix() == split.pending_prefix() == single.pending_prefix()
    else:
        assert split.lost is not None
        assert single.lost is not None
        assert whole.lost.status == split.lost.status == single.lost.status


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_octets_are_frames_pending_or_lost_and_bounded(chunks: list[bytes]) -> None:
    framer = Framer(64)

    for found in fed(framer, chunks):
        assert int.from_bytes(found[:4], "big") == len(found)
        assert 16 <= len(found) <= 64

    assert framer.pending < 64
    assert len(framer.pending_prefix()) <= 16


@pytest.mark.parametrize("length", [0, 1, 15, LIMIT + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_r04_an_impossible_length_loses_framing_at_its_fourth_octet(length: int) -> None:
    octets = length.to_bytes(4, "big")
    framer = Framer(LIMIT)

    framer.feed(octets[:3])
    assert framer.lost is None
    framer.feed(octets[3:])

    assert framer.lost is not None
    assert framer.lost.consequence == "close"
    assert framer.lost.status == Status.ESME_RINVCMDLEN
    assert framer.lost.field == "command_length"
    assert framer.pending_prefix() == octets


def test_the_limit_itself_is_accepted() -> None:
    framer = Framer(LIMIT)
    largest = frame(bytes(LIMIT - 4))

    assert framer.feed(largest) == [largest]
    assert framer.feed(frame(bytes(12))) == [frame(bytes(12))]


def test_frames_before_the_loss_are_returned_and_none_after() -> None:
    framer = Framer(LIMIT)
    good = frame(bytes(12))

    assert framer.feed(good + bytes(40)) == [good]
    assert framer.lost is not None
    assert framer.feed(good) == []
    assert framer.pending == 16


def test_a_raised_limit_holds_for_the_next_pdu() -> None:
    framer = Framer(32)
    framer.feed(frame(bytes(12)))
    larger = frame(bytes(96))

    framer.limit = 100

    assert framer.feed(larger) == [larger]


def test_a_large_pdu_in_single_octets_is_whole_at_its_last() -> None:
    framer = Framer(131_072)
    largest = frame(bytes(131_068))

    found = fed(framer, [largest[at : at + 1] for at in range(len(largest))])

    assert found == [largest]
    assert framer.pending == 0


def test_incomplete_octets_wait() -> None:
    framer = Framer(LIMIT)

    assert framer.feed(b"\r\n") == []
    assert framer.lost is None
    assert framer.pending == 2
    assert framer.pending_prefix() == b"\r\n"


def test_frames_are_bytes_whatever_is_fed() -> None:
    framer = Framer(LIMIT)
    good = frame(bytes(12))

    for chunk in (bytearray(good), bytearray(good[:5]), bytearray(good[5:])):
        for found in framer.feed(chunk):
            assert type(found) is bytes
            assert found == good


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (bytes.fromhex("16030100f4010000f00303"), "TLS"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"PROXY TCP4 192.0.2.1", "PROXY"),
        (b"\0\0\0\0", "< 16"),
    ],
)
def test_r04_what_else_talks_to_the_port_is_named(octets: bytes, words: str) -> None:
    framer = Framer(131_072)

    framer.feed(octets)

    assert framer.lost is not None
    assert words in framer.lost.detail
