"""Making a store file, recognising one, and bringing its schema up to date."""

import contextlib
import os
import time
from pathlib import Path

import apsw

from bridge.errors import StoreUnusable
from bridge.store.migrate import AppliedMigration, plan, shipped
from bridge.store.rows import KEY_SIZE

APPLICATION_ID = 0x736D7362
"""``smsb``: how a file says that it is a store of ours."""

PAGE_SIZE = 4_096
"""Measured: larger pages save no time, and write up to twice as much in small batches."""

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version (
  version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER
) STRICT
"""


def create_file(path: Path) -> None:
    """Make an empty file that only its owner may read, where there is none.

    SQLite gives its companions (``-wal``, ``-shm``) the same mode. Raises StoreUnusable.
    """
    folder = path.parent
    try:
        if not folder.is_dir():
            raise StoreUnusable(
                f"the store {path} can't be made: there is no directory {folder}; create it, or"
                " set another path for the store"
            )
        if path.is_dir():
            raise StoreUnusable(f"the store {path} is a directory; set the path of a file")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            _sync(folder)
    except OSError as error:
        raise StoreUnusable(
            f"the store {path} can't be made: {error.strerror}; let this user write to {folder},"
            " or set another path for the store"
        ) from error
    if not (_writable(path) and _writable(folder)):
        raise StoreUnusable(
            f"the store {path} can't be written; let this user write to the file and to {folder}"
            " (SQLite keeps two more files beside it)"
        )


def _writable(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.R_OK | os.W_OK, effective_ids=effective)


def _sync(folder: Path) -> None:
    """Make a new entry of a directory durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def recognise(db: apsw.Connection, where: str) -> bool:
    """Say whether a file is a store already; an empty one is not yet.

    Raises StoreUnusable for another program's database. apsw's errors tell of anything that is
    no database at all.
    """
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if db.pragma("application_id") == APPLICATION_ID:
        return bool(tables)
    if tables:
        raise StoreUnusable(
            f"{where} is a SQLite database of another program; set another path for the store"
        )
    return False


def bring_up(db: apsw.Connection, where: str) -> None:
    """Run the migrations that a store lacks, all of them or none.

    Raises StoreUnusable where the store is of a newer version. One process at a time may be
    here.
    """
    available = shipped("sqlite")
    if recognise(db, where) and not plan(_applied(db), available, where):
        return
    db.pragma("page_size", PAGE_SIZE)
    if db.pragma("journal_mode", "wal") != "wal":
        raise StoreUnusable(f"{where} is on a file system that can't share memory; use a local one")
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(_VERSIONS)
        for migration in plan(_applied(db), available, where):
            db.execute(migration.sql)
            db.execute(
                "INSERT INTO schema_version VALUES (?, ?, ?, ?)",
                (migration.version, migration.name, migration.checksum, int(time.time() * 1000)),
            )
        db.execute("INSERT OR IGNORE INTO meta VALUES ('hash_key', ?)", (os.urandom(KEY_SIZE),))
        db.pragma("application_id", APPLICATION_ID)
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(apsw.Error):
            db.execute("ROLLBACK")
        raise


def hash_key(db: apsw.Connection) -> bytes:
    """Return the store's secret for its hashes."""
    key = db.execute("SELECT value FROM meta WHERE name = 'hash_key'").get
    if not isinstance(key, bytes):
        raise StoreUnusable("the store has lost the key of its hashes; restore it from a backup")
    return key


def _applied(db: apsw.Connection) -> list[AppliedMigration]:
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").get:
        return []
    rows = db.execute("SELECT version, name, checksum FROM schema_version ORDER BY version")
    return [AppliedMigration(*row) for row in rows]
