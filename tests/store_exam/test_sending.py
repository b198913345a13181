"""Lanes, leases, what is due, and settling."""

import pytest

from bridge.errors import BatchRejected, StaleLease
from bridge.store.contract import Store
from tests.fix_store import (
    SECOND,
    START,
    Clock,
    Engine,
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


def fill(store: Store, *lanes: str, count: int = 3) -> None:
    """Record messages 1 … count for every lane, a second apart."""
    store.record(
        [message(str(n), key(n, at=START + n * SECOND), *lanes) for n in range(1, count + 1)]
    )


# -- leases --------------------------------------------------------------------------------


def test_a_lane_has_one_owner_until_the_lease_ends(store: Store, clock: Clock) -> None:
    first = leased(store, "a", "prc_1")
    assert (first.lane, first.until) == ("a", START + 30 * SECOND)

    assert store.lease("prc_2", ["a"], 30) == []
    clock.now += 30 * SECOND - 1
    assert store.lease("prc_2", ["a"], 30) == []
    clock.now += 1

    assert leased(store, "a", "prc_2").token > first.token
    assert store.lease("prc_1", ["a"], 30) == []


def test_renewing_keeps_the_token(store: Store, clock: Clock) -> None:
    first = leased(store, "a")
    clock.now += 20 * SECOND

    again = leased(store, "a")

    assert (again.token, again.until) == (first.token, clock.now + 30 * SECOND)
    clock.now += 40 * SECOND  # ended, but nobody came
    assert leased(store, "a").token == first.token


def test_a_released_lane_is_free_at_once_with_a_new_token(store: Store) -> None:
    first = {lease.lane: lease.token for lease in store.lease("prc_1", ["a", "b", "c"], 30)}

    store.release("prc_1", ["a"])
    store.release("prc_2")

    taken = store.lease("prc_2", ["a", "b"], 30)
    assert [lease.lane for lease in taken] == ["a"]
    assert taken[0].token > first["a"]
    store.release("prc_1")
    assert {lease.lane for lease in store.lease("prc_2", ["a", "b", "c"], 30)} == {"a", "b", "c"}
    assert store.lease("prc_2", [], 30) == []


def test_taking_back_what_one_released_raises_the_token(store: Store) -> None:
    first = leased(store, "a")
    store.release("prc_1")

    assert leased(store, "a").token > first.token


# -- what is due ---------------------------------------------------------------------------


def test_due_is_what_has_come_oldest_first(store: Store) -> None:
    fill(store, "a", "b")

    assert store.due("a", START, 10) == []
    two = store.due("a", START + 2 * SECOND, 10)
    assert [(due.event_id, due.due_at) for due in two] == [
        ("evt_1", START + SECOND),
        ("evt_2", START + 2 * SECOND),
    ]
    assert [due.event_id for due in store.due("a", START + 9 * SECOND, 2)] == ["evt_1", "evt_2"]
    assert store.due("nobody", START + 9 * SECOND, 2) == []


def test_due_leaves_out_what_is_held(store: Store) -> None:
    fill(store, "a", count=5)
    now = START + 9 * SECOND
    ids = [due.id for due in all_due(store, "a", now)]

    assert [due.id for due in store.due("a", now, 2, ids[:2])] == ids[2:4]
    assert [due.id for due in store.due("a", now, 9, [*ids[1:], 10**9])] == ids[:1]


def test_messages_of_one_moment_keep_their_order(store: Store) -> None:
    store.record([message(str(n), key(n), "a") for n in range(20)])

    assert [due.event_id for due in all_due(store, "a")] == [f"evt_{n}" for n in range(20)]


def test_next_due_looks_beyond_now(store: Store) -> None:
    fill(store, "a")

    assert store.next_due("a", START) == START + SECOND
    assert store.next_due("a", START + SECOND) == START + 2 * SECOND
    assert store.next_due("a", START + 3 * SECOND) is None
    assert store.next_due("nobody", START) is None


def test_pending_lanes_are_named_with_their_earliest(store: Store) -> None:
    assert store.pending_lanes() == []
    fill(store, "a", "b/1", count=2)
    store.record([message("9", key(9), "c/2")])

    assert sorted(store.pending_lanes()) == [
        ("a", START + SECOND),
        ("b/1", START + SECOND),
        ("c/2", START),
    ]


# -- settling ------------------------------------------------------------------------------


def test_a_delivered_one_is_gone_from_the_lane_and_kept_with_its_attempt(engine: Engine) -> None:
    store = engine.open()
    fill(store, "a")
    lease = leased(store, "a")
    (first, *_) = all_due(store, "a", START + 9 * SECOND)

    store.settle("a", lease.token, [delivered(first)])
    store.close()

    store = engine.open()
    assert [due.event_id for due in all_due(store, "a", START + 9 * SECOND)] == ["evt_2", "evt_3"]
    (row,) = store.deliveries("msg_1")
    assert (row.id, row.state, row.due_at) == (first.id, "delivered", None)
    assert row.attempts == (attempt(),)
    assert store.counts()["pending"] == 2


def test_a_failed_one_comes_again_when_it_is_due(store: Store) -> None:
    fill(store, "a", count=1)
    token = leased(store, "a").token
    later = START + 60 * SECOND
    (due,) = all_due(store, "a", START + SECOND)

    store.settle("a", token, [failed(due, again_at=later)])

    assert all_due(store, "a", later - 1) == []
    (again,) = all_due(store, "a", later)
    assert (again.id, again.attempts, again.step, again.due_at) == (due.id, 1, 1, later)
    assert again.created_at == due.created_at
    store.settle("a", token, [delivered(again)])
    (row,) = store.deliveries("msg_1")
    assert [(one.number, one.status) for one in row.attempts] == [(1, 500), (2, 200)]


def test_all_facts_of_an_attempt_are_kept(store: Store) -> None:
    fill(store, "a", count=1)
    (due,) = all_due(store, "a", START + SECOND)
    facts = attempt(1, None, error="tls", detail="bad \x00 certificate", response="<é>" * 1_000)

    one = failed(due, again_at=START)
    store.settle("a", leased(store, "a").token, [type(one)(
        delivery=one.delivery, attempt=facts, state="pending", due_at=START, step=1
    )])  # fmt: skip

    assert store.deliveries("msg_1")[0].attempts == (facts,)


def test_a_batch_settles_all_at_once(store: Store) -> None:
    fill(store, "a")
    one, two, three = all_due(store, "a", START + 9 * SECOND)

    store.settle(
        "a", leased(store, "a").token, [delivered(one), failed(two, again_at=START), died(three)]
    )

    assert [row.status for row in store.messages()] == ["dead", "pending", "delivered"]
    assert store.counts() == {
        "messages": 3,
        "unrouted": 0,
        "pending": 1,
        "dead_letters": 1,
        "quarantined": 0,
        "open_sets": 0,
    }


def test_a_stale_token_settles_nothing(store: Store, clock: Clock) -> None:
    fill(store, "a", count=1)
    old = leased(store, "a", "prc_1")
    (due,) = all_due(store, "a", START + SECOND)
    clock.now += 31 * SECOND
    new = leased(store, "a", "prc_2")

    for token in (old.token, new.token + 1, 0):
        with pytest.raises(StaleLease):
            store.settle("a", token, [delivered(due)])
    with pytest.raises(StaleLease):
        store.settle("never-leased", 1, [delivered(due)])

    assert len(all_due(store, "a", START + SECOND)) == 1
    assert store.deliveries("msg_1")[0].attempts == ()
    store.settle("a", new.token, [delivered(due)])
    assert all_due(store, "a", START + SECOND) == []


def test_an_ended_lease_nobody_took_may_still_settle(store: Store, clock: Clock) -> None:
    fill(store, "a", count=1)
    lease = leased(store, "a")
    (due,) = all_due(store, "a", START + SECOND)
    clock.now += 60 * SECOND

    store.settle("a", lease.token, [delivered(due)])

    assert store.counts()["pending"] == 0


def test_settling_again_after_a_commit_in_doubt_changes_nothing(store: Store) -> None:
    fill(store, "a", count=2)
    token = leased(store, "a").token
    one, two = all_due(store, "a", START + 9 * SECOND)
    settlements = [delivered(one), failed(two, again_at=START)]

    for _ in range(2):
        store.settle("a", token, settlements)

    assert store.counts()["pending"] == 1
    assert [len(store.deliveries(id_)[0].attempts) for id_ in ("msg_1", "msg_2")] == [1, 1]


def test_facts_that_cannot_be_stored_settle_nothing(store: Store) -> None:
    fill(store, "a", count=1)
    token = leased(store, "a").token
    (due,) = all_due(store, "a", START + SECOND)
    one = delivered(due)

    with pytest.raises(BatchRejected):
        store.settle("a", token, [
            type(one)(delivery=due.id, attempt=attempt(1, detail="\udcff"), state="delivered")
        ])  # fmt: skip

    assert len(all_due(store, "a", START + SECOND)) == 1


def test_a_lanes_token_settles_nothing_of_another_lane(store: Store) -> None:
    fill(store, "a", "b", count=1)
    (foreign,) = all_due(store, "b", START + SECOND)

    store.settle("a", leased(store, "a").token, [delivered(foreign)])

    assert len(all_due(store, "b", START + SECOND)) == 1


def test_many_lanes_settle_in_one_call_but_those_of_others(store: Store) -> None:
    fill(store, "a", "b", "c", count=1)
    now = START + SECOND
    tokens = {lane: leased(store, lane).token for lane in ("a", "b", "c")}
    batches = [
        ("a", tokens["a"], [delivered(due) for due in all_due(store, "a", now)]),
        ("b", tokens["b"] + 1, [delivered(due) for due in all_due(store, "b", now)]),
        ("c", tokens["c"], [died(due) for due in all_due(store, "c", now)]),
        ("d", 1, []),
    ]

    assert store.settle_lanes(batches) == ["b", "d"]
    assert store.settle_lanes([]) == []

    assert store.backlog() == {"b": 1}
    assert [letter.endpoint for letter in store.dead_letters()] == ["c"]


def test_settling_nothing_only_checks_the_token(store: Store) -> None:
    token = leased(store, "a").token

    store.settle("a", token, [])
    with pytest.raises(StaleLease):
        store.settle("a", token + 1, [])


def test_backlog_counts_by_endpoint_over_its_lanes(store: Store) -> None:
    fill(store, "a", "b/0", count=2)
    store.record([message("9", key(9), events=[event("9", "b/1"), event("10", "c")])])

    assert store.backlog() == {"a": 2, "b": 3, "c": 1}
