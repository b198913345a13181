"""Processes of this machine that ended without saying so: what they took last is in doubt.

A process that is killed leaves its row in the store, with the last figures of its links. Whoever
finds the row while the process is gone makes the recent arrivals of those links doubtful, so
that a carrier that never got its answer, and sends again, is recognised. Only processes of the
same machine and boot can be judged so; those of other nodes are left to their neighbours.
"""

from collections.abc import Callable

import psutil
import structlog
from structlog.typing import FilteringBoundLogger

from bridge.store.contract import ProcessStatus
from bridge.store.threaded import StoreThreads
from smsc.message import Millis

SAME_START = 2.0
"""Seconds by which two readings of one process's start time may differ."""

_log: FilteringBoundLogger = structlog.get_logger()


class Vanished:
    """Finds them and sees to their links."""

    def __init__(self, threads: StoreThreads, node: str, clock: Callable[[], Millis]) -> None:
        """``node``: this machine and boot, as its processes tell the store."""
        self._threads = threads
        self._node = node
        self._clock = clock

    async def doubt(self) -> int:
        """Make doubtful what vanished processes took last, and forget them; return how many.

        Raises :class:`~bridge.errors.StoreError`; then some may be left for the next call.
        """
        found = await self._threads.read(self._threads.store.processes)
        gone = [each for each in found if each.node == self._node and not lives(each)]
        for each in gone:
            write, store = self._threads.write, self._threads.store
            count = await write(store.doubt_process, each.id, self._clock())
            _log.warning(
                "process.vanished", process=each.id, role=each.role, pid=each.pid, doubtful=count
            )
        return len(gone)


def lives(process: ProcessStatus) -> bool:
    """Say whether a process of this machine is still there, and no other has got its pid."""
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(found.create_time() - process.pid_started) <= SAME_START
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
