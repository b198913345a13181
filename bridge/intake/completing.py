"""Sets that became whole are joined, off the path of answers.

Theory
------
A fragment is answered as soon as it is durable. What it completes is joined in a transaction of
its own, by one task, some sets at a time. It gathers for some milliseconds first: no answer waits
for it, and fewer transactions leave the disk to the commits that answers do wait for. Nothing is
lost when it fails or the process dies: the store knows which sets are whole and not done, and the
janitor completes them.

*Bound.* 10,000 sets wait here; more are left to the janitor.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.store.contract import Join
from bridge.store.threaded import StoreThreads
from smsc.crashpoint import reached

MOST_WAITING = 10_000
AT_ONCE = 100
GATHER = 0.01
"""Seconds."""
RETRY = 1.0
"""Seconds between two tries while the store fails."""

_log: FilteringBoundLogger = structlog.get_logger()


class Completer:
    """Completes sets in the order in which they became whole."""

    def __init__(self, threads: StoreThreads, join: Join, ring: Callable[[], None]) -> None:
        """``ring`` says that there are new deliveries."""
        self._threads = threads
        self._join = join
        self._ring = ring
        self._sets: deque[int] = deque()
        self._work = trio.Event()
        self._enough = trio.Event()
        self._ending = False

    def add(self, set_id: int) -> None:
        """Have a set completed soon."""
        if len(self._sets) < MOST_WAITING:
            self._sets.append(set_id)
            self._work.set()
            if len(self._sets) >= AT_ONCE:
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
            if len(self._sets) < AT_ONCE and not self._ending:
                self._enough = trio.Event()
                with trio.move_on_after(GATHER):
                    await self._enough.wait()
            some = list(islice(self._sets, AT_ONCE))
            reached("intake.complete.before")
            try:
                joined = await self._threads.write(self._threads.store.complete, some, self._join)
            except StoreError as error:
                _log.warning("intake.complete_failed", sets=len(some), error=str(error))
                if self._ending:
                    return
                await trio.sleep(RETRY)
                continue
            except Exception as error:  # noqa: BLE001  # a bug must not stop intake
                _log.error("intake.complete_failed", sets=len(some), exc_info=error)
                joined = []
            for _ in some:
                self._sets.popleft()
            reached("intake.complete.after")
            if joined:
                self._ring()
