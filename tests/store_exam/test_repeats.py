"""Repeats: a doubtful arrival absorbs exactly one equal one of its account."""

from msgspec.structs import replace

from bridge.store.contract import Store
from bridge.store.records import CarrierId, MessageRecord, QuarantineRecord, Recorded
from smsc.message import Millis
from tests.fix_store import (
    MINUTE,
    START,
    Clock,
    Engine,
    all_due,
    doubt,
    fragment,
    join_to,
    key,
    message,
    quarantined,
)


def test_an_unanswered_one_absorbs_its_repeat_on_another_link(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    assert store.doubt([doubt(0)]) == 1

    repeat = message("2", key(1, link="lnk_2", content="hi"), "a")

    assert store.record([repeat]) == [Recorded("msg_1", "absorbed")]
    assert len(all_due(store, "a")) == 1
    assert store.counts()["messages"] == 1


def test_it_absorbs_exactly_one(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(0)])

    results = store.record(
        [
            message("2", key(1, link="lnk_2", content="hi"), "a"),
            message("3", key(2, link="lnk_2", content="hi"), "a"),
        ]
    )

    assert results == [Recorded("msg_1", "absorbed"), Recorded("msg_3")]


def test_two_doubtful_ones_absorb_two(store: Store) -> None:
    store.record([message(str(n), key(n, content="hi"), "a") for n in (1, 2)])
    store.doubt([doubt(0)])

    repeats = [message(f"r{n}", key(n, link="lnk_2", content="hi"), "a") for n in (1, 2, 3)]

    assert store.record(repeats) == [
        Recorded("msg_1", "absorbed"),
        Recorded("msg_2", "absorbed"),
        Recorded("msg_r3"),
    ]


def test_an_answered_one_that_nobody_wants_marked_is_dropped(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(1)])
    arrival = key(1, link="lnk_2", content="hi")

    assert store.record([message("2", arrival, "a")]) == [Recorded("msg_1", "answered")]
    assert len(all_due(store, "a")) == 1


def test_the_repeat_check_is_not_made_for_what_is_marked_already(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(0)])

    marked = message("2", key(1, link="lnk_2", content="hi"), "a", duplicate_of="msg_0")
    again = message("3", key(2, link="lnk_2", content="hi"), "a")

    assert store.record([marked, again]) == [Recorded("msg_2"), Recorded("msg_1", "absorbed")]


def test_answers_are_known_by_place_but_for_those_named(store: Store) -> None:
    store.record([message(str(n), key(n, content=str(n)), "a") for n in (1, 2, 3, 4)])
    assert store.doubt([doubt(3, 2)]) == 4

    repeats = [message(f"r{n}", key(n, link="lnk_2", content=str(n)), "a") for n in (1, 2, 3, 4)]

    assert [result.repeat for result in store.record(repeats)] == [
        "answered",
        "absorbed",
        "answered",
        "absorbed",
    ]


def test_only_those_named_where_the_link_is_well(store: Store) -> None:
    store.record([message(str(n), key(n, content=str(n)), "a") for n in (1, 2, 3)])

    assert store.doubt([doubt(0, 2, only_unanswered=True)]) == 1

    repeats = [message(f"r{n}", key(n, link="lnk_2", content=str(n)), "a") for n in (1, 2, 3)]
    assert [result.repeat for result in store.record(repeats)] == ["", "absorbed", ""]


def test_other_content_accounts_links_and_times_are_not_in_doubt(store: Store) -> None:
    store.record(
        [
            message("1", key(1, content="hi"), "a"),
            message("2", key(1, link="lnk_9", content="well"), "a"),
            message("3", key(2, content="old", at=START - 2 * MINUTE), "a"),
        ]
    )
    assert store.doubt([doubt(0)]) == 1

    fresh = [
        message("4", key(1, link="lnk_2", content="other"), "a"),
        message("5", key(2, link="lnk_2", content="hi", account="two"), "a"),
        message("6", key(3, link="lnk_2", content="well"), "a"),
        message("7", key(4, link="lnk_2", content="old"), "a"),
    ]

    assert [result.repeat for result in store.record(fresh)] == [""] * 4


def test_a_doubt_ends(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(0)])

    late = key(1, link="lnk_2", content="hi", at=START + 10 * MINUTE + 1)

    assert store.record([message("2", late, "a")]) == [Recorded("msg_2")]


def test_saying_it_twice_changes_nothing(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    assert store.doubt([doubt(0)]) == 1
    assert store.doubt([doubt(0), doubt(1)]) == 0
    store.record([message("2", key(1, link="lnk_2", content="hi"), "a")])

    assert store.doubt([doubt(0)]) == 0

    third = message("3", key(2, link="lnk_2", content="hi"), "a")
    assert store.record([third]) == [Recorded("msg_3")]


def test_a_repeat_whose_answer_is_lost_as_well_is_recognised_again(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(0)])
    store.record([message("2", key(1, link="lnk_2", content="hi"), "a")])

    assert store.doubt([doubt(0, link="lnk_2")]) == 1

    third = message("3", key(1, link="lnk_3", content="hi"), "a")
    assert store.record([third]) == [Recorded("msg_1", "absorbed")]


def test_what_was_quarantined_is_recognised_too(store: Store) -> None:
    store.record([quarantined("1", key(1, content="?"))])
    store.doubt([doubt(0)])

    repeat = quarantined("2", key(1, link="lnk_2", content="?"))

    assert store.record([repeat]) == [Recorded("qtn_1", "absorbed")]
    assert store.counts()["quarantined"] == 1


def test_a_doubtful_fragment_is_a_part_its_set_has(store: Store) -> None:
    (first,) = store.record([fragment("1", key(1, content="x"), 1, 2, "x")])
    store.doubt([doubt(0)])

    (repeat,) = store.record([fragment("2", key(1, link="lnk_2", content="x"), 1, 2, "x")])

    assert repeat == Recorded("frg_1", "part", first.set_id, whole=False)


def test_a_doubtful_fragment_is_absorbed_even_when_its_set_is_gone(
    store: Store, clock: Clock
) -> None:
    quick = [
        fragment("1", key(1, content="x"), 1, 2, "x", patience=MINUTE),
        fragment("2", key(2, content="y"), 2, 2, "y", patience=MINUTE),
    ]
    store.complete([store.record(quick)[1].set_id], join_to("a"))
    store.doubt([doubt(0)])
    clock.now += 2 * MINUTE
    store.expire(clock.now, join_to("a"))

    late = fragment("3", key(1, link="lnk_2", content="x", at=clock.now), 1, 2, "x")

    assert store.record([late]) == [Recorded("frg_1", "absorbed")]


def test_doubt_survives_a_restart_and_holds_between_processes(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    one.record([message("1", key(1, content="hi"), "a")])
    one.doubt([doubt(0)])
    one.close()

    repeat = message("2", key(1, link="lnk_2", content="hi"), "a")

    assert other.record([repeat]) == [Recorded("msg_1", "absorbed")]


def test_a_link_may_leave_very_many_in_doubt(store: Store) -> None:
    for start in range(0, 12_000, 1_000):
        store.record(
            [message(str(n), key(n, at=START + 10 * n)) for n in range(start, start + 1_000)]
        )

    assert store.doubt([doubt(6_000), doubt(0, link="lnk_none")]) == 12_000
    assert store.doubt([doubt(6_000)]) == 0

    repeats = [key(n, link="lnk_2", content=f"lnk_1 {n}") for n in (0, 6_000, 6_001, 11_999)]
    results = store.record([message(f"r{one.place}", one) for one in repeats])
    assert [result.repeat for result in results] == ["answered", "answered", *["absorbed"] * 2]


def test_keys_and_doubts_are_pruned_a_thousand_at_a_time(store: Store) -> None:
    for start in (0, 1_000):
        store.record([message(str(n), key(n), "a") for n in range(start, start + 1_000)])
    store.record([message("new", key(5_000, at=START + 14 * MINUTE), "a")])

    now = START + 16 * MINUTE

    assert [store.prune(now) for _ in range(3)] == [1_000, 1_000, 0]
    assert store.doubt([doubt(0)]) == 1  # the new one was kept
    assert store.prune(now) == 1  # and its doubt has ended
    assert store.counts()["messages"] == 2_001


# -- by the carrier's own id -----------------------------------------------------------------


def named(
    name: str, place: int, id_: str = "one 1 abc", *, at: Millis = START, link: str = "lnk_1"
) -> MessageRecord:
    """A message with the id a carrier gave it, remembered for an hour."""
    record = message(name, key(place, at=at, link=link), "a")
    return replace(record, carrier_id=CarrierId(id_, at + 60 * MINUTE))


def test_r22_the_first_with_a_carriers_id_absorbs_all_others(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    assert one.record([named("1", 1)]) == [Recorded("msg_1")]
    one.close()

    repeats = [named("2", 2), named("3", 3, link="lnk_2"), named("4", 4, "one 1 abd")]

    assert other.record(repeats) == [
        Recorded("msg_1", "named"),
        Recorded("msg_1", "named"),
        Recorded("msg_4"),
    ]
    assert len(all_due(other, "a")) == 2


def test_repeats_by_id_inside_one_batch(store: Store) -> None:
    assert store.record([named("1", 1), named("2", 2)]) == [
        Recorded("msg_1"),
        Recorded("msg_1", "named"),
    ]


def test_an_id_is_remembered_from_the_first_and_no_longer_than_said(store: Store) -> None:
    store.record([named("1", 1)])
    assert store.record([named("2", 2, at=START + 59 * MINUTE)])[0].repeat == "named"

    late = named("3", 3, at=START + 61 * MINUTE)

    assert store.record([late]) == [Recorded("msg_3")]
    assert store.record([named("4", 4, at=START + 62 * MINUTE)]) == [Recorded("msg_3", "named")]


def test_a_repeat_by_id_uses_up_the_doubt_about_the_first(store: Store) -> None:
    first = replace(named("1", 1), key=key(1, content="hi"))
    store.record([first])
    store.doubt([doubt(1)])

    repeat = replace(named("2", 1), key=key(1, link="lnk_2", content="hi"))

    assert store.record([repeat]) == [Recorded("msg_1", "named")]
    assert store.counts()["messages"] == 1
    unnamed = message("3", key(2, link="lnk_2", content="hi"), "a")
    assert store.record([unnamed]) == [Recorded("msg_3")]


def test_fragments_are_told_by_id_as_well(store: Store) -> None:
    first = replace(
        fragment("1", key(1), 1, 2, "x"), carrier_id=CarrierId("one 1 abc", START + MINUTE)
    )
    store.record([first])

    other = replace(first, id="frg_2", key=key(2), digest=b"\x07" * 32)

    assert store.record([other]) == [Recorded("frg_1", "named")]
    assert store.counts()["open_sets"] == 1


def test_carriers_ids_are_pruned(store: Store) -> None:
    store.record([named(str(n), n, f"one 1 {n}") for n in range(3)])

    assert store.prune(START + 10 * MINUTE) == 0
    assert store.prune(START + 61 * MINUTE) == 3 + 3  # ids, and keys of arrivals
    assert store.record([named("9", 9, "one 1 1")]) == [Recorded("msg_9")]


# -- what may repeat something answered --------------------------------------------------------


def test_what_repeats_an_answered_one_is_marked_in_the_same_transaction(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(1)])
    asked: list[tuple[str, str]] = []

    def mark(
        one: MessageRecord | QuarantineRecord, of: str
    ) -> MessageRecord | QuarantineRecord | None:
        asked.append((one.id, of))
        return replace(one, duplicate_of=of)

    repeats = [message(f"r{n}", key(n, link="lnk_2", content="hi"), "a") for n in (1, 2)]

    assert store.record(repeats, mark=mark) == [Recorded("msg_r1"), Recorded("msg_r2")]
    assert asked == [("msg_r1", "msg_1")]
    assert [row.duplicate_of for row in store.messages()] == [None, "msg_1", None]


def test_or_dropped_and_one_that_repeats_it_again_is_recognised_too(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.doubt([doubt(1)])

    def drop(_: object, __: str) -> None:
        return None

    repeat = message("2", key(1, link="lnk_2", content="hi"), "a")
    assert store.record([repeat], mark=drop) == [Recorded("msg_1", "answered")]
    store.doubt([doubt(0, link="lnk_2")])
    third = message("3", key(1, link="lnk_3", content="hi"), "a")

    assert store.record([third], mark=drop) == [Recorded("msg_1", "absorbed")]
