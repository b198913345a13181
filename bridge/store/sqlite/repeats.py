"""Arrival keys, which of them are doubtful, and carriers' own ids: what repeats are told by.

See the theory of :mod:`bridge.store.contract`.

An arrival that becomes doubtful moves from ``arrival`` to ``doubtful``: so saying it twice
changes nothing, even when the doubt was used up in between.
"""

from collections.abc import Sequence

from bridge.store.records import ArrivalKey, CarrierId, Doubt
from bridge.store.rows import FINGERPRINT_SIZE
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.writing import Insert, json, run
from smsc.message import Millis

MINUTE = 60_000

_ARRIVAL = Insert(
    "arrival",
    "minute, link, place, account, received_at, id, fingerprint",
    # The same arrival recorded again, after a commit in doubt: the later row tells of it.
    verb="INSERT OR REPLACE",
)
_CARRIER_ID = Insert("carrier_id", "key, until, id", verb="INSERT OR REPLACE")


# Of one minute and link, in the order of the primary key.
_CHOSEN = """
FROM arrival WHERE minute = :minute AND link = :link AND place <= :last AND received_at >= :since
 AND (NOT :only OR place IN (SELECT value FROM json_each(:unanswered)))
"""
_PORTION = f"SELECT count(*), max(place) FROM (SELECT place {_CHOSEN} ORDER BY place LIMIT :most)"  # noqa: S608  # our own words
_DOUBT = f"""
INSERT OR IGNORE INTO doubtful (account, fingerprint, link, place, id, answered, until)
SELECT account, fingerprint, link, place, id,
 place <= :answered_to AND place NOT IN (SELECT value FROM json_each(:unanswered)), :until
{_CHOSEN}
"""  # noqa: S608  # our own words
_MOVED = f"DELETE {_CHOSEN}"

LAST = 2**63 - 1
"""Behind every place."""


class Doubtful:
    """The doubtful arrivals that a batch may repeat; each is used once."""

    def __init__(self, tx: Tx, keys: Sequence[ArrivalKey]) -> None:
        pairs = {(key.account, key.fingerprint[:FINGERPRINT_SIZE].hex()) for key in keys}
        found = tx.db.execute(
            "SELECT d.account, d.fingerprint, d.link, d.place, d.id, d.answered, d.until"
            " FROM json_each(?) j JOIN doubtful d ON d.account = j.value ->> 0"
            " AND d.fingerprint = unhex(j.value ->> 1)"
            " ORDER BY d.answered, d.link, d.place",
            (json(pairs),),
        )
        self._known: dict[tuple[str, bytes], list[tuple[str, int, str, int, int]]] = {}
        for account, fingerprint, link, place, id_, answered, until in found:
            waiting = self._known.setdefault((account, fingerprint), [])
            waiting.append((link, place, id_, answered, until))
        self._used: list[tuple[str, str, str, int]] = []

    def take(self, key: ArrivalKey) -> tuple[str, bool] | None:
        """Use up what ``key`` repeats: its id, and whether its answer was written."""
        pair = key.account, key.fingerprint[:FINGERPRINT_SIZE]
        waiting = self._known.get(pair, [])
        for index, (link, place, id_, answered, until) in enumerate(waiting):
            if until >= key.received_at:
                del waiting[index]
                self._used.append((pair[0], pair[1].hex(), link, place))
                return id_, bool(answered)
        return None

    def write(self, tx: Tx) -> None:
        """Forget what was used."""
        run(
            tx.db,
            "DELETE FROM doubtful WHERE (account, fingerprint, link, place) IN"
            " (SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3"
            " FROM json_each(?1))",
            self._used,
        )


class Named:
    """What carriers gave the ids of a batch before, those earlier in the batch included."""

    def __init__(self, tx: Tx, ids: Sequence[CarrierId]) -> None:
        self._hash = tx.rows.set_hash
        found = tx.db.execute(
            "SELECT c.key, c.until, c.id FROM json_each(?) j"
            " JOIN carrier_id c ON c.key = unhex(j.value)",
            (json({self._hash(one.key).hex() for one in ids}),),
        )
        self._known: dict[bytes, tuple[Millis, str]] = {key: (end, id_) for key, end, id_ in found}
        self._rows: list[object] = []

    def find(self, one: CarrierId, at: Millis) -> str | None:
        """Return the id of what came first with this one, if that is remembered at a time."""
        known = self._known.get(self._hash(one.key))
        return None if known is None or known[0] < at else known[1]

    def put(self, one: CarrierId, id_: str) -> None:
        """Remember what was stored under a carrier's id."""
        key = self._hash(one.key)
        self._known[key] = one.until, id_
        self._rows += (key, one.until, id_)

    def write(self, tx: Tx) -> None:
        """Store them."""
        _CARRIER_ID.run(tx.db, self._rows)


class Arrivals:
    """Gathers the keys of what a batch stored, or recognised."""

    def __init__(self) -> None:
        self._rows: list[object] = []

    def put(self, key: ArrivalKey, id_: str) -> None:
        """Add one, with the id of what is stored for it."""
        received_at = key.received_at
        self._rows += (
            received_at // MINUTE,
            key.link,
            key.place,
            key.account,
            received_at,
            id_,
            key.fingerprint[:FINGERPRINT_SIZE],
        )

    def write(self, tx: Tx) -> None:
        """Store them."""
        _ARRIVAL.run(tx.db, self._rows)


def doubt(tx: Tx, doubts: Sequence[Doubt], most: int) -> tuple[int, Sequence[Doubt]]:
    """Make at most ``most`` arrivals doubtful; return how many, and what is left to be done.

    A busy link has so many that doing all at once would hold up everybody who writes.
    """
    oldest, newest = tx.db.execute(
        "SELECT (SELECT min(minute) FROM arrival), (SELECT max(minute) FROM arrival)"
    ).get
    if oldest is None:
        return 0, ()
    moved = 0
    for index, one in enumerate(doubts):
        for minute in range(newest, max(one.since // MINUTE, oldest) - 1, -1):
            moved += _doubt(tx, one, minute, most - moved)
            if moved >= most:
                return moved, doubts[index:]
    return moved, ()


def _doubt(tx: Tx, one: Doubt, minute: int, most: int) -> int:
    """Move at most so many arrivals of one link and minute; they are clustered by both."""
    given = {
        "minute": minute,
        "link": one.link,
        "last": LAST,
        "since": one.since,
        "only": one.only_unanswered,
        "unanswered": json(one.unanswered),
        "answered_to": one.answered_to,
        "until": one.until,
        "most": most,
    }
    row = tx.db.execute(_PORTION, given).fetchone()
    assert row is not None
    count: int = row[0]
    if count:
        given["last"] = row[1]
        tx.db.execute(_DOUBT, given)
        tx.db.execute(_MOVED, given)
    return count


def prune(tx: Tx, *, arrivals_before: Millis, now: Millis, limit: int) -> int:
    """Remove arrivals received before a time, doubts and carriers' ids that have ended: ``limit``
    of each."""
    tx.db.execute(
        "DELETE FROM arrival WHERE (minute, link, place) IN"
        " (SELECT minute, link, place FROM arrival WHERE minute < ? LIMIT ?)",
        (arrivals_before // MINUTE, limit),
    )
    gone = tx.db.changes()
    tx.db.execute(
        "DELETE FROM doubtful WHERE (account, fingerprint, link, place) IN"
        " (SELECT account, fingerprint, link, place FROM doubtful WHERE until < ? LIMIT ?)",
        (now, limit),
    )
    gone += tx.db.changes()
    tx.db.execute(
        "DELETE FROM carrier_id WHERE key IN (SELECT key FROM carrier_id WHERE until < ? LIMIT ?)",
        (now, limit),
    )
    return gone + tx.db.changes()


def rename(tx: Tx, renamed: Sequence[tuple[ArrivalKey, str, str]]) -> None:
    """Have repeats of arrivals, given with old and new id, told the new one."""
    rows = [
        (key.received_at // MINUTE, key.link, key.place, old, new, key.account,
         key.fingerprint[:FINGERPRINT_SIZE].hex())
        for key, old, new in renamed
    ]  # fmt: skip
    run(
        tx.db,
        "UPDATE arrival SET id = j.value ->> 4 FROM json_each(?1) j WHERE minute = j.value ->> 0"
        " AND link = j.value ->> 1 AND place = j.value ->> 2 AND arrival.id = j.value ->> 3",
        rows,
    )
    run(
        tx.db,
        "UPDATE doubtful SET id = j.value ->> 4 FROM json_each(?1) j"
        " WHERE account = j.value ->> 5 AND fingerprint = unhex(j.value ->> 6)"
        " AND link = j.value ->> 1 AND place = j.value ->> 2 AND doubtful.id = j.value ->> 3",
        rows,
    )
