"""Processes and links as they tell the store every second, and their upkeep."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import structs

from bridge.store.contract import ProcessStatus
from bridge.store.records import Doubt
from bridge.store.sqlite import sending
from bridge.store.sqlite.connection import Tx
from bridge.store.sqlite.writing import Insert, json
from smsc.message import Millis
from smsc.status import LinkStatus

IN_DOUBT = 60_000
"""Milliseconds before a link's last sign of life from which on its arrivals are doubtful."""

DOUBT_LASTS = 600_000
"""Milliseconds that a repeat of them may take."""

LINKS_SHOWN = 10_000
"""More than that are closed ones of a carrier that can't keep a link."""

_encode = msgspec.json.Encoder().encode
_process = msgspec.json.Decoder(ProcessStatus)
_link = msgspec.json.Decoder(LinkStatus)

_OPEN_LINKS = (
    "SELECT status FROM link INDEXED BY link_open WHERE closed_at IS NULL ORDER BY id LIMIT ?1"
)
_CLOSED_LINKS = (
    "SELECT status FROM link INDEXED BY link_closed WHERE closed_at IS NOT NULL"
    " ORDER BY closed_at DESC, id LIMIT ?1"
)
_LINKS = f"SELECT * FROM ({_OPEN_LINKS}) UNION ALL SELECT * FROM ({_CLOSED_LINKS}) LIMIT ?1"  # noqa: S608  # our own words
_LINK = Insert("link", "id, process, closed_at, status", verb="INSERT OR REPLACE")


def beat(tx: Tx, process: ProcessStatus, links: Sequence[LinkStatus], now: Millis) -> None:
    """Store a process's figures and its links.

    A link of the process that is open in the store and not named any more counts as closed; one
    that never bound is forgotten: it brought nothing, there may be one a second of them, and why
    it came to nothing is told as a refusal.
    """
    status = structs.replace(process, seen_at=now)
    tx.db.execute("INSERT OR REPLACE INTO process VALUES (?, ?)", (process.id, _encode(status)))
    named = {link.link for link in links}
    open_links = _open_links(tx, process.id)
    forgotten = [link for link in open_links if link.link not in named]
    never = [link.link for link in forgotten if link.bound_at is None]
    unseen = [link for link in forgotten if link.bound_at is not None]
    tx.db.execute("DELETE FROM link WHERE id IN (SELECT value FROM json_each(?))", (json(never),))
    _put(tx, process.id, [*links, *_closed(unseen, "ended unseen")], now)


def announce(tx: Tx, process: str, links: Sequence[LinkStatus], now: Millis) -> None:
    """Store some links of a process, and leave its others as they are."""
    _put(tx, process, links, now)


def _put(tx: Tx, process: str, links: Iterable[LinkStatus], now: Millis) -> None:
    """Store links. A closed one keeps the time at which it was first seen closed."""
    told = list(links)
    found: list[Any] = tx.db.execute(
        "SELECT id, closed_at FROM link WHERE id IN (SELECT value FROM json_each(?))",
        (json([link.link for link in told if link.state == "closed"]),),
    ).fetchall()
    known = dict(found)
    rows: list[object] = []
    for link in told:
        closed_at = (known.get(link.link) or now) if link.state == "closed" else None
        rows += (link.link, process, closed_at, _encode(link))
    _LINK.run(tx.db, rows)


def _open_links(tx: Tx, process: str) -> list[LinkStatus]:
    found = tx.db.execute(
        "SELECT status FROM link WHERE process = ? AND closed_at IS NULL", (process,)
    )
    return [_link.decode(row[0]) for row in found]


def _closed(links: Iterable[LinkStatus], reason: str) -> list[LinkStatus]:
    return [structs.replace(link, state="closed", reason=reason) for link in links]


def leave(tx: Tx, process: str) -> None:
    """Forget a process that ended in good order."""
    now = tx.clock()
    _forget(tx, process, _open_links(tx, process), "its process ended", now)


def doubts_of(tx: Tx, process: str, now: Millis) -> list[Doubt]:
    """Say what has become doubtful with a process that is gone, by its links' last status."""
    return [
        Doubt(
            link=link.link,
            account=link.account,
            since=link.alive_at - IN_DOUBT,
            answered_to=link.answered,
            until=now + DOUBT_LASTS,
        )
        for link in _open_links(tx, process)
    ]


def bury(tx: Tx, process: str, now: Millis) -> None:
    """Forget a process that is gone, when its arrivals are in doubt."""
    _forget(tx, process, _open_links(tx, process), "its process is gone", now)


def _forget(tx: Tx, process: str, links: Sequence[LinkStatus], reason: str, now: Millis) -> None:
    _put(tx, process, _closed(links, reason), now)
    tx.db.execute("DELETE FROM process WHERE id = ?", (process,))
    sending.release(tx, process, None)


def processes(tx: Tx) -> list[ProcessStatus]:
    """Return all that have not left."""
    return [_process.decode(row[0]) for row in tx.db.execute("SELECT status FROM process")]


def links(tx: Tx, *, closed: bool) -> list[LinkStatus]:
    """Return links of all processes, live ones first, then those closed last, if wanted."""
    found = tx.db.execute(_LINKS if closed else _OPEN_LINKS, (LINKS_SHOWN,))
    return [_link.decode(row[0]) for row in found]


def prune(tx: Tx, closed_before: Millis, limit: int) -> int:
    """Remove links closed before a time; return how many."""
    tx.db.execute(
        "DELETE FROM link WHERE id IN (SELECT id FROM link WHERE closed_at < ? LIMIT ?)",
        (closed_before, limit),
    )
    return tx.db.changes()
