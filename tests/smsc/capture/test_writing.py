"""A conversation written down: what our own reader makes of it; tshark judges in a story."""

import pytest

from smsc.capture.files import Reader
from smsc.capture.packets import FIN, MOST_PAYLOAD, SYN, Place, Segment, segment
from smsc.capture.streams import Streams
from smsc.capture.writing import Conversation

CARRIER: Place = ("192.0.2.1", 50_000)
GATEWAYS: list[Place] = [("198.51.100.2", 2_775), ("2001:db8::2", 2_775)]
AT = 1_760_000_000_000_000


def segments(data: bytes) -> list[Segment]:
    reader = Reader()
    found = [segment(packet.link_type, packet.octets) for packet in reader.feed(data)]
    reader.end()
    assert not reader.fault
    return [each for each in found if each is not None]


def streams(found: list[Segment]) -> dict[str, list[tuple[bytes, int]]]:
    """Octets and what is missing before them, by sender."""
    reader = Streams()
    pieces = [piece for each in found for piece in reader.take(0, each)] + reader.end(0)
    said: dict[str, list[tuple[bytes, int]]] = {}
    for piece in pieces:
        if piece.octets:
            said.setdefault(piece.source[0], []).append((piece.octets, piece.lost))
    return said


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_conversation_from_handshake_to_end(gateway: Place) -> None:
    made = Conversation(CARRIER, gateway)
    data = made.begin(AT)
    data += made.say(AT + 1, b"question", dialler=True)
    data += made.say(AT + 2, b"answer", dialler=False)
    data += made.end(AT + 3, dialler=True)

    found = segments(data)

    carrier = found[0].source[0]
    assert [each.flags & (SYN | FIN) for each in found] == [SYN, SYN, 0, 0, 0, FIN, FIN, 0]
    assert streams(found) == {carrier: [(b"question", 0)], gateway[0]: [(b"answer", 0)]}


def test_large_octets_take_several_packets() -> None:
    made = Conversation(CARRIER, GATEWAYS[0])
    octets = bytes(range(256)) * 600

    found = segments(made.begin(AT) + made.say(AT, octets, dialler=False))

    assert max(each.size for each in found) == MOST_PAYLOAD
    assert b"".join(part for part, _ in streams(found)[GATEWAYS[0][0]]) == octets


def test_what_is_left_out_is_a_gap() -> None:
    made = Conversation(CARRIER, GATEWAYS[0])
    data = made.begin(AT) + made.say(AT, b"one", dialler=True)
    made.miss(70, dialler=True)
    data += made.say(AT, b"two", dialler=True)

    assert streams(segments(data)) == {CARRIER[0]: [(b"one", 0), (b"two", 70)]}


def test_ends_that_are_no_addresses_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="address"):
        Conversation(("memory", 1), GATEWAYS[0])
