"""Writes outcomes down, many at a time.

One task takes everything that has finished since it looked last and settles it lane by lane, one
transaction each. It gathers for some milliseconds first: nobody waits for a settling but the
next read of its lane, and fewer transactions leave the disk to the carriers' commits. A crash
before costs repeats, with the same ids. What is unsettled is held by its lane, whose reach bounds
it. A store that fails is tried again, with growing pauses, for ever.
"""

from collections.abc import Callable, Sequence

import structlog
import trio
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from bridge.delivery.backoff import Backoff
from bridge.delivery.serving import ServedLane
from bridge.errors import BatchRejected, StaleLease, StoreError
from bridge.store.contract import Settlement
from bridge.store.threaded import StoreThreads
from smsc import crashpoint

GATHER = 0.004
"""Seconds."""
ENOUGH = 128
"""Settlements that are not kept waiting for more."""
MOST = 1_000
"""Settlements of one transaction."""

_log: FilteringBoundLogger = structlog.get_logger()


class Settler:
    """Takes finished deliveries, makes their outcomes durable, and lets their lanes know."""

    def __init__(
        self,
        threads: StoreThreads,
        *,
        on_settled: Callable[[ServedLane, Sequence[Settlement]], None],
        on_stale: Callable[[ServedLane], None],
    ) -> None:
        """Take the store, and whom to tell. ``on_settled`` is called when it is durable (or
        when the lane is somebody else's by now, after ``on_stale``)."""
        self._threads = threads
        self._on_settled = on_settled
        self._on_stale = on_stale
        self._finished: dict[ServedLane, list[Settlement]] = {}
        self._count = 0
        self._some = trio.Event()
        self._enough = trio.Event()
        self._idle = trio.Event()
        self._idle.set()

    def put(self, lane: ServedLane, settlement: Settlement) -> None:
        """Hand over what became of a delivery of this lane."""
        self._finished.setdefault(lane, []).append(settlement)
        self._count += 1
        if self._count == 1:
            self._idle = trio.Event() if self._idle.is_set() else self._idle
            self._some.set()
        if self._count == ENOUGH:
            self._enough.set()

    async def flushed(self) -> None:
        """Wait until everything handed over is settled."""
        self._enough.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Settle until cancelled. What is not settled then is sent again by the next owner."""
        while True:
            await self._some.wait()
            with trio.move_on_after(GATHER):
                await self._enough.wait()
            batch, self._finished, self._count = self._finished, {}, 0
            self._some, self._enough = trio.Event(), trio.Event()
            for lane, settlements in batch.items():
                for start in range(0, len(settlements), MOST):
                    await self._settle(lane, settlements[start : start + MOST])
            if not self._count:
                self._idle.set()

    async def _settle(self, lane: ServedLane, settlements: Sequence[Settlement]) -> None:
        backoff = Backoff()
        while True:
            crashpoint.reached("delivery.settle.before")
            try:
                await self._threads.write(
                    self._threads.store.settle, lane.name, lane.token, settlements
                )
            except StaleLease:
                _log.warning("lane.lost", lane=lane.name, unsettled=len(settlements))
                self._on_stale(lane)
                break
            except BatchRejected:
                if len(settlements) > 1:
                    half = len(settlements) // 2
                    await self._settle(lane, settlements[:half])
                    await self._settle(lane, settlements[half:])
                    return
                if not _plain(settlements[0]):
                    settlements = [_without_texts(settlements[0])]
                    continue
                # It stays held, so that it isn't sent again and again.
                _log.exception("delivery.unsettled", delivery=settlements[0].delivery)
                return
            except StoreError as error:
                _log.warning("delivery.settling_waits", lane=lane.name, reason=str(error))
                await trio.sleep(backoff.pause())
                continue
            crashpoint.reached("delivery.settle.after")
            break
        self._on_settled(lane, settlements)


def _plain(settlement: Settlement) -> bool:
    return not (settlement.attempt.detail or settlement.attempt.response)


def _without_texts(settlement: Settlement) -> Settlement:
    # Only what a peer said can be unfit to be stored.
    attempt = replace(settlement.attempt, detail="", response="")
    return replace(settlement, attempt=attempt)
