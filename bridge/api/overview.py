"""What the api role knows of the gateway as a whole: which processes live, and their sums."""

from collections.abc import Callable, Sequence

import trio

from bridge.errors import StoreError
from bridge.store.contract import ProcessStatus
from bridge.store.threaded import StoreThreads
from bridge.telemetry import Metrics, add_up
from smsc.message import Millis
from smsc.status import LinkStatus

LOOK_EVERY = 1.0
"""Seconds; four times as often while something is missing."""
COUNT_EVERY = 5.0
"""Seconds between two looks at what is stored and waiting."""
SILENCE = 5_000
"""Milliseconds without a beat after which a process is not counted as alive."""

NEEDED = ("carrier", "delivery")
"""Roles without which the gateway is not ready."""


class Overview:
    """Looks at the store now and then, so that no request has to."""

    def __init__(
        self, threads: StoreThreads, metrics: Metrics, clock: Callable[[], Millis], process: str
    ) -> None:
        """Take the store and this process's own metrics and id."""
        self._threads = threads
        self._metrics = metrics
        self._clock = clock
        self._own = process
        self._alive: list[ProcessStatus] = []
        self._missing = "has not looked at the store yet"

    async def start(self, nursery: trio.Nursery) -> None:
        """Look at the store from now on."""
        nursery.start_soon(self._keep_looking)

    def missing(self) -> str:
        """Say which roles have no live and ready process; empty where none is missing."""
        return self._missing

    def links(self) -> Sequence[LinkStatus]:
        """Return none: it has no links."""
        return ()

    def measure(self) -> None:
        """Do nothing: gauges change when it looks."""

    def wake(self) -> None:
        """Do nothing: deliveries are made elsewhere."""

    def heed(self) -> None:
        """Do nothing: it has no links."""

    def reread(self) -> None:
        """Do nothing: no option of it names a file."""

    async def drain(self, _deadline: float) -> bool:
        """End at once: nothing is under way for longer than a page takes."""
        await trio.lowlevel.checkpoint()
        return True

    def page(self) -> bytes:
        """Return the sums over all live processes, this one as it is now."""
        others = [status.figures for status in self._alive if status.id != self._own]
        return add_up(self._metrics, [self._metrics.figures(), *others])

    async def look(self) -> None:
        """See which processes live. Raises StoreError."""
        found = await self._threads.read(self._threads.store.processes)
        latest = self._clock() - SILENCE
        self._alive = [status for status in found if status.seen_at >= latest]
        at_work = dict.fromkeys((*NEEDED, "api"), 0)
        ready = set()
        for status in self._alive:
            for role in at_work if status.role == "all" else (status.role,):
                at_work[role] = at_work.get(role, 0) + 1
                if status.figures.get("smsbridge_ready"):
                    ready.add(role)
        for role, number in at_work.items():
            self._metrics.processes.labels(role).set(number)
        lacking = [f"no ready {role} process" for role in NEEDED if role not in ready]
        self._missing = ", ".join(lacking)

    async def count(self) -> None:
        """See how much is stored and waiting. Raises StoreError."""
        store, metrics = self._threads.store, self._metrics
        for kind, number in (await self._threads.read(store.counts)).items():
            metrics.stored.labels(kind).set(number)
        backlog = await self._threads.read(store.backlog)
        metrics.backlog.clear()
        for endpoint, number in backlog.items():
            metrics.backlog.labels(endpoint).set(number)
        now = self._clock()
        metrics.lane_age.clear()
        for lane, due_at in await self._threads.read(store.pending_lanes):
            metrics.lane_age.labels(lane).set(max(0, now - due_at) / 1_000)

    async def _keep_looking(self) -> None:
        counted_at = -COUNT_EVERY
        while True:
            try:
                await self.look()
                if trio.current_time() - counted_at >= COUNT_EVERY:
                    await self.count()
                    counted_at = trio.current_time()
            except StoreError:
                self._missing = "the store can't be read"
            await trio.sleep(LOOK_EVERY / 4 if self._missing else LOOK_EVERY)
