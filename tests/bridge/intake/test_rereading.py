"""What is in quarantine, read again: frames, arrivals and sets."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bridge.errors import BatchRejected
from bridge.intake.records import fragment_record, message_record, quarantine
from bridge.intake.rereading import Reader, Result, read_again
from bridge.intake.routing import RoutingTable
from bridge.store.listing import QuarantineRow
from bridge.store.records import Join, MessageRecord, Recorded, Reread
from smsc.config import Account
from smsc.message import Arrival, ReceiptReading, Unreadable
from smsc.wire.pdu import encode
from tests.fix_intake import LIVE, NOW, FaultyStore, fragment, message, new_ids, origin, receipt
from tests.fix_peer import deliver

TABLE = RoutingTable(LIVE)
ACCOUNTS = {account.name: account for account in LIVE.accounts}
FRAME = encode(deliver(7))
UNTERMINATED = FRAME[:20] + b"4477"
HOUR = 3_600_000


class Picky(FaultyStore):
    """Rejects what is read again as one of these."""

    refused: tuple[str, ...] = ()

    def reread(self, items: Sequence[Reread], join: Join) -> list[Recorded | None]:
        for item in items:
            if isinstance(item.record, MessageRecord) and item.record.id in self.refused:
                raise BatchRejected("never")
        return super().reread(items, join)


@pytest.fixture
def store(tmp_path: Path) -> Picky:
    return Picky(tmp_path / "store.db")


def reader(now: int = NOW, **options: object) -> Reader:
    accounts = {
        name: msgspec.convert(msgspec.to_builtins(each) | options, Account)
        for name, each in ACCOUNTS.items()
    }
    return Reader(accounts, TABLE, new_ids(), lambda: now, 1_800)


def put(store: Picky, *arrivals: Arrival, reason: str = "because") -> list[QuarantineRow]:
    """Quarantine arrivals; return them as they are listed, oldest first."""
    ids = new_ids()
    store.record([quarantine(each, ids, reason) for each in arrivals])
    return store.quarantined(after=0)


def again(store: Picky, rows: Sequence[QuarantineRow], read: Reader | None = None) -> list[Result]:
    read = read or reader()
    return read_again(store, rows, read, read.join)


def raw(frame: bytes, place: int = 1) -> Unreadable:
    return Unreadable(origin(place), frame, "for some reason")


def content(store: Picky) -> list[str]:
    return [msgspec.json.decode(row.event)["data"]["content"] for row in store.messages()][::-1]


def test_r03_a_frame_that_can_be_read_now_is_routed_and_keeps_its_time(store: Picky) -> None:
    rows = put(store, raw(FRAME))

    (result,) = again(store, rows, reader(NOW + HOUR))

    (stored,) = store.messages()
    assert (result.became, result.id, result.delivered) == ("message", stored.id, True)
    assert stored.id == "msg_" + rows[0].id.partition("_")[2]
    assert stored.received_at == NOW
    assert stored.status == "pending"
    assert content(store) == ["hello"]
    assert store.quarantined() == []


def test_what_still_can_not_be_read_stays_and_says_why(store: Picky) -> None:
    rows = put(store, raw(UNTERMINATED), raw(b"short"))

    results = again(store, rows)

    assert [result.became for result in results] == ["stays", "stays"]
    reasons = [row.reason for row in store.quarantined(after=0)]
    assert reasons == [result.reason for result in results]
    assert "deliver_sm" in reasons[0]
    assert reasons[1] == "it is no PDU"
    assert [row.raw for row in store.quarantined(after=0)] == [UNTERMINATED, b"short"]


def test_the_accounts_options_are_those_of_now(store: Picky) -> None:
    whole = FRAME + b"\x14\x01\x00\x09abc"
    rows = put(store, raw(len(whole).to_bytes(4, "big") + whole[4:]))

    (refused,) = again(store, rows, reader(tails="reject"))
    assert refused.became == "stays"
    (taken,) = again(store, store.quarantined(), reader(tails="accept"))
    assert taken.became == "message"


def test_nobody_is_left_to_say_how_to_read_it(store: Picky) -> None:
    rows = put(store, raw(FRAME))
    read = Reader({}, TABLE, new_ids(), lambda: NOW, 1_800)

    (result,) = again(store, rows, read)

    assert (result.became, result.reason) == ("stays", "there is no account 'acme' any more")


@pytest.mark.parametrize("arrival", [message(), receipt(), message(text="\ud800 hello")])
def test_an_arrival_kept_as_json_is_stored_as_what_it_was(store: Picky, arrival: Arrival) -> None:
    (result,) = again(store, put(store, arrival))

    assert result.became == type(arrival).__name__.lower()
    assert len(store.messages()) == 1
    assert store.quarantined() == []


def test_lone_surrogates_are_replaced_so_that_the_rest_is_kept(store: Picky) -> None:
    again(store, put(store, message(text="\ud800 hello \U0001f600")))

    assert content(store) == ["\ufffd hello \U0001f600"]


def test_fragments_are_joined_with_what_waits_and_with_each_other(store: Picky) -> None:
    store.record([fragment_record(fragment(1, total=3), new_ids(), 1_800)])
    rows = put(store, fragment(2, total=3), fragment(3, total=3))

    results = again(store, rows)

    assert [result.became for result in results] == ["fragment", "fragment"]
    assert [result.delivered for result in results] == [False, True]
    assert content(store) == ["part1part2part3"]


def test_one_read_long_after_waits_for_others_from_now_on(store: Picky) -> None:
    late = reader(NOW + 10 * HOUR)

    again(store, put(store, fragment(1)), late)

    assert store.expire(NOW + 10 * HOUR, late.join) == []
    again(store, put(store, fragment(2)), late)
    assert content(store) == ["part1part2"]


@pytest.mark.parametrize(("how", "became"), [(None, "message"), (ReceiptReading(), "receipt")])
def test_a_set_that_could_not_be_joined_is_joined(
    store: Picky, how: ReceiptReading | None, became: str
) -> None:
    def broken(_: object) -> MessageRecord:
        raise ZeroDivisionError

    ids = new_ids()
    parts = [replace(fragment(n), receipt=how) for n in (1, 2)]
    recorded = store.record([fragment_record(part, ids, 1_800) for part in parts])
    store.complete([recorded[1].set_id], broken)
    rows = store.quarantined()
    assert len(rows) == 1

    (result,) = again(store, rows)

    assert result.became == became
    assert content(store) == ["part1part2"]


def test_r03_doing_it_twice_does_nothing_twice(store: Picky) -> None:
    rows = put(store, raw(FRAME), fragment(1), raw(UNTERMINATED, 9))

    again(store, rows)
    results = again(store, rows)

    assert [result.became for result in results] == ["gone", "gone", "stays"]
    assert content(store) == ["hello"]


def test_a_dry_run_says_the_same_and_changes_nothing(store: Picky) -> None:
    rows = put(store, raw(FRAME), raw(UNTERMINATED, 2), fragment(1))
    read = reader()

    foreseen = read_again(store, rows, read, read.join, dry=True)

    assert store.quarantined(after=0) == rows
    assert store.messages() == []
    done = again(store, rows)
    assert [(each.became, each.id) for each in foreseen] == [(e.became, e.id) for e in done]


def test_one_that_the_store_rejects_stays_and_costs_nobody_else(store: Picky) -> None:
    rows = put(store, *(raw(FRAME, place) for place in range(1, 6)))
    store.refused = ("msg_" + rows[2].id.partition("_")[2],)

    results = again(store, rows)

    assert [result.became for result in results] == [*["message"] * 2, "stays", *["message"] * 2]
    assert [row.reason for row in store.quarantined()] == ["the store rejected it: BatchRejected"]
    assert store.quarantined()[0].raw == FRAME


def test_what_reading_stumbles_over_is_the_reason(
    store: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bridge.intake.rereading.message_record", broken)

    (result,) = again(store, put(store, raw(FRAME)))

    assert (result.became, result.reason) == ("stays", "reading it again failed: ZeroDivisionError")


def test_what_may_repeat_another_is_delivered_marked(store: Picky) -> None:
    ids = new_ids()
    first = quarantine(raw(FRAME), ids, "x")
    store.record([first, replace(quarantine(raw(FRAME, 2), ids, "x"), duplicate_of=first.id)])

    again(store, store.quarantined(after=0))

    rows = store.messages()[::-1]
    assert [row.duplicate_of for row in rows] == [None, rows[0].id]
    assert msgspec.json.decode(rows[1].event)["data"]["duplicateOf"] == rows[0].id


def test_what_came_readable_meanwhile_is_recognised_by_its_carriers_id(store: Picky) -> None:
    whole = FRAME + b"\x14\x01\x00\x03abc"
    frame = len(whole).to_bytes(4, "big") + whole[4:]
    read = reader(message_id_tlv=0x1401, repeats_by_id=60)
    rows = put(store, raw(frame), raw(frame, 2))

    results = again(store, rows, read)

    assert [result.became for result in results] == ["message", "repeat"]
    assert results[0].id == results[1].id
    assert [result.delivered for result in results] == [True, False]
    assert len(store.messages()) == 1


def test_a_record_is_that_of_an_arrival_that_comes_now(store: Picky) -> None:
    (row,) = put(store, message())

    made = reader()(row)
    name = row.id.partition("_")[2]
    other = message_record(message(), TABLE, new_ids(), NOW, message_id="msg_" + name)

    assert isinstance(made, MessageRecord)
    assert replace(made, events=()) == replace(other, events=())
