"""The SMPP session of one link, without the link: PDUs and times in, events and octets out.

Three ways to be connected, one session
    The carrier dials us and binds like an ESME. Or it dials us, sends ``outbind``, and we bind
    back on that connection (SMPP 3.4 §2.2.1, §4.1.7). Or we dial the carrier's SMSC and bind.
    Once bound they are one: the carrier sends messages *towards* us, ``deliver_sm`` or, some of
    them, ``submit_sm`` or ``data_sm`` (in the first way that is the reverse of the direction
    §2.2 draws, a deviation we name in :mod:`smsc.wire.spec`). Both sides may ask: we send
    ``enquire_link``, ``unbind`` and in two of the ways a bind, numbered by us
    (:mod:`smsc.link.requests`).

States
    See the drawing, and the state × command matrix, in :mod:`smsc.link.phases`.

One answer each
    Every framed request gets exactly one answer, with its own sequence_number: at once, or (for
    a bind and for arrivals) when its verdict comes. The number is any 32-bit value and means
    nothing to us: an arrival is known by its *place* on the link, so a number that is repeated in
    flight is simply another PDU. ``outbind`` and ``alert_notification`` have no response in the
    specification; they are answered (by generic_nack) only where they are refused. Responses are
    never answered, whatever is wrong with them: two peers could go on for ever. They are read
    loosely: any status, with or without a body; what matches nothing of ours is counted.

Parting
    Whoever wishes to part, arrivals whose verdicts are still out are answered first; meanwhile
    new ones are refused (with a temporary error when the wish was ours: the peer did no wrong).
    That wait is bounded by the response timer. Then the farewell: our ``unbind``, the
    ``unbind_resp`` the peer waits for, or just the end. A verdict that comes after the end is not
    sent, and its place stays among :meth:`Session.unanswered`. Only when an unbind was answered
    and no place is unanswered may the link's end be called clean (:attr:`Session.parted`).

    Octets that were pulled but not confirmed by :meth:`Session.sent` count as never written. So
    do those to a peer whose stream has ended: it is answered on the chance that it only closed
    its own side, but a write the kernel takes proves nothing any more, and confirms no place.

Bounds
    Open arrivals: the account's window. Unsent octets: nothing is dropped here, the driver stops
    reading above its limit (:attr:`Session.unsent`). Our own open requests: one of each kind.
    Everything else is counters.

Nothing here reads a clock; times are remembered by :class:`smsc.link.timers.LinkTimers` only.
"""

from typing import Final

from smsc.config import Account, BindKind, Listener
from smsc.content.reading import as_wanted
from smsc.inbox import BindVerdict
from smsc.link import answers, refusing
from smsc.link.events import Arrived, BindAnswered, BindAsked, Event, OutbindAsked
from smsc.link.limits import Admission
from smsc.link.outgoing import Outgoing
from smsc.link.phases import STATES, UNBOUND, Phase, reaction
from smsc.link.refusing import Refusals
from smsc.link.requests import Requests
from smsc.link.timers import AskPeer, Keep, LinkTimers
from smsc.message import Verdict, VerdictKind
from smsc.status import LinkDirection, LinkState
from smsc.wire.errors import WireError
from smsc.wire.pdu import Pdu, Undecodable, encode
from smsc.wire.spec import (
    ARRIVALS,
    BINDS,
    RESPONSE_BIT,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    Body,
    CommandId,
    EnquireLink,
    Outbind,
    Status,
    Unbind,
)

_BIND_KINDS: Final[dict[int, BindKind]] = {
    CommandId.bind_receiver: "receiver",
    CommandId.bind_transmitter: "transmitter",
    CommandId.bind_transceiver: "transceiver",
}

# Plain integers and members: looking one up on an enum class costs more than the comparison.
_MESSAGES: Final = frozenset(int(command) for command in ARRIVALS)
_ENQUIRE_LINK: Final = int(CommandId.enquire_link)
_UNBIND: Final = int(CommandId.unbind)
_GENERIC_NACK: Final = int(CommandId.generic_nack)
_BOUND: Final = Phase.BOUND
_CLOSED: Final = Phase.CLOSED
_STORED: Final = VerdictKind.STORED


class Session:
    """One session with a carrier; ``dialled`` where the link is ours.

    Give it what was decoded (:meth:`receive`), the verdicts (:meth:`answer_bind`,
    :meth:`answer_outbind`, :meth:`answer`), the passing of time (:meth:`tick`, by
    :meth:`next_deadline`) and what befalls the stream (:meth:`in_pieces`, :meth:`framing_lost`,
    :meth:`end_of_stream`, :meth:`stop`). After any of these pull the octets
    (:meth:`data_to_send`) and, once written, say so (:meth:`sent`). When :attr:`closed` is set,
    write what is left and close.
    """

    __slots__ = (
        "_admission",
        "_bind",
        "_completed",
        "_deaf",
        "_enquiry",
        "_farewell",
        "_open",
        "_out",
        "_phase",
        "_requests",
        "_system_id",
        "_timers",
        "account",
        "arrivals",
        "direction",
        "errors",
        "kind",
        "reason",
        "refusals",
        "throttled",
        "unsolicited",
        "version",
    )

    def __init__(self, listener: Listener, now: float, *, dialled: bool = False) -> None:
        self._system_id = listener.system_id
        self._timers = LinkTimers(listener.timers, now)
        self._phase = Phase.OUTBOUND if dialled else Phase.OPEN
        self._admission: Admission | None = None
        self._bind: tuple[int, int] | None = None  # command_id, sequence_number, unanswered
        self._open: dict[int, tuple[int, int]] = {}  # place → command_id, sequence_number
        self._requests = Requests()
        self._enquiry = 0  # sequence_number of our latest enquire_link
        self._farewell: bytes = b""  # what LEFT ends with
        self._completed = False
        self._deaf = False  # the peer's side has ended: what is written may never be read
        self._out = Outgoing()
        self.direction: LinkDirection = "dialled" if dialled else "accepted"
        """How the link came about; ``outbind`` once the peer sent one."""
        self.account: Account | None = None
        """The account, with its options as they were last seen: of whom is bound, and where the
        bind is ours of whom we try to bind as. Else None."""
        self.kind: BindKind | None = None
        """Of the latest bind asked for, by either side."""
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
        self.refusals = Refusals()
        """What was answered with an error lately."""

    # What stands.

    @property
    def phase(self) -> Phase:
        """Where the session stands."""
        return self._phase

    @property
    def state(self) -> LinkState:
        """The same, as a link's status shows it."""
        return STATES[self._phase]

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
        return self._out.unsent

    @property
    def parted(self) -> bool:
        """Whether the link ended as it should: an unbind completed, nothing unanswered."""
        return self._completed and not self.unsent and not self.unanswered()

    def unanswered(self) -> tuple[int, ...]:
        """Return the places whose answers were not confirmed as written, in order."""
        return tuple(sorted([*self._open, *self._out.unanswered()]))

    def answered_up_to(self) -> int:
        """Return the place up to which every answer was confirmed as written."""
        first = min((*self._open, *self._out.unanswered()), default=self.arrivals + 1)
        return first - 1

    # What the peer does.

    def receive(self, pdu: Pdu | Undecodable, now: float) -> Event | None:
        """Take one PDU in; at most one event comes of it."""
        timers = self._timers
        timers.heard(now)
        command = pdu.command_id
        if command & RESPONSE_BIT:
            return self._match(pdu, now)
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
            why = refusing.by_phase(self._phase, command, status)
            self._refuse(command, status, pdu.sequence_number, why)
            return None
        return self._welcome(pdu, now)

    def in_pieces(self, *, begun: bool, now: float) -> None:
        """Note whether a PDU has begun to come, and not ended; it has only so long."""
        self._timers.in_pieces(begun=begun, now=now)

    def framing_lost(self, error: WireError, now: float) -> None:
        """Answer that the octets can't be cut into PDUs any more, and part (SMPP 3.4 §4.3.1)."""
        if self._phase in (Phase.LEFT, Phase.CLOSED):
            return
        self._out.put(answers.framing_lost(error.status))
        self.errors += 1
        self.refusals.note(_GENERIC_NACK, error.status, 0, error.detail)
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
        self._out.put(answers.bound(self.kind, self.version, self._system_id, sequence))
        self._become_bound(verdict.account, now)

    def answer_outbind(self, verdict: BindVerdict, now: float) -> None:
        """Bind back as the verdict's account says (the first kind its ``dial`` names), or end.

        Does nothing if the link has ended meanwhile.
        """
        if self._phase is not Phase.OUTBOUND:
            return
        account = verdict.account
        if account is None or not account.outbind or account.dial is None:
            self._close(f"outbind-refused: {verdict.refusal or 'outbind-not-allowed'}")
        else:
            self.bind(account, account.dial.binds[0], now)

    def bind(self, account: Account, kind: BindKind, now: float) -> None:
        """Ask the peer to let us bind, as ``account.dial`` says, where that is on us.

        Does nothing if the link has ended meanwhile. Raises ValueError if there is no ``dial``.
        """
        if account.dial is None:
            raise ValueError(f"account {account.name} does not say how to bind")
        if self._phase is not Phase.OUTBOUND:
            return
        self.account = account
        self.kind = kind
        self.version = account.dial.version
        self._phase = Phase.ASKING
        sequence = self._requests.number(answers.bind_command(kind))
        self._out.put(answers.our_bind(account, account.dial, kind, sequence))
        self._timers.asking_to_bind(now)

    def answer(self, place: int, verdict: Verdict, now: float) -> None:
        """Answer the arrival at ``place``. After the end of the link this does nothing.

        Raises KeyError for a place that is not open: answering twice is a bug.
        """
        if self._phase is _CLOSED:
            return
        command, sequence = self._open.pop(place)
        octets = answers.verdict_told(command, verdict, sequence)
        self._out.answer(place, octets)
        if verdict.kind is not _STORED:
            status = answers.VERDICTS[verdict.kind]
            self._count(status)
            self.refusals.note(command, status, sequence, refusing.VERDICTS[verdict.kind])
        if not self._open and self._phase is not _BOUND:
            self._say_farewell(now)

    def follow(self, account: Account | None, now: float) -> None:
        """Hold to the account's options as they are now; unbind if there is no such account."""
        if account is None:
            self.unbind("account-removed", now)
        elif account is not self.account:
            self.account = account
            if self._admission is not None:
                self._admission.follow(account, now)

    def enquire(self, now: float) -> None:
        """Ask the peer whether it is there, if bound.

        Only one question is open at a time: an older one that mere traffic answered is given up.
        """
        if self._phase is _BOUND:
            self._requests.forget(self._enquiry)
            self._enquiry = self._request(CommandId.enquire_link, EnquireLink())
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
        elif self._phase in UNBOUND:
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
        elif verdict.reason == "slow-pdu":
            self._timers.in_pieces(begun=False, now=now)
            if self._phase is not Phase.LEFT:  # else it is on its way out, and that is bounded
                self._peer_left("slow-pdu", now)
        else:
            self._close(verdict.reason)

    # Octets.

    def data_to_send(self) -> bytes:
        """Return all that is to be written, once. Confirm it by :meth:`sent`."""
        return self._out.pull()

    def sent(self) -> None:
        """Confirm that everything pulled so far has been written."""
        self._out.confirm(read=not self._deaf)

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
            account = self.account
            why = refusing.by_admission(
                len(self._open), account.window if account else 0, account.rate if account else 0
            )
            self._refuse(pdu.command_id, Status.ESME_RTHROTTLED, pdu.sequence_number, why)
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
                if self._phase is not Phase.OPEN:  # it is on us to bind already
                    return None
                self._phase = Phase.OUTBOUND
                self.direction = "outbind"
                return OutbindAsked(outbind.system_id, outbind.password)
        # From here on bodies are empty by definition, and whatever came as one does no harm.
        if pdu.command_id == _ENQUIRE_LINK:
            self._out.put(answers.refused(_ENQUIRE_LINK, Status.ESME_ROK, pdu.sequence_number))
        elif pdu.command_id == _UNBIND:
            unbind_resp = answers.refused(_UNBIND, Status.ESME_ROK, pdu.sequence_number)
            if self._phase is Phase.UNBINDING:  # they crossed: theirs stands for the answer to ours
                self._out.put(unbind_resp)
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
        status = reaction(self._phase, pdu.command_id)
        why = pdu.error.detail
        if status is not None:
            why = refusing.by_phase(self._phase, pdu.command_id, status)
        self._refuse(pdu.command_id, status or pdu.error.status, pdu.sequence_number, why)

    def _match(self, response: Pdu | Undecodable, now: float) -> Event | None:
        """Match a response with the request of ours it answers. Its body does not matter."""
        command, status = response.command_id, response.command_status
        ours = self._requests.match(command, response.sequence_number)
        if ours is None:
            self.unsolicited += 1
        elif ours == _UNBIND:
            # A generic_nack ends the link as well, but not as an unbind that was understood.
            self._completed = command != _GENERIC_NACK
            self._close(self.reason)
        elif ours in BINDS:
            if status or command == _GENERIC_NACK:
                refusal = answers.refusal_told(command, status)
                self._close(f"bind-refused: {refusal}")
                return BindAnswered(refusal)
            assert self.account is not None  # since we asked
            self._become_bound(self.account, now)
            return BindAnswered("")
        return None

    def _become_bound(self, account: Account, now: float) -> None:
        self.account = account
        self._admission = Admission(account, now)
        self._phase = Phase.BOUND
        self._timers.bound(now)

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
            self._request(CommandId.unbind, Unbind())
            self._timers.unbinding(now)
        elif self._phase is Phase.LEFT:
            if self._farewell:
                self._out.put(self._farewell)
                self._completed = True
            self._close(self.reason)

    def _close(self, reason: str) -> None:
        if self._phase is _CLOSED:
            return
        self._refuse_bind()
        self.reason = self.reason or reason
        self._phase = _CLOSED
        self._requests.clear()
        self._timers.over()

    def _refuse_bind(self, status: int = Status.ESME_RSYSERR) -> None:
        """Answer a pending bind with no, if there is one."""
        if self._bind is not None:
            command, sequence = self._bind
            self._bind = None
            self._refuse(command, status, sequence, "")  # the gate's own words are better

    def _request(self, command: CommandId, body: Body) -> int:
        """Send a request of ours; return its number."""
        sequence = self._requests.number(command)
        self._out.put(encode(Pdu(command, Status.ESME_ROK, sequence, body)))
        return sequence

    def _refuse(self, command: int, status: int, sequence: int, why: str) -> None:
        self._out.put(answers.refused(command, status, sequence))
        self._count(status)
        self.refusals.note(command, status, sequence, why)

    def _count(self, status: int) -> None:
        if status == Status.ESME_RTHROTTLED:
            self.throttled += 1
        elif status:
            self.errors += 1
