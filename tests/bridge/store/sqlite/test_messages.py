"""How rows are numbered, and what can be read in them."""

from pathlib import Path

import apsw
import pytest

from bridge.store.sqlite.engine import SqliteStore
from tests.fix_store import (
    Clock,
    all_due,
    delivered,
    event,
    fragment,
    key,
    leased,
    message,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_numbers_lead_from_delivery_to_event_to_message(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    store.record(
        [
            message("1", key(1), events=[event("1a", "a", "b"), event("1b"), event("1c", "a")]),
            message("2", key(2), "a"),
        ]
    )
    store.close()

    db = apsw.Connection(str(path))
    assert db.execute("SELECT n, span, id FROM message").fetchall() == [
        (1, 4, "msg_1"),
        (5, 1, "msg_2"),
    ]
    assert db.execute("SELECT n, message, fan, id FROM event").fetchall() == [
        (1, 1, 2, "evt_1a"),
        (3, 1, 0, "evt_1b"),
        (4, 1, 1, "evt_1c"),
        (5, 5, 1, "evt_2"),
    ]
    deliveries = db.execute("SELECT id, event FROM delivery").fetchall()
    assert deliveries == [(1, 1), (2, 1), (4, 4), (5, 5)]
    db.close()


def test_a_number_is_never_given_again(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    token = leased(store, "a").token
    seen: list[int] = []
    for number in range(3):
        store.record([message(str(number), key(number), "a")])
        due = all_due(store, "a")
        store.settle("a", token, [delivered(one) for one in due])
        seen += [one.id for one in due]
        store.close()
        store = SqliteStore(path, clock=clock)

    assert seen == [1, 2, 3]
    store.close()


def test_addresses_and_texts_stand_only_in_sealed_columns(path: Path, clock: Clock) -> None:
    source, text = "+447700900123", "the very text"
    store = SqliteStore(path, clock=clock)
    store.record(
        [
            message(
                "1",
                key(1),
                source=source,
                raw=text.encode(),
                events=[event("1", "a", body=f"{source} {text}".encode())],
            ),
            fragment("2", key(2), 1, 2, text, set_key=f"carrier {source}"),
        ]
    )
    store.close()
    db = apsw.Connection(str(path))
    sealed = {
        ("message", "addresses"),
        ("message", "raw"),
        ("event", "body"),
        ("fragment", "body"),
    }

    found = set()
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for column in [row[1] for row in db.execute(f"PRAGMA table_info({table})")]:
            for (value,) in db.execute(f"SELECT CAST({column} AS BLOB) FROM {table}"):
                if value and (source.encode() in value or text.encode() in value):
                    found.add((table, column))
    db.close()

    assert found <= sealed
    assert ("message", "addresses") in found
