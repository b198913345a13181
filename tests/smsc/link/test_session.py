import struct
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc.config import Account, BindKind, Listener, Timers
from smsc.inbox import BindRefusal, BindVerdict
from smsc.link import answers
from smsc.link.events import Arrived, BindAnswered, BindAsked, OutbindAsked
from smsc.link.phases import Phase, reaction
from smsc.link.session import Session
from smsc.message import Verdict, VerdictKind
from smsc.wire.errors import WireError
from smsc.wire.pdu import Pdu, Undecodable, decode, encode
from smsc.wire.spec import (
    BODIES,
    RESPONSE_BIT,
    CommandId,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Status,
    UnbindResp,
)
from tests.fix_sessions import (
    ACCOUNT,
    DIALLING,
    LISTENER,
    LOST,
    REQUESTS,
    STORED,
    UNKNOWN,
    bound,
    dialling,
    expected,
    in_phase,
    request,
    sent,
    told,
    unreadable,
)


@pytest.mark.parametrize("command", REQUESTS)
@pytest.mark.parametrize("phase", Phase)
def test_each_request_in_each_state(phase: Phase, command: int) -> None:
    session = in_phase(phase)

    session.receive(request(command, 0xFEDCBA98), 1.0)

    status = expected(phase, command)
    response = command | RESPONSE_BIT
    if response not in BODIES:
        response = CommandId.generic_nack
    answered = [(pdu.command_id, pdu.command_status, pdu.sequence_number) for pdu in sent(session)]
    assert answered == ([] if status is None else [(response, status, 0xFEDCBA98)])


@pytest.mark.parametrize("command", REQUESTS)
@pytest.mark.parametrize("phase", Phase)
def test_each_unreadable_request_in_each_state(phase: Phase, command: int) -> None:
    session = in_phase(phase)
    before = session.phase

    session.receive(
        unreadable(command, 7) if command != UNKNOWN else request(command, 7),
        1.0,
    )

    (answer,) = sent(session)
    wrong_state = reaction(phase, command)
    assert answer.command_status == (wrong_state or Status.ESME_RINVMSGLEN)
    assert answer.sequence_number == 7
    assert session.phase is before


@pytest.mark.parametrize("command", [c for c in BODIES if c & RESPONSE_BIT] + [0x80000110])
@pytest.mark.parametrize("status", [0, 8, 0x1234ABCD])
@pytest.mark.parametrize("phase", Phase)
def test_r05_a_response_is_never_answered_and_one_that_matches_nothing_is_only_counted(
    phase: Phase, command: int, status: int
) -> None:
    """R5: responses are read loosely and cost no link."""
    if phase is Phase.ASKING and command == CommandId.generic_nack:
        return  # there a nack needs no number: see below
    session = in_phase(phase)

    session.receive(Pdu(command, status, 0x7000, None), 1.0)
    session.receive(unreadable(command, 0x7000), 1.0)

    assert session.data_to_send() == b""
    assert session.phase is phase
    assert session.unsolicited == 2


# Binding.


@pytest.mark.parametrize("kind", get_args(BindKind))
@pytest.mark.parametrize("version", [0x00, 0x33, 0x34, 0x50, 0xFF])
def test_r07_every_kind_and_version_binds(kind: BindKind, version: int) -> None:
    """R7: any interface version may bind."""
    session = Session(LISTENER, 0.0)
    command = CommandId[f"bind_{kind}"]
    body = BODIES[command](
        system_id="acme", password="pw", system_type="t", interface_version=version
    )

    event = session.receive(Pdu(command, 0, 5, body), 0.0)

    assert event == BindAsked(kind, "acme", "pw", "t", version)
    assert session.data_to_send() == b""
    session.answer_bind(BindVerdict(account=ACCOUNT), 0.1)
    assert session.state == "bound"
    assert session.data_to_send() == answers.bound(kind, version, "smsbridge", 5)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        ("unknown-system-id", Status.ESME_RINVSYSID),
        ("wrong-password", Status.ESME_RINVPASWD),
        ("kind-not-allowed", Status.ESME_RBINDFAIL),
        ("disabled", Status.ESME_RBINDFAIL),
        ("too-many-links", Status.ESME_RALYBND),
        ("unavailable", Status.ESME_RSYSERR),
    ],
)
def test_a_refused_bind_is_told_why_and_the_link_ends(refusal: BindRefusal, status: Status) -> None:
    session = Session(LISTENER, 0.0)
    session.receive(request(CommandId.bind_transmitter, 3), 0.0)

    session.answer_bind(BindVerdict(refusal=refusal), 0.1)

    assert told(session) == [("bind_transmitter_resp", status, 3)]
    assert session.closed
    assert session.reason == f"bind-refused: {refusal}"
    assert session.errors == 1


def test_a_bind_whose_verdict_never_comes_is_answered_when_time_is_up() -> None:
    session = Session(LISTENER, 0.0)
    session.receive(request(CommandId.bind_receiver, 3), 0.0)

    session.tick(10.0)

    assert told(session) == [("bind_receiver_resp", Status.ESME_RSYSERR, 3)]
    assert session.reason == "session-init-timeout"
    session.answer_bind(BindVerdict(account=ACCOUNT), 10.1)  # too late: without effect
    assert session.closed
    assert session.data_to_send() == b""


def test_a_peer_may_probe_and_blunder_before_it_binds() -> None:
    session = Session(LISTENER, 0.0)
    session.receive(request(CommandId.enquire_link, 1), 0.0)
    session.receive(request(CommandId.deliver_sm, 2), 0.0)
    event = session.receive(request(CommandId.bind_receiver, 3), 0.0)
    session.answer_bind(BindVerdict(account=ACCOUNT), 0.0)

    assert isinstance(event, BindAsked)
    assert told(session) == [
        ("enquire_link_resp", Status.ESME_ROK, 1),
        ("deliver_sm_resp", Status.ESME_RINVBNDSTS, 2),
        ("bind_receiver_resp", Status.ESME_ROK, 3),
    ]


# Binding ourselves.


def test_a_dialled_link_binds_with_what_the_account_says() -> None:
    session = Session(LISTENER, 0.0, dialled=True)
    session.bind(DIALLING, "receiver", 0.0)

    (bind,) = sent(session)
    assert (bind.command_id, bind.sequence_number) == (CommandId.bind_receiver, 1)
    assert bind.body == BODIES[CommandId.bind_receiver](
        system_id="us", password="ours", system_type="gw", interface_version=0x34
    )
    assert (session.state, session.direction, session.kind) == ("open", "dialled", "receiver")
    assert session.receive(Pdu(CommandId.bind_receiver_resp, 0, 1, None), 0.1) == BindAnswered("")
    assert session.phase is Phase.BOUND
    assert arrive(session, 9) == 1
    assert session.next_deadline() == 31.0


def test_an_outbind_is_followed_by_our_bind_once_the_gate_agrees() -> None:
    session = Session(LISTENER, 0.0)
    event = session.receive(Pdu(CommandId.outbind, 0, 5, Outbind("acme", "pw")), 0.0)

    assert event == OutbindAsked("acme", "pw")
    assert session.data_to_send() == b""
    assert session.next_deadline() == 10.0
    session.answer_outbind(BindVerdict(account=DIALLING), 3.0)

    assert told(session) == [("bind_transceiver", 0, 1)]
    assert session.direction == "outbind"
    assert session.next_deadline() == 13.0
    session.receive(Pdu(CommandId.bind_transceiver_resp, 0, 1, None), 3.1)
    assert session.phase is Phase.BOUND
    assert arrive(session, 9) == 1


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (BindVerdict(refusal="wrong-password"), "outbind-refused: wrong-password"),
        (BindVerdict(account=ACCOUNT), "outbind-refused: outbind-not-allowed"),
        (
            BindVerdict(account=Account(name="acme", system_id="acme", outbind=True)),
            "outbind-refused: outbind-not-allowed",
        ),
    ],
)
def test_an_outbind_that_is_not_wanted_ends_the_link(verdict: BindVerdict, reason: str) -> None:
    session = in_phase(Phase.OUTBOUND)

    session.answer_outbind(verdict, 1.0)

    assert session.closed
    assert session.reason == reason
    assert session.data_to_send() == b""
    session.answer_outbind(BindVerdict(account=DIALLING), 1.1)  # too late: without effect
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    ("command", "status", "sequence", "words"),
    [
        (0x80000009, 0x0E, 1, "ESME_RINVPASWD (invalid password)"),
        (0x80000009, 0x0D, 1, "ESME_RBINDFAIL (bind failed)"),
        (0x80000009, 0x04AB, 1, "0x000004ab"),
        (0x80000009, 0xFFFFFFFF, 1, "0xffffffff"),
        (0x80000000, 0x03, 1, "generic_nack ESME_RINVCMDID"),
        (0x80000000, 0x03, 0, "generic_nack ESME_RINVCMDID"),  # some peers give it no number
        (0x80000000, 0x00, 0, "generic_nack ESME_ROK"),
    ],
)
@pytest.mark.parametrize("readable", [True, False])
def test_r05_a_refused_bind_is_told_in_words_and_ends_the_link(
    command: int, status: int, sequence: int, words: str, readable: bool
) -> None:
    session = dialling()
    error = WireError("answer", Status.ESME_RINVMSGLEN, "system_id", 16, "no NUL")
    answer: Pdu | Undecodable = Pdu(command, status, sequence, None)
    if not readable:
        answer = Undecodable(command, status, sequence, error, b"")

    event = session.receive(answer, 1.0)

    assert isinstance(event, BindAnswered)
    assert event.refusal.startswith(words)
    assert session.closed
    assert session.reason == f"bind-refused: {event.refusal}"
    assert session.data_to_send() == b""


def test_a_bind_of_ours_that_nobody_answers_is_given_up() -> None:
    session = dialling(now=4.0)
    assert session.next_deadline() == 14.0

    session.tick(14.0)

    assert session.closed
    assert session.reason == "bind-timeout"
    session.receive(Pdu(CommandId.bind_transceiver_resp, 0, 1, None), 14.1)
    assert session.closed
    assert session.unsolicited == 1


def test_a_message_before_our_bind_is_through_is_to_be_sent_again() -> None:
    session = dialling()

    session.receive(request(CommandId.deliver_sm, 3), 1.0)
    session.receive(request(CommandId.enquire_link, 4), 1.0)
    session.receive(request(CommandId.outbind, 5), 1.0)

    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_RX_T_APPN, 3),
        ("enquire_link_resp", Status.ESME_ROK, 4),
    ]
    assert session.phase is Phase.ASKING


def test_a_link_whose_bind_is_out_just_ends() -> None:
    for end in (Phase.OUTBOUND, Phase.ASKING):
        session = in_phase(end)
        session.unbind("shutdown", 1.0)
        assert session.closed
        assert session.data_to_send() == b""
    session = dialling()
    session.follow(None, 1.0)
    assert session.reason == "account-removed"


def test_binding_needs_somebody_to_bind_as() -> None:
    with pytest.raises(ValueError, match="acme"):
        Session(LISTENER, 0.0, dialled=True).bind(ACCOUNT, "receiver", 0.0)


# Arrivals.


def arrive(session: Session, sequence: int, command: int = CommandId.deliver_sm) -> int:
    event = session.receive(request(command, sequence), 1.0)
    assert isinstance(event, Arrived)
    assert event.pdu.sequence_number == sequence
    return event.place


def test_arrivals_are_answered_when_their_verdicts_come_in_any_order() -> None:
    session = bound()
    places = [arrive(session, 10 + n) for n in range(3)]
    assert places == [1, 2, 3]
    assert session.window == 3

    session.answer(2, STORED, 1.1)
    session.answer(3, Verdict(VerdictKind.FULL), 1.1)
    session.answer(1, Verdict(VerdictKind.UNAVAILABLE), 1.1)

    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_ROK, 11),
        ("deliver_sm_resp", Status.ESME_RMSGQFUL, 12),
        ("deliver_sm_resp", Status.ESME_RX_T_APPN, 10),
    ]
    assert session.errors == 2
    assert session.window == 0


def test_r06_a_number_repeated_in_flight_is_a_new_pdu() -> None:
    """R6: a sequence_number is echoed, and means nothing."""
    session = bound()
    places = [arrive(session, 0) for _ in range(3)]

    for place in places:
        session.answer(place, STORED, 1.0)

    assert told(session) == [("deliver_sm_resp", Status.ESME_ROK, 0)] * 3


def test_answering_twice_is_a_bug() -> None:
    session = bound()
    session.answer(arrive(session, 1), STORED, 1.0)

    with pytest.raises(KeyError):
        session.answer(1, STORED, 1.0)


def test_r23_above_the_window_is_throttled_and_the_link_goes_on() -> None:
    """R23: above the window is throttled, and read on."""
    session = bound(Account(name="acme", system_id="acme", window=2))
    arrive(session, 1)
    arrive(session, 2)

    assert session.receive(request(CommandId.deliver_sm, 3), 1.0) is None
    session.receive(request(CommandId.enquire_link, 4), 1.0)
    session.answer(1, STORED, 1.0)
    assert arrive(session, 5) == 3  # the throttled one has no place

    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_RTHROTTLED, 3),
        ("enquire_link_resp", Status.ESME_ROK, 4),
        ("deliver_sm_resp", Status.ESME_ROK, 1),
    ]
    assert session.throttled == 1
    assert session.errors == 0


def test_above_the_rate_is_throttled_until_time_passes() -> None:
    session = bound(Account(name="acme", system_id="acme", rate=1, burst=1))
    assert session.receive(request(CommandId.submit_sm, 1), 1.0) is not None
    assert session.receive(request(CommandId.submit_sm, 2), 1.5) is None
    assert session.receive(request(CommandId.submit_sm, 3), 2.0) is not None

    assert told(session) == [("submit_sm_resp", Status.ESME_RTHROTTLED, 2)]


def test_new_account_options_hold_from_the_next_pdu() -> None:
    session = bound()
    session.follow(Account(name="acme", system_id="acme", window=1), 1.0)
    arrive(session, 1)

    assert session.receive(request(CommandId.deliver_sm, 2), 1.0) is None


def test_watermark_and_unanswered_count_only_what_was_written() -> None:
    session = bound()
    for n in range(1, 5):
        arrive(session, n)
    assert session.answered_up_to() == 0
    for place in (1, 2, 4):
        session.answer(place, STORED, 1.0)
    assert session.unanswered() == (1, 2, 3, 4)
    assert session.unsent == 3 * 17

    session.data_to_send()
    assert session.unanswered() == (1, 2, 3, 4)
    assert session.unsent == 3 * 17

    session.sent()
    assert session.unanswered() == (3,)
    assert session.answered_up_to() == 2
    assert session.unsent == 0
    session.answer(3, STORED, 1.0)
    session.data_to_send()
    session.sent()
    assert session.answered_up_to() == 4


# Asking the peer.


def test_r24_silence_is_asked_about_and_no_answer_ends_the_link() -> None:
    session = bound()
    assert session.next_deadline() == 30.0
    session.tick(30.0)
    assert told(session) == [("enquire_link", 0, 1)]
    assert session.next_deadline() == 40.0

    session.tick(40.0)

    assert session.closed
    assert session.reason == "enquire-link-timeout"
    assert not session.parted
    assert session.next_deadline() is None


def test_the_answer_to_enquire_link_keeps_the_link() -> None:
    session = bound()
    session.tick(30.0)
    (asked,) = sent(session)
    session.receive(
        Pdu(CommandId.enquire_link_resp, 0, asked.sequence_number, EnquireLinkResp()), 31.0
    )
    session.tick(40.0)

    assert session.phase is Phase.BOUND
    assert session.unsolicited == 0
    session.tick(61.0)
    assert [pdu.command_id for pdu in sent(session)] == [CommandId.enquire_link]


@pytest.mark.parametrize(("command", "status"), [(0x80000000, 3), (0x80000015, 8)])
def test_r05_a_peer_that_refuses_enquire_link_is_alive_all_the_same(
    command: int, status: int
) -> None:
    session = bound()
    session.tick(30.0)
    (asked,) = sent(session)

    session.receive(Pdu(command, status, asked.sequence_number, None), 31.0)

    assert session.phase is Phase.BOUND
    assert session.unsolicited == 0


def test_inactivity_unbinds() -> None:
    session = bound(listener=Listener(timers=Timers(enquire_link=0, inactivity=60)))

    session.tick(60.0)

    assert told(session) == [("unbind", 0, 1)]
    assert session.reason == "inactivity"


# Parting.


def test_our_unbind_waits_for_open_arrivals() -> None:
    session = bound()
    place = arrive(session, 7)
    session.unbind("shutdown", 2.0)
    assert session.state == "unbinding"
    assert session.data_to_send() == b""

    session.receive(request(CommandId.deliver_sm, 8), 2.0)
    session.answer(place, STORED, 2.1)
    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_RX_T_APPN, 8),
        ("deliver_sm_resp", Status.ESME_ROK, 7),
        ("unbind", 0, 1),
    ]
    assert session.phase is Phase.UNBINDING
    session.receive(Pdu(CommandId.unbind_resp, 0, 1, UnbindResp()), 2.2)

    assert session.closed
    assert session.parted
    assert session.reason == "shutdown"


def test_the_peers_unbind_is_answered_after_open_arrivals() -> None:
    session = bound()
    place = arrive(session, 7)
    session.receive(request(CommandId.unbind, 8), 2.0)
    session.receive(request(CommandId.unbind, 9), 2.0)
    assert told(session) == [("unbind_resp", Status.ESME_RINVBNDSTS, 9)]

    session.answer(place, STORED, 2.1)

    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_ROK, 7),
        ("unbind_resp", Status.ESME_ROK, 8),
    ]
    assert session.closed
    assert session.parted
    assert session.reason == "unbound-by-peer"


def test_parting_does_not_wait_for_ever() -> None:
    session = bound()
    place = arrive(session, 7)
    session.receive(request(CommandId.unbind, 8), 2.0)
    assert session.next_deadline() == 12.0

    session.tick(12.0)

    assert told(session) == [("unbind_resp", Status.ESME_ROK, 8)]
    assert session.closed
    assert not session.parted
    session.answer(place, STORED, 12.1)  # too late: not sent
    assert session.data_to_send() == b""
    assert session.unanswered() == (place,)


def test_a_peer_that_does_not_answer_unbind_is_given_up() -> None:
    session = bound()
    session.unbind("shutdown", 5.0)
    assert session.next_deadline() == 15.0

    session.tick(15.0)

    assert session.closed
    assert not session.parted


def test_unbinds_that_cross_are_both_served() -> None:
    session = bound()
    session.unbind("shutdown", 5.0)

    session.receive(request(CommandId.unbind, 77), 5.1)

    assert told(session) == [("unbind", 0, 1), ("unbind_resp", Status.ESME_ROK, 77)]
    assert session.closed
    assert session.parted


def test_the_peers_unbind_goes_before_one_we_have_not_sent_yet() -> None:
    session = bound()
    place = arrive(session, 7)
    session.unbind("shutdown", 5.0)
    session.receive(request(CommandId.unbind, 8), 5.1)
    session.answer(place, STORED, 5.2)

    assert told(session) == [
        ("deliver_sm_resp", Status.ESME_ROK, 7),
        ("unbind_resp", Status.ESME_ROK, 8),
    ]
    assert session.parted
    assert session.reason == "shutdown"


def test_an_unbind_that_is_nacked_is_no_completed_unbind() -> None:
    session = bound()
    session.unbind("shutdown", 5.0)
    session.data_to_send()
    session.sent()

    session.receive(Pdu(CommandId.generic_nack, 3, 1, GenericNack()), 5.1)

    assert session.closed
    assert not session.parted


def test_a_removed_account_is_unbound() -> None:
    session = bound()

    session.follow(None, 3.0)

    assert told(session) == [("unbind", 0, 1)]
    assert session.reason == "account-removed"


def test_unbinding_a_link_that_is_not_bound_ends_it() -> None:
    session = Session(LISTENER, 0.0)
    session.unbind("shutdown", 1.0)

    assert session.closed
    assert session.data_to_send() == b""


def test_lost_framing_is_told_and_ends_the_link_after_open_arrivals() -> None:
    session = bound()
    place = arrive(session, 7)

    session.framing_lost(LOST, 2.0)
    assert told(session) == [("generic_nack", Status.ESME_RINVCMDLEN, 0)]
    assert not session.closed
    session.answer(place, STORED, 2.1)

    assert told(session) == [("deliver_sm_resp", Status.ESME_ROK, 7)]
    assert session.closed
    assert session.reason == "framing-lost"
    assert not session.parted


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.BINDING, Phase.UNBINDING])
def test_lost_framing_ends_a_link_with_nothing_open_at_once(phase: Phase) -> None:
    session = in_phase(phase)

    session.framing_lost(LOST, 2.0)

    assert ("generic_nack", Status.ESME_RINVCMDLEN, 0) in told(session)
    assert session.closed


def test_after_the_end_of_stream_answers_are_written_but_confirm_nothing() -> None:
    session = bound()
    arrive(session, 1)
    session.end_of_stream(2.0)
    assert not session.closed

    session.answer(1, STORED, 2.1)

    assert told(session) == [("deliver_sm_resp", Status.ESME_ROK, 1)]
    assert session.unanswered() == (1,)
    assert session.closed
    assert session.reason == "closed-by-peer"


def test_a_broken_stream_leaves_arrivals_unanswered() -> None:
    session = bound()
    arrive(session, 1)

    session.stop("connection-broken")

    assert session.closed
    assert session.unanswered() == (1,)
    assert not session.parted


def test_a_pdu_that_comes_too_slowly_ends_the_link_after_open_arrivals() -> None:
    session = bound()
    place = arrive(session, 1)
    session.in_pieces(begun=True, now=5.0)
    session.receive(request(CommandId.enquire_link_resp, 2), 20.0)
    assert session.next_deadline() == 35.0

    session.tick(35.0)
    assert not session.closed
    session.answer(place, STORED, 35.1)

    assert told(session) == [("deliver_sm_resp", Status.ESME_ROK, 1)]
    assert session.closed
    assert session.reason == "slow-pdu"
    assert not session.parted


@pytest.mark.parametrize("phase", set(Phase) - {Phase.CLOSED})
def test_a_slow_pdu_bounds_every_phase(phase: Phase) -> None:
    session = in_phase(phase)
    session.in_pieces(begun=True, now=1.0)
    for _ in range(4):
        deadline = session.next_deadline()
        if deadline is None:
            break
        session.tick(deadline)

    assert session.closed


# Whatever comes, in whatever order.

frames = st.builds(
    lambda command, status, sequence, body: (
        struct.pack(">IIII", 16 + len(body), command, status, sequence) + body
    ),
    st.one_of(st.sampled_from([int(c) for c in BODIES]), st.sampled_from([UNKNOWN, 0, 0xFFFFFFFF])),
    st.sampled_from([0, 0, 0, 8, 0xFFFFFFFF]),
    st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
    st.one_of(
        st.just(b""),
        st.just(b"\0" * 17),
        st.sampled_from([encode(Pdu(c, 0, 0, BODIES[c]()))[16:] for c in BODIES]),
        st.binary(max_size=40),
    ),
)


@given(
    stream=st.lists(frames, max_size=40),
    bind_after=st.integers(0, 5),
    verdicts=st.lists(st.sampled_from(VerdictKind), min_size=1, max_size=5),
    accepts=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_every_request_gets_exactly_one_answer_with_its_number(
    stream: list[bytes], bind_after: int, verdicts: list[VerdictKind], accepts: bool
) -> None:
    session = Session(LISTENER, 0.0)
    verdict = BindVerdict(account=ACCOUNT) if accepts else BindVerdict(refusal="wrong-password")
    owed: Counter[int] = Counter()
    open_places: list[int] = []
    asked_at: int | None = None
    for index, frame in enumerate(stream):
        pdu = decode(frame)
        silent = pdu.command_id in (CommandId.outbind, CommandId.alert_notification) and (
            isinstance(pdu, Pdu) and reaction(session.phase, pdu.command_id) is None
        )
        if not pdu.command_id & RESPONSE_BIT and not silent:
            owed[pdu.sequence_number] += 1
        event = session.receive(pdu, 0.0)
        if isinstance(event, Arrived):
            open_places.append(event.place)
        elif isinstance(event, BindAsked):
            asked_at = index
        if asked_at is not None and index >= asked_at + bind_after:
            asked_at = None
            session.answer_bind(verdict, 0.0)
    session.answer_bind(verdict, 0.0)
    for place in reversed(open_places):
        session.answer(place, Verdict(verdicts[place % len(verdicts)], "id"), 0.0)

    answered = Counter(
        pdu.sequence_number for pdu in sent(session) if pdu.command_id & RESPONSE_BIT
    )
    assert answered == owed
