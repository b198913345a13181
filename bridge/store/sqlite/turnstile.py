"""Whose turn it is to write, among the processes that share one file.

SQLite lets writers poll for its lock, and the one that has just committed is back before the
others have woken: under load they starve. So writers first pass a turnstile, an ``flock`` on a
file beside the store: whoever is inside is the only one to poll for SQLite's lock, and leaves the
turnstile as soon as it has that. A process that wants to write again finds the turnstile taken
by the one that waited. The kernel lets go of it when a process dies.
"""

import fcntl
import os
import time
from pathlib import Path

PAUSE = 0.0003
LONGEST_PAUSE = 0.001
"""Seconds between two looks: a commit takes about as long."""


def pause(turn: int) -> None:
    """Sleep before look number ``turn``, counted from 0."""
    time.sleep(min(PAUSE * (turn + 1), LONGEST_PAUSE))


class Turnstile:
    """One per engine object; not for use by several threads at once."""

    def __init__(self, path: Path, *, beside: Path) -> None:
        """``beside``: the store. Raises OSError where the file can't be opened.

        Made by root, it belongs to whom the store belongs to, as SQLite's own files do: or the
        gateway couldn't open it after somebody looked into the store with ``sudo``.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            try:
                owner = beside.stat()
                os.fchown(self._file, owner.st_uid, owner.st_gid)
            except BaseException:
                os.close(self._file)
                raise

    def enter(self, deadline: float) -> bool:
        """Go in, or return False at ``deadline`` (of ``time.monotonic``)."""
        turn = 0
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                pause(turn)
                turn += 1
            else:
                return True

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
