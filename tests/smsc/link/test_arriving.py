import pytest

from smsc.config import Account
from smsc.link import arriving
from smsc.link.arriving import arrival_of
from smsc.message import Arrival, Message, Unreadable
from smsc.wire.pdu import decode, encode
from tests.fix_peer import deliver

ACCOUNT = Account(name="acme", system_id="acme")


def test_a_pdu_becomes_what_it_brings() -> None:
    frame = encode(deliver(7, b"hello"))

    arrival = arrival_of(decode(frame), frame, ACCOUNT, "lnk_1", 3, 1_000)

    assert isinstance(arrival, Message)
    assert arrival.content.text == "hello"
    assert (arrival.origin.link, arrival.origin.place) == ("lnk_1", 3)


def test_what_cannot_be_read_is_kept() -> None:
    frame = bytes.fromhex("00000014 00000005 00000000 00000007 61626364")

    arrival = arrival_of(decode(frame), frame, ACCOUNT, "lnk_1", 3, 1_000)

    assert isinstance(arrival, Unreadable)
    assert arrival.raw == frame


def test_r03_a_fault_of_ours_keeps_the_octets_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def boom(*_args: object, **_more: object) -> Arrival:
        raise RuntimeError("secret text")

    monkeypatch.setattr(arriving, "interpret", boom)
    frame = encode(deliver(7))

    arrival = arrival_of(decode(frame), frame, ACCOUNT, "lnk_1", 3, 1_000)

    assert isinstance(arrival, Unreadable)
    assert arrival.raw == frame
    assert arrival.origin.place == 3
    assert "secret" not in arrival.reason
