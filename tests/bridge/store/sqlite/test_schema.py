"""Which files are taken for a store, and how a new one comes to be."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from bridge.errors import StoreUnusable
from bridge.store.migrate import shipped
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.sqlite.schema import APPLICATION_ID
from tests.fix_store import Clock, key, message

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def made(path: Path) -> None:
    """Make a store with something in it."""
    store = SqliteStore(path, clock=Clock())
    store.record([message("1", key(1), "a")])
    store.close()


def change(path: Path, statement: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(statement)
    db.close()


def refusal(path: Path) -> str:
    """Open a store that must be refused, leaving the file as it was; return what it says."""
    before = (
        path.read_bytes()
        if os.access(path, os.R_OK, effective_ids=True) and not path.is_dir()
        else None
    )
    with pytest.raises(StoreUnusable) as caught:
        SqliteStore(path, clock=Clock())
    if before is not None:
        assert path.read_bytes() == before
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_new_store_says_what_it_is(path: Path) -> None:
    made(path)

    db = apsw.Connection(str(path))
    assert db.pragma("application_id") == APPLICATION_ID
    versions = db.execute("SELECT version, name, checksum FROM schema_version").fetchall()
    assert versions == [(one.version, one.name, one.checksum) for one in shipped("sqlite")]
    assert len(db.execute("SELECT value FROM meta WHERE name = 'hash_key'").get) == 32
    db.close()


def test_two_stores_have_different_keys(path: Path, tmp_path: Path) -> None:
    made(path)
    made(tmp_path / "other.db")

    keys = set()
    for one in (path, tmp_path / "other.db"):
        db = apsw.Connection(str(one))
        keys.add(db.execute("SELECT value FROM meta WHERE name = 'hash_key'").get)
        db.close()
    assert len(keys) == 2


def test_opening_again_changes_nothing(path: Path) -> None:
    made(path)

    store = SqliteStore(path, clock=Clock())

    assert [row.id for row in store.messages()] == ["msg_1"]
    store.close()


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch(mode=0o600)

    made(path)


def test_several_may_make_it_at_once(path: Path) -> None:
    opened: list[SqliteStore] = []
    ready = threading.Barrier(5)

    def work() -> None:
        ready.wait(30)
        opened.append(SqliteStore(path, clock=Clock(), busy_timeout=60))

    workers = [threading.Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len(opened) == 5
    opened[0].record([message("1", key(1), "a")])
    assert [store.counts()["messages"] for store in opened] == [1] * 5
    for store in opened:
        store.close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    made(path)
    change(path, "INSERT INTO schema_version VALUES (999, 'later', 'ff', 0)")

    assert "newer smsbridge" in refusal(path)


def test_a_changed_migration_is_refused(path: Path) -> None:
    made(path)
    change(path, "UPDATE schema_version SET checksum = 'ff'")

    assert "different build" in refusal(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("[store]\npath = 'smsbridge.db'\n" * 100)

    assert "not a store of smsbridge" in refusal(path)


def test_another_programs_database_is_refused(path: Path) -> None:
    change(path, "CREATE TABLE accounts (name)")

    assert "another program" in refusal(path)


def test_a_cut_off_store_is_refused(path: Path) -> None:
    made(path)
    os.truncate(path, 8_192)

    assert "restore it from a backup" in refusal(path)


def test_a_store_with_a_damaged_schema_is_refused(path: Path) -> None:
    made(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 2_000)

    refusal(path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "missing" / "store.db")

    assert f"there is no directory {tmp_path / 'missing'}" in message


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of somebody else, and no right to write to it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield directory
        finally:
            if root:
                os.seteuid(0)
            directory.chmod(0o700)


def test_an_unwritable_directory_is_named(unprivileged: Path) -> None:
    assert f"let this user write to {unprivileged}" in refusal(unprivileged / "store.db")


def test_an_unreadable_directory_is_named(unprivileged: Path) -> None:
    inner = unprivileged / "inner"
    if os.geteuid() == NOBODY:
        os.seteuid(0)
        inner.mkdir(mode=0o700)
        os.seteuid(NOBODY)
        assert "can't be made" in refusal(inner / "store.db")
