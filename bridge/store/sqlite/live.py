"""The live half of the configuration: objects by kind and name, in numbered revisions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.errors import StoreUnavailable
from bridge.model import Live
from bridge.store.contract import Applied, LiveObject
from bridge.store.sqlite import sending
from bridge.store.sqlite.connection import Tx, steady
from bridge.store.sqlite.writing import Insert, run
from smsc.message import Millis

BURIED_AT_ONCE = 1_000
"""Deliveries of a removed endpoint that become dead letters with the revision; the janitor
buries what is left."""

_OBJECT = Insert("live_object", "kind, name, source, json", verb="INSERT OR REPLACE")
_live = msgspec.json.Decoder(Live)


def apply(tx: Tx, source: str, objects: Sequence[LiveObject], now: Millis) -> Applied:
    """Make what ``source`` declares exactly ``objects``.

    An object that another source declared before changes hands.
    """
    known = {
        (kind, name): (owner, json)
        for kind, name, owner, json in tx.db.execute(
            "SELECT kind, name, source, json FROM live_object"
        )
    }
    wanted = {(one.kind, one.name): one.json for one in objects}
    added = [key for key in wanted if key not in known]
    changed = [key for key in wanted if key in known and known[key] != (source, wanted[key])]
    removed = [key for key, (owner, _) in known.items() if owner == source and key not in wanted]
    revision: int = tx.db.execute("SELECT coalesce(max(number), 0) FROM revision").get
    if not (added or changed or removed):
        return Applied(revision)

    revision += 1
    tx.db.execute("INSERT INTO revision VALUES (?, ?, ?)", (revision, source, now))
    rows: list[object] = []
    for key in [*added, *changed]:
        rows += (*key, source, wanted[key])
    _OBJECT.run(tx.db, rows)
    run(
        tx.db,
        "DELETE FROM live_object WHERE (kind, name) IN"
        " (SELECT value ->> 0, value ->> 1 FROM json_each(?1))",
        removed,
    )
    for kind, name in removed:
        if kind == "endpoint":
            sending.bury(tx, name, "its endpoint was removed", now, BURIED_AT_ONCE)
    return Applied(revision, _words(added), _words(changed), _words(removed))


def _words(keys: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{kind} {name}" for kind, name in keys)


def live(tx: Tx, known: int) -> Live | None:
    """Return the newest revision; None if it is ``known``.

    Raises StoreUnavailable for one that a newer version wrote and this one can't read.
    """
    with steady(tx.db):  # one state of both tables
        revision: int = tx.db.execute("SELECT coalesce(max(number), 0) FROM revision").get
        if revision == known:
            return None
        found: list[Any] = tx.db.execute(
            "SELECT kind, json FROM live_object ORDER BY kind, name"
        ).fetchall()
    by_kind: dict[str, list[msgspec.Raw]] = {}
    for kind, json in found:
        by_kind.setdefault(kind + "s", []).append(msgspec.Raw(json))
    try:
        return _live.decode(msgspec.json.encode({"revision": revision, **by_kind}))
    except msgspec.MsgspecError as error:
        # While nodes are upgraded one by one, the first writes what the others can't read yet.
        raise StoreUnavailable(
            f"revision {revision} of the configuration is not for this version: {error}"
        ) from None
