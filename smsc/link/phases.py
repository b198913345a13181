"""Where a session stands, and what a peer may ask for there: the whole state × command matrix.

.. code-block:: text

    OPEN ──bind──▶ BINDING ──verdict yes──▶ BOUND ──unbind(reason)──▶ LEAVING ──▶ UNBINDING
      │ outbind          │ no                ▲ │                     open arrivals      │ our unbind
      ▼                  │        bind_resp: │ │ peer: unbind, end   answered first     │ is out
    OUTBOUND ─our bind─▶ │ ASKING ─────ROK───┘ ▼ of stream, framing lost                │
      │ verdict no       │    │ else          LEFT ◀──── the same, from LEAVING         │
      ▼                  ▼    ▼                │                                        │
    CLOSED ◀───────────────────────────────────┘ open arrivals answered first           │
      ▲                                                                                 │
      └──────────── unbind_resp, or the peer's own unbind, or any end ──────────────────┘

A link that we dialled begins in OUTBOUND. From BOUND on it makes no difference who dialled and
who bound: either way the peer is the one who brings messages.
"""

from enum import Enum, auto
from typing import Final

from smsc.status import LinkState
from smsc.wire.spec import ARRIVALS, RESPONSE_BIT, CommandId, Status, refusal
from smsc.wire.spec import LinkState as Rights


class Phase(Enum):
    """Where a session stands. See the drawing above."""

    OPEN = auto()
    BINDING = auto()
    """The peer asked to bind; the verdict is awaited."""
    OUTBOUND = auto()
    """It is on us to bind: we dialled, or the peer sent ``outbind`` (SMPP 3.4 §2.2)."""
    ASKING = auto()
    """Our bind is out; its answer is awaited."""
    BOUND = auto()
    LEAVING = auto()
    """We wish to part; open arrivals are answered before our unbind goes out."""
    UNBINDING = auto()
    """Our unbind is out; its answer is awaited."""
    LEFT = auto()
    """The peer parts, or can't be understood any more; open arrivals are answered, then the end."""
    CLOSED = auto()
    """Nothing more to do but write what is unsent and close."""


STATES: Final[dict[Phase, LinkState]] = {
    Phase.OPEN: "open",
    Phase.BINDING: "open",
    Phase.OUTBOUND: "open",
    Phase.ASKING: "open",
    Phase.BOUND: "bound",
    Phase.LEAVING: "unbinding",
    Phase.UNBINDING: "unbinding",
    Phase.LEFT: "unbinding",
    Phase.CLOSED: "closed",
}
"""The same as a link's status shows it."""

UNBOUND: Final = frozenset({Phase.OPEN, Phase.BINDING, Phase.OUTBOUND, Phase.ASKING})
"""Where nobody has bound yet: to part is just to end."""

_RIGHTS: Final[dict[Phase, Rights]] = {
    Phase.OPEN: Rights.OPEN,
    Phase.BINDING: Rights.OPEN,
    Phase.OUTBOUND: Rights.OUTBOUND,
    Phase.ASKING: Rights.OUTBOUND,
    Phase.BOUND: Rights.BOUND_TRX,  # all three kinds of bind have the same rights towards us
    Phase.LEAVING: Rights.UNBINDING,
    Phase.UNBINDING: Rights.UNBINDING,
    Phase.LEFT: Rights.UNBINDING,
    Phase.CLOSED: Rights.CLOSED,
}

_OURS: Final = frozenset({Phase.OUTBOUND, Phase.ASKING, Phase.LEAVING, Phase.UNBINDING})
"""Where what keeps us from taking messages is our own doing."""


def reaction(phase: Phase, command: int) -> Status | None:
    """Return the status a request is refused with in a phase; None where it is welcome.

    The matrix of :mod:`smsc.wire.spec`, with what only a session knows beside it:

    * While a bind awaits its verdict there is no other, and only ``enquire_link``.
    * Messages that come before our bind is through, or after our unbind, meet a temporary error:
      the peer did no wrong, and is to send them again.
    * An ``outbind`` where it is on us to bind asks for what we are about to do: welcome.
    * Of several unbinds of the peer's the first is answered.
    * Responses are never refused: one is right if it answers a request of ours.
    """
    status = refusal(_RIGHTS[phase], command)
    if command & RESPONSE_BIT:
        return None
    if phase is Phase.BINDING and status is None and command != CommandId.enquire_link:
        return Status.ESME_RINVBNDSTS
    if phase is Phase.LEFT and command == CommandId.unbind:
        return Status.ESME_RINVBNDSTS
    if phase in (Phase.OUTBOUND, Phase.ASKING) and command == CommandId.outbind:
        return None
    if phase in _OURS and command in ARRIVALS:
        return Status.ESME_RX_T_APPN
    return status
