"""Passwords of accounts: hashed with Argon2id, checked without telling an attacker more than no.

Theory
------
A hash is meant to be slow, and a carrier that lost its network reconnects with dozens of links
at once. Hence: parameters that cost some 20 ms (19 MiB, two passes, one lane; the defaults cost
129 ms), two threads that hash, and a cache of successes. The threads have the priority of all
others: one put back would hold the interpreter's lock for as long as nobody lets it run.

The cache holds no password: its keys are keyed hashes of hash and password, the key is drawn at
start and never leaves the process. Who asks what is being checked waits for that check: a storm
of binds costs one hash. Failures are not cached, and a system_id that does not exist is checked
against a hash of nothing, so that it takes as long as a wrong password.

*Bound.* At most 256 different checks wait; more are refused as busy. The cache keeps 1,024
successes and forgets the one not used for longest.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from contextlib import suppress
from functools import partial

import trio
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

HASHING_THREADS = 2
MOST_WAITING = 256
MOST_CACHED = 1_024

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)

_NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$c21zYnJpZGdlLW5vYm9keQ"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A well-formed hash that no password has: what an unknown system_id is checked against."""


class Busy(Exception):
    """Too many checks wait already."""


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password, with a salt of its own. Takes some 20 ms."""
    return _HASHER.hash(password)


def verify(hashed: str, password: str) -> bool:
    """Say whether a hash is that of a password. Takes some 20 ms; never raises.

    An empty or unreadable hash is nobody's, and takes as long.
    """
    try:
        return _HASHER.verify(hashed, password)
    except InvalidHashError:
        hashed = _NOBODYS
    except (VerificationError, UnicodeError):
        return False
    with suppress(VerificationError, UnicodeError):
        _HASHER.verify(hashed, password)
    return False


class _Check:
    """A check that is under way."""

    def __init__(self) -> None:
        self.right: bool | None = None
        self.done = trio.Event()


class Passwords:
    """Checks passwords in threads, and remembers those that were right."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._threads = trio.CapacityLimiter(HASHING_THREADS)
        self._checks: dict[bytes, _Check] = {}

    async def check(self, hashed: str, password: str) -> bool:
        """Say whether a hash is that of a password; an empty hash is nobody's.

        Raises :class:`Busy` where too many checks wait. Cancelling it leaves the hash to be
        finished and thrown away by its thread.
        """
        mark = self._mark(hashed, password)
        if mark in self._right:
            self._right.move_to_end(mark)
            await trio.lowlevel.checkpoint()
            return True
        while (other := self._checks.get(mark)) is not None:
            await other.done.wait()
            if other.right is not None:  # else whoever had it checked gave up
                return other.right
        if len(self._checks) >= MOST_WAITING:
            raise Busy
        check = self._checks[mark] = _Check()
        try:
            check.right = await trio.to_thread.run_sync(
                partial(verify, hashed, password),
                limiter=self._threads,
                abandon_on_cancel=True,
            )
        finally:
            del self._checks[mark]
            check.done.set()
        if check.right:
            self._right[mark] = None
            if len(self._right) > MOST_CACHED:
                self._right.popitem(last=False)
        return check.right

    def _mark(self, hashed: str, password: str) -> bytes:
        # The hash has no NUL, so that no other pair runs together alike.
        both = f"{hashed}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, both, hashlib.sha256)
