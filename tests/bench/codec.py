"""What one message costs before anything is stored: decoding, interpreting, its addresses.

    python -m tests.bench --codec          medians of five rounds; exit 1 above a budget

Cases are run one after the other in every round, each on the same octets, smpplib's decoder beside
ours: what else the machine does meets them all. Time is CPU time of this process alone.
"""

import statistics
from collections.abc import Callable
from itertools import count
from time import process_time
from timeit import Timer
from typing import Any

from smpplib import smpp

from smsc.config import Account
from smsc.content.address import normalise
from smsc.content.interpret import interpret
from smsc.message import Message
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import CommandId, DeliverSm, Tag

ROUNDS = 5
ITERATIONS = 5_000
SMOKE_ITERATIONS = 300

BUDGETS = {"decode a deliver_sm": 6.0, "interpret a GSM-7 message": 12.0}
"""Case → most CPU microseconds."""

TEXT = b"Meet me at the station at half past seven, under the big clock; bring the map."
MESSAGE = DeliverSm(
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr="447700900123",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr="447860000001",
    short_message=TEXT,
)
TLVS = (
    (int(Tag.user_message_reference), b"\0\1"),
    (int(Tag.source_network_type), b"\1"),
    (0x1403, b"vendor"),
)
ACCOUNT = Account(name="bench", system_id="bench")

Figures = dict[str, Any]


class _Client:
    """What smpplib's parser asks of its client."""

    def next_sequence(self) -> int:
        return 1


def cases() -> dict[str, Callable[[], object]]:
    """Each case by its name; each has been seen to do what it says."""
    frame = encode(Pdu(CommandId.deliver_sm, 0, 7, MESSAGE))
    with_tlvs = encode(Pdu(CommandId.deliver_sm, 0, 7, MESSAGE, TLVS))
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    assert pdu.body == MESSAGE
    client = _Client()
    theirs = smpp.parse_pdu(frame, client=client)
    assert theirs.short_message == TEXT
    arrival = interpret(pdu, frame, ACCOUNT, link="l", place=1, received_at=0)
    assert isinstance(arrival, Message)
    assert arrival.content.text == TEXT.decode()
    fresh = count(7_700_900_000)  # never the same twice, so that none is remembered
    assert normalise("07700900123", 2, 1, "GB").value == "+447700900123"
    return {
        "decode a deliver_sm": lambda: decode(frame),
        "the same by smpplib": lambda: smpp.parse_pdu(frame, client=client),
        "decode one with 3 TLVs": lambda: decode(with_tlvs),
        "encode a deliver_sm": lambda: encode(pdu),
        "interpret a GSM-7 message": lambda: interpret(
            pdu, frame, ACCOUNT, link="l", place=1, received_at=0
        ),
        "an international address": lambda: normalise("447700900123", 1, 1, "GB"),
        "a national one, by phonenumbers": lambda: normalise(f"0{next(fresh)}", 2, 1, "GB"),
        "a national one, remembered": lambda: normalise("07700900123", 2, 1, "GB"),
    }


def measure(*, smoke: bool = False) -> tuple[Figures, list[str]]:
    """Case → CPU microseconds, and what is above its budget.

    Medians of :data:`ROUNDS`; a smoke run is too short for those, and takes the best round.
    """
    timers = {name: Timer(case, timer=process_time) for name, case in cases().items()}
    iterations = SMOKE_ITERATIONS if smoke else ITERATIONS
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    for timer in timers.values():
        timer.timeit(iterations // 10)
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            rounds[name].append(timer.timeit(iterations) / iterations * 1e6)
    judge = min if smoke else statistics.median
    figures: Figures = {name: round(judge(times), 2) for name, times in rounds.items()}
    over = [
        f"{name}: {figures[name]} µs, and may cost {most:g}"
        for name, most in BUDGETS.items()
        if figures[name] > most
    ]
    return figures, over
