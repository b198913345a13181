"""What people ask: lists by page and filter, a message's deliveries, counts."""

import pytest

from bridge.errors import NotFound
from bridge.store.contract import Store
from bridge.store.listing import MessageRow
from tests.fix_store import (
    START,
    all_due,
    delivered,
    died,
    event,
    key,
    leased,
    message,
    quarantined,
)


def ids(rows: list[MessageRow]) -> list[str]:
    return [row.id.removeprefix("msg_") for row in rows]


@pytest.fixture
def mixed(store: Store) -> Store:
    """Messages 1 … 6: delivered, dead, pending at one of two, unrouted, pending, dead."""
    store.record(
        [
            message("1", key(1), "a"),
            message("2", key(2), "b", source="+447700900124"),
            message("3", key(3), "a", "c", destination="+447700900998"),
            message("4", key(4), source="+447700900124", destination="99"),
            message("5", key(5), "d"),
            message("6", key(6), "b"),
        ]
    )
    for lane, settlement in (("a", delivered), ("b", died)):
        token = leased(store, lane).token
        store.settle(lane, token, [settlement(due) for due in all_due(store, lane)])
    return store


def test_a_row_tells_all(store: Store) -> None:
    store.record([message("1", key(1), "a", duplicate_of="msg_0")])

    assert store.messages() == [
        MessageRow(
            id="msg_1",
            kind="message",
            received_at=START,
            account="one",
            carrier="carrier",
            tenant="default",
            number="+4477*",
            source="+447700900123",
            destination="+447700900999",
            encoding="gsm7",
            total=1,
            complete=True,
            duplicate_of="msg_0",
            status="pending",
            event=b'{"id": "1"}',
        )
    ]


def test_the_newest_come_first_and_pages_join(mixed: Store) -> None:
    everything = mixed.messages()

    assert ids(everything) == ["6", "5", "4", "3", "2", "1"]
    page = mixed.messages(limit=4)
    assert page + mixed.messages(before=page[-1].id) == everything
    assert mixed.messages(before="msg_1") == []
    with pytest.raises(NotFound):
        mixed.messages(before="msg_99")


def test_the_status_is_the_least_settled_of_its_deliveries(mixed: Store) -> None:
    assert [row.status for row in mixed.messages()] == [
        "dead",
        "pending",
        "unrouted",
        "pending",
        "dead",
        "delivered",
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ["5", "3"]),
        ("dead", ["6", "2"]),
        ("delivered", ["1"]),
        ("unrouted", ["4"]),
        ("nonsense", []),
    ],
)
def test_lists_by_status(mixed: Store, status: str, expected: list[str]) -> None:
    assert ids(mixed.messages(status=status)) == expected
    assert ids(mixed.messages(status=status, limit=1)) == expected[:1]
    assert ids(mixed.messages(status=status, before="msg_5")) == [
        name for name in expected if name < "5"
    ]


def test_lists_by_whole_address(mixed: Store) -> None:
    assert ids(mixed.messages(source="+447700900124")) == ["4", "2"]
    assert ids(mixed.messages(source="+447700900124", limit=1)) == ["4"]
    assert ids(mixed.messages(source="+447700900124", before="msg_4")) == ["2"]
    assert ids(mixed.messages(source="+447700900124", status="dead")) == ["2"]
    assert ids(mixed.messages(source="+447700900124", destination="99")) == ["4"]
    assert ids(mixed.messages(destination="+447700900998")) == ["3"]
    assert mixed.messages(source="+4477009001") == []
    assert mixed.messages(destination="+44770090099%") == []


def test_one_by_id(mixed: Store) -> None:
    assert ids(mixed.messages(id="msg_3")) == ["3"]
    assert mixed.messages(id="msg_3", status="dead") == []
    assert mixed.messages(id="msg_99") == []


def test_addresses_are_found_among_thousands(store: Store) -> None:
    for start in range(0, 4_000, 1_000):
        store.record(
            [
                message(
                    str(n),
                    key(n),
                    "a",
                    source=f"+4477009{n % 100:05}",
                    destination="+1" if n % 500 else "+2",
                )
                for n in range(start, start + 1_000)
            ]
        )

    expected = [str(n) for n in range(3_917, 0, -100)]
    assert ids(store.messages(source="+447700900017", limit=100)) == expected
    assert (
        ids(store.messages(source="+447700900017", limit=3, before="msg_2017")) == expected[20:23]
    )
    assert len(store.messages(destination="+2", limit=100)) == 8
    assert len(store.messages(destination="+1", limit=777)) == 777


def test_a_list_on_an_empty_store(store: Store) -> None:
    assert store.messages() == []
    assert store.messages(source="+1", status="pending") == []
    assert store.dead_letters() == []
    assert store.deliveries("msg_1") == []
    assert set(store.counts().values()) == {0}


def test_a_message_shows_its_latest_event(store: Store) -> None:
    events = [event("1a", "a", body=b'"first"'), event("1b", body=b'"second"')]
    store.record([message("1", key(1), events=events)])

    assert [row.event for row in store.messages()] == [b'"second"']


def test_deliveries_stand_in_their_order(mixed: Store) -> None:
    assert [(row.endpoint, row.state, row.due_at) for row in mixed.deliveries("msg_3")] == [
        ("a", "delivered", None),
        ("c", "pending", START),
    ]
    assert mixed.deliveries("msg_4") == []


def test_the_quarantine_is_listed_newest_first_and_pages_join(store: Store) -> None:
    given = [quarantined(str(n), key(n)) for n in (1, 2, 3)]
    store.record(given)

    page = store.quarantined(limit=2)
    rest = store.quarantined(limit=2, before=page[-1].number)

    assert [row.id for row in page + rest] == [one.id for one in reversed(given)]
    last = rest[0]
    assert (last.account, last.received_at) == (given[0].key.account, given[0].key.received_at)
    assert (last.reason, last.raw) == (given[0].reason, given[0].raw)
    assert store.quarantined(before=last.number) == []
