"""Processes and links: told every second, forgotten in good order, doubted otherwise."""

import pytest
from msgspec import structs

from bridge.store.contract import ProcessStatus, Store
from bridge.store.records import Record, Recorded
from smsc.message import Millis
from smsc.status import LinkStatus
from tests.fix_store import MINUTE, SECOND, START, Clock, key, message

DAY = 24 * 60 * MINUTE


def process(name: str, **figures: float) -> ProcessStatus:
    return ProcessStatus(
        id=f"prc_{name}",
        node="host.example/boot",
        pid=7,
        pid_started=1.5,
        role="carrier",
        started_at=START,
        figures=figures,
    )


def link(name: str, *, answered: int = 0, at: Millis = START) -> LinkStatus:
    return LinkStatus(
        link=f"lnk_{name}",
        account="one",
        peer="192.0.2.1:5000",
        state="bound",
        opened_at=START,
        bound_at=START,
        alive_at=at,
        answered=answered,
    )


def closed(status: LinkStatus) -> LinkStatus:
    return structs.replace(status, state="closed", reason="unbound")


def test_a_process_is_listed_as_it_was_last_seen(store: Store) -> None:
    store.beat(process("1", a=1.0), [link("1")], START)
    store.beat(process("1", a=2.5), [link("1", answered=3)], START + SECOND)
    store.beat(process("2"), [], START)

    one, two = sorted(store.processes(), key=lambda status: status.id)

    assert one == structs.replace(process("1", a=2.5), seen_at=START + SECOND)
    assert two.seen_at == START
    assert store.links() == [link("1", answered=3)]


def test_a_link_may_be_told_of_between_two_beats(store: Store) -> None:
    store.beat(process("1"), [link("1")], START)
    store.announce("prc_1", [link("2")], START)
    store.announce("prc_1", [link("2", answered=3), link("3")], START + SECOND)

    assert {each.link: each.answered for each in store.links()} == {
        "lnk_1": 0, "lnk_2": 3, "lnk_3": 0,
    }  # fmt: skip
    assert [each.state for each in store.links()] == ["bound"] * 3
    assert [each.seen_at for each in store.processes()] == [START]
    store.doubt_process("prc_1", START + SECOND)
    assert {each.state for each in store.links()} == {"closed"}


def test_live_links_come_first(store: Store) -> None:
    store.beat(process("1"), [closed(link("1")), link("2")], START)
    store.beat(process("2"), [link("3")], START)

    assert [status.link for status in store.links()] == ["lnk_2", "lnk_3", "lnk_1"]
    assert [status.link for status in store.links(closed=False)] == ["lnk_2", "lnk_3"]


def test_a_link_that_is_not_told_of_any_more_is_closed(store: Store) -> None:
    store.beat(process("1"), [link("1"), link("2")], START)
    store.beat(process("1"), [link("2")], START)

    states = {status.link: status.state for status in store.links()}

    assert states == {"lnk_1": "closed", "lnk_2": "bound"}


def test_a_link_that_never_bound_is_forgotten(store: Store) -> None:
    store.beat(process("1"), [structs.replace(link("1"), state="open", bound_at=None)], START)
    store.beat(process("1"), [], START)

    assert store.links() == []


def test_closed_links_are_kept_for_a_day(store: Store) -> None:
    store.beat(process("1"), [link("1"), closed(link("2"))], START)
    store.beat(process("1"), [link("1"), closed(link("2"))], START + DAY // 2)

    assert store.prune(START + DAY) == 0
    assert store.prune(START + DAY + 1) == 1

    assert [status.link for status in store.links()] == ["lnk_1"]


def test_who_leaves_is_forgotten_and_nothing_is_doubtful(store: Store) -> None:
    store.beat(process("1"), [link("1")], START)
    store.record([message("1", key(1, content="hi"), "a")])
    store.lease("prc_1", ["a"], 30)

    store.leave("prc_1")

    assert store.processes() == []
    assert [status.state for status in store.links()] == ["closed"]
    assert len(store.lease("prc_2", ["a"], 30)) == 1
    repeat: list[Record] = [message("2", key(1, link="lnk_2", content="hi"), "a")]
    assert store.record(repeat) == [Recorded("msg_2")]
    assert store.doubt_process("prc_1", START) == 0


def test_a_process_that_is_gone_leaves_its_arrivals_doubtful(store: Store, clock: Clock) -> None:
    store.record([message(str(n), key(n, content=str(n), at=START + n), "a") for n in (1, 2, 3)])
    store.record([message("old", key(9, content="old", at=START - 2 * MINUTE), "a")])
    store.record([message("other", key(1, link="lnk_9", content="other"), "a")])
    store.beat(process("1"), [link("1", answered=2, at=START + 1)], START)
    store.beat(process("2"), [link("9")], START)
    store.lease("prc_1", ["a"], 30)

    assert store.doubt_process("prc_1", START + SECOND) == 3
    assert store.doubt_process("prc_1", START + SECOND) == 0

    assert [status.id for status in store.processes()] == ["prc_2"]
    assert {status.link: status.state for status in store.links()} == {
        "lnk_1": "closed",
        "lnk_9": "bound",
    }
    assert len(store.lease("prc_2", ["a"], 30)) == 1
    at = START + 9 * MINUTE
    repeats = [
        message(f"r{n}", key(n, link="lnk_2", content=said, at=at), "a")
        for n, said in enumerate(["1", "2", "3", "old", "other"])
    ]
    assert [result.repeat for result in store.record(repeats)] == [
        "answered",
        "answered",
        "absorbed",
        "",
        "",
    ]


@pytest.mark.parametrize("after", [10 * MINUTE, 10 * MINUTE + 2 * SECOND])
def test_such_doubts_last_ten_minutes(store: Store, after: Millis) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.beat(process("1"), [link("1")], START)
    store.doubt_process("prc_1", START + SECOND)

    (result,) = store.record(
        [message("2", key(1, link="lnk_2", content="hi", at=START + after), "a")]
    )

    assert (result.repeat == "absorbed") == (after <= 10 * MINUTE + SECOND)


def test_a_closed_link_of_a_lost_process_is_not_doubtful(store: Store) -> None:
    store.record([message("1", key(1, content="hi"), "a")])
    store.beat(process("1"), [closed(link("1"))], START)

    assert store.doubt_process("prc_1", START) == 0
