"""What is known of a link beside its session, and what the log is told of it."""

from collections.abc import Callable

import structlog
from structlog.typing import FilteringBoundLogger

from smsc.config import Account
from smsc.inbox import BindRequest, BindVerdict
from smsc.link.door import recognised
from smsc.link.session import Session
from smsc.message import Millis
from smsc.status import LinkStatus

_log: FilteringBoundLogger = structlog.get_logger()


class Facts:
    """Who is at the other end of one link, when what happened, and how much went over it.

    Whoever drives the link keeps them; ``clock`` is the time of day.
    """

    __slots__ = (
        "alive_at",
        "bound_at",
        "clock",
        "enquired_at",
        "link",
        "local",
        "octets_in",
        "octets_out",
        "opened_at",
        "pdus",
        "peer",
        "tls",
    )

    def __init__(
        self, link: str, peer: str, local: str, tls: str, clock: Callable[[], Millis]
    ) -> None:
        self.link = link
        self.peer = peer
        self.local = local
        self.tls = tls
        self.clock = clock
        self.opened_at = self.alive_at = clock()
        self.bound_at: Millis | None = None
        self.enquired_at: Millis | None = None
        self.pdus = 0
        self.octets_in = 0
        self.octets_out = 0

    def status(
        self, session: Session, account: Account | None = None, *, recording: bool = False
    ) -> LinkStatus:
        """Return the link as it is now; ``account`` is whose it is to be, while none is bound."""
        account = session.account or account
        return LinkStatus(
            link=self.link,
            account=account.name if account else "",
            carrier=(account.carrier or account.name) if account else "",
            peer=self.peer,
            local=self.local,
            state=session.state,
            kind=session.kind or "",
            version=session.version,
            opened_at=self.opened_at,
            bound_at=self.bound_at,
            at=self.clock(),
            alive_at=self.alive_at,
            direction=session.direction,
            tls=self.tls,
            enquired_at=self.enquired_at,
            pdus=self.pdus,
            octets_in=self.octets_in,
            octets_out=self.octets_out,
            recording=recording,
            window=session.window,
            arrivals=session.arrivals,
            answered=session.answered_up_to(),
            throttled=session.throttled,
            errors=session.errors,
            reason=session.reason if session.closed else "",
        )


def log_refused_bind(request: BindRequest, verdict: BindVerdict) -> None:
    """Say that a bind, or an outbind, was refused."""
    _log.warning(
        "bind.refused",
        link=request.link,
        peer=request.peer,
        kind=request.kind,
        system_id=request.system_id,
        version=request.version,
        outbind=request.outbind,
        refusal=verdict.refusal,
        detail=verdict.detail,
    )


def log_refused_by_peer(status: LinkStatus, refusal: str) -> None:
    """Say that the peer refused our bind."""
    _log.warning(
        "bind.refused_by_peer",
        link=status.link,
        peer=status.peer,
        account=status.account,
        kind=status.kind,
        version=status.version,
        refusal=refusal,
    )


def log_framing_lost(status: LinkStatus, detail: str, prefix: bytes) -> None:
    """Say that what came can't be cut into PDUs; ``prefix`` is how it begins."""
    _log.warning(
        "framing.lost",
        link=status.link,
        peer=status.peer,
        account=status.account,
        detail=detail,
        looks_like="" if status.account else recognised(prefix),
        octets_in=status.octets_in,
        prefix=prefix.hex(),
    )


def log_end(status: LinkStatus, session: Session) -> None:
    """Say that the link has ended, and all that is known of it: one wide event a link."""
    # A connection that came and went without an octet is a health check: no news.
    (_log.info if status.octets_in else _log.debug)(
        "session.closed",
        link=status.link,
        peer=status.peer,
        account=status.account,
        carrier=status.carrier,
        kind=status.kind,
        version=status.version,
        direction=status.direction,
        reason=status.reason,
        parted=session.parted,
        bound=status.bound_at is not None,
        seconds=(status.at - status.opened_at) / 1000,
        arrivals=status.arrivals,
        answered=status.answered,
        unanswered=len(session.unanswered()),
        throttled=status.throttled,
        errors=status.errors,
        unsolicited=session.unsolicited,
        octets_in=status.octets_in,
        octets_out=status.octets_out,
    )
