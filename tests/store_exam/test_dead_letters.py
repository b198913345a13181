"""Dead letters: listed, and sent again when somebody says so."""

from bridge.store.contract import Store
from tests.fix_store import (
    START,
    all_due,
    attempt,
    delivered,
    died,
    event,
    failed,
    key,
    leased,
    message,
)


def dead(store: Store, lane: str, *names: str) -> None:
    """Record messages and let their deliveries die."""
    store.record([message(name, key(hash(name) % 10**6), lane) for name in names])
    token = leased(store, lane).token
    store.settle(lane, token, [died(due) for due in all_due(store, lane)])


def test_a_dead_letter_tells_what_happened(store: Store) -> None:
    store.record([message("1", key(1), "a")])
    token = leased(store, "a").token
    (due,) = all_due(store, "a")
    store.settle("a", token, [failed(due, again_at=START)])
    (due,) = all_due(store, "a")
    store.settle("a", token, [died(due, "the schedule is spent", status=503)])

    (letter,) = store.dead_letters()

    assert letter.id == due.id
    assert (letter.endpoint, letter.event_id, letter.event_type, letter.message_id) == (
        "a",
        "evt_1",
        "message.received",
        "msg_1",
    )
    assert (letter.died_at, letter.attempts, letter.reason) == (START, 2, "the schedule is spent")
    assert (letter.last_status, letter.last_error) == (503, None)
    (row,) = store.deliveries("msg_1")
    assert (row.state, row.due_at) == ("dead", None)
    assert [one.status for one in row.attempts] == [500, 503]
    assert all_due(store, "a") == []


def test_the_list_goes_by_pages_and_endpoints(store: Store) -> None:
    dead(store, "a", "1", "2", "3")
    dead(store, "b", "4")

    everything = store.dead_letters()
    assert [letter.message_id for letter in everything] == ["msg_4", "msg_3", "msg_2", "msg_1"]
    page = store.dead_letters(limit=2)
    assert page + store.dead_letters(limit=9, before=page[-1].id) == everything
    assert [letter.message_id for letter in store.dead_letters(endpoint="a", limit=2)] == [
        "msg_3",
        "msg_2",
    ]
    assert store.dead_letters(endpoint="c") == []


def test_a_retried_one_is_due_now_with_a_fresh_schedule(store: Store) -> None:
    dead(store, "a", "1")
    (letter,) = store.dead_letters()

    assert store.retry([letter.id, 99_999], endpoint=None, now=START + 5) == 1

    (due,) = all_due(store, "a", START + 5)
    assert (due.id, due.due_at, due.attempts, due.step) == (letter.id, START + 5, 1, 0)
    assert store.dead_letters() == []
    assert store.counts()["dead_letters"] == 0
    store.settle("a", leased(store, "a").token, [delivered(due)])
    (row,) = store.deliveries("msg_1")
    assert [one.number for one in row.attempts] == [1, 2]
    assert store.retry([letter.id], endpoint=None, now=START) == 0


def test_all_or_those_of_an_endpoint_are_retried_in_portions(store: Store) -> None:
    dead(store, "a", "1", "2", "3")
    dead(store, "b", "4")

    assert store.retry(None, endpoint="a", now=START, limit=2) == 2
    assert store.retry(None, endpoint="a", now=START, limit=2) == 1
    assert store.retry(None, endpoint="a", now=START, limit=2) == 0
    assert store.retry(None, endpoint=None, now=START) == 1
    assert store.retry([], endpoint=None, now=START) == 0

    assert store.backlog() == {"a": 3, "b": 1}


def test_burying_an_endpoint_leaves_the_others(store: Store) -> None:
    store.record(
        [message(str(n), key(n), events=[event(str(n), "a/0", "a/1", "b")]) for n in (1, 2)]
    )

    assert store.bury("a", "nobody is there", START + 7, limit=3) == 3
    assert store.bury("a", "nobody is there", START + 7, limit=3) == 1
    assert store.bury("a", "nobody is there", START + 7) == 0

    assert store.backlog() == {"b": 2}
    letters = store.dead_letters()
    assert len(letters) == 4
    assert {(letter.reason, letter.attempts, letter.died_at) for letter in letters} == {
        ("nobody is there", 0, START + 7)
    }
    assert store.counts()["dead_letters"] == 4
    assert [row.status for row in store.messages()] == ["pending", "pending"]


def test_a_buried_one_tells_of_its_last_attempt(store: Store) -> None:
    store.record([message("1", key(1), "a")])
    (due,) = all_due(store, "a")
    one = failed(due, again_at=START)
    refused = attempt(1, None, error="connect")
    store.settle("a", leased(store, "a").token, [
        type(one)(delivery=due.id, attempt=refused, state="pending", due_at=START, step=1)
    ])  # fmt: skip
    store.bury("a", "gone", START)

    (letter,) = store.dead_letters()

    assert (letter.attempts, letter.last_status, letter.last_error) == (1, None, "connect")
