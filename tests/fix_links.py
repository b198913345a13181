"""Bound links as the gate sees them."""

from collections.abc import Callable

import trio
from msgspec.structs import replace

from smsc.status import LinkStatus


class Link:
    """A :class:`smsc.inbox.LiveLink` whose peer is there or not, as :attr:`alive` says."""

    def __init__(
        self, shown: LinkStatus, closed: Callable[[LinkStatus], None], *, alive: bool = True
    ) -> None:
        self.shown = shown
        self.closed = closed
        self.alive = alive
        self.probed = 0
        self.asked = 0
        self.hold: trio.Event | None = None
        """While set, a probe waits for it."""

    def status(self) -> LinkStatus:
        """As it was given."""
        return self.shown

    async def answers(self, seconds: float) -> bool:
        """Say so at once if the peer is there, else when the time is up."""
        self.asked += 1
        await trio.sleep(0 if self.alive else seconds)
        return self.alive

    async def probe(self, seconds: float) -> bool:
        """Close the link if the peer is not there; ``closed`` hears of it first."""
        assert seconds > 0
        self.probed += 1
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if not self.alive:
            self.shown = replace(self.shown, state="closed")
            self.closed(self.shown)
        return self.alive
