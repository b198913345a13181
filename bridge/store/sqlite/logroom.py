"""Room for the log, made before it is needed.

A commit appends to the log and syncs it. Where that makes the file longer, the file system has
its own journal to sync as well: measured on ext4, 3 ms against 0.25 ms for writing over octets
that are there. So the log is grown ahead, off the path of answers, with zeros that are really
written: blocks merely promised (``fallocate``) would be journalled at their first use again.

SQLite takes no notice. It knows where the log ends by checksums, and zeros have none; it writes
its frames at places of its own choosing and never asks how long the file is. We only append
beyond the end of the file as it is at that moment, so whatever SQLite writes is either before our
zeros or over them.
"""

import os
import shutil
from pathlib import Path

STEP = 16 * 1024 * 1024
"""Octets added at one call."""

PIECE = 1024 * 1024
"""Octets written and synced at once: a commit that meets one waits no longer than for that."""

SPARE = 16
"""How many times its length must be free on the disk for the log to be grown ahead."""


def make_room(log: Path, wanted: int) -> int:
    """Make the log up to :data:`STEP` octets longer, ``wanted`` at the most.

    Returns how many octets were added: none where it is long enough, isn't there, or the disk
    has better use for its space. Room is a comfort: whatever goes wrong, SQLite makes its own.
    """
    added = 0
    try:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        missing = min(wanted - os.fstat(file).st_size, STEP)
        if missing > 0 and shutil.disk_usage(log).free < SPARE * wanted:
            return 0
        while added < missing:
            added += os.write(file, bytes(min(PIECE, missing - added)))
            os.fdatasync(file)
    except OSError:
        return added
    finally:
        os.close(file)
    return added
