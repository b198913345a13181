"""PDU → arrival: what a carrier's PDU says, in words that any bearer could use.

This is the one place where SMPP's many ways to say a thing meet: content in ``short_message`` or
``message_payload``, segments by user data header or by ``sar_*``, receipts by esm_class. It runs
once for every PDU, and again over stored octets when a wrong guess is redone: all it needs is
the PDU, its frame and the account's options. It never raises for any PDU.
"""

from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from smsc.config import Account
from smsc.content import receipt
from smsc.content.address import normalise
from smsc.message import (
    Address,
    Arrival,
    Concat,
    Content,
    Fragment,
    Message,
    Millis,
    Origin,
    Part,
    Receipt,
    Unreadable,
)
from smsc.text import charset, udh
from smsc.wire.pdu import Pdu, Undecodable
from smsc.wire.spec import COMMAND_NAMES, DataSm, DeliverSm, SubmitSm, Tag

UDHI: Final = 0x40
"""Bit of esm_class: the content begins with a user data header (SMPP 3.4 §5.2.12)."""

PAYLOAD_IGNORED: Final = "message-payload-ignored"
"""Flag: short_message and message_payload were both filled; the former was read."""
CODING_MISMATCH: Final = "coding-mismatch"
"""Flag: a receipt's text is plainly ASCII, whatever its data_coding says."""

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
    ordinary message, flagged.
    """
    origin = _origin(pdu.command_id, frame, account, link, place, received_at)
    body = pdu.body
    if not isinstance(body, _MESSAGES):
        return Unreadable(origin, frame, f"{_name(pdu.command_id)} brings no message")
    country = account.default_country
    source = normalise(body.source_addr, body.source_addr_ton, body.source_addr_npi, country)
    destination = normalise(body.destination_addr, body.dest_addr_ton, body.dest_addr_npi, country)
    octets, tlvs, flags = _content(pdu, body, account)
    metadata: dict[str, str | int] = {}
    part, concat, flags = _part(pdu, body, account, octets, flags, metadata)
    carrier_message_id, sent_at = _named(pdu, account) if tlvs else (None, None)
    if body.esm_class & receipt.MESSAGE_TYPE:
        kind = receipt.MESSAGE_TYPES.get(body.esm_class & receipt.MESSAGE_TYPE)
        if kind:
            metadata["message_type"] = kind
        if receipt.is_receipt(body.esm_class):
            return _receipt(origin, source, destination, part, flags, tlvs, metadata, account)
    if concat is not None and concat.total > 1:
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
        )
    text, remarks = charset.decode(part.charset, part.octets, part.locking, part.single)
    if remarks:
        flags = (*flags, *remarks)
    return Message(
        origin,
        source,
        destination,
        Content(text, part.charset, (part,), (), flags),
        1,
        sent_at,
        carrier_message_id,
        tlvs,
        metadata,
    )


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


def _content(
    pdu: Pdu, body: DeliverSm | SubmitSm | DataSm, account: Account
) -> tuple[bytes, Tlvs, tuple[str, ...]]:
    """Return the content with its header, the TLVs beside it, and flags."""
    octets = b""
    if not isinstance(body, DataSm):
        octets = body.short_message
        if account.strip_trailing_nul and octets.endswith(b"\0"):
            octets = _without_nul(octets, body.data_coding, account)
    if not pdu.tlvs:
        return octets, (), pdu.flags
    payload = pdu.tlv(Tag.message_payload)
    if payload is None:
        return octets, pdu.tlvs, pdu.flags
    if octets:
        return octets, pdu.tlvs, (*pdu.flags, PAYLOAD_IGNORED) if payload else pdu.flags
    at = pdu.tlvs.index((Tag.message_payload, payload))
    return payload, pdu.tlvs[:at] + pdu.tlvs[at + 1 :], pdu.flags


def _without_nul(octets: bytes, coding: int, account: Account) -> bytes:
    """Cut the final NUL that some carriers end texts with, but not half a UCS-2 character."""
    name, _ = charset.for_coding(coding, account.charsets)
    if not name.startswith("ucs2") or len(octets) % 2:
        return octets[:-1]
    return octets[:-2] if octets.endswith(b"\0\0") else octets


def _part(
    pdu: Pdu,
    body: DeliverSm | SubmitSm | DataSm,
    account: Account,
    octets: bytes,
    flags: tuple[str, ...],
    metadata: dict[str, str | int],
) -> tuple[Part, Concat | None, tuple[str, ...]]:
    """Return the part, which segment it is, and flags; adds to ``metadata`` what it finds."""
    coding = body.data_coding
    name, remarks = charset.for_coding(coding, account.charsets)
    if remarks:
        flags = (*flags, *remarks)
    if coding > 0x0F and (message_class := charset.message_class(coding)) is not None:
        metadata["message_class"] = message_class
    concat: Concat | None = None
    part: Part | None = None
    if body.esm_class & UDHI:
        header = udh.parse(octets)
        if header is None:
            flags = (*flags, udh.BAD_UDH)
        else:
            octets = octets[len(header.octets) :]
            concat, remarks = udh.concat(header.elements)
            flags = (*flags, *remarks)
            if ports := udh.ports(header.elements):
                metadata["destination_port"], metadata["source_port"] = ports
            part = Part(octets, name, coding, header.octets, *udh.shifts(header.elements))
    if pdu.tlvs and concat is None:
        concat, remarks = sar(pdu)
        flags = (*flags, *remarks)
    return part or Part(octets, name, coding), concat, flags


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


def _receipt(
    origin: Origin,
    source: Address,
    destination: Address,
    part: Part,
    flags: tuple[str, ...],
    tlvs: Tlvs,
    metadata: dict[str, str | int],
    account: Account,
) -> Receipt:
    octets = part.octets
    if part.charset.startswith("ucs2") and octets.isascii() and b"\0" not in octets and octets:
        # The coding is that of the message the receipt is about; its own text is ASCII.
        part = replace(part, charset="ascii")
        flags = (*flags, CODING_MISMATCH)
    text, remarks = charset.decode(part.charset, octets, part.locking, part.single)
    content = Content(text, part.charset, (part,), (), (*flags, *remarks))
    if octets.endswith(b"\0"):
        # A final NUL belongs to no field, though GSM 03.38 reads it as an "@".
        if part.charset == "gsm7":
            text, _ = charset.decode("gsm7", octets.rstrip(b"\0"))
        text = text.rstrip(charset.REPLACEMENT)
    fields = receipt.read(text, tlvs, account.time_zone)
    if part.charset == "gsm7" and (plain := octets.decode("latin-1").rstrip("\0")) != text:
        # Only the quoted text is in the alphabet: an SMSC writes its own words, and ids with "_"
        # in them, as ASCII.
        fields = replace(receipt.read(plain, tlvs, account.time_zone), text=fields.text)
    if fields.network_error is not None:
        metadata["network_error_type"], metadata["network_error_code"] = fields.network_error
    return Receipt(
        origin=origin,
        source=source,
        destination=destination,
        content=content,
        id_text=fields.id_text,
        id_tlv=fields.id_tlv,
        id=fields.id,
        state=fields.stat,
        error=fields.err,
        submitted=fields.sub,
        delivered=fields.dlvrd,
        submitted_at=receipt.millis(fields.submit_date),
        done_at=receipt.millis(fields.done_date),
        text=fields.text,
        tlvs=tlvs,
        metadata=metadata,
    )
