from typing import get_args

import pytest

from smsc.config import Account, BindKind, Dial
from smsc.inbox import BindRefusal
from smsc.link import answers
from smsc.message import Verdict, VerdictKind
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import (
    BODIES,
    COMMAND_NAMES,
    RESPONSE_BIT,
    CommandId,
    DataSmResp,
    DeliverSmResp,
    Status,
    SubmitSmResp,
    Tag,
)

REQUESTS = [command for command in COMMAND_NAMES if not command & RESPONSE_BIT]
STORED = Verdict(VerdictKind.STORED, "msg_01JD0000000000000000000000")


def read(octets: bytes) -> Pdu:
    pdu = decode(octets)
    assert isinstance(pdu, Pdu)
    assert pdu.flags == ()
    return pdu


def test_every_refusal_and_every_verdict_has_a_status() -> None:
    assert set(answers.REFUSALS) == set(get_args(BindRefusal))
    assert set(answers.VERDICTS) == set(VerdictKind)
    assert all(answers.REFUSALS.values())


@pytest.mark.parametrize("sequence", [0, 1, 0x7FFFFFFF, 0x806A179B, 0xFFFFFFFF])
@pytest.mark.parametrize("command", [*REQUESTS, 0x00000110, 0x7FFFFFFF])
def test_a_refusal_is_the_commands_own_response_or_generic_nack(
    command: int, sequence: int
) -> None:
    pdu = read(answers.refused(command, Status.ESME_RSYSERR, sequence))

    response = command | RESPONSE_BIT
    assert pdu.command_id == (response if response in COMMAND_NAMES else CommandId.generic_nack)
    assert pdu.command_status == Status.ESME_RSYSERR
    assert pdu.sequence_number == sequence


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CommandId.deliver_sm, DeliverSmResp()),
        (CommandId.submit_sm, SubmitSmResp(message_id=STORED.id)),
        (CommandId.data_sm, DataSmResp(message_id=STORED.id)),
    ],
)
def test_stored_is_rok_and_only_submit_and_data_carry_the_id(
    command: CommandId, body: DeliverSmResp | SubmitSmResp | DataSmResp
) -> None:
    octets = answers.verdict_told(command, STORED, 7)

    assert octets == encode(Pdu(command | RESPONSE_BIT, 0, 7, body))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (VerdictKind.THROTTLED, Status.ESME_RTHROTTLED),
        (VerdictKind.FULL, Status.ESME_RMSGQFUL),
        (VerdictKind.UNAVAILABLE, Status.ESME_RX_T_APPN),
    ],
)
@pytest.mark.parametrize(
    ("command", "length"),
    [(CommandId.deliver_sm, 17), (CommandId.submit_sm, 16), (CommandId.data_sm, 17)],
)
def test_r22_other_verdicts_are_temporary_errors(
    kind: VerdictKind, status: Status, command: CommandId, length: int
) -> None:
    octets = answers.verdict_told(command, Verdict(kind), 7)

    assert read(octets).command_status == status
    assert len(octets) == length


@pytest.mark.parametrize("kind", get_args(BindKind))
@pytest.mark.parametrize(
    ("version", "told"), [(0x00, False), (0x33, False), (0x34, True), (0x50, True)]
)
def test_r07_only_peers_of_3_4_or_later_are_told_our_version(
    kind: BindKind, version: int, told: bool
) -> None:
    """R7: older peers are sent no TLVs."""
    pdu = read(answers.bound(kind, version, "smsbridge", 9))

    assert pdu.command_id == CommandId[f"bind_{kind}_resp"]
    assert pdu.command_status == 0
    assert pdu.sequence_number == 9
    assert getattr(pdu.body, "system_id", None) == "smsbridge"
    assert pdu.tlv(Tag.sc_interface_version) == (b"\x34" if told else None)


def test_lost_framing_is_a_generic_nack_without_a_number() -> None:
    pdu = read(answers.framing_lost(Status.ESME_RINVCMDLEN))

    assert (pdu.command_id, pdu.command_status, pdu.sequence_number) == (0x80000000, 2, 0)


@pytest.mark.parametrize("kind", get_args(BindKind))
def test_our_bind_is_as_the_account_says(kind: BindKind) -> None:
    dial = Dial(password="pw", system_type="gw", version=0x33, address_range="^44")
    account = Account(name="acme", system_id="acme", dial=dial)

    pdu = read(answers.our_bind(account, dial, kind, 9))

    command = CommandId[f"bind_{kind}"]
    assert answers.bind_command(kind) == command
    body = BODIES[command](
        system_id="acme",
        password="pw",
        system_type="gw",
        interface_version=0x33,
        address_range="^44",
    )
    assert pdu.body == body
    assert (pdu.command_id, pdu.sequence_number, pdu.tlvs) == (command, 9, ())


def test_our_bind_may_need_a_longer_password_than_the_specification_has() -> None:
    dial = Dial(system_id="us", password="p" * 64)
    account = Account(name="acme", system_id="acme", dial=dial)

    octets = answers.our_bind(account, dial, "receiver", 1)

    assert octets[16:] == b"us\0" + b"p" * 64 + b"\0\0\x34\0\0\0"
    assert int.from_bytes(octets[:4], "big") == len(octets)


def test_refusals_of_peers_are_told_in_words() -> None:
    assert answers.refusal_told(0x80000009, 0x0E) == "ESME_RINVPASWD (invalid password)"
    assert answers.refusal_told(0x80000000, 0x03).startswith("generic_nack ESME_RINVCMDID (")
    assert answers.refusal_told(0x80000009, 0x04AB).startswith("0x000004ab (")
