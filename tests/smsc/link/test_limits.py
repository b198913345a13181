import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.config import Account, Listener
from smsc.link.limits import Admission, TokenBucket, pdu_limit


def test_r25_rate_zero_limits_nothing() -> None:
    """R25: 0 is off."""
    bucket = TokenBucket(0, 0, 0.0)

    assert all(bucket.take(0.0) for _ in range(10_000))


def test_r25_burst_zero_is_one_second_worth() -> None:
    bucket = TokenBucket(5, 0, 0.0)

    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]


def test_tokens_come_back_at_the_rate_and_no_more_than_the_burst() -> None:
    """R25: a rate with a burst."""
    bucket = TokenBucket(10, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]

    assert bucket.take(0.1)
    assert not bucket.take(0.1)
    assert [bucket.take(60.0) for _ in range(4)] == [True, True, True, False]


def test_a_rate_below_one_a_second_lets_one_pass_now_and_then() -> None:
    bucket = TokenBucket(0.5, 0, 0.0)

    assert bucket.take(0.0)
    assert not bucket.take(1.0)
    assert bucket.take(2.0)


def test_a_clock_that_goes_back_takes_no_tokens_away() -> None:
    bucket = TokenBucket(1, 2, 10.0)

    assert bucket.take(5.0)
    assert bucket.take(5.0)
    assert not bucket.take(5.0)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 100),
    steps=st.lists(st.floats(0, 2), max_size=200),
)
def test_r25_never_more_than_burst_and_rate_allow(
    rate: float, burst: int, steps: list[float]
) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now = 0.0
    taken = 0
    for step in steps:
        now += step
        taken += bucket.take(now)

    assert taken <= burst + rate * now + 1e-6


def account(**options: float) -> Account:
    return Account(name="acme", system_id="acme", **options)  # type: ignore[arg-type]  # numbers


def test_r23_window_refuses_without_costing_a_token() -> None:
    admission = Admission(account(window=2, rate=1, burst=1), 0.0)

    assert not admission.admit(2, 0.0)
    assert admission.admit(1, 0.0)
    assert not admission.admit(1, 0.0)


def test_new_options_hold_at_once() -> None:
    admission = Admission(account(window=1, rate=1, burst=1), 0.0)
    assert admission.admit(0, 0.0)
    assert not admission.admit(0, 0.0)

    admission.follow(account(window=5, rate=0), 0.0)

    assert admission.admit(4, 0.0)
    assert not admission.admit(5, 0.0)


def test_other_new_options_do_not_refill_the_bucket() -> None:
    admission = Admission(account(rate=1, burst=1), 0.0)
    assert admission.admit(0, 0.0)

    admission.follow(account(rate=1, burst=1, window=7), 0.0)

    assert not admission.admit(0, 0.0)


@pytest.mark.parametrize(
    ("options", "unbound", "bound"),
    [
        (Listener(), 1_024, 131_072),
        (Listener(pdu_limit=512), 512, 512),
    ],
)
def test_r04_strangers_get_a_small_buffer(options: Listener, unbound: int, bound: int) -> None:
    assert pdu_limit(options, None) == unbound
    assert pdu_limit(options, Account(name="acme", system_id="acme")) == bound


def test_r04_an_account_may_have_a_limit_of_its_own() -> None:
    account = Account(name="acme", system_id="acme", pdu_limit=2_048)

    assert pdu_limit(Listener(), account) == 2_048
    assert pdu_limit(Listener(pdu_limit=1_024), account) == 2_048
