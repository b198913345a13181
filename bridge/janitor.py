"""Upkeep: what nobody waits for, done now and then, in one process at a time or in several.

Theory
------
Each task has a rhythm of its own and can be done by any number of processes at once: the store
makes each of them a transaction that finds nothing to do where another was quicker. Tasks know
nothing of each other; one that fails is logged once and tried again later and later, up to a
minute, while the others go on. A task that found as much as it may do at once goes on at once,
after letting others at the store.

=========== ====== ================================================================
task        every  does
=========== ====== ================================================================
sets        1 s    delivers messages whose time is up, or for whose parts there is no
                   more room, with their gaps; completes sets a crash left whole;
                   removes tombstones
log         1 s    keeps the store's log short, off the path of answers
keys        5 s    forgets what repeats are recognised by, when its time is over
processes   2 s    sees to processes of this machine that vanished
orphans     30 s   makes dead letters of what waits for an endpoint nobody declares
=========== ====== ================================================================
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.live import LiveView
from bridge.store.records import Join, Room
from bridge.store.threaded import StoreThreads
from smsc.message import Millis

SETS_AT_ONCE = 100
ROWS_AT_ONCE = 1_000
LONGEST_PAUSE = 60.0
"""Seconds between two tries of a task that keeps failing."""
ORPHAN = "its endpoint is no longer configured"

_log: FilteringBoundLogger = structlog.get_logger()


async def _nothing() -> int:
    await trio.lowlevel.checkpoint()
    return 0


class Janitor:
    """Runs the tasks of the table above."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveView,
        join: Join,
        clock: Callable[[], Millis],
        *,
        ring: Callable[[], None] = lambda: None,
        doubt_vanished: Callable[[], Awaitable[int]] = _nothing,
        room: Room | None = None,
    ) -> None:
        """``ring`` says that there are new deliveries; ``doubt_vanished`` sees to processes that
        vanished and returns how many there were; ``room`` is how much of a carrier's may wait to
        become whole."""
        self._threads = threads
        self._live = live
        self._join = join
        self._clock = clock
        self._ring = ring
        self._doubt_vanished = doubt_vanished
        self._room = room

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do all of it, forever. Cancelled, a transaction that has begun is finished."""
        tasks: tuple[tuple[str, float, Callable[[], Awaitable[bool]]], ...] = (
            ("sets", 1, self.expire_sets),
            ("log", 1, self.checkpoint),
            ("keys", 5, self.prune),
            ("processes", 2, self.see_to_vanished),
            ("orphans", 30, self.bury_orphans),
        )
        async with trio.open_nursery() as nursery:
            for name, every, task in tasks:
                nursery.start_soon(self._keep_doing, name, every, task)
            task_status.started()

    async def _keep_doing(
        self, name: str, every: float, task: Callable[[], Awaitable[bool]]
    ) -> None:
        pause = every
        while True:
            try:
                more = await task()
            except Exception as error:  # noqa: BLE001  # one task's trouble is not the others'
                if pause == every:
                    expected = isinstance(error, StoreError)
                    exc_info = None if expected else error
                    _log.warning("janitor.failed", task=name, error=str(error), exc_info=exc_info)
                pause = min(pause * 2, LONGEST_PAUSE)
                await trio.sleep(pause)
                continue
            if pause != every:
                _log.info("janitor.works", task=name)
            pause = every
            await trio.sleep(0 if more else every)

    # -- the tasks: each returns whether there is more to do at once ---------------------------

    async def expire_sets(self) -> bool:
        """Deliver what has waited long enough, whole or not, or has no more room to wait in."""
        expire = self._threads.store.expire
        call = partial(expire, self._clock(), self._join, SETS_AT_ONCE, self._room)
        joined = await self._threads.write(call)
        if joined:
            self._ring()
        return len(joined) >= SETS_AT_ONCE

    async def checkpoint(self) -> bool:
        """Have the engine tidy up.

        As a read: it must not stand in the line of writes, and the engine makes sure that only
        one does it.
        """
        await self._threads.read(self._threads.store.checkpoint)
        return False

    async def prune(self) -> bool:
        """Remove what was only needed for a while.

        Not before vanished processes were seen to: after a long time down, keys that are old by
        now are all there is to recognise a repeat by.
        """
        await self._doubt_vanished()
        return await self._threads.write(self._threads.store.prune, self._clock()) >= ROWS_AT_ONCE

    async def see_to_vanished(self) -> bool:
        """Make doubtful what vanished processes took last."""
        await self._doubt_vanished()
        return False

    async def bury_orphans(self) -> bool:
        """Make dead letters of deliveries to endpoints that no revision declares any more.

        The newest revision is read first: one this process hasn't heard of yet may declare them.
        """
        backlog = await self._threads.read(self._threads.store.backlog)
        declared = {endpoint.name for endpoint in self._live.current.endpoints}
        if backlog.keys() <= declared:
            return False
        await self._live.load()
        declared = {endpoint.name for endpoint in self._live.current.endpoints}
        more = False
        for endpoint in backlog.keys() - declared:
            bury = partial(self._threads.store.bury, endpoint, ORPHAN, self._clock(), ROWS_AT_ONCE)
            count = await self._threads.write(bury)
            _log.warning("janitor.buried", endpoint=endpoint, count=count)
            more = more or count >= ROWS_AT_ONCE
        return more
