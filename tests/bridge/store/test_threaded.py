"""Real threads: real time, with deadlines; tests wait for facts."""

import threading
from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bridge.errors import StoreUnavailable
from bridge.store.contract import Store
from bridge.store.threaded import READS_AT_ONCE, StoreThreads


def threads(*, inline: bool = False) -> StoreThreads:
    return StoreThreads(cast(Store, None), inline=inline)


async def test_calls_get_their_arguments_and_results_off_the_loop() -> None:
    main = threading.get_ident()
    ran: list[int] = []

    def call(first: str, second: int) -> str:
        ran.append(threading.get_ident())
        return first * second

    with trio.fail_after(10):
        assert await threads().write(call, "x", 3) == "xxx"
        assert await threads().read(call, "y", 2) == "yy"

    assert main not in ran


async def test_no_thread_to_be_had_is_a_store_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    one = threads()
    with trio.fail_after(10):
        with monkeypatch.context() as patch:
            patch.setattr(trio.lowlevel, "start_thread_soon", refuse)
            for call in (one.write, one.read):
                with pytest.raises(StoreUnavailable):
                    await call(len, "x")
        assert await one.write(len, "x") == 1
        assert await one.read(len, "x") == 1


async def test_errors_come_to_the_caller_and_the_next_one_goes_on() -> None:
    def fail() -> None:
        raise ValueError("boom")

    one = threads()
    with trio.fail_after(10):
        for call in (one.write, one.read):
            with pytest.raises(ValueError, match="boom"):
                await call(fail)
        assert await one.write(int) == 0


async def test_writes_go_one_at_a_time_in_order() -> None:
    one = threads()
    order: list[int] = []
    inside = threading.Lock()

    def write(number: int) -> None:
        assert inside.acquire(blocking=False)
        order.append(number)
        inside.release()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery, one._turn:
            for number in range(20):
                nursery.start_soon(one.write, write, number)
                await wait_all_tasks_blocked()

    assert order == list(range(20))


async def test_a_write_that_has_begun_is_finished_and_told() -> None:
    one = threads()
    begun, go = threading.Event(), threading.Event()
    results: list[str] = []

    def write() -> str:
        begun.set()
        assert go.wait(10)
        return "committed"

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def writer() -> None:
                with scope:
                    results.append(await one.write(write))

            nursery.start_soon(writer)
            await trio.to_thread.run_sync(begun.wait)
            scope.cancel()
            await wait_all_tasks_blocked(0.01)
            assert results == []
            go.set()

    assert results == ["committed"]


async def test_a_write_cancelled_before_its_turn_does_nothing() -> None:
    one = threads()
    ran: list[None] = []

    with trio.fail_after(10):
        async with one._turn, trio.open_nursery() as nursery:
            nursery.start_soon(one.write, ran.append, None)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    assert ran == []


async def test_reads_do_not_wait_for_a_write_and_are_few_at_a_time() -> None:
    one = threads()
    inside = threading.Semaphore(READS_AT_ONCE)
    go = threading.Event()
    begun = threading.Semaphore(0)

    def blocked() -> None:
        assert inside.acquire(blocking=False)
        begun.release()
        assert go.wait(10)
        inside.release()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.write, go.wait, 10)
            for _ in range(3 * READS_AT_ONCE):
                nursery.start_soon(one.read, blocked)
            for _ in range(READS_AT_ONCE):
                await trio.to_thread.run_sync(begun.acquire)
            go.set()


async def test_inline_runs_on_the_spot() -> None:
    main = threading.get_ident()
    one = threads(inline=True)

    assert await one.write(threading.get_ident) == main
    assert await one.read(threading.get_ident) == main
