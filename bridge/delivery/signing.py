"""Signatures and headers of a request (CONTRACT §3, §4; Standard Webhooks 1.0).

``v1`` is base64 of HMAC-SHA256 over ``id "." timestamp "." body``. Every live secret signs,
newest first, so that a receiver may hold either during a rotation.

Headers are rendered as octets: what is the same for every request of an endpoint once, the rest
per attempt. Nothing that reaches a header line can hold CR or LF: names are tokens, configured
values printable ASCII, ids checked by :class:`Letterhead`, and all else is made here.
"""

import hmac
import re
from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import blake2b

from bridge.model import Endpoint

SECRET_PREFIX = "whsec_"  # noqa: S105  # the public prefix, not a secret
SECRET_OCTETS = 32
MAX_SECRETS = 5
MAX_HEADERS = 20
MAX_HEADER_VALUE = 4_096

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_DENIED = frozenset(
    {"host", "connection", "transfer-encoding", "te", "upgrade", "trailer", "expect"}
)
_DENIED_PREFIXES = ("content-", "proxy-", "webhook-")


def make_secret(entropy: bytes) -> str:
    """Write 24 to 64 octets (32 are usual) as an endpoint secret, ``whsec_…``."""
    if not 24 <= len(entropy) <= 64:
        raise ValueError("a secret is made of 24 to 64 octets")
    return SECRET_PREFIX + b64encode(entropy).decode()


def parse_secret(secret: str) -> bytes:
    """Return a secret's key octets. Raises ValueError, without repeating it, if it is none."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("a secret starts with whsec_")
    try:
        key = b64decode(secret[len(SECRET_PREFIX) :], validate=True)
    except ValueError:
        raise ValueError("a secret is whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("a secret has 24 to 64 octets behind its base64")
    return key


class Signer:
    """Signs with the live secrets of one endpoint. ``repr`` never shows them."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        """Take 1 to 5 secrets, newest first. Raises ValueError for a malformed one."""
        if not 1 <= len(secrets) <= MAX_SECRETS:
            raise ValueError("an endpoint has 1 to 5 secrets")
        # Keyed once: a copy costs a fraction of a new HMAC.
        self._keyed = tuple(hmac.new(parse_secret(secret), None, "sha256") for secret in secrets)

    def __repr__(self) -> str:
        return f"Signer(secrets={len(self._keyed)})"

    def sign(self, identifier: bytes, timestamp: bytes, body: bytes) -> bytes:
        """Return the value of ``webhook-signature``: ``v1,…`` by each secret, space-separated."""
        signed = b"%b.%b.%b" % (identifier, timestamp, body)
        signatures = []
        for keyed in self._keyed:
            mac = keyed.copy()
            mac.update(signed)
            signatures.append(b"v1," + b2a_base64(mac.digest(), newline=False))
        return b" ".join(signatures)


def header_problem(name: str, value: str) -> str | None:
    """Say why a configured header can't be sent; None if it can."""
    if not _TOKEN.fullmatch(name):
        return "a header's name is letters, digits and - . _"
    lower = name.lower()
    if lower in _DENIED or lower.startswith(_DENIED_PREFIXES):
        return "this header is the gateway's own"
    if len(value) > MAX_HEADER_VALUE:
        return f"a header's value has at most {MAX_HEADER_VALUE} characters"
    if not _VALUE.fullmatch(value):
        return "a header's value is printable ASCII"
    if value != value.strip():
        return "a header's value has no blanks around it"
    return None


class Letterhead:
    """The headers of every request to one endpoint. ``repr`` shows no value."""

    def __init__(self, endpoint: Endpoint, version: str) -> None:
        """Prepare what stays the same.

        A configured ``user-agent`` or ``traceparent`` replaces ours. Raises ValueError for
        secrets and headers that can't be used; the text repeats no value.
        """
        self._signer = Signer(endpoint.secrets)
        own = _checked(endpoint.headers)
        names = {name.lower() for name in own}
        lines = [
            "content-type: application/json",
            f"webhook-endpoint-id: {_visible(endpoint.name)}",
        ]
        if "user-agent" not in names:
            lines.append(f"user-agent: smsbridge/{version}")
        lines.extend(f"{name}: {value}" for name, value in own.items())
        self._fixed = "".join(f"{line}\r\n" for line in lines).encode("ascii")
        self._traced = "traceparent" not in names

    def __repr__(self) -> str:
        return f"Letterhead({self._signer!r})"

    def write(
        self, event_id: str, body: bytes, *, timestamp: int, attempt: int, span: int
    ) -> bytes:
        """Render the header lines of one attempt, each ended by CRLF.

        ``timestamp`` is in Unix seconds, ``attempt`` 1-based, ``span`` a random 64-bit number.
        The trace is derived from the event, so that all its attempts share it.
        """
        identifier = event_id.encode("ascii")
        if not event_id.replace("_", "").isalnum():
            raise ValueError("an event id is letters, digits and _")
        stamp = b"%d" % timestamp
        lines = b"webhook-id: %b\r\nwebhook-timestamp: %b\r\nwebhook-signature: %b\r\n" % (
            identifier,
            stamp,
            self._signer.sign(identifier, stamp, body),
        )
        if not self._traced:
            return b"%bwebhook-attempt: %d\r\n%b" % (lines, attempt, self._fixed)
        return b"%bwebhook-attempt: %d\r\ntraceparent: 00-%b-%016x-01\r\n%b" % (
            lines,
            attempt,
            blake2b(identifier, digest_size=16).hexdigest().encode(),
            span | 1,  # all zeros would be invalid (W3C Trace Context §3.2.2.4)
            self._fixed,
        )


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"an endpoint has at most {MAX_HEADERS} headers")
    for name, value in headers.items():
        problem = header_problem(name, value)
        if problem:
            raise ValueError(f"header {_visible(name)}: {problem}")
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("a header is named twice, in different case")
    return headers


def _visible(name: str) -> str:
    # Names come from configuration: whatever they hold, a header line shows them harmlessly.
    return name.encode("ascii", "backslashreplace").decode().translate(_HARMLESS)


_HARMLESS = dict.fromkeys((*range(32), 127), "?")
