"""How long a bind waits after passwords that were wrong.

Theory
------
Who guesses passwords is slowed down, and nobody else: failures are counted by address, and by
account and address together, never by account alone, so that no stranger can keep a carrier out
of its account. The wait comes *before* the password is looked at, for right ones too: who would
not wait for the answer learns nothing.

One failure costs :data:`FIRST` seconds at the next bind, each further one twice as much, to
:data:`LONGEST`, and never more than half of the time the bind has: so that a carrier's engineer
who mistypes hardly notices, and a carrier with a wrong password still hears that it is wrong.
Failures are forgotten one by one, one each
:data:`FORGOTTEN_AFTER` seconds without another; those of a carrier's own account at its own
address with its first right password.

*Bound.* :data:`MOST` addresses, and as many pairs; the one not seen for longest is forgotten.
"""

from collections import OrderedDict

from smsc.peer import neighbourhood

FIRST = 0.1
LONGEST = 8.0
FORGOTTEN_AFTER = 60.0
MOST = 10_000

_MOST_FAILURES = 16
"""Counted at most: enough for the longest wait, and forgotten within reasonable time."""


class Delays:
    """The failures of late, and what they cost."""

    def __init__(self) -> None:
        self._addresses = _Failures()
        self._pairs = _Failures()

    def wait(self, account: str, peer: str, now: float, patience: float) -> float:
        """Return how many seconds a bind has to wait that may take ``patience`` seconds in all."""
        address = neighbourhood(peer)
        failures = max(
            self._addresses.count(address, now), self._pairs.count(f"{address} {account}", now)
        )
        return min(LONGEST, patience / 2, FIRST * 2.0 ** (failures - 1)) if failures else 0.0

    def wrong(self, account: str, peer: str, now: float) -> None:
        """Note a wrong password; ``account`` is empty where there is none of that system_id."""
        address = neighbourhood(peer)
        self._addresses.add(address, now)
        self._pairs.add(f"{address} {account}", now)

    def right(self, account: str, peer: str) -> None:
        """Note a right password.

        The address is not forgiven: somebody with an account of their own could guess others'.
        """
        self._pairs.forget(f"{neighbourhood(peer)} {account}")


class _Failures:
    """Counts by name, each of which shrinks with time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def count(self, name: str, now: float) -> int:
        failures, at = self._kept.get(name, (0, now))
        return max(0, failures - int((now - at) / FORGOTTEN_AFTER))

    def add(self, name: str, now: float) -> None:
        self._kept[name] = (min(_MOST_FAILURES, self.count(name, now) + 1), now)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def forget(self, name: str) -> None:
        self._kept.pop(name, None)
