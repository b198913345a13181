"""What the store keeps of each kind of arrival."""

import msgspec
import pytest
from msgspec.structs import replace

from bridge.delivery.payload import message_event
from bridge.intake.records import (
    Joiner,
    fragment_record,
    key,
    message_record,
    quarantine,
    record,
)
from bridge.intake.routing import RoutingTable
from bridge.model import Endpoint, Live, Number, Route
from bridge.store.records import (
    CarrierId,
    DeliveryRecord,
    FragmentRecord,
    MessageRecord,
    OpenSet,
    QuarantineRecord,
)
from smsc.config import Account
from smsc.content import assembly
from smsc.message import Address, Fragment, Message, Part, Receipt, ReceiptReading
from tests.fix_intake import (
    LIVE,
    NOW,
    NUMBER,
    SENDER,
    fragment,
    message,
    new_ids,
    receipt,
    unreadable,
)

TABLE = RoutingTable(LIVE)


def test_a_message_becomes_one_event_with_its_delivery() -> None:
    made = record(message(), TABLE, new_ids(), NOW + 5, 1_800)

    assert isinstance(made, MessageRecord)
    (event,) = made.events
    assert made.id.startswith("msg_")
    assert made.key == key(message().origin)
    assert (made.kind, made.tenant, made.number) == ("message", "default", "+447700900999")
    assert (made.source, made.destination) == (SENDER.value, NUMBER.value)
    assert event.deliveries == (DeliveryRecord("helpdesk", "helpdesk"),)
    assert event.body == message_event(
        message(),
        event_id=event.id,
        message_id=made.id,
        tenant="default",
        number="+447700900999",
        route_id="support",
        routing_tag="tag",
        created_at=NOW + 5,
    )


def test_what_is_kept_raw_can_be_read_again() -> None:
    made = message_record(message(), TABLE, new_ids(), NOW)

    assert msgspec.json.decode(made.raw, type=Message) == message()


def test_each_route_makes_an_event_of_its_own() -> None:
    live = Live(
        numbers=(Number(number="*", routes=("one", "two")),),
        routes=(
            Route(name="one", endpoints=("a", "b"), routing_tag="x"),
            Route(name="two", endpoints=("b", "c")),
        ),
        endpoints=tuple(
            Endpoint(name=name, url="https://example.com/", secrets=()) for name in "abc"
        ),
    )
    made = message_record(message(), RoutingTable(live), new_ids(), NOW)
    data = [msgspec.json.decode(event.body)["data"] for event in made.events]

    assert [(each["routeId"], each["routingTag"]) for each in data] == [("one", "x"), ("two", None)]
    assert [[d.endpoint for d in event.deliveries] for event in made.events] == [["a", "b"], ["c"]]
    assert len({event.id for event in made.events}) == 2
    assert {each["messageId"] for each in data} == {made.id}


def test_an_unrouted_message_has_an_event_nobody_is_sent() -> None:
    stray = message(destination=Address("+33123456789", "e164"))

    made = message_record(stray, TABLE, new_ids(), NOW)

    (event,) = made.events
    assert (made.tenant, made.number) == ("default", None)
    assert event.deliveries == ()
    assert msgspec.json.decode(event.body)["data"]["routeId"] is None


def test_a_receipt_is_routed_by_its_destination() -> None:
    made = record(receipt(), TABLE, new_ids(), NOW, 1_800)

    assert isinstance(made, MessageRecord)
    (event,) = made.events
    assert (made.kind, event.type) == ("receipt", "receipt.received")
    assert event.deliveries == (DeliveryRecord("helpdesk", "helpdesk"),)
    assert msgspec.json.decode(event.body)["data"]["state"] == "DELIVRD"
    assert msgspec.json.decode(made.raw, type=Receipt) == receipt()


def test_a_receipt_nobody_configured_is_unrouted() -> None:
    made = message_record(receipt(), RoutingTable(Live()), new_ids(), NOW)

    assert [event.deliveries for event in made.events] == [()]


def test_a_duplicate_says_of_what() -> None:
    made = message_record(message(), TABLE, new_ids(), NOW, duplicate_of="msg_before")
    receipted = message_record(receipt(), TABLE, new_ids(), NOW, duplicate_of="msg_before")

    for each in (made, receipted):
        assert each.duplicate_of == "msg_before"
        assert msgspec.json.decode(each.events[0].body)["data"]["duplicateOf"] == "msg_before"


def test_a_fragment_keeps_what_it_is_joined_by() -> None:
    made = record(fragment(2), TABLE, new_ids(), NOW, 1_800)

    assert isinstance(made, FragmentRecord)
    assert made.id.startswith("frg_")
    assert (made.total, made.seq) == (2, 2)
    assert made.set_key == assembly.set_key(fragment(1))
    assert made.expires_at == NOW + 1_800_000
    assert made.fragment == fragment(2)


def test_a_digest_tells_other_octets_headers_and_codings_apart() -> None:
    def digest(part: Fragment) -> bytes:
        return fragment_record(part, new_ids(), 1).digest

    one = fragment(1)
    others = [
        replace(one, part=replace(one.part, octets=b"other")),
        replace(one, part=replace(one.part, coding=8)),
        replace(one, part=replace(one.part, udh=one.part.udh[:-1] + b"\x09")),
    ]
    again = replace(one, origin=message(9).origin)

    assert digest(one) == digest(again)
    assert len({digest(one), *map(digest, others)}) == 4


def test_what_can_not_be_read_is_quarantined_raw() -> None:
    made = record(unreadable(), TABLE, new_ids(), NOW, 1_800)

    assert isinstance(made, QuarantineRecord)
    assert made.id.startswith("qtn_")
    assert (made.raw, made.reason) == (b"\x00\x00\x00\x10", "too short")


@pytest.mark.parametrize("text", ["hello", "\ud800"])
def test_anything_can_be_quarantined(text: str) -> None:
    made = quarantine(message(text=text), new_ids(), "because")

    assert b"lnk_1" in made.raw
    assert made.reason == "because"


def open_set(*fragments: Fragment, message_id: str | None = None) -> OpenSet:
    return OpenSet(id=1, message_id=message_id, fragments=fragments, opened_at=NOW)


def test_a_set_is_joined_and_routed() -> None:
    made = Joiner(lambda: TABLE, new_ids(), lambda: NOW)(open_set(fragment(1), fragment(2)))

    data = msgspec.json.decode(made.events[0].body)["data"]
    assert (data["content"], data["partCount"], data["complete"]) == ("part1part2", 2, True)
    assert made.complete
    assert made.events[0].deliveries == (DeliveryRecord("helpdesk", "helpdesk"),)


def test_segments_of_a_receipt_become_a_receipt() -> None:
    halves = (b"id:12 stat:DELI", b"VRD err:000")
    parts = [
        replace(fragment(seq), part=Part(half, "gsm7", 0), receipt=ReceiptReading())
        for seq, half in enumerate(halves, 1)
    ]

    made = Joiner(lambda: TABLE, new_ids(), lambda: NOW)(open_set(*parts))

    (event,) = made.events
    data = msgspec.json.decode(event.body)["data"]
    assert (made.kind, event.type) == ("receipt", "receipt.received")
    assert (data["carrierMessageId"], data["state"]) == ("12", "DELIVRD")
    assert event.deliveries == (DeliveryRecord("helpdesk", "helpdesk"),)


def test_a_set_with_gaps_shows_them_and_keeps_its_id() -> None:
    join = Joiner(lambda: TABLE, new_ids(), lambda: NOW)

    made = join(open_set(fragment(2), message_id="msg_before"))

    data = msgspec.json.decode(made.events[0].body)["data"]
    assert (data["content"], data["complete"]) == ("[…]part2", False)
    assert (made.id, made.complete, made.total) == ("msg_before", False, 2)


def test_a_carriers_id_counts_for_the_carrier_and_for_each_segment() -> None:
    trusting = Account(name="acme", system_id="a", message_id_tlv=0x1400, repeats_by_id=60)

    def made(arrival: Message | Fragment, account: Account = trusting) -> CarrierId | None:
        named = replace(arrival, carrier_message_id="abc")
        found = record(named, TABLE, new_ids(), NOW, 1_800, {account.name: account})
        assert isinstance(found, MessageRecord | FragmentRecord)
        return found.carrier_id

    one = made(message())
    assert one is not None
    assert one.until == NOW + 60_000
    other = replace(trusting, name="other")
    assert (
        made(replace(message(9), origin=replace(message(9).origin, account="other")), other) == one
    )
    assert made(fragment(1)) == one
    assert made(fragment(2)) not in (None, one)
    assert made(message(), replace(trusting, repeats_by_id=0)) is None
