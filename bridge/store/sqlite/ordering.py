"""Orders to those who serve links, and what these refused: both few, and soon forgotten."""

from collections.abc import Sequence

import msgspec
from msgspec import structs

from bridge.store.contract import Order
from bridge.store.listing import RefusalRow
from bridge.store.records import Refusal
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.reading import NEWEST
from bridge.store.sqlite.writing import Insert
from smsc.message import Millis

ORDERS_READ = 1_000
"""Orders that stand, at most: those that run out first."""

REFUSALS_KEPT = 1_000
"""Of each account, and of strangers together."""

RAW_KEPT = 4_096
"""Octets of a refused PDU."""

_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(Order)
_refusal = msgspec.json.Decoder(Refusal)

_REFUSAL = Insert("refusal", "account, body")

_OLD = """
DELETE FROM refusal WHERE account = ?1 AND n <=
 (SELECT n FROM refusal WHERE account = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)
"""
_REFUSALS = "SELECT n, body FROM refusal WHERE n < ? ORDER BY n DESC LIMIT ?"
_REFUSALS_OF = "SELECT n, body FROM refusal WHERE n < ? AND account = ? ORDER BY n DESC LIMIT ?"


def order(tx: Tx, given: Order) -> None:
    """Store an order, and forget those that have run out."""
    tx.db.execute("DELETE FROM link_order WHERE until <= ?", (tx.clock(),))
    tx.db.execute(
        "INSERT OR REPLACE INTO link_order VALUES (?, ?, ?)",
        (given.id, given.until, _encode(given)),
    )


def orders(tx: Tx, now: Millis) -> list[Order]:
    """Return the orders that stand, first those that run out first."""
    found = tx.db.execute(
        "SELECT body FROM link_order WHERE until > ? ORDER BY until, id LIMIT ?",
        (now, ORDERS_READ),
    )
    return [_order.decode(row[0]) for row in found]


def refuse(tx: Tx, refusals: Sequence[Refusal]) -> None:
    """Store refusals, and forget the oldest of their accounts."""
    rows: list[object] = []
    for one in refusals:
        kept = one if len(one.raw) <= RAW_KEPT else structs.replace(one, raw=one.raw[:RAW_KEPT])
        rows += (one.account, tx.rows.seal(_encode(kept)))
    _REFUSAL.run(tx.db, rows)
    for account in {one.account for one in refusals}:
        tx.db.execute(_OLD, (account, REFUSALS_KEPT))


def refusals(tx: Tx, *, account: str | None, limit: int, before: int | None) -> list[RefusalRow]:
    """List refusals, newest first."""
    below = NEWEST if before is None else before
    if account is None:
        found = tx.db.execute(_REFUSALS, (below, limit))
    else:
        found = tx.db.execute(_REFUSALS_OF, (below, account, limit))
    return [
        RefusalRow(number=row[0], refusal=_refusal.decode(tx.rows.unseal(row[1]))) for row in found
    ]
