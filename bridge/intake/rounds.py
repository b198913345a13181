"""One doing for many who want it done.

Whoever waits for a round gets one that began after the call, so that it has seen everything the
caller did before; all who call while one is under way share the next. However many ask at once,
no more than two rounds are theirs.
"""

from collections.abc import Awaitable, Callable

import trio


class Rounds:
    """Runs ``action`` for all who wait for it, one at a time."""

    def __init__(self, action: Callable[[], Awaitable[None]]) -> None:
        self._action = action
        self._lock = trio.Lock()
        self._begun = 0
        self._done = 0

    async def wait(self) -> None:
        """Return when a round that began after this call is done.

        Raises what the action raises, to the one it was run for; the others have it run again.
        Cancelling it cancels a round that was begun for this caller.
        """
        wanted = self._begun + 1
        async with self._lock:
            if self._done >= wanted:
                return
            self._begun += 1
            begun = self._begun
            await self._action()
            self._done = begun
