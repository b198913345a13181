"""One batch into the store: debts first, by halves where a row is rejected, repeats marked.

Theory
------
A batch is recorded whole, in one transaction. Where the store rejects it because of a row, it
is tried without the sets that ride along (see :mod:`.completing`), then halved until the
culprit stands alone; that one is quarantined and accepted, so that its carrier doesn't send it
for days. The rest of the batch is stored. Halving ends when the batch is
late: what was not handed over by then was not stored, and its carriers were told to come again.

*Repeats* of arrivals that were answered on a link which then died are recorded as what they may
be, in the same transaction that recognises them: a new message marked ``duplicateOf``. An account
may have them dropped.

*Debts.* What may be stored although its carrier was told to send it again, and what lost links
leave in doubt, is *owed* to the store as doubts: they are written before the next record is, or
no record is written, so that no repeat is ever recorded before it can be recognised. *Checks*
are owed likewise: what has to be asked of the store, and could not be, before more is recorded.
Bound: 10,000 doubts; beyond it those whose time is up are dropped, then the oldest, and that is
logged. Of equal checks one is kept.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
import trio
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from bridge.errors import BatchRejected, StoreError, StoreFull, StoreUnavailable
from bridge.ids import Ids
from bridge.intake.completing import Completer
from bridge.intake.records import carrier_id, message_record, quarantine, record
from bridge.live import LiveView
from bridge.store.records import Doubt, Mark, MessageRecord, QuarantineRecord, Record, Recorded
from bridge.store.threaded import StoreThreads
from smsc.crashpoint import reached
from smsc.message import Arrival, Message, Millis, Origin, Receipt, Verdict, VerdictKind

DOUBT_LASTS = 600_000
"""Milliseconds in which a repeat is recognised."""
MOST_OWED = 10_000

FULL = Verdict(VerdictKind.FULL)
UNAVAILABLE = Verdict(VerdictKind.UNAVAILABLE)

_log: FilteringBoundLogger = structlog.get_logger()

Check = Callable[[], Awaitable[object]]
"""Asks something of the store; raises StoreError where it can't."""

_Part = tuple[Sequence[int], list[Record]]
"""Indexes into a batch, and the records to try for them."""


class Batch:
    """Arrivals that are to be stored together, and what became of each."""

    __slots__ = ("arrivals", "late", "records", "unsure", "verdicts", "written")

    def __init__(self, arrivals: Sequence[Arrival], records: list[Record]) -> None:
        self.arrivals = arrivals
        self.records = records
        self.verdicts: list[Verdict] = [UNAVAILABLE] * len(records)
        self.unsure: list[int] = []
        """Indexes of those that may be stored although :attr:`verdicts` doesn't say so."""
        self.late = False
        """Whether its carriers have been told UNAVAILABLE already."""
        self.written = trio.Event()


class Recorder:
    """Makes records of arrivals, and has the store keep them."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveView,
        ids: Ids,
        clock: Callable[[], Millis],
        *,
        ring: Callable[[], None],
        completer: Completer,
        assembly_timeout: float,
    ) -> None:
        """``ring`` says that there are new deliveries; sets that became whole go to
        ``completer``, and those that wait there ride along with batches."""
        self._threads = threads
        self._live = live
        self._ids = ids
        self._clock = clock
        self._ring = ring
        self._completer = completer
        self._assembly_timeout = assembly_timeout
        self._owed: list[Doubt] = []
        self._checks: list[Check] = []
        self._failing = ""

    @property
    def owes(self) -> bool:
        """Whether there are doubts the store must be told before anything else."""
        return bool(self._owed or self._checks)

    def record(self, arrival: Arrival, now: Millis) -> Record:
        """Return the record of an arrival; one that none can be made of is quarantined."""
        try:
            live = self._live
            return record(
                arrival, live.table, self._ids, now, self._assembly_timeout, live.accounts
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, the carrier must not pay for it
            return self._unrecordable(arrival, error)

    def _unrecordable(self, arrival: Arrival, error: Exception) -> QuarantineRecord:
        _log.error("intake.unrecordable", account=arrival.origin.account, exc_info=error)
        reason = f"no record could be made of it: {type(error).__name__}"
        return quarantine(arrival, self._ids, reason)

    def owe(self, doubt: Doubt) -> None:
        """Have a doubt written before the next record is."""
        self._owed.append(doubt)
        if len(self._owed) > MOST_OWED:
            now = self._clock()
            kept = [each for each in self._owed if each.until >= now][-MOST_OWED:]
            _log.error("intake.doubts_dropped", count=len(self._owed) - len(kept))
            self._owed = kept

    def owe_check(self, check: Check) -> None:
        """Have ``check`` done, until it succeeds, before the next record is written."""
        if check not in self._checks:
            self._checks.append(check)

    async def write(self, batch: Batch) -> None:
        """Settle what is owed, then store a batch; its verdicts say what became of each.

        Never raises for anything the store does. Not cancelled once begun: a commit's end is
        always waited for.
        """
        failure: Exception | None = None
        with trio.CancelScope(shield=True):
            try:
                await self._settle()
                if batch.records:
                    await self._store(batch)
            except StoreError as error:
                failure = error
                if isinstance(error, StoreFull):
                    batch.verdicts = [FULL if v is UNAVAILABLE else v for v in batch.verdicts]
            except Exception as error:  # noqa: BLE001  # a bug of ours must not stop intake
                _log.error("intake.failed", records=len(batch.records), exc_info=error)
                # How far it came nobody knows.
                batch.unsure = list(range(len(batch.records)))
                failure = error
        self._note(failure)
        if batch.records:
            reached("intake.recorded")
        stored = VerdictKind.STORED
        if batch.late:
            batch.unsure += [
                i for i, verdict in enumerate(batch.verdicts) if verdict.kind is stored
            ]
        elif batch.unsure:
            batch.unsure = [i for i in batch.unsure if batch.verdicts[i].kind is not stored]
        if batch.unsure:
            self._owe_unsure(batch)

    async def _settle(self) -> None:
        if self._owed:
            await self._threads.write(self._threads.store.doubt, tuple(self._owed))
            # Nobody adds to them while a batch is being written.
            self._owed.clear()
        while self._checks:
            try:
                await self._checks[0]()
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  # a bug must not stop intake for good
                _log.error("intake.check_failed", exc_info=error)
            del self._checks[0]

    async def _store(self, batch: Batch) -> None:
        parts: list[_Part] = [(range(len(batch.records)), batch.records)]
        while parts and not batch.late:
            indexes, records = parts.pop()
            try:
                recorded = await self._record(records, partial(self._mark, batch, indexes, records))
            except StoreError as error:
                if isinstance(error, BatchRejected):
                    parts += self._narrow(batch, indexes, records, error)
                    continue
                if isinstance(error, StoreUnavailable) and error.in_doubt:
                    batch.unsure += indexes
                raise
            except Exception as error:  # noqa: BLE001  # a bug of the engine that a row meets
                _log.error("intake.record_failed", records=len(records), exc_info=error)
                parts += self._narrow(batch, indexes, records, error)
            else:
                self._stored(batch, indexes, records, recorded)

    async def _record(self, records: list[Record], mark: Mark) -> list[Recorded]:
        """Have records stored, with the sets that ride along."""
        write, store, completer = self._threads.write, self._threads.store, self._completer
        sets = completer.ride()
        if not sets:
            return await write(store.record, records, (), None, mark)
        try:
            recorded = await write(store.record, records, sets, completer.join, mark)
        except BaseException as error:
            completer.walk(sets)
            if isinstance(error, StoreError) and not isinstance(error, BatchRejected):
                raise
            if not isinstance(error, Exception):
                raise
            # Perhaps it was a set: no record may pay for it.
            return await write(store.record, records, (), None, mark)
        completer.rode()
        return recorded

    def _narrow(
        self, batch: Batch, indexes: Sequence[int], records: list[Record], error: Exception
    ) -> list[_Part]:
        """Return what to try instead of a part that was rejected, what comes first at the end."""
        if len(records) > 1:
            half = len(records) // 2
            return [(indexes[half:], records[half:]), (indexes[:half], records[:half])]
        arrival = batch.arrivals[indexes[0]]
        where = {"account": arrival.origin.account, "link": arrival.origin.link}
        if type(records[0]) is QuarantineRecord:
            _log.error("intake.unstorable", reason=type(error).__name__, **where)
            return []
        _log.error("intake.quarantined", reason=type(error).__name__, **where)
        reason = f"the store rejected it: {type(error).__name__}"
        return [(indexes, [quarantine(arrival, self._ids, reason)])]

    def _stored(
        self,
        batch: Batch,
        indexes: Sequence[int],
        records: list[Record],
        recorded: list[Recorded],
    ) -> None:
        """Note what was committed."""
        verdicts = batch.verdicts
        news = False
        for index, given, done in zip(indexes, records, recorded, strict=True):
            if type(given) is MessageRecord:
                news = True
            elif done.whole:
                self._completer.add(done.set_id)
            verdicts[index] = Verdict(VerdictKind.STORED, done.id)
        if news:
            self._ring()

    def _mark(
        self,
        batch: Batch,
        indexes: Sequence[int],
        records: list[Record],
        repeat: MessageRecord | QuarantineRecord,
        of: str,
    ) -> MessageRecord | QuarantineRecord | None:
        """Return what is stored of a repeat that was answered before: a :data:`Mark`.

        Called in the store's thread, and seldom: so it looks for the arrival only then.
        """
        if self._drops(repeat.key.account):
            return None
        if isinstance(repeat, QuarantineRecord):
            return replace(repeat, duplicate_of=of)
        at = next(at for at, record in enumerate(records) if record is repeat)
        return self._duplicate(batch.arrivals[indexes[at]], of)

    def _drops(self, account: str) -> bool:
        known = self._live.accounts.get(account)
        return known is not None and known.doubtful_repeats == "drop"

    def _duplicate(self, arrival: Arrival, of: str) -> MessageRecord | QuarantineRecord:
        assert isinstance(arrival, Message | Receipt), "their records are message records"
        table, now = self._live.table, self._clock()
        try:
            named = None
            if isinstance(arrival, Message):
                named = carrier_id(arrival, 1, self._live.accounts)
            return message_record(arrival, table, self._ids, now, duplicate_of=of, carrier_id=named)
        except Exception as error:  # noqa: BLE001  # as in record
            return self._unrecordable(arrival, error)

    def _owe_unsure(self, batch: Batch) -> None:
        by_link: dict[tuple[str, str], list[Origin]] = {}
        for index in batch.unsure:
            origin = batch.arrivals[index].origin
            by_link.setdefault((origin.link, origin.account), []).append(origin)
        until = self._clock() + DOUBT_LASTS
        for (link, account), origins in by_link.items():
            self.owe(
                Doubt(
                    link=link,
                    account=account,
                    since=min(origin.received_at for origin in origins),
                    answered_to=0,
                    unanswered=tuple(origin.place for origin in origins),
                    only_unanswered=True,
                    until=until,
                )
            )

    def _note(self, failure: Exception | None) -> None:
        """Log a change of the store's health, not each failure."""
        failing = "" if failure is None else str(failure) or type(failure).__name__
        if failing and not self._failing:
            _log.warning("intake.store_failing", error=failing)
        elif self._failing and not failing:
            _log.info("intake.store_works")
        self._failing = failing
