"""When the breaker opens, whom it lets through, when it closes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.breaker import FIRST_WAIT, LONGEST_WAIT, Breaker


def broken(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(10):
        breaker.observe(False, now)
    return breaker


def test_ten_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    for _ in range(9):
        breaker.observe(False, 0)
    assert breaker.closed

    breaker.observe(False, 0)
    assert not breaker.closed
    assert not breaker.admits(29.9)
    assert breaker.admits(30)


def test_seventy_percent_of_ten_within_five_minutes_open_it() -> None:
    breaker = Breaker()
    for result in (False, False, True, False, False, True, False, True, False):
        breaker.observe(result, 0)
    assert breaker.closed  # 6 of 9

    breaker.observe(False, 200)
    assert not breaker.closed  # 7 of 10


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    breaker = Breaker()
    for at in range(9):
        breaker.observe(False, at)
        breaker.observe(True, at)
    for at in range(9):
        breaker.observe(False, 400 + at)

    assert breaker.closed


def test_few_failures_among_many_are_let_pass() -> None:
    breaker = Breaker()
    for at in range(1_000):
        breaker.observe(at % 3 == 0, at / 10)

    assert breaker.closed  # two thirds fail


def test_one_probe_at_a_time_with_growing_pauses() -> None:
    breaker = broken()
    now, wait = 0.0, FIRST_WAIT
    for _ in range(8):
        assert breaker.open_until == now + wait
        now += wait
        assert breaker.admits(now)
        breaker.probe()
        assert not breaker.admits(now)
        breaker.observe(False, now, probe=True)
        wait = min(2 * wait, LONGEST_WAIT)
    assert wait == LONGEST_WAIT


def test_a_probe_that_succeeds_closes_it_and_forgets_all() -> None:
    breaker = broken()
    breaker.probe()
    breaker.observe(True, 30, probe=True)

    assert breaker.closed
    for _ in range(9):
        breaker.observe(False, 30)
    assert breaker.closed
    breaker.observe(False, 30)
    assert breaker.open_until == 30 + FIRST_WAIT


def test_stragglers_change_nothing_once_it_is_open() -> None:
    breaker = broken()
    breaker.observe(True, 1)
    breaker.observe(False, 1)

    assert breaker.open_until == FIRST_WAIT


def test_a_probe_that_says_neither_may_be_followed_by_another() -> None:
    breaker = broken()
    breaker.probe()
    breaker.observe(None, 30, probe=True)

    assert not breaker.closed
    assert breaker.admits(30)


def test_postponed_results_count_for_nothing() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.observe(None, 0)

    assert breaker.closed


@settings(deadline=None)  # a busy machine is not a bug
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=300))
def test_its_memory_is_bounded_and_it_opens_only_for_cause(
    results: list[tuple[bool, float]],
) -> None:
    breaker, now, in_a_row, failures = Breaker(), 0.0, 0, 0
    for success, pause in results:
        now += pause
        breaker.observe(success, now)
        in_a_row = 0 if success else in_a_row + 1
        failures += not success
        if not breaker.closed:
            assert not success
            assert failures >= 7
            break
        assert in_a_row < 10
    assert len(breaker._buckets) <= 31
