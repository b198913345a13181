"""Concatenated messages and receipts of the collected vectors, from their octets to arrivals."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smsc.config import Account
from smsc.content import receipt
from smsc.content.assembly import complete, join, set_key
from smsc.content.interpret import interpret
from smsc.message import Arrival, Fragment, Message, Receipt
from smsc.wire.pdu import Pdu, decode, encode
from smsc.wire.spec import CommandId, DeliverSm

VECTORS = Path(__file__).parent.parent / "vectors"


def _load(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / name).read_bytes())["vectors"]
    return vectors


def _arrive(frame: bytes, account: Account, at: int) -> Arrival:
    pdu = decode(frame)
    assert isinstance(pdu, Pdu)
    return interpret(pdu, frame, account, link="lnk_1", place=at, received_at=at)


def _frame(octets: bytes, coding: int) -> bytes:
    body = DeliverSm(short_message=octets, esm_class=0x40, data_coding=coding)
    return encode(Pdu(CommandId.deliver_sm, 0, 1, body))


def _assemble(arrivals: list[Arrival]) -> tuple[list[Message], list[Fragment]]:
    """Return whole messages, and the fragments that remain."""
    messages = []
    sets: dict[str, list[Fragment]] = {}
    for arrival in arrivals:
        if not isinstance(arrival, Fragment):
            assert isinstance(arrival, Message)
            messages.append(arrival)
            continue
        key = set_key(arrival)
        parts = sets.setdefault(key, [])
        parts.append(arrival)
        if complete((part.concat.seq for part in parts), arrival.concat.total):
            messages.append(join(sets.pop(key)))
    return messages, [part for parts in sets.values() for part in parts]


@pytest.mark.parametrize("vector", _load("concat.json"), ids=lambda vector: str(vector["id"]))
def test_concatenated_messages(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    charsets = {8: "utf-8"} if vector["id"] == "vumi-utf8-override" else {}
    account = Account(name="acme", system_id="acme", charsets=charsets)
    frames = []
    for segment in vector["segments"]:
        if "hex" in segment:
            frames.append(bytes.fromhex(segment["hex"]))
        else:
            # The samples without a PDU all begin with a header.
            octets = bytes.fromhex(segment["short_message_hex"])
            frames.append(_frame(octets, segment["data_coding"]))
    arrivals = [_arrive(frame, account, at) for at, frame in enumerate(frames)]

    messages, remaining = _assemble(arrivals)

    assert expect["complete"] is (not remaining)
    if expect["complete"]:
        assert len(messages) == expect["messages"]
        if "text" in expect:
            assert messages[0].content.text == expect["text"]
        assert ("bad-concat" in messages[0].content.flags) is ("segment_info" in expect)
    if "text_of_segment" in expect:
        part = join(remaining)
        assert part.content.text == expect["text_of_segment"] + "[…][…]"
        assert f"{remaining[0].concat.ref:x}" == expect["ref"]


RECEIPTS = _load("receipts.json")
NAMES = ("id", "sub", "dlvrd", "stat", "err", "text")
# Fields the text has and the sample leaves open: its dates or its text can be read in two ways.
OPEN = {
    "r043": {"submit_date", "done_date"},
    "r045": {"submit_date", "done_date"},
    "r050": {"text"},
    "r059": {"text"},
}


def _expected(vector: dict[str, Any]) -> dict[str, Any]:
    expect = {**dict.fromkeys([*NAMES, "submit_date", "done_date"]), **vector["expect"]}
    return {name: value for name, value in expect.items() if name not in OPEN.get(vector["id"], ())}


def _tlvs(vector: dict[str, Any]) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(tlv["tag"], 16), bytes.fromhex(tlv["hex"])) for tlv in vector.get("tlvs", ()))


def _is_receipt(vector: dict[str, Any]) -> bool:
    return bool(vector["expect"].get("is_receipt", True))


@pytest.mark.parametrize(
    "vector", [v for v in RECEIPTS if _is_receipt(v)], ids=lambda vector: str(vector["id"])
)
def test_what_receipts_say(vector: dict[str, Any]) -> None:
    fields = receipt.read(vector["text"], _tlvs(vector), "UTC")

    if "strict" in vector["expect"]:
        attribute = vector["expect"]["field_missing"].replace(" ", "_")
        assert getattr(fields, attribute) is None
        assert fields.id == "0123456789"
        return
    expected = _expected(vector)
    read: dict[str, Any] = {name: getattr(fields, name) for name in NAMES}
    for name in ("submit_date", "done_date"):
        date = getattr(fields, name)
        read[name] = date and date.replace(tzinfo=None).isoformat()
    assert {name: read[name] for name in expected} == expected


@pytest.mark.parametrize("by_text", [False, True])
@pytest.mark.parametrize("vector", RECEIPTS, ids=lambda vector: str(vector["id"]))
def test_r21_esm_class_decides_and_the_text_by_an_option(
    vector: dict[str, Any], by_text: bool
) -> None:
    account = Account(name="acme", system_id="acme", receipt_by_text=by_text)

    arrival = _arrive_with(vector, account)

    marked = vector["esm_class"] == 4
    assert isinstance(arrival, Receipt) is (_is_receipt(vector) and (marked or by_text))


@pytest.mark.parametrize(
    "vector", [v for v in RECEIPTS if _is_receipt(v)], ids=lambda vector: str(vector["id"])
)
def test_r20_receipts_arrive(vector: dict[str, Any]) -> None:
    arrival = _arrive_with(vector, Account(name="acme", system_id="acme", receipt_by_text=True))

    assert isinstance(arrival, Receipt)
    if "strict" in vector["expect"]:
        return
    expected = _expected(vector)
    assert arrival.id == expected["id"]
    assert arrival.state == expected["stat"]
    assert arrival.error == expected["err"]
    if expected.get("done_date"):
        moment = datetime.fromisoformat(expected["done_date"]).replace(tzinfo=UTC)
        assert arrival.done_at == int(moment.timestamp()) * 1000


def _arrive_with(vector: dict[str, Any], account: Account) -> Arrival:
    octets = vector["text"].encode("latin-1")
    if "short_message_hex" in vector:
        octets = bytes.fromhex(vector["short_message_hex"])
    coding = vector.get("data_coding", 3)  # the samples' texts are a Latin-1 view
    body = DeliverSm(short_message=octets, esm_class=vector["esm_class"], data_coding=coding)
    frame = encode(Pdu(CommandId.deliver_sm, 0, 1, body, _tlvs(vector)))

    return _arrive(frame, account, 1)
