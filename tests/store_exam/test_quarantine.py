"""Quarantine: what is in it, what leaves it, and that nothing leaves it twice."""

import pytest
from msgspec.structs import replace

from bridge.errors import BatchRejected
from bridge.store.contract import Store
from bridge.store.records import CarrierId, Recorded, Reread
from tests.fix_store import (
    MINUTE,
    START,
    Clock,
    Engine,
    all_due,
    bodies,
    doubt,
    fragment,
    join_to,
    key,
    message,
    quarantined,
)


def number(store: Store, name: str) -> int:
    (row,) = store.quarantined(ids=[f"qtn_{name}"])
    return row.number


def test_it_is_listed_either_way_by_account_and_by_id(store: Store) -> None:
    store.record([quarantined(str(n), key(n, account="two" if n == 2 else "one")) for n in (1, 2)])
    store.record([quarantined("3", key(3))])

    newest = store.quarantined()
    assert [row.id for row in newest] == ["qtn_3", "qtn_2", "qtn_1"]
    assert [(row.link, row.place) for row in newest] == [("lnk_1", 3), ("lnk_1", 2), ("lnk_1", 1)]
    assert [row.id for row in store.quarantined(before=newest[0].number, limit=1)] == ["qtn_2"]
    oldest = store.quarantined(after=0, limit=2)
    assert [row.id for row in oldest] == ["qtn_1", "qtn_2"]
    assert [row.id for row in store.quarantined(after=oldest[-1].number)] == ["qtn_3"]
    assert [row.id for row in store.quarantined(account="two")] == ["qtn_2"]
    assert [row.id for row in store.quarantined(ids=["qtn_1", "qtn_9"])] == ["qtn_1"]


def test_what_is_read_leaves_it_with_all_that_follows(store: Store) -> None:
    store.record([quarantined("1", key(1)), quarantined("2", key(2))])

    items = [Reread(number(store, "1"), message("1", key(1), "a"))]

    assert store.reread(items, join_to("a")) == [Recorded("msg_1")]
    assert [due.event_id for due in all_due(store, "a")] == ["evt_1"]
    assert [row.id for row in store.quarantined()] == ["qtn_2"]
    assert store.counts()["quarantined"] == 1
    assert store.messages()[0].received_at == START


def test_r03_whoever_comes_second_finds_it_gone(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    one.record([quarantined("1", key(1))])
    item = Reread(number(one, "1"), message("1", key(1), "a"))

    assert one.reread([item, item], join_to("a")) == [Recorded("msg_1"), None]
    assert other.reread([item], join_to("a")) == [None]
    assert len(all_due(other, "a")) == 1


def test_what_stays_has_its_new_reason(store: Store) -> None:
    store.record([quarantined("1", key(1))])
    still = replace(quarantined("1", key(1)), reason="still not", raw=b"")

    assert store.reread([Reread(number(store, "1"), still)], join_to("a")) == [Recorded("qtn_1")]
    (row,) = store.quarantined()
    assert (row.reason, row.raw) == ("still not", b"\x00\x01")
    assert store.counts()["quarantined"] == 1


def test_parts_that_become_whole_are_joined_in_the_same_transaction(store: Store) -> None:
    store.record([fragment("1", key(1), 1, 2, "x"), quarantined("2", key(2))])

    items = [Reread(number(store, "2"), fragment("2", key(2), 2, 2, "y"))]

    (done,) = store.reread(items, join_to("a"))
    assert done is not None
    assert done.whole
    assert bodies(store, "a") == [b'"xy"']
    assert store.expire(START, join_to("b")) == []


def test_a_set_opened_now_waits_from_now_on(store: Store, clock: Clock) -> None:
    store.record([quarantined("1", key(1))])
    clock.now += 60 * MINUTE
    late = fragment("1", key(1), 1, 2, "x")
    late = replace(late, opens_at=clock.now, expires_at=clock.now + 30 * MINUTE)

    store.reread([Reread(number(store, "1"), late)], join_to("a"))

    assert store.expire(clock.now, join_to("a")) == []
    clock.now += 30 * MINUTE
    assert len(store.expire(clock.now, join_to("a"))) == 1
    assert bodies(store, "a") == [b'"x-"']


def test_it_is_no_repeat_of_itself(store: Store) -> None:
    store.record([quarantined("1", key(1, content="hi"))])
    store.doubt([doubt(0)])

    item = Reread(number(store, "1"), message("1", key(1, content="hi"), "a"))

    assert store.reread([item], join_to("a")) == [Recorded("msg_1")]
    assert len(all_due(store, "a")) == 1


@pytest.mark.parametrize("doubted_first", [False, True])
def test_its_repeat_is_told_the_new_id(store: Store, doubted_first: bool) -> None:  # a parameter
    store.record([quarantined("1", key(1, content="hi"))])
    item = Reread(number(store, "1"), message("1", key(1, content="hi"), "a"))
    if doubted_first:
        store.doubt([doubt(0)])
        store.reread([item], join_to("a"))
    else:
        store.reread([item], join_to("a"))
        store.doubt([doubt(0)])

    repeat = message("2", key(1, link="lnk_2", content="hi"), "a")

    assert store.record([repeat]) == [Recorded("msg_1", "absorbed")]


def test_what_came_readable_since_is_a_repeat_by_its_carriers_id(store: Store) -> None:
    named = CarrierId("one 1 abc", START + MINUTE)
    again = replace(message("2", key(2), "a"), carrier_id=named)
    first = replace(message("1", key(1), "a"), carrier_id=named)
    store.record([quarantined("1", key(1)), again])

    assert store.reread([Reread(number(store, "1"), first)], join_to("a")) == [
        Recorded("msg_2", "named")
    ]
    assert store.quarantined() == []
    assert len(all_due(store, "a")) == 1


def test_a_row_that_cannot_be_stored_leaves_everything_where_it_was(store: Store) -> None:
    store.record([quarantined(str(n), key(n)) for n in (1, 2)])
    items = [
        Reread(number(store, "1"), message("1", key(1), "a")),
        Reread(number(store, "2"), message("2", key(2), "a", source="\ud800")),
    ]

    with pytest.raises(BatchRejected):
        store.reread(items, join_to("a"))

    assert len(store.quarantined()) == 2
    assert store.counts()["quarantined"] == 2
    assert all_due(store, "a") == []


def test_discarding(store: Store) -> None:
    store.record([quarantined(str(n), key(n)) for n in (1, 2)])

    assert store.discard([number(store, "1"), 10_000]) == 1
    assert [row.id for row in store.quarantined()] == ["qtn_2"]
    assert store.counts()["quarantined"] == 1


def test_what_may_repeat_another_is_kept_and_says_so(store: Store) -> None:
    store.record([quarantined("1", key(1, content="?"))])
    store.doubt([doubt(1)])

    repeat = quarantined("2", key(1, link="lnk_2", content="?"))

    assert store.record([repeat], mark=lambda one, of: replace(one, duplicate_of=of)) == [
        Recorded("qtn_2")
    ]
    assert [row.duplicate_of for row in store.quarantined()] == ["qtn_1", None]
