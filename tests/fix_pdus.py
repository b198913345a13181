"""PDUs of every command, generated from the specification's tables (:mod:`smsc.wire.spec`).

What is drawn is as the specification has it, or out of its bounds in one named way.
"""

from typing import Any

from hypothesis import strategies as st

from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import (
    BIND_STRING_LIMIT,
    BODIES,
    TLV_FORMS,
    Bind,
    Body,
    CString,
    Element,
    Integer,
    Kind,
    Listing,
    Octets,
    Outbind,
    Tag,
    fields_of,
)

LONGEST = 300
"""Octets of a string, and of a parameter's value, that are drawn."""

uint32 = st.integers(0, 0xFFFFFFFF)
latin1 = st.characters(min_codepoint=1, max_codepoint=255)


def values(kind: Kind, longest: int = 0) -> st.SearchStrategy[Any]:
    """Values of a field; up to ``longest`` characters or octets where that is above its limit."""
    match kind:
        case Integer(size=size):
            return st.integers(0, (1 << 8 * size) - 1)
        case CString(limit=limit):
            return st.text(latin1, max_size=max(limit - 1, longest)) | st.just("")
        case Octets(limit=limit):
            return st.binary(max_size=max(limit, min(longest, 255)))
        case Listing(elements=elements):
            return st.lists(st.one_of([structs(e, longest) for e in elements]), max_size=4).map(
                tuple
            )


def structs(struct: type[Body] | type[Element], longest: int = 0) -> st.SearchStrategy[Any]:
    """Bodies or elements of one kind."""
    return st.builds(struct, *(values(kind, longest) for _, kind in fields_of(struct)))


def _proper(tag: Tag) -> st.SearchStrategy[tuple[int, bytes]]:
    form = TLV_FORMS[tag]
    octets = st.binary(min_size=form.least, max_size=min(form.most, LONGEST))
    return st.tuples(st.just(int(tag)), octets)


tlvs = st.lists(
    st.sampled_from(Tag).flatmap(_proper)
    | st.tuples(st.integers(0, 0xFFFF) | st.sampled_from(Tag), st.binary(max_size=LONGEST)),
    max_size=5,
).map(tuple)
"""Optional parameters: known ones in their form, any others, repeated ones."""


def pdus_of(command: int, longest: int = 0) -> st.SearchStrategy[Pdu]:
    """PDUs of one command."""
    body = BODIES[command]
    if issubclass(body, Bind | Outbind):
        longest = min(longest, BIND_STRING_LIMIT - 1)
    return st.builds(Pdu, st.just(int(command)), uint32, uint32, structs(body, longest), tlvs)


pdus = st.sampled_from(sorted(BODIES)).flatmap(pdus_of)
"""PDUs of any command."""


def exceeded(struct: Body | Element) -> set[str]:
    """The flags that a body's fields above the specification's sizes get."""
    flags: set[str] = set()
    for name, kind in fields_of(type(struct)):
        value = getattr(struct, name)
        if isinstance(kind, Listing):
            flags.update(*(exceeded(element) for element in value))
        elif (isinstance(kind, CString) and len(value) >= kind.limit) or (
            isinstance(kind, Octets) and len(value) > kind.limit
        ):
            flags.add("oversize:" + name)
    return flags


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw a frame: any body for a known command, or a good PDU spoilt in one place."""
    if draw(st.booleans()):
        command = draw(st.sampled_from(sorted(BODIES)) | uint32)
        body = draw(st.binary(max_size=120) | st.lists(st.sampled_from(b"\0\1\2aZ")).map(bytes))
        head = draw(st.binary(min_size=8, max_size=8))
        return (16 + len(body)).to_bytes(4, "big") + int(command).to_bytes(4, "big") + head + body
    frame = bytearray(encode(draw(pdus)))
    place = draw(st.integers(4, len(frame) - 1))
    match draw(st.sampled_from(["cut", "flip", "append"])):
        case "cut":
            del frame[max(place, 16) :]
        case "flip":
            frame[place] = draw(st.integers(0, 255))
        case _:
            frame += draw(st.binary(max_size=9))
    frame[:4] = len(frame).to_bytes(4, "big")
    return bytes(frame)
