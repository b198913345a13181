"""Sets of fragments: placing what arrives, joining what is whole, giving up on the rest.

The decisions are :mod:`bridge.store.sets`'; a batch reads all sets of its keys in one statement.
Joining happens in the transaction that reads the fragments, so that a set is delivered once
however many processes try. A crash before it leaves a whole set that :func:`stale` finds
through a small index.

*Room.* The table ``waiting`` has, for each carrier, the sums over its open sets: every
transaction that changes one of these changes the other. Parts of sets that were delivered, with
gaps or whole, don't count: nobody waits for these, and their time is up by itself.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import structs

from bridge.errors import BatchRejected
from bridge.store.records import (
    ArrivalKey,
    FragmentRecord,
    Join,
    OpenSet,
    QuarantineRecord,
    Recorded,
    Room,
)
from bridge.store.sets import KnownSet, SetState, Slot, place
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.messages import MessageWriter, Quarantine, Tally
from bridge.store.sqlite.writing import Insert, json, run
from smsc.message import Millis

DIGEST_SIZE = 16

NEVER = -(2**62)
"""Before every time: no set's is up."""

TOMBSTONES = 1_000
"""How many one call of :func:`remove` removes at most."""

_SET = Insert(
    "fragment_set",
    "id, key, total, have, state, fresh, opened_at, patience, expires_at, carrier, octets",
)
_GROWN = (
    "UPDATE fragment_set SET have = j.value ->> 1, fresh = 1, octets = octets + (j.value ->> 2)"
    " FROM json_each(?1) j WHERE fragment_set.id = j.value ->> 0"
)
_WAITING = (
    "INSERT INTO waiting SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true"
    " ON CONFLICT DO UPDATE SET parts = parts + excluded.parts, octets = octets + excluded.octets"
)
_JOINED = (
    "UPDATE fragment_set SET state = j.value ->> 1, message_id = j.value ->> 2,"
    " expires_at = j.value ->> 3, fresh = 0 FROM json_each(?1) j"
    " WHERE fragment_set.id = j.value ->> 0"
)
_FRAGMENT = Insert("fragment", "set_id, seq, id, digest, body")


class Placement:
    """Places the fragments of one batch."""

    def __init__(self, tx: Tx, tally: Tally, fragments: Sequence[FragmentRecord]) -> None:
        self._tx = tx
        self._tally = tally
        self._known: dict[bytes, list[KnownSet]] = {}
        self._opened: dict[int, tuple[FragmentRecord, bytes]] = {}
        self._grown: dict[int, KnownSet] = {}
        self._octets: dict[int, int] = {}
        self._waiting = Waiting()
        self._rows: list[object] = []
        keys = {tx.rows.set_hash(one.set_key).hex() for one in fragments}
        sets: dict[int, KnownSet] = {}
        for key, set_id, total, state, seq, digest, id_ in tx.db.execute(
            "SELECT s.key, s.id, s.total, s.state, f.seq, f.digest, f.id FROM json_each(?) j"
            " JOIN fragment_set s ON s.key = unhex(j.value)"
            " JOIN fragment f ON f.set_id = s.id ORDER BY s.id",
            (json(keys),),
        ):
            known = sets.get(set_id)
            if known is None:
                known = sets[set_id] = KnownSet(set_id, total, SetState(state), {})
                self._known.setdefault(key, []).append(known)
            known.slots[seq] = Slot(digest, id_)

    def add(self, one: FragmentRecord, repeat: tuple[str, bool] | None) -> Recorded:
        """Place one fragment; ``repeat`` is the doubtful arrival it equals, if any."""
        if not 1 <= one.seq <= one.total:
            raise BatchRejected(f"fragment {one.id} is number {one.seq} of {one.total}")
        key = self._tx.rows.set_hash(one.set_key)
        known = self._known.setdefault(key, [])
        digest = one.digest[:DIGEST_SIZE]
        placed = place(known, one.total, one.seq, digest, doubtful=repeat is not None)
        if placed.repeats is not None:
            assert placed.joins is not None
            return _recorded(placed.repeats.id, placed.joins, "part")
        if repeat is not None and not repeat[1]:
            # Its set and tombstone are gone already: the arrival itself is still remembered.
            return Recorded(repeat[0], "absorbed")
        joins = placed.joins
        if joins is None:
            joins = KnownSet(self._tally.take(), one.total, SetState.OPEN, {})
            known.append(joins)
            self._opened[joins.id] = one, key
        joins.slots[one.seq] = Slot(digest, one.id)
        self._grown[joins.id] = joins
        body = self._tx.rows.seal_fragment(one.fragment)
        self._octets[joins.id] = self._octets.get(joins.id, 0) + len(body)
        if joins.state is SetState.OPEN:
            self._waiting.add(one.fragment.origin.carrier, 1, len(body))
        self._rows += (joins.id, one.seq, one.id, digest, body)
        return _recorded(one.id, joins, "")

    def write(self) -> None:
        """Store what was placed."""
        opened: list[object] = []
        grown = []
        for set_id, known in self._grown.items():
            if set_id in self._opened:
                one, key = self._opened[set_id]
                at = one.opens_at or one.key.received_at
                patience = max(one.expires_at - at, 0)
                have = len(known.slots)
                opened += (set_id, key, one.total, have, 0, 1, at, patience, one.expires_at)
                opened += (one.fragment.origin.carrier, self._octets[set_id])
            else:
                grown.append((set_id, len(known.slots), self._octets[set_id]))
        _SET.run(self._tx.db, opened)
        run(self._tx.db, _GROWN, grown)
        _FRAGMENT.run(self._tx.db, self._rows)
        self._waiting.write(self._tx)


def _recorded(id_: str, joins: KnownSet, repeat: Literal["", "part"]) -> Recorded:
    if not joins.unfinished:
        return Recorded(id_, repeat)
    return Recorded(id_, repeat, joins.id, joins.whole)


class Waiting:
    """What a transaction changes about how much of each carrier's waits."""

    def __init__(self) -> None:
        self._changes: dict[str, tuple[int, int]] = {}

    def add(self, carrier: str, parts: int, octets: int) -> None:
        """Add so many parts and octets; take them away where they are negative."""
        had = self._changes.get(carrier, (0, 0))
        self._changes[carrier] = had[0] + parts, had[1] + octets

    def write(self, tx: Tx) -> None:
        """Store the changes."""
        run(tx.db, _WAITING, [(carrier, *change) for carrier, change in self._changes.items()])


def make_room(tx: Tx, room: Room, now: Millis, limit: int) -> int:
    """Let the time of a carrier's oldest sets be up where it has more waiting than there is room
    for; at most ``limit`` sets of each. Returns how many."""
    over: list[Any] = tx.db.execute(
        "SELECT carrier, parts, octets FROM waiting WHERE parts > ? OR octets > ?",
        (room.parts, room.octets),
    ).fetchall()
    chosen: list[int] = []
    for carrier, *excess in over:
        parts, octets = excess[0] - room.parts, excess[1] - room.octets
        oldest: Any = tx.db.execute(
            "SELECT id, have, octets FROM fragment_set WHERE state = 0 AND carrier = ?"
            " ORDER BY expires_at, id LIMIT ?",
            (carrier, limit),
        )
        for id_, have, size in oldest:
            if parts <= 0 and octets <= 0:
                break
            parts -= have
            octets -= size
            chosen.append(id_)
    if chosen:
        tx.db.execute(
            "UPDATE fragment_set SET expires_at = min(expires_at, ?)"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (now, json(chosen)),
        )
    return len(chosen)


def crowded(tx: Tx, room: Room) -> bool:
    """Say whether any carrier has more waiting than there is room for."""
    return bool(
        tx.db.execute(
            "SELECT EXISTS (SELECT 1 FROM waiting WHERE parts > ? OR octets > ?)",
            (room.parts, room.octets),
        ).get
    )


class _Stored(msgspec.Struct):
    """A set that is to be joined now."""

    id: int
    total: int
    have: int
    opened_at: Millis
    patience: int
    message_id: str | None
    state: int
    carrier: str
    octets: int

    @property
    def whole(self) -> bool:
        return self.have >= self.total


def stale(tx: Tx, now: Millis, limit: int) -> list[int]:
    """Name at most ``limit`` sets that are whole but not done, or whose time is up."""
    found = tx.db.execute(
        "SELECT id FROM (SELECT id FROM fragment_set INDEXED BY fragment_set_whole"
        " WHERE state < 2 AND have = total LIMIT :limit)"
        " UNION SELECT id FROM"
        " (SELECT id FROM fragment_set WHERE state = 0 AND expires_at <= :now LIMIT :limit)"
        " UNION SELECT id FROM (SELECT id FROM fragment_set"
        " WHERE state = 1 AND expires_at <= :now AND fresh = 1 LIMIT :limit) LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [row[0] for row in found]


def over(tx: Tx, now: Millis) -> list[int]:
    """Name tombstones, and late sets that got nothing more, whose time is up."""
    found = tx.db.execute(
        "SELECT id FROM (SELECT id FROM fragment_set WHERE state = 2 AND expires_at <= :now"
        " LIMIT :limit) UNION ALL SELECT id FROM (SELECT id FROM fragment_set"
        " WHERE state = 1 AND expires_at <= :now AND fresh = 0 LIMIT :limit)",
        {"now": now, "limit": TOMBSTONES},
    )
    return [row[0] for row in found]


def remove(tx: Tx, now: Millis) -> int:
    """Remove what is :func:`over`; return how many sets."""
    gone = over(tx, now)
    if gone:
        ids = json(gone)
        tx.db.execute(
            "DELETE FROM fragment WHERE set_id IN (SELECT value FROM json_each(?))", (ids,)
        )
        tx.db.execute(
            "DELETE FROM fragment_set WHERE id IN (SELECT value FROM json_each(?))", (ids,)
        )
    return len(gone)


def join_sets(
    tx: Tx, sets: Sequence[int], join: Join, *, now: Millis, expired_by: Millis
) -> list[str]:
    """Join those sets that are whole and not done, or whose time was up at ``expired_by``.

    Whole ones become tombstones, others late ones, for as long again as they waited. A set
    whose ``join`` raises is quarantined and becomes a tombstone. Returns the message ids.
    """
    ids = json(sets)
    found = tx.db.execute(
        "SELECT id, total, have, opened_at, patience, message_id, state, carrier, octets"
        " FROM fragment_set"
        " WHERE id IN (SELECT value FROM json_each(?)) AND state < 2"
        " AND (have = total OR (expires_at <= ? AND fresh = 1)) ORDER BY id",
        (ids, expired_by),
    )
    stored = [_Stored(*row) for row in found]
    parts: dict[int, list[tuple[str, bytes]]] = {one.id: [] for one in stored}
    for set_id, id_, body in tx.db.execute(
        "SELECT set_id, id, body FROM fragment WHERE set_id IN (SELECT value FROM json_each(?))"
        " ORDER BY set_id, seq",
        (json(parts),),
    ):
        parts[set_id].append((id_, body))

    tally = Tally(tx)
    messages = MessageWriter(tx, tally)
    quarantine = Quarantine(tally)
    joined: list[str] = []
    changes: list[tuple[object, ...]] = []
    waiting = Waiting()
    for one in stored:
        if one.state == SetState.OPEN:
            waiting.add(one.carrier, -one.have, -one.octets)
        state = SetState.DONE if one.whole else SetState.LATE
        message_id = one.message_id
        try:
            fragments = tuple([tx.rows.unseal_fragment(body) for _, body in parts[one.id]])
            record = join(
                OpenSet(
                    id=one.id, message_id=message_id, fragments=fragments, opened_at=one.opened_at
                )
            )
        except Exception as error:  # noqa: BLE001  # whatever a set does to the join costs only it
            state = SetState.DONE
            quarantine.put(tx, _unjoinable(tx, one, parts[one.id], error))
        else:
            if message_id is None:
                message_id = record.id
                messages.add(record)
            elif not messages.add_late(structs.replace(record, id=message_id)):
                messages.add(structs.replace(record, id=message_id))
            joined.append(message_id)
        changes.append((one.id, state.value, message_id, now + one.patience))
    messages.write()
    quarantine.write(tx)
    run(tx.db, _JOINED, changes)
    waiting.write(tx)
    tally.write(tx)
    return joined


def _unjoinable(
    tx: Tx, stored: _Stored, parts: Sequence[tuple[str, bytes]], error: Exception
) -> QuarantineRecord:
    """Make the record of a set that can't be joined, under its first fragment's id."""
    id_, first = parts[0]
    try:
        origin = tx.rows.unseal_fragment(first).origin
    except msgspec.MsgspecError:  # damaged, or of another version
        key = ArrivalKey("", "", 0, b"", stored.opened_at)
    else:
        key = ArrivalKey(
            origin.account, origin.link, origin.place, origin.fingerprint, origin.received_at
        )
    return QuarantineRecord(
        id="qtn_" + id_.partition("_")[2],
        key=key,
        raw=b"[" + b",".join([tx.rows.unseal(body) for _, body in parts]) + b"]",
        reason=f"its parts can't be joined: {type(error).__name__}",
    )
