"""Recording: what is stored by a batch, whole or not at all."""

import pytest

from bridge.errors import BatchRejected, StoreUnavailable
from bridge.store.contract import Store
from bridge.store.records import Record, Recorded
from tests.fix_store import (
    Engine,
    all_due,
    event,
    fragment,
    key,
    message,
    quarantined,
)


def test_a_message_is_stored_with_its_event_and_deliveries(store: Store) -> None:
    body = '{"text": "Grüße, 😀 \\u0000"}'.encode()
    record = message("1", key(1), events=[event("1", "a", "b/1", body=body)])

    assert store.record([record]) == [Recorded("msg_1")]

    (due,) = all_due(store, "a")
    assert (due.lane, due.endpoint, due.event_id, due.event_type) == (
        "a",
        "a",
        "evt_1",
        "message.received",
    )
    assert due.body == body
    assert (due.attempts, due.step) == (0, 0)
    (other,) = all_due(store, "b/1")
    assert (other.endpoint, other.body) == ("b", body)
    assert other.id != due.id


def test_what_is_recorded_is_there_after_a_restart(engine: Engine) -> None:
    first = engine.open()
    first.record([message("1", key(1), "a")])
    first.close()

    assert [due.event_id for due in all_due(engine.open(), "a")] == ["evt_1"]


def test_another_process_sees_it_at_once(engine: Engine) -> None:
    one, other = engine.open(), engine.open()

    one.record([message("1", key(1), "a")])
    other.record([message("2", key(2), "a")])

    assert [due.event_id for due in all_due(one, "a")] == ["evt_1", "evt_2"]
    assert [due.id for due in all_due(other, "a")] == [due.id for due in all_due(one, "a")]


def test_a_message_may_have_several_events_and_none_be_for_anybody(store: Store) -> None:
    events = [event("1a", "a", "b"), event("1b"), event("1c", "a")]

    store.record([message("1", key(1), events=events), message("2", key(2), "a")])

    assert [due.event_id for due in all_due(store, "a")] == ["evt_1a", "evt_1c", "evt_2"]
    assert [row.event_id for row in store.deliveries("msg_1")] == ["evt_1a", "evt_1a", "evt_1c"]
    assert [row.event_id for row in store.deliveries("msg_2")] == ["evt_2"]


def test_all_kinds_go_in_one_batch_in_order(store: Store) -> None:
    batch: list[Record] = [
        quarantined("1", key(1)),
        message("2", key(2)),
        fragment("3", key(3), 1, 2, "x"),
        message("4", key(4), "a"),
    ]

    results = store.record(batch)

    assert [result.id for result in results] == ["qtn_1", "msg_2", "frg_3", "msg_4"]
    assert [bool(result.set_id) for result in results] == [False, False, True, False]
    assert store.counts() == {
        "messages": 2,
        "unrouted": 1,
        "pending": 1,
        "dead_letters": 0,
        "quarantined": 1,
        "open_sets": 1,
    }


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert store.record([]) == []


def test_two_equal_messages_on_a_healthy_link_are_two_messages(store: Store) -> None:
    results = store.record(
        [message("1", key(1, content="hi"), "a"), message("2", key(2, content="hi"), "a")]
    )

    assert results == [Recorded("msg_1"), Recorded("msg_2")]
    assert len(all_due(store, "a")) == 2


@pytest.mark.parametrize(
    "poison",
    [
        message("1", key(9), "a"),  # its id is taken
        message("9", key(9), "a", source="\ud800"),
        message("9", key(9), "a", events=[]),
        message("9", key(2**70), "a"),
        fragment("9", key(9), 3, 2, "beyond the total"),
    ],
    ids=["same-id", "lone-surrogate", "no-event", "huge-number", "bad-sequence"],
)
def test_a_row_that_cannot_be_stored_rejects_the_batch_whole(store: Store, poison: Record) -> None:
    store.record([message("1", key(1), "a")])

    with pytest.raises(BatchRejected):
        store.record([message("2", key(2), "a"), poison, message("3", key(3), "b")])

    assert [due.event_id for due in all_due(store, "a")] == ["evt_1"]
    assert all_due(store, "b") == []
    assert store.counts()["messages"] == 1
    store.record([message("2", key(2), "a"), message("3", key(3), "b")])  # the rest, bisected
    assert [due.event_id for due in all_due(store, "b")] == ["evt_3"]


def test_a_nul_in_an_address_costs_nothing(store: Store) -> None:
    store.record([message("1", key(1), "a", source="A\x00B")])

    assert [row.source for row in store.messages()] == ["A\x00B"]


def test_a_batch_has_at_most_a_thousand_records(store: Store) -> None:
    batch = [message(str(n), key(n), "a") for n in range(1_001)]

    with pytest.raises(BatchRejected, match="at most"):
        store.record(batch)

    assert len(store.record(batch[:1_000])) == 1_000


def test_a_lane_belongs_to_one_endpoint(store: Store) -> None:
    record = message("1", key(1), "a")
    (delivery,) = record.events[0].deliveries
    store.record([record])
    stolen = event("2", "a")
    wrong = type(stolen)(
        stolen.id,
        stolen.type,
        stolen.tenant,
        stolen.body,
        stolen.created_at,
        (type(delivery)("other", "a"),),
    )

    with pytest.raises(BatchRejected, match="belongs to endpoint 'a'"):
        store.record([message("2", key(2), events=[wrong])])


def test_a_closed_store_is_unavailable_and_closing_twice_is_fine(store: Store) -> None:
    store.close()
    store.close()

    with pytest.raises(StoreUnavailable):
        store.record([message("1", key(1), "a")])
    with pytest.raises(StoreUnavailable):
        store.due("a", 0, 1)
