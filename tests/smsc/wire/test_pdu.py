import itertools
import json
import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib import smpp

from smsc.wire.framing import Framer
from smsc.wire.pdu import Pdu, Undecodable, decode, encode, named
from smsc.wire.spec import (
    BODIES,
    COMMAND_NAMES,
    COMMANDS,
    RESPONSE_BIT,
    TLV_FORMS,
    BindReceiver,
    BindTransceiver,
    Body,
    CommandId,
    CString,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    Element,
    EnquireLink,
    Integer,
    Listing,
    Octets,
    Outbind,
    SmeAddress,
    Status,
    SubmitMulti,
    SubmitMultiResp,
    Tag,
    UnbindResp,
    UnsuccessSme,
    fields_of,
)
from tests.fix_pdus import exceeded, frames, pdus_of, structs, uint32
from tests.fix_wireshark import dissect

VECTORS = Path(__file__).parents[2] / "vectors"
LIMIT = 131_072


def load(name: str) -> list[Any]:
    vectors = json.loads((VECTORS / f"{name}.json").read_bytes())["vectors"]
    assert isinstance(vectors, list)
    return vectors


PDUS = load("pdus")
MALFORMED = load("malformed")


def params(vectors: list[Any], key: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in vectors if key in vector]


def shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Write fields the way the vectors do."""
    return {
        f"{name}_hex" if isinstance(value, bytes) else name: (
            value.hex() if isinstance(value, bytes) else value
        )
        for name, value in fields.items()
    }


def seen(decoded: Pdu | Undecodable, *, octets: int) -> dict[str, Any]:
    """Write what was decoded the way the vectors do."""
    facts: dict[str, Any] = {
        "command_length": octets,
        "command_id": f"{decoded.command_id:08x}",
        "command": COMMAND_NAMES.get(decoded.command_id),
        "command_status": decoded.command_status,
        "sequence_number": decoded.sequence_number,
        "fields": {},
        "tlvs": [],
    }
    if isinstance(decoded, Undecodable):
        facts["fields"] = shown(decoded.fields)
        if facts["command"] is None:
            facts["body_hex"] = decoded.undecoded.hex()
        elif octets > 16:
            facts["undecoded_hex"] = decoded.undecoded.hex()
        return facts
    if decoded.body is not None:
        facts["fields"] = shown(named(decoded.body))
    elif octets == 16:
        facts["fields"] = {"_body": "absent"}
    facts["tlvs"] = [{"tag": f"{tag:04x}", "hex": value.hex()} for tag, value in decoded.tlvs]
    if "unreadable-body" in decoded.flags:
        facts["undecoded_hex"] = decoded.trailing.hex()
    elif decoded.trailing:
        facts["trailing_hex"] = decoded.trailing.hex()
    return facts


# The vectors


@pytest.mark.parametrize("vector", params(PDUS, "expect"))
def test_well_formed_vector_decodes_as_expected(vector: Any) -> None:
    frame = bytes.fromhex(vector["hex"])

    decoded = decode(frame)

    assert isinstance(decoded, Pdu)
    assert vector["expect"] == seen(decoded, octets=decoded.command_length)
    assert not decoded.trailing


@pytest.mark.parametrize("vector", params(PDUS, "expect"))
def test_well_formed_vector_encodes_to_the_same_octets(vector: Any) -> None:
    frame = bytes.fromhex(vector["hex"])
    decoded = decode(frame)
    assert isinstance(decoded, Pdu)

    assert frame == encode(decoded)


@pytest.mark.parametrize("vector", params(MALFORMED, "partial"))
def test_malformed_vector_keeps_what_can_be_read(vector: Any) -> None:
    frame = Framer(LIMIT).feed(bytes.fromhex(vector["hex"]))[0]

    decoded = decode(frame)

    assert vector["partial"] == seen(decoded, octets=len(frame))


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in MALFORMED])
def test_malformed_vector_is_a_pdu_an_answer_a_close_or_waits(vector: Any) -> None:
    octets = bytes.fromhex(vector["hex"])
    framer = Framer(LIMIT)

    frames = framer.feed(octets)

    length = int.from_bytes(octets[:4], "big")
    if len(octets) >= 4 and not 16 <= length <= LIMIT:
        assert framer.lost is not None
        assert framer.lost.consequence == "close"
        assert framer.lost.status == Status.ESME_RINVCMDLEN
        assert not frames
    elif len(octets) < 4 or len(octets) < length:
        assert framer.lost is None
        assert framer.pending == len(octets)
        assert "partial" not in vector
    else:
        decoded = decode(frames[0])
        if isinstance(decoded, Undecodable):
            assert decoded.error.consequence == "answer"
            assert decoded.error.status != Status.ESME_ROK


FLAGGED = {
    "m010": ("tlv-overrun",),
    "m013": ("trailing",),
    "d-trailing-nul": ("trailing",),
    "d-trailing-2": ("trailing",),
    "d-tlv-overrun-first": ("tlv-overrun",),
    "d-tlv-len-le": ("tlv-overrun",),
    "d-src-65": ("oversize:source_addr",),
    "d-svc-long": ("oversize:service_type",),
    "d-bind-longpass": ("oversize:password",),
    "m009": ("unreadable-body",),
    "m042": ("unreadable-body",),
    "d-tlv-zero-len": (),
    "d-tlv-wrong-size": (),
    "d-tlv-dup": (),
    "d-tlv-not-for-pdu": (),
    "d-receipted-no-nul": (),
    "d-src-high": (),
    "d-sched-bad": (),
    "d-val-present": (),
    "d-resp-err-body": (),
    "d-resp-err-1nul": (),
    "d-resp-nobody-ok": (),
    "d-status-nonzero-req": (),
    "d-seq0": (),
    "d-seq-ffffffff": (),
}


@pytest.mark.parametrize("name", FLAGGED)
def test_r02_a_peculiar_vector_is_accepted_with_its_flags(name: str) -> None:
    frame = bytes.fromhex(next(v["hex"] for v in MALFORMED if v["id"] == name))

    decoded = decode(frame)

    assert isinstance(decoded, Pdu)
    assert FLAGGED[name] == decoded.flags
    assert frame[: decoded.command_length] == encode(decoded)


REFUSED = {
    "m004": (Status.ESME_RINVCMDID, "command_id", 4),
    "m022": (Status.ESME_RINVCMDID, "command_id", 4),
    "m031": (Status.ESME_RINVMSGLEN, "short_message", 49),
    "m043": (Status.ESME_RINVMSGLEN, "short_message", 57),
    "m063": (Status.ESME_RINVMSGLEN, "system_id", 16),
    "d-smlen-over": (Status.ESME_RINVMSGLEN, "short_message", 57),
    "d-src-unterminated": (Status.ESME_RINVSRCADR, "source_addr", 19),
    "d-header-only-deliver": (Status.ESME_RINVMSGLEN, "service_type", 16),
}


@pytest.mark.parametrize("name", REFUSED)
def test_r03_an_unreadable_vector_is_answered_with_the_fitting_status(name: str) -> None:
    vector = next(v for v in MALFORMED if v["id"] == name)

    decoded = decode(Framer(LIMIT).feed(bytes.fromhex(vector["hex"]))[0])

    assert isinstance(decoded, Undecodable)
    assert decoded.sequence_number == vector["partial"]["sequence_number"]
    error = decoded.error
    assert REFUSED[name] == (error.status, error.field, error.offset)
    assert error.consequence == "answer"


# Round trips, over every command of the specifications

COMMAND_NAME = {int(command): command.name for command in CommandId}
every_command = pytest.mark.parametrize("command", sorted(BODIES), ids=COMMAND_NAME.get)
a_few = settings(max_examples=40)  # of each command


@every_command
@given(data=st.data())
@a_few
def test_what_is_encoded_decodes_to_the_same(command: int, data: st.DataObject) -> None:
    pdu = data.draw(pdus_of(command))

    frame = encode(pdu)

    assert msgspec.structs.replace(pdu, command_length=len(frame)) == decode(frame)


@every_command
@given(data=st.data())
@a_few
def test_what_exceeds_the_specification_is_kept_and_flagged(
    command: int, data: st.DataObject
) -> None:
    pdu = data.draw(pdus_of(command, longest=300))
    assert pdu.body is not None
    flags = exceeded(pdu.body)
    pdu = msgspec.structs.replace(pdu, flags=tuple(sorted(flags)))

    decoded = decode(encode(pdu))

    assert isinstance(decoded, Pdu)
    assert pdu.body == decoded.body
    assert pdu.tlvs == decoded.tlvs
    assert flags == set(decoded.flags)


@every_command
@given(data=st.data(), tail=st.binary(min_size=1, max_size=40))
@a_few
def test_r02_no_tail_costs_a_field_or_a_parameter(
    command: int, data: st.DataObject, tail: bytes
) -> None:
    pdu = data.draw(pdus_of(command))
    frame = encode(pdu) + tail
    frame = len(frame).to_bytes(4, "big") + frame[4:]

    decoded = decode(frame)

    assert isinstance(decoded, Pdu)
    assert pdu.body == decoded.body
    assert pdu.tlvs == decoded.tlvs[: len(pdu.tlvs)]
    assert bool(decoded.trailing) is bool(decoded.flags)
    assert set(decoded.flags) <= {"tlv-overrun", "trailing"}
    assert tail.endswith(decoded.trailing)
    assert frame == encode(decoded)


@pytest.mark.parametrize(
    "body", [body() for body in BODIES.values()], ids=lambda b: type(b).__name__
)
def test_every_body_has_defaults_that_round_trip(body: Body) -> None:
    pdu = Pdu(COMMANDS[type(body)], 0, 1, body)

    decoded = decode(encode(pdu))

    assert isinstance(decoded, Pdu)
    assert body == decoded.body
    assert type(body) is type(decoded.body)


RESPONSES = [c for c in CommandId if c & RESPONSE_BIT]


@pytest.mark.parametrize("command", RESPONSES)
def test_r05_a_response_may_lack_its_body(command: CommandId) -> None:
    decoded = decode(encode(Pdu(command, 0xDEADBEEF, 0xFFFFFFFF)))

    assert isinstance(decoded, Pdu)
    assert decoded.body is None or not fields_of(type(decoded.body))
    assert decoded.command_status == 0xDEADBEEF
    assert decoded.sequence_number == 0xFFFFFFFF


@pytest.mark.parametrize("command", RESPONSES)
@given(status=uint32, body=st.binary(max_size=30))
@a_few
def test_r05_a_response_is_read_whatever_its_status_and_body(
    command: CommandId, status: int, body: bytes
) -> None:
    frame = struct.pack(">IIII", 16 + len(body), command, status, 7) + body

    decoded = decode(frame)

    assert isinstance(decoded, Pdu)
    assert (decoded.command_status, decoded.sequence_number) == (status, 7)
    assert frame == encode(decoded)


@pytest.mark.parametrize("sequence", [0, 1, 0x7FFFFFFF, 0x80000000, 0x806A179B, 0xFFFFFFFF])
def test_r06_any_sequence_number_is_kept_of_what_can_be_read_and_what_can_not(
    sequence: int,
) -> None:
    frame = encode(Pdu(CommandId.deliver_sm, 0, sequence, DeliverSm()))
    cut = (18).to_bytes(4, "big") + frame[4:18]
    unknown = frame[:4] + b"\0\0\x01\x10" + frame[8:]

    for each in (frame, cut, unknown):
        assert decode(each).sequence_number == sequence


# Whatever comes


@given(frames())
def test_any_frame_is_a_pdu_or_answerable_and_loses_no_octet(frame: bytes) -> None:
    decoded = decode(frame)

    if isinstance(decoded, Pdu):
        assert frame == encode(decoded)
    else:
        assert decoded.error.consequence == "answer"
        assert decoded.error.status in (*Status,)
        assert decoded.frame == frame
        assert frame.endswith(decoded.undecoded)
        if decoded.command_id in BODIES:
            assert decoded.error.offset == len(frame) - len(decoded.undecoded)


@given(st.binary(min_size=16, max_size=80))
def test_any_octets_decode(octets: bytes) -> None:
    assert isinstance(decode(octets), Pdu | Undecodable)


@given(st.lists(frames() | st.binary(max_size=40), max_size=5), st.lists(st.integers(0, 2_000)))
def test_r03_any_stream_is_pdus_answerable_errors_or_lost(
    pieces: list[bytes], places: list[int]
) -> None:
    stream = b"".join(pieces)
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    framer = Framer(LIMIT)

    found = [frame for a, b in itertools.pairwise(edges) for frame in framer.feed(stream[a:b])]

    assert found == Framer(LIMIT).feed(stream)
    for decoded in map(decode, found):
        assert isinstance(decoded, Pdu) or decoded.error.consequence == "answer"
    if framer.lost is None:
        assert sum(map(len, found)) + framer.pending == len(stream)
    else:
        assert framer.lost.consequence == "close"


def test_less_than_a_header_is_no_frame() -> None:
    with pytest.raises(ValueError, match="header"):
        decode(bytes(15))


@pytest.mark.parametrize(
    ("length", "consequence"), [(0, "close"), (15, "close"), (17, "incomplete")]
)
def test_a_length_that_contradicts_the_octets_is_said(length: int, consequence: str) -> None:
    decoded = decode(length.to_bytes(4, "big") + encode(Pdu(CommandId.enquire_link, 0, 7))[4:])

    assert isinstance(decoded, Undecodable)
    assert consequence == decoded.error.consequence
    assert decoded.error.status == Status.ESME_RINVCMDLEN
    assert decoded.sequence_number == 7


def test_octets_behind_the_pdu_are_not_looked_at() -> None:
    frame = encode(Pdu(CommandId.enquire_link, 0, 7))

    decoded = decode(frame + b"more")

    assert decoded == Pdu(CommandId.enquire_link, 0, 7, EnquireLink(), command_length=16)


# Single rules


def test_r01_every_parameter_is_kept_and_the_first_of_a_tag_is_given() -> None:
    sent = ((0x0204, b"\0\1"), (0x2153, b""), (0x0204, b"\0\2"), (0x0424, bytes(65_535)))

    decoded = decode(encode(Pdu(CommandId.data_sm, 0, 1, DataSm(), sent)))

    assert isinstance(decoded, Pdu)
    assert sent == decoded.tlvs
    assert decoded.tlv(Tag.user_message_reference) == b"\0\1"
    assert decoded.tlv(Tag.message_state) is None
    assert decoded.flags == ()


@pytest.mark.parametrize("version", range(256))
def test_r07_any_interface_version_is_read(version: int) -> None:
    pdu = Pdu(CommandId.bind_receiver, 0, 1, BindReceiver(interface_version=version))

    decoded = decode(encode(pdu))

    assert isinstance(decoded, Pdu)
    assert pdu.body == decoded.body
    assert decoded.flags == ()


@pytest.mark.parametrize("field", ["system_id", "password", "system_type", "address_range"])
def test_r07_a_bind_string_may_be_long(field: str) -> None:
    body = msgspec.structs.replace(BindTransceiver(), **{field: "p" * 255})
    flags = (f"oversize:{field}",)

    decoded = decode(encode(Pdu(CommandId.bind_transceiver, 0, 1, body, flags=flags)))

    assert isinstance(decoded, Pdu)
    assert body == decoded.body
    assert flags == decoded.flags


def test_r07_a_bind_string_has_a_limit_of_our_own() -> None:
    pdu = Pdu(
        CommandId.bind_receiver,
        0,
        1,
        BindReceiver(system_id="carrier", password="p" * 256),
        flags=("oversize:password",),
    )

    decoded = decode(encode(pdu))

    assert isinstance(decoded, Undecodable)
    assert decoded.error.status == Status.ESME_RINVPASWD
    assert decoded.error.field == "password"
    assert decoded.fields == {"system_id": "carrier"}


def test_an_unknown_destination_flag_is_named() -> None:
    destinations = (SmeAddress(1, 1, "491701"), SmeAddress(1, 1, "491702"))
    frame = bytearray(
        encode(Pdu(CommandId.submit_multi, 0, 1, SubmitMulti(dest_address=destinations)))
    )
    second = frame.index(b"\x01\x01\x01491702")
    frame[second] = 3

    decoded = decode(bytes(frame))

    assert isinstance(decoded, Undecodable)
    assert decoded.error.status == Status.ESME_RINVDESTFLAG
    assert decoded.error.field == "dest_address[1].dest_flag"
    assert decoded.error.offset == second
    assert decoded.fields["number_of_dests"] == 2
    assert decoded.fields["dest_address"] == [
        {"dest_flag": 1, "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "491701"}
    ]
    assert decoded.undecoded == frame[second:]


def test_failed_destinations_are_typed() -> None:
    failed = (UnsuccessSme(1, 1, "491701", 0x0000000B), UnsuccessSme(0, 0, "", 0xFFFFFFFF))
    pdu = Pdu(CommandId.submit_multi_resp, 0, 1, SubmitMultiResp("id", failed))

    decoded = decode(encode(pdu))

    assert isinstance(decoded, Pdu)
    assert pdu.body == decoded.body


UNFIT = [
    (DeliverSm(esm_class=256), "esm_class"),
    (DeliverSm(source_addr_ton=-1), "source_addr_ton"),
    (DeliverSm(source_addr="1" * 21), "source_addr"),
    (DeliverSm(source_addr="4\x0049"), "source_addr"),
    (DeliverSm(destination_addr="€"), "destination_addr"),
    (DeliverSm(short_message=bytes(255)), "short_message"),
    (DeliverSm(short_message=bytes(256)), "short_message"),
    (DeliverSm(short_message="text"), "short_message"),  # type: ignore[arg-type]  # on purpose
    (DeliverSm(service_type=None), "service_type"),  # type: ignore[arg-type]  # on purpose
    (DeliverSm(data_coding=None), "data_coding"),  # type: ignore[arg-type]  # on purpose
    (SubmitMulti(dest_address=(SmeAddress(destination_addr="1" * 30),)), "dest_address[0]."),
    (SubmitMulti(dest_address=(UnsuccessSme(),)), "dest_address"),  # type: ignore[arg-type]  # on purpose
    (SubmitMulti(dest_address=(SmeAddress(),) * 255), "dest_address"),
    (SubmitMultiResp(unsuccess_sme=(UnsuccessSme(error_status_code=1 << 32),)), "unsuccess_sme"),
]


@pytest.mark.parametrize(("body", "field"), UNFIT)
def test_a_value_that_does_not_fit_is_refused_by_name(body: Body, field: str) -> None:
    with pytest.raises(ValueError, match=field.replace("[", r"\[")):
        encode(Pdu(COMMANDS[type(body)], 0, 1, body))


@pytest.mark.parametrize(
    ("pdu", "named_in_error"),
    [
        (Pdu(1 << 32, 0, 1), "command_id"),
        (Pdu(CommandId.enquire_link, -1, 1), "command_status"),
        (Pdu(CommandId.enquire_link, 0, 1 << 32), "sequence_number"),
        (Pdu(CommandId.deliver_sm, 0, 1, DeliverSmResp()), "body"),
        (Pdu(CommandId.data_sm, 0, 1, DataSm(), ((0x10000, b""),)), "tlvs"),
        (Pdu(CommandId.data_sm, 0, 1, DataSm(), ((0x0424, bytes(65_536)),)), "tlvs"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(pdu: Pdu, named_in_error: str) -> None:
    with pytest.raises(ValueError, match=named_in_error):
        encode(pdu)


def test_more_than_the_specification_allows_is_written_only_when_said() -> None:
    flags = ("oversize:short_message", "oversize:source_addr")
    body = DeliverSm(source_addr="1" * 40, short_message=bytes(255))

    decoded = decode(encode(Pdu(CommandId.deliver_sm, 0, 1, body, flags=flags)))

    assert isinstance(decoded, Pdu)
    assert body == decoded.body
    assert sorted(flags) == sorted(decoded.flags)


def test_no_representation_shows_a_password_or_what_could_not_be_read() -> None:
    for body in (BindTransceiver("me", "hunter2"), Outbind("me", "hunter2")):
        pdu = Pdu(COMMANDS[type(body)], 0, 1, body)
        cut = encode(pdu)[:24]
        undecodable = decode(len(cut).to_bytes(4, "big") + cut[4:])

        assert isinstance(undecodable, Undecodable)
        assert "hunter2" not in repr(pdu)
        assert "hunt" not in repr(undecodable)
        assert "RINV" not in undecodable.error.detail


def test_fields_of_a_body_are_listed_with_their_counts() -> None:
    assert named(UnbindResp()) == {}
    assert list(named(DeliverSm(short_message=b"hi")))[-3:] == [
        "sm_default_msg_id",
        "sm_length",
        "short_message",
    ]
    assert named(SubmitMultiResp("id", (UnsuccessSme(),))) == {
        "message_id": "id",
        "no_unsuccess": 1,
        "unsuccess_sme": [
            {
                "dest_addr_ton": 0,
                "dest_addr_npi": 0,
                "destination_addr": "",
                "error_status_code": 0,
            }
        ],
    }


def filled(struct: type[Body] | type[Element]) -> Any:
    """A body with something in every field."""
    samples: dict[str, Any] = {}
    for name, kind in fields_of(struct):
        match kind:
            case Integer():
                samples[name] = 1
            case CString():
                samples[name] = "260701120000000+" if name.endswith(TIMES) else "12345"
            case Octets():
                samples[name] = b"text"
            case Listing(elements=elements):
                samples[name] = tuple(filled(element) for element in elements)
    return struct(**samples)


TIMES = ("_time", "_period", "_date")


def test_wireshark_finds_nothing_wrong_with_what_we_write(tshark: str, tmp_path: Path) -> None:
    bodies = [body for each in BODIES.values() for body in (each(), filled(each))]
    frames = [encode(Pdu(COMMANDS[type(body)], 0, 1, body)) for body in bodies]
    tlvs = {tag: bytes(form.least) for tag, form in TLV_FORMS.items()}
    tlvs[Tag.broadcast_end_time] = b"260701120000000+\0"
    del tlvs[Tag.broadcast_rep_num]  # Wireshark passes over one of its two octets (4.0)
    frames += [
        encode(Pdu(CommandId.data_sm, 0, 1, DataSm(), ((tag, value),)))
        for tag, value in tlvs.items()
    ]

    shown = dissect(tshark, tmp_path / "written.pcap", frames)

    operations = re.findall(r"Operation: .* \(0x(\w+)\)", shown)
    assert [f"{frame[4:8].hex()}" for frame in frames] == operations
    assert "Malformed" not in shown


@given(structs(DeliverSm))
def test_an_independent_library_reads_what_we_write(body: DeliverSm) -> None:
    class Client:
        def next_sequence(self) -> int:
            return 1

    frame = encode(Pdu(CommandId.deliver_sm, 0, 99, body))
    read = smpp.parse_pdu(frame, client=Client())

    assert read.sequence == 99
    for name, _ in fields_of(DeliverSm):
        ours = getattr(body, name)
        theirs = getattr(read, name)
        if isinstance(ours, str):
            ours = ours.encode("latin-1")
        assert theirs == ours or not (theirs or ours), name
