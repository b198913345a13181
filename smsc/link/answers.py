"""Answers to a peer's requests, as octets: which status, which response, what body. And our bind.

Answers are most of what a link writes, and nearly all of them are one shape: 17 octets that say
ESME_ROK to a ``deliver_sm``. So they are packed here directly; the tests hold them against
:func:`smsc.wire.pdu.encode`.
"""

import struct
from typing import Final

from smsc.config import Account, BindKind, Dial
from smsc.inbox import BindRefusal
from smsc.message import Verdict, VerdictKind
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    RESPONSE_BIT,
    BindReceiverResp,
    BindTransceiverResp,
    BindTransmitterResp,
    CommandId,
    Status,
    Tag,
    answer_id,
    status_name,
    status_text,
)

REFUSALS: Final[dict[BindRefusal, Status]] = {
    "unknown-system-id": Status.ESME_RINVSYSID,
    "wrong-password": Status.ESME_RINVPASWD,
    "address-not-allowed": Status.ESME_RBINDFAIL,
    "tls-required": Status.ESME_RBINDFAIL,
    "certificate-not-allowed": Status.ESME_RBINDFAIL,
    "outbind-not-allowed": Status.ESME_RBINDFAIL,
    "kind-not-allowed": Status.ESME_RBINDFAIL,
    "disabled": Status.ESME_RBINDFAIL,
    "too-many-links": Status.ESME_RALYBND,
    "unavailable": Status.ESME_RSYSERR,
}
"""What a refused bind is told."""

VERDICTS: Final[dict[VerdictKind, Status]] = {
    VerdictKind.STORED: Status.ESME_ROK,
    VerdictKind.THROTTLED: Status.ESME_RTHROTTLED,
    VerdictKind.FULL: Status.ESME_RMSGQFUL,
    VerdictKind.UNAVAILABLE: Status.ESME_RX_T_APPN,
}
"""What an arrival is told."""

OUR_VERSION: Final = 0x34
"""The version of the specification our answers keep to: ``sc_interface_version``."""

_BIND_RESPS: Final[
    dict[BindKind, type[BindReceiverResp | BindTransmitterResp | BindTransceiverResp]]
] = {
    "receiver": BindReceiverResp,
    "transmitter": BindTransmitterResp,
    "transceiver": BindTransceiverResp,
}
_BIND_COMMANDS: Final[dict[BindKind, int]] = {
    "receiver": CommandId.bind_receiver_resp,
    "transmitter": CommandId.bind_transmitter_resp,
    "transceiver": CommandId.bind_transceiver_resp,
}

_OUR_BINDS: Final[dict[BindKind, int]] = {
    "receiver": int(CommandId.bind_receiver),
    "transmitter": int(CommandId.bind_transmitter),
    "transceiver": int(CommandId.bind_transceiver),
}

_GENERIC_NACK: Final = int(CommandId.generic_nack)
_DELIVER_SM: Final = int(CommandId.deliver_sm)
_DELIVER_SM_RESP: Final = int(CommandId.deliver_sm_resp)
# These two carry a message_id even when it says nothing (SMPP 3.4 §4.6.2, §4.7.2), whereas
# submit_sm_resp has no body at all beside an error (§4.4.2).
_WITH_EMPTY_ID: Final = frozenset({int(CommandId.deliver_sm), int(CommandId.data_sm)})

_header: Final = struct.Struct(">IIII").pack
_header_and_nul: Final = struct.Struct(">IIIIx").pack
_STORED: Final = VerdictKind.STORED


def refused(command: int, status: int, sequence: int) -> bytes:
    """Answer a request with an error (or a command that has no body, with any status).

    By its own response; by ``generic_nack`` where there is none: unknown commands (§4.3), and
    ``outbind`` and ``alert_notification``, which are only answered if they are refused.
    """
    response = answer_id(command)
    if response is None:
        response = _GENERIC_NACK
    if command in _WITH_EMPTY_ID:
        return _header_and_nul(17, response, status, sequence)
    return _header(16, response, status, sequence)


def verdict_told(command: int, verdict: Verdict, sequence: int) -> bytes:
    """Answer a message PDU. Only submit_sm_resp and data_sm_resp carry the id (§4.6.2)."""
    if verdict.kind is not _STORED:
        return refused(command, VERDICTS[verdict.kind], sequence)
    if command == _DELIVER_SM:
        return _header_and_nul(17, _DELIVER_SM_RESP, 0, sequence)
    message_id = verdict.id.encode("ascii", "replace") + b"\0"
    return _header(16 + len(message_id), command | RESPONSE_BIT, 0, sequence) + message_id


def bound(kind: BindKind, version: int, system_id: str, sequence: int) -> bytes:
    """Answer a bind with yes. Peers older than 3.4 know no optional parameters (§1.1.1, §3.4.2)."""
    tlvs = ((int(Tag.sc_interface_version), bytes((OUR_VERSION,))),) if version >= 0x34 else ()
    body = _BIND_RESPS[kind](system_id=system_id)
    return encode(Pdu(_BIND_COMMANDS[kind], Status.ESME_ROK, sequence, body, tlvs))


def framing_lost(status: int) -> bytes:
    """Answer that the stream can't be cut into PDUs; no sequence_number is known (§4.3.1)."""
    return _header(16, _GENERIC_NACK, status, 0)


def bind_command(kind: BindKind) -> int:
    """Return the command_id of a bind of ours."""
    return _OUR_BINDS[kind]


def our_bind(account: Account, dial: Dial, kind: BindKind, sequence: int) -> bytes:
    """Return the bind we send as an ESME (§4.1), which carries no TLVs.

    Strings go out as they are configured: carriers give passwords longer than the eight octets of
    the specification. What is not Latin-1 becomes a question mark.
    """
    body = b"".join(
        (
            _c_string(dial.system_id or account.system_id),
            _c_string(dial.password),
            _c_string(dial.system_type),
            bytes((dial.version, 0, 0)),  # with addr_ton and addr_npi: unknown
            _c_string(dial.address_range),
        )
    )
    return _header(16 + len(body), _OUR_BINDS[kind], 0, sequence) + body


def refusal_told(command: int, status: int) -> str:
    """Return what a peer's refusal says, in words: ``ESME_RINVPASWD (invalid password)``."""
    words = status_text(status)
    told = f"{status_name(status)} ({words})" if words else status_name(status)
    return f"generic_nack {told}" if command == _GENERIC_NACK else told


def _c_string(value: str) -> bytes:
    return value.encode("latin-1", "replace").replace(b"\0", b"") + b"\0"
