"""The ports through which the carrier side hands over what it received.

The carrier side owns these contracts; the bridge implements them.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from smsc.config import Account, BindKind
from smsc.message import Arrival, Millis, Verdict
from smsc.status import LinkStatus


class Inbox(Protocol):
    """Where arrivals go."""

    async def take(self, arrivals: Sequence[Arrival]) -> Sequence[Verdict]:
        """Make arrivals durable and say what became of each, in their order.

        Durable on return: every arrival whose verdict is STORED is committed and synced to
        disk. THROTTLED and FULL ones are not stored. UNAVAILABLE ones may or may not be: they
        are remembered, and a repeat of one that was stored is answered without a second copy.

        Never raises for anything an arrival contains. Always returns within the store's time
        limit (5 s by default), whatever the store does.

        Cancelling the call does not cancel the commit: arrivals already handed over may
        become durable, and their answers are then never written, which :meth:`lost` covers.
        """
        ...

    def lost(self, loss: "LinkLoss") -> None:
        """Say that a link ended without a completed unbind.

        Its recent arrivals become doubtful: a carrier that got no answer sends again. Takes
        effect before any arrival handed to :meth:`take` after this call.
        """
        ...


class LinkLoss(Struct, frozen=True, kw_only=True):
    """What is known of a link's answers at its sudden end."""

    link: str
    account: str
    alive_at: Millis
    """The last sign of life of the peer."""
    unanswered: tuple[int, ...]
    """Places whose answers were never written to the socket."""


class BindRequest(Struct, frozen=True, kw_only=True):
    """A carrier asks to bind. ``repr`` never shows the password."""

    link: str
    peer: str
    """``address:port`` of the carrier."""
    kind: BindKind
    system_id: str
    password: str
    system_type: str = ""
    version: int = 0x34
    tls: str = ""
    """``TLSv1.3`` and the like; empty on a plain connection."""
    certificate: str = ""
    """SHA-256 of the client's certificate in lower-case hexadecimal, where it showed one that
    its listener's authorities vouch for."""
    outbind: bool = False
    """The credentials came in an ``outbind``: the carrier's own, and we are to bind back."""
    patience: float = 10
    """Seconds after which nobody waits for the verdict any more."""

    def __repr__(self) -> str:
        return f"BindRequest({self.kind}, system_id={self.system_id!r}, peer={self.peer!r})"


BindRefusal = Literal[
    "unknown-system-id",
    "wrong-password",
    "address-not-allowed",
    "tls-required",
    "certificate-not-allowed",
    "outbind-not-allowed",
    "kind-not-allowed",
    "disabled",
    "too-many-links",
    "unavailable",
]
"""Why a bind was refused. ``unavailable`` is our own trouble, and temporary."""


class LiveLink(Protocol):
    """A bound link, as who counts links may use it."""

    def status(self) -> LinkStatus:
        """Return the link as it is now."""
        ...

    async def answers(self, seconds: float) -> bool:
        """Ask the peer whether it is there; return whether it said anything within the time.

        The link stays as it is.
        """
        ...

    async def probe(self, seconds: float) -> bool:
        """Ask the peer whether it is there; return whether it said anything within the time.

        A link whose peer stayed silent is closed, and counts as lost, before this returns.
        """
        ...


class BindVerdict(Struct, frozen=True, kw_only=True):
    """Yes with an account, or no with a reason."""

    account: Account | None = None
    refusal: BindRefusal | None = None
    detail: str = ""
    """The reason in words, for our logs only."""


class Refused(Struct, frozen=True, kw_only=True):
    """A request of a peer's that was answered with an error, or a connection or bind that came
    to nothing."""

    at: Millis
    link: str
    account: str = ""
    """Of the bound link; empty before."""
    system_id: str = ""
    """What a bind asked for."""
    peer: str
    command: str
    """As the specification spells it; eight hex digits where it doesn't. ``connect`` for a
    connection that was turned away before any."""
    status: int
    """The command_status of the answer; 0 where there is none."""
    reason: str
    """In words, and without anything a person wrote."""
    raw: bytes = b""
    """The PDU, at most 4 KiB of it; nothing of binds, which hold a password."""


class BindGate(Protocol):
    """Who may bind, and with which options."""

    async def ask(self, request: BindRequest) -> BindVerdict:
        """Decide on a bind. Never raises; cancelling it leaves nothing behind."""
        ...

    def account(self, name: str) -> Account | None:
        """Return the account's options as they are now; None once it is removed or disabled."""
        ...

    def opened(self, link: LiveLink) -> None:
        """Count a link that is now bound."""
        ...

    def closed(self, status: LinkStatus) -> None:
        """Stop counting a link, which has ended however it ended."""
        ...

    def refused(self, refused: Sequence[Refused], more: int = 0) -> None:
        """Hear of what was refused, and of ``more`` that nobody kept. Must be quick."""
        ...
