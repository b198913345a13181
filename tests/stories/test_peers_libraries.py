"""Carriers that bind through npm's ``smpp`` and Perl's ``Net::SMPP``: what they send arrives, and
what they are told they understand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from smpplib.gsm import make_parts

from bridge.customer import Customer, open_customer
from tests.fix_carriers import SENDER
from tests.fix_gateway import (
    ACCOUNT,
    NUMBER,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    open_gateway,
    routed,
)
from tests.fix_peers import (
    Addresses,
    Driver,
    Fields,
    Order,
    events_of,
    link_closed,
    octets,
    open_driver,
)

BOUND = 60
LIBRARIES = ("node_smpp", "net_smpp")
ROK, RINVBNDSTS, RALYBND, RINVPASWD, RTHROTTLED = 0x00, 0x04, 0x05, 0x0E, 0x58

GSM_TEXT = "The @-sign costs €1 {really}, says Ångström \\ Δ^2 ~ [ñ|ü]!"
EMOJI = "Grüße 你好 שלום \N{GRINNING FACE}\N{FAMILY}"


class Line:
    """A gateway, a customer, and a carrier that is connected but not bound."""

    def __init__(self, gateway: Gateway, customer: Customer, driver: Driver) -> None:
        self.gateway = gateway
        self.customer = customer
        self.driver = driver

    async def messages(self, *requests: Order, events: int = 1) -> list[dict[str, Any]]:
        """Send these at once, all to be answered ROK; the data of the messages that come."""
        before = self.customer.count
        answers = await self.driver.send(*requests)
        assert [answer["command"] for answer in answers] == [f"{it[0]}_resp" for it in requests]
        assert [answer["status"] for answer in answers] == [ROK] * len(requests)
        came = await events_of(self.gateway, self.customer, before=before, new=events)
        assert [event["type"] for event in came] == ["message.received"] * events
        for event in came:
            assert event["data"]["fromNumber"] == f"+{SENDER}"
            assert event["data"]["toNumber"] == NUMBER
        return [event["data"] for event in came]

    async def text(self, *requests: Order) -> str:
        """The text of the one message that comes of these."""
        (data,) = await self.messages(*requests)
        assert data["complete"] is True
        return str(data["content"])


@asynccontextmanager
async def open_line(
    directory: Path, command: Sequence[str], *, account: str = "", timers: str = ""
) -> AsyncIterator[Line]:
    """Options of the account, and of the listener's timers, as lines of TOML."""
    with trio.fail_after(BOUND):
        async with AsyncExitStack() as stack:
            customer = await stack.enter_async_context(open_customer([SECRET]))
            live = ACCOUNT + account + routed(NUMBER, "customer")
            live += endpoint("customer", customer.url)
            gateway = await stack.enter_async_context(
                open_gateway(directory, f"\n[listeners.timers]\n{timers}\n{live}")
            )
            driver = await stack.enter_async_context(open_driver(command))
            await driver.dial(gateway.smpp_port)
            yield Line(gateway, customer, driver)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Sequence[str]:
    command: Sequence[str] = request.getfixturevalue(request.param)
    return command


def sms(text: bytes = b"Hello", command: str = "deliver_sm", **fields: Any) -> Order:
    return command, Addresses | {"short_message": octets(text)} | fields


def data_sm(payload: bytes, **fields: Any) -> Order:
    return "data_sm", Addresses | {"message_payload": octets(payload)} | fields


async def test_every_kind_of_bind_delivers_in_every_way(
    tmp_path: Path, library: Sequence[str]
) -> None:
    async with open_line(tmp_path, library) as line:
        for kind in ("transceiver", "receiver", "transmitter"):
            if kind != "transceiver":
                await line.driver.dial(line.gateway.smpp_port)
            bound = await line.driver.bind(kind)

            assert bound["command"] == f"bind_{kind}_resp"
            assert bound["status"] == ROK
            assert bound["system_id"] == "smsbridge"
            assert bound["sc_interface_version"] == 0x34

            assert await line.text(sms(b"one", data_coding=0)) == "one"
            for order in (sms(b"two", "submit_sm", data_coding=0), data_sm(b"two", data_coding=0)):
                before = line.customer.count
                (answer,) = await line.driver.send(order)
                (event,) = await events_of(line.gateway, line.customer, before=before, new=1)
                assert (answer["command"], answer["status"]) == (f"{order[0]}_resp", ROK)
                assert event["data"]["content"] == "two"
                assert event["data"]["messageId"] == answer["message_id"]

            (unbound,) = await line.driver.send(("unbind", {}))
            assert (unbound["command"], unbound["status"]) == ("unbind_resp", ROK)
            await line.driver.closed()
            await link_closed(line.gateway, kind, reason="unbound-by-peer")


async def test_a_version_of_old_is_told_nothing_it_does_not_know(
    tmp_path: Path, library: Sequence[str]
) -> None:
    async with open_line(tmp_path, library) as line:
        bound = await line.driver.bind(interface_version=0x33)

        assert bound["status"] == ROK
        assert "sc_interface_version" not in bound
        assert await line.text(sms(b"33", data_coding=0)) == "33"


async def test_every_form_of_content(tmp_path: Path, library: Sequence[str]) -> None:
    async with open_line(tmp_path, library) as line:
        await line.driver.bind()

        ucs2 = sms(EMOJI.encode("utf-16-be"), data_coding=8)
        assert await line.text(ucs2) == EMOJI
        latin = sms("für élève".encode("latin-1"), data_coding=3)
        assert await line.text(latin) == "für élève"
        binary = bytes(range(140))
        (data,) = await line.messages(sms(binary, data_coding=4))
        assert (data["content"], data["encoding"]) == ("", "binary")

        for text in (GSM_TEXT * 6, EMOJI * 20):
            cut, coding, esm_class = make_parts(text, 0 if text[0] == "T" else 8)
            parts = [sms(part, esm_class=esm_class, data_coding=coding) for part in cut]
            assert len(parts) > 2
            assert await line.text(*parts[1:], parts[0]) == text

        payload = sms(b"", data_coding=0, message_payload=octets(b"x" * 4000))
        assert await line.text(payload) == "x" * 4000

        sar = [
            sms(
                text,
                data_coding=0,
                sar_msg_ref_num=tlv(library, 2, 4711),
                sar_total_segments=tlv(library, 1, 2),
                sar_segment_seqnum=tlv(library, 1, number),
            )
            for number, text in enumerate((b"first, ", b"second"), 1)
        ]
        assert await line.text(*reversed(sar)) == "first, second"


def tlv(library: Sequence[str], size: int, value: int) -> Any:
    """An integer in a TLV, which Net::SMPP wants encoded."""
    return value if library[1].endswith(".js") else octets(value.to_bytes(size))


async def test_a_vendors_tlv_is_kept(tmp_path: Path, library: Sequence[str]) -> None:
    async with open_line(tmp_path, library) as line:
        await line.driver.bind()
        # Net::SMPP writes a tag it doesn't know as an integer.
        fields: Fields = (
            {"vendor_tlv": octets(b"\x04\xd2")} if tlv(library, 1, 0) == 0 else {str(0x1401): 1234}
        )

        (data,) = await line.messages(sms(b"tagged", data_coding=0, **fields))

        assert data["content"] == "tagged"
        assert data["tlvs"]["1401"] == "04d2"


async def test_both_sides_enquire(tmp_path: Path, library: Sequence[str]) -> None:
    async with open_line(tmp_path, library, timers="enquire_link = 0.2\nresponse = 5") as line:
        await line.driver.bind()

        (answer,) = await line.driver.send(("enquire_link", {}))
        assert (answer["command"], answer["status"]) == ("enquire_link_resp", ROK)

        await line.driver.asked("enquire_link", 3)
        assert await line.text(sms(b"still here", data_coding=0)) == "still here"


async def test_a_gateway_that_ends_unbinds(tmp_path: Path, library: Sequence[str]) -> None:
    async with open_line(tmp_path, library) as line:
        await line.driver.bind()
        await line.text(sms(b"last", data_coding=0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.driver.asked, "unbind")
            assert await line.gateway.stop() == 0
        await line.driver.closed()


async def test_a_refused_bind_is_told_why(tmp_path: Path, library: Sequence[str]) -> None:
    async with open_line(tmp_path, library) as line:
        refused = await line.driver.bind(password="wrong")

        assert (refused["command"], refused["status"]) == ("bind_transceiver_resp", RINVPASWD)
        await line.driver.closed()


async def test_who_asks_at_the_wrong_time_or_for_the_wrong_thing_is_told(
    tmp_path: Path, library: Sequence[str]
) -> None:
    async with open_line(tmp_path, library) as line:
        (early,) = await line.driver.send(sms(b"early", data_coding=0))
        assert (early["command"], early["status"]) == ("deliver_sm_resp", RINVBNDSTS)

        await line.driver.bind()
        twice = await line.driver.bind()
        query: Order = "query_sm", {"message_id": "1", "source_addr": SENDER}
        cancel: Order = "cancel_sm", {"message_id": "1", "destination_addr": "1"}
        queried, cancelled = await line.driver.send(query, cancel)

        for answer, command in ((queried, "query_sm"), (cancelled, "cancel_sm")):
            assert answer["command"] == f"{command}_resp"
            assert answer["status"] != ROK
        assert (twice["command"], twice["status"]) == ("bind_transceiver_resp", RALYBND)
        assert await line.text(sms(b"and on", data_coding=0)) == "and on"


async def test_who_sends_too_fast_is_throttled_and_what_is_ok_arrives(
    tmp_path: Path, library: Sequence[str]
) -> None:
    async with open_line(tmp_path, library, account="rate = 0.1\nburst = 3\n") as line:
        await line.driver.bind()

        answers = await line.driver.send(*(sms(b"%d" % n, data_coding=0) for n in range(8)))

        statuses = [answer["status"] for answer in answers]
        assert set(statuses) == {ROK, RTHROTTLED}
        came = await events_of(line.gateway, line.customer, before=0, new=statuses.count(ROK))
        assert {event["data"]["content"] for event in came} == {
            str(n) for n, status in enumerate(statuses) if status == ROK
        }


# What only one of them does.


async def test_node_smpp_writes_texts_in_its_own_way(
    tmp_path: Path, node_smpp: Sequence[str]
) -> None:
    """Asked to choose, it takes data_coding 1 for GSM 03.38: an account may say so."""
    async with open_line(tmp_path, node_smpp, account='charsets = {1 = "gsm7"}\n') as line:
        await line.driver.bind()

        for command in ("deliver_sm", "submit_sm"):
            for text in (GSM_TEXT, "Fußgänger zahlen 2 ½", EMOJI):
                order = command, Addresses | {"short_message": text}
                assert await line.text(order) == text
        assert await line.text(("data_sm", Addresses | {"message_payload": EMOJI * 30})) == (
            EMOJI * 30
        )

        udh = [octets(bytes((5, 0, 3, 9, 2, number))) for number in (1, 2)]
        texts = ("Der erste Teil mit €uro, ", "und der zweite {Teil}")
        parts = [
            ("deliver_sm", Addresses | {"short_message": {"udh": header, "message": text}})
            for header, text in zip(udh, texts, strict=True)
        ]
        assert await line.text(*reversed(parts)) == "".join(texts)

        # Its tables of Turkish: both shifts, said in the header.
        turkish = "İstanbul'da ağaç, ışık ve şeker: 5 € {çok}"
        header = octets(bytes((6, 0x24, 1, 1, 0x25, 1, 1)))
        order = "deliver_sm", Addresses | {"short_message": {"udh": header, "message": turkish}}
        assert await line.text(order) == turkish


async def test_net_smpp_packs_septets(tmp_path: Path, net_smpp: Sequence[str]) -> None:
    async with open_line(tmp_path, net_smpp, account="packed = true\n") as line:
        await line.driver.bind()

        for text in ("A", "Packed: eight septets in seven octets.", "x" * 160):
            order = sms(data_coding=0, short_message={"septets": text.encode().hex()})
            assert await line.text(order) == text


async def test_net_smpp_may_be_an_account_under_load(
    tmp_path: Path, net_smpp: Sequence[str]
) -> None:
    async with open_line(tmp_path, net_smpp) as line:
        await line.driver.bind(system_id=SYSTEM_ID)
        texts = [f"number {n}" for n in range(90)]

        data = await line.messages(
            *(sms(text.encode(), data_coding=0) for text in texts), events=len(texts)
        )

        assert sorted(each["content"] for each in data) == sorted(texts)
        assert len({each["messageId"] for each in data}) == len(texts)
