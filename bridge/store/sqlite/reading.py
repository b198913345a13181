"""What people ask: messages, their deliveries, dead letters, counts.

A message's status is not stored: it follows from where its deliveries are. They carry its
numbers, so each look is a range of a primary key. Lists go through candidates, newest first, and
stop at the page's end, so that work is bounded by what is shown and not by what is stored.
"""

import heapq
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from bridge.errors import NotFound
from bridge.model import Attempt
from bridge.store.listing import DeadLetter, DeliveryRow, MessageRow
from bridge.store.sqlite.connection import Tx, steady
from bridge.store.sqlite.writing import json

PAGE = 200
"""Candidates that are looked at together."""

NEWEST = 2**62
"""Above every number."""

# By address: group after group of 1,024 numbers, newest first, one seek each.
_BY_ADDRESS = """
WITH RECURSIVE newer (g) AS (
  SELECT (SELECT max(n) FROM message WHERE n < :before) >> 10
  UNION ALL SELECT g - 1 FROM newer WHERE g > (SELECT min(n) FROM message) >> 10
)
SELECT newer.g, m.n FROM newer CROSS JOIN message m INDEXED BY message_{side}
ON m.n >> 10 = newer.g AND m.{side}_hash = :hash WHERE m.n < :before
"""
_BY_SOURCE = _BY_ADDRESS.format(side="source")
_BY_DESTINATION = _BY_ADDRESS.format(side="destination")

# By what lies in a small table, newest first: events of the message's own numbers, late events.
_WITH_OWN = """
SELECT e.message FROM {table} d CROSS JOIN event e ON e.n = d.event
WHERE d.id < ? AND e.late = 0 ORDER BY d.id DESC
"""
_WITH_LATE = """
SELECT e.message FROM event e WHERE e.late = 1 AND e.message < ? AND EXISTS
  (SELECT 1 FROM {table} d WHERE d.id >= e.n AND d.id < e.n + e.fan) ORDER BY e.message DESC
"""
_CANDIDATES = {
    "pending": (_WITH_OWN.format(table="delivery"), _WITH_LATE.format(table="delivery")),
    "dead": (_WITH_OWN.format(table="dead_letter"), _WITH_LATE.format(table="dead_letter")),
    "unrouted": ("SELECT n FROM message WHERE routed = 0 AND n < ? ORDER BY n DESC",),
}
_ALL = ("SELECT n FROM message WHERE n < ? ORDER BY n DESC",)

_HAS = """
 EXISTS (SELECT 1 FROM {table} d WHERE d.id >= m.n AND d.id < m.n + m.span)
 OR EXISTS (SELECT 1 FROM event e JOIN {table} d ON d.id >= e.n AND d.id < e.n + e.fan
  WHERE e.message = m.n AND e.late = 1)
"""
_ROWS = f"""
SELECT m.id, m.kind, m.received_at, m.account, m.carrier, m.tenant, m.number, m.encoding, m.total,
 m.complete, m.duplicate_of, m.addresses,
 CASE WHEN m.routed = 0 THEN 'unrouted' WHEN {_HAS.format(table="delivery")} THEN 'pending'
  WHEN {_HAS.format(table="dead_letter")} THEN 'dead' ELSE 'delivered' END,
 (SELECT body FROM event e WHERE e.n = coalesce(
  (SELECT max(n) FROM event WHERE message = m.n AND late = 1),
  (SELECT max(n) FROM event WHERE n >= m.n AND n < m.n + m.span)))
FROM json_each(?) j CROSS JOIN message m ON m.n = j.value ORDER BY m.n DESC
"""  # noqa: S608  # our own words


def messages(
    tx: Tx,
    *,
    limit: int,
    before: str | None,
    source: str | None,
    destination: str | None,
    status: str | None,
    id_: str | None,
) -> list[MessageRow]:
    """List messages, newest first. Raises NotFound where ``before`` names none."""
    with steady(tx.db):  # one state of all tables
        newest = NEWEST if before is None else _number(tx, before)
        if newest is None:
            raise NotFound(f"no message {before}")
        if id_ is not None:
            number = _number(tx, id_)
            candidates = iter(()) if number is None or number >= newest else iter((number,))
        elif source is not None:
            candidates = _by_address(tx, _BY_SOURCE, source, newest)
        elif destination is not None:
            candidates = _by_address(tx, _BY_DESTINATION, destination, newest)
        else:
            statements = _ALL if status is None else _CANDIDATES.get(status, _ALL)
            candidates = _merged(tx, statements, newest)
        found: list[MessageRow] = []
        while len(found) < limit and (numbers := list(islice(candidates, min(limit, PAGE)))):
            found += [
                row
                for row in _rows(tx, numbers)
                if (source is None or row.source == source)
                and (destination is None or row.destination == destination)
                and (status is None or row.status == status)
            ]
        return found[:limit]


def _number(tx: Tx, id_: str) -> int | None:
    number: int | None = tx.db.execute("SELECT n FROM message WHERE id = ?", (id_,)).get
    return number


def _by_address(tx: Tx, statement: str, address: str, before: int) -> Iterator[int]:
    given = {"hash": tx.rows.address_hash(address), "before": before}
    groups = groupby(tx.db.execute(statement, given), key=lambda row: row[0])
    for _, group in groups:
        yield from reversed([number for _, number in group])


def _merged(tx: Tx, statements: tuple[str, ...], before: int) -> Iterator[int]:
    """Yield the numbers that any of the statements finds, descending, each once."""
    found = [(row[0] for row in tx.db.execute(one, (before,))) for one in statements]
    return (number for number, _ in groupby(heapq.merge(*found, reverse=True)))


def _rows(tx: Tx, numbers: list[int]) -> Iterator[MessageRow]:
    rows = tx.rows
    for row in tx.db.execute(_ROWS, (json(numbers),)):
        source, destination = rows.unseal_addresses(row[11])
        yield MessageRow(
            id=row[0],
            kind=row[1],
            received_at=row[2],
            account=row[3],
            carrier=row[4],
            tenant=row[5],
            number=row[6],
            encoding=row[7],
            total=row[8],
            complete=bool(row[9]),
            duplicate_of=row[10],
            source=source,
            destination=destination,
            status=row[12],
            event=rows.unseal(row[13]),
        )


_DELIVERIES = """
SELECT d.id, l.endpoint, 'pending', d.due_at, NULL FROM delivery d JOIN lane l ON l.n = d.lane
 WHERE d.id >= :first AND d.id < :behind
UNION ALL SELECT d.id, l.endpoint, 'delivered', NULL, d.attempt FROM delivered d
 JOIN lane l ON l.n = d.lane WHERE d.id >= :first AND d.id < :behind
UNION ALL SELECT d.id, d.endpoint, 'dead', NULL, NULL FROM dead_letter d
 WHERE d.id >= :first AND d.id < :behind
ORDER BY 1
"""


def deliveries(tx: Tx, message_id: str) -> list[DeliveryRow]:
    """Return every delivery of a message with its attempts; none for an unknown message."""
    with steady(tx.db):  # one state of all tables
        message = tx.db.execute(
            "SELECT n, n + span FROM message WHERE id = ?", (message_id,)
        ).fetchone()
        if message is None:
            return []
        events: list[Any] = tx.db.execute(
            "SELECT n, fan, id FROM event WHERE n >= ?1 AND n < ?2"
            " UNION ALL SELECT n, fan, id FROM event WHERE message = ?1 AND late = 1 ORDER BY 1",
            message,
        ).fetchall()
        return [row for first, fan, id_ in events for row in _of_event(tx, first, first + fan, id_)]


def _of_event(tx: Tx, first: int, behind: int, event_id: str) -> Iterator[DeliveryRow]:
    unseal = tx.rows.unseal_attempt
    attempts: dict[int, list[Attempt]] = {}
    for delivery, facts in tx.db.execute(
        "SELECT delivery, facts FROM attempt WHERE delivery >= ? AND delivery < ?"
        " ORDER BY delivery, number",
        (first, behind),
    ):
        attempts.setdefault(delivery, []).append(unseal(facts))
    for id_, endpoint, state, due_at, last in tx.db.execute(
        _DELIVERIES, {"first": first, "behind": behind}
    ):
        made = attempts.get(id_, [])
        if last is not None:
            made.append(unseal(last))
        yield DeliveryRow(
            id=id_,
            endpoint=endpoint,
            event_id=event_id,
            state=state,
            due_at=due_at,
            attempts=tuple(made),
        )


_DEAD_LETTERS = """
SELECT d.id, d.endpoint, e.id, e.type, m.id, d.died_at, d.attempts, d.reason,
 (SELECT status FROM attempt WHERE delivery = d.id ORDER BY number DESC LIMIT 1),
 (SELECT error FROM attempt WHERE delivery = d.id ORDER BY number DESC LIMIT 1)
FROM dead_letter d JOIN event e ON e.n = d.event JOIN message m ON m.n = e.message
WHERE d.id < ?{endpoint} ORDER BY d.id DESC LIMIT ?
"""
_DEAD_LETTERS_ALL = _DEAD_LETTERS.format(endpoint="")
_DEAD_LETTERS_OF_ENDPOINT = _DEAD_LETTERS.format(endpoint=" AND d.endpoint = ?")


def dead_letters(
    tx: Tx, *, limit: int, before: int | None, endpoint: str | None
) -> list[DeadLetter]:
    """List dead letters, those of the newest events first."""
    below = NEWEST if before is None else before
    if endpoint is None:
        found = tx.db.execute(_DEAD_LETTERS_ALL, (below, limit))
    else:
        found = tx.db.execute(_DEAD_LETTERS_OF_ENDPOINT, (below, endpoint, limit))
    return [
        DeadLetter(
            id=row[0],
            endpoint=row[1],
            event_id=row[2],
            event_type=row[3],
            message_id=row[4],
            died_at=row[5],
            attempts=row[6],
            reason=row[7],
            last_status=row[8],
            last_error=row[9],
        )
        for row in found
    ]


def counts(tx: Tx) -> dict[str, int]:
    """Return the running counts, and how many sets wait: those are few."""
    row: Any = tx.db.execute(
        "SELECT messages, unrouted, pending, dead_letters, quarantined,"
        " (SELECT count(*) FROM fragment_set WHERE state < 2) FROM tally"
    ).fetchone()
    names = ("messages", "unrouted", "pending", "dead_letters", "quarantined", "open_sets")
    return dict(zip(names, row, strict=True))
