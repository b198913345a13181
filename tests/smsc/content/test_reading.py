"""What an account says to broken tails, and frames that are read a second time."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from smsc.config import Account, Listener
from smsc.content.reading import as_wanted, read
from smsc.inbox import BindVerdict
from smsc.link.events import Arrived
from smsc.link.session import Session
from smsc.message import Message, Unreadable
from smsc.wire.pdu import Pdu, Undecodable, decode, encode
from smsc.wire.spec import BindTransceiver, CommandId, EnquireLink, Status
from tests.fix_peer import deliver

LENIENT = Account(name="acme", system_id="acme")
STRICT = Account(name="acme", system_id="acme", tails="reject")
SOUND = encode(deliver(7))
VECTORS = Path(__file__).parents[2] / "vectors"


def longer(frame: bytes, tail: bytes) -> bytes:
    whole = frame + tail
    return len(whole).to_bytes(4, "big") + whole[4:]


OVERRUN = longer(SOUND, b"\x14\x01\x00\x09abc")
NULS = longer(SOUND, b"\0\0")


def decoded(frame: bytes) -> Pdu:
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    return pdu


@pytest.mark.parametrize("frame", [SOUND, OVERRUN, NULS])
def test_r02_a_bad_tail_costs_nothing_by_default(frame: bytes) -> None:
    pdu = decoded(frame)

    assert as_wanted(pdu, LENIENT) is pdu
    assert as_wanted(pdu, None) is pdu


@pytest.mark.parametrize(
    ("frame", "status"),
    [(OVERRUN, Status.ESME_RINVPARLEN), (NULS, Status.ESME_RINVOPTPARSTREAM)],
)
def test_r02_or_makes_the_pdu_unreadable_where_the_account_says_so(
    frame: bytes, status: Status
) -> None:
    wanted = as_wanted(decoded(frame), STRICT)

    assert isinstance(wanted, Undecodable)
    assert wanted.frame == frame
    assert (wanted.error.status, wanted.error.consequence) == (status, "answer")
    assert wanted.error.offset == len(SOUND)
    assert (wanted.command_id, wanted.sequence_number) == (CommandId.deliver_sm, 7)


def test_only_a_tail_is_meant_and_only_of_what_brings_something() -> None:
    pdu = decoded(SOUND)
    assert as_wanted(pdu, STRICT) is pdu

    odd = decoded(longer(encode(Pdu(CommandId.enquire_link, 0, 1, EnquireLink())), b"\0"))
    assert odd.flags
    assert as_wanted(odd, STRICT) is odd


def test_what_could_not_be_read_is_read_when_the_options_allow_it() -> None:
    again = read(OVERRUN, STRICT, link="lnk_1", place=3, received_at=5)
    assert isinstance(again, Unreadable)
    assert again.raw == OVERRUN
    assert "optional parameter" in again.reason

    again = read(OVERRUN, LENIENT, link="lnk_1", place=3, received_at=5)
    assert isinstance(again, Message)
    assert again.content.text == "hello"
    assert (again.origin.link, again.origin.place, again.origin.received_at) == ("lnk_1", 3, 5)


def test_less_than_a_header_is_no_frame() -> None:
    assert read(b"\0" * 15, LENIENT, link="", place=0, received_at=0) is None


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(bytes.fromhex(vector["hex"]), id=vector["id"])
        for vector in json.loads((VECTORS / "malformed.json").read_text())["vectors"]
        if len(vector["hex"]) >= 32
    ],
)
@pytest.mark.parametrize("account", [LENIENT, STRICT])
def test_r03_reading_again_never_raises(octets: bytes, account: Account) -> None:
    assert read(octets, account, link="", place=0, received_at=0) is not None


def bound(account: Account) -> Session:
    session = Session(Listener(), 0.0)
    body = BindTransceiver(system_id="acme", password="secret", interface_version=0x34)
    session.receive(Pdu(CommandId.bind_transceiver, 0, 1, body), 0.0)
    session.answer_bind(BindVerdict(account=account), 0.0)
    session.data_to_send()
    return session


def test_r02_a_session_takes_it_in_as_unreadable_or_refuses_it() -> None:
    keeping, refusing = bound(STRICT), bound(replace(STRICT, unreadable="reject"))

    event = keeping.receive(decoded(OVERRUN), 1.0)
    assert isinstance(event, Arrived)
    assert isinstance(event.pdu, Undecodable)

    assert refusing.receive(decoded(OVERRUN), 1.0) is None
    answer = decode(refusing.data_to_send())
    assert (answer.command_id, answer.command_status) == (
        CommandId.deliver_sm_resp,
        Status.ESME_RINVPARLEN,
    )
