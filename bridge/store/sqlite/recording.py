"""``record``: a batch of arrivals and all that follows from them, in one transaction.

Nothing is written before everything is decided: repeats by what is doubtful and by carriers' own
ids (:mod:`.repeats`), fragments by the sets of their keys (:mod:`.fragments`), in the order of
the batch, each seeing what those before it changed.
"""

from collections.abc import Sequence

from bridge.errors import BatchRejected
from bridge.store.records import (
    FragmentRecord,
    Mark,
    MessageRecord,
    QuarantineRecord,
    Record,
    Recorded,
)
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.fragments import Placement
from bridge.store.sqlite.messages import MessageWriter, Quarantine, Tally
from bridge.store.sqlite.repeats import Arrivals, Doubtful, Named

MOST = 1_000
"""Records a batch may have."""


def record(
    tx: Tx, batch: Sequence[Record], mark: Mark | None = None, *, again: bool = False
) -> list[Recorded]:
    """Store a batch; see :meth:`bridge.store.contract.Store.record`.

    ``again``: of arrivals that were recorded when they came, as something else. They were made
    doubtful then, if at all, so here they would be taken for repeats of themselves.
    """
    if len(batch) > MOST:
        raise BatchRejected(f"a batch has at most {MOST} records, not {len(batch)}")
    work = _Batch(tx, batch, mark, again=again)
    arrivals = Arrivals()
    results: list[Recorded] = []
    for one in batch:
        result = work.decide(one)
        results.append(result)
        # Of a repeat as well: its own answer may get lost, and a third one must find this.
        arrivals.put(one.key, result.id)
    work.write()
    if not again:
        arrivals.write(tx)
    return results


class _Batch:
    """What is decided of a batch, and then written."""

    def __init__(self, tx: Tx, batch: Sequence[Record], mark: Mark | None, *, again: bool) -> None:
        self._tx = tx
        self._mark = mark
        self._tally = tally = Tally(tx)
        self._doubtful: Doubtful | None = None
        if tally.any_doubtful and not again:
            self._doubtful = Doubtful(tx, [one.key for one in batch])
        fragments = [one for one in batch if type(one) is FragmentRecord]
        self._placement = Placement(tx, tally, fragments) if fragments else None
        ids = [
            one.carrier_id
            for one in batch
            if not isinstance(one, QuarantineRecord) and one.carrier_id is not None
        ]
        self._named = Named(tx, ids) if ids else None
        self._messages = MessageWriter(tx, tally)
        self._quarantine = Quarantine(tally)

    def decide(self, one: Record) -> Recorded:
        """Say what becomes of a record, and gather its rows."""
        repeat = None
        if self._doubtful is not None and not (type(one) is MessageRecord and one.duplicate_of):
            repeat = self._doubtful.take(one.key)
        carrier_id = None
        if self._named is not None and not isinstance(one, QuarantineRecord):
            carrier_id = one.carrier_id
            if carrier_id is not None:
                first = self._named.find(carrier_id, one.key.received_at)
                if first is not None:
                    return Recorded(first, "named")
        if isinstance(one, FragmentRecord):
            assert self._placement is not None
            result = self._placement.add(one, repeat)
        elif repeat is None:
            result = self._keep(one)
        elif not repeat[1]:
            result = Recorded(repeat[0], "absorbed")
        else:
            marked = self._mark(one, repeat[0]) if self._mark is not None else None
            result = Recorded(repeat[0], "answered") if marked is None else self._keep(marked)
        if carrier_id is not None:
            assert self._named is not None
            self._named.put(carrier_id, result.id)
        return result

    def _keep(self, one: MessageRecord | QuarantineRecord) -> Recorded:
        if isinstance(one, MessageRecord):
            self._messages.add(one)
        else:
            self._quarantine.put(self._tx, one)
        return Recorded(one.id)

    def write(self) -> None:
        """Write everything that was decided."""
        tx = self._tx
        self._messages.write()
        self._quarantine.write(tx)
        if self._placement is not None:
            self._placement.write()
        if self._doubtful is not None:
            self._doubtful.write(tx)
        if self._named is not None:
            self._named.write(tx)
        self._tally.write(tx)
