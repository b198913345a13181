"""The delivery side: leases, what is due, what became of it, dead letters.

Deliveries that are still to be sent stand in ``delivery``, which stays small; settling one moves
it to ``delivered`` or ``dead_letter``. Reading what is due touches only the former.
"""

from collections.abc import Sequence
from typing import Any

from bridge.store.contract import Due, Lease, Settlement
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.writing import Octets, json, piece
from smsc.message import Millis

_LEASE = """
INSERT INTO lease (lane, owner, token, until)
SELECT value, :process, 1, :until FROM json_each(:lanes) WHERE true
ON CONFLICT (lane) DO UPDATE
  SET token = token + (owner IS NOT excluded.owner), owner = excluded.owner, until = excluded.until
  WHERE owner IS excluded.owner OR owner IS NULL OR until <= :now
RETURNING lane, token, until
"""

_DUE = """
SELECT d.id, e.id, e.type, e.body, d.attempts, d.step, d.due_at, e.created_at
FROM delivery d JOIN event e ON e.n = d.event
WHERE d.lane = ? AND d.due_at <= ?{held} ORDER BY d.due_at, d.id LIMIT ?
"""
_DUE_ALL = _DUE.format(held="")
_DUE_BUT_HELD = _DUE.format(held=" AND d.id NOT IN (SELECT value FROM json_each(?))")

# Lane after lane, each found by one seek behind the last one (a loose index scan).
_PENDING_LANES = """
WITH RECURSIVE pending (lane) AS (
  SELECT min(lane) FROM delivery
  UNION ALL
  SELECT (SELECT min(lane) FROM delivery WHERE lane > pending.lane) FROM pending
  WHERE pending.lane IS NOT NULL
)
SELECT name, (SELECT min(due_at) FROM delivery WHERE delivery.lane = pending.lane)
FROM pending JOIN lane ON lane.n = pending.lane
"""

_BACKLOG = """
SELECT l.endpoint, sum(d.waiting)
FROM (SELECT lane, count(*) AS waiting FROM delivery GROUP BY lane) d JOIN lane l ON l.n = d.lane
GROUP BY l.endpoint
"""

# A row of settlements: delivery, lane, attempt number, status, error, due_at, step, reason, facts.
# The lane is compared behind a `+`: the delivery's id alone shall be looked up.
_LIVE = (
    "jsonb_each(?1) j CROSS JOIN delivery d ON d.id = json_extract(j.value, '$[0]')"
    " AND +d.lane = json_extract(j.value, '$[1]')"
)
_DELIVERED = f"""
INSERT INTO delivered (id, lane, at, attempt) SELECT d.id, d.lane, ?3, {piece(8)} FROM {_LIVE}
"""  # noqa: S608  # our own words
_ATTEMPT = f"""
INSERT OR REPLACE INTO attempt (delivery, number, status, error, facts)
SELECT d.id, json_extract(j.value, '$[2]'), json_extract(j.value, '$[3]'),
  json_extract(j.value, '$[4]'), {piece(8)} FROM {_LIVE}
"""  # noqa: S608  # our own words
_DEAD = f"""
INSERT INTO dead_letter (id, lane, event, endpoint, died_at, attempts, reason)
SELECT d.id, d.lane, d.event, l.endpoint, ?2, json_extract(j.value, '$[2]'),
  json_extract(j.value, '$[7]') FROM {_LIVE} JOIN lane l ON l.n = d.lane
"""  # noqa: S608  # our own words
_PENDING = """
UPDATE delivery SET attempts = json_extract(j.value, '$[2]'),
  due_at = json_extract(j.value, '$[5]'), step = json_extract(j.value, '$[6]')
FROM jsonb_each(?1) j WHERE delivery.id = json_extract(j.value, '$[0]')
  AND +delivery.lane = json_extract(j.value, '$[1]')
"""
_SETTLED = f"DELETE FROM delivery WHERE id IN (SELECT d.id FROM {_LIVE})"  # noqa: S608  # our own words


def lease(tx: Tx, process: str, lanes: Sequence[str], ttl: float) -> list[Lease]:
    """Take or renew lanes; see the contract."""
    now = tx.clock()
    given = {
        "process": process,
        "until": now + int(ttl * 1000),
        "lanes": json(set(lanes)),
        "now": now,
    }
    return [Lease(*row) for row in tx.db.execute(_LEASE, given)]


def release(tx: Tx, process: str, lanes: Sequence[str] | None) -> None:
    """Give lanes back. The token stays, so that the next owner's is greater."""
    statement = "UPDATE lease SET owner = NULL, until = 0 WHERE owner = ?"
    if lanes is None:
        tx.db.execute(statement, (process,))
    else:
        statement += " AND lane IN (SELECT value FROM json_each(?))"
        tx.db.execute(statement, (process, json(lanes)))


def lane_of(tx: Tx, name: str) -> tuple[int, str] | None:
    """Return a lane's number and endpoint; None while it never had a delivery."""
    known = tx.lanes.get(name)
    if known is None:
        row = tx.db.execute("SELECT n, endpoint FROM lane WHERE name = ?", (name,)).fetchone()
        if row is not None:
            known = tx.lanes[name] = (row[0], row[1])
    return known


def due(tx: Tx, lane: str, now: Millis, limit: int, held: Sequence[int]) -> list[Due]:
    """Read what is due, oldest first; see the contract."""
    known = lane_of(tx, lane)
    if known is None:
        return []
    number, endpoint = known
    if held:
        found = tx.db.execute(_DUE_BUT_HELD, (number, now, json(held), limit))
    else:
        found = tx.db.execute(_DUE_ALL, (number, now, limit))
    unseal = tx.rows.unseal
    return [
        Due(id_, lane, endpoint, event, type_, unseal(body), attempts, step, due_at, created_at)
        for id_, event, type_, body, attempts, step, due_at, created_at in found
    ]


def next_due(tx: Tx, lane: str, now: Millis) -> Millis | None:
    """Return when the next delivery after ``now`` is due."""
    known = lane_of(tx, lane)
    if known is None:
        return None
    found: Millis | None = tx.db.execute(
        "SELECT min(due_at) FROM delivery WHERE lane = ? AND due_at > ?", (known[0], now)
    ).get
    return found


def pending_lanes(tx: Tx) -> list[tuple[str, Millis]]:
    """Name every lane with something pending, and when its earliest is due."""
    found: list[Any] = tx.db.execute(_PENDING_LANES).fetchall()
    return found


def settle(tx: Tx, batches: Sequence[tuple[str, int, Sequence[Settlement]]]) -> list[str]:
    """Write outcomes and attempts of lanes, given with their tokens; return the stale ones.

    Deliveries that are not pending any more are passed over: so after a commit in doubt the
    call may simply be repeated.
    """
    found: list[Any] = tx.db.execute(
        "SELECT lane, token FROM lease WHERE lane IN (SELECT value FROM json_each(?))",
        (json(lane for lane, _, _ in batches),),
    ).fetchall()
    current = dict(found)
    seal = tx.rows.seal_attempt
    octets = Octets()
    stale: list[str] = []
    by_state: dict[str, list[tuple[object, ...]]] = {"delivered": [], "pending": [], "dead": []}
    for lane, token, settlements in batches:
        if current.get(lane) != token:
            stale.append(lane)
            continue
        known = lane_of(tx, lane)
        number = known[0] if known is not None else 0  # no delivery, no number: matches nothing
        for one in settlements:
            attempt = one.attempt
            by_state[one.state].append(
                (
                    one.delivery,
                    number,
                    attempt.number,
                    attempt.status,
                    attempt.error,
                    one.due_at,
                    one.step,
                    one.reason,
                    *octets.put(seal(attempt)),
                )
            )
    _settle(tx, octets.join(), **by_state)
    return stale


def _settle(
    tx: Tx,
    octets: bytes,
    delivered: list[tuple[object, ...]],
    pending: list[tuple[object, ...]],
    dead: list[tuple[object, ...]],
) -> None:
    db = tx.db
    now = tx.clock()
    died = 0
    if delivered:
        db.execute(_DELIVERED, (json(delivered), octets, now))
    if pending or dead:
        db.execute(_ATTEMPT, (json(pending + dead), octets))
    if pending:
        db.execute(_PENDING, (json(pending),))
    if dead:
        db.execute(_DEAD, (json(dead), now))
        died = db.changes()
    if delivered or dead:
        db.execute(_SETTLED, (json(row[:2] for row in delivered + dead),))
        db.execute(
            "UPDATE tally SET pending = pending - ?, dead_letters = dead_letters + ?",
            (db.changes(), died),
        )


def bury(tx: Tx, endpoint: str, reason: str, now: Millis, limit: int) -> int:
    """Make pending deliveries of an endpoint dead letters; return how many."""
    ids = [
        row[0]
        for row in tx.db.execute(
            "SELECT d.id FROM lane l CROSS JOIN delivery d ON d.lane = l.n WHERE l.endpoint = ?"
            " LIMIT ?",
            (endpoint, limit),
        )
    ]
    if ids:
        chosen = json(ids)
        tx.db.execute(
            "INSERT INTO dead_letter (id, lane, event, endpoint, died_at, attempts, reason)"
            " SELECT id, lane, event, ?, ?, attempts, ? FROM delivery"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (endpoint, now, reason, chosen),
        )
        tx.db.execute(
            "DELETE FROM delivery WHERE id IN (SELECT value FROM json_each(?))", (chosen,)
        )
        tx.db.execute(
            "UPDATE tally SET pending = pending - ?, dead_letters = dead_letters + ?",
            (len(ids), len(ids)),
        )
    return len(ids)


def retry(tx: Tx, ids: Sequence[int] | None, endpoint: str | None, now: Millis, limit: int) -> int:
    """Make dead letters pending again; return how many."""
    statement = "SELECT id FROM dead_letter WHERE true"
    given: list[object] = []
    if ids is not None:
        statement += " AND id IN (SELECT value FROM json_each(?))"
        given.append(json(ids))
    if endpoint is not None:
        statement += " AND endpoint = ?"
        given.append(endpoint)
    found = tx.db.execute(statement + " ORDER BY id LIMIT ?", (*given, limit))
    chosen = [row[0] for row in found]
    if chosen:
        these = json(chosen)
        tx.db.execute(
            "INSERT INTO delivery (id, lane, event, due_at, attempts, step)"
            " SELECT id, lane, event, ?, attempts, 0 FROM dead_letter"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (now, these),
        )
        tx.db.execute(
            "DELETE FROM dead_letter WHERE id IN (SELECT value FROM json_each(?))", (these,)
        )
        tx.db.execute(
            "UPDATE tally SET pending = pending + ?, dead_letters = dead_letters - ?",
            (len(chosen), len(chosen)),
        )
    return len(chosen)


def backlog(tx: Tx) -> dict[str, int]:
    """Count pending deliveries by endpoint."""
    found: list[Any] = tx.db.execute(_BACKLOG).fetchall()
    return dict(found)
