"""How much a peer may do: requests in flight, arrivals a second, octets a PDU."""

from smsc.config import Account, Listener


class TokenBucket:
    """A rate with a burst. A rate of 0 lets everything pass (and divides by nothing).

    The bucket starts full. ``burst`` 0 stands for one second's worth, and no bucket is smaller
    than one token: otherwise a rate below one a second would let nothing pass at all.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = max(float(burst or rate), 1.0)
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token if there is one. A clock that stands still refills nothing."""
        if not self._rate:
            return True
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Admission:
    """Whether one more arrival is taken in, by the account's window and rate.

    Options may change while the link is up: :meth:`follow` takes over new ones, and keeps the
    bucket's level unless the rate itself changed.
    """

    __slots__ = ("_bucket", "_burst", "_rate", "_window")

    def __init__(self, account: Account, now: float) -> None:
        self._window = account.window
        self._rate = account.rate
        self._burst = account.burst
        self._bucket = TokenBucket(account.rate, account.burst, now)

    def follow(self, account: Account, now: float) -> None:
        """Hold to the options of ``account`` from now on."""
        self._window = account.window
        if (account.rate, account.burst) != (self._rate, self._burst):
            self._rate = account.rate
            self._burst = account.burst
            self._bucket = TokenBucket(account.rate, account.burst, now)

    def admit(self, in_flight: int, now: float) -> bool:
        """Decide on one arrival while ``in_flight`` others are unanswered.

        One refused for the window costs no token.
        """
        return in_flight < self._window and (not self._rate or self._bucket.take(now))


def pdu_limit(listener: Listener, account: Account | None) -> int:
    """Return the largest command_length accepted, in octets; ``account`` is None before a bind.

    Before a bind it is small: a stranger must not make us hold 128 KiB (SMPP 3.4 sets no limit).
    """
    if account is None:
        return min(listener.unbound_limit, listener.pdu_limit)
    return account.pdu_limit or listener.pdu_limit
