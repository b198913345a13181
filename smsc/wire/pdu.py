"""Frames ⇄ PDUs (SMPP 3.4 §3.2, §3.3, §5).

A frame is one whole PDU, as :class:`smsc.wire.framing.Framer` cuts it out of a stream. Any frame
decodes to one of two values:

* a :class:`Pdu`, perhaps with flags. A bad tail never costs the text: reading stops at the first
  optional parameter that runs past the end, and what is left over is kept as ``trailing``.
  Responses are read as tolerantly as they are sent: with or without body, with any status.
* an :class:`Undecodable`, which keeps its header, so that it can be answered by its number.

Lost framing, the third result, is the Framer's to find.

``encode(decode(frame)) == frame`` holds for every Pdu. All decoding is bounded by the frame and
linear in its length; nothing is allocated because a count says so.
"""

from struct import Struct as Packer
from struct import error as PackError  # noqa: N812  # an exception class, named like one
from typing import Any

from msgspec import Struct

from smsc.wire import faults
from smsc.wire.errors import WireError
from smsc.wire.faults import Misread, named
from smsc.wire.layout import LAYOUT_OF, LAYOUTS, UNREADABLE, UNWRITABLE, Layout, read, write
from smsc.wire.spec import (
    BINDS,
    COMMAND_NAMES,
    RESPONSE_BIT,
    Body,
    CommandId,
    Status,
)

__all__ = ["HEADER_SIZE", "Pdu", "Tlv", "Undecodable", "decode", "encode", "named"]

HEADER_SIZE = 16

Tlv = tuple[int, bytes]
"""An optional parameter: tag and value."""

_HEADER = Packer(">IIII")
_TLV = Packer(">HH")
_CREDENTIALS = BINDS | {CommandId.outbind}


class Pdu(Struct, frozen=True, gc=False):
    """One PDU.

    Flags say what was out of the ordinary when it was read: ``oversize:<field>`` (more octets
    than the specification allows), ``unreadable-body`` (of a response; its octets are in
    ``trailing``), ``tlv-overrun`` (an optional parameter runs past the end) and ``trailing``
    (one to three octets after the last one). The last two leave the rest in ``trailing``.
    """

    command_id: int
    command_status: int
    sequence_number: int
    body: Body | None = None
    """None where it is absent: in a response without one."""
    tlvs: tuple[Tlv, ...] = ()
    """As they came, in order, repeated ones too."""
    flags: tuple[str, ...] = ()
    trailing: bytes = b""
    """Octets after what could be read."""
    command_length: int = 0
    """As read; what is encoded has the length it has."""

    def tlv(self, tag: int) -> bytes | None:
        """Return the value of a parameter, of the first if it is repeated; None if absent."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None


class Undecodable(Struct, frozen=True):
    """A frame whose header could be read, and whose body could not.

    ``repr`` shows neither octets nor fields: they may hold numbers, texts and passwords.
    """

    command_id: int
    command_status: int
    sequence_number: int
    error: WireError
    frame: bytes
    """The whole PDU."""
    fields: dict[str, Any] = {}
    """What could be read of the body, as :func:`named` gives it, counts included."""
    undecoded: bytes = b""
    """The rest of the body; of an unknown command the whole body."""

    def __repr__(self) -> str:
        name = COMMAND_NAMES.get(self.command_id) or f"0x{self.command_id:08x}"
        return f"Undecodable({name}, sequence_number={self.sequence_number}, error={self.error})"


def decode(frame: bytes) -> Pdu | Undecodable:
    """Decode one frame.

    Never raises for 16 octets or more. Octets beyond ``command_length`` are not looked at; a
    frame shorter than that is Undecodable as *incomplete*.

    :raises ValueError: with less than a header.
    """
    if len(frame) < HEADER_SIZE:
        raise ValueError(f"a header has 16 octets, not {len(frame)}")
    length, command_id, status, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        if length < HEADER_SIZE or length > len(frame):
            return _misframed(frame)
        frame = frame[:length]
    layout = LAYOUTS.get(command_id)
    if layout is None:
        error = WireError("answer", Status.ESME_RINVCMDID, "command_id", 4, "unknown command_id")
        return Undecodable(command_id, status, sequence, error, frame, {}, frame[HEADER_SIZE:])
    if length == HEADER_SIZE and (layout.empty is not None or command_id & RESPONSE_BIT):
        return Pdu(command_id, status, sequence, layout.empty, (), (), b"", length)

    values: list[Any] = []
    flags: list[str] = []
    try:
        at = read(layout, frame, frame.decode("latin-1"), HEADER_SIZE, values, flags)
    except UNREADABLE:
        return _unreadable(frame, layout)
    if flags and command_id in _CREDENTIALS:
        found = faults.misread(layout.struct, frame)
        if found is not None:
            return _undecodable(frame, found)
    body = layout.struct(*values)
    if at == length and not flags:
        return Pdu(command_id, status, sequence, body, (), (), b"", length)
    tlvs, at = _read_tlvs(frame, at, flags)
    return Pdu(command_id, status, sequence, body, tlvs, tuple(flags), frame[at:], length)


def _read_tlvs(frame: bytes, at: int, flags: list[str]) -> tuple[tuple[Tlv, ...], int]:
    """Read optional parameters up to the end, or to the first that runs past it."""
    tlvs: list[Tlv] = []
    end = len(frame)
    behind = at
    while at + 4 <= end:
        tag, size = _TLV.unpack_from(frame, at)
        behind = at + 4 + size
        if behind > end:
            break
        tlvs.append((tag, frame[at + 4 : behind]))
        at = behind
    if at < end:
        flags.append("tlv-overrun" if behind > end else "trailing")
    return tuple(tlvs), at


def _unreadable(frame: bytes, layout: Layout) -> Pdu | Undecodable:
    length, command_id, status, sequence = _HEADER.unpack_from(frame)
    if command_id & RESPONSE_BIT:
        # Whatever a response is like, it answers a request of ours: its status counts.
        flags = ("unreadable-body",)
        return Pdu(command_id, status, sequence, None, (), flags, frame[HEADER_SIZE:], length)
    found = faults.misread(layout.struct, frame)
    assert found is not None  # both walks follow one specification
    return _undecodable(frame, found)


def _undecodable(frame: bytes, found: Misread) -> Undecodable:
    _, command_id, status, sequence = _HEADER.unpack_from(frame)
    return Undecodable(
        command_id, status, sequence, found.error, frame, found.fields, found.undecoded
    )


def _misframed(frame: bytes) -> Undecodable:
    length, command_id, status, sequence = _HEADER.unpack_from(frame)
    if length < HEADER_SIZE:
        detail = f"command_length {length} < {HEADER_SIZE}"
        error = WireError("close", Status.ESME_RINVCMDLEN, "command_length", 0, detail)
    else:
        detail = f"command_length {length} > {len(frame)} octets available"
        error = WireError("incomplete", Status.ESME_RINVCMDLEN, "command_length", 0, detail)
    return Undecodable(command_id, status, sequence, error, frame, {}, frame[HEADER_SIZE:])


def encode(pdu: Pdu) -> bytes:
    """Encode a PDU: header, body, optional parameters, trailing octets.

    A field above the specification's size is written only if the PDU's flags say so
    (``oversize:<field>``), as they do after decoding one.

    :raises ValueError: naming the field whose value does not fit.
    """
    body = pdu.body
    parts = [b""]
    if body is not None:
        layout = LAYOUT_OF.get(type(body))
        if layout is None or LAYOUTS.get(pdu.command_id) is not layout:
            raise ValueError(f"body: a {type(body).__name__} is no body of {pdu.command_id:#x}")
        try:
            regular = write(layout, body, parts)
        except UNWRITABLE:
            regular = False
        if not regular:
            complaint = faults.misfit(body, pdu.flags)
            if complaint is not None:
                raise ValueError(complaint)
    try:
        for tag, value in pdu.tlvs:
            parts.append(_TLV.pack(tag, len(value)))
            parts.append(value)
    except PackError:
        raise ValueError(f"tlvs: {len(value)} octets under tag {tag:#x} do not fit") from None
    parts.append(pdu.trailing)
    length = HEADER_SIZE + sum(map(len, parts))
    try:
        parts[0] = _HEADER.pack(length, pdu.command_id, pdu.command_status, pdu.sequence_number)
    except PackError:
        raise ValueError(_header_misfit(pdu)) from None
    return b"".join(parts)


def _header_misfit(pdu: Pdu) -> str:
    names = [
        name
        for name in ("command_id", "command_status", "sequence_number")
        if not isinstance(value := getattr(pdu, name), int) or not 0 <= value < 1 << 32
    ]
    return f"{', '.join(names) or 'command_length'}: does not fit 4 octets"
