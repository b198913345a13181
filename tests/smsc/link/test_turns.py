"""Turns of links that bring nothing of use."""

import trio
from trio.testing import MockClock

from smsc.link.turns import SHARE, Turns


async def test_r23_a_link_pays_for_its_work(autojump_clock: MockClock) -> None:
    await Turns().pay(0.01)

    assert trio.current_time() == 0.01 * SHARE


async def test_r23_many_links_have_no_more_of_the_loop_than_one(
    autojump_clock: MockClock,
) -> None:
    turns = Turns()
    worked = 0.0

    async def flood() -> None:
        nonlocal worked
        while True:
            worked += 0.01
            await turns.pay(0.01)

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(flood)

    assert worked <= 60 / SHARE + 40 * 0.01


async def test_who_is_cancelled_holds_nobody_up(autojump_clock: MockClock) -> None:
    turns = Turns()
    with trio.move_on_after(1):
        await turns.pay(1_000)
    await turns.pay(0)

    assert trio.current_time() == 1
