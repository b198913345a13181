"""Arrivals become durable, and what the carrier is told follows from that.

Theory
------
*Group commit.* :meth:`Ingest.take` makes records of its arrivals and queues them as one *load*;
then it waits. One committer task takes everything that is waiting, at most 1,000 records, has
it recorded in one transaction (:mod:`.recording`), in a thread, and hands the verdicts out. It
never waits for company: while one batch is being synced the next one gathers by itself.

*Order.* Loads are recorded in the order they were taken. A lost link's doubt stands in the same
queue, so that it concerns what was taken before it and is in force for what is taken after.

*Time.* A load is answered at the latest ``commit_timeout`` after it was taken. The commit itself
is never cancelled. When it is late, the batch and everything queued behind it are told
UNAVAILABLE, and so is whatever arrives until the commit has ended: nothing waits for a stuck
writer. What was queued is forgotten, for it was never handed over. What the commit stored after
all is made doubtful before the next batch, as never answered: the repeat that the carrier was
asked for is recognised. The same holds for a commit whose end is unknown (*in doubt*).

*Away and back.* While the store is away, batches fail and their arrivals are told UNAVAILABLE;
each new arrival tries it again, and so does a clock every second while doubts or checks are
owed. So it heals by itself.

*Bounds.* ``queue_limit`` arrivals taken and not yet answered; more are THROTTLED. And
``MOST_LOST`` losses of links that the store hasn't been told of, because the writer is stuck;
beyond that the oldest is forgotten, which is logged: what its carrier sends again is then
delivered as if it were new, so it is twice at its endpoint, but never lost.
"""

from collections import deque
from collections.abc import Callable, Sequence

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.ids import Ids
from bridge.intake.completing import Completer
from bridge.intake.recording import DOUBT_LASTS, FULL, UNAVAILABLE, Batch, Check, Recorder
from bridge.intake.records import Joiner
from bridge.live import LiveView
from bridge.store.records import Doubt, Record
from bridge.store.threaded import StoreThreads
from smsc.crashpoint import reached
from smsc.inbox import LinkLoss
from smsc.message import Arrival, Millis, Verdict, VerdictKind

BATCH = 1_000
"""Most records in one transaction."""
RETRY = 1.0
"""Seconds between two tries to tell the store of doubts."""
DOUBTFUL_BEFORE = 60_000
"""Milliseconds before a lost link's last sign of life from which on its arrivals are doubtful."""
EVERY_PLACE = 2**62
"""Above every place: all answers of a link were written but the ones named."""
MOST_LOST = 10_000
"""Losses of links that may wait for the writer."""
DISK_LOOK = 1.0
"""Seconds between two looks at how full the disk is."""

THROTTLED = Verdict(VerdictKind.THROTTLED)

_log: FilteringBoundLogger = structlog.get_logger()


class _Load:
    """What one call of take hands over."""

    __slots__ = ("arrivals", "done", "records", "since", "verdicts")

    def __init__(self, arrivals: Sequence[Arrival], records: list[Record], since: float) -> None:
        self.arrivals = arrivals
        self.records = records
        self.since = since
        self.verdicts: Sequence[Verdict] | None = None
        self.done = trio.Event()


class Ingest:
    """The :class:`smsc.inbox.Inbox` of a gateway: see the theory above."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveView,
        ids: Ids,
        clock: Callable[[], Millis],
        *,
        ring: Callable[[], None],
        assembly_timeout: float = 1_800,
        commit_timeout: float = 5.0,
        queue_limit: int = 10_000,
        disk: Callable[[], float] = lambda: 0.0,
        disk_high_water: float = 0.90,
        told: Callable[[VerdictKind, int], None] = lambda _kind, _count: None,
        committed: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """``ring`` says that there are new deliveries; ``disk`` how full the store's disk is,
        0 to 1. ``told`` and ``committed`` are called for metrics: with what arrivals were
        answered, and how long a batch took."""
        self._clock = clock
        self._commit_timeout = commit_timeout
        self._queue_limit = queue_limit
        self._disk = disk
        self._disk_high_water = disk_high_water
        self._told = told
        self._committed = committed
        self.join = Joiner(lambda: live.table, ids, clock)
        """Joins a set by the configuration of the moment; a janitor here uses it too."""
        self._completer = Completer(threads, self.join, ring)
        self._recorder = Recorder(
            threads,
            live,
            ids,
            clock,
            ring=ring,
            completer=self._completer,
            assembly_timeout=assembly_timeout,
        )
        self._queue: deque[_Load | Doubt] = deque()
        self._waiting = 0
        self._losses = 0
        self._work = trio.Event()
        self._late = False
        self._stopping = False
        self._stopped = trio.Event()
        self._full = False
        self._disk_seen_at = -DISK_LOOK

    @property
    def waiting(self) -> int:
        """Arrivals taken and not yet answered."""
        return self._waiting

    # -- the port --------------------------------------------------------------------------

    async def take(self, arrivals: Sequence[Arrival]) -> Sequence[Verdict]:
        """Make arrivals durable and say what became of each: see :meth:`smsc.inbox.Inbox.take`.

        Cancelled, what was queued is recorded all the same, unless the writer is stuck.
        """
        reached("intake.taken")
        refusal = self._refusal()
        if refusal is not None:
            self._told(refusal.kind, len(arrivals))
            await trio.lowlevel.checkpoint()
            return [refusal] * len(arrivals)
        room = self._queue_limit - self._waiting
        if len(arrivals) <= min(room, BATCH):
            load = self._enqueue(arrivals)
            await load.done.wait()
            assert load.verdicts is not None
            return load.verdicts
        taken = arrivals[: max(room, 0)]
        loads = [self._enqueue(taken[i : i + BATCH]) for i in range(0, len(taken), BATCH)]
        verdicts: list[Verdict] = []
        for load in loads:
            await load.done.wait()
            assert load.verdicts is not None
            verdicts += load.verdicts
        throttled = len(arrivals) - len(taken)
        if throttled:
            self._told(VerdictKind.THROTTLED, throttled)
            await trio.lowlevel.checkpoint()
        return verdicts + [THROTTLED] * throttled

    def lost(self, loss: LinkLoss) -> None:
        """Make a lost link's recent arrivals doubtful: see :meth:`smsc.inbox.Inbox.lost`."""
        if self._losses >= MOST_LOST:
            self._forget_oldest_loss()
        self._losses += 1
        self._queue.append(
            Doubt(
                link=loss.link,
                account=loss.account,
                since=loss.alive_at - DOUBTFUL_BEFORE,
                answered_to=EVERY_PLACE,
                unanswered=loss.unanswered,
                until=self._clock() + DOUBT_LASTS,
            )
        )
        self._work.set()

    def _forget_oldest_loss(self) -> None:
        oldest = next(each for each in self._queue if isinstance(each, Doubt))
        self._queue.remove(oldest)
        self._losses -= 1
        _log.error("intake.loss_forgotten", link=oldest.link, account=oldest.account)

    def first(self, check: Check) -> None:
        """Have something asked of the store before anything more is recorded.

        It is tried again until it raises no StoreError; arrivals are told UNAVAILABLE meanwhile.
        """
        self._recorder.owe_check(check)
        self._work.set()

    # -- its tasks -------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit what is taken until :meth:`stop` is done.

        Cancelled, a commit that has begun is waited for; whoever waits still is told
        UNAVAILABLE.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._completer.run)
                task_status.started()
                await self._commit_batches(nursery)
                self._completer.end()
        finally:
            self._stopping = True
            self._refuse_queue()
            self._stopped.set()

    async def stop(self) -> None:
        """Take nothing more, make everything that was taken durable, and end :meth:`run`.

        Returns when that is done. While the store is away and is still owed doubts, without which
        repeats would not be recognised later, they are tried again: the caller sets the limit.
        """
        self._stopping = True
        self._work.set()
        await self._stopped.wait()

    # -- taking ----------------------------------------------------------------------------

    def _refusal(self) -> Verdict | None:
        if self._late or self._stopping:
            return UNAVAILABLE
        now = trio.current_time()
        if now - self._disk_seen_at >= DISK_LOOK:
            self._disk_seen_at = now
            self._look_at_disk()
        return FULL if self._full else None

    def _look_at_disk(self) -> None:
        try:
            full = self._disk() >= self._disk_high_water
        except OSError:
            full = False  # the store will notice by itself
        if full != self._full:
            (_log.error if full else _log.info)("intake.disk", full=full)
        self._full = full

    def _enqueue(self, arrivals: Sequence[Arrival]) -> _Load:
        now = self._clock()
        make = self._recorder.record
        load = _Load(arrivals, [make(each, now) for each in arrivals], trio.current_time())
        self._queue.append(load)
        self._waiting += len(arrivals)
        self._work.set()
        return load

    # -- committing ------------------------------------------------------------------------

    async def _commit_batches(self, nursery: trio.Nursery) -> None:
        recorder = self._recorder
        while True:
            loads = self._gather()
            if not loads and not recorder.owes:
                if self._stopping:
                    return
                self._work = trio.Event()
                await self._work.wait()
                continue
            await self._commit(loads, nursery)
            if recorder.owes and not self._queue:
                # The store fails. Whatever comes tries it again at once, else a little later.
                self._work = trio.Event()
                with trio.move_on_after(RETRY):
                    await self._work.wait()

    def _gather(self) -> list[_Load]:
        """Take loads off the queue for one transaction, and the doubts that come before them."""
        queue = self._queue
        loads: list[_Load] = []
        size = 0
        while queue:
            head = queue[0]
            if isinstance(head, Doubt):
                if loads:
                    break
                self._losses -= 1
                self._recorder.owe(head)
            else:
                size += len(head.records)
                if loads and size > BATCH:
                    break
                loads.append(head)
            queue.popleft()
        return loads

    async def _commit(self, loads: list[_Load], nursery: trio.Nursery) -> None:
        """Have one batch written and answer its loads, in time or as late."""
        if len(loads) == 1:
            batch = Batch(loads[0].arrivals, loads[0].records)
        else:
            batch = Batch(
                [arrival for load in loads for arrival in load.arrivals],
                [record for load in loads for record in load.records],
            )
        now = trio.current_time()
        nursery.start_soon(self._write, batch, loads, now)
        deadline = loads[0].since if loads else now  # the first was taken first
        with trio.move_on_at(deadline + self._commit_timeout):
            await batch.written.wait()
        if not batch.written.is_set():
            await self._outlast(batch, loads)

    async def _write(self, batch: Batch, loads: list[_Load], began: float) -> None:
        try:
            await self._recorder.write(batch)
            if loads:
                self._committed(trio.current_time() - began)
                if not batch.late:
                    self._hand_out(batch.verdicts, loads)
        finally:
            batch.written.set()

    def _hand_out(self, verdicts: list[Verdict], loads: list[_Load]) -> None:
        start = 0
        for load in loads:
            end = start + len(load.records)
            self._answer(load, verdicts if len(loads) == 1 else verdicts[start:end])
            start = end
        counts: dict[VerdictKind, int] = {}
        for verdict in verdicts:
            counts[verdict.kind] = counts.get(verdict.kind, 0) + 1
        for kind, count in counts.items():
            self._told(kind, count)

    def _answer(self, load: _Load, verdicts: Sequence[Verdict]) -> None:
        self._waiting -= len(load.records)
        load.verdicts = verdicts
        load.done.set()

    async def _outlast(self, batch: Batch, loads: list[_Load]) -> None:
        """Refuse everything until a commit that takes too long has ended."""
        _log.warning("intake.late", waiting=self._waiting, seconds=self._commit_timeout)
        batch.late = self._late = True
        for load in loads:
            self._refuse(load)
        self._refuse_queue()
        try:
            await batch.written.wait()
        finally:
            self._late = False
        _log.info("intake.late_commit_ended")

    def _refuse_queue(self) -> None:
        """Tell what is queued and was never handed over to come again; doubts stay."""
        queue, self._queue = self._queue, deque()
        for each in queue:
            if isinstance(each, Doubt):
                self._queue.append(each)
            else:
                self._refuse(each)

    def _refuse(self, load: _Load) -> None:
        self._answer(load, [UNAVAILABLE] * len(load.records))
        self._told(VerdictKind.UNAVAILABLE, len(load.records))
