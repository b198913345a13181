"""Canonical bytes: the contract's shape, every key, always."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.delivery.payload import LAST_SECOND, message_event, receipt_event, rfc3339
from smsc.message import Address, Content, Message, Origin, Part, Receipt

AT = 1_795_256_130_101  # 2026-11-21T10:15:30.101Z
ORIGIN = Origin("account-one", "acme-uk", "lnk_1", 7, AT, b"f" * 32)
SOURCE = Address("+447700900123", "e164")
DESTINATION = Address("+447700900999", "e164")
MESSAGE = Message(
    ORIGIN, SOURCE, DESTINATION, Content("STOP €", "gsm7", (Part(b"STOP \x1be", "gsm7", 0),))
)
SAME = {
    "event_id": "evt_01J",
    "message_id": "msg_01J",
    "tenant": "default",
    "number": "+447700900999",
    "route_id": "main",
    "routing_tag": "billing",
    "created_at": AT + 22,
}


def rendered(message: Message, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(message_event(message, **{**SAME, **changes}))
    return event


def test_a_message_has_exactly_the_contracts_shape() -> None:
    assert rendered(MESSAGE) == {
        "type": "message.received",
        "schemaVersion": "1.0",
        "eventId": "evt_01J",
        "timestamp": "2026-11-21T10:15:30.123Z",
        "tenantId": "default",
        "data": {
            "messageId": "msg_01J",
            "fromNumber": "+447700900123",
            "toNumber": "+447700900999",
            "content": "STOP €",
            "timestamp": "2026-11-21T10:15:30.101Z",
            "carrier": "acme-uk",
            "receivedAt": "2026-11-21T10:15:30.101Z",
            "fromNumberType": "e164",
            "toNumberType": "e164",
            "encoding": "gsm7",
            "partCount": 1,
            "parts": [],
            "complete": True,
            "contentBase64": None,
            "udhHex": None,
            "keyword": None,
            "optOutAction": None,
            "routeId": "main",
            "routingTag": "billing",
            "numberId": "+447700900999",
            "carrierMessageId": None,
            "duplicateOf": None,
            "tlvs": {},
            "flags": [],
            "metadata": {},
        },
    }


def test_the_bytes_are_the_same_each_time_and_plain_utf8() -> None:
    first = message_event(MESSAGE, **SAME)  # type: ignore[arg-type]  # one dict for many types

    assert first == message_event(MESSAGE, **SAME)  # type: ignore[arg-type]  # likewise
    assert "€".encode() in first
    assert b" " not in first.replace(b"STOP ", b"")


def test_the_carriers_own_time_is_the_messages_where_it_is_known() -> None:
    data = rendered(replace(MESSAGE, sent_at=AT - 1))["data"]

    assert data["timestamp"] == "2026-11-21T10:15:30.100Z"
    assert data["receivedAt"] == "2026-11-21T10:15:30.101Z"


def test_binary_content_is_kept_as_octets() -> None:
    part = Part(b"\x00\xff\xfe", "binary", 4, udh=b"\x06\x05\x04\x0b\x84\x23\xf0")
    data = rendered(replace(MESSAGE, content=Content("", "binary", (part,))))["data"]

    assert data["content"] == ""
    assert data["encoding"] == "binary"
    assert data["contentBase64"] == "AP/+"
    assert data["udhHex"] == "0605040b8423f0"


def test_r08_octets_stand_beside_a_text_that_is_not_sure() -> None:
    part = Part(b"caf\xe9", "gsm7", 0)
    content = Content("café", "gsm7", (part,), flags=("undecodable-octets",))
    data = rendered(replace(MESSAGE, content=content))["data"]

    assert (data["content"], data["contentBase64"]) == ("café", "Y2Fm6Q==")
    assert data["flags"] == ["undecodable-octets"]


def test_content_for_a_port_has_its_octets_beside_the_text() -> None:
    part = Part(b"hi", "gsm7", 0, udh=bytes.fromhex("0605040b8423f0"))
    message = replace(
        MESSAGE,
        content=Content("hi", "gsm7", (part,)),
        metadata={"destination_port": 2948, "source_port": 9200},
    )
    data = rendered(message)["data"]

    assert (data["content"], data["contentBase64"]) == ("hi", "aGk=")
    assert data["udhHex"] == "0605040b8423f0"
    assert data["metadata"] == {"destinationPort": 2948, "sourcePort": 9200}


def test_no_octets_are_lost_where_only_some_parts_are_text() -> None:
    parts = (Part(b"a", "gsm7", 0), Part(b"\xff", "binary", 4))
    data = rendered(replace(MESSAGE, content=Content("a", "mixed", parts), total=2))["data"]

    assert (data["content"], data["encoding"], data["contentBase64"]) == ("a", "mixed", "Yf8=")


def test_metadata_is_shown_in_camel_case() -> None:
    message = replace(MESSAGE, metadata={"reply_address": "+447700900124", "reply_path": 1})

    assert rendered(message)["data"]["metadata"] == {
        "replyAddress": "+447700900124",
        "replyPath": 1,
    }


def test_parts_that_came_are_listed_and_gaps_show() -> None:
    parts = (
        Part(b"a", "gsm7", 0, udh=b"\x05\x00\x03\x07\x03\x01"),
        Part(b"c", "gsm7", 0, udh=b"\x05\x00\x03\x07\x03\x03"),
    )
    content = Content("a[…]c", "gsm7", parts, missing=(2,))
    data = rendered(replace(MESSAGE, content=content, total=3))["data"]

    assert data["content"] == "a[…]c"
    assert data["complete"] is False
    assert data["partCount"] == 3
    assert data["parts"] == [
        {"seq": 1, "udhHex": "050003070301"},
        {"seq": 3, "udhHex": "050003070303"},
    ]
    assert data["udhHex"] is None


def test_optional_parameters_are_shown_by_tag_the_first_of_each() -> None:
    tlvs = ((0x020C, b"\x00\x2a"), (0x0424, b""), (0x020C, b"\x01"))

    assert rendered(replace(MESSAGE, tlvs=tlvs))["data"]["tlvs"] == {"020c": "002a", "0424": ""}


def test_unrouted_messages_and_possible_repeats_have_their_keys_too() -> None:
    data = rendered(MESSAGE, number=None, route_id=None, routing_tag=None, duplicate_of="msg_00")[
        "data"
    ]

    assert (data["numberId"], data["routeId"], data["routingTag"]) == (None, None, None)
    assert data["duplicateOf"] == "msg_00"


def test_a_receipt_has_the_contracts_keys_and_the_canonical_names() -> None:
    receipt = Receipt(
        ORIGIN,
        SOURCE,
        DESTINATION,
        Content("id:0a12 …", "ascii", (Part(b"id:0a12", "ascii", 8),), flags=("coding-mismatch",)),
        id_text="0a12",
        id_tlv="2578",
        id="2578",
        state="DELIVRD",
        error="000",
        submitted=1,
        delivered=0,
        text="hello",
        tlvs=((0x001E, b"2578\0"),),
        metadata={"message_type": "intermediate-notification"},
        submitted_at=AT - 60_000,
        done_at=AT,
    )
    event = json.loads(receipt_event(receipt, **SAME))  # type: ignore[arg-type]  # likewise

    assert event["type"] == "receipt.received"
    assert event["data"] == {
        "messageId": "msg_01J",
        "fromNumber": "+447700900123",
        "toNumber": "+447700900999",
        "content": "id:0a12 …",
        "timestamp": "2026-11-21T10:15:30.101Z",
        "carrier": "acme-uk",
        "receivedAt": "2026-11-21T10:15:30.101Z",
        "carrierMessageIdText": "0a12",
        "carrierMessageIdTlv": "2578",
        "carrierMessageId": "2578",
        "state": "DELIVRD",
        "error": "000",
        "submittedAt": "2026-11-21T10:14:30.101Z",
        "doneAt": "2026-11-21T10:15:30.101Z",
        "routeId": "main",
        "routingTag": "billing",
        "numberId": "+447700900999",
        "duplicateOf": None,
        "submittedCount": 1,
        "deliveredCount": 0,
        "text": "hello",
        "encoding": "ascii",
        "complete": True,
        "contentBase64": None,
        "tlvs": {"001e": "3235373800"},
        "flags": ["coding-mismatch"],
        "metadata": {"messageType": "intermediate-notification"},
    }


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (-1, "1970-01-01T00:00:00.000Z"),
        (LAST_SECOND * 1000 + 999, "9999-12-31T23:59:59.999Z"),
        ((LAST_SECOND + 1) * 1000, "9999-12-31T23:59:59.999Z"),
        (1_709_164_800_007, "2024-02-29T00:00:00.007Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(at: int, written: str) -> None:
    assert rfc3339(at) == written


@settings(deadline=None)  # a busy machine is not a bug
@given(st.text(), st.integers())
def test_any_text_comes_through_and_any_time_can_be_written(text: str, at: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    message = replace(MESSAGE, content=Content(text, "ucs2", MESSAGE.content.parts), sent_at=at)

    assert rendered(message)["data"]["content"] == text
