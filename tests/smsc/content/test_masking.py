"""Masking: what stays, what goes, and that nothing else ever shows."""

import pytest

from smsc.content import masking
from smsc.content.metadata import NAMES
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import (
    BindTransceiver,
    Body,
    CommandId,
    DeliverSm,
    Outbind,
    SmeAddress,
    SubmitMulti,
    Tag,
)

SENDER, NUMBER = "447700900123", "447700900999"
SECRET = b"SECRET"


def pdu(command: int, body: Body, tlvs: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    return encode(Pdu(command, 0, 7, body, tlvs))


def shown(frame: bytes) -> bytes:
    masked = masking.masked(frame, decode(frame))
    assert len(masked) == len(frame)
    assert masked[:16] == frame[:16]
    return masked


def test_a_message_keeps_its_shape_and_tells_nothing() -> None:
    frame = pdu(
        CommandId.deliver_sm,
        DeliverSm(
            service_type="VMA", source_addr=SENDER, destination_addr=NUMBER, data_coding=3,
            validity_period="000000000500000R", short_message=SECRET,
        ),
        (
            (Tag.message_payload, SECRET),
            (Tag.callback_num, b"\1\1\1" + SENDER.encode()),
            (Tag.user_message_reference, b"\x12\x34"),
            (Tag.user_message_reference, SECRET),  # an integer of six octets is none
            (Tag.receipted_message_id, b"id-1\0"),
            (0x1501, SECRET),
        ),
    )  # fmt: skip

    again = decode(shown(frame))

    assert isinstance(again, Pdu)
    assert again.body == DeliverSm(
        service_type="VMA", source_addr="4477*****123", destination_addr="4477*****999",
        data_coding=3, validity_period="000000000500000R", short_message=b"******",
    )  # fmt: skip
    assert again.tlvs == (
        (Tag.message_payload, b"******"),
        (Tag.callback_num, b"*" * 15),
        (Tag.user_message_reference, b"\x12\x34"),
        (Tag.user_message_reference, b"******"),
        (Tag.receipted_message_id, b"id-1\0"),
        (0x1501, b"******"),
    )


def test_of_a_user_data_header_what_joins_parts_stays() -> None:
    udh = b"\x05\x00\x03\x2a\x02\x01"
    address = b"\x22\x03" + SECRET[:3]
    message = bytes([len(udh) - 1 + len(address)]) + udh[1:] + address + SECRET
    frame = pdu(CommandId.deliver_sm, DeliverSm(esm_class=0x40, short_message=message))

    again = decode(shown(frame))

    assert isinstance(again, Pdu)
    assert isinstance(again.body, DeliverSm)
    assert again.body.short_message == message[:6] + b"\x22\x03" + b"*" * 9


@pytest.mark.parametrize("message", [b"\x05\x00\x09SECRET", b"", b"\xffSECRET"])
def test_what_is_no_user_data_header_is_text(message: bytes) -> None:
    frame = pdu(CommandId.deliver_sm, DeliverSm(esm_class=0x40, short_message=message))

    again = decode(shown(frame))

    assert isinstance(again, Pdu)
    assert isinstance(again.body, DeliverSm)
    assert again.body.short_message == b"*" * len(message)


def test_lists_of_recipients() -> None:
    body = SubmitMulti(dest_address=(SmeAddress(destination_addr=NUMBER),), short_message=SECRET)

    again = shown(pdu(CommandId.submit_multi, body))

    assert NUMBER.encode() not in again
    assert b"4477*****999" in again
    assert SECRET not in again


def test_tails_and_bodies_that_cannot_be_read_tell_nothing() -> None:
    frame = pdu(CommandId.deliver_sm, DeliverSm(source_addr=SENDER, short_message=SECRET))
    for broken in (frame + SECRET, frame[:-3], frame[:4] + b"\0\0\x55\x55" + frame[8:]):
        whole = len(broken).to_bytes(4, "big") + broken[4:]
        masked = shown(whole)
        assert SECRET[:3] not in masked
        assert b"0900123" not in masked


BIND = pdu(
    CommandId.bind_transceiver,
    BindTransceiver(system_id="acme", password="SECRET", system_type="sms", interface_version=52),
)


@pytest.mark.parametrize("masking_of", [masking.without_password, shown])
def test_a_password_is_as_long_as_it_was(masking_of: object) -> None:
    assert callable(masking_of)

    again = decode(masking_of(BIND))

    assert isinstance(again, Pdu)
    assert isinstance(again.body, BindTransceiver)
    assert again.body == BindTransceiver(
        system_id="acme", password="******", system_type="sms", interface_version=52
    )


@pytest.mark.parametrize(
    "body",
    [
        b"acme\0SECRET",
        b"acme\0SECRET\0",
        b"acme\0" + SECRET * 5 + b"\0\0\0",
        b"acmeSECRET",
        b"\0SECRET\0",
        b"SECRET",
        b"",
    ],
)
@pytest.mark.parametrize("command", [1, 2, 9, 11])
def test_no_password_shows_however_broken_the_bind(command: int, body: bytes) -> None:
    frame = b"".join(n.to_bytes(4, "big") for n in (16 + len(body), command, 0, 1)) + body

    for masked in (masking.without_password(frame), shown(frame)):
        assert SECRET not in masked
        assert len(masked) == len(frame)


def test_of_an_outbind_too_and_of_nothing_else() -> None:
    outbind = pdu(CommandId.outbind, Outbind(system_id="acme", password="SECRET"))
    assert SECRET not in masking.without_password(outbind)
    message = pdu(CommandId.deliver_sm, DeliverSm(short_message=b"\0\0SECRET"))
    assert masking.without_password(message) == message


@pytest.mark.parametrize(
    ("address", "masked"),
    [("+447700900123", "+4477*****123"), ("ACME", "A**E"), ("12", "**"), ("", ""), ("7", "*")],
)
def test_of_an_address_head_and_tail_stay(address: str, masked: str) -> None:
    assert masking.number(address) == masked


def test_words_of_metadata() -> None:
    assert masking.metadata("destination_port", 2948) == 2948
    assert masking.metadata("message_type", "default-mode") == "default-mode"
    assert masking.metadata("callback_num", SENDER) == "[12 characters]"
    assert masking.text("x") == "[1 character]"


def test_what_is_shown_of_metadata_exists() -> None:
    assert NAMES.keys() >= masking.SHOWN_METADATA
    assert masking.metadata("tail", "0102") == "[4 characters]"
