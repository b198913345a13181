"""What a carrier brought, in words that any bearer could use: no SMPP term appears here.

An *arrival* is what one PDU brought. Arrivals are values: they are made by
:mod:`smsc.content.interpret`, handed to an :class:`smsc.inbox.Inbox`, and answered with a
:class:`Verdict`.

Times are integers, milliseconds since the Unix epoch, UTC (:data:`Millis`).
"""

from enum import Enum
from typing import Literal

from msgspec import Struct

Millis = int
"""Milliseconds since the Unix epoch, UTC."""

AddressType = Literal["e164", "national", "shortcode", "alphanumeric", "unknown"]
"""How far an address could be read; only ``e164`` values are ``+`` and digits for sure."""

Encoding = str
"""How content was read: ``gsm7``, ``ucs2``, ``latin1``, ``ascii``, ``binary``, …"""


class Address(Struct, frozen=True, gc=False):
    """A sender or recipient, normalised as far as it could be."""

    value: str
    """``+`` and digits when :attr:`type` is ``e164``, else the text as the carrier sent it."""
    type: AddressType


class Origin(Struct, frozen=True, gc=False):
    """Where an arrival came from, and what makes it recognisable if it is sent again."""

    account: str
    """Name of the account whose link brought it."""
    carrier: str
    """Name of the account's carrier: the scope in which parts are joined."""
    link: str
    """Id of the link (``lnk_…``)."""
    place: int
    """Its place among the arrivals of that link, counted from 1."""
    received_at: Millis
    fingerprint: bytes
    """SHA-256 over the command's name and body octets: equal for a retransmission."""


class Concat(Struct, frozen=True, gc=False):
    """Which segment of which message this is (3GPP TS 23.040 §9.2.3.24, SMPP 3.4 §5.3.2.22)."""

    source: Literal["udh", "sar"]
    bits: Literal[8, 16]
    ref: int
    total: int
    seq: int
    """1-based, at most :attr:`total`."""


class Part(Struct, frozen=True, gc=False, omit_defaults=True):
    """User data of one PDU and all that is needed to read it, now or again later."""

    octets: bytes
    """User data behind the header, as it came: one septet an octet unless :attr:`packed`."""
    charset: str
    """Name of the charset it is read with: see :mod:`smsc.text.charset`."""
    coding: int
    """The carrier's own coding number, kept so that a wrong guess can be redone."""
    udh: bytes = b""
    """The user data header with its length octet, or empty."""
    locking: int = 0
    """National language locking table; 0 is the default alphabet."""
    single: int = 0
    """National language single shift table; 0 is the default extension table."""
    packed: bool = False
    """``gsm7`` octets hold eight septets in seven, aligned to a septet behind the header."""
    cut: bytes = b""
    """What was cut from the end of :attr:`octets` because an option of the account said so."""


class Content(Struct, frozen=True, omit_defaults=True):
    """What a message says."""

    text: str
    """Always valid Unicode without lone surrogates; ``""`` where :attr:`encoding` is binary."""
    encoding: Encoding
    parts: tuple[Part, ...]
    """The parts it was read from, in order: one for an ordinary message."""
    missing: tuple[int, ...] = ()
    """Sequence numbers of segments that never came; each shows in the text as ``[…]``."""
    flags: tuple[str, ...] = ()
    """Remarks on the reading, such as ``undecodable-octets`` or ``bad-udh``."""

    @property
    def complete(self) -> bool:
        """Whether no segment is missing."""
        return not self.missing


class Message(Struct, frozen=True, omit_defaults=True):
    """A whole inbound SMS."""

    origin: Origin
    """Of its only part, or of the part that completed it."""
    source: Address
    destination: Address
    content: Content
    total: int = 1
    """How many segments it was sent in."""
    sent_at: Millis | None = None
    """The carrier's time, where the account says where to find it."""
    carrier_message_id: str | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    """Optional parameters as they came, in order, repeated ones too."""
    metadata: dict[str, str | int] = {}
    """Message class, ports, language and so on, where present: the names are those of
    :mod:`smsc.content.metadata`."""


class ReceiptReading(Struct, frozen=True, gc=False, omit_defaults=True):
    """How a receipt that comes in segments is to be read once it is whole."""

    time_zone: str = "UTC"
    """IANA zone of its dates."""
    ids: str = "as-is"
    """The rule for its ids."""
    by_text: bool = False
    """It is a receipt only if its text reads like one."""


class Fragment(Struct, frozen=True, omit_defaults=True):
    """One segment of a concatenated message or receipt."""

    origin: Origin
    source: Address
    destination: Address
    concat: Concat
    part: Part
    sent_at: Millis | None = None
    carrier_message_id: str | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    metadata: dict[str, str | int] = {}
    flags: tuple[str, ...] = ()
    receipt: ReceiptReading | None = None
    """Set where the whole is, or may be, a receipt."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """A delivery receipt, final or intermediate, read as far as it could be."""

    origin: Origin
    source: Address
    """The receipt's sender: the number the original message was sent to."""
    destination: Address
    """The receipt's recipient: the number the original message was sent from."""
    content: Content
    """The receipt's whole text."""
    id_text: str | None = None
    """The id as the text gives it."""
    id_tlv: str | None = None
    """The id as the optional parameter gives it."""
    id: str | None = None
    """The id to match on: parameter before text, in the form the account's rule asks for."""
    state: str | None = None
    """``DELIVRD``, ``UNDELIV`` …: as the specification abbreviates it where it is known."""
    error: str | None = None
    submitted: int | None = None
    """``sub``: messages submitted."""
    delivered: int | None = None
    """``dlvrd``: messages delivered."""
    submitted_at: Millis | None = None
    done_at: Millis | None = None
    text: str | None = None
    """``text``: the beginning of the original message."""
    tlvs: tuple[tuple[int, bytes], ...] = ()
    metadata: dict[str, str | int] = {}


class Unreadable(Struct, frozen=True):
    """What could not be read, kept raw so that it can be read again after a fix."""

    origin: Origin
    raw: bytes
    """The whole frame."""
    reason: str


Arrival = Message | Fragment | Receipt | Unreadable


class VerdictKind(Enum):
    """What the carrier is told about an arrival."""

    STORED = "stored"
    """Durable; never to be sent again."""
    THROTTLED = "throttled"
    """Over a rate or queue limit; nothing stored, send again later."""
    FULL = "full"
    """No room; nothing stored, send again later."""
    UNAVAILABLE = "unavailable"
    """Not known to be stored; send again later. If it was, the repeat is recognised."""


class Verdict(Struct, frozen=True, gc=False):
    """The answer to one arrival."""

    kind: VerdictKind
    id: str = ""
    """Id of the message or fragment where :attr:`kind` is STORED."""
