"""What only this engine promises; all else is asked in ``tests/store_exam``."""

from pathlib import Path

import pytest

from bridge.errors import BatchRejected
from bridge.store.contract import MessageRecord, OpenSet, Store
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


def test_a_rejection_says_why_without_saying_what(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    record = message("1", key(1), "a", source="+447700900123\ud800")

    with pytest.raises(BatchRejected) as caught:
        store.record([record])

    assert "+4477" not in str(caught.value)
    store.close()
