import pytest

from smsc.wire.layout import (
    COUNTED,
    INTEGERS,
    LAYOUT_OF,
    LAYOUTS,
    LISTING,
    SCALARS,
    STRING,
    UNREADABLE,
    UNWRITABLE,
    read,
    write,
)
from smsc.wire.spec import (
    BODIES,
    Body,
    DeliverSm,
    DistributionList,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    UnsuccessSme,
)

FULL = DeliverSm("CMT", 1, 2, "4917", 3, 4, "4918", 5, 6, 7, "s", "v", 8, 9, 10, 11, b"text")
OCTETS = b"CMT\0\1\x024917\0\3\x044918\0\5\6\7s\0v\0\x08\x09\x0a\x0b\x04text"
MULTI = SubmitMulti(dest_address=(SmeAddress(1, 1, "49"), DistributionList("all")))
MULTI_OCTETS = b"\0\0\0\0\2\1\1\x0149\0\2all\0" + bytes(10)


def read_all(body: type[Body], octets: bytes) -> tuple[list[object], list[str], int]:
    values: list[object] = []
    flags: list[str] = []
    behind = read(LAYOUT_OF[body], octets, octets.decode("latin-1"), 0, values, flags)
    return values, flags, behind


def written(body: Body) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    regular = write(LAYOUT_OF[type(body)], body, parts)
    return b"".join(parts), regular


def test_a_body_is_a_few_steps() -> None:
    layout = LAYOUT_OF[DeliverSm]

    assert [step.kind for step in layout.reads] == [STRING] * 5 + [COUNTED]
    assert [step.kind for step in layout.writes] == [SCALARS, COUNTED]
    assert [step.kind for step in LAYOUT_OF[SubmitMultiResp].reads] == [STRING, LISTING]


def test_every_command_is_compiled() -> None:
    assert set(LAYOUTS) == set(BODIES)
    for command, layout in LAYOUTS.items():
        assert layout.struct is BODIES[command]
        assert (layout.empty is None) == bool(layout.reads)


@pytest.mark.parametrize(("body", "octets"), [(FULL, OCTETS), (MULTI, MULTI_OCTETS)])
def test_octets_and_values_are_one_walk_in_two_directions(body: Body, octets: bytes) -> None:
    values, flags, behind = read_all(type(body), octets)

    assert body == type(body)(*values)
    assert flags == []
    assert len(octets) == behind
    assert written(body) == (octets, True)


def test_integers_of_four_octets() -> None:
    body = SubmitMultiResp("id", (UnsuccessSme(1, 1, "49", 0x01020304),))

    octets, _ = written(body)

    assert octets == b"id\0\1\1\x0149\0\1\2\3\4"
    assert body == SubmitMultiResp(*read_all(SubmitMultiResp, octets)[0])  # type: ignore[arg-type]  # as read
    elements = LAYOUT_OF[SubmitMultiResp].writes[1].listing
    assert elements is not None
    assert INTEGERS in [step.kind for step in elements.by_type[UnsuccessSme].writes]


@pytest.mark.parametrize("octets", [OCTETS, MULTI_OCTETS])
def test_no_shorter_octets_can_be_read(octets: bytes) -> None:
    body = DeliverSm if octets is OCTETS else SubmitMulti

    for size in range(len(octets)):
        with pytest.raises(UNREADABLE):
            read_all(body, octets[:size])


def test_what_exceeds_the_specification_is_flagged_when_read_and_irregular_when_written() -> None:
    body = DeliverSm(source_addr="1" * 21, short_message=bytes(255))

    octets, regular = written(body)

    assert not regular
    assert read_all(DeliverSm, octets)[1] == ["oversize:source_addr", "oversize:short_message"]


@pytest.mark.parametrize(
    "body",
    [
        DeliverSm(esm_class=256),
        DeliverSm(esm_class=-1),
        DeliverSm(source_addr="€"),
        DeliverSm(service_type=None),  # type: ignore[arg-type]  # on purpose
        DeliverSm(short_message=None),  # type: ignore[arg-type]  # on purpose
        SubmitMulti(dest_address=(b"",)),  # type: ignore[arg-type]  # on purpose
        SubmitMultiResp(unsuccess_sme=(UnsuccessSme(error_status_code=1 << 32),)),
    ],
)
def test_what_cannot_be_written_raises(body: Body) -> None:
    with pytest.raises(UNWRITABLE):
        written(body)
