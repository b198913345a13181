import itertools

import pytest
from smpplib import command_codes

from smsc.wire.commands import (
    ARRIVALS,
    BINDS,
    COMMAND_NAMES,
    PEER_MAY_SEND,
    REFUSED_WHEN_BOUND,
    RESPONSE_BIT,
    SMSC_MAY_SEND,
    UNANSWERED,
    CommandId,
    LinkState,
    Peer,
    allowed,
    answer_id,
    refusal,
)
from smsc.wire.statuses import Status
from tests.fix_wireshark import Range

BOUND = [LinkState.BOUND_RX, LinkState.BOUND_TX, LinkState.BOUND_TRX]
NOT_BOUND = [state for state in LinkState if state not in BOUND]
THEIRS = command_codes.commands


def test_commands_agree_with_an_independent_table() -> None:
    ours = {command.name: int(command) for command in CommandId}

    assert {name: ours.get(name) for name in THEIRS} == THEIRS


def test_commands_agree_with_wireshark(wireshark_values: dict[str, list[Range]]) -> None:
    theirs = {
        known.words.lower().replace(" - ", "_"): known.first
        for known in wireshark_values["smpp.command_id"]
        if not known.first & 0x01000000  # a vendor's
    }

    assert theirs == {command.name: int(command) for command in CommandId}


@pytest.mark.parametrize("command", CommandId)
def test_every_request_is_answered_by_its_own_response(command: CommandId) -> None:
    answer = answer_id(command)

    if command & RESPONSE_BIT or command in UNANSWERED:
        assert answer is None
    else:
        assert answer is not None
        assert f"{command.name}_resp" == COMMAND_NAMES[answer]


def test_an_unknown_command_is_answered_by_generic_nack() -> None:
    assert answer_id(0x110) == CommandId.generic_nack


def test_an_unknown_response_has_no_answer() -> None:
    assert answer_id(0x80000110) is None


EVERYTHING = list(itertools.product(Peer, LinkState, CommandId))
MAY_SEND = {Peer.ESME: PEER_MAY_SEND, Peer.SMSC: SMSC_MAY_SEND}


@pytest.mark.parametrize(("peer", "state", "command"), EVERYTHING)
def test_every_command_is_welcome_or_refused_with_a_status(
    peer: Peer, state: LinkState, command: CommandId
) -> None:
    status = refusal(state, command, peer)

    assert allowed(state, command, peer) is (status is None)
    if command & RESPONSE_BIT or command in MAY_SEND[peer][state]:
        assert status is None
    elif state in BOUND:
        assert status == REFUSED_WHEN_BOUND.get(command, Status.ESME_RINVBNDSTS)
    else:
        assert status == Status.ESME_RINVBNDSTS


@pytest.mark.parametrize("peer", Peer)
def test_every_state_says_what_a_peer_may_send(peer: Peer) -> None:
    assert set(LinkState) == set(MAY_SEND[peer])
    assert all(not command & RESPONSE_BIT for row in MAY_SEND[peer].values() for command in row)


@pytest.mark.parametrize("state", BOUND)
def test_an_smsc_may_do_all_that_makes_sense_towards_an_esme(state: LinkState) -> None:
    welcome = {
        command.name
        for command in CommandId
        if not command & RESPONSE_BIT and allowed(state, command, Peer.SMSC)
    }

    assert welcome == {
        "deliver_sm",
        "data_sm",
        "submit_sm",
        "alert_notification",
        "enquire_link",
        "unbind",
    }


@pytest.mark.parametrize("command", sorted(BINDS))
def test_an_smsc_does_not_bind_to_us(command: CommandId) -> None:
    assert refusal(LinkState.OPEN, command, Peer.SMSC) == Status.ESME_RINVBNDSTS
    for state in BOUND:
        assert refusal(state, command, Peer.SMSC) == Status.ESME_RALYBND


def test_outbind_is_for_an_open_link_whoever_opened_it() -> None:
    for peer in Peer:
        assert allowed(LinkState.OPEN, CommandId.outbind, peer)
        for state in set(LinkState) - {LinkState.OPEN}:
            assert refusal(state, CommandId.outbind, peer) == Status.ESME_RINVBNDSTS


OPERATIONS = {
    CommandId.query_sm: Status.ESME_RQUERYFAIL,
    CommandId.cancel_sm: Status.ESME_RCANCELFAIL,
    CommandId.replace_sm: Status.ESME_RREPLACEFAIL,
    CommandId.submit_multi: Status.ESME_RSUBMITFAIL,
    CommandId.broadcast_sm: Status.ESME_RBCASTFAIL,
    CommandId.query_broadcast_sm: Status.ESME_RBCASTQUERYFAIL,
    CommandId.cancel_broadcast_sm: Status.ESME_RBCASTCANCELFAIL,
}


@pytest.mark.parametrize("command", OPERATIONS)
def test_an_operation_that_means_nothing_to_us_fails_by_its_own_response(
    command: CommandId,
) -> None:
    answer = answer_id(command)

    assert answer == command | RESPONSE_BIT
    assert refusal(LinkState.OPEN, command) == Status.ESME_RINVBNDSTS
    for state in BOUND:
        assert refusal(state, command) == OPERATIONS[command]


@pytest.mark.parametrize(("state", "command"), list(itertools.product(BOUND, sorted(ARRIVALS))))
def test_arrivals_are_welcome_however_the_peer_bound(state: LinkState, command: CommandId) -> None:
    assert state.bound
    assert allowed(state, command)


@pytest.mark.parametrize(("state", "command"), list(itertools.product(NOT_BOUND, sorted(ARRIVALS))))
def test_arrivals_are_refused_unless_bound(state: LinkState, command: CommandId) -> None:
    assert not state.bound
    assert refusal(state, command) == Status.ESME_RINVBNDSTS


@pytest.mark.parametrize("command", sorted(BINDS))
def test_a_bind_is_for_an_open_link(command: CommandId) -> None:
    assert allowed(LinkState.OPEN, command)
    for state in BOUND:
        assert refusal(state, command) == Status.ESME_RALYBND


def test_the_first_pdu_is_a_bind_an_outbind_or_enquire_link() -> None:
    welcome = {c for c in CommandId if not c & RESPONSE_BIT and allowed(LinkState.OPEN, c)}

    assert BINDS | {CommandId.outbind, CommandId.enquire_link} == welcome


@pytest.mark.parametrize(("peer", "state"), list(itertools.product(Peer, LinkState)))
def test_an_unknown_command_is_unknown_in_every_state(peer: Peer, state: LinkState) -> None:
    assert refusal(state, 0x110, peer) == Status.ESME_RINVCMDID
    assert refusal(state, 0x80000110, peer) is None
