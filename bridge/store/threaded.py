"""The store's synchronous calls, off the event loop.

Writes go one at a time, in the order they were asked for: two at once would only wait for each
other inside. A write that has begun is never cancelled: its caller, however impatient, is told
how it ended, so that nobody takes a commit for lost that was not.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import trio

from bridge.errors import StoreUnavailable
from bridge.store.contract import Store

if TYPE_CHECKING:
    from outcome import Outcome  # trio's dependency, not one of ours: only its name is needed

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
        self._readers = trio.Semaphore(READS_AT_ONCE)

    async def write(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a call that writes, when those before it are done.

        Raises what the call raises, and StoreUnavailable where the system has no thread for it.
        Cancelled while it waits for its turn, nothing was done;
        once begun it is finished whatever happens to the caller's scope, and then returns.
        """
        turn = self._turn
        try:
            turn.acquire_nowait()  # mostly free, and then without a trip through the scheduler
        except trio.WouldBlock:
            await turn.acquire()
        try:
            return call(*args) if self._inline else await _in_thread(partial(call, *args))
        finally:
            turn.release()

    async def read(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a call that only reads; at most :data:`READS_AT_ONCE` at a time, others wait.

        Cancelled, it is finished all the same, and then raises Cancelled.
        """
        if self._inline:
            await trio.lowlevel.checkpoint()
            return call(*args)
        async with self._readers:
            return await _in_thread(partial(call, *args))


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a call in a worker thread to its end, whatever is cancelled meanwhile.

    What :func:`trio.to_thread.run_sync` does, less a limiter, a context and a thread's name for
    each call: a third of the cost of a trip, and every commit and every read makes one.
    """
    run_on_loop = trio.lowlevel.current_trio_token().run_sync_soon
    task = trio.lowlevel.current_task()

    def deliver(result: "Outcome[T]") -> None:
        run_on_loop(trio.lowlevel.reschedule, task, result)

    def refuse(_: object) -> trio.lowlevel.Abort:
        return trio.lowlevel.Abort.FAILED

    try:
        trio.lowlevel.start_thread_soon(call, deliver)
    except RuntimeError as error:  # the system has no more threads just now
        raise StoreUnavailable(f"the store can't be asked: {error}") from error
    return await trio.lowlevel.wait_task_rescheduled(refuse)  # type: ignore[no-any-return]  # trio types it as Any
