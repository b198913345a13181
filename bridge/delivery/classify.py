"""What a response means (CONTRACT §5, first table). Pure."""

from collections.abc import Collection
from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct

from bridge.delivery.exchange import Facts
from bridge.model import Outcome
from smsc.message import Millis

LIKELY_PERMANENT = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
"""Statuses that say our request is wrong. Retried all the same: configuration gets fixed."""

HONOURS_RETRY_AFTER = frozenset({429, 503})

SHORTEST_RETRY_AFTER = 1.0
"""Seconds. ``Retry-After: 0`` spends no step of the schedule, so it needs a pace of its own."""


class Judgement(Struct, frozen=True, gc=False):
    """What an attempt led to, and what follows from it."""

    outcome: Outcome
    reason: str = ""
    """In words, for everything but DELIVERED."""
    delay: float = 0
    """Seconds to wait before anything is sent in the lane, for POSTPONE."""
    likely_permanent: bool = False
    disable: bool = False
    """The endpoint asked for nothing more, by 410 or by header."""
    healthy: bool | None = False
    """How the breaker counts it; None: not at all."""


_DELIVERED = Judgement(Outcome.DELIVERED, healthy=True)


def classify(
    facts: Facts,
    *,
    now: Millis,
    permanent_status_codes: Collection[int] = (),
    max_retry_after: float = 3_600,
) -> Judgement:
    """Judge one attempt.

    A 2xx is delivered whatever else the response says; a ``webhook-delivery: disable`` beside
    it still disables.
    """
    status = facts.status
    directive = facts.directive.strip().lower() if facts.directive else ""
    if status is None:
        return Judgement(Outcome.RETRY, f"{facts.error}: {facts.detail}")
    if 200 <= status < 300:
        if directive == "disable":
            return Judgement(Outcome.DELIVERED, "disabled by header", disable=True, healthy=True)
        return _DELIVERED
    if status == 410 or directive == "disable":
        reason = "gone" if status == 410 else "disabled by header"
        return Judgement(Outcome.GONE, reason, disable=True, healthy=None)
    if directive == "abort-message":
        return Judgement(Outcome.DEAD, "aborted by header", healthy=True)
    likely_permanent = status in LIKELY_PERMANENT
    if status in permanent_status_codes:
        return Judgement(
            Outcome.DEAD, f"permanent status {status}", likely_permanent=likely_permanent
        )
    delay = _asked_to_wait(facts, now, max_retry_after)
    if delay is not None:
        reason = f"status {status} with Retry-After"
        return Judgement(Outcome.POSTPONE, reason, delay=delay, healthy=None)
    reason = f"redirect (status {status})" if 300 <= status < 400 else f"status {status}"
    return Judgement(Outcome.RETRY, reason, likely_permanent=likely_permanent)


def _asked_to_wait(facts: Facts, now: Millis, longest: float) -> float | None:
    if facts.status not in HONOURS_RETRY_AFTER or facts.retry_after is None:
        return None
    delay = parse_retry_after(facts.retry_after, now)
    return None if delay is None else min(max(delay, SHORTEST_RETRY_AFTER), longest)


def parse_retry_after(value: str, now: Millis) -> float | None:
    """Read Retry-After (RFC 9110 §10.2.3) as seconds from now, never negative; None if it is
    neither a number of seconds nor an HTTP date."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= 15 else float(10**15)
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # asctime's form has no zone: HTTP dates are UTC
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now / 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
