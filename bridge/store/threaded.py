"""The store's synchronous calls, off the event loop.

Writes go one at a time, in the order they were asked for: two at once would only wait for each
other inside. A write that has begun is never cancelled: its caller, however impatient, is told
how it ended, so that nobody takes a commit for lost that was not.
"""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from bridge.store.contract import Store

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

READS_AT_ONCE = 4


class StoreThreads:
    """Runs calls of one store in worker threads, or on the spot with ``inline``.

    Calls may be any function that uses the store, mostly its methods::

        await threads.write(threads.store.record, batch)
    """

    def __init__(self, store: Store, *, inline: bool = False) -> None:
        """``inline``: run calls on the event loop, for tests with a mock clock."""
        self.store = store
        self._inline = inline
        self._turn = trio.Lock()
        self._writer = trio.CapacityLimiter(1)
        self._readers = trio.CapacityLimiter(READS_AT_ONCE)

    async def write(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a call that writes, when those before it are done.

        Raises what the call raises. Cancelled while it waits for its turn, nothing was done;
        once begun it is finished whatever happens to the caller's scope, and then returns.
        """
        async with self._turn:
            if self._inline:
                return call(*args)
            # Not abandoned on cancellation, so its end is waited for; and it is past the one
            # point where it could be cancelled, because the limiter is free.
            return await trio.to_thread.run_sync(call, *args, limiter=self._writer)

    async def read(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a call that only reads; at most :data:`READS_AT_ONCE` at a time, others wait.

        Cancelled, it is finished all the same, and then raises Cancelled.
        """
        if self._inline:
            await trio.lowlevel.checkpoint()
            return call(*args)
        return await trio.to_thread.run_sync(call, *args, limiter=self._readers)
