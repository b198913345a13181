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
    UNANSWERED,
    CommandId,
    LinkState,
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


@pytest.mark.parametrize(("state", "command"), list(itertools.product(LinkState, CommandId)))
def test_every_command_is_welcome_or_refused_with_a_status(
    state: LinkState, command: CommandId
) -> None:
    status = refusal(state, command)

    assert allowed(state, command) is (status is None)
    if command & RESPONSE_BIT or command in PEER_MAY_SEND[state]:
        assert status is None
    elif state in BOUND:
        assert status == REFUSED_WHEN_BOUND.get(command, Status.ESME_RINVBNDSTS)
    else:
        assert status == Status.ESME_RINVBNDSTS


def test_every_state_says_which_requests_a_peer_may_send() -> None:
    assert set(LinkState) == set(PEER_MAY_SEND)
    assert all(not command & RESPONSE_BIT for row in PEER_MAY_SEND.values() for command in row)


@pytest.mark.parametrize("state", BOUND)
def test_a_bound_peer_may_send_what_makes_sense_towards_an_smsc_or_an_esme(
    state: LinkState,
) -> None:
    assert {command.name for command in PEER_MAY_SEND[state]} == {
        "deliver_sm",
        "data_sm",
        "submit_sm",
        "alert_notification",
        "enquire_link",
        "unbind",
    }


@pytest.mark.parametrize("command", sorted(BINDS))
def test_nobody_binds_to_us_where_it_is_on_us_to_bind(command: CommandId) -> None:
    assert refusal(LinkState.OUTBOUND, command) == Status.ESME_RINVBNDSTS


def test_outbind_is_for_a_link_that_is_not_bound() -> None:
    before = {LinkState.OPEN, LinkState.OUTBOUND}

    assert before == {state for state in LinkState if allowed(state, CommandId.outbind)}
    for state in set(LinkState) - before:
        assert refusal(state, CommandId.outbind) == Status.ESME_RINVBNDSTS


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


@pytest.mark.parametrize("state", LinkState)
def test_an_unknown_command_is_unknown_in_every_state(state: LinkState) -> None:
    assert refusal(state, 0x110) == Status.ESME_RINVCMDID
    assert refusal(state, 0x80000110) is None
