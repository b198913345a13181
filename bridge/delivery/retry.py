"""When a delivery is tried again, and when it is given up (CONTRACT §5). Pure."""

from msgspec import Struct

from bridge.delivery.classify import Judgement
from bridge.model import DeliveryState, Endpoint, Outcome
from smsc.message import Millis

JITTER = 0.2
"""Delays are stretched or shortened by up to this share."""


class Next(Struct, frozen=True, gc=False):
    """What becomes of a delivery after an attempt."""

    state: DeliveryState
    """PENDING, DELIVERED or DEAD."""
    due_at: Millis = 0
    """For PENDING."""
    step: int = 0
    """Steps of the schedule spent, this attempt's included where it spends one."""
    reason: str = ""
    """For DEAD."""


_DELIVERED = Next(DeliveryState.DELIVERED)


def decide(
    judgement: Judgement,
    endpoint: Endpoint,
    *,
    step: int,
    created_at: Millis,
    now: Millis,
    chance: float,
) -> Next:
    """Decide what follows an attempt made with ``step`` steps of the schedule spent before it.

    Step *k* is the attempt made ``retry_schedule[k]`` seconds after the one before. A postponed
    delivery spends no step, until it is older than the endpoint's ``max_age``. ``chance`` is a
    random number from 0 to 1, for the jitter.
    """
    match judgement.outcome:
        case Outcome.DELIVERED:
            return _DELIVERED
        case Outcome.DEAD | Outcome.GONE:
            return Next(DeliveryState.DEAD, reason=judgement.reason)
        case Outcome.POSTPONE:
            if now - created_at >= endpoint.max_age * 1000:
                return Next(
                    DeliveryState.DEAD,
                    reason=f"postponed for longer than {endpoint.max_age:g} s; last: "
                    f"{judgement.reason}",
                )
            return Next(DeliveryState.PENDING, now + round(judgement.delay * 1000), step)
        case Outcome.RETRY:
            schedule = endpoint.retry_schedule
            if step + 1 >= len(schedule):
                return Next(
                    DeliveryState.DEAD,
                    reason=f"no success in {step + 1} attempts; last: {judgement.reason}",
                )
            delay = schedule[step + 1] * (1 + JITTER * (2 * chance - 1))
            return Next(DeliveryState.PENDING, now + round(delay * 1000), step + 1)
