"""Orders to those who serve links, and refusals: what is kept, and how long."""

import pytest
from msgspec import structs

from bridge.errors import BatchRejected
from bridge.store.contract import Order, Store
from bridge.store.records import Refusal
from smsc.message import Millis
from tests.fix_store import SECOND, START, Clock, Engine


def order(name: str, until: Millis = START + SECOND) -> Order:
    return Order(id=f"ord_{name}", kind="record", account="one", until=until, pdus=7, unmask=True)


def refusal(n: int, account: str = "one", raw: bytes = b"\x00\x01\xff") -> Refusal:
    return Refusal(
        at=START + n,
        account=account,
        link="lnk_1",
        peer="192.0.2.1:5000",
        command="deliver_sm",
        status=0x58,
        reason=f"reason {n}",
        raw=raw,
    )


def told(store: Store, account: str | None = None, limit: int = 2_000) -> list[str]:
    return [row.refusal.reason for row in store.refusals(account=account, limit=limit)]


def test_orders_stand_until_they_run_out(store: Store) -> None:
    first, second = order("1"), order("2", START + 2 * SECOND)
    store.order(second)
    store.order(first)

    assert store.orders(START) == [first, second]
    assert store.orders(START + SECOND) == [second]
    assert store.orders(START + 2 * SECOND) == []


def test_an_order_given_again_is_replaced(store: Store) -> None:
    store.order(order("1"))
    ended = structs.replace(order("1"), kind="end-recording", link="lnk_2")

    store.order(ended)

    assert store.orders(START) == [ended]


def test_other_processes_read_an_order(engine: Engine, clock: Clock) -> None:
    one, other = engine.open(), engine.open()
    one.order(order("1"))

    assert other.orders(START) == [order("1")]

    clock.now += 2 * SECOND
    other.order(order("2", START + 9 * SECOND))
    assert [each.id for each in one.orders(START)] == ["ord_2"]  # the first is forgotten


def test_refusals_are_listed_newest_first_whole(store: Store) -> None:
    store.refuse([refusal(1), refusal(2, account="")])
    store.refuse([refusal(3)])
    store.refuse([])

    rows = store.refusals()

    assert [row.refusal for row in rows] == [refusal(3), refusal(2, account=""), refusal(1)]
    assert told(store, "one") == ["reason 3", "reason 1"]
    assert told(store, "") == ["reason 2"]
    assert told(store, "other") == []


@pytest.mark.parametrize("account", [None, "one"])
def test_the_list_of_refusals_goes_by_pages(store: Store, account: str | None) -> None:
    store.refuse([refusal(n) for n in range(5)])

    everything = store.refusals(account=account)
    page = store.refusals(account=account, limit=2)

    assert page == everything[:2]
    assert store.refusals(account=account, before=page[-1].number) == everything[2:]


def test_the_newest_thousand_of_an_account_are_kept(store: Store) -> None:
    store.refuse([refusal(0, account="other"), refusal(0, account="")])
    for start in range(0, 1_500, 500):
        store.refuse([refusal(n) for n in range(start, start + 500)])

    assert told(store, "one") == [f"reason {n}" for n in range(1_499, 499, -1)]
    assert len(told(store)) == 1_002  # others keep theirs

    before = store.refusals(limit=1)[0].number
    store.refuse([refusal(9)])
    assert store.refusals(limit=1)[0].number > before


def test_of_a_pdu_four_kibibytes_are_kept(store: Store) -> None:
    raw = bytes(range(256)) * 17

    store.refuse([refusal(1, raw=raw)])

    assert store.refusals()[0].refusal.raw == raw[:4_096]


def test_what_no_text_holds_is_rejected(store: Store) -> None:
    with pytest.raises(BatchRejected):
        store.refuse([structs.replace(refusal(1), reason="\ud800")])

    assert store.refusals() == []
