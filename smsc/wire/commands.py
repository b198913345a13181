"""Commands (SMPP 3.4 §5.1.2.1, 5.0 §4.7.5), how each is answered, and when a peer may send it.

A peer is one of two things, whoever opened the connection. An *ESME* binds to us as clients do to
an SMSC, and hands over what its subscribers sent. An *SMSC* is bound to by us, because we have
dialled it or it sent ``outbind``, and delivers to us as the specification has it. They differ
before the bind only (:attr:`LinkState.OPEN`, :attr:`LinkState.OUTBOUND`): once bound, both may
send the same.

Named deviations from SMPP 3.4 §2.3 (which command may be issued by whom, in which state):

* *arrivals*: ``deliver_sm`` comes from a bound ESME, the reverse of the specification's
  direction, and so do ``submit_sm`` and ``data_sm``: real carriers use either. All three are
  taken in **every** bound state, whether the link is bound as receiver, transmitter or
  transceiver, and from either kind of peer: an SMSC that sends ``submit_sm`` is understood, too.
* ``enquire_link`` is answered in every state (§4.11 wants a bound one): carriers' load balancers
  probe with it before they bind.
* ``alert_notification`` is taken from any bound peer, and has no answer.
* ``outbind`` is welcome where it is on us to bind anyway, on a link that we dialled or a second
  time: it asks for what we are about to do, and has no answer.

Commands that act on a message an ESME once submitted (``query_sm``, ``cancel_sm``,
``replace_sm``), ``submit_multi`` and broadcasts mean nothing towards us. They are known, so that
each is answered by its own response, by the sequence_number; and with the status that says *this
operation failed*, which its caller expects, rather than ``ESME_RINVCMDID``: 5.0 (§4.7.6) allows
that for operations which are not supported, but 3.4 only for unknown ones, and its peers take it
for a fault in what they wrote. The matrix knows no versions: whoever sends a command of 5.0 knows
its statuses.

Responses are not in the table: one is right if it answers a request of ours, in any state.
"""

from enum import Enum, IntEnum

from smsc.wire.statuses import Status

RESPONSE_BIT = 0x80000000
"""Set in the command_id of every response and of ``generic_nack``."""


class CommandId(IntEnum):
    """Command ids by their names in the specification."""

    bind_receiver = 0x00000001
    bind_receiver_resp = 0x80000001
    bind_transmitter = 0x00000002
    bind_transmitter_resp = 0x80000002
    query_sm = 0x00000003
    query_sm_resp = 0x80000003
    submit_sm = 0x00000004
    submit_sm_resp = 0x80000004
    deliver_sm = 0x00000005
    deliver_sm_resp = 0x80000005
    unbind = 0x00000006
    unbind_resp = 0x80000006
    replace_sm = 0x00000007
    replace_sm_resp = 0x80000007
    cancel_sm = 0x00000008
    cancel_sm_resp = 0x80000008
    bind_transceiver = 0x00000009
    bind_transceiver_resp = 0x80000009
    outbind = 0x0000000B
    enquire_link = 0x00000015
    enquire_link_resp = 0x80000015
    submit_multi = 0x00000021
    submit_multi_resp = 0x80000021
    alert_notification = 0x00000102
    data_sm = 0x00000103
    data_sm_resp = 0x80000103
    broadcast_sm = 0x00000111
    broadcast_sm_resp = 0x80000111
    query_broadcast_sm = 0x00000112
    query_broadcast_sm_resp = 0x80000112
    cancel_broadcast_sm = 0x00000113
    cancel_broadcast_sm_resp = 0x80000113
    generic_nack = 0x80000000


COMMAND_NAMES: dict[int, str] = {int(command): command.name for command in CommandId}

BINDS = frozenset({CommandId.bind_receiver, CommandId.bind_transmitter, CommandId.bind_transceiver})
"""The three ways to bind."""

ARRIVALS = frozenset({CommandId.deliver_sm, CommandId.submit_sm, CommandId.data_sm})
"""Commands that bring a message, a fragment or a receipt."""

UNANSWERED = frozenset({CommandId.outbind, CommandId.alert_notification})
"""Requests for which the specification defines no response (§4.1.7, §4.12)."""


def answer_id(command_id: int) -> int | None:
    """Return the command_id a PDU is answered with, or None where it has no answer.

    ``generic_nack`` for an unknown request (§4.3.1). A response has none, known or not: two
    peers could go on for ever.
    """
    if command_id & RESPONSE_BIT or command_id in UNANSWERED:
        return None
    if command_id not in COMMAND_NAMES:
        return int(CommandId.generic_nack)
    return command_id | RESPONSE_BIT


class LinkState(Enum):
    """State of a link as the peer's rights see it (§2.2)."""

    OPEN = "open"
    """The peer has connected, and has not bound."""
    OUTBOUND = "outbound"
    """It is on us to bind: the peer sent ``outbind``, or is an SMSC that we dialled. Lasts until
    our bind is answered."""
    BOUND_RX = "bound-rx"
    BOUND_TX = "bound-tx"
    BOUND_TRX = "bound-trx"
    UNBINDING = "unbinding"
    """One side has sent ``unbind``."""
    CLOSED = "closed"

    @property
    def bound(self) -> bool:
        """Whether arrivals are taken."""
        return self in _BOUND


_BOUND = frozenset({LinkState.BOUND_RX, LinkState.BOUND_TX, LinkState.BOUND_TRX})
_WHEN_BOUND = ARRIVALS | {
    CommandId.enquire_link,
    CommandId.unbind,
    CommandId.alert_notification,
}

PEER_MAY_SEND: dict[LinkState, frozenset[CommandId]] = {
    LinkState.OPEN: BINDS | {CommandId.outbind, CommandId.enquire_link},
    LinkState.OUTBOUND: frozenset({CommandId.outbind, CommandId.enquire_link}),
    LinkState.BOUND_RX: _WHEN_BOUND,
    LinkState.BOUND_TX: _WHEN_BOUND,
    LinkState.BOUND_TRX: _WHEN_BOUND,
    LinkState.UNBINDING: frozenset({CommandId.enquire_link, CommandId.unbind}),
    LinkState.CLOSED: frozenset(),
}
"""State × request: what a peer may send us."""

REFUSED_WHEN_BOUND: dict[int, Status] = {
    CommandId.bind_receiver: Status.ESME_RALYBND,
    CommandId.bind_transmitter: Status.ESME_RALYBND,
    CommandId.bind_transceiver: Status.ESME_RALYBND,
    CommandId.query_sm: Status.ESME_RQUERYFAIL,
    CommandId.cancel_sm: Status.ESME_RCANCELFAIL,
    CommandId.replace_sm: Status.ESME_RREPLACEFAIL,
    CommandId.submit_multi: Status.ESME_RSUBMITFAIL,
    CommandId.broadcast_sm: Status.ESME_RBCASTFAIL,
    CommandId.query_broadcast_sm: Status.ESME_RBCASTQUERYFAIL,
    CommandId.cancel_broadcast_sm: Status.ESME_RBCASTCANCELFAIL,
}
"""What a bound peer is answered to a known command that is of no use; else RINVBNDSTS."""


def refusal(state: LinkState, command_id: int) -> Status | None:
    """Return the status a command is refused with in a state, or None where it is welcome.

    A response is welcome in every state. An unknown request is ``ESME_RINVCMDID`` in every
    state. Whether an answer exists at all is for :func:`answer_id` to say.
    """
    if command_id & RESPONSE_BIT:
        return None
    if command_id in PEER_MAY_SEND[state]:
        return None
    if command_id not in COMMAND_NAMES:
        return Status.ESME_RINVCMDID
    if state in _BOUND:
        return REFUSED_WHEN_BOUND.get(command_id, Status.ESME_RINVBNDSTS)
    return Status.ESME_RINVBNDSTS


def allowed(state: LinkState, command_id: int) -> bool:
    """Return whether a peer may send a command in a state."""
    return refusal(state, command_id) is None
