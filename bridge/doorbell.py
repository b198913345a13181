"""A bell between the processes of one machine, so that nobody polls the store hot.

Theory
------
Every listener binds a datagram socket of its own in one directory, and a ring is one datagram to
each socket found there whose name says that its owner hears that topic: deliveries ring for every
commit, and waking a process costs more than ringing. Nothing is promised: a ring that finds a full
buffer or nobody at home is dropped, because whoever listens polls as well, only slowly. So
:meth:`Doorbell.ring` never waits and never raises, and a lost ring costs one poll interval.

*Bound.* The kernel holds as many datagrams per socket as its buffer takes; further ones are
dropped, and nothing is lost by it, since the listener is about to wake anyway and reads equal
rings as one.

*Who may ring.* The directory is 0700 and must belong to us; if it can't be had, the bell stays
silent (:attr:`Doorbell.silent` says why) and the gateway lives on polling.
"""

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from pathlib import Path

import trio

DUE = b"due"
"""There are new deliveries."""
LIVE = b"live"
"""There is a new revision of the live configuration."""
ORDERS = b"orders"
"""There is something new to do with links."""

_LONGEST_PATH = 100
"""Octets a socket's path may have: 104 with the NUL on the smallest platform (sun_path)."""
_LONGEST_ID = 30
_LONGEST_NAME = 40
_MOST_AT_ONCE = 256


def directory_for(store: Path) -> Path:
    """Return the directory of the bell of a store.

    It is beside the store, so that all who share the store share the bell; where that path
    would be too long for a socket, in the system's temporary directory under a name made from it.
    """
    beside = store.resolve().with_name(f"{store.name}-bell")
    if len(os.fsencode(beside)) + 1 + _LONGEST_NAME <= _LONGEST_PATH:
        return beside
    digest = hashlib.sha256(os.fsencode(beside)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"smsbridge-{os.getuid()}-{digest}"


class Doorbell:
    """One process's end of the bell. Rings from construction on wait to be listened to."""

    def __init__(
        self, directory: Path, process_id: str, *, hears: Collection[bytes] = (DUE, LIVE)
    ) -> None:
        """Open the bell; ``hears`` names the topics to listen to: with none it can only ring."""
        self.silent = ""
        """Why this end is out of order, in words; empty while it works."""
        self._directory = str(directory)
        heard = b".".join(hears).decode()
        self._own = f"{self._directory}/{process_id[-_LONGEST_ID:]}.{heard}"
        self._listener: socket.socket | None = None
        self._others: dict[bytes, tuple[str, ...]] = {}
        self._listed_at = -1
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        try:
            _make_private(directory)
            if hears:
                self._listener = _bind(self._own)
        except OSError as error:
            self.silent = f"no doorbell in {self._directory}: {error.strerror or error}"

    def ring(self, topic: bytes) -> None:
        """Ring at everyone who hears the topic, here too. Never waits, never raises."""
        if self.silent:
            return
        try:
            changed_at = os.stat(self._directory).st_mtime_ns  # noqa: PTH116  # hot: no Path
            if changed_at != self._listed_at:
                self._others = self._list()
                self._listed_at = changed_at
        except OSError:
            return
        for path in self._others.get(topic, ()):
            try:
                self._sender.sendto(topic, path)
            except ConnectionRefusedError:
                # Its process died without unlinking it. Names are never used twice.
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108  # hot: no Path
            except OSError:
                pass  # full, or gone since we looked: a dropped ring

    def _list(self) -> dict[bytes, tuple[str, ...]]:
        """Return the sockets of those who listen, by topic."""
        found: dict[bytes, tuple[str, ...]] = {}
        for entry in os.scandir(self._directory):
            for topic in entry.name.split(".")[1:]:
                found[topic.encode()] = (*found.get(topic.encode(), ()), entry.path)
        return found

    async def wait(self) -> tuple[bytes, ...]:
        """Return the topics rung since the last call, each once, waiting for the first.

        Empty where nothing will ever be rung: the bell is silent, only rings, or was closed.
        Cancelling it loses nothing but rings.
        """
        if self._listener is None or self._listener.fileno() < 0:
            await trio.lowlevel.checkpoint()
            return ()
        topics: dict[bytes, None] = {}
        while not topics:
            try:
                await trio.lowlevel.wait_readable(self._listener)
                for _ in range(_MOST_AT_ONCE):
                    topics[self._listener.recv(64)] = None
            except BlockingIOError:
                pass
            except (trio.ClosedResourceError, OSError):
                return ()
        return tuple(topics)

    async def listen(self) -> AsyncIterator[bytes]:
        """Yield what :meth:`wait` returns, topic by topic, until there is nothing to come."""
        while topics := await self.wait():
            for topic in topics:
                yield topic

    def close(self) -> None:
        """Take this end down. Idempotent."""
        self.silent = self.silent or "closed"
        self._sender.close()
        if self._listener is not None and self._listener.fileno() >= 0:
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._listener)
            self._listener.close()
            with suppress(OSError):
                os.unlink(self._own)  # noqa: PTH108  # a socket, not a file of ours


def _make_private(directory: Path) -> None:
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError("it is no directory")
    if facts.st_uid != os.getuid():
        raise PermissionError("it belongs to somebody else")
    if facts.st_mode & 0o077:
        directory.chmod(0o700)


def _bind(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        listener.setblocking(False)
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    return listener
