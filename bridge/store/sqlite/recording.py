"""``record``: a batch of arrivals and all that follows from them, in one transaction.

Nothing is written before everything is decided: repeats by what is doubtful
(:mod:`.repeats`), fragments by the sets of their keys (:mod:`.fragments`), in the order of the
batch, each seeing what those before it changed.
"""

from collections.abc import Sequence

from bridge.errors import BatchRejected
from bridge.store.contract import FragmentRecord, MessageRecord, QuarantineRecord, Record, Recorded
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.fragments import Placement
from bridge.store.sqlite.messages import MessageWriter, Quarantine, Tally
from bridge.store.sqlite.repeats import Arrivals, Doubtful

MOST = 1_000
"""Records a batch may have."""


def record(tx: Tx, batch: Sequence[Record]) -> list[Recorded]:
    """Store a batch; see :meth:`bridge.store.contract.Store.record`."""
    if len(batch) > MOST:
        raise BatchRejected(f"a batch has at most {MOST} records, not {len(batch)}")
    tally = Tally(tx)
    doubtful = Doubtful(tx, [one.key for one in batch]) if tally.any_doubtful else None
    fragments = [one for one in batch if type(one) is FragmentRecord]
    placement = Placement(tx, tally, fragments) if fragments else None
    messages = MessageWriter(tx, tally)
    quarantine = Quarantine(tally)
    arrivals = Arrivals()
    results: list[Recorded] = []

    for one in batch:
        repeat = None
        if doubtful is not None and not (type(one) is MessageRecord and one.duplicate_of):
            repeat = doubtful.take(one.key)
        if type(one) is FragmentRecord:
            assert placement is not None
            result = placement.add(one, repeat)
            arrivals.put(one.key, result.id)
        elif repeat is not None:
            id_, answered = repeat
            result = Recorded(id_, "answered" if answered else "absorbed")
            # The repeat's own answer may get lost as well: a third one must find this key.
            arrivals.put(one.key, id_)
        else:
            if type(one) is MessageRecord:
                messages.add(one)
            else:
                assert type(one) is QuarantineRecord
                quarantine.put(tx, one)
            result = Recorded(one.id)
            arrivals.put(one.key, one.id)
        results.append(result)

    messages.write()
    quarantine.write(tx)
    if placement is not None:
        placement.write()
    arrivals.write(tx)
    if doubtful is not None:
        doubtful.write(tx)
    tally.write(tx)
    return results
