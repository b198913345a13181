from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smsc.config import Account
from smsc.content.assembly import set_key
from smsc.content.interpret import interpret
from smsc.content.whole import join, reread
from smsc.message import Arrival, Fragment, Message, Receipt, Unreadable
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import CommandId, DeliverSm

PLAIN = Account(name="acme", system_id="acme")
LATIN1 = Account(name="acme", system_id="acme", charsets={0: "latin1"})
PACKED = Account(name="acme", system_id="acme", packed=True)
CUTTING = Account(name="acme", system_id="acme", strip_trailing_nul=True)
BY_TEXT = Account(name="acme", system_id="acme", receipt_by_text=True)
ACCOUNTS = (
    PLAIN,
    LATIN1,
    PACKED,
    CUTTING,
    BY_TEXT,
    Account(
        name="acme",
        system_id="acme",
        charsets={0: "utf-8", 4: "ucs2", 8: "nonsense"},
        time_zone="Europe/Berlin",
        receipt_ids="decimal",
    ),
)


def arrive(octets: bytes, account: Account, at: int = 1, **fields: Any) -> Arrival:
    body = DeliverSm(short_message=octets, **fields)
    frame = encode(Pdu(CommandId.deliver_sm, 0, 1, body))
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    return interpret(pdu, frame, account, link="lnk_1", place=at, received_at=at)


def whole(octets: tuple[bytes, ...], account: Account, **fields: Any) -> Message | Receipt:
    arrivals = [arrive(each, account, at, **fields) for at, each in enumerate(octets)]
    fragments = [arrival for arrival in arrivals if isinstance(arrival, Fragment)]
    return join(fragments)


SPLIT = (
    bytes.fromhex("0500030a0201") + b"caf\xe9 cr",
    bytes.fromhex("0500030a0202") + b"\xe8me\0",
)


def test_r08_a_wrong_guess_is_redone_from_the_octets() -> None:
    read = arrive(b"caf\xe9 {", PLAIN)
    assert isinstance(read, Message)
    again = reread(read, LATIN1)

    assert (read.content.text, read.content.flags) == ("café ä", ("undecodable-octets",))
    assert again == arrive(b"caf\xe9 {", LATIN1)
    assert reread(again, PLAIN) == read


def test_r08_what_was_joined_is_read_again_too() -> None:
    read = whole(SPLIT, PLAIN, esm_class=0x40)
    again = reread(read, LATIN1)

    assert again == whole(SPLIT, LATIN1, esm_class=0x40)
    assert isinstance(again, Message)
    assert again.content.text == "café crème\ufffd"
    cut = reread(again, replace(LATIN1, strip_trailing_nul=True))
    assert isinstance(cut, Message)
    assert cut.content.text == "café crème"
    assert reread(cut, LATIN1) == again


def test_r08_gaps_stay_gaps() -> None:
    last = arrive(SPLIT[1], PLAIN, esm_class=0x40)
    assert isinstance(last, Fragment)
    again = reread(join([last]), LATIN1)

    assert isinstance(again, Message)
    assert again.content.text == "[…]ème\ufffd"
    assert again.content.missing == (1,)
    assert again.total == 2


def test_r08_fragments_and_receipts_are_read_again() -> None:
    fragment = arrive(SPLIT[0], PLAIN, esm_class=0x40)
    assert isinstance(fragment, Fragment)
    assert reread(fragment, LATIN1) == arrive(SPLIT[0], LATIN1, esm_class=0x40)
    text = b"id:ff stat:DELIVRD done date:2607011200 text:caf\xe9"
    receipt = arrive(text, PLAIN, esm_class=4)
    assert isinstance(receipt, Receipt)
    again = reread(receipt, ACCOUNTS[-1])
    assert isinstance(again, Receipt)
    assert (receipt.id, again.id) == ("ff", "255")
    assert (again.done_at or 0) - (receipt.done_at or 0) == -2 * 3_600_000


def test_r08_packed_text_that_was_read_unpacked() -> None:
    octets = bytes.fromhex("e8329bfd06")
    read = arrive(octets, PLAIN)
    assert isinstance(read, Message)
    again = reread(read, PACKED)

    assert isinstance(again, Message)
    assert again.content.text == "hello"
    assert again == arrive(octets, PACKED)


def test_a_message_may_turn_out_to_be_a_receipt() -> None:
    read = arrive(b"id:1 stat:DELIVRD", PLAIN)
    assert isinstance(read, Message)

    assert reread(read, BY_TEXT) == arrive(b"id:1 stat:DELIVRD", BY_TEXT)
    assert isinstance(reread(read, PLAIN), Message)


def test_segments_of_a_receipt_are_no_segments_of_a_message() -> None:
    text = (SPLIT[0][:6] + b"id:1 stat:", SPLIT[1][:6] + b"DELIVRD")
    read = whole(text, PLAIN, esm_class=0x44)

    assert isinstance(read, Receipt)
    assert (read.id, read.state, read.content.complete) == ("1", "DELIVRD", True)
    assert reread(read, PLAIN) == read
    marked = arrive(text[0], PLAIN, esm_class=0x44)
    assert isinstance(marked, Fragment)
    asked = arrive(text[0], BY_TEXT, esm_class=0x40)
    plain = arrive(text[0], PLAIN, esm_class=0x40)
    assert isinstance(asked, Fragment)
    assert isinstance(plain, Fragment)
    assert set_key(asked) == set_key(plain) != set_key(marked)


def test_a_segment_read_by_text_asks_the_account_as_it_is_now() -> None:
    fragment = arrive(SPLIT[0], BY_TEXT, esm_class=0x40)
    assert isinstance(fragment, Fragment)
    again = reread(fragment, PLAIN)

    assert isinstance(again, Fragment)
    assert again.receipt is None


@given(
    st.binary(max_size=60),
    st.sampled_from([0, 0x40, 4, 0x44, 0x20, 8]),
    st.integers(0, 255),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(ACCOUNTS),
)
def test_read_again_is_read_anew(
    octets: bytes, esm_class: int, coding: int, before: Account, after: Account
) -> None:
    """Whatever it was taken for: stored, loaded and read again it is as if it came today."""
    read = arrive(octets, before, esm_class=esm_class, data_coding=coding)
    assert not isinstance(read, Unreadable)
    stored = msgspec.json.decode(msgspec.json.encode(read), type=type(read))
    assert stored == read
    if isinstance(read, Receipt) and not esm_class & 0x24:
        return  # a receipt remains one

    assert reread(stored, after) == arrive(octets, after, esm_class=esm_class, data_coding=coding)
