"""The SQLite engine of the store contract: which transaction does what.

Everything here is one line a method; the themes have modules of their own beside this one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.errors import BatchRejected, StaleLease
from bridge.model import Live
from bridge.store.contract import Applied, Due, Lease, LiveObject, Order, ProcessStatus, Settlement
from bridge.store.listing import DeadLetter, DeliveryRow, MessageRow, QuarantineRow, RefusalRow
from bridge.store.records import (
    Doubt,
    Join,
    Mark,
    MessageRecord,
    OpenSet,
    Record,
    Recorded,
    Refusal,
    Reread,
    Room,
)
from bridge.store.sqlite import (
    fragments,
    live,
    ordering,
    processes,
    quarantine,
    reading,
    recording,
    repeats,
    sending,
)
from bridge.store.sqlite.connection import Database, Tx
from smsc.message import Millis
from smsc.status import LinkStatus

ARRIVALS_KEPT = 900_000
LINKS_KEPT = 86_400_000
"""Milliseconds that arrival keys and closed links are kept."""

PRUNED_AT_ONCE = 1_000

DOUBTED_AT_ONCE = 10_000
"""Arrivals made doubtful in one transaction, which then lasts around 0.1 s."""


class SqliteStore:
    """A store in one file, for any number of processes of one machine.

    Implements :class:`bridge.store.contract.Store`; see there for what each method promises.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], Millis],
        busy_timeout: float = 5.0,
        vfs: str | None = None,
    ) -> None:
        """Open the store at ``path``, making it (mode 0600) and migrating it where needed.

        ``busy_timeout``: seconds a call may wait for other processes' transactions.
        ``vfs``: SQLite's name of the file layer; tests put faults there.

        Raises :class:`~bridge.errors.StoreUnusable`, saying what to do about it.
        """
        self._clock = clock
        where = Path(path).absolute()
        self._database = Database(where, clock=clock, busy_timeout=busy_timeout, vfs=vfs)
        self._write = self._database.write
        self._read = self._database.read

    def close(self) -> None:
        """Let go of all connections, after the write under way. Idempotent."""
        self._database.close()

    # -- the carrier side ------------------------------------------------------------------

    def record(
        self,
        batch: Sequence[Record],
        sets: Sequence[int] = (),
        join: Join | None = None,
        mark: Mark | None = None,
    ) -> list[Recorded]:
        """Store a batch in one transaction, completing sets along with it; durable on return."""

        def work(tx: Tx) -> list[Recorded]:
            recorded = recording.record(tx, batch, mark)
            if sets and join is not None:
                fragments.join_sets(tx, sets, join, now=self._clock(), expired_by=fragments.NEVER)
            return recorded

        return self._write(work, announce=True)

    def complete(self, sets: Sequence[int], join: Join) -> list[str]:
        """Join each of these sets that is whole and not done; return the message ids."""
        return self._join(sets, join, now=self._clock(), expired_by=fragments.NEVER)

    def expire(
        self, now: Millis, join: Join, limit: int = 100, room: Room | None = None
    ) -> list[str]:
        """Join sets that nobody completed or whose time is up; return the message ids."""
        if room is not None and self._read(lambda tx: fragments.crowded(tx, room)):
            self._write(lambda tx: fragments.make_room(tx, room, now, limit))
        if self._read(lambda tx: fragments.over(tx, now)):
            self._write(lambda tx: fragments.remove(tx, now))
        sets = self._read(lambda tx: fragments.stale(tx, now, limit))
        return self._join(sets, join, now=now, expired_by=now) if sets else []

    def _join(
        self, sets: Sequence[int], join: Join, *, now: Millis, expired_by: Millis
    ) -> list[str]:
        """Join sets in one transaction; if what one makes can't be stored, each in its own.

        One that can't be stored alone either is quarantined, as if ``join`` had raised.
        """

        def joined(ids: Sequence[int], by: Join) -> list[str]:
            return self._write(
                lambda tx: fragments.join_sets(tx, ids, by, now=now, expired_by=expired_by)
            )

        try:
            return joined(sets, join)
        except BatchRejected as error:
            if len(sets) > 1:
                return [
                    message
                    for one in sets
                    for message in self._join([one], join, now=now, expired_by=expired_by)
                ]
            rejection = error

        def refuse(_: OpenSet) -> MessageRecord:
            raise rejection

        return joined(sets, refuse)

    def doubt(self, doubts: Sequence[Doubt]) -> int:
        """Make arrivals doubtful; return how many. In portions: see ``DOUBTED_AT_ONCE``."""
        moved = 0
        left = doubts
        while left:
            some, left = self._write(partial(repeats.doubt, doubts=left, most=DOUBTED_AT_ONCE))
            moved += some
        return moved

    def doubt_process(self, process: str, now: Millis) -> int:
        """Make doubtful what a process that is gone has last taken; forget the process."""
        doubts = self._read(lambda tx: processes.doubts_of(tx, process, now))
        moved = self.doubt(doubts)
        self._write(lambda tx: processes.bury(tx, process, now))
        return moved

    # -- the delivery side -----------------------------------------------------------------

    def lease(self, process: str, lanes: Sequence[str], ttl: float) -> list[Lease]:
        """Take or renew lanes for ``ttl`` seconds; return those now held."""
        return self._write(lambda tx: sending.lease(tx, process, lanes, ttl))

    def release(self, process: str, lanes: Sequence[str] | None = None) -> None:
        """Give lanes back (all for None)."""
        self._write(lambda tx: sending.release(tx, process, lanes))

    def due(self, lane: str, now: Millis, limit: int, held: Sequence[int] = ()) -> list[Due]:
        """Read what is due in a lane, oldest due first."""
        return self._read(lambda tx: sending.due(tx, lane, now, limit, held))

    def next_due(self, lane: str, now: Millis) -> Millis | None:
        """Return when the next delivery of the lane after ``now`` is due."""
        return self._read(lambda tx: sending.next_due(tx, lane, now))

    def pending_lanes(self) -> list[tuple[str, Millis]]:
        """Name every lane with pending deliveries, and when its earliest is due."""
        return self._read(sending.pending_lanes)

    def settle(self, lane: str, token: int, settlements: Sequence[Settlement]) -> None:
        """Write outcomes and attempts in one transaction; durable on return."""
        if self.settle_lanes([(lane, token, settlements)]):
            raise StaleLease(f"lane {lane} has another token than {token} by now")

    def settle_lanes(self, batches: Sequence[tuple[str, int, Sequence[Settlement]]]) -> list[str]:
        """Settle several lanes in one transaction; return those that are not the caller's."""
        return self._write(lambda tx: sending.settle(tx, batches), announce=True)

    def bury(self, endpoint: str, reason: str, now: Millis, limit: int = 1_000) -> int:
        """Make pending deliveries of an endpoint dead letters; how many."""
        return self._write(lambda tx: sending.bury(tx, endpoint, reason, now, limit))

    def backlog(self) -> dict[str, int]:
        """Count pending deliveries by endpoint."""
        return self._read(sending.backlog)

    # -- processes, links, configuration -----------------------------------------------------

    def beat(self, process: ProcessStatus, links: Sequence[LinkStatus], now: Millis) -> None:
        """Store a process's figures and its links."""
        self._write(lambda tx: processes.beat(tx, process, links, now))

    def announce(self, process: str, links: Sequence[LinkStatus], now: Millis) -> None:
        """Store some links of a process, between two beats."""
        self._write(lambda tx: processes.announce(tx, process, links, now))

    def leave(self, process: str) -> None:
        """Forget a process that ended in good order."""
        self._write(lambda tx: processes.leave(tx, process))

    def processes(self) -> list[ProcessStatus]:
        """Return all that have not left."""
        return self._read(processes.processes)

    def links(self, *, closed: bool = True) -> list[LinkStatus]:
        """Return links of all processes, live ones first."""
        return self._read(lambda tx: processes.links(tx, closed=closed))

    def order(self, order: Order) -> None:
        """Give an order; one of the same id is replaced."""
        self._write(lambda tx: ordering.order(tx, order))

    def orders(self, now: Millis) -> list[Order]:
        """Return the orders that stand."""
        return self._read(lambda tx: ordering.orders(tx, now))

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep refusals: the newest 1,000 of each account, and of strangers together."""
        self._write(lambda tx: ordering.refuse(tx, refusals))

    def refusals(
        self, *, account: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[RefusalRow]:
        """List refusals, newest first."""
        return self._read(
            lambda tx: ordering.refusals(tx, account=account, limit=limit, before=before)
        )

    def apply(self, source: str, objects: Sequence[LiveObject], now: Millis) -> Applied:
        """Make what ``source`` declares exactly ``objects``."""
        return self._write(lambda tx: live.apply(tx, source, objects, now))

    def live(self, known: int = -1) -> Live | None:
        """Return the newest revision; None if it is ``known``."""
        return self._read(lambda tx: live.live(tx, known))

    # -- for people --------------------------------------------------------------------------

    def messages(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        status: str | None = None,
        id: str | None = None,  # noqa: A002  # the field's name
    ) -> list[MessageRow]:
        """List messages, newest first. Raises NotFound where ``before`` names none."""
        return self._read(
            lambda tx: reading.messages(
                tx,
                limit=limit,
                before=before,
                source=source,
                destination=destination,
                status=status,
                id_=id,
            )
        )

    def deliveries(self, message_id: str) -> list[DeliveryRow]:
        """Return every delivery of a message with its attempts."""
        return self._read(lambda tx: reading.deliveries(tx, message_id))

    def dead_letters(
        self, *, limit: int = 50, before: int | None = None, endpoint: str | None = None
    ) -> list[DeadLetter]:
        """List dead letters, those of the newest events first."""
        return self._read(
            lambda tx: reading.dead_letters(tx, limit=limit, before=before, endpoint=endpoint)
        )

    def quarantined(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        after: int | None = None,
        account: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[QuarantineRow]:
        """List what is in quarantine, newest first; oldest first with ``after``."""
        if ids is not None:
            return self._read(lambda tx: quarantine.named(tx, ids))
        return self._read(
            lambda tx: quarantine.quarantined(
                tx, limit=limit, before=before, after=after, account=account
            )
        )

    def reread(self, items: Sequence[Reread], join: Join) -> list[Recorded | None]:
        """Put what was in quarantine where it belongs, in one transaction."""
        return self._write(lambda tx: quarantine.reread(tx, items, join, self._clock()))

    def discard(self, numbers: Sequence[int]) -> int:
        """Remove from quarantine for good; how many were there."""
        return self._write(lambda tx: quarantine.discard(tx, numbers))

    def retry(
        self, ids: Sequence[int] | None, *, endpoint: str | None, now: Millis, limit: int = 1_000
    ) -> int:
        """Make dead letters pending again, due now, with a fresh schedule; how many."""
        return self._write(lambda tx: sending.retry(tx, ids, endpoint, now, limit))

    def counts(self) -> dict[str, int]:
        """Count what there is; see :func:`bridge.store.sqlite.reading.counts`."""
        return self._read(reading.counts)

    # -- upkeep ------------------------------------------------------------------------------

    def prune(self, now: Millis) -> int:
        """Remove what is only needed for a while, at most 1,000 rows each; how many went."""

        def work(tx: Tx) -> int:
            keys = repeats.prune(
                tx, arrivals_before=now - ARRIVALS_KEPT, now=now, limit=PRUNED_AT_ONCE
            )
            return keys + processes.prune(tx, now - LINKS_KEPT, PRUNED_AT_ONCE)

        return self._write(work)

    def checkpoint(self) -> None:
        """Copy the log into the database, and keep the log short."""
        self._database.checkpoint()
