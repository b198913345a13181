"""Sets: fragments are durable at once, joined when whole, given up on in time, never lost."""

import msgspec
import pytest
from msgspec.structs import replace

from bridge.errors import BatchRejected
from bridge.store.contract import Store
from bridge.store.records import FragmentRecord, MessageRecord, OpenSet, Recorded, Room
from smsc.message import Fragment, Millis
from tests.fix_store import (
    MINUTE,
    SECOND,
    START,
    Clock,
    Engine,
    all_due,
    bodies,
    fragment,
    join_to,
    key,
    message,
)


def texts(store: Store, now: Millis = START + 10**9) -> list[str]:
    """What was delivered to ``a``."""
    return [msgspec.json.decode(body, type=str) for body in bodies(store, "a", now)]


def refuse(_: OpenSet) -> MessageRecord:
    raise AssertionError("nothing was to be joined")


def put(store: Store, name: str, seq: int, total: int, text: str, **more: Millis) -> Recorded:
    """Record one fragment, ``name`` being its place and id."""
    at = more.pop("at", START)
    (result,) = store.record([fragment(name, key(int(name), at=at), seq, total, text, **more)])  # type: ignore[arg-type]  # patience only
    return result


def test_a_set_is_completed_along_with_a_batch(store: Store) -> None:
    whole = [put(store, "1", 1, 2, "a"), put(store, "2", 2, 2, "b")][-1]

    store.record([message("m1", key(3), "a")], [whole.set_id], join_to("a"))

    assert b'"ab"' in bodies(store, "a", START + 10**9)
    assert len(store.messages()) == 2
    assert store.counts()["open_sets"] == 0
    assert store.complete([whole.set_id], refuse) == []


def test_a_batch_is_undone_with_a_set_that_cannot_be_stored(store: Store) -> None:
    whole = [put(store, "1", 1, 2, "a"), put(store, "2", 2, 2, "b")][-1]

    def unstorable(open_set: OpenSet) -> MessageRecord:
        return msgspec.structs.replace(join_to("a")(open_set), events=())

    with pytest.raises(BatchRejected):
        store.record([message("m1", key(3), "a")], [whole.set_id], unstorable)

    assert store.messages() == []
    assert len(store.complete([whole.set_id], join_to("a"))) == 1


def test_parts_in_any_order_make_one_message(store: Store) -> None:
    results = [put(store, "1", 3, 3, "c"), put(store, "2", 1, 3, "a"), put(store, "3", 2, 3, "b")]

    assert [result.whole for result in results] == [False, False, True]
    assert len({result.set_id for result in results}) == 1
    seen: list[OpenSet] = []

    def join(open_set: OpenSet) -> MessageRecord:
        seen.append(open_set)
        return join_to("a")(open_set)

    (joined,) = store.complete([results[-1].set_id], join)

    assert texts(store) == ["abc"]
    (open_set,) = seen
    assert [part.concat.seq for part in open_set.fragments] == [1, 2, 3]
    assert (open_set.id, open_set.message_id) == (results[0].set_id, None)
    assert open_set.opened_at == START
    (row,) = store.messages()
    assert (row.id, row.complete, row.total, row.status) == (joined, True, 3, "pending")
    assert store.counts()["open_sets"] == 0


def test_fragments_come_back_as_they_were(store: Store) -> None:
    one = fragment("1", key(1), 1, 1, "x")
    whole = msgspec.structs.replace(
        one.fragment,
        sent_at=5,
        carrier_message_id="id",
        tlvs=((0x1401, b"\x00\xff"), (0x1401, b"")),
        metadata={"class": 1, "language": "en"},
        flags=("bad-udh",),
    )
    (result,) = store.record([msgspec.structs.replace(one, fragment=whole)])
    seen: list[Fragment] = []

    def join(open_set: OpenSet) -> MessageRecord:
        seen.extend(open_set.fragments)
        return join_to("a")(open_set)

    store.complete([result.set_id], join)

    assert seen == [whole]


def test_completing_twice_or_what_is_not_whole_does_nothing(store: Store) -> None:
    first = put(store, "1", 1, 2, "a")
    assert store.complete([first.set_id], refuse) == []
    put(store, "2", 2, 2, "b")

    assert len(store.complete([first.set_id, first.set_id], join_to("a"))) == 1
    assert store.complete([first.set_id, 12_345], refuse) == []

    assert texts(store) == ["ab"]


def test_a_whole_batch_of_parts_is_one_set(store: Store) -> None:
    batch = [fragment(str(n), key(n), n, 3, str(n)) for n in (2, 1, 3)]

    results = store.record([*batch, fragment("9", key(9), 2, 3, "2")])

    assert [(result.repeat, result.whole) for result in results] == [
        ("", False),
        ("", False),
        ("", True),
        ("part", True),
    ]
    assert results[3].id == "frg_2"
    store.complete([results[0].set_id], join_to("a"))
    assert texts(store) == ["123"]


def test_a_repeated_part_changes_nothing(store: Store) -> None:
    first = put(store, "1", 1, 2, "a")

    assert put(store, "2", 1, 2, "a") == Recorded("frg_1", "part", first.set_id, whole=False)


def test_other_octets_for_a_taken_slot_open_another_set(store: Store) -> None:
    first = put(store, "1", 1, 2, "a")
    second = put(store, "2", 1, 2, "A")

    assert second.repeat == ""
    assert second.set_id != first.set_id
    third = put(store, "3", 2, 2, "b")  # whichever was opened first
    assert (third.set_id, third.whole) == (first.set_id, True)
    fourth = put(store, "4", 2, 2, "B")
    assert (fourth.set_id, fourth.whole) == (second.set_id, True)
    store.complete([first.set_id, second.set_id], join_to("a"))
    assert texts(store) == ["ab", "AB"]


def test_sets_of_other_keys_and_totals_stay_apart(store: Store) -> None:
    results = store.record(
        [
            fragment("1", key(1), 1, 2, "a"),
            fragment("2", key(2), 2, 2, "b", set_key="another"),
            fragment("3", key(3), 2, 3, "b"),
        ]
    )

    assert len({result.set_id for result in results}) == 3


def test_parts_come_over_links_processes_and_restarts(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    one.record([fragment("1", key(1, link="lnk_1"), 1, 3, "a")])
    one.close()
    other.record([fragment("2", key(1, link="lnk_2", account="two"), 2, 3, "b")])
    third = engine.open()
    (result,) = third.record([fragment("3", key(1, link="lnk_3"), 3, 3, "c")])

    assert result.whole
    assert len(other.complete([result.set_id], join_to("a"))) == 1
    assert third.complete([result.set_id], refuse) == []
    assert texts(third) == ["abc"]


def test_a_done_set_absorbs_repeats_until_its_time_is_up(store: Store, clock: Clock) -> None:
    result = put(store, "1", 1, 1, "a")
    clock.now += 29 * MINUTE
    store.complete([result.set_id], join_to("a"))

    assert put(store, "2", 1, 1, "a") == Recorded("frg_1", "part")

    clock.now += 29 * MINUTE  # as long again as it might have waited, from when it was done
    assert store.expire(clock.now, refuse) == []
    assert put(store, "3", 1, 1, "a").repeat == "part"
    clock.now += 2 * MINUTE
    assert store.expire(clock.now, refuse) == []
    assert put(store, "4", 1, 1, "a").repeat == ""


def test_a_new_message_under_a_done_sets_key_is_another_message(store: Store) -> None:
    store.record([fragment("1", key(1), 1, 2, "a"), fragment("2", key(2), 2, 2, "b")])
    store.expire(START, join_to("a"))

    first = put(store, "3", 1, 2, "A")
    second = put(store, "4", 2, 2, "b")  # equal to the old one's, but somebody waits for it

    assert (first.repeat, second.repeat, second.whole) == ("", "", True)
    store.complete([second.set_id], join_to("a"))
    assert texts(store) == ["ab", "Ab"]


def test_a_whole_set_nobody_completed_is_found(engine: Engine) -> None:
    crashed = engine.open()
    crashed.record([fragment("1", key(1), 1, 2, "a"), fragment("2", key(2), 2, 2, "b")])
    crashed.close()
    store = engine.open()

    assert len(store.expire(START, join_to("a"))) == 1

    assert texts(store) == ["ab"]
    assert store.expire(START, refuse) == []


def test_when_its_time_is_up_a_set_is_delivered_with_gaps(store: Store, clock: Clock) -> None:
    put(store, "1", 1, 3, "a")
    put(store, "2", 3, 3, "c", at=START + 5 * SECOND)
    clock.now += 30 * MINUTE - 1
    assert store.expire(clock.now, refuse) == []
    clock.now += 1

    (gapped,) = store.expire(clock.now, join_to("a"))

    assert texts(store) == ["a-c"]
    (row,) = store.messages()
    assert (row.id, row.complete) == (gapped, False)
    assert store.expire(clock.now, refuse) == []


def test_a_late_part_makes_a_new_event_of_the_same_message(store: Store, clock: Clock) -> None:
    put(store, "1", 1, 2, "a")
    clock.now += 31 * MINUTE
    (gapped,) = store.expire(clock.now, join_to("a"))

    late = put(store, "2", 2, 2, "b", at=clock.now)

    assert (late.repeat, late.whole) == ("", True)
    assert store.complete([late.set_id], join_to("a", "b")) == [gapped]
    assert texts(store) == ["a-", "ab"]
    assert len(all_due(store, "b", clock.now)) == 1
    (row,) = store.messages()
    assert (row.id, row.complete, row.event) == (gapped, True, b'"ab"')
    assert [delivery.endpoint for delivery in store.deliveries(gapped)] == ["a", "a", "b"]
    assert store.counts()["messages"] == 1
    assert put(store, "3", 2, 2, "b", at=clock.now).repeat == "part"


def test_late_parts_that_leave_gaps_are_delivered_when_time_is_up_again(
    store: Store, clock: Clock
) -> None:
    put(store, "1", 1, 3, "a")
    clock.now += 30 * MINUTE
    (gapped,) = store.expire(clock.now, join_to("a"))
    put(store, "2", 2, 3, "b", at=clock.now)
    assert store.expire(clock.now, refuse) == []
    clock.now += 30 * MINUTE

    assert store.expire(clock.now, join_to("a")) == [gapped]

    assert texts(store) == ["a--", "ab-"]
    clock.now += 30 * MINUTE
    assert store.expire(clock.now, refuse) == []  # nothing new came: it is forgotten
    assert put(store, "3", 3, 3, "c", at=clock.now).whole is False
    assert store.counts()["open_sets"] == 1


def test_an_unrouted_message_may_be_routed_by_a_late_part(store: Store, clock: Clock) -> None:
    put(store, "1", 1, 2, "a")
    clock.now += 30 * MINUTE
    (gapped,) = store.expire(clock.now, join_to())
    assert [row.id for row in store.messages(status="unrouted")] == [gapped]
    assert store.counts()["unrouted"] == 1

    late = put(store, "2", 2, 2, "b", at=clock.now)
    store.complete([late.set_id], join_to("a"))

    assert store.messages(status="unrouted") == []
    assert [row.id for row in store.messages(status="pending")] == [gapped]
    assert store.counts()["unrouted"] == 0


@pytest.mark.parametrize("poison", ["raises", "rejected"])
def test_a_set_that_cannot_be_joined_is_quarantined_alone(store: Store, poison: str) -> None:
    results = store.record(
        [fragment(str(n), key(n), 1, 1, str(n), set_key=str(n)) for n in (1, 2, 3)]
    )

    def join(open_set: OpenSet) -> MessageRecord:
        record = join_to("a")(open_set)
        if open_set.id != results[1].set_id:
            return record
        if poison == "raises":
            raise ValueError("boom")
        return msgspec.structs.replace(record, source="\ud800")

    assert len(store.complete([result.set_id for result in results], join)) == 2

    assert texts(store) == ["1", "3"]
    assert store.counts()["quarantined"] == 1
    assert store.expire(START, refuse) == []
    assert store.record([fragment("4", key(4), 1, 1, "2", set_key="2")])[0].repeat == "part"


def test_expiring_is_done_in_portions(store: Store) -> None:
    store.record([fragment(str(n), key(n), 1, 1, str(n), set_key=str(n)) for n in range(25)])

    assert [len(store.expire(START, join_to("a"), limit=10)) for _ in range(4)] == [10, 10, 5, 0]

    assert len(texts(store)) == 25


def test_a_bad_sequence_number_is_rejected(store: Store) -> None:
    with pytest.raises(BatchRejected):
        put(store, "1", 0, 2, "a")


# -- how much may wait (R18) -------------------------------------------------------------------


def part(place: int, *, carrier: str = "carrier", text: str = "x") -> FragmentRecord:
    """The first of two parts of a message of its own."""
    one = fragment(str(place), key(place), 1, 2, text, set_key=f"{carrier} {place}")
    origin = replace(one.fragment.origin, carrier=carrier)
    return replace(one, fragment=replace(one.fragment, origin=origin))


def test_r18_above_the_count_the_oldest_are_delivered_with_gaps(store: Store, clock: Clock) -> None:
    store.record([part(n, text=str(n)) for n in range(5)])
    store.record([part(10, carrier="other")])
    room = Room(parts=3, octets=1_000_000)

    assert len(store.expire(clock.now, join_to("a"), room=room)) == 2

    assert bodies(store, "a") == [b'"0-"', b'"1-"']
    assert store.expire(clock.now, join_to("a"), room=room) == []
    late = fragment("20", key(20), 2, 2, "y", set_key="carrier 0")
    late = replace(late, fragment=replace(late.fragment, origin=part(0).fragment.origin))
    assert store.record([late])[0].whole  # it is the part that was missing, and not a new message


def test_r18_above_the_octets_too(store: Store, clock: Clock) -> None:
    store.record([part(n, text="x" * 10_000) for n in range(4)])
    room = Room(parts=1_000, octets=25_000)

    assert len(store.expire(clock.now, join_to("a"), room=room)) == 3  # an octet weighs 4/3 of one
    assert store.expire(clock.now, join_to("a"), room=room) == []


def test_r18_what_is_delivered_makes_room(store: Store, clock: Clock) -> None:
    room = Room(parts=2, octets=1_000_000)
    for place in range(0, 20, 2):
        one = fragment(f"a{place}", key(place), 1, 2, "x", set_key=str(place))
        other = fragment(f"b{place}", key(place + 1), 2, 2, "y", set_key=str(place))
        (_, whole) = store.record([one, other])
        store.complete([whole.set_id], join_to("a"))

    assert store.expire(clock.now, join_to("b"), room=room) == []
    store.record([part(100), part(101)])
    assert store.expire(clock.now, join_to("b"), room=room) == []
    store.record([part(102)])
    assert len(store.expire(clock.now, join_to("b"), room=room)) == 1


def test_r18_room_is_made_in_portions(store: Store, clock: Clock) -> None:
    store.record([part(n) for n in range(25)])
    room = Room(parts=0, octets=0)

    done = [len(store.expire(clock.now, join_to("a"), limit=10, room=room)) for _ in range(4)]

    assert done == [10, 10, 5, 0]


def test_r18_a_part_with_other_octets_begins_a_message_of_its_own(store: Store) -> None:
    first = fragment("1", key(1), 1, 2, "a")
    other = fragment("2", key(2), 1, 2, "b")

    (one,) = store.record([first])
    (two,) = store.record([other])

    assert two.set_id not in (0, one.set_id)


def test_r18_a_reference_that_is_used_again_is_another_message(store: Store, clock: Clock) -> None:
    for text in ("first", "second"):
        parts = [
            fragment(f"{text}{n}", key(n, content=f"{text}{n}", at=clock.now), n, 2, f"{text}{n}")
            for n in (1, 2)
        ]
        whole = store.record(parts)[1]
        assert whole.whole
        store.complete([whole.set_id], join_to("a"))
        clock.now += MINUTE

    assert bodies(store, "a", clock.now) == [b'"first1first2"', b'"second1second2"']


def test_r18_parts_are_durable_before_their_answer_and_shared_by_processes(engine: Engine) -> None:
    one = engine.open()
    one.record([fragment("1", key(1, account="north"), 1, 2, "x")])
    one.close()
    other = engine.open()

    (whole,) = other.record([fragment("2", key(1, link="lnk_2", account="south"), 2, 2, "y")])

    assert whole.whole
    other.complete([whole.set_id], join_to("a"))
    assert bodies(other, "a") == [b'"xy"']
