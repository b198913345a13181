"""What only this engine promises; all else is asked in ``tests/store_exam``."""

import re
from pathlib import Path

import apsw
import pytest

from bridge.errors import BatchRejected
from bridge.store.contract import Store
from bridge.store.records import MessageRecord, OpenSet
from bridge.store.sqlite import fragments, reading, repeats, sending
from bridge.store.sqlite.engine import SqliteStore
from tests.fix_store import Clock, all_due, fragment, join_to, key, message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_it_is_a_store(path: Path, clock: Clock) -> None:
    store: Store = SqliteStore(str(path), clock=clock)

    store.close()


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("store.db", clock=clock)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    store.record([message("1", key(1), "a")])

    assert len(all_due(store, "a")) == 1
    store.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_a_join_does_wrong_for_all_quarantines_all(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    results = store.record(
        [fragment(str(n), key(n), 1, 1, str(n), set_key=str(n)) for n in range(3)]
    )

    def same_id(open_set: OpenSet) -> MessageRecord:
        return message("same", key(1), events=join_to("a")(open_set).events)

    joined = store.complete([result.set_id for result in results], same_id)

    assert joined == ["msg_same"]
    assert store.counts()["quarantined"] == 2
    assert len(all_due(store, "a")) == 1
    store.close()


class Anything(dict[str, object]):
    """A value for every parameter, whatever its name."""

    def __missing__(self, name: str) -> object:
        return "[]"


HOT = {
    "due": sending._DUE_ALL,
    "due but held": sending._DUE_BUT_HELD,
    "pending lanes": sending._PENDING_LANES,
    "delivered": sending._DELIVERED,
    "attempts": sending._ATTEMPT,
    "again": sending._PENDING,
    "dead": sending._DEAD,
    "settled": sending._SETTLED,
    "doubted": repeats._PORTION,
    "grown sets": fragments._GROWN,
    "joined sets": fragments._JOINED,
    "listed": reading._ROWS,
    "by source": reading._BY_SOURCE,
    "by destination": reading._BY_DESTINATION,
}


@pytest.mark.parametrize("name", HOT)
def test_no_statement_of_the_hot_path_reads_a_whole_table(
    name: str, path: Path, clock: Clock
) -> None:
    SqliteStore(path, clock=clock).close()
    db = apsw.Connection(str(path))
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    aliases = {"m": "message", "e": "event", "d": "delivery", "l": "lane"}
    unnamed = len(re.findall(r"\?(?!\d)", HOT[name]))
    given = ("[]",) * unnamed if unnamed else Anything()
    plan = [str(row[3]) for row in db.execute("EXPLAIN QUERY PLAN " + HOT[name], given)]
    db.close()

    scanned = {line.split()[1] for line in plan if line.startswith("SCAN ")}
    assert {aliases.get(one, one) for one in scanned} & tables == set()


def test_a_rejection_says_why_without_saying_what(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    record = message("1", key(1), "a", source="+447700900123\ud800")

    with pytest.raises(BatchRejected) as caught:
        store.record([record])

    assert "+4477" not in str(caught.value)
    store.close()
