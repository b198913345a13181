"""The matrix itself is walked by test_session.py, through a session in each phase."""

import pytest

from smsc.link.phases import STATES, UNBOUND, Phase, reaction
from smsc.wire.spec import ARRIVALS, COMMAND_NAMES, RESPONSE_BIT, CommandId, Status


def test_every_phase_has_a_state() -> None:
    assert set(STATES) == set(Phase)
    assert {phase for phase in Phase if STATES[phase] == "open"} == UNBOUND


@pytest.mark.parametrize("phase", Phase)
def test_messages_are_taken_in_one_phase_only(phase: Phase) -> None:
    for command in ARRIVALS:
        assert (reaction(phase, command) is None) == (phase is Phase.BOUND)


@pytest.mark.parametrize("phase", [Phase.OUTBOUND, Phase.ASKING, Phase.LEAVING, Phase.UNBINDING])
def test_messages_that_we_keep_waiting_are_to_be_sent_again(phase: Phase) -> None:
    assert {reaction(phase, command) for command in ARRIVALS} == {Status.ESME_RX_T_APPN}


@pytest.mark.parametrize("phase", set(Phase) - {Phase.CLOSED})
def test_r23_enquire_link_is_welcome_as_long_as_there_is_a_link(phase: Phase) -> None:
    assert reaction(phase, CommandId.enquire_link) is None


@pytest.mark.parametrize("phase", Phase)
def test_responses_are_never_refused(phase: Phase) -> None:
    for command in COMMAND_NAMES:
        if command & RESPONSE_BIT:
            assert reaction(phase, command) is None
