import pytest

from smsc.config import Timers
from smsc.link.timers import ASK_PEER, KEEP, Keep, LinkTimers, Stop

DEFAULTS = Timers()


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
    off = Timers(session_init=0, enquire_link=0, response=0, inactivity=0)
    timers = LinkTimers(off, 0.0)
    assert timers.next_deadline() is None
    timers.bound(0.0)
    assert timers.next_deadline() is None
    timers.asked(0.0)
    timers.unbinding(0.0)

    assert timers.next_deadline() is None
    assert isinstance(timers.check(1e9), Keep)


def test_nothing_runs_when_it_is_over() -> None:
    timers = bound()
    timers.over()

    assert timers.next_deadline() is None
    assert timers.check(1e9) == KEEP
