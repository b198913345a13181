"""A session against a model of it, whatever both sides and the clock do.

The model says, one after the other, everything a session must write. It takes two things from
elsewhere, which are tested by themselves: the table of what is refused where, and which timer
runs out when. It knows nothing of octets, and holds what a carrier counts on: each request has
one answer, with its own number; responses have none; a window is never exceeded; what was not
written counts as unanswered; and after the end nothing is begun.
"""

import contextlib
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsc.config import Account, Listener, Timers
from smsc.inbox import BindVerdict
from smsc.link.answers import VERDICTS
from smsc.link.events import Arrived, BindAnswered, BindAsked, OutbindAsked
from smsc.link.phases import UNBOUND, Phase
from smsc.link.session import Session
from smsc.link.timers import AskPeer, Keep
from smsc.message import Verdict, VerdictKind
from smsc.wire.pdu import Pdu
from smsc.wire.spec import BODIES, RESPONSE_BIT, CommandId, Status
from tests.fix_sessions import (
    BINDS,
    DIAL,
    LOST,
    MESSAGES,
    REQUESTS,
    UNKNOWN,
    expected,
    read,
    request,
    unreadable,
)

Way = Literal["accepted", "outbind", "dialled"]
Told = tuple[int, int, int]
"""Command, status, sequence_number."""

NACK = int(CommandId.generic_nack)
NUMBERS = st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


class Model:
    """What a session must do."""

    def __init__(self, account: Account, *, dialled: bool) -> None:
        self.account = account
        self.phase = Phase.OUTBOUND if dialled else Phase.OPEN
        self.said: list[Told] = []  # and not pulled yet
        self.places = 0
        self.open: dict[int, Told] = {}  # place → its answer, but for the status
        self.queued: list[int] = []  # places answered, not pulled yet
        self.transit: list[int] = []  # pulled, not confirmed
        self.bind: Told | None = None  # the answer that the peer's bind awaits
        self.farewell: Told | None = None
        self.ours: dict[int, int] = {}  # our requests: number → command
        self.number = 0
        self.asked = 0  # the number of our latest enquire_link
        self.deaf = False
        self.completed = False

    # What the peer does.

    def request(self, command: int, number: int, *, readable: bool) -> type | None:
        """A request; returns the kind of event that must come of it."""
        if self.phase is Phase.BOUND and command in MESSAGES and (readable or self._keeps()):
            return self._message(command, number)
        status = expected(self.phase, command)
        if not readable:
            self._answer(command, status or Status.ESME_RINVMSGLEN, number)
        elif status:
            self._answer(command, status, number)
        else:
            return self._welcome(command, number)
        return None

    def _keeps(self) -> bool:
        return self.account.unreadable == "accept"

    def _message(self, command: int, number: int) -> type | None:
        if len(self.open) == self.account.window:
            self._answer(command, Status.ESME_RTHROTTLED, number)
            return None
        self.places += 1
        self.open[self.places] = (command | RESPONSE_BIT, 0, number)
        return Arrived

    def _welcome(self, command: int, number: int) -> type | None:
        if command in BINDS:
            self.phase = Phase.BINDING
            self.bind = (command | RESPONSE_BIT, 0, number)
            return BindAsked
        if command == CommandId.outbind and self.phase is Phase.OPEN:
            self.phase = Phase.OUTBOUND
            return OutbindAsked
        if command == CommandId.enquire_link:
            self._answer(command, 0, number)
        elif command == CommandId.unbind and self.phase is Phase.UNBINDING:
            self._answer(command, 0, number)
            self.completed = True
            self.close()
        elif command == CommandId.unbind:
            self.farewell = (CommandId.unbind_resp, 0, number)
            self.left()
        return None

    def response(self, command: int, status: int, number: int) -> type | None:
        ours = self.ours.get(number)
        if ours is None and command == NACK and self.phase is Phase.ASKING:
            number, ours = next(iter(self.ours.items()))
        if ours is None or command not in (ours | RESPONSE_BIT, NACK):
            return None
        del self.ours[number]
        if ours == CommandId.unbind:
            self.completed = command != NACK
            self.close()
        elif ours in BINDS:
            if status or command == NACK:
                self.close()
            else:
                self.phase = Phase.BOUND
            return BindAnswered
        return None

    def left(self) -> None:
        """The peer is gone, or can't be understood."""
        if self.phase in (Phase.BOUND, Phase.LEAVING):
            self.phase = Phase.LEFT
            if not self.open:
                self.part()
        elif self.phase is not Phase.LEFT:
            self.close()

    # What we do.

    def answer_bind(self, *, accepted: bool) -> None:
        if self.bind is None:
            return
        command, _, number = self.bind
        self.bind = None
        self.said.append((command, 0 if accepted else Status.ESME_RBINDFAIL, number))
        if accepted:
            self.phase = Phase.BOUND
        else:
            self.close()

    def bind_ourselves(self) -> None:
        if self.phase is Phase.OUTBOUND:
            self._ask(CommandId.bind_transceiver)
            self.phase = Phase.ASKING

    def answer(self, place: int, kind: VerdictKind) -> None:
        if self.phase is Phase.CLOSED:
            return
        command, _, number = self.open.pop(place)
        self.said.append((command, VERDICTS[kind], number))
        self.queued.append(place)
        if not self.open and self.phase is not Phase.BOUND:
            self.part()

    def enquire(self) -> None:
        if self.phase is Phase.BOUND:
            self.ours.pop(self.asked, None)
            self.asked = self._ask(CommandId.enquire_link)

    def unbind(self) -> None:
        if self.phase in UNBOUND:
            self.close()
        elif self.phase is Phase.BOUND:
            self.phase = Phase.LEAVING
            if not self.open:
                self.part()

    def part(self) -> None:
        """Nothing is open any more, or is waited for any longer."""
        if self.phase is Phase.LEAVING:
            self._ask(CommandId.unbind)
            self.phase = Phase.UNBINDING
        elif self.phase is Phase.LEFT:
            if self.farewell:
                self.said.append(self.farewell)
                self.completed = True
            self.close()

    def close(self) -> None:
        if self.bind is not None:
            command, _, number = self.bind
            self.bind = None
            self.said.append((command, Status.ESME_RSYSERR, number))
        self.phase = Phase.CLOSED
        self.ours.clear()

    # Books.

    def unanswered(self) -> list[int]:
        return sorted([*self.open, *self.queued, *self.transit])

    def _ask(self, command: int) -> int:
        self.number += 1
        self.ours[self.number] = int(command)
        self.said.append((int(command), 0, self.number))
        return self.number

    def _answer(self, command: int, status: int, number: int) -> None:
        response = command | RESPONSE_BIT
        self.said.append((response if response in BODIES else NACK, status, number))


class SessionMachine(RuleBasedStateMachine):
    """Both do the same; the model knows what comes of it."""

    @initialize(
        way=st.sampled_from(["accepted", "outbind", "dialled"]),
        window=st.integers(1, 4),
        unread=st.sampled_from(["accept", "reject"]),
        timers=st.sampled_from([Timers(), Timers(response=0, pdu=0), Timers(response=60)]),
        binds=st.sampled_from([True, True, True, False]),
    )
    def begin(
        self,
        way: Way,
        window: int,
        unread: Literal["accept", "reject"],
        timers: Timers,
        binds: bool,
    ) -> None:
        account = Account(
            name="acme", system_id="acme", window=window, unreadable=unread, dial=DIAL, outbind=True
        )
        self.account = account
        self.now = 0.0
        self.session = Session(Listener(timers=timers), self.now, dialled=way == "dialled")
        self.model = Model(account, dialled=way == "dialled")
        self.steps = 0
        if way == "dialled":
            self.we_bind()
        elif way == "outbind":
            self.ask(CommandId.outbind, 0)
            self.answer_outbind(accepted=True)
        if binds and way == "accepted":
            self.ask(CommandId.bind_transmitter, 1)
            self.answer_bind(accepted=True)
        elif binds:
            self.respond(CommandId.bind_transceiver_resp, 0, 1)

    # What the peer does.

    def ask(self, command: int, number: int, *, readable: bool = True) -> None:
        wanted = self.model.request(command, number, readable=readable)
        pdu = request(command, number) if readable else unreadable(command, number)
        event = self.session.receive(pdu, self.now)
        assert (type(event) if event else None) is wanted
        if isinstance(event, Arrived):
            assert event.place == self.model.places
            assert event.pdu.sequence_number == number

    def respond(self, command: int, status: int, number: int) -> None:
        wanted = self.model.response(command, status, number)
        event = self.session.receive(Pdu(command, status, number, None), self.now)
        assert (type(event) if event else None) is wanted

    @rule(command=st.sampled_from(sorted(MESSAGES)), count=st.integers(1, 6), number=NUMBERS)
    def messages(self, command: int, count: int, number: int) -> None:
        for _ in range(count):
            self.ask(command, number)

    @rule(command=st.sampled_from(REQUESTS), number=NUMBERS)
    def any_request(self, command: int, number: int) -> None:
        if command != CommandId.unbind or self.steps > 12:  # let the link live a little
            self.ask(command, number)

    @rule(command=st.sampled_from([c for c in REQUESTS if c != UNKNOWN]), number=NUMBERS)
    def unreadable_request(self, command: int, number: int) -> None:
        self.ask(command, number, readable=False)

    @rule(
        command=st.sampled_from([c for c in BODIES if c & RESPONSE_BIT]),
        status=st.sampled_from([0, 0, 0x0E, 0xFFFFFFFF]),
        number=NUMBERS,
    )
    def any_response(self, command: int, status: int, number: int) -> None:
        self.respond(command, status, number)

    @precondition(lambda self: self.model.ours)
    @rule(data=st.data(), nack=st.sampled_from([False, False, True]))
    def answer_us(self, data: st.DataObject, nack: bool) -> None:
        number, command = data.draw(st.sampled_from(sorted(self.model.ours.items())))
        self.respond(NACK if nack else command | RESPONSE_BIT, 0, number)

    @precondition(lambda self: self.steps > 12)
    @rule()
    def stream_ends(self) -> None:
        self.session.end_of_stream(self.now)
        self.model.deaf = True
        if self.model.phase is not Phase.CLOSED:
            self.model.left()

    @precondition(lambda self: self.steps > 12)
    @rule()
    def framing_lost(self) -> None:
        self.session.framing_lost(LOST, self.now)
        if self.model.phase not in (Phase.LEFT, Phase.CLOSED):
            self.model.said.append((NACK, LOST.status, 0))
            self.model.left()

    @rule(begun=st.booleans())
    def in_pieces(self, begun: bool) -> None:
        self.session.in_pieces(begun=begun, now=self.now)

    # What we do.

    @rule(accepted=st.sampled_from([True, True, False]))
    def answer_bind(self, accepted: bool) -> None:
        verdict = BindVerdict(account=self.account) if accepted else BindVerdict(refusal="disabled")
        self.session.answer_bind(verdict, self.now)
        self.model.answer_bind(accepted=accepted)

    @rule(accepted=st.sampled_from([True, True, False]))
    def answer_outbind(self, accepted: bool) -> None:
        verdict = BindVerdict(account=self.account) if accepted else BindVerdict(refusal="disabled")
        self.session.answer_outbind(verdict, self.now)
        if accepted:
            self.model.bind_ourselves()
        elif self.model.phase is Phase.OUTBOUND:
            self.model.close()

    @rule()
    def we_bind(self) -> None:
        self.session.bind(self.account, "transceiver", self.now)
        self.model.bind_ourselves()

    @precondition(lambda self: self.model.open)
    @rule(data=st.data(), kind=st.sampled_from(VerdictKind))
    def verdict(self, data: st.DataObject, kind: VerdictKind) -> None:
        place = data.draw(st.sampled_from(sorted(self.model.open)))
        self.session.answer(place, Verdict(kind, "msg_1"), self.now)
        self.model.answer(place, kind)

    @precondition(lambda self: self.steps > 12)
    @rule()
    def we_unbind(self) -> None:
        self.session.unbind("test", self.now)
        self.model.unbind()

    @precondition(lambda self: self.steps > 12)
    @rule()
    def account_is_removed(self) -> None:
        self.session.follow(None, self.now)
        self.model.unbind()

    @rule()
    def we_enquire(self) -> None:
        self.session.enquire(self.now)
        self.model.enquire()

    @rule(seconds=st.sampled_from([0.1, 0.1, 5.0, 11.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.session._timers.check(self.now)
        self.session.tick(self.now)
        if isinstance(due, Keep):
            return
        if isinstance(due, AskPeer):
            self.model.enquire()
        elif due.reason == "inactivity":
            self.model.unbind()
        elif due.reason == "wind-down-timeout":
            self.model.part()
        elif due.reason == "slow-pdu":
            self.model.left()
        else:
            self.model.close()

    @rule(confirmed=st.booleans())
    def write(self, confirmed: bool) -> None:
        said = [
            (pdu.command_id, pdu.command_status, pdu.sequence_number)
            for pdu in read(self.session.data_to_send())
        ]
        assert said == self.model.said
        self.model.said.clear()
        self.model.transit += self.model.queued
        self.model.queued.clear()
        if confirmed:
            self.session.sent()
            if not self.model.deaf:
                self.model.transit.clear()

    # What holds at any time.

    @invariant()
    def counts_steps(self) -> None:
        self.steps += 1

    @invariant()
    def they_agree(self) -> None:
        session, model = self.session, self.model
        assert session.phase is model.phase
        assert session.window == len(model.open) <= self.account.window
        assert session.arrivals == model.places
        assert list(session.unanswered()) == model.unanswered()
        first = min(model.unanswered(), default=model.places + 1)
        assert session.answered_up_to() == first - 1

    @invariant()
    def an_end_is_clean_only_if_an_unbind_completed_and_nothing_is_unanswered(self) -> None:
        session, model = self.session, self.model
        clean = model.completed and not session.unsent and not model.unanswered()
        assert session.parted == clean
        if clean:
            assert session.closed

    @invariant()
    def whoever_wishes_to_part_says_why_and_waits_no_longer_than_it_may(self) -> None:
        session = self.session
        parting = session.phase not in {*UNBOUND, Phase.BOUND}
        assert bool(session.reason) == parting
        assert (session.next_deadline() is None) == session.closed

    @invariant()
    def after_the_end_nothing_is_begun(self) -> None:
        if self.session.closed:
            assert not self.model.ours
            with contextlib.suppress(KeyError):
                self.session.answer(1, Verdict(VerdictKind.STORED, "msg_1"), self.now)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.write(confirmed=True)


SessionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestSession = SessionMachine.TestCase
