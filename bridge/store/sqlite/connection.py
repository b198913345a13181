"""Connections to one store file: transactions, turns, reads, healing.

Theory
------
*Writes* go through one connection under a lock, as ``BEGIN IMMEDIATE`` transactions, so that
none is ever refused half-way for a lock; processes take turns (:mod:`.turnstile`). *Reads* use
connections of their own, which in WAL mode neither wait nor make wait. *Checkpoints* use a third
one and happen only when asked for: automatic ones would delay whoever commits next.

*Healing.* All connections of one opening of the file belong to an :class:`Opened`. An error that
leaves a doubt about them, or another file under the path, makes it stale: the next call opens
the file anew. A stale opening's connections are closed when whoever uses them is done. What was
found unusable at run time is reported as unavailable: the operator may put the file back.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import apsw
from msgspec import Struct

from bridge.errors import BatchRejected, StoreUnavailable, StoreUnusable
from bridge.store.rows import Rows
from bridge.store.sqlite import schema
from bridge.store.sqlite.failures import broken, translate
from bridge.store.sqlite.logroom import make_room
from bridge.store.sqlite.turnstile import Turnstile, pause
from smsc.crashpoint import reached
from smsc.message import Millis

T = TypeVar("T")

READERS = 4
"""Idle reading connections kept; more are opened when more threads read, and closed after."""

WAL_BOUND = 32 * 1024 * 1024
"""Octets of log above which a checkpoint makes writers wait so that it starts over."""

WAL_ROOM = 64 * 1024 * 1024
"""Octets the log's file is grown to ahead, and cut back to: what comes in between two checkpoints
under load finds room above the bound."""

MOMENT = 0.1
"""Seconds that starting over may make writers wait."""

WRITER_CACHE = 4 * 1024
READER_CACHE = 2 * 1024
"""KiB of pages kept by a connection."""


class Lanes(dict[str, tuple[int, str]]):
    """Number and endpoint of lanes by name; lanes are never deleted, so they stay true."""


class Tx(Struct):
    """What work inside a transaction, or a read, is given."""

    db: apsw.Connection
    rows: Rows
    lanes: Lanes
    clock: Callable[[], Millis]


@contextlib.contextmanager
def steady(db: apsw.Connection) -> Iterator[None]:
    """Let several reads see one state of the store."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def _wait(turn: int, deadline: float) -> bool:
    """Answer SQLite, which finds a lock taken: whether it is to look again."""
    if time.monotonic() >= deadline:
        return False
    pause(turn)
    return True


class Opened:
    """One opening of the file and its connections."""

    def __init__(self, identity: tuple[int, int], rows: Rows) -> None:
        self.identity = identity
        self.rows = rows
        self.lanes = Lanes()
        self.stale = False
        self.writer: apsw.Connection | None = None
        self.readers: list[apsw.Connection] = []


class Database:
    """The store file at ``path``, and how to work on it. Any thread may call anything."""

    def __init__(
        self, path: Path, *, clock: Callable[[], Millis], busy_timeout: float, vfs: str | None
    ) -> None:
        """Open the file, making and migrating it where needed; raises StoreUnusable."""
        self.path = path
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._vfs = vfs
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._checkpointing = threading.Lock()
        self._deadline = 0.0
        self._closed = False
        schema.create_file(path)
        self._log_path = path.with_name(path.name + "-wal")
        self._turnstile_path = path.with_name(path.name + "-turn")
        self._opened: Opened | None = self._open()
        self._turnstile = self._new_turnstile()

    # -- opening ---------------------------------------------------------------------------

    def _connect(self, *, cache: int = READER_CACHE) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
        db = apsw.Connection(str(self.path), flags=flags, vfs=self._vfs)
        try:
            db.set_busy_timeout(int(self._busy_timeout * 1000))
            db.execute(
                "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA wal_autocheckpoint = 0;"
                f"PRAGMA journal_size_limit = {WAL_ROOM}; PRAGMA cache_size = -{cache};"
                "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0"
            ).fetchall()  # some tell their value, and the next one waits until it is taken
        except BaseException:
            db.close()
            raise
        return db

    def _open(self) -> Opened:
        """Open a file that exists. Raises StoreUnusable and StoreUnavailable."""
        turnstile = self._new_turnstile()  # of its own: a write may be under way
        try:
            if not turnstile.enter(time.monotonic() + self._busy_timeout):
                raise StoreUnavailable(f"the store {self.path} is locked by another process")
            found = self.path.stat()
            db = self._connect()
            try:
                schema.bring_up(db, str(self.path))
                key = schema.hash_key(db)
            finally:
                db.close()
        except (apsw.BusyError, apsw.FullError) as error:
            raise translate(error, str(self.path)) from error
        except apsw.NotADBError as error:
            raise StoreUnusable(
                f"{self.path} is not a store of smsbridge, nor a database at all; it was left as"
                " it is: set another path for the store"
            ) from error
        except (apsw.Error, OSError) as error:
            raise StoreUnusable(
                f"the store {self.path} can't be used: {type(error).__name__}: {error}; restore"
                " it from a backup, or set another path for the store"
            ) from error
        finally:
            turnstile.close()
        return Opened((found.st_dev, found.st_ino), Rows(key))

    def _new_turnstile(self) -> Turnstile:
        try:
            return Turnstile(self._turnstile_path, beside=self.path)
        except OSError as error:
            raise StoreUnusable(
                f"{self._turnstile_path}, a part of the store, can't be opened: {error.strerror}"
            ) from error

    def _current(self) -> Opened:
        """Return the opening to use now, a new one where the last is stale."""
        opened = self._opened
        if opened is not None and not opened.stale and self._there(opened):
            return opened
        with self._opening:
            if self._closed:
                raise StoreUnavailable(f"the store {self.path} is closed")
            opened = self._opened
            if opened is not None:
                if not opened.stale and self._there(opened):
                    return opened
                self._discard(opened)
                self._opened = None
            try:
                self._opened = opened = self._open()
            except StoreUnusable as error:
                raise StoreUnavailable(str(error)) from error
            return opened

    def _there(self, opened: Opened) -> bool:
        """Whether the path still leads to the open file: writing to a deleted one keeps nothing."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == opened.identity

    def _discard(self, opened: Opened) -> None:
        opened.stale = True
        while opened.readers:
            with contextlib.suppress(apsw.Error, IndexError):
                opened.readers.pop().close()

    def close(self) -> None:
        """Let go of everything, after the write under way. Idempotent."""
        with self._writing, self._checkpointing, self._opening:
            if self._closed:
                return
            self._closed = True
            opened, self._opened = self._opened, None
            if opened is not None:
                self._discard(opened)
                if opened.writer is not None:
                    with contextlib.suppress(apsw.Error):
                        opened.writer.close()
            self._turnstile.close()

    # -- working ---------------------------------------------------------------------------

    def write(self, work: Callable[[Tx], T], *, announce: bool = False) -> T:
        """Do ``work`` in one transaction; durable on return, undone on any exception.

        ``announce``: say the crash points around COMMIT. Raises what the contract says.
        """
        if not self._writing.acquire(timeout=self._busy_timeout):
            raise StoreUnavailable(f"the store {self.path} is busy with another thread's write")
        try:
            opened = self._current()
            committing = False
            try:
                db = opened.writer
                if db is None:
                    db = opened.writer = self._connect(cache=WRITER_CACHE)
                    db.set_busy_handler(lambda turn: _wait(turn, self._deadline))
                self._begin(db)
                result = work(Tx(db, opened.rows, opened.lanes, self._clock))
                if announce:
                    reached("store.before_commit")
                committing = True
                db.execute("COMMIT")
            except BaseException as error:
                self._undo(opened, error)
                if isinstance(error, apsw.Error):
                    doubt = committing and broken(error)
                    raise translate(error, str(self.path), in_doubt=doubt) from error
                if isinstance(error, UnicodeError | OverflowError):
                    # Lone surrogates, numbers beyond 64 bits: no column holds them.
                    raise BatchRejected(f"{type(error).__name__} in a row") from error
                if isinstance(error, OSError | MemoryError):
                    # No row's fault: whoever narrows a failure down to one must not blame it.
                    raise StoreUnavailable(f"the store {self.path} fails: {error!r}") from error
                raise
        finally:
            self._writing.release()
        if announce:
            reached("store.after_commit")
        return result

    def _begin(self, db: apsw.Connection) -> None:
        self._deadline = time.monotonic() + self._busy_timeout
        if not self._turnstile.enter(self._deadline):
            raise apsw.BusyError("turnstile")
        try:
            db.execute("BEGIN IMMEDIATE")
        finally:
            self._turnstile.leave()

    def _undo(self, opened: Opened, error: BaseException) -> None:
        """Roll back; where that fails, or the error was grave, never use the connection again."""
        opened.lanes.clear()
        db = opened.writer
        if db is None:
            opened.stale = opened.stale or broken(error)
            return
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except apsw.Error:
            opened.stale = True
        if opened.stale or broken(error):
            opened.stale = True
            opened.writer = None
            with contextlib.suppress(apsw.Error):
                db.close()

    def read(self, work: Callable[[Tx], T]) -> T:
        """Do ``work``, which only reads, on a connection that waits for nobody.

        Work that needs several statements to agree uses :func:`steady`.
        """
        opened = self._current()
        db: apsw.Connection | None = None
        try:
            try:
                db = opened.readers.pop()
            except IndexError:
                db = self._connect()
                db.pragma("query_only", True)
            return work(Tx(db, opened.rows, opened.lanes, self._clock))
        except apsw.Error as error:
            if broken(error):
                opened.stale = True
            raise translate(error, str(self.path)) from error
        finally:
            if db is not None:
                if opened.stale or self._closed or len(opened.readers) >= READERS:
                    with contextlib.suppress(apsw.Error):
                        db.close()
                else:
                    opened.readers.append(db)

    def checkpoint(self) -> None:
        """Copy the log into the database; where the log has grown too long, start it over.

        Copying needs no lock that writers want. Starting over does, so the bulk is copied
        before, and it is tried again at the next call if somebody reads from the log just then.
        The log's file is grown ahead too (:mod:`.logroom`), some of it at each call.
        """
        with self._checkpointing:
            if self._closed:
                return
            self._current()
            try:
                with contextlib.closing(self._connect()) as db:
                    make_room(self._log_path, WAL_ROOM)
                    log, _ = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                    if log * db.pragma("page_size") > WAL_BOUND:
                        self._start_over(db)
            except apsw.Error as error:
                raise translate(error, str(self.path)) from error
            except (OSError, StoreUnusable) as error:
                raise StoreUnavailable(f"the store {self.path} fails: {error}") from error

    def _start_over(self, db: apsw.Connection) -> None:
        """Restart the log: take a turn as a writer, and be done with it in a moment.

        What readers still need is in the way; they get a moment to finish, because writers wait
        meanwhile.
        """
        deadline = time.monotonic() + MOMENT
        db.set_busy_handler(lambda turn: _wait(turn, deadline))
        turnstile = self._new_turnstile()
        try:
            if turnstile.enter(deadline):
                with contextlib.suppress(apsw.BusyError):
                    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            turnstile.close()
