"""Captures → PDUs: found, cut, and what is not there or no SMPP."""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest

from smsc.capture import files
from smsc.capture.dialogues import Cut, Dialogues
from smsc.capture.packets import ACK, PSH, SYN, Place, frame
from smsc.inspect import explain_cut, mask, to_json, to_text
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import CommandId, DeliverSm, EnquireLink

CARRIER, GATEWAY = ("192.0.2.1", 50_000), ("198.51.100.2", 2_775)

ENQUIRE = encode(Pdu(CommandId.enquire_link, 0, 1, EnquireLink()))


def deliver(sequence: int, text: bytes = b"hello") -> bytes:
    return encode(Pdu(CommandId.deliver_sm, 0, sequence, DeliverSm(short_message=text)))


PDUS = [deliver(n, b"x" * n) for n in range(1, 40)]
STREAM = b"".join(PDUS)

Parts = Iterable[tuple[int, bytes]]


def capture(
    parts: Parts, *, begin: int | None = 0, source: Place = CARRIER, target: Place = GATEWAY
) -> bytes:
    """A capture of a stream's parts by offset; ``begin``: its first, whose SYN was seen."""
    data = files.file_header()
    if begin is not None:
        data += files.packet(0, frame(source, target, begin, 0, SYN))
    return data + b"".join(
        files.packet(place, frame(source, target, 1 + at, 0, PSH | ACK, octets))
        for place, (at, octets) in enumerate(parts)
    )


def read(data: bytes, ports: Sequence[int] = (), *, piece: int = 1 << 30) -> list[Cut]:
    return list(_read(Dialogues(ports), data, piece))


def _read(dialogues: Dialogues, data: bytes, piece: int = 1 << 30) -> Iterable[Cut]:
    for at in range(0, len(data), piece):
        yield from dialogues.feed(data[at : at + piece])
    yield from dialogues.end()


def said(data: bytes, ports: Sequence[int] = ()) -> str:
    dialogues = Dialogues(ports)
    list(_read(dialogues, data))
    return dialogues.summary()


@pytest.mark.parametrize("seed", range(10))
def test_pdus_are_cut_wherever_packets_end(seed: int) -> None:
    chance = random.Random(seed)
    cuts = [0, *sorted(chance.sample(range(1, len(STREAM)), 30)), len(STREAM)]
    parts = [(at, STREAM[at:end]) for at, end in pairwise(cuts)]
    if seed % 2:
        chance.shuffle(parts)

    found = read(capture(parts), piece=chance.randrange(1, 5_000))

    assert [cut.octets for cut in found] == PDUS
    assert {(cut.source, cut.target, cut.stream, cut.lost, cut.error) for cut in found} == {
        (CARRIER, GATEWAY, 1, 0, None)
    }
    assert [cut.at for cut in found] == sorted(cut.at for cut in found)


@pytest.mark.parametrize("skipped", [1, 3, 16, 40, 200])
def test_a_capture_may_begin_within_a_pdu(skipped: int) -> None:
    found = read(capture([(skipped, STREAM[skipped:])], begin=None))

    octets = [cut.octets for cut in found]
    assert octets == PDUS[-len(octets) :]
    assert found[0].lost + skipped == STREAM.index(octets[0])


def test_after_a_gap_the_next_whole_pdu_is_found() -> None:
    at = len(PDUS[0]) + 10
    behind = at + len(PDUS[1])
    found = read(capture([(0, STREAM[:at]), (behind, STREAM[behind:])]))

    octets = [cut.octets for cut in found]
    assert octets == [PDUS[0], *PDUS[-len(octets) + 1 :]]
    missing = len(STREAM) - sum(map(len, octets))
    assert found[1].lost == missing
    assert missing < 400


def test_what_is_no_smpp_is_passed_over() -> None:
    web = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"

    assert read(capture([(0, web)])) == []
    assert (
        read(capture(((at, web * 500) for at in range(0, 400_000, 500 * len(web))), begin=None))
        == []
    )
    assert said(capture([(0, web)])) == "2 packets, 1 TCP streams, 0 with SMPP"


def test_on_a_port_that_was_named_it_is_shown() -> None:
    web = b"GET / HTTP/1.1\r\n"

    (found,) = read(capture([(0, web)]), [2_775])

    assert found.octets == web
    assert found.error is not None
    assert "HTTP" in found.error.detail


def test_other_ports_than_those_named_are_left_out() -> None:
    data = capture([(0, STREAM)])

    assert read(data, [2_776]) == []
    assert len(read(data, [50_000])) == len(PDUS)
    assert "2 packets of other ports" in said(data, [2_776])


def test_tls_is_told() -> None:
    assert "1 are TLS" in said(capture([(0, b"\x16\x03\x01" + bytes(60))]))


def test_both_ends_of_a_link() -> None:
    data = (
        capture([(0, ENQUIRE)])
        + capture([(0, deliver(7))], source=GATEWAY, target=CARRIER)[len(files.file_header()) :]
    )

    found = read(data)

    assert [(cut.source, cut.stream) for cut in found] == [(CARRIER, 1), (GATEWAY, 1)]


def test_the_capture_may_end_within_a_pdu() -> None:
    *whole, last = read(capture([(0, STREAM[:-5])]))

    assert [cut.octets for cut in whole] == PDUS[:-1]
    assert last.error is not None
    assert last.error.consequence == "incomplete"
    assert f"of {len(PDUS[-1])}" in last.error.detail


def test_lost_framing_ends_that_way() -> None:
    found = read(capture([(0, PDUS[0] + bytes(64) + STREAM)]))

    assert [cut.octets for cut in found] == [PDUS[0], bytes(16)]
    assert found[1].error is not None
    assert found[1].error.consequence == "close"


def test_a_damaged_file_says_so() -> None:
    dialogues = Dialogues()
    found = list(_read(dialogues, capture([(0, STREAM)])[:-3]))

    assert found == []
    assert "ends within a packet" in dialogues.fault
    assert "ends within a packet" in dialogues.summary()


def test_a_link_type_nobody_reads_is_named() -> None:
    data = files.file_header(147) + files.packet(0, bytes(60))

    assert "link type 147" in said(data)


def test_nothing_raises_however_damaged() -> None:
    chance = random.Random(11)
    whole = capture([(at, STREAM[at : at + 300]) for at in range(0, len(STREAM), 300)])
    for _ in range(50):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 40)):
            data[chance.randrange(24, len(data))] = chance.randrange(256)
        for ports in ((), (2_775,)):
            for cut in read(bytes(data), ports, piece=chance.randrange(100, 9_000)):
                to_text(mask(explain_cut(cut)))
                to_json(explain_cut(cut))
