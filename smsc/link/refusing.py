"""What a peer was refused, in words: for the engineer who is asked why."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from smsc.inbox import BindRequest, BindVerdict, Refused
from smsc.link.answers import REFUSALS
from smsc.link.phases import Phase
from smsc.message import Millis, VerdictKind
from smsc.status import LinkStatus
from smsc.wire.spec import BINDS, COMMAND_NAMES, CommandId, Status

RAW: Final = 4_096
"""Octets of a PDU that are told."""

KEPT: Final = 20
"""Refusals a session remembers until they are fetched; further ones are only counted."""

VERDICTS: Final = {
    VerdictKind.THROTTLED: "too many arrivals wait to be stored",
    VerdictKind.FULL: "the store's disk is nearly full",
    VerdictKind.UNAVAILABLE: "the store did not answer in time, or is away",
}
"""Why an arrival was refused that the link itself had nothing against."""

_PHASES: Final = {
    Phase.OPEN: "before a bind",
    Phase.BINDING: "while a bind awaits its answer",
    Phase.OUTBOUND: "before our bind",
    Phase.ASKING: "before our bind is answered",
    Phase.BOUND: "on a bound link",
    Phase.LEAVING: "after we began to unbind",
    Phase.UNBINDING: "after our unbind",
    Phase.LEFT: "after the peer began to leave",
    Phase.CLOSED: "after the end of the link",
}

_CREDENTIALS: Final = frozenset({*map(int, BINDS), int(CommandId.outbind)})


class Refusing(Struct, frozen=True, gc=False):
    """One request that was answered with an error."""

    command: int
    status: int
    sequence: int
    reason: str


class Refusals:
    """Those of one session that nobody has fetched yet; at most :data:`KEPT`."""

    __slots__ = ("_kept", "_more")

    def __init__(self) -> None:
        self._kept: list[Refusing] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def note(self, command: int, status: int, sequence: int, reason: str) -> None:
        """Remember one."""
        if len(self._kept) < KEPT:
            self._kept.append(Refusing(command, status, sequence, reason))
        else:
            self._more += 1

    def fetch(self) -> tuple[list[Refusing], int]:
        """Return them, once, and how many there were besides."""
        fetched = self._kept, self._more
        self._kept, self._more = [], 0
        return fetched


def by_phase(phase: Phase, command: int, status: int) -> str:
    """Say why a request that could be read was refused where the session stood."""
    if status == Status.ESME_RINVCMDID:
        known = command in COMMAND_NAMES
        return "this command is not for us" if known else "an unknown command"
    if phase is Phase.BOUND and status not in (Status.ESME_RINVBNDSTS, Status.ESME_RALYBND):
        # Queries, replacements, broadcasts: the status is that of the operation, failed.
        return "this gateway takes messages in; it has none to query, change or send on"
    return f"not allowed {_PHASES[phase]}"


def by_admission(in_flight: int, window: int, rate: float) -> str:
    """Say why one more arrival was not taken in."""
    if in_flight >= window:
        return f"{in_flight} requests are unanswered; the account's window is {window}"
    return f"above the account's rate of {rate:g} a second"


def told(
    refusals: Sequence[Refusing], frames: Sequence[bytes], link: LinkStatus, at: Millis
) -> list[Refused]:
    """Return refusals as the gate hears of them, with the PDUs that are among ``frames``."""
    return [
        Refused(
            at=at,
            link=link.link,
            account=link.account,
            peer=link.peer,
            command=COMMAND_NAMES.get(each.command) or f"{each.command:08x}",
            status=each.status,
            reason=each.reason,
            raw=_raw(each, frames),
        )
        for each in refusals
        if each.reason  # a bind that the gate refused is told with who asked: see bind_told
    ]


def bind_told(request: BindRequest, verdict: BindVerdict, at: Millis) -> Refused:
    """Return a refused bind, or outbind, as the gate hears of it. It holds no password."""
    status = REFUSALS[verdict.refusal or "unavailable"]
    return Refused(
        at=at,
        link=request.link,
        system_id=request.system_id,
        peer=request.peer,
        command="outbind" if request.outbind else f"bind_{request.kind}",
        status=0 if request.outbind else status,  # an outbind has no answer
        reason=verdict.detail or (verdict.refusal or "unavailable").replace("-", " "),
    )


def turned_away_told(link: str, peer: str, local: str, detail: str, at: Millis) -> Refused:
    """Return a connection that never came to speak SMPP, as the gate hears of it.

    Whose it was nobody knows: a stranger's. It has no answer that a carrier could show us.
    """
    return Refused(
        at=at,
        link=link,
        peer=peer,
        command="connect",
        status=0,
        reason=f"turned away at {local}: {detail}",
    )


def our_bind_told(reason: str, link: LinkStatus, at: Millis) -> Refused:
    """Return a bind of ours that the carrier refused, as the gate hears of it."""
    return Refused(
        at=at,
        link=link.link,
        account=link.account,
        peer=link.peer,
        command=f"bind_{link.kind}",
        status=0,  # it is the peer's answer, not ours: the reason names it
        reason=f"the carrier refused our bind: {reason}",
    )


def _raw(refusing: Refusing, frames: Sequence[bytes]) -> bytes:
    if refusing.command in _CREDENTIALS:
        return b""
    head = refusing.command.to_bytes(4, "big")
    number = refusing.sequence.to_bytes(4, "big")
    found = (each for each in frames if each[4:8] == head and each[12:16] == number)
    return next(found, b"")[:RAW]
