"""Options of accounts and listeners. Each is documented under itself; all have defaults.

Octets and counts are plain integers, durations are seconds.
"""

from typing import Literal

from msgspec import Struct

BindKind = Literal["receiver", "transmitter", "transceiver"]


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A carrier's SMPP credentials and settings. ``repr`` never shows the hash."""

    name: str
    """Unique name; what logs, lists and payload filters use."""
    system_id: str
    """What the carrier binds with. Unique over all accounts."""
    password_hash: str = ""
    """Argon2id hash of the bind password (``smsbridge keys hash-password``)."""
    carrier: str = ""
    """Carrier this account belongs to: the scope in which parts of one message are joined,
    and what payloads show. Default: the account's name."""
    binds: tuple[BindKind, ...] = ("receiver", "transmitter", "transceiver")
    """Which kinds of bind are accepted."""
    enabled: bool = True
    """A disabled account is unbound and refused."""

    max_links: int = 8
    """Links at the same time, over all processes. 0: no limit."""
    window: int = 100
    """Requests of the carrier that may be unanswered at once; more are throttled."""
    rate: float = 0
    """Arrivals a second and link, 0 for no limit; more are throttled."""
    burst: int = 0
    """How many arrivals may come at once above the rate; 0: one second's worth."""

    charsets: dict[int, str] = {}
    """data_coding → charset, for carriers that mean something of their own, e.g.
    ``{0 = "latin1"}``. What is not named is read as SMPP 3.4 §5.2.19 says, 0 as GSM 03.38."""
    default_country: str = ""
    """ISO 3166 alpha-2 code of the country national numbers belong to; empty: left as sent."""
    strip_trailing_nul: bool = False
    """Cut one final NUL from short_message (in GSM 03.38 an octet 0 is an ``@``)."""
    time_zone: str = "UTC"
    """IANA zone of the dates in this carrier's receipts."""
    sent_at_tlv: int = 0
    """Tag of a TLV holding the carrier's time (digits ``YYMMDDhhmmss`` or ``YYYYMMDDhhmmss``),
    0 for none."""
    message_id_tlv: int = 0
    """Tag of a TLV holding the carrier's own message id, 0 for none."""
    doubtful_repeats: Literal["mark", "drop"] = "mark"
    """A repeat of an arrival that was answered on a link which then died: deliver it marked
    ``duplicateOf``, or drop it."""

    def __repr__(self) -> str:
        return f"Account({self.name!r}, system_id={self.system_id!r})"


class Timers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a link may take. Seconds; 0 switches a timer off."""

    session_init: float = 10
    """From connect to a successful bind."""
    enquire_link: float = 30
    """Silence of the peer after which we ask whether it is there."""
    response: float = 10
    """For the answer to a request of ours; no answer closes the link."""
    inactivity: float = 300
    """Without any PDU but enquire_link, after which the link is unbound."""


class Listener(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A port carriers connect to."""

    host: str = "0.0.0.0"  # noqa: S104  # carriers come from outside: that is its job
    port: int = 2775
    timers: Timers = Timers()
    pdu_limit: int = 131_072
    """Largest command_length accepted, in octets; above it framing is lost and the link closed."""
    unbound_limit: int = 1_024
    """The same before a successful bind."""
    max_connections: int = 2_000
    """Connections at once, bound or not; more wait in the kernel's queue."""
    system_id: str = "smsbridge"
    """What we call ourselves in bind answers."""
