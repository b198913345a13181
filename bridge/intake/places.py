"""Places for links: how many an account has, and how one is freed when all seem taken.

Theory
------
*Counting.* An account's links are those of this process, those granted but not opened yet, and
the store's word on other processes', which is up to a second old: as many links as bind within it
on different processes may exceed the limit. A granted bind holds its place for ten seconds.

*Making room.* A carrier whose network was away comes back while its old links still look open.
So at the limit a link of the same account is asked whether its peer is there, and closed if it
stays silent for two seconds; the new one takes its place. First asked are links of the new one's
own address, then the one silent for longest; one after the other, so that no more are closed
than are in the way. Nobody is replaced who answers: a stranger who knows the password can't throw
a carrier out.

Each link is asked by one bind at a time: of several that come at once each asks another. A link of
another process is asked by way of the store (:class:`~bridge.store.contract.Order`): it is gone
when the store says so, and answered when the store has heard of it since.

*Bound.* Making room takes at most :data:`ROOM` seconds and asks :data:`MOST_ASKED` links; what is
not free then is taken. Grants, and links that ended, are remembered for ten seconds.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.intake.rounds import Rounds
from bridge.store.contract import Order
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.inbox import LiveLink
from smsc.message import Millis
from smsc.peer import neighbourhood
from smsc.status import LinkStatus

GRANT_LASTS: Final = 10.0
"""Seconds a granted bind may take to become a link."""
GONE_FOR: Final = 10.0
"""Seconds for which the store may still show a link of ours that has ended."""
SILENT: Final = 120_000
"""Milliseconds without a sign of life after which the store's word on a link is not believed:
its process is gone, or the peer is."""
PROBE: Final = 2.0
"""Seconds a peer has to answer."""
ELSEWHERE: Final = 3.5
"""Seconds until another process has heard of it, asked, and told the store."""
LOOK: Final = 0.25
"""Seconds between two looks at what it told."""
ROOM: Final = 6.0
"""Seconds a bind waits for a place, at most: well within session initiation."""
MOST_ASKED: Final = 16
"""Links one bind asks, at most."""

_log: FilteringBoundLogger = structlog.get_logger()


class Places:
    """All links of all accounts, as far as this process knows."""

    def __init__(
        self,
        threads: StoreThreads,
        clock: Callable[[], Millis],
        *,
        new_id: Callable[[], str],
        ring: Callable[[], None],
    ) -> None:
        """``new_id`` names an order, ``ring`` tells other processes that there is one."""
        self._threads = threads
        self._clock = clock
        self._new_id = new_id
        self._ring = ring
        self._links: dict[str, LiveLink] = {}
        self._accounts: dict[str, str] = {}  # link → account, of the same
        self._granted: dict[str, tuple[str, float]] = {}
        self._ended: dict[str, float] = {}
        self._others: list[LinkStatus] = []
        self._asked: set[str] = set()  # links that are being asked by a bind
        self._looks = Rounds(self.look)

    def links(self) -> list[LiveLink]:
        """Return the bound links of this process."""
        return list(self._links.values())

    def links_of(self, account: str) -> list[LiveLink]:
        """Return those of an account."""
        return [self._links[link] for link, name in self._accounts.items() if name == account]

    def by_account(self) -> Counter[str]:
        """Count the bound links of this process."""
        return Counter(self._accounts.values())

    def grant(self, link: str, account: str) -> None:
        """Hold a place for a link that may bind."""
        self._granted[link] = (account, trio.current_time() + GRANT_LASTS)

    def opened(self, link: LiveLink) -> None:
        """Count a link that is now bound."""
        status = link.status()
        self._granted.pop(status.link, None)
        self._links[status.link] = link
        self._accounts[status.link] = status.account

    def closed(self, link: str) -> None:
        """Stop counting a link that has ended. Idempotent."""
        self._granted.pop(link, None)
        self._accounts.pop(link, None)
        if self._links.pop(link, None) is not None:
            now = trio.current_time()
            self._ended[link] = now + GONE_FOR
            for old in [old for old, until in self._ended.items() if until < now]:
                del self._ended[old]

    async def look(self) -> None:
        """Read from the store what links other processes have. Raises StoreError."""
        self._others = await self._threads.read(partial(self._threads.store.links, closed=False))

    def count(self, account: str) -> int:
        """Return how many places of an account are taken."""
        now = trio.current_time()
        for link in [link for link, (_, until) in self._granted.items() if until < now]:
            del self._granted[link]
        ours = sum(name == account for name in self._accounts.values())
        granted = sum(name == account for name, _ in self._granted.values())
        return ours + granted + len(self._elsewhere(account))

    async def make_room(self, account: Account, peer: str, seconds: float = ROOM) -> bool:
        """Return whether an account has a free place, having freed one if that could be done."""
        with trio.move_on_after(min(ROOM, seconds)):
            asked = 0
            for rival in self._rivals(account.name, peer):
                if self.count(account.name) < account.max_links or asked == MOST_ASKED:
                    break
                if rival not in self._asked:
                    asked += 1
                    await self._ask(rival)
        return self.count(account.name) < account.max_links

    def _elsewhere(self, account: str) -> list[LinkStatus]:
        oldest = self._clock() - SILENT
        return [
            each
            for each in self._others
            if each.account == account
            and each.state != "closed"
            and each.alive_at >= oldest
            and each.link not in self._links
            and each.link not in self._granted
            and each.link not in self._ended
        ]

    def _rivals(self, account: str, peer: str) -> list[str]:
        """Return links that may be asked, in the order in which they are."""
        address = neighbourhood(peer)
        ours = [link.status() for link in self.links_of(account)]
        rivals = [each for each in (*ours, *self._elsewhere(account)) if each.state == "bound"]
        rivals.sort(key=lambda each: (neighbourhood(each.peer) != address, each.alive_at))
        return [each.link for each in rivals]

    async def _ask(self, link: str) -> None:
        """Have a link's peer asked; return when it has answered, or the link is gone, or not."""
        self._asked.add(link)
        try:
            if link not in self._links:
                await self._ask_elsewhere(link)
            elif not await self._links[link].probe(PROBE):
                _log.info("link.replaced", link=link)
        finally:
            self._asked.discard(link)

    async def _ask_elsewhere(self, link: str) -> None:
        since = self._clock()
        until = since + int(ELSEWHERE * 1_000)
        order = Order(id=self._new_id(), kind="probe", link=link, until=until)
        write, store = self._threads.write, self._threads.store
        try:
            await write(store.order, order)
            self._ring()
            with trio.move_on_after(ELSEWHERE):
                while any(
                    each.link == link and each.state != "closed" and each.alive_at <= since
                    for each in self._others
                ):
                    await trio.sleep(LOOK)
                    await self._looks.wait()
        except StoreError:
            await trio.lowlevel.checkpoint()  # it stays where it is: nobody could be asked
