from smsc.link.outgoing import Outgoing


def test_octets_are_pulled_once_and_in_order() -> None:
    out = Outgoing()
    out.put(b"one")
    out.answer(1, b"two")

    assert out.unsent == 6
    assert out.pull() == b"onetwo"
    assert out.pull() == b""
    assert out.unsent == 6  # pulled is not written
    out.confirm(read=True)
    assert out.unsent == 0


def test_a_place_is_answered_once_its_octets_are_confirmed() -> None:
    out = Outgoing()
    out.answer(1, b"a")
    out.pull()
    out.answer(2, b"b")
    assert sorted(out.unanswered()) == [1, 2]

    out.confirm(read=True)

    assert out.unanswered() == [2]
    assert out.unsent == 1


def test_what_is_written_but_hardly_read_answers_nothing() -> None:
    out = Outgoing()
    out.answer(1, b"a")
    out.pull()
    out.confirm(read=False)

    assert out.unsent == 0
    assert out.unanswered() == [1]
