"""Processes of this machine that ended without saying so."""

import os
import subprocess
import sys

import psutil
import pytest
import trio
from msgspec.structs import replace

from bridge.errors import StoreUnavailable
from bridge.intake.records import message_record
from bridge.intake.routing import RoutingTable
from bridge.intake.vanished import SILENT, Vanished, lives
from bridge.store.contract import ProcessStatus
from bridge.store.records import Recorded
from smsc.status import LinkStatus
from tests.fix_intake import LIVE, NOW, FaultyStore, HeldThreads, message, new_ids


def own(**changes: object) -> ProcessStatus:
    status = ProcessStatus(
        id="prc_own",
        node="here",
        pid=os.getpid(),
        pid_started=psutil.Process().create_time(),
        role="carrier",
        started_at=NOW,
    )
    return replace(status, **changes)


@pytest.fixture
def ended() -> ProcessStatus:
    """A process that is gone, as it had described itself."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    return own(id="prc_ended", pid=child.pid, pid_started=started)


def test_we_live() -> None:
    assert lives(own())


def test_a_process_that_ended_does_not(ended: ProcessStatus) -> None:
    assert not lives(ended)


def test_nor_does_one_whose_pid_somebody_else_has() -> None:
    assert not lives(own(pid_started=own().pid_started - 60))


def test_nor_does_one_nobody_has_reaped_yet() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(child.pid).create_time()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    alive = lives(own(pid=child.pid, pid_started=started))
    child.wait()

    assert not alive


def test_one_we_may_not_look_at_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: int) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", closed)

    assert lives(ProcessStatus(
        id="prc_x", node="here", pid=1, pid_started=0, role="carrier", started_at=NOW
    ))  # fmt: skip


def take(store: FaultyStore, place: int, *, link: str) -> Recorded:
    record = message_record(message(place, link=link, body="x"), RoutingTable(LIVE), new_ids(), NOW)
    return store.record([record])[0]


async def test_what_it_took_last_is_in_doubt_afterwards(
    faulty_store: FaultyStore, held: HeldThreads, ended: ProcessStatus
) -> None:
    link = LinkStatus(
        link="lnk_1", account="acme", peer="192.0.2.1:1", state="bound", opened_at=NOW, alive_at=NOW
    )
    faulty_store.beat(ended, [link], NOW)
    faulty_store.beat(own(), [], NOW)
    first = take(faulty_store, 1, link="lnk_1")

    assert await Vanished(held, "here", lambda: NOW).doubt() == 1
    assert await Vanished(held, "here", lambda: NOW).doubt() == 0

    assert [each.id for each in faulty_store.processes()] == ["prc_own"]
    again = take(faulty_store, 1, link="lnk_2")
    assert (again.id, again.repeat) == (first.id, "absorbed")


async def test_other_machines_are_left_alone_until_they_are_silent(
    faulty_store: FaultyStore, held: HeldThreads, ended: ProcessStatus
) -> None:
    faulty_store.beat(replace(ended, node="elsewhere/1"), [], NOW)

    assert await Vanished(held, "here/1", lambda: NOW + SILENT).doubt() == 0
    assert len(faulty_store.processes()) == 1
    assert await Vanished(held, "here/1", lambda: NOW + SILENT + 1).doubt() == 1
    assert faulty_store.processes() == []


async def test_nothing_of_an_earlier_boot_lives(
    faulty_store: FaultyStore, held: HeldThreads
) -> None:
    # With the pid of one that lives, as it may well be after a reboot.
    faulty_store.beat(own(id="prc_before", node="here/1"), [], NOW)
    faulty_store.beat(own(node="here/2"), [], NOW)

    assert await Vanished(held, "here/2", lambda: NOW).doubt() == 1
    assert [each.id for each in faulty_store.processes()] == ["prc_own"]


async def test_a_store_that_fails_is_said(
    faulty_store: FaultyStore, held: HeldThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(faulty_store, "processes", away)

    with pytest.raises(StoreUnavailable):
        await Vanished(held, "here", lambda: NOW).doubt()
    await trio.lowlevel.checkpoint()
