"""Who may bind: the :class:`smsc.inbox.BindGate` of a gateway.

Theory
------
*Order.* First what needs no secret: the address, TLS, the certificate. They fail closed, and are
told as a bind that failed, no more. Then who came with wrong passwords of late waits a while:
:mod:`bridge.intake.delays`. Then the password, always, at the same cost whether the system_id
exists or not; only who knows it learns that the account is disabled, may not bind so, or has too
many links. Why a bind was refused is in the verdict's detail, in words, for our logs; the carrier
side logs it.

*Rounds.* Before a bind is granted the store is asked and told: what processes that vanished took
last becomes doubtful, so that a carrier that reconnects after a crash finds its repeats
recognised; the links of other processes are read, for the limit; and the new links are
announced, so that their arrivals can be found should we vanish. One such round serves all binds
that were asked before it began, so that a storm of them costs few.

*Without the store* binds go on by the last configuration and the links that are known: carriers
that can't bind would only storm. What they send is told UNAVAILABLE meanwhile. Vanished
processes are then *owed* to intake, which sees to them before it records anything.

*Silent links* of the same account are asked whether their peers are there, before a new one may
send again what they took: :mod:`bridge.intake.silence`.

*Limits* of links, and what becomes of old ones when they are reached, are in
:mod:`bridge.intake.places`.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.errors import StoreError
from bridge.intake.delays import Delays
from bridge.intake.places import Places
from bridge.intake.rounds import Rounds
from bridge.live import LiveView
from bridge.passwords import Busy, Passwords
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.inbox import BindRefusal, BindRequest, BindVerdict, LiveLink, Refused
from smsc.message import Millis
from smsc.peer import address_of, is_permitted
from smsc.status import LinkStatus

_log: FilteringBoundLogger = structlog.get_logger()

TO_ANSWER = 0.5
"""Seconds kept of the time a bind may take, so that it is told what became of it."""
APART = 0.05
"""Seconds from one round to the next: what a round costs grows with the links there are."""


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


async def _nothing_silent(_account: str) -> None:
    await trio.lowlevel.checkpoint()


class Gate:
    """Decides on binds by the live configuration, and counts links."""

    def __init__(
        self,
        threads: StoreThreads,
        live: LiveView,
        clock: Callable[[], Millis],
        *,
        new_id: Callable[[], str],
        ring: Callable[[], None] = lambda: None,
        doubt_vanished: Callable[[], Awaitable[object]] = _nothing,
        announce: Callable[[], Awaitable[object]] = _nothing,
        owe: Callable[[Callable[[], Awaitable[object]]], None] = lambda _: None,
        see_to_silent: Callable[[str], Awaitable[None]] = _nothing_silent,
        apart: float = APART,
    ) -> None:
        """``new_id`` names an order to another process, ``ring`` tells it that there is one.
        ``doubt_vanished`` sees to processes that vanished, ``announce`` tells the store of links
        of this process that are not bound yet; both may raise StoreError. ``owe`` has the former
        done before anything more is recorded, where the store is away. ``see_to_silent`` makes
        doubtful what links of an account took whose peers are gone. Rounds are ``apart`` seconds
        from each other."""
        self._live = live
        self._doubt_vanished = doubt_vanished
        self._announce = announce
        self._owe = owe
        self._see_to_silent = see_to_silent
        self._silences: dict[str, Rounds] = {}  # by account
        self._passwords = Passwords()
        self._delays = Delays()
        self._places = Places(threads, clock, new_id=new_id, ring=ring)
        self._apart = apart
        self._rounds = Rounds(self._have_round, apart=apart)
        self._away = False

    # -- the port --------------------------------------------------------------------------

    async def ask(self, request: BindRequest) -> BindVerdict:
        """Decide on a bind: see :meth:`smsc.inbox.BindGate.ask`."""
        account = self._live.by_system_id.get(request.system_id)
        if account is not None and (refused := _kept_out(account, request)) is not None:
            return refused
        name = "" if account is None else account.name
        now = trio.current_time()
        await trio.sleep(self._delays.wait(name, request.peer, now, request.patience))
        hashed = "" if account is None else account.password_hash
        try:
            right = await self._passwords.check(hashed, request.password)
        except Busy:
            return _no("unavailable", "too many binds are being checked")
        if account is None or not right:
            self._delays.wrong(name, request.peer, trio.current_time())
            if account is None:
                said = f"no account has the system_id {request.system_id!r}"
                return _no("unknown-system-id", said)
            return _no("wrong-password", f"the password is not that of account {account.name}")
        self._delays.right(name, request.peer)
        refused = _refused(account, request)
        if refused is not None:
            return refused
        await self._rounds.wait()
        await self._silences_of(account.name).wait()
        if account.max_links and self._places.count(account.name) >= account.max_links:
            left = now + request.patience - trio.current_time()
            await self._places.make_room(account, request.peer, left - TO_ANSWER)
        # The wait may have been long: decide by what is in force now.
        latest = self._live.by_system_id.get(request.system_id)
        if latest is None or latest.password_hash != account.password_hash:
            return _no("wrong-password", f"account {account.name} was just changed")
        refused = _kept_out(latest, request) or _refused(latest, request)
        if refused is not None:
            return refused
        if latest.max_links and (count := self._places.count(latest.name)) >= latest.max_links:
            return _no(
                "too-many-links",
                f"account {latest.name} has {count} links; max_links is {latest.max_links}",
            )
        self._places.grant(request.link, latest.name)
        return BindVerdict(account=latest)

    async def prepare(self, account: str) -> None:
        """Get ready for a link that we bind ourselves, as for one that is granted: see to what
        vanished processes and silent links took, and tell the store of this process's links.

        Never raises.
        """
        await self._rounds.wait()
        await self._silences_of(account).wait()

    def account(self, name: str) -> Account | None:
        """Return an account as it is now; None once it is removed or disabled."""
        account = self._live.accounts.get(name)
        return account if account is not None and account.enabled else None

    def opened(self, link: LiveLink) -> None:
        """Count a link that is now bound."""
        self._places.opened(link)

    def closed(self, status: LinkStatus) -> None:
        """Stop counting a link that has ended."""
        self._places.closed(status.link)

    def links(self) -> list[LiveLink]:
        """Return the bound links of this process."""
        return self._places.links()

    def links_of(self, account: str) -> list[LiveLink]:
        """Return those of an account."""
        return self._places.links_of(account)

    def by_account(self) -> Counter[str]:
        """Count the bound links of this process."""
        return self._places.by_account()

    def refused(self, refused: Sequence[Refused], more: int = 0) -> None:
        """Hear of what was refused. It is kept elsewhere: :mod:`bridge.intake.refusals`."""

    # -- the store -------------------------------------------------------------------------

    def _silences_of(self, account: str) -> Rounds:
        """Return what all binds of an account share: a look through its links costs with each."""
        rounds = self._silences.get(account)
        if rounds is None:
            rounds = self._silences[account] = Rounds(
                partial(self._see_to_silent, account), apart=self._apart
            )
            for gone in self._silences.keys() - self._live.accounts.keys() - {account}:
                del self._silences[gone]
        return rounds

    async def _have_round(self) -> None:
        try:
            await self._see_to_vanished()
            await self._places.look()
            await self._announce()
        except StoreError as error:
            if not self._away:
                _log.warning("gate.store_failing", error=str(error))
            self._away = True
        else:
            self._away = False

    async def _see_to_vanished(self) -> None:
        try:
            await self._doubt_vanished()
        except StoreError:
            self._owe(self._doubt_vanished)
            raise


def _kept_out(account: Account, request: BindRequest) -> BindVerdict | None:
    """Refuse who may not even try, by what needs no secret."""
    if account.allow_from and not is_permitted(request.peer, account.allow_from):
        address = address_of(request.peer) or request.peer
        said = f"{address} is not within allow_from of account {account.name}"
        return _no("address-not-allowed", said)
    if account.require_tls and not request.tls:
        return _no("tls-required", f"account {account.name} wants TLS; this link has none")
    permitted = map(_fingerprint, account.certificates)
    if account.certificates and not (request.certificate and request.certificate in permitted):
        shown = request.certificate or "none"
        said = f"the client's certificate is not one of account {account.name}'s; it showed {shown}"
        return _no("certificate-not-allowed", said)
    return None


def _fingerprint(text: str) -> str:
    return text.replace(":", "").lower()


def _refused(account: Account, request: BindRequest) -> BindVerdict | None:
    """Refuse who knows the password, and may not bind all the same."""
    if not account.enabled:
        return _no("disabled", f"account {account.name} is disabled")
    if request.outbind:
        if account.outbind:
            return None
        return _no("outbind-not-allowed", f"account {account.name} takes no outbind")
    if request.kind not in account.binds:
        allowed = ", ".join(account.binds)
        return _no(
            "kind-not-allowed",
            f"account {account.name} may bind as {allowed}, not as {request.kind}",
        )
    return None


def _no(refusal: BindRefusal, detail: str) -> BindVerdict:
    return BindVerdict(refusal=refusal, detail=detail)
