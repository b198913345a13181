"""The schedule: bounds of every step, and where it ends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.classify import Judgement
from bridge.delivery.retry import JITTER, Next, decide
from bridge.model import RETRY_SCHEDULE, DeliveryState, Endpoint, Outcome

NOW = 1_795_256_130_000
ENDPOINT = Endpoint(name="crm", url="https://receiver.example/", secrets=("-",))
FAILED = Judgement(Outcome.RETRY, "status 500")


def after(judgement: Judgement, step: int = 0, chance: float = 0.5, age: float = 0) -> Next:
    return decide(
        judgement,
        ENDPOINT,
        step=step,
        created_at=NOW - round(age * 1000),
        now=NOW,
        chance=chance,
    )


def test_the_schedule_has_thirteen_attempts_over_three_days() -> None:
    assert len(RETRY_SCHEDULE) == 13
    assert round(sum(RETRY_SCHEDULE) / 3600, 1) == 75.7


@settings(deadline=None)  # a busy machine is not a bug
@given(st.integers(0, 11), st.floats(0, 1))
def test_each_step_comes_after_its_delay_give_or_take_a_fifth(step: int, chance: float) -> None:
    following = after(FAILED, step, chance)

    delay = RETRY_SCHEDULE[step + 1] * 1000
    assert following.state is DeliveryState.PENDING
    assert following.step == step + 1
    assert delay * (1 - JITTER) - 1 <= following.due_at - NOW <= delay * (1 + JITTER) + 1


@settings(deadline=None)  # a busy machine is not a bug
@given(st.integers(12, 1_000))
def test_after_the_last_step_it_is_a_dead_letter(step: int) -> None:
    following = after(FAILED, step)

    assert following.state is DeliveryState.DEAD
    assert following.reason == f"no success in {step + 1} attempts; last: status 500"


@settings(deadline=None)  # a busy machine is not a bug
@given(st.integers(0, 12), st.floats(1, 3_600))
def test_postponing_spends_no_step(step: int, delay: float) -> None:
    following = after(Judgement(Outcome.POSTPONE, "503", delay=delay), step)

    assert following == Next(DeliveryState.PENDING, NOW + round(delay * 1000), step)


def test_what_is_only_postponed_dies_of_age() -> None:
    postponed = Judgement(Outcome.POSTPONE, "status 503 with Retry-After", delay=60)

    assert after(postponed, age=273_599).state is DeliveryState.PENDING
    following = after(postponed, age=273_600)
    assert following.state is DeliveryState.DEAD
    assert "273600 s" in following.reason


def test_delivered_dead_and_gone_end_it() -> None:
    assert after(Judgement(Outcome.DELIVERED)).state is DeliveryState.DELIVERED
    for outcome in (Outcome.DEAD, Outcome.GONE):
        assert after(Judgement(outcome, "why")) == Next(DeliveryState.DEAD, reason="why")
