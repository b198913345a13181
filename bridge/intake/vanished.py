"""Processes that ended without saying so: what they took last is in doubt.

A process that is killed leaves its row in the store, with the last figures of its links. Whoever
finds the row while the process is gone makes the recent arrivals of those links doubtful, so
that a carrier that never got its answer, and sends again, is recognised. Only processes of the
same machine and boot can be judged so; those of other nodes are left to their neighbours.

How far answers were written is in these figures as of the last beat, up to a second before the
end. Answers since then count as unwritten: a repeat of what they answered is absorbed, not
delivered marked. That is the safer side, for most of what was answered in the last second was not
read by a carrier that now sends it again; the price is that a second, equal message, sent as one of
its own within the time of doubts, is taken for that repeat.
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

SILENT = 60_000
"""Milliseconds without a beat after which a process of another node is taken for gone. If it is
not, its next beat puts it back, and some of what it took is in doubt without need."""

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
        now = self._clock()
        gone = [each for each in found if self._is_gone(each, now)]
        for each in gone:
            write, store = self._threads.write, self._threads.store
            count = await write(store.doubt_process, each.id, self._clock())
            _log.warning(
                "process.vanished", process=each.id, role=each.role, pid=each.pid, doubtful=count
            )
        return len(gone)

    def _is_gone(self, process: ProcessStatus, now: Millis) -> bool:
        if process.node == self._node:
            return not lives(process)
        host, boot = self._node.rpartition("/")[::2]
        its_host, its_boot = process.node.rpartition("/")[::2]
        return (its_host == host and its_boot != boot) or now - process.seen_at > SILENT


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
