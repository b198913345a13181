"""Finds what is due in the lanes of this process, for all of them in one look.

Theory
------
There is one reader, and one look under way at a time. A look asks the store which lanes have
something pending (work that grows with those lanes only), and reads those that are ours, due and
have room, in the same trip to a thread. So a ring costs one look however many lanes there are,
rings during a look cost one more together, and an endpoint's slowness plays no part in it: a lane
that may not send has no room and is not read.

The reader looks when the bell rings, when a lane has used up half of what it held, when something
known becomes due or a pause ends, and at the latest after :data:`POLL`: what a lost ring costs.
A look takes at most :data:`ROWS` rows; one that was cut short goes on where it stopped.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from operator import itemgetter

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.delivery.backoff import Backoff
from bridge.delivery.serving import ServedLane
from bridge.errors import StoreError
from bridge.store.contract import Due, Store
from bridge.store.threaded import StoreThreads
from smsc import crashpoint
from smsc.message import Millis

POLL = 1.0
"""Seconds between two looks when nothing rings."""
ROWS = 1_000

_log: FilteringBoundLogger = structlog.get_logger()

Want = tuple[int, tuple[int, ...]]
"""Rows wanted, and the deliveries to leave out."""


class Seen:
    """What one look found."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, list[Due]]] = []
        """Lane, how many were asked for, what there was."""
        self.next_due: Millis | None = None
        """When the next delivery becomes due in a lane of ours that has none due now."""
        self.strays: list[str] = []
        """Lanes with something pending that are not ours."""
        self.stopped_at = ""
        """The last lane read, where the look was cut short."""


def look(
    store: Store,
    now: Millis,
    lanes: Collection[str],
    wants: Mapping[str, Want],
    usual: Mapping[str, int],
    after: str,
) -> Seen:
    """Read what is due. Runs in a thread, on values only.

    ``lanes`` are ours; ``wants`` says what those want that hold or may not send anything, and
    ``usual`` what each of the others wants. Begins behind lane ``after``.
    """
    seen = Seen()
    pending = sorted(store.pending_lanes())
    start = bisect_right(pending, after, key=itemgetter(0)) if after else 0
    left = ROWS
    for lane, due_at in pending[start:] + pending[:start]:
        if lane not in lanes:
            seen.strays.append(lane)
            continue
        if due_at > now:
            if seen.next_due is None or due_at < seen.next_due:
                seen.next_due = due_at
            continue
        if not left:
            continue
        limit, held = wants.get(lane) or (usual[lane], ())
        limit = min(limit, left)
        if limit < 1:
            continue
        rows = store.due(lane, now, limit, held)
        seen.rows.append((lane, limit, rows))
        left -= len(rows)
        if not left:
            seen.stopped_at = lane
    return seen


class Reader:
    """Looks for what is due and hands it to its lanes."""

    def __init__(
        self,
        threads: StoreThreads,
        lanes: Mapping[str, ServedLane],
        clock: Callable[[], Millis],
        *,
        on_read: Callable[[ServedLane], None],
        on_strays: Callable[[Collection[str]], None],
    ) -> None:
        """Take the store, the lanes of this process (a mapping that its owner keeps current)
        and whom to tell: of a lane that has something to send, and of lanes with something
        pending that are not ours."""
        self._threads = threads
        self._lanes = lanes
        self._clock = clock
        self._on_read = on_read
        self._on_strays = on_strays
        self._asked = trio.Event()

    def ask(self) -> None:
        """Have it look (again) at once. Never blocks; cheap."""
        self._asked.set()

    async def run(self) -> None:
        """Look until cancelled."""
        backoff, after = Backoff(), ""
        while True:
            self._asked = trio.Event()
            try:
                seen = await self._look(after)
            except StoreError as error:
                _log.warning("delivery.reading_waits", reason=str(error))
                await trio.sleep(backoff.pause())
                continue
            backoff.reset()
            after = seen.stopped_at
            self._hand_out(seen)
            if not after:
                with trio.move_on_at(self._next_look(seen)):
                    await self._asked.wait()

    async def _look(self, after: str) -> Seen:
        now = trio.current_time()
        wants: dict[str, Want] = {}
        usual: dict[str, int] = {}
        for name, lane in self._lanes.items():
            room = lane.room(now)
            if lane.held or room < 1:
                wants[name] = (room, tuple(lane.held))
            else:
                usual[name] = room
        return await self._threads.read(
            look, self._threads.store, self._clock(), frozenset(self._lanes), wants, usual, after
        )

    def _hand_out(self, seen: Seen) -> None:
        now = trio.current_time()
        self._on_strays(seen.strays)
        for name, limit, rows in seen.rows:
            lane = self._lanes.get(name)
            if lane is None:
                continue  # lost while it was read
            lane.take_in(rows, limit, now)
            if rows:
                crashpoint.reached("delivery.read")
                self._on_read(lane)

    def _next_look(self, seen: Seen) -> float:
        now = trio.current_time()
        at = now + POLL
        if seen.next_due is not None:
            at = min(at, now + max(0, seen.next_due - self._clock()) / 1000)
        for lane in self._lanes.values():
            until = lane.pace.blocked_until(now)
            if until is not None:
                at = min(at, until)
        return at
