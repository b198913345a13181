"""What is in quarantine: listing it, letting it out, throwing it away."""

from collections.abc import Sequence
from typing import Any

from bridge.store.listing import QuarantineRow
from bridge.store.records import Join, QuarantineRecord, Recorded, Reread
from bridge.store.sqlite import fragments, recording, repeats
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.writing import json, run
from smsc.message import Millis

_COLUMNS = (
    "SELECT n, id, account, received_at, reason, raw, link, place, duplicate_of FROM quarantine"
)
_LISTS = {
    False: f"{_COLUMNS} WHERE n < :at AND (:account IS NULL OR account = :account)"
    " ORDER BY n DESC LIMIT :limit",
    True: f"{_COLUMNS} WHERE n > :at AND (:account IS NULL OR account = :account)"
    " ORDER BY n LIMIT :limit",
}
_NAMED = f"{_COLUMNS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY n DESC"  # noqa: S608  # our own words

NEWEST = 2**62
"""Above every number."""


def quarantined(
    tx: Tx, *, limit: int, before: int | None, after: int | None, account: str | None
) -> list[QuarantineRow]:
    """List what is in quarantine, newest first; oldest first with ``after``."""
    at = after if after is not None else NEWEST if before is None else before
    given = {"at": at, "account": account, "limit": limit}
    return _rows(tx, _LISTS[after is not None], given)


def named(tx: Tx, ids: Sequence[str]) -> list[QuarantineRow]:
    """Return those of these ids, newest first."""
    return _rows(tx, _NAMED, (json(ids),))


def _rows(tx: Tx, statement: str, given: object) -> list[QuarantineRow]:
    return [
        QuarantineRow(
            number=row[0],
            id=row[1],
            account=row[2],
            received_at=row[3],
            reason=row[4],
            raw=tx.rows.unseal(row[5]),
            link=row[6],
            place=row[7],
            duplicate_of=row[8],
        )
        for row in tx.db.execute(statement, given)  # type: ignore[arg-type]  # a tuple or a dict, as the statement wants
    ]


def reread(tx: Tx, items: Sequence[Reread], join: Join, now: Millis) -> list[Recorded | None]:
    """Put what was in quarantine where it belongs: see :meth:`~bridge.store.contract.Store.reread`.

    Whoever comes second finds it gone: writers are one after the other.
    """
    found: list[Any] = tx.db.execute(
        "SELECT n, id FROM quarantine WHERE n IN (SELECT value FROM json_each(?))",
        (json([item.number for item in items]),),
    ).fetchall()
    there: dict[int, str] = dict(found)
    results: list[Recorded | None] = [None] * len(items)
    stay: list[tuple[int, str]] = []
    leave: list[tuple[int, Reread, str]] = []
    for index, item in enumerate(items):
        id_ = there.pop(item.number, None)
        if id_ is None:
            continue
        if type(item.record) is QuarantineRecord:
            stay.append((item.number, item.record.reason))
            results[index] = Recorded(id_)
        else:
            leave.append((index, item, id_))
    run(
        tx.db,
        "UPDATE quarantine SET reason = j.value ->> 1 FROM json_each(?1) j WHERE n = j.value ->> 0",
        stay,
    )
    if not leave:
        return results
    discard(tx, [item.number for _, item, _ in leave])
    recorded = recording.record(tx, [item.record for _, item, _ in leave], again=True)
    for (index, _, _), one in zip(leave, recorded, strict=True):
        results[index] = one
    repeats.rename(
        tx,
        [
            (item.record.key, id_, one.id)
            for (_, item, id_), one in zip(leave, recorded, strict=True)
        ],
    )
    if whole := {one.set_id for one in recorded if one.whole}:
        fragments.join_sets(tx, sorted(whole), join, now=now, expired_by=fragments.NEVER)
    return results


def discard(tx: Tx, numbers: Sequence[int]) -> int:
    """Remove from quarantine; return how many were there."""
    tx.db.execute(
        "DELETE FROM quarantine WHERE n IN (SELECT value FROM json_each(?))", (json(numbers),)
    )
    gone = tx.db.changes()
    tx.db.execute("UPDATE tally SET quarantined = quarantined - ?", (gone,))
    return gone
