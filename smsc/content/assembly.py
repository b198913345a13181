"""Fragments → the message they are parts of.

A *set* is the fragments that belong together: equal :func:`set_key`. They arrive in any order,
twice, over several links and accounts of one carrier. What is joined is octets, never text: a
surrogate pair or an escape may be cut in two by a segment's end. So parts are joined as runs
of equal charset and tables, and each run is read once.
"""

import codecs
import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from smsc.message import Content, Fragment, Message, Millis, Part
from smsc.text import charset
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
    values = (
        fragment.origin.carrier,
        fragment.source.value,
        fragment.destination.value,
        f"{concat.bits} {concat.ref} {concat.total}",
    )
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
    origin is that of the part that arrived last; what else the parts carry is taken from the
    first part in order that has it.
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
        tuple(tlv for tlv in first.tlvs if tlv[0] not in _SEGMENT_TAGS),
        metadata,
    )


def _read(by_seq: dict[int, Fragment], total: int, flags: dict[str, None]) -> tuple[str, str]:
    """Return text and encoding; adds to ``flags`` what the reading has to remark."""
    texts: list[str] = []
    encodings: set[str] = set()
    slots = [by_seq[seq].part if seq in by_seq else None for seq in range(1, total + 1)]
    for tables, run in groupby(slots, _tables):
        if tables is None:
            texts.extend(GAP for _ in run)
            continue
        text, remarks = charset.decode(tables[0], _octets(tables[0], run), *tables[1:])
        texts.append(text)
        encodings.add(tables[0])
        flags.update(dict.fromkeys(remarks))
    if encodings == {charset.BINARY}:
        return "", charset.BINARY  # octets have no text, and gaps in them no place to show
    return "".join(texts), encodings.pop() if len(encodings) == 1 else MIXED


def _tables(part: Part | None) -> tuple[str, int, int] | None:
    return None if part is None else (part.charset, part.locking, part.single)


_MARKS = (codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)


def _octets(name: str, run: Iterable[Part | None]) -> bytes:
    octets = [part.octets for part in run if part is not None]
    if name.startswith("ucs2") and octets[0].startswith(_MARKS):
        # Some senders begin every segment with the byte order mark; one is enough to read by.
        mark = octets[0][:2]
        octets[1:] = [other.removeprefix(mark) for other in octets[1:]]
    return b"".join(octets)
