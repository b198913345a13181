"""One lane as its owner holds it in memory. No I/O here; everything happens on one event loop.

A delivery is *held* from being read until its settling is durable: first ready, then under way,
then finished but unsettled. What is held is left out when the lane is read again, so nothing is
read twice; and because the store still has it as pending, forgetting it costs a repeat at most.
How much is held is bounded by *reach*, which follows the lane's speed: twice what it may have
under way at first, doubling while what was read is used up quickly.
"""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from bridge.delivery.exchange import Target, aim
from bridge.delivery.lanes import Pace, share
from bridge.delivery.signing import Letterhead
from bridge.model import Endpoint
from bridge.store.contract import Due

QUICKLY = 0.25
"""Seconds: a lane that wants more this soon reads twice as much next time."""
SLOWLY = 2.0
FURTHEST_REACH = 512


class Recipient(Struct, frozen=True, eq=False):
    """An endpoint with what is prepared once for all its requests."""

    endpoint: Endpoint
    target: Target
    letterhead: Letterhead


def prepare(endpoint: Endpoint, version: str) -> Recipient:
    """Prepare an endpoint. Raises ValueError where it can't be sent to, naming no secret."""
    return Recipient(endpoint, aim(endpoint.url), Letterhead(endpoint, version))


class ServedLane:
    """A lane this process holds the lease of. Times are on trio's clock."""

    def __init__(self, name: str, recipient: Recipient, token: int, lease_until: float) -> None:
        self.name = name
        self.recipient = recipient
        self.token = token
        self.lease_until = lease_until
        self.pace = Pace(share(recipient.endpoint))
        self.ready: deque[Due] = deque()
        self.held: set[int] = set()
        self.retiring = False
        """Nothing new is sent; the lease goes back when nothing is held."""
        self._reach = 2 * self.pace.limit
        self._read_at = 0.0
        self._more = False

    def serve(self, recipient: Recipient) -> None:
        """Go on with a changed endpoint."""
        self.recipient = recipient
        self.pace.limit = share(recipient.endpoint)

    def room(self, now: float) -> int:
        """How many deliveries may be read now."""
        if self.retiring or now >= self.lease_until:
            return 0
        startable = self.pace.room(now)
        if not self.pace.breaker.closed:
            return startable if not self.held else 0
        if now < self.pace.paused_until:
            return 0
        return self._reach - len(self.held)

    def hungry(self) -> bool:
        """Whether more should be read: the lane has more, and half of what it may hold is
        used up."""
        return self._more and 2 * len(self.ready) <= self._reach and len(self.held) < self._reach

    def take_in(self, rows: Sequence[Due], limit: int, now: float) -> None:
        """Hold what was read, unless the lane has stopped sending meanwhile."""
        full = len(rows) >= limit
        if full and self._more and now - self._read_at < QUICKLY:
            self._reach = min(2 * self._reach, max(FURTHEST_REACH, 2 * self.pace.limit))
        elif now - self._read_at > SLOWLY:
            self._reach = max(2 * self.pace.limit, self._reach // 2)
        self._read_at = now
        self._more = full
        if self.retiring or self.pace.blocked_until(now) is not None:
            self._more = True
            return
        self.ready.extend(rows)
        self.held.update([row.id for row in rows])

    def next(self, now: float) -> tuple[Due, bool] | None:
        """Start the next delivery; whether it is a probe. None: nothing may be sent now."""
        if not self.ready or self.retiring or now >= self.lease_until:
            return None
        if self.pace.room(now) < 1:
            return None
        return self.ready.popleft(), self.pace.start()

    def forget_ready(self) -> None:
        """Let go of what was read and not sent; it will be read again."""
        self.held.difference_update([due.id for due in self.ready])
        self.ready.clear()
        self._more = True

    def settled(self, ids: Sequence[int]) -> None:
        """Let go of what is durable by now, or no longer ours."""
        self.held.difference_update(ids)

    @property
    def drained(self) -> bool:
        """Whether it is retiring and nothing is held any more."""
        return self.retiring and not self.held
