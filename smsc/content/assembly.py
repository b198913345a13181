"""Fragments → the message they are parts of.

A *set* is the fragments that belong together: equal :func:`set_key`. They arrive in any order,
twice, over several links and accounts of one carrier. What is joined is octets, never text: a
surrogate pair or an escape may be cut in two by a segment's end. So parts are joined as runs
of equal charset and tables, and each run is read once. Packed septets begin anew in every
segment (3GPP TS 23.040 §9.2.3.24), so they are unpacked part by part before they are joined.
"""

import codecs
import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from smsc.message import Content, Fragment, Message, Millis, Part
from smsc.text import charset, packed
from smsc.wire.spec import Tag

GAP: Final = "[…]"
"""What stands in the text for a segment that never came."""
CONFLICTING: Final = "conflicting-part"
"""Flag: a segment came twice with different octets; the first to arrive counts."""
MIXED: Final = "mixed"
"""Encoding of a message whose parts were read with different charsets."""

_SEGMENT_TAGS = frozenset({Tag.sar_msg_ref_num, Tag.sar_total_segments, Tag.sar_segment_seqnum})


def set_key(fragment: Fragment) -> str:
    """Return what is equal for all parts of one message, and for no other's: 32 hex digits.

    Made of carrier, sender, recipient, the reference with its width, and the total (3GPP TS
    23.040 §9.2.3.24.1); not of the link or account. A digest, so that numbers stand in no key.
    """
    concat = fragment.concat
    values = [
        fragment.origin.carrier,
        fragment.source.value,
        fragment.destination.value,
        f"{concat.bits} {concat.ref} {concat.total}",
    ]
    if fragment.receipt is not None and not fragment.receipt.by_text:
        values.append("receipt")  # a phone's own messages may have the same reference
    # Lengths before the values: no two different lists of values run together alike.
    whole = "".join(f"{len(value)}:{value}" for value in values)
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def complete(seqs: Iterable[int], total: int) -> bool:
    """Say whether the segments 1 to ``total`` are all there."""
    return not missing(seqs, total)


def missing(seqs: Iterable[int], total: int) -> tuple[int, ...]:
    """Return the segments of 1 to ``total`` that are not there, in order."""
    have = set(seqs)
    return tuple(seq for seq in range(1, total + 1) if seq not in have)


def expires_at(first_received_at: Millis, timeout: float) -> Millis:
    """Return when a set is delivered with its gaps; ``timeout`` in seconds from its first part."""
    return first_received_at + int(timeout * 1000)


def join(fragments: Sequence[Fragment]) -> Message:
    """Return the message of a set's fragments, given in any order; there must be at least one.

    Of a segment that came twice the first to arrive counts. Segments that are missing show in
    the text as ``[…]`` where they belong, and in :attr:`~smsc.message.Content.missing`. The
    origin is that of the part that arrived last; what else the parts carry, each parameter for
    itself, is taken from the first part in order that has it.
    """
    arrived = sorted(fragments, key=lambda fragment: fragment.origin.received_at)
    by_seq: dict[int, Fragment] = {}
    flags: dict[str, None] = {}
    for fragment in arrived:
        flags.update(dict.fromkeys(fragment.flags))
        kept = by_seq.setdefault(fragment.concat.seq, fragment)
        if kept.part != fragment.part:
            flags[CONFLICTING] = None
    total = arrived[0].concat.total
    gaps = missing(by_seq, total)
    ordered = [by_seq[seq] for seq in sorted(by_seq)]
    text, encoding = _read(by_seq, total, flags)
    first = ordered[0]
    metadata: dict[str, str | int] = {}
    for fragment in reversed(ordered):
        metadata.update(fragment.metadata)
    return Message(
        arrived[-1].origin,
        first.source,
        first.destination,
        Content(text, encoding, tuple(f.part for f in ordered), gaps, tuple(flags)),
        total,
        next((f.sent_at for f in ordered if f.sent_at is not None), None),
        next((f.carrier_message_id for f in ordered if f.carrier_message_id is not None), None),
        _tlvs(ordered),
        metadata,
    )


def _tlvs(ordered: Sequence[Fragment]) -> tuple[tuple[int, bytes], ...]:
    found: list[tuple[int, bytes]] = []
    known: set[int] = set(_SEGMENT_TAGS)
    for fragment in ordered:
        fresh = [tlv for tlv in fragment.tlvs if tlv[0] not in known]
        found += fresh  # repeated ones too
        known.update(tag for tag, _ in fresh)
    return tuple(found)


def _read(by_seq: dict[int, Fragment], total: int, flags: dict[str, None]) -> tuple[str, str]:
    """Return text and encoding; adds to ``flags`` what the reading has to remark."""
    texts: list[str] = []
    encodings: set[str] = set()
    mark = b""
    slots = [by_seq[seq].part if seq in by_seq else None for seq in range(1, total + 1)]
    for how, run in groupby(slots, _how):
        if how is None:
            texts.extend(GAP for _ in run)
            continue
        name, locking, single, is_packed = how
        parts = [part for part in run if part is not None]
        if is_packed:
            octets = packed.join(parts)
        elif name.startswith("ucs2"):
            octets, sure = _ucs2(parts, mark, big=name == "ucs2")
            if not sure:
                flags[charset.UNDECODABLE] = None
            if octets.startswith(_MARKS):
                mark = octets[:2]
        else:
            octets = b"".join([part.octets for part in parts])
        text, remarks = charset.decode(name, octets, locking, single)
        texts.append(text)
        encodings.add(name)
        flags.update(dict.fromkeys(remarks))
    if encodings == {charset.BINARY}:
        return "", charset.BINARY  # octets have no text, and gaps in them no place to show
    return "".join(texts), encodings.pop() if len(encodings) == 1 else MIXED


def _how(part: Part | None) -> tuple[str, int, int, bool] | None:
    if part is None:
        return None
    return part.charset, part.locking, part.single, part.packed


_MARKS = (codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)


def _ucs2(parts: Sequence[Part], mark: bytes, *, big: bool) -> tuple[bytes, bool]:
    """Return the octets of a run of UCS-2, and whether each has its place.

    A byte order mark holds for what follows, also behind a gap: ``mark`` is that of the run
    before. Some senders begin every segment with one, which is no text. Where the octets don't
    come in pairs and a single part is to blame, the pairs behind it are kept whole.
    """
    octets = [part.octets for part in parts]
    odd = [place for place, part in enumerate(octets) if len(part) % 2]
    if octets[0].startswith(_MARKS):
        mark = octets[0][:2]
    elif mark:
        octets.insert(0, mark)
    at = len(octets[0])
    for place in range(1, len(octets)):
        part = octets[place]
        if at % 2 == 0 and part.startswith(_MARKS) and part[:2] == mark:
            octets[place] = part[2:]
        at += len(part)
    lost = len(odd) == 1 and odd[0] < len(parts) - 1
    if lost:
        place = odd[0] + len(octets) - len(parts)
        ordered = mark == codecs.BOM_UTF16_BE or (big and not mark)
        octets[place] = octets[place][:-1] + (b"\xff\xfd" if ordered else b"\xfd\xff")
    return b"".join(octets), not lost
