"""Writes outcomes down, many at a time.

One task takes everything that has finished since it looked last and settles it, all lanes in one
transaction. It gathers for some milliseconds first: nobody waits for a settling but the
next read of its lane, and fewer transactions leave the disk to the carriers' commits. A crash
before costs repeats, with the same ids. What is unsettled is held by its lane, whose reach bounds
it. A store that fails is tried again, with growing pauses, for ever.
"""

from collections.abc import Callable, Iterator, Sequence

import structlog
import trio
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from bridge.delivery.backoff import Backoff
from bridge.delivery.serving import ServedLane
from bridge.errors import BatchRejected, StoreError
from bridge.store.contract import Settlement
from bridge.store.threaded import StoreThreads
from smsc import crashpoint

GATHER = 0.05
"""Seconds."""
ENOUGH = 128
"""Settlements that are not kept waiting for more."""
MOST = 1_000
"""Settlements of one transaction."""

_log: FilteringBoundLogger = structlog.get_logger()


Portion = list[tuple[ServedLane, Sequence[Settlement]]]
"""What is settled in one transaction."""


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
            for portion in _portions(batch):
                await self._settle(portion)
            if not self._count:
                self._idle.set()

    async def _settle(self, portion: Portion) -> None:
        backoff = Backoff()
        while True:
            crashpoint.reached("delivery.settle.before")
            try:
                stale = await self._threads.write(
                    self._threads.store.settle_lanes,
                    [(lane.name, lane.token, settlements) for lane, settlements in portion],
                )
            except BatchRejected:
                await self._settle_smaller(portion)
                return
            except StoreError as error:
                _log.warning("delivery.settling_waits", reason=str(error))
                await trio.sleep(backoff.pause())
                continue
            crashpoint.reached("delivery.settle.after")
            break
        for lane, settlements in portion:
            if lane.name in stale:
                _log.warning("lane.lost", lane=lane.name, unsettled=len(settlements))
                self._on_stale(lane)
            self._on_settled(lane, settlements)

    async def _settle_smaller(self, portion: Portion) -> None:
        """Settle in halves, down to the one that can't be stored: that one without its texts."""
        rows = [(lane, one) for lane, settlements in portion for one in settlements]
        if len(rows) > 1:
            half = len(rows) // 2
            for part in (rows[:half], rows[half:]):
                await self._settle([(lane, [one]) for lane, one in part])
            return
        [(lane, one)] = rows
        if _plain(one):
            # It stays held, so that it isn't sent again and again.
            _log.error("delivery.unsettled", delivery=one.delivery, lane=lane.name)
        else:
            await self._settle([(lane, [_without_texts(one)])])


def _portions(batch: dict[ServedLane, list[Settlement]]) -> Iterator[Portion]:
    """Cut what has finished into transactions."""
    portion: Portion = []
    left = MOST
    for lane, settlements in batch.items():
        start = 0
        while start < len(settlements):
            some = settlements[start : start + left]
            portion.append((lane, some))
            start += len(some)
            left -= len(some)
            if not left:
                yield portion
                portion, left = [], MOST
    if portion:
        yield portion


def _plain(settlement: Settlement) -> bool:
    return not (settlement.attempt.detail or settlement.attempt.response)


def _without_texts(settlement: Settlement) -> Settlement:
    # Only what a peer said can be unfit to be stored.
    attempt = replace(settlement.attempt, detail="", response="")
    return replace(settlement, attempt=attempt)
