"""Which lanes this process serves: taken, renewed and given back by leases.

Every process that is alive works out by itself who serves which lane (rendezvous hashing over
the same lists), takes leases on its own share, and lets go of the rest once nothing of them is
under way. Until the former owner has let go, or its lease has run out, a lane can't be taken: the
new owner asks again every second. A lease that can't be renewed in time stops the lane's sending.
A lane left from a time when its endpoint had more lanes, or fewer, is served as long as something
is pending in it.
"""

from collections.abc import Callable, Collection, Mapping

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.delivery.lanes import assign, endpoint_of, lanes_of
from bridge.delivery.serving import Recipient, ServedLane
from bridge.errors import StoreError
from bridge.store.threaded import StoreThreads
from smsc.message import Millis

LEASE = 30.0
"""Seconds a lease holds."""
RENEW = 5.0
AGAIN = 1.0
"""Seconds until lanes that another process still holds are asked for again."""
MARGIN = 2.0
"""Seconds before a lease's end from which nothing new is sent under it."""
SILENT = 5_000
"""Milliseconds without a sign of life after which a process gets no lanes."""

_log: FilteringBoundLogger = structlog.get_logger()


class Leases:
    """Keeps :attr:`lanes` what this process is to serve and holds the leases of."""

    def __init__(
        self,
        threads: StoreThreads,
        process_id: str,
        clock: Callable[[], Millis],
        *,
        recipients: Callable[[], Mapping[str, Recipient]],
        on_taken: Callable[[], None],
    ) -> None:
        """Take the store, and whom to ask and to tell."""
        self.lanes: dict[str, ServedLane] = {}
        self._threads = threads
        self._me = process_id
        self._clock = clock
        self._recipients = recipients
        self._on_taken = on_taken
        self._soon = trio.Event()
        self._strays: frozenset[str] = frozenset()
        self._considered: frozenset[str] = frozenset()

    def notice(self, pending: Collection[str]) -> None:
        """Take note of lanes with something pending that are not ours.

        Most are other processes'. Only one that was not considered yet is worth a review.
        """
        self._strays = frozenset(pending)
        if not self._strays <= self._considered:
            self.review()

    def review(self) -> None:
        """Have it look at the whole distribution soon: something has changed."""
        self._soon.set()

    def lose(self, lane: ServedLane) -> None:
        """Forget a lane that is somebody else's by now."""
        lane.retiring = True
        lane.forget_ready()
        if self.lanes.get(lane.name) is lane:
            del self.lanes[lane.name]
        self.review()

    def retire(self, lane: ServedLane) -> None:
        """Send nothing new in a lane; its lease goes back when nothing is under way."""
        if not lane.retiring:
            lane.retiring = True
            lane.forget_ready()
        if lane.drained:
            self.review()

    async def run(self) -> None:
        """Renew and rearrange until cancelled."""
        while True:
            self._soon = trio.Event()
            try:
                wait = RENEW if await self._arrange() else AGAIN
            except StoreError as error:
                _log.warning("lanes.leasing_waits", reason=str(error))
                wait = AGAIN
            with trio.move_on_after(wait):
                await self._soon.wait()

    async def give_back(self) -> None:
        """Release every lease of this process. Raises StoreError."""
        for lane in list(self.lanes.values()):
            self.lose(lane)
        await self._threads.write(self._threads.store.release, self._me, None)

    async def _arrange(self) -> bool:
        """Bring leases in line; whether all lanes that should be ours are."""
        recipients = self._recipients()
        owners = {
            lane: recipient
            for recipient in recipients.values()
            for lane in lanes_of(recipient.endpoint)
        }
        strays = self._strays
        for stray in strays:
            for name in endpoint_of(stray):
                if name in recipients:
                    owners.setdefault(stray, recipients[name])
                    break
        owners.update(
            # A stray of ours is not seen as one any more.
            (name, recipients[lane.recipient.endpoint.name])
            for name, lane in self.lanes.items()
            if name not in owners and lane.held and lane.recipient.endpoint.name in recipients
        )
        self._considered = strays | owners.keys()
        alive = await self._alive()
        ours = assign(owners, alive, self._me)
        for name, lane in list(self.lanes.items()):
            if name not in ours:
                self.retire(lane)
            elif not lane.retiring and lane.recipient is not owners[name]:
                lane.serve(owners[name])
        await self._release()
        return await self._lease(owners, ours)

    async def _alive(self) -> list[str]:
        oldest = self._clock() - SILENT
        alive = {
            process.id
            for process in await self._threads.read(self._threads.store.processes)
            if process.role in ("delivery", "all") and process.seen_at >= oldest
        }
        return sorted(alive | {self._me})

    async def _release(self) -> None:
        drained = [name for name, lane in self.lanes.items() if lane.drained]
        if not drained:
            return
        for name in drained:
            del self.lanes[name]
        await self._threads.write(self._threads.store.release, self._me, drained)
        _log.info("lanes.released", lanes=len(drained))

    async def _lease(self, owners: Mapping[str, Recipient], ours: frozenset[str]) -> bool:
        wanted = sorted(ours | self.lanes.keys())
        if not wanted:
            return True
        until = trio.current_time() + LEASE - MARGIN
        leases = {
            lease.lane: lease
            for lease in await self._threads.write(
                self._threads.store.lease, self._me, wanted, LEASE
            )
        }
        taken = 0
        for name, lane in list(self.lanes.items()):
            lease = leases.get(name)
            if lease is None or lease.token != lane.token:
                self.lose(lane)
            else:
                lane.lease_until = until
        for name in ours - self.lanes.keys():
            lease = leases.get(name)
            if lease is not None:
                self.lanes[name] = ServedLane(name, owners[name], lease.token, until)
                taken += 1
        if taken:
            _log.info("lanes.taken", lanes=taken, serving=len(self.lanes))
            self._on_taken()
        return ours <= self.lanes.keys()
