"""The timers of a link (SMPP 3.4 §7.2, and one more), as one question: what now?

Time is ``now``, seconds of any clock that only goes forward. Nothing here sleeps: whoever drives
the link sleeps until :meth:`LinkTimers.next_deadline` and then asks :meth:`LinkTimers.check`.
A deadline that traffic has moved meanwhile makes for one idle wake-up, never for a wrong verdict.

What restarts which timer:

=============  =====================================  ========================================
timer          runs                                   is restarted by
=============  =====================================  ========================================
session_init   from connect until bound, and anew     nothing
               from a bind of ours until its answer
enquire_link   while bound and no question is open    any PDU of the peer
response       while a question of ours is open       any PDU of the peer answers enquire_link
                                                      (we asked whether it is there); only its
                                                      own answer answers unbind
inactivity     while bound                            any PDU of the peer but enquire_link and
                                                      answers
wind-down      from the wish to part until the last   nothing; its length is ``response``
               open arrival is answered
pdu            while a PDU has begun and not ended    the beginning of another one
=============  =====================================  ========================================

A timer of 0 never runs, but for those of what we asked for ourselves: a bind, an unbind and the
wind-down before it are waited for at most :data:`PATIENCE` seconds then, because nothing else
would end the link.
"""

from typing import Literal

from msgspec import Struct

from smsc.config import Timers

PATIENCE = 10.0
"""Seconds we wait for what we asked for, where its timer is switched off."""

Expiry = Literal[
    "session-init-timeout",
    "bind-timeout",
    "enquire-link-timeout",
    "unbind-timeout",
    "wind-down-timeout",
    "slow-pdu",
    "inactivity",
]
"""Which timer ran out."""


class Keep(Struct, frozen=True):
    """Nothing is due."""


class AskPeer(Struct, frozen=True):
    """Send an enquire_link."""


class Stop(Struct, frozen=True):
    """End the link; for ``inactivity`` unbind it, for ``slow-pdu`` answer what is open first."""

    reason: Expiry


TimerVerdict = Keep | AskPeer | Stop

KEEP = Keep()
ASK_PEER = AskPeer()

_Phase = Literal["init", "asking", "bound", "winding-down", "unbinding", "over"]


class LinkTimers:
    """When a link must ask, part or give up."""

    __slots__ = (
        "_active_at",
        "_asked_at",
        "_begun_at",
        "_heard_at",
        "_options",
        "_phase",
        "_since",
    )

    def __init__(self, options: Timers, now: float) -> None:
        self._options = options
        self._phase: _Phase = "init"
        self._since = now  # when the phase began
        self._heard_at = now
        self._active_at = now
        self._asked_at: float | None = None
        self._begun_at: float | None = None  # a PDU that has not ended

    def heard(self, now: float) -> None:
        """Note a PDU of the peer; an open enquire_link is thereby answered."""
        self._heard_at = now
        self._asked_at = None

    def worked(self, now: float) -> None:
        """Note a PDU that counts as activity. Call :meth:`heard` as well."""
        self._active_at = now

    def asked(self, now: float) -> None:
        """Note that an enquire_link was sent."""
        if self._asked_at is None:
            self._asked_at = now

    def in_pieces(self, *, begun: bool, now: float) -> None:
        """Note that a PDU has begun and not ended, or that none has."""
        self._begun_at = now if begun else None

    def asking_to_bind(self, now: float) -> None:
        """Bound the wait for the answer to our bind."""
        self._enter("asking", now)

    def bound(self, now: float) -> None:
        """Leave session initiation behind."""
        self._enter("bound", now)
        self._heard_at = self._active_at = now

    def winding_down(self, now: float) -> None:
        """Bound the wait for arrivals that are not answered yet."""
        self._enter("winding-down", now)

    def unbinding(self, now: float) -> None:
        """Bound the wait for the answer to our unbind."""
        self._enter("unbinding", now)

    def over(self) -> None:
        """Stop everything."""
        self._phase = "over"

    def next_deadline(self) -> float | None:
        """Return when :meth:`check` is worth calling again; None for never."""
        due = [at for at, _ in self._pending()]
        return min(due) if due else None

    def check(self, now: float) -> TimerVerdict:
        """Say what is due at ``now``: of several expired timers, the one that ran out first."""
        expired = [(at, verdict) for at, verdict in self._pending() if at <= now]
        return min(expired, key=lambda each: each[0])[1] if expired else KEEP

    def _enter(self, phase: _Phase, now: float) -> None:
        self._phase = phase
        self._since = now

    def _pending(self) -> list[tuple[float, TimerVerdict]]:
        """Every running timer: when it runs out, and what then. A timer of 0 never runs."""
        options = self._options
        running: list[tuple[float, float, TimerVerdict]] = []
        if self._begun_at is not None and self._phase != "over":
            running.append((self._begun_at, options.pdu, Stop("slow-pdu")))
        match self._phase:
            case "init":
                running.append((self._since, options.session_init, Stop("session-init-timeout")))
            case "asking":
                patience = options.session_init or PATIENCE
                running.append((self._since, patience, Stop("bind-timeout")))
            case "bound":
                # First, so that it wins a tie: nobody is asked who is about to be unbound.
                running.append((self._active_at, options.inactivity, Stop("inactivity")))
                if self._asked_at is None:
                    running.append((self._heard_at, options.enquire_link, ASK_PEER))
                else:
                    running.append((self._asked_at, options.response, Stop("enquire-link-timeout")))
            case "winding-down":
                patience = options.response or PATIENCE
                running.append((self._since, patience, Stop("wind-down-timeout")))
            case "unbinding":
                patience = options.response or PATIENCE
                running.append((self._since, patience, Stop("unbind-timeout")))
            case "over":
                pass
        return [(start + length, verdict) for start, length, verdict in running if length > 0]
