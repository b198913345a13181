"""The SMPP session of one link, without the link: PDUs and times in, events and octets out.

Our role
    The carrier dials us, binds like an ESME, and sends messages *towards* us: ``deliver_sm``, and
    from some carriers ``submit_sm`` or ``data_sm``. That is the reverse of the direction SMPP 3.4
    §2.2 draws, and a deviation we name in :mod:`smsc.wire.spec`. Both sides may ask: we send
    ``enquire_link`` and ``unbind``, numbered by us, matched by their sequence_number.

States

.. code-block:: text

    OPEN ──bind──▶ BINDING ──verdict yes──▶ BOUND ──unbind(reason)──▶ LEAVING ──▶ UNBINDING
                       │ no                   │                     open arrivals      │ our unbind
                       │                      │ peer: unbind, end   answered first     │ is out
                       │                      ▼ of stream, framing lost                │
                       ▼                    LEFT ◀──── the same, from LEAVING          │
                     CLOSED ◀──────────────── open arrivals answered first             │
                       ▲                                                               │
                       └──────── unbind_resp, or the peer's own unbind, or any end ────┘

    :func:`reaction` is the whole state × command matrix; the tests walk it.

One answer each
    Every framed request gets exactly one answer, with its own sequence_number: at once, or (for
    a bind and for arrivals) when its verdict comes. The number is any 32-bit value and means
    nothing to us: an arrival is known by its *place* on the link, so a number that is repeated in
    flight is simply another PDU. ``outbind`` and ``alert_notification`` have no response in the
    specification; they are answered (by generic_nack) only where they are refused. Responses are
    never answered, whatever is wrong with them: two peers could go on for ever.

Parting
    Whoever wishes to part, arrivals whose verdicts are still out are answered first; meanwhile
    new ones are refused (with a temporary error when the wish was ours: the peer did no wrong).
    That wait is bounded by the response timer. Then the farewell: our ``unbind``, the
    ``unbind_resp`` the peer waits for, or just the end. A verdict that comes after the end is not
    sent, and its place stays among :meth:`Session.unanswered`. Only when an unbind was answered
    and no place is unanswered may the link's end be called clean (:attr:`Session.parted`).

    Octets that were pulled but not confirmed by :meth:`Session.sent` count as never written: a
    peer whose connection broke in the middle of a write must be expected to send again. So must
    one whose stream has ended: it is answered on the chance that it only closed its own side, but
    a write the kernel takes proves nothing any more, and confirms no place.

Bounds
    Open arrivals: the account's window. Unsent octets: nothing is dropped here, the driver stops
    reading above its limit (:attr:`Session.unsent`). Our own open requests: one enquire_link and
    one unbind. Everything else is counters.

Nothing here reads a clock; times are remembered by :class:`smsc.link.timers.LinkTimers` only.
"""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from smsc.config import Account, BindKind, Listener
from smsc.content.reading import as_wanted
from smsc.inbox import BindVerdict
from smsc.link import answers
from smsc.link.limits import Admission
from smsc.link.timers import AskPeer, Keep, LinkTimers
from smsc.message import Verdict, VerdictKind
from smsc.status import LinkState
from smsc.wire.errors import WireError
from smsc.wire.pdu import Pdu, Undecodable, encode
from smsc.wire.spec import (
    ARRIVALS,
    RESPONSE_BIT,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CommandId,
    EnquireLink,
    Outbind,
    Status,
    Unbind,
    refusal,
)
from smsc.wire.spec import LinkState as Rights


class Phase(Enum):
    """Where a session stands. See the drawing above."""

    OPEN = auto()
    BINDING = auto()
    """A bind was asked for; the verdict is awaited."""
    BOUND = auto()
    LEAVING = auto()
    """We wish to part; open arrivals are answered before our unbind goes out."""
    UNBINDING = auto()
    """Our unbind is out; its answer is awaited."""
    LEFT = auto()
    """The peer parts, or can't be understood any more; open arrivals are answered, then the end."""
    CLOSED = auto()
    """Nothing more to do but write what is unsent and close."""


_STATES: Final[dict[Phase, LinkState]] = {
    Phase.OPEN: "open",
    Phase.BINDING: "open",
    Phase.BOUND: "bound",
    Phase.LEAVING: "unbinding",
    Phase.UNBINDING: "unbinding",
    Phase.LEFT: "unbinding",
    Phase.CLOSED: "closed",
}

_RIGHTS: Final[dict[Phase, Rights]] = {
    Phase.OPEN: Rights.OPEN,
    Phase.BINDING: Rights.OPEN,
    Phase.BOUND: Rights.BOUND_TRX,  # all three kinds of bind have the same rights towards us
    Phase.LEAVING: Rights.UNBINDING,
    Phase.UNBINDING: Rights.UNBINDING,
    Phase.LEFT: Rights.UNBINDING,
    Phase.CLOSED: Rights.CLOSED,
}

_BIND_KINDS: Final[dict[int, BindKind]] = {
    CommandId.bind_receiver: "receiver",
    CommandId.bind_transmitter: "transmitter",
    CommandId.bind_transceiver: "transceiver",
}

_LAST_SEQUENCE: Final = 0x7FFFFFFF  # of our own requests (SMPP 3.4 §3.2)

# Plain integers and members: looking one up on an enum class costs more than the comparison.
_MESSAGES: Final = frozenset(int(command) for command in ARRIVALS)
_ENQUIRE_LINK: Final = int(CommandId.enquire_link)
_UNBIND: Final = int(CommandId.unbind)
_GENERIC_NACK: Final = int(CommandId.generic_nack)
_BOUND: Final = Phase.BOUND
_CLOSED: Final = Phase.CLOSED
_STORED: Final = VerdictKind.STORED


def reaction(phase: Phase, command: int) -> Status | None:
    """Return the status a request is refused with in a phase; None where it is welcome.

    The matrix of :mod:`smsc.wire.spec`, with what only a session knows beside it.
    """
    status = refusal(_RIGHTS[phase], command)
    if phase is Phase.BINDING and status is None and command != _ENQUIRE_LINK:
        return Status.ESME_RINVBNDSTS
    if phase is Phase.LEFT and command == _UNBIND:
        return Status.ESME_RINVBNDSTS  # its first unbind is the one that is answered
    if phase in (Phase.LEAVING, Phase.UNBINDING) and command in _MESSAGES:
        return Status.ESME_RX_T_APPN  # the wish to part is ours; the peer did no wrong
    return status


class Arrived(Struct, frozen=True, gc=False):
    """A message PDU was taken in: give its verdict to :meth:`Session.answer`."""

    place: int
    """Its place among the link's arrivals, counted from 1."""
    pdu: Pdu | Undecodable
    """Undecodable where the account wants such a one kept rather than refused."""


class BindAsked(Struct, frozen=True):
    """The peer wants to bind: give the verdict to :meth:`Session.answer_bind`."""

    kind: BindKind
    system_id: str
    password: str
    system_type: str
    version: int

    def __repr__(self) -> str:
        return f"BindAsked({self.kind}, system_id={self.system_id!r})"


class OutbindAsked(Struct, frozen=True):
    """The peer wants us to bind to it on this link (SMPP 3.4 §4.1.7). It has no answer."""

    system_id: str
    password: str

    def __repr__(self) -> str:
        return f"OutbindAsked(system_id={self.system_id!r})"


Event = Arrived | BindAsked | OutbindAsked


class Session:
    """One session with a carrier that dialled us.

    Give it what was decoded (:meth:`receive`), the verdicts (:meth:`answer_bind`,
    :meth:`answer`), the passing of time (:meth:`tick`, by :meth:`next_deadline`) and what befalls
    the stream (:meth:`framing_lost`, :meth:`end_of_stream`, :meth:`stop`). After any of these
    pull the octets (:meth:`data_to_send`) and, once written, say so (:meth:`sent`). When
    :attr:`closed` is set, write what is left and close.
    """

    __slots__ = (
        "_admission",
        "_answered",
        "_bind",
        "_completed",
        "_deaf",
        "_enquiry",
        "_farewell",
        "_in_transit",
        "_open",
        "_out",
        "_phase",
        "_queued",
        "_requests",
        "_sequence",
        "_system_id",
        "_timers",
        "_transit",
        "account",
        "arrivals",
        "errors",
        "kind",
        "reason",
        "throttled",
        "unsolicited",
        "version",
    )

    def __init__(self, listener: Listener, now: float) -> None:
        self._system_id = listener.system_id
        self._timers = LinkTimers(listener.timers, now)
        self._phase = Phase.OPEN
        self._admission: Admission | None = None
        self._bind: tuple[int, int] | None = None  # command_id, sequence_number, unanswered
        self._open: dict[int, tuple[int, int]] = {}  # place → command_id, sequence_number
        self._requests: dict[int, int] = {}  # our sequence_number → command_id
        self._enquiry = 0  # sequence_number of our latest enquire_link
        self._sequence = 0
        self._farewell: bytes = b""  # what LEFT ends with
        self._completed = False
        self._deaf = False  # the peer's side has ended: what is written may never be read
        self._out: list[bytes] = []
        self._queued = 0  # octets in _out
        self._in_transit = 0  # octets pulled, not confirmed
        self._answered: list[int] = []  # places answered in _out
        self._transit: list[int] = []  # places answered in what was pulled
        self.account: Account | None = None
        """The bound account, with its options as they were last seen; None before a bind."""
        self.kind: BindKind | None = None
        """Of the latest bind asked for."""
        self.version = 0
        """interface_version of that bind."""
        self.arrivals = 0
        """Arrivals taken in so far: the last place given."""
        self.throttled = 0
        """Messages answered RTHROTTLED, by us or by verdict."""
        self.errors = 0
        """PDUs answered with another error, or by generic_nack."""
        self.unsolicited = 0
        """Responses and generic_nacks that matched nothing of ours; they are ignored."""
        self.reason = ""
        """Why the link parts, in words; empty while nobody wishes to."""

    # What stands.

    @property
    def phase(self) -> Phase:
        """Where the session stands."""
        return self._phase

    @property
    def state(self) -> LinkState:
        """The same, as a link's status shows it."""
        return _STATES[self._phase]

    @property
    def closed(self) -> bool:
        """Whether only writing and closing are left to do."""
        return self._phase is _CLOSED

    @property
    def window(self) -> int:
        """Arrivals whose verdict is out."""
        return len(self._open)

    @property
    def unsent(self) -> int:
        """Octets not yet confirmed as written."""
        return self._queued + self._in_transit

    @property
    def parted(self) -> bool:
        """Whether the link ended as it should: an unbind completed, nothing unanswered."""
        return self._completed and not self.unsent and not self.unanswered()

    def unanswered(self) -> tuple[int, ...]:
        """Return the places whose answers were not confirmed as written, in order."""
        return tuple(sorted([*self._open, *self._answered, *self._transit]))

    def answered_up_to(self) -> int:
        """Return the place up to which every answer was confirmed as written."""
        first = min((*self._open, *self._answered, *self._transit), default=self.arrivals + 1)
        return first - 1

    # What the peer does.

    def receive(self, pdu: Pdu | Undecodable, now: float) -> Event | None:
        """Take one PDU in; at most one event comes of it."""
        timers = self._timers
        timers.heard(now)
        command = pdu.command_id
        if command & RESPONSE_BIT:
            self._match(command, pdu.sequence_number)
            return None
        if command != _ENQUIRE_LINK:
            timers.worked(now)
        if type(pdu) is Pdu and pdu.flags:
            pdu = as_wanted(pdu, self.account)
        if type(pdu) is Undecodable:
            if self._is_kept(pdu):
                return self._take(pdu, now)
            self._refuse_undecodable(pdu, now)
            return None
        assert type(pdu) is Pdu
        if self._phase is _BOUND and command in _MESSAGES:
            return self._take(pdu, now)
        status = reaction(self._phase, command)
        if status is not None:
            self._refuse(command, status, pdu.sequence_number)
            return None
        return self._welcome(pdu, now)

    def framing_lost(self, error: WireError, now: float) -> None:
        """Answer that the octets can't be cut into PDUs any more, and part (SMPP 3.4 §4.3.1)."""
        if self._phase in (Phase.LEFT, Phase.CLOSED):
            return
        self._put(answers.framing_lost(error.status))
        self.errors += 1
        self._peer_left("framing-lost", now)

    def end_of_stream(self, now: float) -> None:
        """Note that the peer sends no more. What is open is still answered: it may yet read."""
        self._deaf = True
        if self._phase not in (Phase.LEFT, Phase.CLOSED):
            self._peer_left("closed-by-peer", now)

    def stop(self, reason: str) -> None:
        """End at once: the stream broke, or a deadline passed. Open arrivals stay unanswered."""
        self._close(reason)

    # What we do.

    def answer_bind(self, verdict: BindVerdict, now: float) -> None:
        """Answer the bind that was asked for. A refused one ends the link.

        Does nothing if the link has ended meanwhile.
        """
        if self._bind is None or self.kind is None:
            return
        _, sequence = self._bind
        if verdict.account is None:
            refusal_ = verdict.refusal or "unavailable"
            self._refuse_bind(answers.REFUSALS[refusal_])
            self._close(f"bind-refused: {refusal_}")
            return
        self._bind = None
        self._put(answers.bound(self.kind, self.version, self._system_id, sequence))
        self.account = verdict.account
        self._admission = Admission(verdict.account, now)
        self._phase = Phase.BOUND
        self._timers.bound(now)

    def answer(self, place: int, verdict: Verdict, now: float) -> None:
        """Answer the arrival at ``place``. After the end of the link this does nothing.

        Raises KeyError for a place that is not open: answering twice is a bug.
        """
        if self._phase is _CLOSED:
            return
        command, sequence = self._open.pop(place)
        octets = answers.verdict_told(command, verdict, sequence)
        self._out.append(octets)
        self._queued += len(octets)
        self._answered.append(place)
        if verdict.kind is not _STORED:
            self._count(answers.VERDICTS[verdict.kind])
        if not self._open and self._phase is not _BOUND:
            self._say_farewell(now)

    def follow(self, account: Account | None, now: float) -> None:
        """Hold to the account's options as they are now; unbind if there is no such account."""
        if account is None:
            self.unbind("account-removed", now)
        elif account is not self.account and self._admission is not None:
            self.account = account
            self._admission.follow(account, now)

    def enquire(self, now: float) -> None:
        """Ask the peer whether it is there, if bound.

        Only one question is open at a time: an older one that mere traffic answered is given up.
        """
        if self._phase is _BOUND:
            self._requests.pop(self._enquiry, None)
            self._enquiry = self._request(EnquireLink(), CommandId.enquire_link)
            self._timers.asked(now)

    def unbind(self, reason: str, now: float) -> None:
        """Part from the peer: answer what is open, unbind, await its answer.

        A link that is not bound just ends; a bind that is pending is answered RSYSERR.
        Does nothing if the link is parting already.
        """
        if self._phase is _BOUND:
            self.reason = reason
            self._phase = Phase.LEAVING
            self._timers.winding_down(now)
            if not self._open:
                self._say_farewell(now)
        elif self._phase in (Phase.OPEN, Phase.BINDING):
            self._close(reason)

    # Time.

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`; None for never. Any call may move it, either way."""
        return self._timers.next_deadline()

    def tick(self, now: float) -> None:
        """Do what is due: ask, unbind, or give the peer up."""
        verdict = self._timers.check(now)
        if isinstance(verdict, Keep):
            return
        if isinstance(verdict, AskPeer):
            self.enquire(now)
        elif verdict.reason == "inactivity":
            self.unbind("inactivity", now)
        elif verdict.reason == "wind-down-timeout":
            self._say_farewell(now)
        else:
            self._close(verdict.reason)

    # Octets.

    def data_to_send(self) -> bytes:
        """Return all that is to be written, once. Confirm it by :meth:`sent`."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._in_transit += self._queued
        self._queued = 0
        self._transit += self._answered
        self._answered = []
        return data

    def sent(self) -> None:
        """Confirm that everything pulled so far has been written."""
        self._in_transit = 0
        if not self._deaf:
            self._transit = []

    # Inside.

    def _is_kept(self, pdu: Undecodable) -> bool:
        """Whether a PDU that can't be read is taken in all the same, as the octets it is."""
        account = self.account
        return (
            self._phase is _BOUND
            and pdu.command_id in _MESSAGES
            and pdu.error.consequence == "answer"
            and account is not None
            and account.unreadable == "accept"
        )

    def _take(self, pdu: Pdu | Undecodable, now: float) -> Arrived | None:
        admission = self._admission
        if admission is None or not admission.admit(len(self._open), now):
            self._refuse(pdu.command_id, Status.ESME_RTHROTTLED, pdu.sequence_number)
            return None
        self.arrivals = place = self.arrivals + 1
        self._open[place] = (pdu.command_id, pdu.sequence_number)
        return Arrived(place, pdu)

    def _welcome(self, pdu: Pdu, now: float) -> Event | None:
        """Do what a request asks for that is not a message, and not refused."""
        match pdu.body:
            case BindReceiver() | BindTransmitter() | BindTransceiver() as bind:
                self._phase = Phase.BINDING
                self._bind = (pdu.command_id, pdu.sequence_number)
                self.kind = kind = _BIND_KINDS[pdu.command_id]
                self.version = version = bind.interface_version
                return BindAsked(kind, bind.system_id, bind.password, bind.system_type, version)
            case Outbind() as outbind:
                return OutbindAsked(outbind.system_id, outbind.password)
        # From here on bodies are empty by definition, and whatever came as one does no harm.
        if pdu.command_id == _ENQUIRE_LINK:
            self._put(answers.refused(_ENQUIRE_LINK, Status.ESME_ROK, pdu.sequence_number))
        elif pdu.command_id == _UNBIND:
            unbind_resp = answers.refused(_UNBIND, Status.ESME_ROK, pdu.sequence_number)
            if self._phase is Phase.UNBINDING:  # they crossed: theirs stands for the answer to ours
                self._put(unbind_resp)
                self._completed = True
                self._close(self.reason)
            else:
                self._farewell = unbind_resp
                self._peer_left("unbound-by-peer", now)
        return None

    def _refuse_undecodable(self, pdu: Undecodable, now: float) -> None:
        if pdu.error.consequence == "close":
            self.framing_lost(pdu.error, now)
            return
        # In a wrong state the state is what is wrong, readable or not.
        status = reaction(self._phase, pdu.command_id) or pdu.error.status
        self._refuse(pdu.command_id, status, pdu.sequence_number)

    def _match(self, command: int, sequence: int) -> None:
        """Match a response with the request of ours it answers."""
        ours = self._requests.get(sequence)
        if ours is None or command not in (ours | RESPONSE_BIT, _GENERIC_NACK):
            self.unsolicited += 1
            return
        del self._requests[sequence]
        if ours == _UNBIND:
            # A generic_nack ends the link as well, but not as an unbind that was understood.
            self._completed = command != _GENERIC_NACK
            self._close(self.reason)

    def _peer_left(self, reason: str, now: float) -> None:
        """Go to LEFT, and on to CLOSED if nothing is open."""
        if self._phase is _BOUND:
            self._timers.winding_down(now)
        elif self._phase is not Phase.LEAVING:
            self._close(reason)
            return
        # In LEAVING the wind-down runs already, and the reason is ours.
        self.reason = self.reason or reason
        self._phase = Phase.LEFT
        if not self._open:
            self._say_farewell(now)

    def _say_farewell(self, now: float) -> None:
        """End the wind-down: nothing is open, or its bound has passed."""
        if self._phase is Phase.LEAVING:
            self._phase = Phase.UNBINDING
            self._request(Unbind(), CommandId.unbind)
            self._timers.unbinding(now)
        elif self._phase is Phase.LEFT:
            if self._farewell:
                self._put(self._farewell)
                self._completed = True
            self._close(self.reason)

    def _close(self, reason: str) -> None:
        if self._phase is _CLOSED:
            return
        self._refuse_bind()
        self.reason = self.reason or reason
        self._phase = _CLOSED
        self._timers.over()

    def _refuse_bind(self, status: int = Status.ESME_RSYSERR) -> None:
        """Answer a pending bind with no, if there is one."""
        if self._bind is not None:
            command, sequence = self._bind
            self._bind = None
            self._refuse(command, status, sequence)

    def _request(self, body: EnquireLink | Unbind, command: CommandId) -> int:
        """Send a request of ours under a number that none of ours in flight has."""
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        while self._sequence in self._requests:
            self._sequence = self._sequence % _LAST_SEQUENCE + 1
        self._requests[self._sequence] = int(command)
        self._put(encode(Pdu(command, Status.ESME_ROK, self._sequence, body)))
        return self._sequence

    def _refuse(self, command: int, status: int, sequence: int) -> None:
        self._put(answers.refused(command, status, sequence))
        self._count(status)

    def _count(self, status: int) -> None:
        if status == Status.ESME_RTHROTTLED:
            self.throttled += 1
        elif status:
            self.errors += 1

    def _put(self, octets: bytes) -> None:
        self._out.append(octets)
        self._queued += len(octets)
