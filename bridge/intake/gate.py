"""Who may bind: the :class:`smsc.inbox.BindGate` of a gateway.

Theory
------
*Order.* The password is checked first, always, at the same cost whether the system_id exists or
not; only who knows it learns that the account is disabled, may not bind so, or has too many
links. Why a bind was refused is in the verdict's detail, in words, for our logs; the carrier
side logs it.

*Rounds.* Before a bind is granted the store is asked and told: what processes that vanished took
last becomes doubtful, so that a carrier that reconnects after a crash finds its repeats
recognised; the links of other processes are read, for the limit; and this process's links are
announced, the new one with them, so that its arrivals can be found should we vanish. One such
round serves all binds that were asked before it began, so that a storm of them costs few.

*Without the store* binds go on by the last configuration and the links that are known: carriers
that can't bind would only storm. What they send is told UNAVAILABLE meanwhile. Vanished
processes are then *owed* to intake, which sees to them before it records anything.

*Limits* are counted over this process's links and the store's word on the others', which is up
to a second old: as many links as bind within it on different processes may exceed the limit.
A granted bind holds its place for ten seconds until its link is opened.
"""

from collections.abc import Awaitable, Callable

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.live import LiveView
from bridge.passwords import Busy, Passwords
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.inbox import BindRefusal, BindRequest, BindVerdict, LiveLink
from smsc.message import Millis
from smsc.status import LinkStatus

GRANT_LASTS = 10.0
"""Seconds a granted bind may take to become a link."""
GONE_FOR = 10.0
"""Seconds for which the store may still show a link of ours that has ended."""
SILENT = 120_000
"""Milliseconds without a sign of life after which the store's word on a link is not believed:
its process is gone, or the peer is."""

_log: FilteringBoundLogger = structlog.get_logger()


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


class Gate:
    """Decides on binds by the live configuration, and counts links."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveView,
        clock: Callable[[], Millis],
        *,
        doubt_vanished: Callable[[], Awaitable[object]] = _nothing,
        announce: Callable[[], Awaitable[object]] = _nothing,
        owe: Callable[[Callable[[], Awaitable[object]]], None] = lambda _: None,
    ) -> None:
        """``doubt_vanished`` sees to processes that vanished, ``announce`` tells the store of
        all links of this process, bound or not; both may raise StoreError. ``owe`` has the
        former done before anything more is recorded, where the store is away."""
        self._threads = threads
        self._live = live
        self._clock = clock
        self._doubt_vanished = doubt_vanished
        self._announce = announce
        self._owe = owe
        self._passwords = Passwords()
        self._links: dict[str, str] = {}
        self._granted: dict[str, tuple[str, float]] = {}
        self._ended: dict[str, float] = {}
        self._others: list[LinkStatus] = []
        self._round = trio.Lock()
        self._begun = 0
        self._done = 0
        self._away = False

    # -- the port --------------------------------------------------------------------------

    async def ask(self, request: BindRequest) -> BindVerdict:
        """Decide on a bind: see :meth:`smsc.inbox.BindGate.ask`."""
        account = self._find(request.system_id)
        hashed = "" if account is None else account.password_hash
        try:
            right = await self._passwords.check(hashed, request.password)
        except Busy:
            return _no("unavailable", "too many binds are being checked")
        if account is None:
            return _no("unknown-system-id", f"no account has the system_id {request.system_id!r}")
        if not right:
            return _no("wrong-password", f"the password is not that of account {account.name}")
        refused = self._refused(account, request)
        if refused is not None:
            return refused
        await self._have_round()
        # The wait may have been long: decide by what is in force now.
        latest = self._find(request.system_id)
        if latest is None or latest.password_hash != account.password_hash:
            return _no("wrong-password", f"account {account.name} was just changed")
        refused = self._refused(latest, request)
        if refused is not None:
            return refused
        count = self._count(latest.name)
        if latest.max_links and count >= latest.max_links:
            return _no(
                "too-many-links",
                f"account {latest.name} has {count} links; max_links is {latest.max_links}",
            )
        self._granted[request.link] = (latest.name, trio.current_time() + GRANT_LASTS)
        return BindVerdict(account=latest)

    def account(self, name: str) -> Account | None:
        """Return an account as it is now; None once it is removed or disabled."""
        account = self._live.accounts.get(name)
        return account if account is not None and account.enabled else None

    def opened(self, link: LiveLink) -> None:
        """Count a link that is now bound."""
        status = link.status()
        self._granted.pop(status.link, None)
        self._links[status.link] = status.account

    def closed(self, status: LinkStatus) -> None:
        """Stop counting a link that has ended."""
        self._granted.pop(status.link, None)
        if self._links.pop(status.link, None) is not None:
            now = trio.current_time()
            self._ended[status.link] = now + GONE_FOR
            for link in [link for link, until in self._ended.items() if until < now]:
                del self._ended[link]

    # -- deciding --------------------------------------------------------------------------

    def _find(self, system_id: str) -> Account | None:
        return self._live.by_system_id.get(system_id)

    def _refused(self, account: Account, request: BindRequest) -> BindVerdict | None:
        if not account.enabled:
            return _no("disabled", f"account {account.name} is disabled")
        if request.kind not in account.binds:
            allowed = ", ".join(account.binds)
            return _no(
                "kind-not-allowed",
                f"account {account.name} may bind as {allowed}, not as {request.kind}",
            )
        return None

    def _count(self, account: str) -> int:
        now = trio.current_time()
        for link in [link for link, (_, until) in self._granted.items() if until < now]:
            del self._granted[link]
        oldest = self._clock() - SILENT
        ours = sum(name == account for name in self._links.values())
        granted = sum(name == account for name, _ in self._granted.values())
        others = sum(
            each.account == account
            and each.state != "closed"
            and each.alive_at >= oldest
            and each.link not in self._links
            and each.link not in self._granted
            and each.link not in self._ended
            for each in self._others
        )
        return ours + granted + others

    # -- the store -------------------------------------------------------------------------

    async def _have_round(self) -> None:
        """Return when a round that began after this call is done."""
        wanted = self._begun + 1
        async with self._round:
            if self._done >= wanted:
                return
            self._begun += 1
            begun = self._begun
            try:
                await self._see_to_vanished()
                self._others = await self._threads.read(self._threads.store.links)
                await self._announce()
            except StoreError as error:
                if not self._away:
                    _log.warning("gate.store_failing", error=str(error))
                self._away = True
            else:
                self._away = False
            self._done = begun

    async def _see_to_vanished(self) -> None:
        try:
            await self._doubt_vanished()
        except StoreError:
            self._owe(self._doubt_vanished)
            raise


def _no(refusal: BindRefusal, detail: str) -> BindVerdict:
    return BindVerdict(refusal=refusal, detail=detail)
