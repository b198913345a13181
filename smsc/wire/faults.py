"""What exactly is wrong with a body: the slow walk, field by field.

:mod:`smsc.wire.layout` reads and writes fast and only says that something does not fit. This
module then finds the field, keeps everything that could be read before it, and names the status
to answer with. It is also what lists a body's fields for people, counts among them.
"""

from typing import Any

import msgspec
from msgspec import Struct

from smsc.wire.errors import WireError
from smsc.wire.fields import Body, CString, Element, Field, Integer, Kind, Listing, fields_of
from smsc.wire.spec import BIND_STRING_LIMIT, FIELD_STATUS, Bind, Outbind, Status


class _Fault(Exception):  # never leaves this module: it unwinds the nested walk
    def __init__(self, status: int, field: str, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.error = WireError("answer", status, field, offset, f"{field}: {detail}")


class Misread(Struct, frozen=True):
    """A body as far as it could be read."""

    fields: dict[str, Any]
    """As :func:`named` gives them, up to the fault; a list up to its last whole element."""
    undecoded: bytes
    """The rest, from the first octet of what could not be read."""
    error: WireError


def misread(body: type[Body], frame: bytes) -> Misread | None:
    """Find out why the body behind a 16-octet header can't be read; None if it can be.

    Strings of binds and ``outbind`` end at :data:`BIND_STRING_LIMIT`, others with the frame.
    """
    found: dict[str, Any] = {}
    fields = fields_of(body)
    if fields and len(frame) == 16:
        error = WireError("answer", Status.ESME_RINVMSGLEN, fields[0][0], 16, "body absent")
        return Misread(found, b"", error)
    string_limit = BIND_STRING_LIMIT if issubclass(body, Bind | Outbind) else len(frame)
    try:
        _Walk(frame, string_limit).fields(fields, 16, "", found)
    except _Fault as fault:
        return Misread(found, frame[fault.error.offset :], fault.error)
    return None


class _Walk:
    """A walk over one frame. Each method takes the octet to begin at."""

    def __init__(self, frame: bytes, string_limit: int) -> None:
        self.frame = frame
        self.string_limit = string_limit

    def fields(self, fields: tuple[Field, ...], at: int, path: str, found: dict[str, Any]) -> int:
        """Read fields into `found`; return the octet behind them."""
        for name, kind in fields:
            where = path + name
            if isinstance(kind, Integer):
                found[name] = self.integer(kind.size, at, where)
                at += kind.size
            elif isinstance(kind, CString):
                found[name] = string = self.string(name, at, where)
                at += len(string) + 1
            else:
                count = found[kind.count] = self.integer(1, at, path + kind.count)
                at += 1
                if isinstance(kind, Listing):
                    at = self.listing(kind, count, at, where, found.setdefault(name, []))
                else:
                    left = len(self.frame) - at
                    if count > left:
                        detail = f"{kind.count} {count} > {left} octets left"
                        raise _Fault(Status.ESME_RINVMSGLEN, where, at, detail)
                    found[name] = self.frame[at : at + count]
                    at += count
        return at

    def integer(self, size: int, at: int, where: str) -> int:
        """Read a big-endian integer."""
        left = len(self.frame) - at
        if size > left:
            detail = f"{size} octets wanted, {left} left"
            raise _Fault(Status.ESME_RINVMSGLEN, where, at, detail)
        return int.from_bytes(self.frame[at : at + size], "big")

    def string(self, name: str, at: int, where: str) -> str:
        """Read a C-octet string."""
        status = Status.ESME_RINVMSGLEN
        if at < len(self.frame):
            status = FIELD_STATUS.get(name, status)
        nul = self.frame.find(b"\0", at)
        if nul < 0:
            raise _Fault(status, where, at, f"unterminated C-octet string at {at}")
        if nul - at >= self.string_limit:
            raise _Fault(status, where, at, f"{nul - at} octets > {self.string_limit - 1}")
        return self.frame[at:nul].decode("latin-1")

    def listing(
        self, listing: Listing, count: int, at: int, path: str, elements: list[dict[str, Any]]
    ) -> int:
        """Read elements into `elements`; one that can't be read stays whole in the rest."""
        structs = {element.element_flag: element for element in listing.elements}
        for place in range(count):
            begin = at
            where = f"{path}[{place}]."
            element: dict[str, Any] = {}
            flag = 0
            try:
                if listing.flag:
                    flag = element[listing.flag] = self.integer(1, at, where + listing.flag)
                    at += 1
                if flag not in structs:
                    status = FIELD_STATUS.get(listing.flag, Status.ESME_RINVMSGLEN)
                    raise _Fault(status, where + listing.flag, begin, f"{flag} is not defined")
                at = self.fields(fields_of(structs[flag]), at, where, element)
            except _Fault as fault:
                fault.error = msgspec.structs.replace(fault.error, offset=begin)
                raise
            elements.append(element)
        return at


def named(struct: Body | Element) -> dict[str, Any]:
    """Return a body's fields by name in the order of the wire, counts among them.

    Strings are ``str``, integers ``int``, ``short_message`` is ``bytes``; a list is a list of
    such dicts, each with its flag where the list has one.
    """
    fields: dict[str, Any] = {}
    for name, kind in fields_of(type(struct)):
        value = getattr(struct, name)
        if not isinstance(kind, Integer | CString):
            fields[kind.count] = len(value)
        if isinstance(kind, Listing):
            flag = kind.flag
            value = [
                {flag: element.element_flag, **named(element)} if flag else named(element)
                for element in value
            ]
        fields[name] = value
    return fields


def misfit(struct: Body | Element, flags: tuple[str, ...], path: str = "") -> str | None:
    """Return why a body can't be written, naming the field; None if it can be.

    A field above the specification's size is written if `flags` say so, as they do of one that
    was read: ``oversize:<field>``.
    """
    for name, kind in fields_of(type(struct)):
        value = getattr(struct, name)
        complaint = _complaint(kind, value, may_exceed="oversize:" + name in flags)
        if complaint is not None:
            return f"{path}{name}: {complaint}"
        if isinstance(kind, Listing):
            for place, element in enumerate(value):
                inner = misfit(element, flags, f"{path}{name}[{place}].")
                if inner is not None:
                    return inner
    return None


def _complaint(kind: Kind, value: object, *, may_exceed: bool) -> str | None:
    if isinstance(kind, Integer):
        if not isinstance(value, int):
            return "not an integer"
        return None if 0 <= value < 1 << 8 * kind.size else f"does not fit {kind.size} octets"
    if isinstance(kind, CString):
        if not isinstance(value, str):
            return "not a string"
        if "\0" in value:
            return "a NUL would end the string early"
        if any(character > "\xff" for character in value):
            return "not Latin-1"
        most = len(value) if may_exceed else kind.limit - 1
    elif isinstance(kind, Listing):
        if not isinstance(value, tuple) or any(type(one) not in kind.elements for one in value):
            return f"not a tuple of {' or '.join(one.__name__ for one in kind.elements)}"
        most = 255 if may_exceed else kind.limit
    else:
        if not isinstance(value, bytes):
            return "not bytes"
        most = 255 if may_exceed else kind.limit
    return None if len(value) <= most else f"{len(value)} > {most}"
