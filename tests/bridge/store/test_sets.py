from bridge.store.sets import KnownSet, Placed, SetState, Slot, place

OPEN, LATE, DONE = SetState.OPEN, SetState.LATE, SetState.DONE


def known(id_: int, state: SetState = OPEN, total: int = 2, **slots: str) -> KnownSet:
    """A set with slots ``s1="octets"``."""
    return KnownSet(
        id_,
        total,
        state,
        {int(seq[1:]): Slot(octets.encode(), f"frg_{octets}") for seq, octets in slots.items()},
    )


def test_the_first_of_a_key_opens_a_set() -> None:
    assert place([], 2, 1, b"a") == Placed(None)


def test_a_free_slot_is_taken() -> None:
    one = known(1, s1="a")

    assert place([one], 2, 2, b"b") == Placed(one)


def test_equal_octets_in_a_slot_repeat_it() -> None:
    one = known(1, s1="a")

    assert place([one], 2, 1, b"a") == Placed(one, Slot(b"a", "frg_a"))


def test_other_octets_in_a_slot_open_another_set() -> None:
    assert place([known(1, s1="a")], 2, 1, b"A") == Placed(None)


def test_a_repeat_is_found_before_a_free_slot() -> None:
    one, two = known(1, s1="a"), known(2, s2="b")

    assert place([one, two], 2, 2, b"b") == Placed(two, Slot(b"b", "frg_b"))


def test_the_oldest_open_set_goes_first_and_late_ones_last() -> None:
    late, one, two = known(1, LATE, s1="a"), known(2, s1="A"), known(3, s1="x")

    assert place([late, one, two], 2, 2, b"b") == Placed(one)
    assert place([late], 2, 2, b"b") == Placed(late)


def test_another_total_is_another_message() -> None:
    assert place([known(1, total=3, s1="a")], 2, 2, b"b") == Placed(None)


def test_a_tombstone_absorbs_its_own_octets_only() -> None:
    done = known(1, DONE, s1="a", s2="b")

    assert place([done], 2, 2, b"b") == Placed(done, Slot(b"b", "frg_b"))
    assert place([done], 2, 2, b"B") == Placed(None)


def test_a_set_that_waits_goes_before_a_tombstone_unless_in_doubt() -> None:
    done, one = known(1, DONE, s1="a", s2="b"), known(2, s1="A")

    assert place([done, one], 2, 2, b"b") == Placed(one)
    assert place([done, one], 2, 2, b"b", doubtful=True) == Placed(done, Slot(b"b", "frg_b"))


def test_whole_and_unfinished() -> None:
    assert known(1, s1="a", s2="b").whole
    assert not known(1, s1="a").whole
    assert [known(1, state).unfinished for state in (OPEN, LATE, DONE)] == [True, True, False]


def test_placing_changes_nothing() -> None:
    one = known(1, s1="a")

    place([one], 2, 2, b"b")

    assert set(one.slots) == {1}
