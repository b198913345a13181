"""What carriers were refused, kept for whoever asks why.

*Bounds.* A refusal is a row in the store, and anybody can cause one: so of one account (of all
strangers together) at most :data:`EACH` a beat are kept, the first ones, and :data:`WAITING` in
all while the store is away. What was not kept is counted, and said in the log once a beat.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import BatchRejected, StoreError
from bridge.store.records import Refusal
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.inbox import Refused

BEAT: Final = 1.0
EACH: Final = 20
WAITING: Final = 500

_log: FilteringBoundLogger = structlog.get_logger()


class Refusals:
    """Gathers what was refused on the links of one process; writes it once a beat."""

    def __init__(
        self, threads: StoreThreads, by_system_id: Callable[[str], Account | None]
    ) -> None:
        """``by_system_id`` names the account that binds with a system_id."""
        self._threads = threads
        self._by_system_id = by_system_id
        self._waiting: list[Refusal] = []
        self._counts: Counter[str] = Counter()
        self._left_out = 0
        self._wake = trio.Event()

    def note(self, refused: Sequence[Refused], more: int = 0) -> None:
        """Take note of refusals, and of ``more`` that nobody kept; never waits, never raises."""
        self._left_out += more
        for each in refused:
            account = each.account or self._account(each.system_id)
            self._counts[account] += 1
            if self._counts[account] > EACH or len(self._waiting) >= WAITING:
                self._left_out += 1
                continue
            self._waiting.append(
                Refusal(
                    at=each.at,
                    account=account,
                    link=each.link,
                    peer=each.peer,
                    command=each.command,
                    status=each.status,
                    reason=each.reason,
                    raw=each.raw,
                )
            )
        self._wake.set()

    def _account(self, system_id: str) -> str:
        account = self._by_system_id(system_id) if system_id else None
        return account.name if account is not None else ""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is gathered, until cancelled. While the store is away it waits."""
        task_status.started()
        while True:
            await self._wake.wait()
            await trio.sleep(BEAT)
            self._wake = trio.Event()
            await self.write()

    async def write(self) -> None:
        """Write what is gathered now."""
        self._counts.clear()
        if self._left_out:
            _log.warning("refusals.left_out", count=self._left_out)
            self._left_out = 0
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await self._threads.write(self._threads.store.refuse, batch)
        except BatchRejected as error:
            _log.error("refusals.failed", count=len(batch), error=str(error))
        except StoreError:  # said elsewhere
            self._waiting = [*batch, *self._waiting][:WAITING]
            self._wake.set()
