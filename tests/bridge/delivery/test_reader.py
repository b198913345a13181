"""One look over all lanes: who is read, who is left alone, where it goes on."""

from collections.abc import Sequence

from bridge.delivery.reader import ROWS, look
from bridge.store.contract import Store
from tests.fix_store import START, Clock, key, message


def fill(store: Store, **lanes: int) -> None:
    """Store so many messages for each lane."""
    place = 0
    records = []
    for lane, count in lanes.items():
        for _ in range(count):
            place += 1
            records.append(message(f"m{place:05d}", key(place), lane))
    for start in range(0, len(records), 1_000):
        store.record(records[start : start + 1_000])


def seen_lanes(rows: Sequence[tuple[str, int, Sequence[object]]]) -> dict[str, int]:
    return {lane: len(found) for lane, _, found in rows}


def test_lanes_of_ours_with_room_are_read_and_others_named(store: Store) -> None:
    fill(store, a=3, b=3, c=3, d=3)
    seen = look(
        store, START, {"a", "b", "c", "idle"}, {"b": (0, ())}, {"a": 2, "c": 8, "idle": 8}, ""
    )

    assert seen_lanes(seen.rows) == {"a": 2, "c": 3}
    assert seen.strays == ["d"]
    assert seen.stopped_at == ""


def test_what_is_held_is_left_out(store: Store) -> None:
    fill(store, a=3)
    [(_, _, rows)] = look(store, START, {"a"}, {}, {"a": 2}, "").rows
    held = tuple(row.id for row in rows)
    [(_, _, more)] = look(store, START, {"a"}, {"a": (2, held)}, {}, "").rows

    assert len(more) == 1
    assert more[0].id not in held


def test_what_is_not_due_yet_is_only_noted(store: Store, clock: Clock) -> None:
    fill(store, a=1, b=1)
    seen = look(store, START - 500, {"a", "b"}, {}, {"a": 2, "b": 2}, "")

    assert seen.rows == []
    assert seen.next_due == START


def test_a_look_is_bounded_and_goes_on_where_it_stopped(store: Store) -> None:
    fill(store, a=ROWS, b=ROWS, c=5)
    usual = {"a": ROWS - 1, "b": ROWS, "c": 10}
    first = look(store, START, usual.keys(), {}, usual, "")
    assert seen_lanes(first.rows) == {"a": ROWS - 1, "b": 1}
    assert first.stopped_at == "b"

    second = look(store, START, usual.keys(), {}, usual, first.stopped_at)
    assert seen_lanes(second.rows) == {"c": 5, "a": ROWS - 5}
    assert second.stopped_at == "a"
