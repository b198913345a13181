from typing import Annotated, ClassVar

from smsc.wire.fields import Body, CString, Element, Int1, Int4, Integer, Octets, fields_of


class Base(Body, frozen=True):
    first: Int1 = 0


class Derived(Base, frozen=True):
    second: Annotated[str, CString(9)] = ""
    third: Annotated[bytes, Octets("third_length", 254)] = b""


class Flagged(Element, frozen=True):
    element_flag: ClassVar[int] = 2

    only: Int4 = 0


def test_fields_come_in_the_order_of_the_wire_inherited_ones_first() -> None:
    assert fields_of(Derived) == (
        ("first", Integer(1)),
        ("second", CString(9)),
        ("third", Octets("third_length", 254)),
    )


def test_a_flag_of_the_class_is_no_field() -> None:
    assert fields_of(Flagged) == (("only", Integer(4)),)
    assert Flagged.__struct_fields__ == ("only",)
