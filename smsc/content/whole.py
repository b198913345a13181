"""User data that is whole → message or receipt: of one PDU, of joined segments, or stored before.

Parts keep the octets as they came and the carrier's own coding number. So a reading can be
redone: when it turns out that a carrier means another charset than was thought, its messages are
read again (:func:`reread`) with the account as it is now.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from smsc.config import Account
from smsc.content import assembly, receipt
from smsc.message import (
    Concat,
    Content,
    Fragment,
    Message,
    Part,
    Receipt,
    ReceiptReading,
)
from smsc.text import charset, coding, udh

CODING_MISMATCH: Final = "coding-mismatch"
"""Flag: a receipt's text is plainly in another charset than its data_coding says."""

_OF_READING = frozenset(
    {
        charset.UNDECODABLE,
        coding.UNKNOWN_CODING,
        coding.COMPRESSED,
        charset.UNKNOWN_CHARSET,
        CODING_MISMATCH,
        receipt.UNPARSED,
    }
)
"""Flags that another reading may clear."""


def content(part: Part, flags: tuple[str, ...]) -> Content:
    """Return the content of a message of one part."""
    if part.packed:
        text, remarks = charset.read(part)
    else:  # most messages, with one call less
        text, remarks = charset.decode(part.charset, part.octets, part.locking, part.single)
    return Content(text, part.charset, (part,), (), (*flags, *remarks) if remarks else flags)


def part_of(
    octets: bytes, code: int, header: udh.Header | None, account: Account
) -> tuple[Part, tuple[str, ...]]:
    """Return user data behind its header as the account's options read it, and flags."""
    name, flags = charset.for_coding(code, account.charsets)
    cut = b""
    if account.strip_trailing_nul and octets.endswith(b"\0"):
        octets, cut = _without_nul(octets, name)
    packed = account.packed and name == "gsm7"
    if header is None and not packed and not cut:
        return Part(octets, name, code), flags
    if header is None:
        return Part(octets, name, code, b"", 0, 0, packed, cut), flags
    locking, single = udh.shifts(header.elements)
    return Part(octets, name, code, header.octets, locking, single, packed, cut), flags


def _without_nul(octets: bytes, name: str) -> tuple[bytes, bytes]:
    """Cut the final NUL that some carriers end texts with, but not half a UCS-2 character."""
    if name == charset.BINARY:
        return octets, b""
    size = 1
    if name.startswith("ucs2") and len(octets) % 2 == 0:
        size = 2 if octets.endswith(b"\0\0") else 0
    end = len(octets) - size
    return octets[:end], octets[end:]


def of_receipt(part: Part, flags: tuple[str, ...]) -> tuple[Part, tuple[str, ...]]:
    """Return a receipt's part, and flags, with the charset its octets show plainly.

    Its coding is often that of the message it is about, while its own text is ASCII; or the
    text is UCS-2, and the coding forgotten.
    """
    octets = part.octets.rstrip(b"\0")
    name = part.charset
    if not octets:
        return part, flags
    if name == charset.BINARY or name.startswith("ucs2"):
        if octets.isascii() and b"\0" not in octets:
            return replace(part, charset="ascii"), (*flags, CODING_MISMATCH)
    elif octets[0] != 0:
        return part, flags
    wide = part.octets
    if name != "ucs2" and len(wide) >= 4 and len(wide) % 2 == 0 and not any(wide[::2]):
        return replace(part, charset="ucs2", packed=False), (*flags, CODING_MISMATCH)
    return part, flags


def as_receipt(message: Message, how: ReceiptReading) -> Receipt:
    """Return a message as the receipt it is."""
    return _receipt(message, _fields(message.content, message.tlvs, how))


def if_receipt(message: Message, how: ReceiptReading) -> Message | Receipt:
    """Return a message as a receipt where it reads like one, else as it is."""
    if not receipt.may_be_one(message.content.text, message.tlvs):
        return message
    fields = _fields(message.content, message.tlvs, how)
    return _receipt(message, fields) if receipt.reads_like_one(fields) else message


def reading_of(account: Account, *, by_text: bool = False) -> ReceiptReading:
    """Return how this account's receipts are read."""
    return ReceiptReading(account.time_zone, account.receipt_ids, by_text)


def _fields(
    content: Content, tlvs: tuple[tuple[int, bytes], ...], how: ReceiptReading
) -> receipt.Fields:
    parts = content.parts
    octets = b"".join([part.octets for part in parts])
    plain = octets.rstrip(b"\0")
    gsm7 = all(part.charset == "gsm7" and not part.packed for part in parts)
    text = content.text
    if nuls := len(octets) - len(plain):
        # A final NUL belongs to no field, though GSM 03.38 reads it as an "@".
        text = text.removesuffix("@" * nuls) if gsm7 else text.rstrip(charset.REPLACEMENT)
    fields = receipt.read(text, tlvs, how.time_zone, how.ids)
    if gsm7 and not content.missing and (written := plain.decode("latin-1")) != text:
        # Only the quoted text is in the alphabet: an SMSC writes its own words, and ids with "_"
        # in them, as ASCII.
        fields = replace(receipt.read(written, tlvs, how.time_zone, how.ids), text=fields.text)
    return fields


_HAS_FIELDS = frozenset({"receipted_message_id", "message_state"})
"""Names of metadata for which a receipt has fields."""


def _receipt(message: Message, fields: receipt.Fields) -> Receipt:
    content = message.content
    if fields.id is None and fields.stat is None:
        content = replace(content, flags=(*content.flags, receipt.UNPARSED))
    metadata = message.metadata
    if not _HAS_FIELDS.isdisjoint(metadata):
        metadata = {name: value for name, value in metadata.items() if name not in _HAS_FIELDS}
    return Receipt(
        origin=message.origin,
        source=message.source,
        destination=message.destination,
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
        tlvs=message.tlvs,
        metadata=metadata,
    )


def join(fragments: Sequence[Fragment]) -> Message | Receipt:
    """Return what a set's fragments are together: :func:`smsc.content.assembly.join`, and a
    receipt where they are segments of one."""
    message = assembly.join(fragments)
    # Accounts of one carrier may differ in whether they ask the text.
    how = next((fragment.receipt for fragment in fragments if fragment.receipt is not None), None)
    if how is None:
        return message
    return if_receipt(message, how) if how.by_text else as_receipt(message, how)


def reread(arrival: Message | Fragment | Receipt, account: Account) -> Message | Fragment | Receipt:
    """Return a stored arrival as the account's options read its octets now; never raises.

    What may change is all that follows from ``charsets``, ``packed``, ``strip_trailing_nul``,
    ``time_zone``, ``receipt_ids`` and ``receipt_by_text``: text, encoding, flags, the fields of a
    receipt, and whether a message is one. A receipt remains one. Origin, addresses, metadata and
    TLVs stay as they are.
    """
    if isinstance(arrival, Fragment):
        marked = arrival.receipt is not None and not arrival.receipt.by_text
        part, flags = _again(arrival.part, _lasting(arrival.flags), account, is_receipt=marked)
        how = reading_of(account, by_text=not marked)
        wanted = marked or account.receipt_by_text
        return replace(arrival, part=part, flags=flags, receipt=how if wanted else None)
    is_receipt = isinstance(arrival, Receipt)
    parts = []
    flags = _lasting(arrival.content.flags)
    for part in arrival.content.parts:
        part, flags = _again(part, flags, account, is_receipt=is_receipt)  # noqa: PLW2901  # it is
        parts.append(part)  # the same part, read anew
    total = len(parts) + len(arrival.content.missing)
    message = Message(
        arrival.origin,
        arrival.source,
        arrival.destination,
        _contents(arrival, parts, flags, total),
        total,
        tlvs=arrival.tlvs,
        metadata=arrival.metadata,
    )
    how = reading_of(account)
    if isinstance(arrival, Receipt):
        return as_receipt(message, how)
    if account.receipt_by_text and "message_type" not in arrival.metadata:
        read = if_receipt(message, how)
        if isinstance(read, Receipt):
            return read
    return replace(arrival, content=message.content)


def _lasting(flags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(flag for flag in flags if flag not in _OF_READING)


def _again(
    part: Part, flags: tuple[str, ...], account: Account, *, is_receipt: bool
) -> tuple[Part, tuple[str, ...]]:
    header = udh.parse(part.udh)
    octets = part.octets + part.cut
    part, remarks = part_of(octets, part.coding, header, account)
    flags = tuple(dict.fromkeys((*flags, *remarks)))
    return of_receipt(part, flags) if is_receipt else (part, flags)


def _contents(
    arrival: Message | Receipt, parts: list[Part], flags: tuple[str, ...], total: int
) -> Content:
    if total == 1:
        return content(parts[0], flags)
    there = (seq for seq in range(1, total + 1) if seq not in arrival.content.missing)
    fragments = [
        Fragment(
            arrival.origin,
            arrival.source,
            arrival.destination,
            Concat("udh", 16, 0, total, seq),
            part,
            flags=flags,
        )
        for seq, part in zip(there, parts, strict=True)
    ]
    return assembly.join(fragments).content
