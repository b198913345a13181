"""PDU → arrival: what a carrier's PDU says, in words that any bearer could use.

This is the one place where SMPP's many ways to say a thing meet: content in ``short_message`` or
``message_payload``, segments by user data header or by ``sar_*``, receipts by esm_class. It runs
once for every PDU, and again over stored octets when a wrong guess is redone: all it needs is
the PDU, its frame and the account's options. It never raises for any PDU.
"""

from hashlib import sha256
from typing import Final

from smsc.config import Account
from smsc.content import receipt, whole
from smsc.content.address import normalise
from smsc.content.metadata import (
    REPLY_PATH,
    Metadata,
    of_address,
    of_fields,
    of_tlvs,
)
from smsc.message import (
    Address,
    Arrival,
    Concat,
    Fragment,
    Message,
    Millis,
    Origin,
    Part,
    Unreadable,
)
from smsc.text import coding, udh
from smsc.wire.pdu import Pdu, Undecodable
from smsc.wire.spec import COMMAND_NAMES, DataSm, DeliverSm, SubmitSm, Tag

UDHI: Final = 0x40
"""Bit of esm_class: the content begins with a user data header (SMPP 3.4 §5.2.12)."""

PAYLOAD_IGNORED: Final = "message-payload-ignored"
"""Flag: short_message and message_payload were both filled; the former was read."""
_TELLING: Final = receipt.MESSAGE_TYPE | REPLY_PATH
"""Bits of esm_class that metadata tell of."""

Tlvs = tuple[tuple[int, bytes], ...]

_MESSAGES = (DeliverSm, SubmitSm, DataSm)


def interpret(
    pdu: Pdu, frame: bytes, account: Account, *, link: str, place: int, received_at: Millis
) -> Arrival:
    """Return what a ``deliver_sm``, ``submit_sm`` or ``data_sm`` brought.

    ``frame`` is the PDU's octets, whose body makes the fingerprint; ``place`` counts the link's
    arrivals from 1. A PDU that is none of the three, or has no body, is unreadable.

    Content is ``short_message``, or where that is empty ``message_payload``, which is then no
    longer among the arrival's TLVs. A segment number in the user data header goes before
    ``sar_*``; a message of one segment is an ordinary message; an impossible number makes an
    ordinary message, flagged. Segments of a receipt are fragments too:
    :func:`smsc.content.whole.join` makes a receipt of them.
    """
    origin = _origin(pdu.command_id, frame, account, link, place, received_at)
    body = pdu.body
    if not isinstance(body, _MESSAGES):
        return Unreadable(origin, frame, f"{_name(pdu.command_id)} brings no message")
    metadata: Metadata = {}
    source, destination = _envelope(body, account, metadata)
    octets, tlvs, flags = _content(pdu, body, account)
    part, concat, flags = _part(pdu, body, account, octets, flags, metadata)
    kind = body.esm_class & receipt.MESSAGE_TYPE
    is_receipt = kind and receipt.is_receipt(kind)
    if is_receipt:
        part, flags = whole.of_receipt(part, flags)
    carrier_message_id: str | None = None
    sent_at: Millis | None = None
    if tlvs:
        of_tlvs(tlvs, metadata)
        carrier_message_id, sent_at = _named(pdu, account)
    if pdu.trailing:
        metadata["tail"] = pdu.trailing.hex()
    by_text = not kind and account.receipt_by_text
    if concat is not None and concat.total > 1:
        how = whole.reading_of(account, by_text=by_text) if is_receipt or by_text else None
        return Fragment(
            origin,
            source,
            destination,
            concat,
            part,
            sent_at,
            carrier_message_id,
            tlvs,
            metadata,
            flags,
            how,
        )
    message = Message(
        origin,
        source,
        destination,
        whole.content(part, flags),
        1,
        sent_at,
        carrier_message_id,
        tlvs,
        metadata,
    )
    if is_receipt:
        return whole.as_receipt(message, whole.reading_of(account))
    if by_text:
        return whole.if_receipt(message, whole.reading_of(account))
    return message


def unreadable(
    undecodable: Undecodable, account: Account, *, link: str, place: int, received_at: Millis
) -> Unreadable:
    """Return what could not be decoded as an arrival that keeps its octets."""
    error = undecodable.error
    return Unreadable(
        _origin(undecodable.command_id, undecodable.frame, account, link, place, received_at),
        undecodable.frame,
        f"{_name(undecodable.command_id)}: {error.detail} (octet {error.offset})",
    )


def _name(command_id: int) -> str:
    return COMMAND_NAMES.get(command_id) or f"command {command_id:08x}"


_SEEDS = {command: name.encode() + b"\0" for command, name in COMMAND_NAMES.items()}


def _origin(
    command_id: int, frame: bytes, account: Account, link: str, place: int, received_at: Millis
) -> Origin:
    # Behind the header: a retransmission has a new sequence number, and is equal otherwise.
    seed = _SEEDS.get(command_id) or _name(command_id).encode() + b"\0"
    return Origin(
        account.name,
        account.carrier or account.name,
        link,
        place,
        received_at,
        sha256(seed + frame[16:]).digest(),
    )


def _envelope(
    body: DeliverSm | SubmitSm | DataSm, account: Account, metadata: Metadata
) -> tuple[Address, Address]:
    """Return sender and recipient; adds to ``metadata`` what the fields around the text say."""
    value, ton, npi = body.source_addr, body.source_addr_ton, body.source_addr_npi
    source = normalise(value, ton, npi, account.default_country)
    if ton != 1 or npi != 1 or source.type != "e164":
        of_address("source", value, ton, npi, source, metadata)
    value, ton, npi = body.destination_addr, body.dest_addr_ton, body.dest_addr_npi
    destination = normalise(value, ton, npi, account.default_country)
    if ton != 1 or npi != 1 or destination.type != "e164":
        of_address("dest", value, ton, npi, destination, metadata)
    if (
        body.esm_class & _TELLING
        or body.service_type
        or (not isinstance(body, DataSm) and (body.protocol_id or body.priority_flag))
    ):
        of_fields(body, metadata)
    return source, destination


def _content(
    pdu: Pdu, body: DeliverSm | SubmitSm | DataSm, account: Account
) -> tuple[bytes, Tlvs, tuple[str, ...]]:
    """Return the content with its header, the TLVs beside it, and flags."""
    octets = b"" if isinstance(body, DataSm) else body.short_message
    if not pdu.tlvs:
        return octets, (), pdu.flags
    payload = pdu.tlv(Tag.message_payload)
    if payload is None:
        return octets, pdu.tlvs, pdu.flags
    if octets and not (account.strip_trailing_nul and octets in (b"\0", b"\0\0")):
        return octets, pdu.tlvs, (*pdu.flags, PAYLOAD_IGNORED) if payload else pdu.flags
    at = pdu.tlvs.index((Tag.message_payload, payload))
    return payload, pdu.tlvs[:at] + pdu.tlvs[at + 1 :], pdu.flags


def _part(
    pdu: Pdu,
    body: DeliverSm | SubmitSm | DataSm,
    account: Account,
    octets: bytes,
    flags: tuple[str, ...],
    metadata: Metadata,
) -> tuple[Part, Concat | None, tuple[str, ...]]:
    """Return the part, which segment it is, and flags; adds to ``metadata`` what it finds."""
    code = body.data_coding
    if code > 0x0F:
        metadata.update(coding.metadata(code))
    concat: Concat | None = None
    header: udh.Header | None = None
    if body.esm_class & UDHI:
        header = udh.parse(octets)
        if header is None:
            flags = (*flags, udh.BAD_UDH)
        else:
            octets = octets[len(header.octets) :]
            concat, remarks = udh.concat(header.elements)
            flags = (*flags, *remarks)
            if len(header.elements) > 1 or concat is None:
                metadata.update(udh.metadata(header.elements))
    part, remarks = whole.part_of(octets, code, header, account)
    if remarks:
        flags = (*flags, *remarks)
    if pdu.tlvs and concat is None:
        concat, remarks = sar(pdu)
        flags = (*flags, *remarks)
    return part, concat, flags


def sar(pdu: Pdu) -> tuple[Concat | None, tuple[str, ...]]:
    """Return the segment the ``sar_*`` TLVs name (SMPP 3.4 §5.3.2.22 to 24), and flags."""
    total = pdu.tlv(Tag.sar_total_segments)
    if total is None:
        return None, ()
    reference = pdu.tlv(Tag.sar_msg_ref_num)
    seq = pdu.tlv(Tag.sar_segment_seqnum)
    if reference is None or seq is None or not (len(total) == len(seq) == 1 <= len(reference) <= 2):
        return None, (udh.BAD_CONCAT,)
    if not 1 <= seq[0] <= total[0]:
        return None, (udh.BAD_CONCAT,)
    return Concat("sar", 16, int.from_bytes(reference, "big"), total[0], seq[0]), ()


def _named(pdu: Pdu, account: Account) -> tuple[str | None, Millis | None]:
    """Return what the account's own TLVs say: the carrier's message id, and its time."""
    message_id = sent_at = None
    if account.message_id_tlv:
        value = pdu.tlv(account.message_id_tlv)
        message_id = receipt.text_of(value) if value is not None else None
    if account.sent_at_tlv:
        value = pdu.tlv(account.sent_at_tlv)
        if value is not None:
            digits = receipt.text_of(value) or ""
            sent_at = receipt.millis(receipt.date(digits, account.time_zone))
    return message_id, sent_at
