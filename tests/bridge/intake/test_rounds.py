"""Rounds: each caller gets one that began after it called, and shares it."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bridge.intake.rounds import Rounds


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.hold = trio.Event()
        self.fault: Exception | None = None

    async def do(self) -> None:
        self.begun += 1
        await self.hold.wait()
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault


async def test_many_share_a_round_and_late_ones_the_next() -> None:
    work = Work()
    rounds = Rounds(work.do)
    async with trio.open_nursery() as nursery:
        for late in (False, True):
            for _ in range(10):
                nursery.start_soon(rounds.wait)
            await wait_all_tasks_blocked()
            if late:
                assert work.begun == 1
                work.hold.set()

    assert work.begun == 2


async def test_one_after_the_other_each_has_its_own() -> None:
    work = Work()
    work.hold.set()
    rounds = Rounds(work.do)
    for _ in range(3):
        await rounds.wait()

    assert work.begun == 3


async def test_a_round_that_fails_is_run_again_for_the_others() -> None:
    work = Work()
    work.fault = ValueError("no")
    rounds = Rounds(work.do)
    raised = []

    async def wait() -> None:
        try:
            await rounds.wait()
        except ValueError as error:
            raised.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        work.hold.set()

    assert len(raised) == 1
    assert work.begun in (2, 3)


async def test_who_gives_up_leaves_the_others_theirs() -> None:
    work = Work()
    rounds = Rounds(work.do)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0):
            await rounds.wait()
        nursery.start_soon(rounds.wait)
        await wait_all_tasks_blocked()
        work.hold.set()

    await rounds.wait()


async def test_rounds_are_kept_apart_and_the_next_gathers_meanwhile(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    work.hold.set()
    rounds = Rounds(work.do, apart=1)
    times: list[float] = []

    async def come(after: float) -> None:
        await trio.sleep(after)
        await rounds.wait()
        times.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for after in (0, 0.1, 0.9, 1.5, 5):
            nursery.start_soon(come, after)

    assert times == [0, 1, 1, 2, 5]
    assert work.begun == 4


async def test_who_gives_up_while_others_gather_leaves_them_the_round(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    work.hold.set()
    rounds = Rounds(work.do, apart=1)
    await rounds.wait()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.5):
            nursery.start_soon(trio.sleep, 0)
            await rounds.wait()
        nursery.start_soon(rounds.wait)

    assert work.begun == 2
    assert trio.current_time() == 1
