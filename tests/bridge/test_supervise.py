"""Real processes: small programs in the place of the gateway, each test with a deadline."""

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from bridge.supervise import Charge, Seat, Supervisor, pause, probe_port

CHILD = """
import os, signal, sys, time
from pathlib import Path
from bridge.supervise import follow_parent, receive_charge, say_ready
parent, data = receive_charge(int(sys.argv[1]))
notes = Path(sys.argv[2])
follow_parent(parent, 0.3)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
"""
NOTE = "(notes / data.decode()).write_text(str(os.getpid()))\n"
SERVE = CHILD + NOTE + "say_ready(parent)\nsignal.pause()\n"
DEAF = SERVE.replace("\nsay_", "\nsignal.signal(signal.SIGTERM, lambda *_: None)\nsay_")
DEAF += "while True: time.sleep(1)\n"


def charge(program: str, notes: Path, seat: Seat, process_id: str) -> Charge:
    return Charge((sys.executable, "-c", program, "{fd}", str(notes)), process_id.encode())


class Ids:
    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self) -> str:
        self.made.append(f"prc_{len(self.made)}")
        return self.made[-1]


def supervisor(
    program: str,
    notes: Path,
    *,
    seats: int = 1,
    bound: float = 5,
    buried: Callable[[str], None] = lambda _: None,
) -> Supervisor:
    return Supervisor(
        [Seat("x", number) for number in range(seats)],
        partial(charge, program, notes),
        new_id=Ids(),
        buried=buried,
        rng=Random(1),
        bound=bound,
    )


def number_in(path: Path) -> int:
    return int(path.read_text() or 0) if path.exists() else 0


async def appears(path: Path) -> int:
    while not (number := number_in(path)):  # noqa: ASYNC110  # another process writes it
        await trio.sleep(0.01)
    return number


async def goes(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await trio.sleep(0.01)


async def test_seats_are_taken_and_stopped_in_good_order(tmp_path: Path) -> None:
    kept = supervisor(SERVE, tmp_path, seats=2)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            pids = [int((tmp_path / name).read_text()) for name in ("prc_0", "prc_1")]
            kept.stop()
    assert kept.status == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_dead_child_is_buried_and_replaced(tmp_path: Path) -> None:
    graves: list[str] = []
    kept = supervisor(SERVE, tmp_path, buried=graves.append)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            os.kill(int((tmp_path / "prc_0").read_text()), signal.SIGKILL)
            await appears(tmp_path / "prc_1")
            kept.stop()
    assert graves == ["prc_0"]
    assert kept.status == 0


async def test_a_burial_that_fails_stops_nothing(tmp_path: Path) -> None:
    def refuse(_: str) -> None:
        raise RuntimeError("no store")

    kept = supervisor(SERVE, tmp_path, buried=refuse)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            os.kill(int((tmp_path / "prc_0").read_text()), signal.SIGKILL)
            await appears(tmp_path / "prc_1")
            kept.stop()


async def test_a_child_that_cannot_be_started_just_now_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = supervisor(SERVE, tmp_path, seats=2)
    open_process = trio.lowlevel.open_process
    refusals = [OSError(errno.EAGAIN, "too many processes")]

    async def refuse_once(*given: Any, **named: Any) -> trio.Process:
        if refusals:
            raise refusals.pop()
        return await open_process(*given, **named)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            monkeypatch.setattr(trio.lowlevel, "open_process", refuse_once)
            os.kill(int((tmp_path / "prc_0").read_text()), signal.SIGKILL)
            await appears(tmp_path / "prc_3")
            os.kill(int((tmp_path / "prc_1").read_text()), 0)
            kept.stop()
    assert kept.status == 0


@pytest.mark.parametrize(("code", "status"), [(1, 1), (2, 2), (77, 1)])
async def test_failing_to_start_stops_everything(tmp_path: Path, code: int, status: int) -> None:
    kept = supervisor(CHILD + f"sys.exit({code})", tmp_path, seats=2)
    with trio.fail_after(20):
        await kept.run()
    assert kept.status == status


async def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    kept = supervisor(DEAF, tmp_path, bound=0.2)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            kept.stop()
    assert kept.status == 1


async def test_one_that_ends_badly_shows_in_the_status(tmp_path: Path) -> None:
    bad = SERVE.replace("sys.exit(0)", "sys.exit(3)")
    kept = supervisor(bad, tmp_path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            kept.stop()
    assert kept.status == 1


async def test_stopping_before_anything_is_ready_is_no_failure(tmp_path: Path) -> None:
    kept = supervisor(CHILD + NOTE + "signal.pause()", tmp_path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kept.run)
            await appears(tmp_path / "prc_0")
            kept.stop()
    assert kept.status == 0


async def test_a_second_word_kills_at_once(tmp_path: Path) -> None:
    kept = supervisor(DEAF, tmp_path, bound=1_000)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(kept.run)
            kept.stop()
            kept.stop(at_once=True)


@pytest.mark.parametrize("program", [SERVE, DEAF])
async def test_children_end_with_a_parent_that_is_killed(tmp_path: Path, program: str) -> None:
    parent = (
        "import sys, trio; from pathlib import Path; sys.path.insert(0, '.')\n"
        "from tests.bridge.test_supervise import supervisor\n"
        f"trio.run(supervisor({program!r}, Path({str(tmp_path)!r})).run)"
    )
    with trio.fail_after(20):
        process = await trio.lowlevel.open_process([sys.executable, "-c", parent])
        child = await appears(tmp_path / "prc_0")
        process.kill()
        await process.wait()
        await goes(child)


def test_pauses_grow_to_a_bound_and_are_jittered() -> None:
    rng = Random(1)
    many = [[pause(deaths, rng) for _ in range(50)] for deaths in (1, 2, 5, 50)]
    assert all(0.125 <= value <= 0.375 for value in many[0])
    assert all(0.25 <= value <= 0.75 for value in many[1])
    assert all(15 <= value <= 45 for value in many[3])
    assert len({round(value, 6) for value in many[0]}) > 40


def test_a_taken_port_is_noticed_even_where_sharing_is_allowed() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            probe_port("127.0.0.1", port)
    probe_port("127.0.0.1", port)
    probe_port("127.0.0.1", 0)
