"""The vocabulary of :mod:`smsc.wire.spec`: what a field of a body is on the wire (SMPP 3.4 §3.1).

A body is a frozen struct whose annotations carry one of these kinds. That annotation is the only
place where a field's wire form is written down: decoder, encoder and explanations all follow it.

============  =====================================  ==============================
kind          on the wire                            in Python
============  =====================================  ==============================
`Integer`     big-endian, unsigned, n octets         ``int``
`CString`     octets up to and with a NUL            ``str``, the octets as Latin-1
`Octets`      a count of one octet, that many octets ``bytes``
`Listing`     a count of one octet, that many        ``tuple`` of `Element`
              elements
============  =====================================  ==============================

The counts (``sm_length``, ``number_of_dests``, ``no_unsuccess``) are no fields of the structs:
they follow from what they count.
"""

from functools import cache
from typing import Annotated, ClassVar, get_args, get_origin, get_type_hints

from msgspec import Struct


class Integer(Struct, frozen=True, gc=False):
    """An unsigned integer."""

    size: int
    """Octets: 1 or 4."""


class CString(Struct, frozen=True, gc=False):
    """A C-octet string. Longer ones are read (and flagged): the peer's tables decide."""

    limit: int
    """Most octets by the specification, with the NUL."""


class Octets(Struct, frozen=True, gc=False):
    """Octets behind their count."""

    count: str
    """Name of the count."""
    limit: int
    """Most octets by the specification; a count of one octet reaches to 255."""


class Listing(Struct, frozen=True):
    """Elements behind their number."""

    count: str
    """Name of the count."""
    limit: int
    """Most elements by the specification."""
    elements: tuple["type[Element]", ...]
    """What an element may be. Several are told apart by the octet before each."""
    flag: str = ""
    """Name of that octet; empty where there is one kind of element, and no such octet."""


Kind = Integer | CString | Octets | Listing
Field = tuple[str, Kind]

Int1 = Annotated[int, Integer(1)]
Int4 = Annotated[int, Integer(4)]


class Body(Struct, frozen=True, gc=False):
    """The mandatory parameters of one command, in the order of the wire."""


class Element(Struct, frozen=True, gc=False):
    """One element of a list inside a body."""

    element_flag: ClassVar[int] = 0
    """The octet that tells it from other kinds of element, where there are several."""


@cache
def fields_of(struct: type[Body] | type[Element]) -> tuple[Field, ...]:
    """Return a struct's fields in the order of the wire, each with its kind."""
    fields: list[Field] = []
    for name, hint in get_type_hints(struct, include_extras=True).items():
        if get_origin(hint) is ClassVar:
            continue
        kind = next(kind for kind in get_args(hint)[1:] if isinstance(kind, Kind))
        fields.append((name, kind))
    return tuple(fields)
