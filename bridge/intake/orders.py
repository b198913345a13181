"""Orders to this process about its links: probes are made here, others are handed on.

An order comes from a person or from another process, by way of the store; the bell tells of it,
and a look once a second makes up for a lost ring. Orders stand until they run out, and are seen
with every look: a probe is made once, by the links that are there then.

*Bounds.* The store gives at most 1,000 orders. The ids of probes that were made are remembered
until they run out. One link is probed by one order at a time.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.store.contract import Order
from bridge.store.threaded import StoreThreads
from smsc.inbox import LiveLink
from smsc.message import Millis
from smsc.status import LinkStatus

POLL = 1.0
"""Seconds between two looks for orders that nobody rang for."""
PROBE = 2.0
"""Seconds a peer has to answer."""

_log: FilteringBoundLogger = structlog.get_logger()


async def _nothing(_status: LinkStatus) -> None:
    await trio.lowlevel.checkpoint()


class Orders:
    """Does what concerns the links of this process."""

    def __init__(
        self,
        threads: StoreThreads,
        clock: Callable[[], Millis],
        links: Callable[[], Iterable[LiveLink]],
        *,
        heed: Callable[[Sequence[Order]], None] = lambda _: None,
        announce: Callable[[LinkStatus], Awaitable[object]] = _nothing,
    ) -> None:
        """``links`` gives the bound links of this process. ``heed`` is called with all standing
        orders that are no probes at every look, even with none, and must neither wait nor raise.
        ``announce`` tells the store of a link that was probed; it may raise StoreError."""
        self._threads = threads
        self._clock = clock
        self._links = links
        self._heed = heed
        self._announce = announce
        self._rung = trio.Event()
        self._made: dict[str, Millis] = {}  # probe → when it runs out
        self._probed: set[str] = set()  # links being probed

    def ring(self) -> None:
        """Look now rather than at the next poll."""
        self._rung.set()

    async def run(self) -> None:
        """Do what is ordered, forever. While the store is away, what was ordered stays so."""
        async with trio.open_nursery() as probes:
            while True:
                with trio.move_on_after(POLL):
                    await self._rung.wait()
                self._rung = trio.Event()
                try:
                    await self.look(probes)
                except StoreError:
                    continue  # it is said elsewhere that the store is away

    async def look(self, probes: trio.Nursery) -> None:
        """Read what is ordered, and begin with what is new. Raises StoreError."""
        now = self._clock()
        orders = await self._threads.read(self._threads.store.orders, now)
        self._made = {id_: until for id_, until in self._made.items() if until > now}
        for order in orders:
            if order.kind == "probe" and order.id not in self._made:
                self._made[order.id] = order.until
                for link in self._links():
                    status = link.status()
                    if status.link == order.link or (order.account == status.account != ""):
                        probes.start_soon(self._probe, link)
        self._heed([order for order in orders if order.kind != "probe"])

    async def _probe(self, link: LiveLink) -> None:
        status = link.status()
        if status.link in self._probed:
            return
        self._probed.add(status.link)
        try:
            alive = await link.probe(PROBE)
        finally:
            self._probed.discard(status.link)
        if not alive:
            _log.info("link.replaced", link=status.link, account=status.account, peer=status.peer)
        with suppress(StoreError):  # the next beat tells it
            await self._announce(link.status())
