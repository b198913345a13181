"""Turns: links that bring much and nothing of use share a fifth of the loop, however many they are.

Theory
------
A peer far above its window or rate is told so, and read on, because an ``enquire_link`` may follow.
But reading and refusing costs as much as taking a message in, and so does answering a flood of
``enquire_link`` or reading one of responses to nothing; and peers can send faster than we can do
that: without a bound, a few of them would have all other links wait. So a link that brought more
than a few PDUs in one chunk that were no arrivals waits, before it is read again, for as long as
the chunk took times :data:`SHARE`; and one such link waits at a time, the others behind it. It has
its octets waiting in the kernel meanwhile, and then in the peer.
"""

from typing import Final

import trio

SHARE: Final = 4.0
"""Seconds of waiting for each second of work: a fifth of the time is work, at most."""
FEW: Final = 16
"""PDUs of one chunk that may bring nothing without a wait."""
IDLE_CHUNK: Final = 16_384
"""Octets read at once from such a link, and from one that is new."""


class Turns:
    """Who waits. One for all links of a process, or of a port."""

    def __init__(self) -> None:
        self._turn = trio.Lock()

    async def pay(self, seconds: float) -> None:
        """Wait for work that took so long, once all who came before have waited for theirs."""
        async with self._turn:
            await trio.sleep(seconds * SHARE)
