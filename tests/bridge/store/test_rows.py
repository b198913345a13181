from msgspec.structs import replace

from bridge.store.rows import Rows
from smsc.message import Part, ReceiptReading
from tests.fix_store import attempt, fragment, key

ROWS = Rows(b"k" * 32)


def test_addresses_come_back() -> None:
    column = ROWS.seal_addresses("+447700900123", "Grüße\x00")

    assert ROWS.unseal_addresses(column) == ("+447700900123", "Grüße\x00")


def test_fragments_and_attempts_come_back() -> None:
    one = fragment("1", key(1), 1, 2, "x").fragment
    facts = attempt(3, None, error="tls", response="<html>")

    assert ROWS.unseal_fragment(ROWS.seal_fragment(one)) == one
    told = replace(
        one,
        part=Part(b"\x00\xff", "gsm7", 0, packed=True, cut=b"\x00"),
        tlvs=((0x1400, b"\xff"), (0x1400, b"")),
        metadata={"waiting": "fax", "waiting_count": 3},
        receipt=ReceiptReading("Europe/Berlin", "decimal", by_text=True),
    )
    assert ROWS.unseal_fragment(ROWS.seal_fragment(told)) == told
    assert ROWS.unseal_attempt(ROWS.seal_attempt(facts)) == facts
    assert ROWS.unseal(ROWS.seal(b"\x00\xff")) == b"\x00\xff"


def test_hashes_depend_on_the_key_and_the_whole_value() -> None:
    other = Rows(b"j" * 32)

    assert ROWS.address_hash("+1") == ROWS.address_hash("+1") == ROWS.destination_hash("+1")
    assert len({ROWS.address_hash("+1"), ROWS.address_hash("+12"), other.address_hash("+1")}) == 3
    assert -(2**63) <= ROWS.address_hash("+1") < 2**63
    assert ROWS.set_hash("a") != other.set_hash("a")
    assert len(ROWS.set_hash("a")) == 16
