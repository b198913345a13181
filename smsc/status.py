"""The state of a link, as the bridge stores and shows it."""

from typing import Literal

from msgspec import Struct

from smsc.message import Millis

LinkState = Literal["open", "bound", "unbinding", "closed"]
LinkDirection = Literal["accepted", "dialled", "outbind"]


class LinkStatus(Struct, frozen=True, kw_only=True):
    """One link at one moment. Counters count from the link's beginning."""

    link: str
    """Id, ``lnk_…``."""
    account: str
    """Name of the account; empty before a bind."""
    carrier: str = ""
    peer: str
    """``address:port``."""
    local: str = ""
    """The same of our own end, where it is known."""
    state: LinkState
    kind: str = ""
    """``receiver``, ``transmitter`` or ``transceiver``."""
    version: int = 0
    """interface_version of the peer's bind."""
    opened_at: Millis
    bound_at: Millis | None = None
    at: Millis = 0
    """When all of this was so; 0: not known."""
    alive_at: Millis
    """When the last PDU came from the peer."""
    direction: LinkDirection = "accepted"
    """Who connected: the carrier, we, or the carrier asking us to bind back."""
    tls: str = ""
    """``TLSv1.3`` and the like; empty on a plain connection."""
    enquired_at: Millis | None = None
    """When an enquire_link or the answer to ours last came."""
    pdus: int = 0
    """PDUs of any kind that came."""
    octets_in: int = 0
    octets_out: int = 0
    recording: bool = False
    """Whether what goes over it is being recorded."""
    window: int = 0
    """Requests of the peer not answered yet."""
    arrivals: int = 0
    answered: int = 0
    """Every arrival up to this place has had its answer written to the socket."""
    throttled: int = 0
    errors: int = 0
    """PDUs answered with an error or a generic_nack, throttled ones apart."""
    reason: str = ""
    """Why it ended, in words, where :attr:`state` is closed."""
