"""Sets that became whole are joined, off the path of answers.

Theory
------
A fragment is answered as soon as it is durable. What it completes is joined by a later
transaction: that of the next batch of arrivals, if one comes within some milliseconds, because
sets that ride along cost no commit of their own; else one that this task makes for them. A set
whose join is refused with a batch doesn't ride again. Nothing is lost when it fails or the
process dies: the store knows which sets are whole and not done, and the janitor completes them.

*Bound.* 10,000 sets wait here; more are left to the janitor. At most 100 are joined at once.
"""

from collections import deque
from collections.abc import Callable, Sequence

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.store.records import Join
from bridge.store.threaded import StoreThreads
from smsc.crashpoint import reached

MOST_WAITING = 10_000
AT_ONCE = 100
GATHER = 0.01
"""Seconds in which a batch may come along."""
RETRY = 1.0
"""Seconds between two tries while the store fails."""

_log: FilteringBoundLogger = structlog.get_logger()


class Completer:
    """Completes sets in the order in which they became whole."""

    def __init__(self, threads: StoreThreads, join: Join, ring: Callable[[], None]) -> None:
        """``ring`` says that there are new deliveries."""
        self.join = join
        self._threads = threads
        self._ring = ring
        self._sets: deque[int] = deque()
        self._alone: set[int] = set()
        self._work = trio.Event()
        self._enough = trio.Event()
        self._ending = False

    @property
    def waiting(self) -> tuple[int, ...]:
        """Sets that wait to be completed."""
        return tuple(self._sets)

    def add(self, set_id: int) -> None:
        """Have a set completed soon."""
        if len(self._sets) < MOST_WAITING:
            self._sets.append(set_id)
            self._work.set()
            if len(self._sets) >= AT_ONCE:
                self._enough.set()

    def ride(self) -> list[int]:
        """Hand over the sets to complete along with a batch: :meth:`rode` says that they were,
        :meth:`walk` that they were not."""
        if not self._sets or self._alone:
            return []
        reached("intake.complete.before")
        return self._take()

    def rode(self) -> None:
        """Hear that sets handed over were completed."""
        reached("intake.complete.after")
        self._ring()

    def walk(self, sets: Sequence[int]) -> None:
        """Take back sets handed over: they are completed without a batch."""
        self._sets.extendleft(reversed(sets))
        self._alone.update(sets)
        self._work.set()
        self._enough.set()

    def end(self) -> None:
        """Complete what waits, if the store lets us, and then end :meth:`run`."""
        self._ending = True
        self._work.set()
        self._enough.set()

    async def run(self) -> None:
        """Complete sets until :meth:`end`. Cancelled, it leaves the rest to the janitor."""
        while self._sets or not self._ending:
            if not self._sets:
                self._work = trio.Event()
                await self._work.wait()
                continue
            if len(self._sets) < AT_ONCE and not self._ending and not self._alone:
                self._enough = trio.Event()
                with trio.move_on_after(GATHER):
                    await self._enough.wait()
            some = self._take()
            if some and not await self._complete(some):
                self.walk(some)
                if self._ending:
                    return
                await trio.sleep(RETRY)

    def _take(self) -> list[int]:
        return [self._sets.popleft() for _ in range(min(AT_ONCE, len(self._sets)))]

    async def _complete(self, some: list[int]) -> bool:
        """Complete sets in a transaction of their own; False: the store can't just now."""
        reached("intake.complete.before")
        try:
            joined = await self._threads.write(self._threads.store.complete, some, self.join)
        except StoreError as error:
            _log.warning("intake.complete_failed", sets=len(some), error=str(error))
            return False
        except Exception as error:  # noqa: BLE001  # a bug must not stop intake
            _log.error("intake.complete_failed", sets=len(some), exc_info=error)
            joined = []
        self._alone.difference_update(some)
        reached("intake.complete.after")
        if joined:
            self._ring()
        return True
