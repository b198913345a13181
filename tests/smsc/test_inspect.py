import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc.capture.dialogues import Cut
from smsc.config import Account
from smsc.inspect import (
    BadLine,
    Seen,
    explain,
    explain_cut,
    mask,
    parse_input,
    to_json,
    to_text,
)
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import BODIES, BroadcastSm, CommandId, DeliverSm, Tag

VECTORS = Path(__file__).parent.parent / "vectors"


def _load(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / name).read_bytes())["vectors"]
    return vectors


def _named(name: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in _load(name)]


def decoded(octets: bytes, account: Account | None = None) -> list[dict[str, Any]]:
    return [json.loads(to_json(one)) for one in explain(octets, account)]


def _as_expected(read: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    """Return of what was read the part that a vector expects; an absent body shows no fields."""
    if expect["fields"] == {"_body": "absent"}:
        expect["fields"] = {}
    return {name: read.get(name) for name in expect}


@pytest.mark.parametrize("vector", _named("pdus.json"))
def test_well_formed_pdus(vector: dict[str, Any]) -> None:
    (read,) = decoded(bytes.fromhex(vector["hex"]))
    expect = vector["expect"]

    assert _as_expected(read, expect) == expect
    assert read["error"] is None
    assert "undecoded_hex" not in read
    assert "trailing_hex" not in read
    if "text" in vector:
        assert read["text"] == vector["text"]


@pytest.mark.parametrize("vector", _named("malformed.json"))
def test_malformed_pdus(vector: dict[str, Any]) -> None:
    octets = bytes.fromhex(vector["hex"])
    read = decoded(octets)

    assert read
    for explanation in explain(octets):
        assert to_text(explanation)
    if "partial" in vector:
        expect = vector["partial"]
        assert _as_expected(read[0], expect) == expect
    else:
        # Nothing of it decodes: octets are missing, or framing is lost.
        assert read[-1]["error"]["consequence"] in ("incomplete", "close")


def deliver(short_message: bytes, *tlvs: tuple[int, bytes], **fields: int) -> bytes:
    numbers = {"esm_class": 0, "data_coding": 0, **fields}
    body = DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="447700900123",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="447860000001",
        esm_class=numbers["esm_class"],
        data_coding=numbers["data_coding"],
        short_message=short_message,
    )
    return encode(Pdu(5, 0, 7, body, tlvs))


def test_a_message() -> None:
    (read,) = decoded(deliver(b"caf\x05"))

    assert read["input"] == 1
    assert read["command"] == "deliver_sm"
    assert read["kind"] == "message"
    assert read["text"] == "café"
    assert read["encoding"] == "gsm7"
    assert read["udh"] == []
    assert read["concat"] is None
    assert read["from"] == {"value": "+447700900123", "type": "e164"}
    assert read["to"] == {"value": "+447860000001", "type": "e164"}
    assert read["receipt"] is None
    assert read["flags"] == []
    assert read["error"] is None


def test_a_fragment() -> None:
    (read,) = decoded(deliver(bytes.fromhex("050003a10302") + b"two, ", esm_class=0x40))

    assert read["kind"] == "fragment"
    assert read["text"] == "two, "
    assert read["udh"] == [{"iei": "00", "hex": "a10302"}]
    assert read["concat"] == {"source": "udh", "bits": 8, "ref": 161, "total": 3, "seq": 2}


def test_one_of_one_shows_its_segment() -> None:
    (read,) = decoded(deliver(bytes.fromhex("050003a10101") + b"one", esm_class=0x40))

    assert read["kind"] == "message"
    assert read["concat"] == {"source": "udh", "bits": 8, "ref": 161, "total": 1, "seq": 1}


def test_a_segment_by_parameters() -> None:
    tlvs = (
        (Tag.sar_msg_ref_num, b"\x12\x34"),
        (Tag.sar_total_segments, b"\2"),
        (Tag.sar_segment_seqnum, b"\1"),
    )
    (read,) = decoded(deliver(b"Hello ", *tlvs))

    assert read["concat"] == {"source": "sar", "bits": 16, "ref": 0x1234, "total": 2, "seq": 1}


def test_a_receipt() -> None:
    text = b"id:12 sub:001 dlvrd:001 submit date:2607011200 done date:260701120130 stat:DELIVRD "
    account = Account(name="a", system_id="a", time_zone="Europe/Berlin")
    (read,) = decoded(deliver(text + b"err:000 text:hi", esm_class=4), account)

    assert read["kind"] == "receipt"
    assert read["receipt"] == {
        "id": "12",
        "sub": 1,
        "dlvrd": 1,
        "submit_date": "2026-07-01T12:00:00",
        "done_date": "2026-07-01T12:01:30",
        "stat": "DELIVRD",
        "err": "000",
        "text": "hi",
    }


def test_an_unreadable_message() -> None:
    frame = bytes.fromhex("00000028000000050000000000000009000101") + b"4" * 21
    (read,) = decoded(frame)

    assert read["kind"] == "unreadable"
    assert read["undecoded_hex"] == "34" * 21
    assert read["error"]["consequence"] == "answer"
    assert read["error"]["field"] == "source_addr"
    assert read["error"]["offset"] == 19
    assert isinstance(read["error"]["status"], int)


def test_other_commands_have_no_kind() -> None:
    (read,) = decoded(bytes.fromhex("00000010000000150000000000000001"))

    assert read["command"] == "enquire_link"
    assert "kind" not in read
    assert read["fields"] == {}


def test_several_pdus_in_one_line() -> None:
    link = bytes.fromhex("00000010000000150000000000000001")
    first, second, third = explain(deliver(b"hi") + link + link[:7], line=4)

    assert [one.line for one in (first, second, third)] == [4, 4, 4]
    assert (first.error, second.error) == (None, None)
    assert third.error is not None
    assert third.error.consequence == "incomplete"
    assert third.octets == link[:7]


def test_half_a_pdu() -> None:
    (read,) = decoded(deliver(b"hi")[:40])

    assert read["error"]["consequence"] == "incomplete"
    assert read["command"] == "deliver_sm"
    assert read["command_length"] == 59
    assert "kind" not in read


def test_half_a_header() -> None:
    (read,) = decoded(bytes.fromhex("0000003b000000050000"))

    assert (read["command_length"], read["command"], read["command_status"]) == (
        59,
        "deliver_sm",
        None,
    )
    assert read["undecoded_hex"] == "0000"
    assert decoded(b"\1\2\3")[0]["undecoded_hex"] == "010203"
    assert to_text(next(explain(b"\1\2\3")))[1] == "      0  undecoded                [01 02 03]"


def test_no_octets_are_half_a_pdu() -> None:
    (read,) = decoded(b"")

    assert read["error"]["consequence"] == "incomplete"
    assert read["command_length"] is None


def test_lost_framing_ends_the_line() -> None:
    link = bytes.fromhex("00000010000000150000000000000001")
    read = decoded(link + b"GET / HTTP/1.1\r\n\r\n" + link)

    assert len(read) == 2
    assert read[1]["error"]["consequence"] == "close"


def test_in_words() -> None:
    octets = deliver(
        bytes.fromhex("0500030c0201") + b"hello",
        (Tag.message_state, b"\2"),
        (0x1403, b"x"),
        esm_class=0x40,
        data_coding=0xF1,
    )
    text = "\n".join(to_text(next(explain(octets))))

    for words in (
        "deliver_sm",
        "ESME_ROK: no error",
        "international",
        "ISDN (E.164)",
        "user data header",
        "class 1: phone",
        "2 (DELIVRD)",
        "1403, the carrier's own",
        "concatenated message, 8-bit reference",
        "segment   1 of 2, reference 12 (8 bits, udh)",
        "+447700900123  (e164)",
        "'hello'",
        "message_class",
    ):
        assert words in text


def test_a_broadcast_in_words() -> None:
    tlvs = (
        (Tag.broadcast_area_identifier, b"\0harbour"),
        (Tag.broadcast_frequency_interval, b"\x09\0\x0a"),
    )
    body = BroadcastSm(source_addr="1234", message_id="b-7")
    (explanation,) = explain(encode(Pdu(CommandId.broadcast_sm, 0, 7, body, tlvs)))
    text = "\n".join(to_text(explanation))

    for words in ("broadcast_sm", "'b-7'", "alias", "every 10 minutes"):
        assert words in text
    assert explanation.arrival is None


def test_offsets_in_words_are_those_of_the_octets() -> None:
    octets = deliver(b"hi", (Tag.user_message_reference, b"\0\1"))
    rows = to_text(next(explain(octets)))
    at = octets.index(b"447860000001\0")

    assert any(row.startswith(f"  {at:5}  destination_addr ") for row in rows)
    assert any(row.startswith(f"  {len(octets) - 6:5}  tlv user_message_ref") for row in rows)


def test_an_error_in_words() -> None:
    text = "\n".join(to_text(next(explain(bytes.fromhex("0000001000000110000000000a342ee7")))))

    assert "unknown command 00000110" in text
    assert "ERROR at octet 4" in text
    assert "ESME_RINVCMDID" in text


def test_what_becomes_of_a_message_that_cannot_be_read_is_for_its_account_to_say() -> None:
    frame = bytes.fromhex("00000011000000050000000000000001ff")
    accepting = Account(name="acme", system_id="acme")
    rejecting = Account(name="acme", system_id="acme", unreadable="reject")

    accepted, rejected = (
        "\n".join(to_text(next(explain(frame, account, line=0))))
        for account in (accepting, rejecting)
    )

    assert accepted.startswith("deliver_sm, 17 octets\n")
    assert "a link would keep it as it is, accept it, and go on" in accepted
    assert "a link would answer this PDU with an error and go on (ESME_RINVSERTYP" in rejected
    assert "kept raw" not in rejected


def test_an_unknown_response_is_not_said_to_be_answered() -> None:
    text = "\n".join(to_text(next(explain(bytes.fromhex("0000001080000110000000000a342ee7")))))

    assert "responses are not answered" in text
    assert "ESME_RINVCMDID" not in text


def test_lines_of_input() -> None:
    lines = ["0001", "# a remark", "", "0000  00 01 02   ...", "nonsense"]

    assert list(parse_input(lines)) == [
        (1, b"\0\1"),
        (4, b"\0\1\2"),
        (5, BadLine("'n' is no hex digit")),
    ]


@given(st.binary(max_size=80))
def test_any_octets_are_explained(octets: bytes) -> None:
    for explanation in explain(octets):
        json.loads(to_json(explanation))
        assert to_text(explanation)


@given(st.sampled_from(sorted(BODIES)), st.binary(max_size=80))
def test_any_body_is_explained(command: int, body: bytes) -> None:
    header = (len(body) + 16).to_bytes(4, "big") + command.to_bytes(4, "big") + bytes(8)
    (explanation,) = explain(header + body)

    json.loads(to_json(explanation))
    assert to_text(explanation)


def test_what_was_seen_says_when_and_where() -> None:
    cut = Cut(1_000_000, 3, ("2001:db8::1", 5_000), ("192.0.2.2", 2_775), deliver(b"hi"), None, 7)

    explanation = explain_cut(cut)

    assert explanation.seen == Seen(1_000_000, "[2001:db8::1]:5000", "192.0.2.2:2775", 3, 7)
    assert to_text(explanation)[:3] == [
        f"deliver_sm, {len(deliver(b'hi'))} octets (connection 3)",
        "  1970-01-01 00:00:01.000000Z  [2001:db8::1]:5000 → 192.0.2.2:2775",
        "  ! 7 octets before it are missing, or were no PDU",
    ]
    assert json.loads(to_json(explanation))["octets_missing_before"] == 7


@pytest.mark.parametrize("at", [-(1 << 90), 1 << 90])
def test_a_damaged_capture_may_claim_any_time(at: int) -> None:
    explanation = explain_cut(
        Cut(at, 1, ("192.0.2.1", 5_000), ("192.0.2.2", 2_775), deliver(b"hi"))
    )

    assert json.loads(to_json(explanation))["time"][:4] in ("1970", "9999")


SECRETS = (b"SECRET", b"4477009001", b"7009009")


@pytest.mark.parametrize(
    "octets",
    [
        deliver(b"SECRET"),
        deliver(b"SECRET") + b"SECRET",
        deliver(b"SECRET")[:-2],
        deliver(b"SECRET", esm_class=0x40),
        deliver(b"\x06\x22\x04SECRET" + b"SECRET", esm_class=0x40),
        deliver(b"id:abc stat:DELIVRD text:SECRET", esm_class=4),
        deliver(b"SECRET", data_coding=8),
        encode(Pdu(CommandId.deliver_sm, 0, 1, DeliverSm(), ((0x1501, b"SECRET"),))),
        b"GET /SECRET HTTP/1.1\r\n\r\n",
        bytes(3) + b"\x40" + b"SECRET" * 20,
        bytes.fromhex("0000002000009999") + bytes(8) + b"SECRET" + bytes(10),
    ],
)
def test_masked_nothing_private_shows(octets: bytes) -> None:
    framed = len(octets).to_bytes(4, "big") + octets[4:] if octets[4:7] == b"\0\0\0" else octets
    for each in (octets, framed):
        for explanation in explain(each):
            shown = "\n".join([*to_text(mask(explanation)), to_json(mask(explanation)).decode()])
            for secret in SECRETS:
                assert secret.decode() not in shown
                assert secret.hex() not in shown
                assert secret.hex(" ") not in shown


def test_masked_a_receipt_still_says_what_became_of_the_message() -> None:
    (explanation,) = explain(deliver(b"id:abc stat:DELIVRD err:000 text:SECRET", esm_class=4))

    shown = to_text(mask(explanation))

    assert "  receipt   id: abc" in shown
    assert "  receipt   stat: DELIVRD" in shown
    assert "  receipt   text: [6 characters]" in shown


def test_octets_may_come_in_pieces() -> None:
    octets = deliver(b"one") + deliver(b"two") + deliver(b"three")[:-4]
    whole = list(explain(octets))

    for size in (1, 7, 100):
        pieces = (octets[at : at + size] for at in range(0, len(octets), size))
        assert list(explain(pieces)) == whole
