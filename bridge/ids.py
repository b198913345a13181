"""Ids of what happens: a type prefix and a ULID, such as ``msg_01KAJ4V9ZP…``.

A ULID is 48 bits of milliseconds and 80 bits of chance, in Crockford's base 32, so that ids sort
by time. Chance is drawn once a millisecond; within it the ids count on from there, so that they
sort by birth as well, and a busy millisecond costs one look at entropy.
"""

from collections.abc import Callable
from itertools import count

from smsc.message import Millis

Entropy = Callable[[int], bytes]
"""Number of octets → that many octets of chance."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
"""Ten bits each."""


class Ids:
    """Makes ids. Usable from several threads: ids stay unique, each thread's mostly in order."""

    def __init__(self, clock: Callable[[], Millis], entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._state: tuple[Millis, str, count[int]] = (-1, "", count())

    def new(self, prefix: str) -> str:
        """Return ``prefix``, an underscore and the next ULID.

        A clock set back is not followed: ids keep the latest millisecond until it is reached.
        """
        now, head, counter = self._state
        at = self._clock()
        if at > now:
            # Two threads may both come here; their draws differ, so their ids do.
            now, head, counter = self._state = self._draw(at)
        # One step of a C iterator: two threads never get the same value.
        low = next(counter)
        if low >> 20:
            # After half a million ids in one millisecond: go on from a new draw.
            now, head, counter = self._state = self._draw(now)
            low = next(counter)
        return f"{prefix}_{head}{_PAIRS[low >> 10]}{_PAIRS[low & 1023]}"

    def _draw(self, at: Millis) -> tuple[Millis, str, "count[int]"]:
        """Return the state for a millisecond: the digits that stay, and those that count."""
        chance = int.from_bytes(self._entropy(10), "big")
        value = (at & (1 << 48) - 1) << 60 | chance >> 20
        digits = [_PAIRS[value >> shift & 1023] for shift in range(100, -10, -10)]
        # 48 + 60 bits in 22 digits of five: the first two are never set, as ULIDs want it.
        return at, "".join(digits), count(chance & 0x7FFFF)
