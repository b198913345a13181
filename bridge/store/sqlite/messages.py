"""Messages with their events and deliveries, and the quarantine: how rows are numbered and written.

One sequence numbers everything; see the head of ``sql/sqlite/001_start.sql``.
"""

from collections.abc import Sequence

from bridge.errors import BatchRejected
from bridge.store.records import EventRecord, MessageRecord, QuarantineRecord
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.writing import Insert

_MESSAGE = Insert(
    "message",
    "n, span, id, kind, received_at, account, carrier, tenant, number, encoding, total, complete,"
    " duplicate_of, routed, source_hash, destination_hash, addresses, raw",
)
_EVENT = Insert("event", "n, message, late, fan, id, type, tenant, created_at, body")
_DELIVERY = Insert("delivery", "id, lane, event, due_at, attempts, step")
_QUARANTINE = Insert(
    "quarantine", "n, id, account, received_at, reason, raw, link, place, duplicate_of"
)


class Tally:
    """The sequence and the counts of one transaction: read at its begin, written at its end."""

    def __init__(self, tx: Tx) -> None:
        row = tx.db.execute("SELECT number, EXISTS (SELECT 1 FROM doubtful) FROM tally").fetchone()
        assert row is not None
        self.number: int = row[0]
        """The last one given."""
        self.any_doubtful = bool(row[1])
        self.messages = self.unrouted = self.pending = self.quarantined = 0

    def take(self, count: int = 1) -> int:
        """Take numbers; return the first."""
        first = self.number + 1
        self.number += count
        return first

    def write(self, tx: Tx) -> None:
        """Store what has changed."""
        tx.db.execute(
            "UPDATE tally SET number = ?, messages = messages + ?, unrouted = unrouted + ?,"
            " pending = pending + ?, quarantined = quarantined + ?",
            (self.number, self.messages, self.unrouted, self.pending, self.quarantined),
        )


class MessageWriter:
    """Gathers the rows of messages, and writes them in one statement a table."""

    def __init__(self, tx: Tx, tally: Tally) -> None:
        self._tx = tx
        self._tally = tally
        self._messages: list[object] = []
        self._events: list[object] = []
        self._deliveries: list[object] = []

    def add(self, record: MessageRecord) -> None:
        """Add a new message. Raises BatchRejected for one without events."""
        rows = self._tx.rows
        events = record.events
        if not events:
            raise BatchRejected(f"message {record.id} has no event")
        span = fan = 0
        for event in events:
            count = len(event.deliveries)
            span += count or 1
            fan += count
        tally = self._tally
        number = tally.take(span)
        tally.messages += 1
        if not fan:
            tally.unrouted += 1
        key, source, destination = record.key, record.source, record.destination
        self._messages += (
            number,
            span,
            record.id,
            record.kind,
            key.received_at,
            key.account,
            record.carrier,
            record.tenant,
            record.number,
            record.encoding,
            record.total,
            1 if record.complete else 0,
            record.duplicate_of,
            1 if fan else 0,
            rows.address_hash(source),
            rows.destination_hash(destination),
            rows.seal_addresses(source, destination),
            rows.seal(record.raw),
        )
        self._add_events(events, message=number, number=number, late=0)

    def add_late(self, record: MessageRecord) -> bool:
        """Add what late parts changed about a message that exists; False where it does not."""
        db, rows = self._tx.db, self._tx.rows
        found = db.execute("SELECT n, routed FROM message WHERE id = ?", (record.id,)).fetchone()
        if found is None:
            return False
        message, routed = found
        fan = sum(len(event.deliveries) for event in record.events)
        if fan and not routed:
            self._tally.unrouted -= 1
        db.execute(
            "UPDATE message SET encoding = ?, total = ?, complete = ?, raw = ?, routed = ?"
            " WHERE n = ?",
            (
                record.encoding,
                record.total,
                int(record.complete),
                rows.seal(record.raw),
                int(bool(routed or fan)),
                message,
            ),
        )
        span = sum(len(event.deliveries) or 1 for event in record.events)
        number = self._tally.take(span)
        self._add_events(record.events, message=message, number=number, late=1)
        return True

    def _add_events(
        self, events: Sequence[EventRecord], *, message: int, number: int, late: int
    ) -> None:
        lanes, seal = self._tx.lanes, self._tx.rows.seal
        for event in events:
            fan = len(event.deliveries)
            self._events += (
                number,
                message,
                late,
                fan,
                event.id,
                event.type,
                event.tenant,
                event.created_at,
                seal(event.body),
            )
            first = number
            for delivery in event.deliveries:
                lane = lanes.get(delivery.lane)
                if lane is None or lane[1] != delivery.endpoint:
                    lane = declare_lane(self._tx, delivery.lane, delivery.endpoint)
                self._deliveries += (number, lane[0], first, event.created_at, 0, 0)
                number += 1
            if not fan:
                number += 1
            self._tally.pending += fan

    def write(self) -> None:
        """Write everything that was added."""
        db = self._tx.db
        _MESSAGE.run(db, self._messages)
        _EVENT.run(db, self._events)
        _DELIVERY.run(db, self._deliveries)


class Quarantine:
    """Gathers what could not be read or stored otherwise."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._rows: list[object] = []

    def put(self, tx: Tx, record: QuarantineRecord) -> None:
        """Add one."""
        self._tally.quarantined += 1
        self._rows += (
            self._tally.take(),
            record.id,
            record.key.account,
            record.key.received_at,
            record.reason,
            tx.rows.seal(record.raw),
            record.key.link,
            record.key.place,
            record.duplicate_of,
        )

    def write(self, tx: Tx) -> None:
        """Store them."""
        _QUARANTINE.run(tx.db, self._rows)


def declare_lane(tx: Tx, name: str, endpoint: str) -> tuple[int, str]:
    """Return number and endpoint of a lane, which it is given at its first use.

    Raises BatchRejected where the lane belongs to another endpoint.
    """
    tx.db.execute("INSERT OR IGNORE INTO lane (name, endpoint) VALUES (?, ?)", (name, endpoint))
    found = tx.db.execute("SELECT n, endpoint FROM lane WHERE name = ?", (name,)).fetchone()
    assert found is not None
    if found[1] != endpoint:
        raise BatchRejected(f"lane {name!r} belongs to endpoint {found[1]!r}, not {endpoint!r}")
    tx.lanes[name] = (found[0], found[1])
    return found[0], found[1]
