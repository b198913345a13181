"""What is fuzzed, and what must hold: any octets are a PDU, an answerable error or a close.

Each target takes octets and returns, or fails an assertion. They need no fuzzer: the corpus is
walked by an ordinary test, and :mod:`tests.fuzz.__main__` lets a coverage-guided one look for more.
"""

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from msgspec.structs import replace

from smsc.config import Account, Listener
from smsc.content import receipt
from smsc.content.assembly import join
from smsc.content.interpret import interpret, unreadable
from smsc.inbox import BindVerdict
from smsc.link.events import Arrived, BindAsked
from smsc.link.session import Session
from smsc.message import (
    Arrival,
    Content,
    Fragment,
    Message,
    Part,
    Receipt,
    Unreadable,
    Verdict,
    VerdictKind,
)
from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, Undecodable, decode, encode
from smsc.wire.spec import RESPONSE_BIT, CommandId

HEADER = struct.Struct(">IIII")
STORED = Verdict(VerdictKind.STORED, "msg_0")
LIMIT = 4_096
SILENT = frozenset({CommandId.outbind, CommandId.alert_notification})
"""Requests the specification gives no response."""

ACCOUNTS = tuple(
    Account(name="one", system_id="one", **options)
    for options in (
        {},
        {"default_country": "GB", "strip_trailing_nul": True},
        {"packed": True, "receipt_by_text": True},
        {"charsets": {0: "latin1", 8: "ucs2-le"}, "receipt_ids": "decimal"},
        {"charsets": {0: "utf-8", 4: "ascii"}, "receipt_ids": "hexadecimal"},
        {"receipt_by_text": True, "message_id_tlv": 0x1400, "sent_at_tlv": 0x1401},
        {"charsets": {0: "iso-2022-jp", 1: "shift_jis"}, "time_zone": "Asia/Tokyo"},
        {"unreadable": "reject", "tails": "reject"},
    )
)


def wire(data: bytes) -> None:
    """A stream: its first octet says how it is cut, the rest is what a bound carrier sends."""
    if not data:
        return
    cut, stream = 1 + data[0], data[1:]
    whole = Framer(LIMIT)
    frames = whole.feed(stream)
    pieces = Framer(LIMIT)
    by_pieces = [
        frame
        for start in range(0, len(stream), cut)
        for frame in pieces.feed(stream[start : start + cut])
    ]
    assert by_pieces == frames, "a stream cut elsewhere gives other frames"
    assert (whole.lost is None) == (pieces.lost is None)
    assert sum(map(len, frames)) + whole.pending <= len(stream) or whole.lost

    pdus = []
    for frame in frames:
        pdu = decode(frame)
        pdus.append(pdu)
        if type(pdu) is Pdu:
            assert encode(pdu) == frame, "encode is not the inverse of decode"
        else:
            assert type(pdu) is Undecodable
            assert pdu.error.status
            assert pdu.error.offset <= len(frame)
        repr(pdu)
    _answers(pdus, whole)


def _answers(pdus: list[Pdu | Undecodable], framer: Framer) -> None:
    """Every framed request has exactly one answer, with its number, in whatever state."""
    session = Session(Listener(), 0.0)
    account = replace(ACCOUNTS[0], window=10_000)
    session.receive(_bind(), 0.0)
    session.answer_bind(BindVerdict(account=account), 0.0)
    session.data_to_send()
    open_places = []
    asked: Counter[int] = Counter()
    may_be_told: Counter[int] = Counter()  # without a response of their own, but refused
    for pdu in pdus:
        if session.closed:
            break
        if pdu.command_id in SILENT:
            may_be_told[pdu.sequence_number] += 1
        elif not pdu.command_id & RESPONSE_BIT:
            asked[pdu.sequence_number] += 1
        event = session.receive(pdu, 0.0)
        if isinstance(event, Arrived):
            open_places.append(event.place)
        assert not isinstance(event, BindAsked), "a second bind was taken for the first"
    for place in open_places:
        session.answer(place, STORED, 0.0)
    if framer.lost:
        session.framing_lost(framer.lost, 0.0)
    answers = Counter(
        sequence for command, sequence in _headers(session.data_to_send()) if command & RESPONSE_BIT
    )
    if framer.lost:
        may_be_told[0] += 1
    assert asked <= answers, f"asked {asked}, answered {answers}"
    assert answers - asked <= may_be_told, f"asked {asked}, answered {answers}"


def _bind() -> Pdu:
    body = b"one\0\0\0\x34\0\0\0"
    pdu = decode(HEADER.pack(16 + len(body), CommandId.bind_transceiver, 0, 1) + body)
    assert type(pdu) is Pdu
    return pdu


def _headers(octets: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(octets):
        length, command, _, sequence = HEADER.unpack_from(octets, at)
        assert length >= 16
        yield command, sequence
        at += length
    assert at == len(octets)


def content(data: bytes) -> None:
    """A deliver_sm: octets 0 to 4 are account, esm_class, data_coding, the source's TON and NPI,
    and the length of short_message; what follows that is TLVs as they come."""
    if len(data) < 5:
        return
    account = ACCOUNTS[data[0] % len(ACCOUNTS)]
    esm_class, coding, ton, size = data[1:5]
    size %= 255
    text, tlvs = data[5 : 5 + size], data[5 + size :]
    frame = _deliver_sm(ton, esm_class, coding, text, tlvs)
    arrival = _interpreted(frame, account)
    again = _interpreted(frame, account)
    assert arrival == again, "the same PDU read twice is not the same"
    _sound(arrival)
    if isinstance(arrival, Fragment):
        _sound(join([arrival]))
        last = replace(arrival, concat=replace(arrival.concat, seq=arrival.concat.total))
        _sound(join([last, arrival, last]))


def _deliver_sm(ton: int, esm_class: int, coding: int, text: bytes, tlvs: bytes) -> bytes:
    body = b"".join(
        (
            b"\0",
            bytes((ton >> 4, ton & 15)),
            b"447700900123\0\1\x01447700900999\0",
            bytes((esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(text))),
            text,
            tlvs,
        )
    )
    return HEADER.pack(16 + len(body), CommandId.deliver_sm, 0, 7) + body


def _interpreted(frame: bytes, account: Account) -> Arrival:
    pdu = decode(frame)
    if type(pdu) is Undecodable:
        return unreadable(pdu, account, link="lnk_0", place=1, received_at=0)
    assert type(pdu) is Pdu
    return interpret(pdu, frame, account, link="lnk_0", place=1, received_at=0)


def _sound(arrival: Arrival) -> None:
    """What every reader of an arrival relies on."""
    if isinstance(arrival, Unreadable):
        assert arrival.reason
        return
    for address in (arrival.source, arrival.destination):
        _valid(address.value)
        if address.type == "e164":
            assert address.value[0] == "+"
            assert address.value[1:].isdecimal()
    json.dumps(arrival.metadata)
    for value in arrival.metadata.values():
        _valid(str(value))
    if isinstance(arrival, Fragment):
        assert 1 <= arrival.concat.seq <= arrival.concat.total
        return
    _sound_content(arrival.content)
    if isinstance(arrival, Receipt):
        texts = (arrival.id, arrival.id_text, arrival.id_tlv, arrival.state, arrival.error)
        for text in (*texts, arrival.text):
            _valid(text or "")
    else:
        assert isinstance(arrival, Message)
        _valid(arrival.carrier_message_id or "")


def _sound_content(read: Content) -> None:
    _valid(read.text)
    assert read.parts
    assert all(isinstance(part, Part) for part in read.parts)
    assert all(1 <= a < b for a, b in pairwise(read.missing))


def _valid(text: str) -> None:
    text.encode("utf-8")  # raises on a lone surrogate


def receipts(data: bytes) -> None:
    """A receipt: its first two octets are the account and the length of its TLVs, which come
    before its text."""
    if len(data) < 2:
        return
    account, size = ACCOUNTS[data[0] % len(ACCOUNTS)], data[1]
    tlvs, text = data[2 : 2 + size], data[2 + size :][:254]
    fields = receipt.read(text.decode("latin-1"), _tlvs(tlvs), "Europe/Berlin")
    receipt.millis(fields.submit_date)
    receipt.millis(fields.done_date)
    arrival = _interpreted(_deliver_sm(0x11, 0x04, 0, text, tlvs), account)
    assert isinstance(arrival, Receipt | Fragment | Unreadable), "a receipt was not one"
    _sound(arrival)


def _tlvs(octets: bytes) -> tuple[tuple[int, bytes], ...]:
    found = []
    while len(octets) >= 4:
        tag, size = struct.unpack_from(">HH", octets)
        found.append((tag, octets[4 : 4 + size]))
        octets = octets[4 + size :]
    return tuple(found)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "content": content,
    "receipts": receipts,
}
