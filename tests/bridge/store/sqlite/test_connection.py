"""What happens to the file, its locks and its disk; faults are put under a real SQLite."""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from bridge.errors import StoreFull, StoreUnavailable, StoreUnusable
from bridge.store.sqlite import connection
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.sqlite.turnstile import Turnstile
from smsc import crashpoint
from tests.fix_store import Clock, all_due, delivered, key, leased, message


class Faults(apsw.VFS):
    """SQLite's file layer, which fails when told to: ``sync``, ``read``, ``full``."""

    def __init__(self) -> None:
        super().__init__("faults", "")
        self.now: set[str] = set()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # apsw's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(
        self, faults: Faults, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        self._faults = faults

    def xSync(self, flags: int) -> None:  # noqa: N802  # apsw's name
        if "sync" in self._faults.now:
            raise apsw.IOError("sync")
        super().xSync(flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # apsw's name
        if "read" in self._faults.now:
            raise apsw.IOError("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # apsw's name
        if "full" in self._faults.now:
            raise apsw.FullError("full")
        super().xWrite(data, offset)


@pytest.fixture(scope="module")
def vfs() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    faults.unregister()


@pytest.fixture
def faults(vfs: Faults) -> Iterator[Faults]:
    yield vfs
    vfs.now.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def opened(path: Path, clock: Clock) -> Iterator[Callable[..., SqliteStore]]:
    stores: list[SqliteStore] = []

    def open_store(busy_timeout: float = 5.0, vfs: str | None = None) -> SqliteStore:
        stores.append(SqliteStore(path, clock=clock, busy_timeout=busy_timeout, vfs=vfs))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def put(store: SqliteStore, number: int) -> None:
    store.record([message(str(number), key(number), "a")])


def events(store: SqliteStore) -> list[str]:
    return [due.event_id for due in all_due(store, "a")]


# -- the file ------------------------------------------------------------------------------


def test_only_the_owner_may_read_any_of_the_files(
    path: Path, opened: Callable[..., SqliteStore]
) -> None:
    before = os.umask(0)
    try:
        put(opened(), 1)
    finally:
        os.umask(before)

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert set(modes) == {"store.db", "store.db-wal", "store.db-shm", "store.db-turn"}
    assert set(modes.values()) == {0o600}


def test_every_commit_is_synced_and_nothing_checkpoints_by_itself(
    opened: Callable[..., SqliteStore],
) -> None:
    store = opened()
    put(store, 1)
    database = store._database._opened
    assert database is not None
    assert database.writer is not None

    assert database.writer.pragma("journal_mode") == "wal"
    assert database.writer.pragma("synchronous") == 2
    assert database.writer.pragma("wal_autocheckpoint") == 0
    assert database.writer.pragma("cache_size") == -connection.WRITER_CACHE
    assert database.writer.pragma("journal_size_limit") == connection.WAL_ROOM
    assert database.writer.pragma("trusted_schema") == 0


def test_a_file_that_is_gone_is_not_written_to_and_heals_when_it_is_back(
    path: Path, opened: Callable[..., SqliteStore]
) -> None:
    store = opened()
    put(store, 1)
    store.checkpoint()
    away = path.with_name("away.db")
    path.rename(away)

    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"store\.db"):
            put(store, 2)
        with pytest.raises(StoreUnavailable):
            events(store)
    assert not path.exists()

    away.rename(path)
    put(store, 2)
    assert events(store) == ["evt_1", "evt_2"]


def test_another_store_in_its_place_is_used_from_then_on(
    path: Path, clock: Clock, opened: Callable[..., SqliteStore]
) -> None:
    spare_path = path.with_name("spare.db")
    spare = SqliteStore(spare_path, clock=clock)
    spare.record([message("9", key(9), "b")])  # numbers lanes another way
    spare.close()
    store = opened()
    put(store, 1)

    spare_path.rename(path)
    for companion in ("-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)

    put(store, 2)
    assert events(store) == ["evt_2"]
    assert [row.id for row in store.messages(source="+447700900123")] == ["msg_2", "msg_9"]


def test_garbage_in_its_place_is_unavailable_until_it_is_put_right(
    path: Path, opened: Callable[..., SqliteStore]
) -> None:
    store = opened()
    put(store, 1)
    store.checkpoint()
    good = path.with_name("good.db")
    path.rename(good)
    path.write_bytes(b"garbage " * 1_000)

    with pytest.raises(StoreUnavailable, match="not a store"):
        put(store, 2)

    good.replace(path)
    put(store, 2)
    assert events(store) == ["evt_1", "evt_2"]


# -- locks ---------------------------------------------------------------------------------


def test_a_lock_held_too_long_is_unavailable_and_not_in_doubt(
    path: Path, opened: Callable[..., SqliteStore]
) -> None:
    store = opened(busy_timeout=0.02)
    put(store, 1)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked") as caught:
        put(store, 2)

    assert not caught.value.in_doubt
    assert events(store) == ["evt_1"]  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    put(store, 2)
    assert events(store) == ["evt_1", "evt_2"]


def test_a_lock_held_shortly_is_waited_for(path: Path, opened: Callable[..., SqliteStore]) -> None:
    store = opened(busy_timeout=30)
    put(store, 1)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    writer = threading.Thread(target=put, args=(store, 2))
    writer.start()

    other.execute("ROLLBACK")
    writer.join(30)
    other.close()

    assert events(store) == ["evt_1", "evt_2"]


def test_many_threads_and_processes_write_and_read_at_once(
    opened: Callable[..., SqliteStore],
) -> None:
    stores = [opened(busy_timeout=60), opened(busy_timeout=60)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for place in range(10):
                put(stores[number % 2], number * 100 + place)
                events(stores[number % 2])
        except BaseException as error:  # noqa: BLE001  # the test's thread tells
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert errors == []
    assert len(events(stores[0])) == 60
    ids = [due.id for due in all_due(stores[1], "a")]
    assert len(set(ids)) == 60


# -- the disk ------------------------------------------------------------------------------


def test_a_full_disk_stores_nothing_and_heals(
    opened: Callable[..., SqliteStore], faults: Faults
) -> None:
    store = opened(vfs="faults")
    put(store, 1)
    faults.now = {"full"}

    for _ in range(2):
        with pytest.raises(StoreFull):
            put(store, 2)
    assert events(store) == ["evt_1"]

    faults.now = set()
    put(store, 2)
    assert events(store) == ["evt_1", "evt_2"]


def test_a_commit_that_cannot_be_synced_is_in_doubt_and_heals(
    opened: Callable[..., SqliteStore], faults: Faults
) -> None:
    store = opened(vfs="faults")
    put(store, 1)
    faults.now = {"sync"}

    with pytest.raises(StoreUnavailable) as caught:
        put(store, 2)
    assert caught.value.in_doubt

    faults.now = set()
    put(store, 3)
    assert [name for name in events(store) if name != "evt_2"] == ["evt_1", "evt_3"]


def test_a_failing_read_is_not_in_doubt_and_heals(
    opened: Callable[..., SqliteStore], faults: Faults
) -> None:
    store = opened(vfs="faults")
    put(store, 1)
    store.checkpoint()
    store.close()
    store = opened(vfs="faults")
    faults.now = {"read"}

    with pytest.raises(StoreUnavailable):
        events(store)
    with pytest.raises(StoreUnavailable) as caught:
        put(store, 2)
    assert not caught.value.in_doubt

    faults.now = set()
    put(store, 2)
    assert events(store) == ["evt_1", "evt_2"]


class NoLocks(Turnstile):
    """A turnstile of a file system, or a process, that has run out of something."""

    out_of = ""

    def __init__(self, path: Path, *, beside: Path) -> None:
        if self.out_of == "files":
            raise OSError(errno.EMFILE, "too many open files")
        super().__init__(path, beside=beside)

    def enter(self, deadline: float) -> bool:
        if self.out_of == "locks":
            raise OSError(errno.ENOLCK, "no locks available")
        return super().enter(deadline)


@pytest.mark.parametrize("out_of", ["files", "locks"])
def test_what_the_system_refuses_is_unavailable_and_heals(
    opened: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch, path: Path, out_of: str
) -> None:
    monkeypatch.setattr(connection, "Turnstile", NoLocks)
    store = opened()
    put(store, 1)
    path.touch()
    database = store._database._opened
    assert database is not None
    database.stale = True  # so that the file is opened anew
    monkeypatch.setattr(NoLocks, "out_of", out_of)
    with pytest.raises(StoreUnavailable) as raised:
        put(store, 2)
    assert not raised.value.in_doubt
    monkeypatch.setattr(NoLocks, "out_of", "")
    put(store, 2)

    assert len(events(store)) == 2


def test_running_out_of_memory_is_no_rows_fault(
    opened: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("bridge.store.sqlite.recording.Arrivals.write", out_of_memory)
        with pytest.raises(StoreUnavailable):
            put(store, 1)
    put(store, 2)

    assert len(events(store)) == 1


def test_files_that_cannot_be_had_at_start_are_named(
    opened: Callable[..., SqliteStore], path: Path
) -> None:
    path.with_name("store.db-turn").mkdir()

    with pytest.raises(StoreUnusable, match=r"store\.db-turn, a part of the store"):
        opened()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_makes_belongs_to_the_stores_owner(
    opened: Callable[..., SqliteStore], path: Path
) -> None:
    opened().close()
    for file in path.parent.iterdir():
        file.unlink() if file != path else os.chown(path, 12_345, 12_345)
    put(opened(), 1)

    assert {file.stat().st_uid for file in path.parent.iterdir()} == {12_345}


def test_an_interrupted_write_leaves_nothing(opened: Callable[..., SqliteStore]) -> None:
    store = opened()
    put(store, 1)

    def interrupted(tx: connection.Tx) -> None:
        tx.db.execute("DELETE FROM delivery")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._database.write(interrupted)

    assert events(store) == ["evt_1"]
    put(store, 2)


# -- checkpoints ---------------------------------------------------------------------------


def test_the_log_stays_bounded_however_much_is_written(
    path: Path, opened: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 256 * 1024
    monkeypatch.setattr(connection, "WAL_BOUND", bound)
    monkeypatch.setattr(connection, "WAL_ROOM", bound)
    store = opened()
    log = path.with_name(path.name + "-wal")
    largest = 0

    for start in range(0, 4_000, 100):
        store.record([message(str(n), key(n), "a") for n in range(start, start + 100)])
        store.checkpoint()
        largest = max(largest, log.stat().st_size)

    assert path.stat().st_size > 4 * bound
    assert largest < 4 * bound


def test_a_reader_in_the_way_postpones_a_restart_of_the_log(
    path: Path, opened: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAL_BOUND", 0)
    store = opened()
    put(store, 1)
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN; SELECT count(*) FROM message")
    put(store, 2)

    store.checkpoint()

    assert events(store) == ["evt_1", "evt_2"]
    reader.close()


# -- crash points --------------------------------------------------------------------------


def test_points_are_reached_around_the_commits_that_promise_something(
    opened: Callable[..., SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    seen: list[tuple[str, int]] = []
    other = opened()
    monkeypatch.setattr(
        crashpoint, "hook", lambda name: seen.append((name, other.counts()["pending"]))
    )

    put(store, 1)
    token = leased(store, "a").token
    store.settle("a", token, [delivered(due) for due in all_due(store, "a")])

    assert seen == [
        ("store.before_commit", 0),
        ("store.after_commit", 1),
        ("store.before_commit", 1),
        ("store.after_commit", 0),
    ]
