"""Fragments as SQLite keeps them; what sets do is asked by the store exam."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from bridge.store.records import Room
from bridge.store.sqlite.engine import SqliteStore
from tests.fix_store import Clock, fragment, join_to, key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[SqliteStore]:
    made = SqliteStore(path, clock=clock)
    yield made
    made.close()


@pytest.mark.parametrize("expiring", [False, True])
def test_a_set_with_a_damaged_part_costs_no_other_set(
    store: SqliteStore, path: Path, clock: Clock, expiring: bool
) -> None:
    results = store.record(
        [fragment(str(n), key(n), 1, 1, str(n), set_key=str(n)) for n in (1, 2, 3)]
    )
    other = apsw.Connection(str(path))
    other.execute("UPDATE fragment SET body = x'7b7b' WHERE set_id = ?", (results[1].set_id,))
    other.close()

    if expiring:
        joined = store.expire(clock.now, join_to("a"))
    else:
        joined = store.complete([result.set_id for result in results], join_to("a"))

    assert len(joined) == 2
    (row,) = store.quarantined()
    assert row.raw == b"[{{]"
    assert "DecodeError" in row.reason
    assert store.expire(clock.now, join_to("a")) == []


def test_what_waits_in_an_older_store_is_counted_when_it_is_brought_up(
    path: Path, clock: Clock
) -> None:
    store = SqliteStore(path, clock=clock)
    parts = [fragment(str(n), key(n), 1, 2, str(n), set_key=str(n)) for n in (1, 2, 3)]
    whole = [fragment(f"w{n}", key(10 + n), n, 2, "w", set_key="whole") for n in (1, 2)]
    store.complete([store.record([*parts, *whole])[-1].set_id], join_to("a"))
    store.close()
    db = apsw.Connection(str(path))
    counted = db.execute("SELECT * FROM waiting WHERE parts").fetchall()
    # As the version before left it.
    for table, column in (
        ("quarantine", "link"), ("quarantine", "place"), ("quarantine", "duplicate_of"),
        ("fragment_set", "carrier"), ("fragment_set", "octets"),
    ):  # fmt: skip
        if column == "link":
            db.execute("DROP INDEX quarantine_id")
        db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("DROP TABLE waiting; DROP TABLE carrier_id")
    db.execute("DELETE FROM schema_version WHERE version = 2")
    db.close()

    store = SqliteStore(path, clock=clock)

    db = apsw.Connection(str(path))
    assert db.execute("SELECT * FROM waiting").fetchall() == counted
    db.close()
    assert len(store.expire(clock.now, join_to("a"), room=Room(parts=1, octets=10**9))) == 2
    store.close()
