"""Fragments as SQLite keeps them; what sets do is asked by the store exam."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

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
