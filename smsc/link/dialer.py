"""Links that we dial: connect to a carrier's SMSC, bind, stay, and begin anew when one is gone.

Theory
------
One :class:`Dialer` keeps up the links of one account. Each of them, known by its kind and a
number, is kept by a task of its own, round after round:

* *Connect.* Hosts are tried in their order. One that can't be reached passes its turn to the next
  at once; the last one's failure, and a bind that is refused anywhere, are followed by a pause.
  After a pause the turn is the next host's, the first one's after the last.
* *Bind and serve.* That is a :class:`~smsc.link.connection.Connection` like any other.
* *Pause.* The first is ``shortest_pause``, each further one twice as long, up to
  ``longest_pause``; by chance up to half of it is left out, so that many links do not come back
  in step. A link that was bound for :data:`LIVED` seconds is no failure: the count begins anew,
  and so do the hosts, because the first one is wanted most.

*Changes.* On :meth:`Dialer.refresh` the account is looked at again. A link whose host is still
named, and whose bind would still say the same, stays; others are unbound, and what is wanted is
dialled without a pause. An account that is gone, or no longer says where to dial, unbinds all.
:meth:`Dialer.run` ends when nothing is wanted and nothing is left.

*One process.* Nothing here knows of other processes: two dialers of one account make twice the
links. Whoever starts dialers does so in one carrier process of a node; where several nodes share
a configuration, a lease will have to say which of them dials.

Bounds: ``dial.links`` tasks for each kind of bind, each with one connection at most;
:data:`CONNECT_TIMEOUT` for a connection, its TLS handshake included; the timers of the listener
that lends them for everything after.
"""

import random
from collections.abc import Awaitable, Callable

import structlog
import trio
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from smsc.config import Account, BindKind, Dial, Listener
from smsc.inbox import BindGate, Inbox, Refused
from smsc.link.connection import Connection
from smsc.link.reaching import Reached, Unreachable, reach
from smsc.message import Millis
from smsc.status import LinkStatus

CONNECT_TIMEOUT = 10.0
"""Seconds a connection may take to come about, TLS included."""
LIVED = 30.0
"""Seconds bound after which a link's end is no failure."""

_Slot = tuple[BindKind, int]

_log: FilteringBoundLogger = structlog.get_logger()


async def _nothing() -> None:
    await trio.lowlevel.checkpoint()


class Dialer:
    """The links of one account that we dial.

    ``listener`` lends its timers and limits. ``clock`` is the time of day, ``new_link`` makes a
    link's id, ``rng`` spreads pauses. ``prepare`` is awaited before each bind, while the link is
    among :meth:`statuses` already.
    """

    def __init__(
        self,
        account: Account,
        *,
        listener: Listener,
        inbox: Inbox,
        gate: BindGate,
        clock: Callable[[], Millis],
        new_link: Callable[[], str],
        rng: random.Random,
        prepare: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        self._name = account.name
        self._account: Account | None = account  # as it was last seen; None once it is gone
        self._listener = listener
        self._inbox = inbox
        self._gate = gate
        self._clock = clock
        self._new_link = new_link
        self._rng = rng
        self._prepare = prepare
        self._kept: dict[_Slot, _Keeper] = {}
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._ended = trio.Event()

    async def run(self) -> None:
        """Keep the links up until none is wanted and all have ended. To be called once.

        Cancelled, it cuts all links, which are then reported as lost.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                if not self._draining:
                    self._look()
        finally:
            self._ended.set()

    async def drain(self, deadline: float) -> None:
        """Unbind every link and dial no more; return when :meth:`run` has ended.

        That is at ``deadline`` (of trio's clock) at the latest: what is open then is cut, and
        reported as lost.
        """
        self._draining = True
        for keeper in self._kept.values():
            keeper.stop("shutdown")
        if self._nursery is not None:
            scope = self._nursery.cancel_scope
            scope.deadline = min(scope.deadline, deadline)
            await self._ended.wait()

    def count(self) -> int:
        """Return how many connections there are, bound or not."""
        return sum(keeper.connection is not None for keeper in self._kept.values())

    def newcomers(self) -> list[LinkStatus]:
        """Return those of its connections that are not bound yet."""
        return [
            keeper.connection.status()
            for keeper in self._kept.values()
            if keeper.connection is not None and not keeper.connection.bound
        ]

    def statuses(self) -> list[LinkStatus]:
        """Return every connection as it is now, bound or not."""
        return [
            keeper.connection.status()
            for keeper in self._kept.values()
            if keeper.connection is not None
        ]

    def refresh(self) -> None:
        """Look at the account again, and change what has to be changed; returns at once.

        Does nothing once :meth:`drain` was called, nor where nothing is kept up: then :meth:`run`
        has not begun, or is about to end, and its nursery takes nobody in.
        """
        if self._kept and not self._draining:
            self._look()

    def _look(self) -> None:
        assert self._nursery is not None  # it is there while anything is kept up
        self._account = account = self._gate.account(self._name)
        wanted = _slots(account)
        for slot, keeper in self._kept.items():
            if slot not in wanted:
                keeper.stop("account-removed" if account is None else "dial-changed")
            else:
                keeper.want(account)
        for slot in wanted:
            if slot not in self._kept:
                self._kept[slot] = keeper = _Keeper()
                self._nursery.start_soon(self._keep, slot, keeper)

    # Tasks.

    async def _keep(self, slot: _Slot, keeper: "_Keeper") -> None:
        """Keep one link up while it is wanted."""
        try:
            turn = failures = 0
            while keeper.wanted and (account := self._account) is not None:
                dial = account.dial
                if dial is None or not dial.hosts:  # its stop is on its way
                    break
                keeper.seen = (dial, account.system_id)
                if keeper.changed:
                    keeper.changed = False
                    turn = failures = 0
                turn %= len(dial.hosts)
                host = dial.hosts[turn]
                with trio.CancelScope() as keeper.waiting:
                    ended = await self._attempt(keeper, account, dial, slot[0], host)
                if keeper.waiting.cancelled_caught or keeper.changed or not keeper.wanted:
                    continue
                if ended.lived:
                    turn = failures = 0
                    pause = self._rng.uniform(0, dial.shortest_pause)
                else:
                    turn += 1
                    more = not ended.connected and turn < len(dial.hosts)
                    failures += not more
                    pause = 0 if more else self._pause(dial, failures)
                self._say(account, slot, host, ended, pause)
                with trio.CancelScope() as keeper.waiting:
                    await trio.sleep(pause)
        finally:
            del self._kept[slot]

    async def _attempt(
        self, keeper: "_Keeper", account: Account, dial: Dial, kind: BindKind, host: str
    ) -> "_Ended":
        """Make one link, and serve it to its end."""
        link = self._new_link()
        reached = None
        try:
            with trio.fail_after(CONNECT_TIMEOUT):
                reached = await reach(host, dial)
            return await self._serve(keeper, reached, account, kind, link, host)
        except (Unreachable, trio.TooSlowError) as error:
            reason = str(error) or f"no answer within {CONNECT_TIMEOUT:g} s"
        except Exception as error:  # noqa: BLE001  # a fault of ours costs one link, not the others
            _log.exception("link.failed", link=link, peer=reached.peer if reached else host)
            reason = f"internal: {type(error).__name__}"
        finally:
            if reached is not None:
                await trio.aclose_forcefully(reached.stream)
        self._tell(account, kind, link, reached.peer if reached else host, reason)
        return _Ended(reason, connected=reached is not None)

    async def _serve(
        self,
        keeper: "_Keeper",
        reached: Reached,
        account: Account,
        kind: BindKind,
        link: str,
        host: str,
    ) -> "_Ended":
        connection = Connection(
            reached.stream,
            link=link,
            peer=reached.peer,
            listener=self._listener,
            inbox=self._inbox,
            gate=self._gate,
            clock=self._clock,
            tls=reached.tls,
            local=reached.local,
            account=account,
            kind=kind,
        )
        keeper.connection = connection
        keeper.terms = _terms(account, host)
        try:
            await self._prepare()
            await connection.run()
        finally:
            keeper.connection = None
        status = connection.status()
        if status.bound_at is None:
            # One that we gave up ourselves is no news; a refused one the connection has told.
            ours = keeper.changed or not keeper.wanted
            if not ours and not status.reason.startswith("bind-refused"):
                self._tell(account, kind, link, reached.peer, status.reason)
            return _Ended(status.reason, connected=True)
        lived = self._clock() - status.bound_at >= LIVED * 1_000
        return _Ended(status.reason, connected=True, lived=lived)

    # Steps.

    def _pause(self, dial: Dial, failures: int) -> float:
        doublings = min(failures - 1, 32)  # beyond any longest_pause
        pause = min(dial.shortest_pause * 2.0**doublings, dial.longest_pause)
        return pause * self._rng.uniform(0.5, 1)

    def _say(self, account: Account, slot: _Slot, host: str, ended: "_Ended", pause: float) -> None:
        _log.warning(
            "dial.again" if ended.lived else "dial.failed",
            account=account.name,
            carrier=account.carrier or account.name,
            kind=slot[0],
            number=slot[1],
            host=host,
            reason=ended.reason,
            next_in=round(pause, 1),
        )

    def _tell(self, account: Account, kind: BindKind, link: str, peer: str, reason: str) -> None:
        """Have the gate keep why a bind came to nothing."""
        refused = Refused(
            at=self._clock(),
            link=link,
            account=account.name,
            peer=peer,
            command=f"bind_{kind}",
            status=0,
            reason=f"we could not bind: {reason}",
        )
        self._gate.refused([refused])


class _Ended(Struct, frozen=True):
    """How an attempt ended."""

    reason: str
    connected: bool = False
    lived: bool = False


class _Keeper:
    """What is known of the task that keeps one link up."""

    def __init__(self) -> None:
        self.wanted = True
        self.changed = False
        """Whether it is to dial anew, by what holds now."""
        self.connection: Connection | None = None
        self.terms: tuple[object, ...] | None = None
        """What the connection was made by."""
        self.seen: tuple[Dial, str] | None = None
        """Dial and system_id that the task goes by while there is none."""
        self.waiting = trio.CancelScope()
        """What to cancel where there is no connection: a dialling, or a pause."""

    def stop(self, reason: str) -> None:
        """Want it no more."""
        self.wanted = False
        self._part(reason)

    def want(self, account: Account | None) -> None:
        """Want it, by what the account says now: dial anew if it is made by something else."""
        dial = account.dial if account is not None else None
        if account is None or dial is None:
            return
        self.changed = self.changed or not self.wanted  # it may be parting already
        self.wanted = True
        if self.connection is None:
            if self.seen != (dial, account.system_id):
                self.changed = True
                self.waiting.cancel()
        elif self.terms not in [_terms(account, host) for host in dial.hosts]:
            self.changed = True
            self._part("dial-changed")
        else:
            self.connection.refresh()

    def _part(self, reason: str) -> None:
        if self.connection is None:
            self.waiting.cancel()
        else:
            self.connection.unbind(reason)


def _slots(account: Account | None) -> list[_Slot]:
    """Return the links an account wants us to dial."""
    if account is None or account.dial is None or not account.dial.hosts:
        return []
    return [(kind, number) for kind in account.dial.binds for number in range(account.dial.links)]


def _terms(account: Account, host: str) -> tuple[object, ...]:
    """Return all that a link to a host is made by."""
    dial = account.dial
    assert dial is not None  # a link was dialled by it
    return (
        host,
        dial.system_id or account.system_id,
        dial.password,
        dial.system_type,
        dial.version,
        dial.address_range,
        dial.tls,
        dial.tls_ca,
        dial.tls_certificate,
    )
