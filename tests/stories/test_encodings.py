"""From an unmodified smpplib to a receiver that verifies: exactly the text that was sent."""

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from smpplib import consts
from smpplib.gsm import GSM_CHARACTER_TABLE, gsm_encode, make_parts

from bridge.customer import Customer, open_customer
from tests.fix_carriers import SENDER, smpplib_delivers
from tests.fix_gateway import NUMBER, SECRET, Gateway, open_gateway, to_one

BOUND = 45
UDHI = consts.SMPP_GSMFEAT_UDHI

DEFAULT_ALPHABET = (GSM_CHARACTER_TABLE[:0x1B] + GSM_CHARACTER_TABLE[0x1C:0x80]).replace("`", "§")
"""3GPP TS 23.038 §6.2.1; smpplib's table has a grave accent where the section sign belongs."""
EXTENSION = "^{}\\[~]|€"
UCS2 = "Grüße 你好 שלום \N{GRINNING FACE}\N{FAMILY}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}!"
LONG = "".join(f"{n}: the quick brown {{fox}} costs €{n}. " for n in range(20))
LONG_UCS2 = "".join(f"{n} \N{GRINNING FACE}\N{SNOWMAN} " for n in range(60))


class Line:
    """A gateway and a customer."""

    def __init__(self, gateway: Gateway, customer: Customer) -> None:
        self.gateway = gateway
        self.customer = customer

    async def deliver(self, *messages: dict[str, Any], events: int = 1) -> list[dict[str, Any]]:
        """Send these; the new events, once there are so many. Every answer must be ROK."""
        before = self.customer.count
        statuses = await smpplib_delivers(self.gateway.smpp_port, messages)
        assert statuses == [0] * len(messages)
        with trio.move_on_after(15):
            await self.customer.until(lambda: self.customer.count >= before + events)
        new = list(self.customer.received)[before:]
        assert [received.problem for received in new] == [""] * events, self.gateway.log()
        return [received.event for received in new]

    async def content(self, *messages: dict[str, Any]) -> str:
        """The text of the one message that came of these."""
        (event,) = await self.deliver(*messages)
        assert event["type"] == "message.received"
        assert event["data"]["fromNumber"] == f"+{SENDER}"
        assert event["data"]["toNumber"] == NUMBER
        assert event["data"]["complete"] is True
        return str(event["data"]["content"])


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            yield Line(gateway, customer)


async def test_every_encoding(line: Line) -> None:
    """One gateway for all of them: the one after the other, as a carrier would."""
    for text in (DEFAULT_ALPHABET, EXTENSION, "plain"):
        octets = gsm_encode(text.replace("§", "`"))
        assert text == await line.content({"short_message": octets, "data_coding": 0})

    assert (
        await line.content(
            {
                "short_message": UCS2.encode("utf-16-be"),
                "data_coding": consts.SMPP_ENCODING_ISO10646,
            }
        )
        == UCS2
    )

    latin = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100))))[:140]
    assert latin == await line.content(
        {"short_message": latin.encode("latin-1"), "data_coding": consts.SMPP_ENCODING_ISO88591}
    )

    ascii_text = "".join(map(chr, range(0x20, 0x7F)))
    assert ascii_text == await line.content(
        {"short_message": ascii_text.encode(), "data_coding": consts.SMPP_ENCODING_IA5}
    )

    octets = bytes(range(140))
    (event,) = await line.deliver({"short_message": octets, "data_coding": 4})
    assert event["data"]["content"] == ""
    assert event["data"]["encoding"] == "binary"
    assert b64decode(event["data"]["contentBase64"]) == octets


async def test_every_way_to_send_a_long_text(line: Line) -> None:
    for text, coding in ((LONG, 0), (LONG_UCS2, 8)):
        parts, found, esm_class = make_parts(text, coding)
        assert found == coding
        assert len(parts) > 3
        udh8 = [
            {"short_message": part, "data_coding": coding, "esm_class": esm_class} for part in parts
        ]
        assert text == await line.content(*udh8[1:], udh8[0])

        udh16 = [
            message | {"short_message": b"\x06\x08\x04\x01" + message["short_message"][3:]}
            for message in udh8
        ]
        assert text == await line.content(*reversed(udh16))

        plain, _, esm_class = make_parts(text, coding, use_udhi=False)
        sar = [
            {
                "short_message": part,
                "data_coding": coding,
                "esm_class": esm_class,
                "sar_msg_ref_num": 4711,
                "sar_total_segments": len(plain),
                "sar_segment_seqnum": number,
            }
            for number, part in enumerate(plain, 1)
        ]
        assert text == await line.content(sar[2], sar[2], sar[0], sar[1], *sar[3:])

    payload = gsm_encode(LONG * 3)
    assert len(payload) > 255
    assert await line.content({"message_payload": payload, "data_coding": 0}) == LONG * 3


async def test_a_receipt_goes_out_as_a_receipt(line: Line) -> None:
    text = (
        "id:0123456789 sub:001 dlvrd:001 submit date:2611211015 done date:2611211016 "
        "stat:DELIVRD err:000 text:Hello"
    )

    (event,) = await line.deliver({"short_message": text.encode(), "esm_class": 0x04})

    assert event["type"] == "receipt.received"
    assert event["data"]["carrierMessageId"] == "0123456789"
    assert event["data"]["state"] == "DELIVRD"


async def test_every_kind_of_bind_may_deliver(line: Line) -> None:
    # smpplib itself holds back what a receiver is not meant to send, so two kinds are asked.
    port = line.gateway.smpp_port
    for bind in ("bind_receiver", "bind_transceiver"):
        statuses = await smpplib_delivers(port, [{"short_message": bind.encode()}], bind=bind)
        assert statuses == [0]
        await line.customer.until(lambda: line.customer.received)
        text = line.customer.received.pop().data["content"]
        assert text == bind.replace("_", "\N{SECTION SIGN}")


async def test_the_event_is_as_the_contract_says(line: Line) -> None:
    (event,) = await line.deliver({"short_message": b"Hello"})
    received = line.customer.received[-1]
    data = event["data"]

    assert event["schemaVersion"] == "1.0"
    assert event["eventId"] == received.id
    assert received.id.startswith("evt_")
    assert received.attempt == 1
    assert received.headers["content-type"].startswith("application/json")
    assert received.headers["user-agent"].startswith("smsbridge/")
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    assert data["messageId"].startswith("msg_")
    assert data["carrier"] == "one"
    assert data["routingTag"] == "stories"
    assert data["partCount"] == 1
    assert data["duplicateOf"] is None
