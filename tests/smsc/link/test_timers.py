import pytest

from smsc.config import Timers
from smsc.link.timers import ASK_PEER, KEEP, PATIENCE, Keep, LinkTimers, Stop

DEFAULTS = Timers()
OFF = Timers(session_init=0, enquire_link=0, response=0, inactivity=0, pdu=0)


def bound(options: Timers = DEFAULTS, now: float = 0.0) -> LinkTimers:
    timers = LinkTimers(options, 0.0)
    timers.bound(now)
    return timers


def test_session_init_ends_a_link_that_never_binds() -> None:
    timers = LinkTimers(DEFAULTS, 100.0)

    assert timers.next_deadline() == 110.0
    assert timers.check(109.9) == KEEP
    assert timers.check(110.0) == Stop("session-init-timeout")


def test_traffic_does_not_extend_session_init() -> None:
    timers = LinkTimers(DEFAULTS, 0.0)
    timers.heard(9.0)
    timers.worked(9.0)

    assert timers.check(10.0) == Stop("session-init-timeout")


def test_silence_makes_us_ask() -> None:
    timers = bound()
    timers.heard(5.0)

    assert timers.next_deadline() == 35.0
    assert timers.check(34.9) == KEEP
    assert timers.check(35.0) == ASK_PEER


def test_no_answer_to_enquire_link_ends_the_link() -> None:
    timers = bound()
    timers.asked(30.0)

    assert timers.next_deadline() == 40.0
    assert timers.check(40.0) == Stop("enquire-link-timeout")


def test_asking_again_does_not_extend_the_time_to_answer() -> None:
    timers = bound()
    timers.asked(30.0)
    timers.asked(39.0)

    assert timers.check(40.0) == Stop("enquire-link-timeout")


def test_any_pdu_answers_enquire_link() -> None:
    timers = bound()
    timers.asked(30.0)
    timers.heard(39.0)

    assert timers.check(40.0) == KEEP
    assert timers.next_deadline() == 69.0


def test_inactivity_runs_on_while_only_enquire_link_is_exchanged() -> None:
    timers = bound()
    for now in range(20, 300, 20):
        timers.heard(float(now))
        assert timers.check(float(now)) == KEEP

    assert timers.check(300.0) == Stop("inactivity")


def test_work_restarts_inactivity() -> None:
    timers = bound()
    timers.worked(200.0)
    timers.heard(300.0)

    assert timers.check(300.0) == KEEP


def test_the_timer_that_ran_out_first_wins() -> None:
    timers = bound(Timers(inactivity=20))

    assert timers.check(1_000.0) == Stop("inactivity")


@pytest.mark.parametrize(
    ("enter", "reason"),
    [("winding_down", "wind-down-timeout"), ("unbinding", "unbind-timeout")],
)
def test_parting_is_bounded_by_the_response_timer(enter: str, reason: str) -> None:
    timers = bound()
    getattr(timers, enter)(50.0)
    timers.heard(59.0)  # traffic is no answer

    assert timers.next_deadline() == 60.0
    verdict = timers.check(60.0)
    assert isinstance(verdict, Stop)
    assert verdict.reason == reason


def test_a_timer_of_zero_never_runs_out() -> None:
    timers = LinkTimers(OFF, 0.0)
    assert timers.next_deadline() is None
    timers.in_pieces(begun=True, now=0.0)
    assert timers.next_deadline() is None
    timers.bound(0.0)
    assert timers.next_deadline() is None
    timers.asked(0.0)

    assert timers.next_deadline() is None
    assert isinstance(timers.check(1e9), Keep)


@pytest.mark.parametrize("enter", ["asking_to_bind", "winding_down", "unbinding"])
def test_what_we_asked_for_ourselves_is_not_waited_for_for_ever(enter: str) -> None:
    timers = LinkTimers(OFF, 0.0)
    getattr(timers, enter)(5.0)

    assert timers.next_deadline() == 5.0 + PATIENCE
    assert isinstance(timers.check(5.0 + PATIENCE), Stop)


def test_a_bind_of_ours_has_the_time_of_session_init_anew() -> None:
    timers = LinkTimers(DEFAULTS, 0.0)
    timers.asking_to_bind(9.0)

    assert timers.check(18.9) == KEEP
    assert timers.check(19.0) == Stop("bind-timeout")


def test_a_pdu_has_its_time_from_its_first_octet() -> None:
    timers = bound(Timers(pdu=5))
    timers.in_pieces(begun=True, now=1.0)
    timers.heard(4.0)

    assert timers.next_deadline() == 6.0
    assert timers.check(6.0) == Stop("slow-pdu")
    timers.in_pieces(begun=True, now=6.0)  # the next one
    assert timers.check(10.9) == KEEP
    timers.in_pieces(begun=False, now=6.0)
    assert timers.check(11.0) == KEEP


def test_a_slow_pdu_wins_over_asking_the_peer() -> None:
    timers = bound()
    timers.in_pieces(begun=True, now=0.0)

    assert timers.check(30.0) == Stop("slow-pdu")


def test_nothing_runs_when_it_is_over() -> None:
    timers = bound()
    timers.over()

    assert timers.next_deadline() is None
    assert timers.check(1e9) == KEEP
