"""What a session has its driver see to: all that comes of one PDU, and can't be done at once."""

from msgspec import Struct

from smsc.config import BindKind
from smsc.wire.pdu import Pdu, Undecodable


class Arrived(Struct, frozen=True, gc=False):
    """A message PDU was taken in: give its verdict to :meth:`~smsc.link.session.Session.answer`."""

    place: int
    """Its place among the link's arrivals, counted from 1."""
    pdu: Pdu | Undecodable
    """Undecodable where the account wants such a one kept rather than refused."""


class BindAsked(Struct, frozen=True):
    """The peer wants to bind: give the verdict to
    :meth:`~smsc.link.session.Session.answer_bind`."""

    kind: BindKind
    system_id: str
    password: str
    system_type: str
    version: int

    def __repr__(self) -> str:
        return f"BindAsked({self.kind}, system_id={self.system_id!r})"


class OutbindAsked(Struct, frozen=True):
    """The peer wants us to bind to it on this link (SMPP 3.4 §4.1.7), which has no answer: give
    the verdict to :meth:`~smsc.link.session.Session.answer_outbind`."""

    system_id: str
    password: str

    def __repr__(self) -> str:
        return f"OutbindAsked(system_id={self.system_id!r})"


class BindAnswered(Struct, frozen=True):
    """Our own bind was answered; a refused one ends the link."""

    refusal: str
    """What the peer said, in words; empty: we are bound."""


Event = Arrived | BindAsked | OutbindAsked | BindAnswered
