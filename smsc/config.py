"""Options of accounts and listeners. Each is documented under itself; all have defaults.

Octets and counts are plain integers, durations are seconds.
"""

from typing import Literal

from msgspec import Struct

BindKind = Literal["receiver", "transmitter", "transceiver"]


DEFAULT_PORT = 2775
"""The port of SMPP, as IANA has it."""


def host_and_port(host: str) -> tuple[str, int]:
    """Split ``host:port``, ``[IPv6 address]:port`` or either without a port, then 2775.

    Raises ValueError, in words.
    """
    name, port = host, ""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("is no IPv6 address in brackets, with or without a port")
        port = rest[1:]
        colon = rest[:1]
    elif host.count(":") > 1:
        raise ValueError("is an IPv6 address: put it in brackets")
    else:
        name, colon, port = host.partition(":")
    if not name or any(character.isspace() or character in "/[]@" for character in name):
        raise ValueError("has no host name or address")
    if not all(1 <= len(label) <= 63 for label in name.removesuffix(".").split(".")):
        raise ValueError("has a host name with an empty part, or one of more than 63 letters")
    if colon and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError("has a port that is not 1 to 65535")
    return name, int(port) if colon else DEFAULT_PORT


class Dial(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How we connect to a carrier's SMSC ourselves. ``repr`` never shows the password.

    Timers and limits of such links are those of the first listener.
    """

    hosts: tuple[str, ...] = ()
    """``host:port`` of the carrier's SMSCs, tried in this order; port 2775 where none is given.
    IPv6 addresses stand in brackets: ``[2001:db8::1]:2775``. One that can't be reached is
    followed by the next at once, the last one by a pause; after a link was lost the first is
    tried again. Empty: we never dial, and only bind back where the carrier sends an
    ``outbind``."""
    binds: tuple[Literal["receiver", "transceiver"], ...] = ("transceiver",)
    """Which kinds of bind to keep up. An ``outbind`` is followed by the first."""
    links: int = 1
    """How many links of each kind to keep up. They count towards ``max_links``, but are not
    bounded by it."""
    system_id: str = ""
    """What we bind with. Default: the account's system_id."""
    password: str = ""
    """What we bind with: the carrier must be told it in plain, so it is kept as it is."""
    system_type: str = ""
    """What kind of system we say we are, where the carrier names one for us."""
    version: int = 0x34
    """interface_version of our binds: 0x33, 0x34 or 0x50."""
    address_range: str = ""
    """Which destination addresses this link serves, where the carrier wants to be told."""
    tls: bool = False
    """Connect with TLS 1.2 or later, and check that the carrier's certificate is vouched for and
    names the host."""
    tls_ca: str = ""
    """PEM file of the authorities trusted for it; empty: the system's."""
    tls_certificate: str = ""
    """PEM file of our own certificate and key, where the carrier wants one. Both files are read
    anew for each connection."""
    shortest_pause: float = 1
    """Seconds to wait after the first failure; doubled for each further one. By chance up to
    half of it is left out. A link that was bound for 30 seconds is no failure."""
    longest_pause: float = 60
    """Seconds to wait at most."""

    def __repr__(self) -> str:
        return f"Dial({', '.join(self.hosts)})"


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
    """Links at the same time, over all processes. 0: no limit. At the limit an older link makes
    room for a new one if its peer does not answer within two seconds."""
    window: int = 100
    """Requests of the carrier that may be unanswered at once; more are throttled."""
    rate: float = 0
    """Arrivals a second and link, 0 for no limit; more are throttled."""
    burst: int = 0
    """How many arrivals may come at once above the rate; 0: one second's worth."""

    pdu_limit: int = 0
    """Largest command_length accepted once bound, in octets; 0: the listener's."""
    allow_from: tuple[str, ...] = ()
    """Networks (CIDR) the carrier may bind from, such as ``192.0.2.0/24``; empty: any. Checked
    before the password; who comes from elsewhere is told only that the bind failed."""
    certificates: tuple[str, ...] = ()
    """SHA-256 fingerprints of the client certificates that may bind as this account, as
    ``openssl x509 -noout -fingerprint -sha256`` prints them; empty: none is asked for. A listener
    with ``tls.client_ca`` must have brought the link."""
    require_tls: bool = False
    """Refuse binds over plain connections."""
    dial: Dial | None = None
    """Connect to the carrier's SMSC ourselves."""
    outbind: bool = False
    """Accept ``outbind`` with this account's system_id and password, and bind back on that
    connection as ``dial`` says."""

    charsets: dict[int, str] = {}
    """data_coding → charset, for carriers that mean something of their own, e.g.
    ``{0 = "latin1"}``. What is not named is read as SMPP 3.4 §5.2.19 says, 0 as GSM 03.38."""
    packed: bool = False
    """GSM 03.38 text comes packed, eight septets in seven octets, aligned to a septet behind a
    user data header (3GPP TS 23.040 §9.2.3.24)."""
    default_country: str = ""
    """ISO 3166 alpha-2 code of the country national numbers belong to; empty: left as sent."""
    strip_trailing_nul: bool = False
    """Cut one final NUL from texts (in GSM 03.38 an octet 0 is an ``@``); binary content keeps
    its own."""
    time_zone: str = "UTC"
    """IANA zone of the dates in this carrier's receipts."""
    sent_at_tlv: int = 0
    """Tag of a TLV holding the carrier's time (digits ``YYMMDDhhmmss`` or ``YYYYMMDDhhmmss``),
    0 for none."""
    message_id_tlv: int = 0
    """Tag of a TLV holding the carrier's own message id, 0 for none."""
    repeats_by_id: float = 0
    """Seconds for which a message (or a part of one) with the same id in ``message_id_tlv``, over
    any account of the carrier, is taken for a repeat of the first: accepted, and not delivered
    again, whatever it says. 0: never, because not every carrier's ids are unique."""
    receipt_by_text: bool = False
    """Take a message for a receipt where its esm_class says nothing of its kind and it reads like
    one: an id, with a state that SMPP knows or with two more fields of a receipt; in the text or
    in receipted_message_id and message_state. For carriers that leave esm_class 0."""
    receipt_ids: Literal[
        "as-is", "decimal", "hexadecimal", "decimal-to-hexadecimal", "hexadecimal-to-decimal"
    ] = "as-is"
    """Which form ids in receipts are published in, beside the raw ones. ``as-is``:
    receipted_message_id, else the text's id, untouched. ``decimal`` and ``hexadecimal``: in this
    base wherever it is certain which base an id came in, because it holds a letter or because the
    text's and the parameter's are one number in two bases. ``decimal-to-hexadecimal`` and
    ``hexadecimal-to-decimal``: digits alone are a number in the first base too. Numbers lose
    leading zeros, and their letters are lower case; what is no number stays as it is."""
    unreadable: Literal["accept", "reject"] = "accept"
    """A PDU that can't be read: keep it in quarantine, where ``smsbridge quarantine`` shows it and
    reads it again after a fix, and accept it; or answer with an error."""
    tails: Literal["accept", "reject"] = "accept"
    """A PDU whose optional parameters run past its end, or are followed by what is none: take
    what could be read and flag it, or treat it as ``unreadable`` says."""
    doubtful_repeats: Literal["mark", "drop"] = "mark"
    """A repeat of an arrival that was answered on a link which then died: deliver it marked
    ``duplicateOf``, or drop it."""

    def __repr__(self) -> str:
        return f"Account({self.name!r}, system_id={self.system_id!r})"


class Timers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a link may take. Seconds; 0 switches a timer off."""

    session_init: float = 10
    """From connect to a successful bind; and for the answer to a bind of ours."""
    enquire_link: float = 30
    """Silence of the peer after which we ask whether it is there."""
    response: float = 10
    """For the answer to a request of ours; no answer closes the link. Where it is switched off,
    the answers to our unbinds and binds are still waited for 10 seconds only."""
    pdu: float = 30
    """From the first octet of a PDU to its last; a link that is slower is closed."""
    inactivity: float = 300
    """Without any PDU but enquire_link, after which the link is unbound."""


class ListenerTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS on a listener, from version 1.2 on. Its files are read again on SIGHUP, for new
    connections; one that can't be used leaves the old in force."""

    certificate: str
    """PEM file of the certificate, followed by its chain."""
    key: str = ""
    """PEM file of the private key, without a password; empty: it is in the certificate's file."""
    client_ca: str = ""
    """PEM file of the authorities whose client certificates are asked for and required; empty:
    none is asked for. Which account one may bind as, its ``certificates`` say."""


class Listener(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A port carriers connect to."""

    host: str = "0.0.0.0"  # noqa: S104  # carriers come from outside: that is its job
    """Address to listen on, or a name that stands for some; ``::`` for IPv6."""
    port: int = 2775
    """0: any free port."""
    timers: Timers = Timers()
    """How long its links may take."""
    pdu_limit: int = 131_072
    """Largest command_length accepted, in octets; above it framing is lost and the link closed."""
    unbound_limit: int = 1_024
    """The same before a successful bind."""
    max_connections: int = 2_000
    """Connections at once, bound or not; more wait in the kernel's queue."""
    system_id: str = "smsbridge"
    """What we call ourselves in bind answers."""
    tls: ListenerTls | None = None
    """Serve TLS instead of plain TCP; who speaks plainly here is turned away, with a line in the
    log that says so."""
    proxies: tuple[str, ...] = ()
    """Networks (CIDR) of load balancers that send a PROXY protocol header (v1 or v2), before TLS.
    From there it is required, from elsewhere it is not read. The address it names is the
    carrier's then: in logs, for ``allow_from`` and for the limits below."""
    binds_per_address: int = 0
    """Connections one address may have before they are bound; 0: no limit. One more is closed
    unheard. An IPv6 network of 64 bits counts as one address."""
    bind_rate: float = 0
    """Connections a second one address may open, with a burst of ten seconds' worth; 0: no
    limit. One above it is closed unheard."""
