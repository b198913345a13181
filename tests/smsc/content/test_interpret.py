import hashlib
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.config import Account
from smsc.content.interpret import interpret, unreadable
from smsc.content.whole import join
from smsc.message import Address, Arrival, Concat, Fragment, Message, Receipt, Unreadable
from smsc.wire.pdu import Pdu, Undecodable, decode, encode
from smsc.wire.spec import COMMANDS, Body, CommandId, DataSm, DeliverSm, EnquireLink, SubmitSm, Tag

ACCOUNT = Account(name="acme-1", system_id="acme", carrier="acme")


def arrive(body: Body, *tlvs: tuple[int, bytes], account: Account = ACCOUNT) -> Arrival:
    frame = encode(Pdu(COMMANDS[type(body)], 0, 7, body, tlvs))
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    return interpret(pdu, frame, account, link="lnk_1", place=3, received_at=1000)


def deliver(short_message: bytes = b"", **fields: Any) -> DeliverSm:
    whole = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": "447700900123",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": "447860000001",
        **fields,
    }
    return DeliverSm(short_message=short_message, **whole)


def message(arrival: Arrival) -> Message:
    assert isinstance(arrival, Message)
    return arrival


def fragment(arrival: Arrival) -> Fragment:
    assert isinstance(arrival, Fragment)
    return arrival


def receipt(arrival: Arrival) -> Receipt:
    assert isinstance(arrival, Receipt)
    return arrival


def test_a_plain_message() -> None:
    arrival = message(arrive(deliver(b"caf\x05 \x1b\x65")))

    assert arrival.content.text == "café €"
    assert arrival.content.encoding == "gsm7"
    assert arrival.content.flags == ()
    assert arrival.content.parts[0].octets == b"caf\x05 \x1b\x65"
    assert arrival.source == Address("+447700900123", "e164")
    assert arrival.destination == Address("+447860000001", "e164")
    assert arrival.total == 1
    assert arrival.metadata == {}
    assert arrival.origin.account == "acme-1"
    assert arrival.origin.carrier == "acme"
    assert arrival.origin.link == "lnk_1"
    assert arrival.origin.place == 3
    assert arrival.origin.received_at == 1000


def test_an_account_without_a_carrier_is_its_own() -> None:
    account = Account(name="acme-1", system_id="acme")

    assert message(arrive(deliver(b"hi"), account=account)).origin.carrier == "acme-1"


def test_a_retransmission_has_the_same_fingerprint() -> None:
    body = deliver(b"hi")
    first = encode(Pdu(5, 0, 1, body))
    again = encode(Pdu(5, 0, 2, body))
    prints = set()
    for frame in (first, again):
        pdu = decode(frame)
        assert isinstance(pdu, Pdu)
        read = interpret(pdu, frame, ACCOUNT, link="lnk_2", place=1, received_at=9)
        prints.add(read.origin.fingerprint)

    assert prints == {hashlib.sha256(b"deliver_sm\0" + first[16:]).digest()}
    other = message(arrive(deliver(b"ho"))).origin.fingerprint
    assert other not in prints


def test_submit_sm_and_data_sm_are_messages_too() -> None:
    assert message(arrive(SubmitSm(short_message=b"hi"))).content.text == "hi"
    assert message(arrive(DataSm(), (Tag.message_payload, b"hi"))).content.text == "hi"


def test_other_commands_bring_no_message() -> None:
    arrival = arrive(EnquireLink())

    assert isinstance(arrival, Unreadable)
    assert "enquire_link" in arrival.reason


def test_r17_the_payload_is_the_content_of_an_empty_message() -> None:
    """R17: message_payload is the content where short_message is empty."""
    other = (Tag.user_message_reference, b"\0\1")
    arrival = message(arrive(deliver(), other, (Tag.message_payload, b"x" * 300)))

    assert arrival.content.text == "x" * 300
    assert arrival.tlvs == (other,)
    assert arrival.content.flags == ()


def test_r17_where_both_are_filled_the_short_message_counts() -> None:
    """R17: both filled is flagged, not refused."""
    payload = (Tag.message_payload, b"cdef")
    arrival = message(arrive(deliver(b"ab"), payload))

    assert arrival.content.text == "ab"
    assert arrival.content.flags == ("message-payload-ignored",)
    assert arrival.tlvs == (payload,)


def test_r17_a_header_inside_the_payload() -> None:
    payload = (Tag.message_payload, bytes.fromhex("050003aa0201") + b"hello ")
    arrival = fragment(arrive(deliver(esm_class=0x40), payload))

    assert arrival.concat == Concat("udh", 8, 0xAA, 2, 1)
    assert arrival.part.octets == b"hello "
    assert arrival.part.udh == bytes.fromhex("050003aa0201")


def test_r01_unknown_and_repeated_parameters_are_kept() -> None:
    """R1: every TLV is kept as it came, in order, known or not."""
    tlvs = ((0x1454, b"\0"), (0x0204, b"\0\1"), (0x0204, b"\0\2"))

    assert message(arrive(deliver(b"hi"), *tlvs)).tlvs == tlvs


@pytest.mark.parametrize(
    ("tail", "flag"), [(b"\x14\x01\x00\x09abc", "tlv-overrun"), (b"\0\0", "trailing")]
)
def test_r02_what_a_bad_tail_held_is_kept_beside_the_text(tail: bytes, flag: str) -> None:
    frame = encode(Pdu(CommandId.deliver_sm, 0, 7, deliver(b"hi"), ((0x1454, b"\1"),), (), tail))
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    arrival = message(interpret(pdu, frame, ACCOUNT, link="lnk_1", place=3, received_at=1000))

    assert arrival.content.text == "hi"
    assert arrival.content.flags == (flag,)
    assert arrival.tlvs == ((0x1454, b"\1"),)
    assert arrival.metadata == {"tail": tail.hex()}


def test_r16_a_header_that_is_none_is_text() -> None:
    """R16: a bad header costs no text."""
    arrival = message(arrive(deliver(b"hello", esm_class=0x40)))

    assert arrival.content.text == "hello"
    assert arrival.content.flags == ("bad-udh",)


@pytest.mark.parametrize(
    ("header", "bits", "reference"),
    [
        ("050003000201", 8, 0),  # no reference is as good as any
        ("060804beef0201", 16, 0xBEEF),
        ("0b05040b8423f000030c0201", 8, 12),  # behind ports
        ("0c240101080400000201250101", 16, 0),  # between shift tables
    ],
)
def test_r16_a_segment_is_found_wherever_and_however_it_is_named(
    header: str, bits: Literal[8, 16], reference: int
) -> None:
    """R16: also in a message of class 2, and with other bits of esm_class set."""
    udh = bytes.fromhex(header)
    arrival = fragment(arrive(deliver(udh + b"hi", esm_class=0xC3, data_coding=0xF2)))

    assert arrival.concat == Concat("udh", bits, reference, 2, 1)
    assert (arrival.part.udh, arrival.part.octets) == (udh, b"hi")
    assert arrival.metadata["message_class"] == 2
    assert arrival.metadata["reply_path"] == 1


def test_an_impossible_segment_is_a_message() -> None:
    arrival = message(arrive(deliver(bytes.fromhex("0500035702006162"), esm_class=0x40)))

    assert arrival.content.text == "ab"
    assert arrival.content.flags == ("bad-concat",)


def test_one_of_one_is_a_message() -> None:
    arrival = message(arrive(deliver(bytes.fromhex("0500035a0101") + b"alone", esm_class=0x40)))

    assert arrival.content.text == "alone"
    assert arrival.content.parts[0].udh == bytes.fromhex("0500035a0101")
    assert arrival.content.flags == ()


def sar(total: bytes, seq: bytes, ref: bytes = b"\x12\x34") -> tuple[tuple[int, bytes], ...]:
    return (
        (Tag.sar_msg_ref_num, ref),
        (Tag.sar_total_segments, total),
        (Tag.sar_segment_seqnum, seq),
    )


def test_r17_segments_by_parameters() -> None:
    arrival = fragment(arrive(deliver(b"Hello "), *sar(b"\2", b"\1")))

    assert arrival.concat == Concat("sar", 16, 0x1234, 2, 1)


def test_r17_the_header_goes_before_the_parameters() -> None:
    """R17: sar_* and a header together are not refused."""
    body = deliver(bytes.fromhex("050003070302") + b"x", esm_class=0x40)

    assert fragment(arrive(body, *sar(b"\2", b"\1"))).concat == Concat("udh", 8, 7, 3, 2)


def test_a_header_without_a_segment_leaves_it_to_the_parameters() -> None:
    body = deliver(bytes.fromhex("0470020102") + b"x", esm_class=0x40)

    assert fragment(arrive(body, *sar(b"\2", b"\1"))).concat == Concat("sar", 16, 0x1234, 2, 1)


@pytest.mark.parametrize(
    "tlvs",
    [
        sar(b"\2", b"\0"),
        sar(b"\2", b"\3"),
        sar(b"\0", b"\0"),
        sar(b"", b"\1"),
        sar(b"\2", b"\1", b""),
        sar(b"\2", b"\1")[1:],
    ],
)
def test_impossible_parameters_make_a_message(tlvs: tuple[tuple[int, bytes], ...]) -> None:
    assert message(arrive(deliver(b"x"), *tlvs)).content.flags == ("bad-concat",)


def test_r09_a_final_nul_is_cut_only_by_option() -> None:
    """R9: nothing is cut at a NUL unless an option says so."""
    cutting = Account(name="a", system_id="a", strip_trailing_nul=True)

    assert message(arrive(deliver(b"hi\0"))).content.text == "hi@"
    assert message(arrive(deliver(b"hi\0\0"), account=cutting)).content.text == "hi@"
    ucs2 = deliver(bytes.fromhex("0100"), data_coding=8)
    assert message(arrive(ucs2, account=cutting)).content.text == "Ā"
    ucs2 = deliver(bytes.fromhex("00410000"), data_coding=8)
    assert message(arrive(ucs2, account=cutting)).content.text == "A"
    ucs2 = deliver(bytes.fromhex("004100"), data_coding=8)
    assert message(arrive(ucs2, account=cutting)).content.text == "A"


def test_r09_what_is_cut_is_kept_and_binary_is_not_cut() -> None:
    cutting = Account(name="a", system_id="a", strip_trailing_nul=True)
    part = message(arrive(deliver(b"hi\0"), account=cutting)).content.parts[0]

    assert (part.octets, part.cut) == (b"hi", b"\0")
    binary = message(arrive(deliver(b"\1\0", data_coding=4), account=cutting)).content.parts[0]
    assert (binary.octets, binary.cut) == (b"\1\0", b"")
    header = deliver(bytes.fromhex("0500030a0100"), esm_class=0x40)
    assert message(arrive(header, account=cutting)).content.flags == ("bad-concat",)


def test_a_nul_that_is_cut_leaves_the_content_to_the_payload() -> None:
    cutting = Account(name="a", system_id="a", strip_trailing_nul=True)
    payload = (Tag.message_payload, b"hello")

    assert message(arrive(deliver(b"\0"), payload, account=cutting)).content.text == "hello"
    assert message(arrive(deliver(b"\0"), payload)).content.text == "@"


def test_r08_an_account_may_mean_another_charset() -> None:
    """R8: data_coding means what the account says."""
    account = Account(name="a", system_id="a", charsets={0: "latin1"})
    arrival = message(arrive(deliver(b"caf\xe9"), account=account))

    assert arrival.content.text == "café"
    assert arrival.content.encoding == "latin1"


def test_octets_the_charset_lacks_are_flagged() -> None:
    arrival = message(arrive(deliver(b"caf\xe9")))

    assert arrival.content.text == "café"
    assert arrival.content.flags == ("undecodable-octets",)


def test_binary_has_no_text_but_its_octets() -> None:
    arrival = message(arrive(deliver(b"\0\xff", data_coding=4)))

    assert arrival.content.text == ""
    assert arrival.content.encoding == "binary"
    assert arrival.content.parts[0].octets == b"\0\xff"


def test_r11_class_and_ports_are_metadata() -> None:
    body = deliver(bytes.fromhex("0605040b8423f0010603"), esm_class=0x40, data_coding=0xF5)

    assert message(arrive(body)).metadata == {
        "message_class": 1,
        "destination_port": 2948,
        "source_port": 9200,
    }


@pytest.mark.parametrize(
    ("data_coding", "udh", "octets"),
    [
        # WAP push, 16-bit ports 9200 → 2948, text coding of 8-bit data.
        (0xF5, "0605040b8423f0", "010603be"),
        # A business card: Nokia's port for vCards, and the 8-bit coding of SMPP.
        (4, "06050423f40000", "424547494e3a56434152440d0a"),
        # 8-bit ports, and a coding group for 8-bit data without a class.
        (2, "040402f0f1", "00ff"),
    ],
)
def test_r11_content_for_a_port_keeps_its_octets_and_header(
    data_coding: int, udh: str, octets: str
) -> None:
    body = deliver(bytes.fromhex(udh + octets), esm_class=0x40, data_coding=data_coding)
    content = message(arrive(body)).content

    assert (content.text, content.encoding) == ("", "binary")
    assert (content.parts[0].udh.hex(), content.parts[0].octets.hex()) == (udh, octets)


def test_r11_a_message_at_once_is_a_message() -> None:
    arrival = message(arrive(deliver(b"now", data_coding=0x10)))

    assert (arrival.content.text, arrival.metadata) == ("now", {"message_class": 0})


def test_r11_waiting_messages_are_metadata() -> None:
    by_coding = message(arrive(deliver(b"3 new", data_coding=0xD8)))
    by_header = message(arrive(deliver(bytes.fromhex("0401028203") + b"x", esm_class=0x40)))
    by_parameter = message(
        arrive(
            deliver(b"x"), (Tag.ms_msg_wait_facilities, b"\x81"), (Tag.number_of_messages, b"\3")
        )
    )

    assert by_coding.content.text == "3 new"
    assert by_coding.metadata == {
        "waiting": "voicemail",
        "waiting_active": 1,
        "waiting_store": 1,
    }
    assert by_header.metadata["waiting"] == "email"
    assert by_header.metadata["waiting_count"] == 3
    assert by_parameter.metadata == {
        "waiting": "fax",
        "waiting_active": 1,
        "number_of_messages": 3,
    }


def test_an_answer_knows_its_way() -> None:
    header = bytes.fromhex("0a22080c91447700091042")
    arrival = message(arrive(deliver(header + b"hi", esm_class=0xC0)))

    assert arrival.metadata == {"reply_path": 1, "reply_address": "+447700900124"}


def test_packed_text_is_an_option_of_the_account() -> None:
    packed = Account(name="a", system_id="a", packed=True)
    octets = bytes.fromhex("e8329bfd06")  # "hello"

    arrival = message(arrive(deliver(octets), account=packed))
    assert (arrival.content.text, arrival.content.encoding) == ("hello", "gsm7")
    assert arrival.content.parts[0].octets == octets
    ucs2 = message(arrive(deliver(bytes.fromhex("00680069"), data_coding=8), account=packed))
    assert (ucs2.content.text, ucs2.content.parts[0].packed) == ("hi", False)


def test_r25_an_address_that_was_read_shows_how_it_came() -> None:
    account = Account(name="a", system_id="a", default_country="GB")
    body = deliver(b"hi", source_addr="07700900123", source_addr_ton=2, source_addr_npi=8)
    arrival = message(arrive(body, account=account))

    assert arrival.source == Address("+447700900123", "e164")
    assert arrival.metadata == {
        "source_addr": "07700900123",
        "source_addr_ton": 2,
        "source_addr_npi": 8,
    }
    body = deliver(b"hi", destination_addr="99999999", dest_addr_ton=3, dest_addr_npi=9)
    assert message(arrive(body)).metadata == {"dest_addr_ton": 3, "dest_addr_npi": 9}


def test_r25_receipts_keep_type_and_plan_too() -> None:
    """jasmin#448: both are lost on the way of a receipt."""
    body = deliver(b"id:1 stat:DELIVRD", esm_class=4, source_addr="INFO", source_addr_ton=5)

    assert receipt(arrive(body)).metadata == {"source_addr_ton": 5, "source_addr_npi": 1}


def test_shift_tables_are_kept_with_the_part() -> None:
    body = deliver(bytes.fromhex("06240106250106") + b"x", esm_class=0x40)
    part = message(arrive(body)).content.parts[0]

    assert (part.locking, part.single) == (6, 6)


def test_the_accounts_own_parameters() -> None:
    account = Account(
        name="a",
        system_id="a",
        message_id_tlv=0x1403,
        sent_at_tlv=0x1404,
        time_zone="Europe/Berlin",
    )
    tlvs = ((0x1403, b"m-1\0"), (0x1404, b"260701120000\0"))
    arrival = message(arrive(deliver(b"hi"), *tlvs, account=account))

    assert arrival.carrier_message_id == "m-1"
    assert arrival.sent_at == 1_782_900_000_000
    assert message(arrive(deliver(b"hi"), *tlvs)).sent_at is None


def test_a_receipt() -> None:
    text = b"id:38601fa sub:001 dlvrd:001 submit date:1005232039 done date:1005242339 stat:DELIVRD "
    arrival = receipt(
        arrive(
            deliver(text + b"err:000 text:hi", esm_class=4),
            (Tag.receipted_message_id, b"59119138\0"),
            (Tag.network_error_code, b"\3\0\0"),
        )
    )

    assert arrival.id == arrival.id_tlv == "59119138"
    assert arrival.id_text == "38601fa"
    assert (arrival.state, arrival.error) == ("DELIVRD", "000")
    assert (arrival.submitted, arrival.delivered) == (1, 1)
    assert arrival.submitted_at == 1_274_647_140_000
    assert arrival.done_at == 1_274_744_340_000
    assert arrival.text == "hi"
    assert arrival.metadata == {"network_error_type": 3, "network_error_code": 0}
    assert arrival.content.text.startswith("id:38601fa")


def test_r20_a_receipt_nobody_can_read_is_a_receipt() -> None:
    arrival = receipt(arrive(deliver(b"\x1b\xff", esm_class=4)))

    assert arrival.id is None
    assert arrival.state is None
    assert "unparsed-receipt" in arrival.content.flags
    assert arrival.content.parts[0].octets == b"\x1b\xff"


def test_r20_a_receipt_in_words_keeps_its_words() -> None:
    arrival = receipt(arrive(deliver(b"Delivered to handset", esm_class=4)))

    assert arrival.content.text == "Delivered to handset"
    assert arrival.content.flags == ("unparsed-receipt",)


def test_r21_words_that_look_like_a_receipt_are_a_message() -> None:
    """R21: esm_class decides what is a receipt."""
    message(arrive(deliver(b"id:1 stat:DELIVRD")))


def test_a_final_nul_is_in_no_field_of_a_receipt() -> None:
    assert receipt(arrive(deliver(b"id:1 stat:DELIVRD err:000\0", esm_class=4))).error == "000"
    wide = "id:1 stat:DELIVRD err:000\0".encode("utf-16-be")
    assert receipt(arrive(deliver(wide, esm_class=4, data_coding=8))).error == "000"


def test_ids_of_a_receipt_are_ascii_and_what_it_quotes_is_in_the_alphabet() -> None:
    arrival = arrive(deliver(b"id:a_b@c stat:DELIVRD err:[1] text:\0 \x11 \x1be", esm_class=4))

    assert isinstance(arrival, Receipt)
    assert (arrival.id, arrival.error, arrival.text) == ("a_b@c", "[1]", "@ _ €")


@pytest.mark.parametrize("data_coding", [8, 2, 4, 0xF5])
@pytest.mark.parametrize("end", [b"", b"\0"])
def test_r20_a_receipt_of_ascii_under_another_coding(data_coding: int, end: bytes) -> None:
    body = deliver(b"id:1 stat:DELIVRD err:000" + end, esm_class=4, data_coding=data_coding)
    arrival = receipt(arrive(body))

    assert (arrival.id, arrival.state, arrival.error) == ("1", "DELIVRD", "000")
    assert arrival.content.encoding == "ascii"
    assert "coding-mismatch" in arrival.content.flags
    assert arrival.content.parts[0].coding == data_coding


@pytest.mark.parametrize("data_coding", [0, 3, 4])
def test_r20_a_receipt_of_ucs2_under_another_coding(data_coding: int) -> None:
    text = "id:1 stat:DELIVRD".encode("utf-16-be")
    arrival = receipt(arrive(deliver(text, esm_class=4, data_coding=data_coding)))

    assert (arrival.id, arrival.state) == ("1", "DELIVRD")
    assert arrival.content.encoding == "ucs2"


SPLIT = (bytes.fromhex("0500030a0201"), bytes.fromhex("0500030a0202"))


def segments(text: bytes, *, esm_class: int = 0x44, account: Account = ACCOUNT) -> list[Fragment]:
    return [
        fragment(arrive(deliver(header + half, esm_class=esm_class), account=account))
        for header, half in zip(SPLIT, (text[:20], text[20:]), strict=True)
    ]


def test_a_receipt_may_have_a_header() -> None:
    header = bytes.fromhex("0470020102")
    arrival = receipt(arrive(deliver(header + b"id:1 stat:DELIVRD", esm_class=0x44)))

    assert (arrival.id, arrival.state) == ("1", "DELIVRD")
    assert arrival.content.parts[0].udh == header


def test_a_receipt_may_come_in_segments() -> None:
    account = Account(name="a", system_id="a", time_zone="Europe/Berlin", receipt_ids="decimal")
    parts = segments(b"id:ff done date:2607011200 stat:DELIVRD", account=account)
    arrival = join(list(reversed(parts)))

    assert isinstance(arrival, Receipt)
    assert (arrival.id, arrival.id_text, arrival.state) == ("255", "ff", "DELIVRD")
    assert arrival.done_at == 1_782_900_000_000
    assert arrival.content.text == "id:ff done date:2607011200 stat:DELIVRD"


def test_r21_segments_too_are_receipts_by_their_text_only_by_option() -> None:
    account = Account(name="a", system_id="a", receipt_by_text=True)
    text = b"id:1891273321 sub:001 stat:DELIVRD"

    assert isinstance(join(segments(text, esm_class=0x40, account=account)), Receipt)
    assert isinstance(join(segments(text, esm_class=0x40)), Message)
    assert isinstance(join(segments(b"hello" * 9, esm_class=0x40, account=account)), Message)


def test_a_receipt_by_text_has_all_that_a_receipt_has() -> None:
    account = Account(name="a", system_id="a", receipt_by_text=True, receipt_ids="hexadecimal")
    state = (Tag.message_state, b"\2")
    tlvs = ((Tag.receipted_message_id, b"0C\0"), state, (Tag.user_message_reference, b"\0\7"))
    arrival = receipt(arrive(deliver(b"12 2"), *tlvs, account=account))

    assert (arrival.id_tlv, arrival.id, arrival.state) == ("0C", "c", "DELIVRD")
    assert arrival.metadata == {"user_message_reference": 7}
    assert arrival.tlvs == tlvs


def test_r21_what_esm_class_calls_an_acknowledgement_is_no_receipt_by_its_text() -> None:
    account = Account(name="a", system_id="a", receipt_by_text=True)

    message(arrive(deliver(b"id:1 stat:DELIVRD", esm_class=0x10), account=account))


def test_an_intermediate_notification_is_a_receipt() -> None:
    arrival = receipt(arrive(deliver(b"id:1 stat:ENROUTE", esm_class=0x20)))

    assert arrival.metadata == {"message_type": "intermediate-notification"}


@pytest.mark.parametrize(
    ("esm_class", "name"),
    [
        (0x08, "delivery-acknowledgement"),
        (0x10, "manual-acknowledgement"),
        (0x18, "conversation-abort"),
        (0x0C, "reserved"),
        (0x3C, "reserved"),
    ],
)
def test_r21_acknowledgements_of_people_are_messages(esm_class: int, name: str) -> None:
    arrival = message(arrive(deliver(b"ok", esm_class=esm_class)))

    assert arrival.metadata == {"message_type": name}


def test_what_cannot_be_decoded_is_kept_whole() -> None:
    frame = bytes.fromhex("00000028000000050000000000000009000101") + b"4" * 21
    undecodable = decode(frame)
    assert isinstance(undecodable, Undecodable)

    arrival = unreadable(undecodable, ACCOUNT, link="lnk_1", place=1, received_at=5)

    assert arrival.raw == frame
    assert arrival.reason.startswith("deliver_sm: source_addr")
    assert "444" not in arrival.reason
    assert len(arrival.origin.fingerprint) == 32


def test_a_command_nobody_knows_has_a_fingerprint() -> None:
    undecodable = decode(bytes.fromhex("0000001000000110000000000a342ee7"))
    assert isinstance(undecodable, Undecodable)

    arrival = unreadable(undecodable, ACCOUNT, link="lnk_1", place=1, received_at=5)

    assert arrival.reason.startswith("command 00000110")


OCTET = st.integers(0, 255)
ADDRESS = st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
TLV = st.tuples(
    st.one_of(st.sampled_from([int(tag) for tag in Tag]), st.integers(0, 0xFFFF)),
    st.binary(max_size=40),
)


@given(
    st.sampled_from([DeliverSm, SubmitSm]),
    st.binary(max_size=254),
    OCTET,
    OCTET,
    ADDRESS,
    OCTET,
    st.lists(TLV, max_size=5),
    st.sampled_from(
        [
            ACCOUNT,
            Account(
                name="b",
                system_id="b",
                charsets={0: "utf-8", 8: "nonsense"},
                default_country="GB",
                strip_trailing_nul=True,
                time_zone="Nowhere",
                sent_at_tlv=0x0204,
                message_id_tlv=0x001E,
                packed=True,
                receipt_by_text=True,
                receipt_ids="hexadecimal-to-decimal",
            ),
        ]
    ),
)
def test_nothing_is_refused(
    body: type[DeliverSm],
    octets: bytes,
    esm_class: int,
    coding: int,
    address: str,
    ton: int,
    tlvs: list[tuple[int, bytes]],
    account: Account,
) -> None:
    arrival = arrive(
        body(
            source_addr=address,
            source_addr_ton=ton,
            esm_class=esm_class,
            data_coding=coding,
            short_message=octets,
        ),
        *tlvs,
        account=account,
    )

    if isinstance(arrival, Fragment):
        assert 1 <= arrival.concat.seq <= arrival.concat.total
    else:
        assert not isinstance(arrival, Unreadable)
        arrival.content.text.encode()
