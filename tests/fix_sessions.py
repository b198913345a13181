"""Sessions in each of their states, PDUs for them, and the table of what they answer."""

import struct

from smsc.config import Account, Dial, Listener
from smsc.inbox import BindVerdict
from smsc.link.phases import Phase
from smsc.link.session import Session
from smsc.message import Verdict, VerdictKind
from smsc.wire.errors import WireError
from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, Undecodable, decode
from smsc.wire.spec import BODIES, RESPONSE_BIT, BindTransceiver, CommandId, Status

ACCOUNT = Account(name="acme", system_id="acme", window=10, unreadable="reject")
DIAL = Dial(hosts=("smsc.example.com",), system_id="us", password="ours", system_type="gw")
DIALLING = Account(
    name="acme", system_id="acme", window=10, unreadable="reject", dial=DIAL, outbind=True
)
LISTENER = Listener()
STORED = Verdict(VerdictKind.STORED, "msg_1")
LOST = WireError("close", Status.ESME_RINVCMDLEN, "command_length", 0, "2147483648 octets")
UNKNOWN = 0x00000110
REQUESTS = [*(int(c) for c in BODIES if not c & RESPONSE_BIT), UNKNOWN]
MESSAGES = {CommandId.deliver_sm, CommandId.submit_sm, CommandId.data_sm}
BINDS = {CommandId.bind_receiver, CommandId.bind_transmitter, CommandId.bind_transceiver}


def request(command: int, sequence: int = 1) -> Pdu | Undecodable:
    """A request with default fields; an unknown one without a body."""
    if command in BODIES:
        return Pdu(command, 0, sequence, BODIES[command]())
    return decode(struct.pack(">IIII", 16, command, 0, sequence))


def unreadable(command: int, sequence: int = 1) -> Undecodable:
    error = WireError("answer", Status.ESME_RINVMSGLEN, "short_message", 40, "too short")
    return Undecodable(command, 0, sequence, error, struct.pack(">IIII", 16, command, 0, sequence))


def sent(session: Session) -> list[Pdu]:
    """What the session wrote since the last time, written and confirmed."""
    pdus = read(session.data_to_send())
    session.sent()
    return pdus


def read(octets: bytes) -> list[Pdu]:
    framer = Framer(1 << 20)
    pdus = [decode(frame) for frame in framer.feed(octets)]
    assert not framer.pending
    assert framer.lost is None
    return [pdu for pdu in pdus if isinstance(pdu, Pdu)]


def told(session: Session) -> list[tuple[str, int, int]]:
    """The same as (command, status, sequence_number)."""
    return [
        (CommandId(pdu.command_id).name, pdu.command_status, pdu.sequence_number)
        for pdu in sent(session)
    ]


def bound(
    account: Account = ACCOUNT, listener: Listener = LISTENER, now: float = 0.0, version: int = 0x34
) -> Session:
    session = Session(listener, now)
    session.receive(
        Pdu(CommandId.bind_transceiver, 0, 1, BindTransceiver("acme", "pw", "", version)), now
    )
    session.answer_bind(BindVerdict(account=account), now)
    sent(session)
    return session


def dialling(account: Account = DIALLING, now: float = 0.0) -> Session:
    """A session that we dialled, our bind sent with the number 1."""
    session = Session(LISTENER, now, dialled=True)
    session.bind(account, "transceiver", now)
    sent(session)
    return session


def in_phase(phase: Phase) -> Session:
    """A session in each of its states, nothing unsent."""
    if phase is Phase.OPEN:
        return Session(LISTENER, 0.0)
    if phase is Phase.BINDING:
        session = Session(LISTENER, 0.0)
        session.receive(request(CommandId.bind_receiver, 99), 0.0)
        return session
    if phase is Phase.OUTBOUND:
        session = Session(LISTENER, 0.0)
        session.receive(request(CommandId.outbind, 99), 0.0)
        return session
    if phase is Phase.ASKING:
        return dialling()
    session = bound()
    if phase in (Phase.LEAVING, Phase.LEFT):
        session.receive(request(CommandId.deliver_sm, 99), 0.0)  # what parting waits for
    if phase in (Phase.LEAVING, Phase.UNBINDING):
        session.unbind("test", 0.0)
    elif phase is Phase.LEFT:
        session.receive(request(CommandId.unbind, 98), 0.0)
    elif phase is Phase.CLOSED:
        session.stop("test")
    sent(session)
    assert session.phase is phase
    return session


# The table: what each request is answered with in each state. None: no answer at once.

ROK, STATE, BOUND, COMMAND = (
    Status.ESME_ROK,
    Status.ESME_RINVBNDSTS,
    Status.ESME_RALYBND,
    Status.ESME_RINVCMDID,
)
LATER = Status.ESME_RX_T_APPN

TABLE: dict[str, dict[Phase, Status | None]] = {
    "bind": {
        Phase.OPEN: None,
        Phase.BINDING: STATE,
        Phase.OUTBOUND: STATE,
        Phase.ASKING: STATE,
        Phase.BOUND: BOUND,
        Phase.LEAVING: STATE,
        Phase.UNBINDING: STATE,
        Phase.LEFT: STATE,
        Phase.CLOSED: STATE,
    },
    "outbind": {
        **dict.fromkeys(Phase, STATE),
        Phase.OPEN: None,
        Phase.OUTBOUND: None,
        Phase.ASKING: None,
    },
    "message": {
        Phase.OPEN: STATE,
        Phase.BINDING: STATE,
        Phase.OUTBOUND: LATER,
        Phase.ASKING: LATER,
        Phase.BOUND: None,
        Phase.LEAVING: LATER,
        Phase.UNBINDING: LATER,
        Phase.LEFT: STATE,
        Phase.CLOSED: STATE,
    },
    "unbind": {
        Phase.OPEN: STATE,
        Phase.BINDING: STATE,
        Phase.OUTBOUND: STATE,
        Phase.ASKING: STATE,
        Phase.BOUND: ROK,
        Phase.LEAVING: None,
        Phase.UNBINDING: ROK,
        Phase.LEFT: STATE,
        Phase.CLOSED: STATE,
    },
    "enquire_link": {**dict.fromkeys(Phase, ROK), Phase.CLOSED: STATE},
    "alert_notification": {**dict.fromkeys(Phase, STATE), Phase.BOUND: None},
    "unknown": dict.fromkeys(Phase, COMMAND),
}
FOREIGN: dict[int, int] = {
    CommandId.query_sm: Status.ESME_RQUERYFAIL,
    CommandId.cancel_sm: Status.ESME_RCANCELFAIL,
    CommandId.replace_sm: Status.ESME_RREPLACEFAIL,
    CommandId.submit_multi: Status.ESME_RSUBMITFAIL,
    CommandId.broadcast_sm: Status.ESME_RBCASTFAIL,
    CommandId.query_broadcast_sm: Status.ESME_RBCASTQUERYFAIL,
    CommandId.cancel_broadcast_sm: Status.ESME_RBCASTCANCELFAIL,
}


def expected(phase: Phase, command: int) -> int | None:
    if command in FOREIGN:
        return FOREIGN[CommandId(command)] if phase is Phase.BOUND else STATE
    if command in BINDS:
        row = "bind"
    elif command in MESSAGES:
        row = "message"
    elif command == UNKNOWN:
        row = "unknown"
    else:
        row = CommandId(command).name
    return TABLE[row][phase]
