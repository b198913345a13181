"""What carriers say beside plain text, from smpplib to a receiver that verifies."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import trio

from bridge.customer import open_customer
from tests.fix_carriers import smpplib_delivers
from tests.fix_gateway import ACCOUNT, NUMBER, SECRET, endpoint, open_gateway, routed

OPTIONS = """
receipt_by_text = true
receipt_ids = "decimal"
time_zone = "Europe/Berlin"
"""
RECEIPT = b"id:38601FA sub:001 dlvrd:001 submit date:2607011200 done date:260701120005 stat:DELIVRD"


async def events_of(tmp_path: Path, *messages: dict[str, Any], events: int) -> list[dict[str, Any]]:
    """Deliver these over one link of an account with options; what a customer gets."""
    with trio.fail_after(45):
        async with open_customer([SECRET]) as customer:
            live = (
                ACCOUNT + OPTIONS + routed(NUMBER, "customer") + endpoint("customer", customer.url)
            )
            async with open_gateway(tmp_path, live) as gateway:
                statuses = await smpplib_delivers(gateway.smpp_port, messages)
                assert statuses == [0] * len(messages)
                with trio.move_on_after(15):
                    await customer.until(lambda: customer.count >= events)
                received = list(customer.received)
                assert [one.problem for one in received] == [""] * events, gateway.log()
                return [one.event for one in received]


async def test_r19_r21_receipts_of_all_kinds(tmp_path: Path) -> None:
    halves = (
        b"\x05\x00\x03\x07\x02\x01" + RECEIPT[:40],
        b"\x05\x00\x03\x07\x02\x02" + RECEIPT[40:],
    )
    events = await events_of(
        tmp_path,
        {"short_message": RECEIPT},  # esm_class 0: told by its text
        {"short_message": RECEIPT, "esm_class": 0x04, "data_coding": 8},
        {"short_message": RECEIPT, "esm_class": 0x20},
        {"short_message": halves[1], "esm_class": 0x44},
        {"short_message": halves[0], "esm_class": 0x44},
        {"short_message": b"Delivered", "esm_class": 0x04},
        {"short_message": b"id:1 is my id, stat:", "esm_class": 0},
        events=6,
    )

    receipts = [event["data"] for event in events if event["type"] == "receipt.received"]
    texts = [event["data"]["content"] for event in events if event["type"] == "message.received"]
    assert texts == ["id:1 is my id, stat:"]
    unparsed = [data for data in receipts if "unparsed-receipt" in data["flags"]]
    assert [(data["content"], data["state"]) for data in unparsed] == [("Delivered", None)]
    read = [data for data in receipts if data not in unparsed]
    assert len(read) == 4
    for data in read:
        assert data["carrierMessageIdText"] == "38601FA"
        assert data["carrierMessageId"] == "59113978"
        assert data["state"] == "DELIVRD"
        assert data["doneAt"] == "2026-07-01T10:00:05.000Z"
    kinds = [data["metadata"].get("messageType") for data in read]
    assert sorted(map(str, kinds)) == ["None", "None", "None", "intermediate-notification"]


async def test_r11_r25_what_stands_beside_a_text(tmp_path: Path) -> None:
    push = bytes.fromhex("0605040b8423f0")
    events = await events_of(
        tmp_path,
        {"short_message": push + b"\x01\x06\xbe", "esm_class": 0x40, "data_coding": 0xF5},
        {"short_message": b"now", "data_coding": 0x10, "esm_class": 0x80, "language_indicator": 4},
        {"short_message": b"hi", "source_addr": "07700900123", "source_addr_ton": 2},
        {"short_message": b"caf\xe9"},
        events=4,
    )

    data = {event["data"]["content"]: event["data"] for event in events}
    binary, flash, national, guessed = (data[text] for text in ("", "now", "hi", "café"))
    assert (binary["content"], binary["encoding"]) == ("", "binary")
    assert b64decode(binary["contentBase64"]) == b"\x01\x06\xbe"
    assert binary["udhHex"] == push.hex()
    assert binary["metadata"]["destinationPort"] == 2948
    assert (flash["content"], flash["metadata"]) == (
        "now",
        {"messageClass": 0, "replyPath": 1, "languageIndicator": 4},
    )
    assert national["fromNumber"] == "+447700900123"
    assert national["metadata"]["sourceAddr"] == "07700900123"
    assert (guessed["content"], guessed["flags"]) == ("café", ["undecodable-octets"])
    assert b64decode(guessed["contentBase64"]) == b"caf\xe9"
