"""One doing for many who want it done.

Whoever waits for a round gets one that began after the call, so that it has seen everything the
caller did before; all who call while one is under way share the next. However many ask at once,
no more than two rounds are theirs, and each of them is woken at most twice. Where many ask one
after the other, rounds are kept apart, so that each serves several.
"""

import math
from collections.abc import Awaitable, Callable

import trio


class _Round:
    """A round that gathers who wants it, is under way, or is over."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.done = False


class Rounds:
    """Runs ``action`` for all who wait for it, one at a time, and not sooner than ``apart``
    seconds after the last one began."""

    def __init__(self, action: Callable[[], Awaitable[None]], *, apart: float = 0) -> None:
        self._action = action
        self._apart = apart
        self._begun = -math.inf
        self._gathering = _Round()
        self._running: _Round | None = None

    async def wait(self) -> None:
        """Return when a round that began after this call is done.

        The first of those who share it runs it, and has what the action raises; then, as where
        that one is cancelled, the others have another round.
        """
        while True:
            mine = self._gathering
            while self._running is not None and not mine.over.is_set():
                await self._running.over.wait()
            if mine.done:
                return
            if mine is self._gathering:
                break
        self._running = mine
        try:
            await trio.sleep_until(self._begun + self._apart)  # while more may join
            self._begun = trio.current_time()
            self._gathering = _Round()
            await self._action()
            mine.done = True
        finally:
            self._running = None
            mine.over.set()
            if mine is self._gathering:
                self._gathering = _Round()
