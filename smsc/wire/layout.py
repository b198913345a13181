"""Bodies compiled from the specification: how :mod:`smsc.wire.pdu` reads and writes them.

Each struct is compiled once, at import, into two short lists of steps, because the two directions
are quick in different ways. Reading: a search for NUL and one ``struct.Struct`` for the integers
behind it. Writing: one template for all scalars in a row, which becomes octets as Latin-1 (so an
integer is the character of that number, and one above 255 fails to encode).

A count is the last integer before what it counts. *Wire values* are a body's values with the
counts among them.

Both walks only say that something does not fit. What exactly is found by a second, slow walk,
field by field (:mod:`smsc.wire.faults`): faults are rare, messages are not.
"""

from collections.abc import Callable
from struct import Struct as Packer
from struct import error as PackError  # noqa: N812  # an exception class, named like one
from typing import Any, Final, NamedTuple

from msgspec.structs import astuple

from smsc.wire.fields import (
    Body,
    CString,
    Element,
    Field,
    Integer,
    Listing,
    Octets,
    fields_of,
)
from smsc.wire.spec import BODIES

STRING: Final = 0
INTEGERS: Final = 1
COUNTED: Final = 2
LISTING: Final = 3
SCALARS: Final = 4

_INTEGER_CODES = {1: "B", 4: "I"}
_NOTHING = Packer("").unpack_from


class ReadStep(NamedTuple):
    """One step of reading. A tuple: the hot loop takes it apart in one instruction."""

    kind: int
    """STRING: a C-octet string and the integers behind it; INTEGERS; COUNTED; LISTING."""
    name: str
    limit: int
    """Most octets or elements by the specification; of a string with its NUL."""
    width: int
    """Octets of the integers, 0 for none."""
    unpack: Callable[[bytes, int], tuple[Any, ...]]
    """Reads the integers."""
    listing: "Elements | None" = None


class WriteStep(NamedTuple):
    """One step of writing."""

    kind: int
    """SCALARS: strings and one-octet integers; INTEGERS: one longer one; COUNTED; LISTING."""
    begin: int
    """Its first place among the wire values."""
    end: int
    """The place behind its last."""
    template: str = ""
    strings: tuple[tuple[int, int], ...] = ()
    """Place and size limit of each string of the template."""
    limit: int = 0
    size: int = 0
    listing: "Elements | None" = None


class Elements:
    """The kinds of element of one list, compiled."""

    __slots__ = ("by_flag", "by_type", "flagged")

    def __init__(self, listing: Listing) -> None:
        layouts = [Layout(element) for element in listing.elements]
        self.flagged = bool(listing.flag)
        self.by_flag = {layout.flag: layout for layout in layouts}
        self.by_type = {layout.struct: layout for layout in layouts}


class Layout:
    """A struct and the steps to read and write it."""

    __slots__ = ("counts", "empty", "flag", "reads", "struct", "writes")

    def __init__(self, struct: type[Body] | type[Element]) -> None:
        fields = fields_of(struct)
        self.struct: type[Any] = struct
        self.flag: int = struct.element_flag if issubclass(struct, Element) else 0
        self.empty: Any = None if fields else struct()
        """The body itself, where it has no fields."""
        lists = {name: Elements(kind) for name, kind in fields if isinstance(kind, Listing)}
        self.reads = _reads(fields, lists)
        self.writes = _writes(fields, lists)
        self.counts = tuple(
            place + before
            for before, place in enumerate(
                place for place, (_, kind) in enumerate(fields) if isinstance(kind, _COUNTED)
            )
        )
        """Places of the counts among the wire values; what each counts comes right after."""


_COUNTED = Octets | Listing


def _reads(fields: tuple[Field, ...], lists: dict[str, Elements]) -> tuple[ReadStep, ...]:
    steps: list[ReadStep] = []
    string: tuple[str, int] | None = None
    codes = ""

    def flush() -> None:
        nonlocal string, codes
        packer = Packer(">" + codes)
        if string is not None:
            steps.append(ReadStep(STRING, *string, packer.size, packer.unpack_from))
        elif codes:
            steps.append(ReadStep(INTEGERS, "", 0, packer.size, packer.unpack_from))
        string, codes = None, ""

    for name, kind in fields:
        if isinstance(kind, Integer):
            codes += _INTEGER_CODES[kind.size]
        elif isinstance(kind, CString):
            flush()
            string = (name, kind.limit)
        else:
            codes += _INTEGER_CODES[1]
            flush()
            what = LISTING if name in lists else COUNTED
            steps.append(ReadStep(what, name, kind.limit, 0, _NOTHING, lists.get(name)))
    flush()
    return tuple(steps)


def _writes(fields: tuple[Field, ...], lists: dict[str, Elements]) -> tuple[WriteStep, ...]:
    steps: list[WriteStep] = []
    template = ""
    strings: list[tuple[int, int]] = []
    begin = place = 0

    def flush() -> None:
        nonlocal template, begin
        if template:
            steps.append(WriteStep(SCALARS, begin, place, template, tuple(strings)))
        template = ""
        strings.clear()
        begin = place

    for name, kind in fields:
        if isinstance(kind, CString):
            strings.append((place, kind.limit))
            template += "%s\0"
        elif not isinstance(kind, Integer):
            template += "%c"
            place += 1
            flush()
            what = LISTING if name in lists else COUNTED
            listing = lists.get(name)
            steps.append(WriteStep(what, place, place + 1, limit=kind.limit, listing=listing))
            begin = place + 1
        elif kind.size == 1:
            template += "%c"
        else:
            flush()
            steps.append(WriteStep(INTEGERS, place, place + 1, size=kind.size))
            begin = place + 1
        place += 1
    flush()
    return tuple(steps)


LAYOUTS: dict[int, Layout] = {int(command): Layout(body) for command, body in BODIES.items()}
LAYOUT_OF: dict[type, Layout] = {layout.struct: layout for layout in LAYOUTS.values()}


UNREADABLE = (ValueError, PackError, LookupError)
"""What :func:`read` raises; :func:`smsc.wire.faults.misread` then finds the field."""


def read(
    layout: Layout, frame: bytes, text: str, at: int, values: list[Any], flags: list[str]
) -> int:
    """Append the values from octet `at` on to `values`; return the octet behind them.

    `text` is the frame as Latin-1, so that a string is a slice of it. What exceeds the
    specification's size is read all the same, and ``oversize:<field>`` added to `flags`.

    :raises Exception: one of :data:`UNREADABLE`, where the octets end too early or mean nothing.
    """
    find = text.index
    for kind, name, limit, width, unpack, listing in layout.reads:
        if kind == STRING:
            nul = find("\0", at)
            values.append(text[at:nul])
            if nul - at >= limit:
                flags.append("oversize:" + name)
            at = nul + 1
        if width:
            values += unpack(frame, at)
            at += width
        elif kind >= COUNTED:
            count = values.pop()
            if count > limit:
                flags.append("oversize:" + name)
            if listing is None:
                behind = at + count
                if behind > len(frame):
                    raise IndexError(name)
                values.append(frame[at:behind])
                at = behind
            else:
                at = _read_list(listing, count, frame, text, at, values, flags)
    return at


def _read_list(
    listing: Elements,
    count: int,
    frame: bytes,
    text: str,
    at: int,
    values: list[Any],
    flags: list[str],
) -> int:
    elements: list[Element] = []
    for _ in range(count):
        flag = 0
        if listing.flagged:
            flag = frame[at]
            at += 1
        layout = listing.by_flag[flag]
        parts: list[Any] = []
        at = read(layout, frame, text, at, parts, flags)
        elements.append(layout.struct(*parts))
    values.append(tuple(elements))
    return at


UNWRITABLE = (ValueError, TypeError, AttributeError, LookupError, OverflowError)
"""What :func:`write` raises; :func:`smsc.wire.faults.misfit` then names the field."""


def write(layout: Layout, struct: Body | Element, parts: list[bytes]) -> bool:
    """Append the octets of a body or element to `parts`; return whether all is regular.

    False: something exceeds the specification's size or contains a NUL, and is to be looked at
    (:func:`smsc.wire.faults.misfit`) before the octets are used.

    :raises Exception: one of :data:`UNWRITABLE`, where a value can't be written at all.
    """
    values = astuple(struct)
    for place in layout.counts:
        values = (*values[:place], len(values[place]), *values[place:])
    regular = True
    for kind, begin, end, template, strings, limit, size, listing in layout.writes:
        if kind == SCALARS:
            for place, most in strings:
                value = values[place]
                if "\0" in value or len(value) >= most:
                    regular = False
            parts.append((template % values[begin:end]).encode("latin-1"))
            continue
        value = values[begin]
        if kind == INTEGERS:
            parts.append(value.to_bytes(size, "big"))
            continue
        if listing is None:
            parts.append(value)
            regular = regular and len(value) <= limit and type(value) is bytes
        else:
            regular = _write_list(listing, value, parts) and len(value) <= limit and regular
    return regular


def _write_list(listing: Elements, elements: tuple[Element, ...], parts: list[bytes]) -> bool:
    regular = True
    for element in elements:
        layout = listing.by_type[type(element)]
        if listing.flagged:
            parts.append(layout.flag.to_bytes(1, "big"))
        if not write(layout, element, parts):
            regular = False
    return regular
