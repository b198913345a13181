import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.wire.faults import misfit, misread, named
from smsc.wire.layout import LAYOUT_OF, UNREADABLE, read
from smsc.wire.spec import (
    BODIES,
    BindReceiver,
    Body,
    DeliverSm,
    DistributionList,
    EnquireLink,
    SmeAddress,
    Status,
    SubmitMulti,
    SubmitMultiResp,
    fields_of,
)

HEADER = bytes(16)


def quickly_read(body: type[Body], frame: bytes) -> list[object] | None:
    values: list[object] = []
    try:
        read(LAYOUT_OF[body], frame, frame.decode("latin-1"), 16, values, [])
    except UNREADABLE:
        return None
    return values


@given(
    st.sampled_from([body for body in BODIES.values() if fields_of(body)]),
    st.binary(max_size=60) | st.lists(st.sampled_from(b"\0\1\2\3aZ"), max_size=90).map(bytes),
)
def test_both_walks_agree_on_what_can_be_read(body: type[Body], octets: bytes) -> None:
    frame = HEADER + octets
    values = quickly_read(body, frame)

    found = misread(body, frame)

    assert (found is None) is (values is not None)
    if found is not None:
        assert frame.endswith(found.undecoded)
        assert found.error.offset == len(frame) - len(found.undecoded)
        assert found.error.consequence == "answer"


@pytest.mark.parametrize(
    ("octets", "fields", "field", "offset", "status"),
    [
        (b"", {}, "service_type", 16, Status.ESME_RINVMSGLEN),
        (b"CMT", {}, "service_type", 16, Status.ESME_RINVSERTYP),
        (b"CMT\0", {"service_type": "CMT"}, "source_addr_ton", 20, Status.ESME_RINVMSGLEN),
        (
            b"\0\1",
            {"service_type": "", "source_addr_ton": 1},
            "source_addr_npi",
            18,
            Status.ESME_RINVMSGLEN,
        ),
        (
            b"\0\1\1",
            {"service_type": "", "source_addr_ton": 1, "source_addr_npi": 1},
            "source_addr",
            19,
            Status.ESME_RINVMSGLEN,
        ),
        (
            b"\0\1\x0149",
            {"service_type": "", "source_addr_ton": 1, "source_addr_npi": 1},
            "source_addr",
            19,
            Status.ESME_RINVSRCADR,
        ),
    ],
)
def test_a_fault_names_its_field_and_keeps_what_is_before(
    octets: bytes, fields: dict[str, object], field: str, offset: int, status: Status
) -> None:
    found = misread(DeliverSm, HEADER + octets)

    assert found is not None
    assert found.fields == fields
    assert (found.error.field, found.error.offset, found.error.status) == (field, offset, status)
    assert found.undecoded == (HEADER + octets)[offset:]


def test_a_count_beyond_the_end_is_kept_for_the_explanation() -> None:
    found = misread(DeliverSm, HEADER + bytes(16) + b"\x09rest")

    assert found is not None
    assert found.fields["sm_length"] == 9
    assert "short_message" not in found.fields
    assert found.undecoded == b"rest"
    assert "sm_length 9 > 4 octets left" in found.error.detail


def test_a_list_keeps_its_whole_elements() -> None:
    found = misread(SubmitMulti, HEADER + b"\0\0\0\0\3\2one\0\2two\0\2thr")

    assert found is not None
    assert found.error.field == "dest_address[2].dl_name"
    assert found.error.status == Status.ESME_RINVDLNAME
    assert found.fields["dest_address"] == [
        {"dest_flag": 2, "dl_name": "one"},
        {"dest_flag": 2, "dl_name": "two"},
    ]
    assert found.undecoded == b"\2thr"


def test_what_can_be_read_has_no_fault() -> None:
    assert misread(DeliverSm, HEADER + bytes(16) + b"\2hi") is None
    assert misread(SubmitMulti, HEADER + b"\0\0\0\0\1\2one\0" + bytes(9) + b"\2hi") is None


def test_elements_of_one_kind_have_no_flag() -> None:
    found = misread(SubmitMultiResp, HEADER + b"id\0\2\1\x0149\0\0\0\0\x0b\1\x0149\0\0")

    assert found is not None
    assert found.error.field == "unsuccess_sme[1].error_status_code"
    assert found.undecoded == b"\1\x0149\0\0"
    assert found.fields["unsuccess_sme"] == [
        {
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": "49",
            "error_status_code": 11,
        }
    ]


def test_strings_of_binds_end_at_a_limit() -> None:
    tail = bytes(6)

    assert misread(BindReceiver, HEADER + b"s" * 255 + b"\0" + tail) is None
    found = misread(BindReceiver, HEADER + b"s" * 256 + b"\0" + tail)
    assert found is not None
    assert found.error.status == Status.ESME_RINVSYSID


def test_a_body_without_fields_is_never_absent() -> None:
    assert misread(EnquireLink, HEADER) is None


def test_fields_are_listed_in_the_order_of_the_wire() -> None:
    body = SubmitMulti(dest_address=(SmeAddress(1, 2, "49"), DistributionList("all")))

    fields = named(body)

    assert list(fields)[3:6] == ["source_addr", "number_of_dests", "dest_address"]
    assert fields["dest_address"] == [
        {"dest_flag": 1, "dest_addr_ton": 1, "dest_addr_npi": 2, "destination_addr": "49"},
        {"dest_flag": 2, "dl_name": "all"},
    ]
    assert list(fields)[-2:] == ["sm_length", "short_message"]


def test_what_fits_is_no_misfit() -> None:
    assert misfit(DeliverSm(short_message=bytes(254)), ()) is None
    assert misfit(DeliverSm(short_message=bytes(255)), ("oversize:short_message",)) is None
    assert misfit(DeliverSm(short_message=bytes(256)), ("oversize:short_message",)) is not None
