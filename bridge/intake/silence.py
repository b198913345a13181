"""Links that died without a word: what they took last is in doubt when their carrier is back.

Theory
------
A way to a carrier that is cut tells neither side. The carrier finds out first, because it waits
for answers; it binds again and sends again, while its old link looks alive to us until the timers
say otherwise. So before a bind is granted, the account's other links are asked
whether their peers are there. What one that doesn't answer took last is made doubtful at once:
the queue of intake has it before anything the new link may bring.

The silent link itself is left to its timers: a peer that is only slow must not lose its link
because another one came. What it took counts as answered, whatever it was: so if it was only slow,
an equal message that follows within the time of doubts is marked ``duplicateOf``, and none is
taken for a repeat and passed over.

*Bounds.* A bind waits at most :data:`PATIENCE`, and only where a link is silent that was not known
to be, and that has taken anything: a carrier that opens one link after the other, and reads from
none before all are bound, waits for nothing. At most :data:`MOST_ASKED` are asked, those silent
for longest. In a storm of binds they share questions, and who answered one is left in peace for
:data:`PEACE`. Links of other processes are not asked: theirs are found silent by their timers
only.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from smsc.inbox import LinkLoss, LiveLink
from smsc.message import Millis
from smsc.status import LinkStatus

PEACE: Final = 200
"""Milliseconds for which an answer counts."""
PATIENCE: Final = 2.0
"""Seconds a peer has to answer."""
MOST_ASKED: Final = 32
"""Links one bind asks."""

_log: FilteringBoundLogger = structlog.get_logger()


class Silence:
    """Finds silent links of this process."""

    def __init__(
        self,
        links: Callable[[str], list[LiveLink]],
        lost: Callable[[LinkLoss], None],
        clock: Callable[[], Millis],
    ) -> None:
        """``links`` returns an account's that are bound; ``lost`` makes one's arrivals doubtful."""
        self._links = links
        self._lost = lost
        self._clock = clock
        # Account → link → its last sign of life when it was found silent.
        self._silent: dict[str, dict[str, Millis]] = {}
        self._answered: dict[str, Millis] = {}  # link → when
        self._questions: dict[str, trio.Event] = {}  # link → set when it has answered, or not

    async def look(self, account: str) -> None:
        """Ask the links of an account whether their peers are there; doubt those that are silent.

        Cancelled, it may have asked, and changed nothing else.
        """
        statuses = [(link, link.status()) for link in self._links(account)]
        alive = {status.link: status.alive_at for _, status in statuses}
        recent = self._clock() - PEACE
        silent = self._silent.pop(account, {})
        silent = {link: at for link, at in silent.items() if alive.get(link) == at}
        if silent:
            self._silent[account] = silent
        self._answered = {link: at for link, at in self._answered.items() if at >= recent}
        asked = [
            (status, link)
            for link, status in statuses
            if status.state == "bound"
            and status.arrivals  # else nothing could be in doubt
            and status.link not in silent
            and status.link not in self._answered
        ]
        if not asked:
            await trio.lowlevel.checkpoint()
            return
        asked.sort(key=lambda each: each[0].alive_at)
        async with trio.open_nursery() as nursery:
            for status, link in asked[:MOST_ASKED]:
                question = self._questions.get(status.link)
                if question is not None:
                    nursery.start_soon(question.wait)
                else:
                    self._questions[status.link] = trio.Event()
                    nursery.start_soon(self._ask, status, link)

    async def _ask(self, status: LinkStatus, link: LiveLink) -> None:
        try:
            answered = await link.answers(PATIENCE)
        finally:
            self._questions.pop(status.link).set()
        now = link.status()
        if answered:
            self._answered[status.link] = self._clock()
        elif now.state != "closed":  # one that has ended was reported by itself
            self._silent.setdefault(status.account, {})[status.link] = now.alive_at
            _log.info("link.silent", link=status.link, account=status.account, peer=status.peer)
            self._lost(
                LinkLoss(
                    link=status.link, account=status.account, alive_at=now.alive_at, unanswered=()
                )
            )
