"""The recorder: which links are recorded by which orders, where to, and when it ends."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import trio
from msgspec.structs import replace

from bridge.intake import recorder as module
from bridge.intake.recorder import Recorder
from bridge.store.contract import Order
from smsc.config import Account
from smsc.link.tap import Tap
from smsc.status import LinkStatus
from smsc.wire.pdu import encode
from tests.fix_peer import deliver
from tests.fix_store import MINUTE, START, Clock

MESSAGE = encode(deliver(2))
ORDER = Order(id="ord_1", kind="record", account="acme", until=START + MINUTE)


class Link:
    """A link that can be tapped."""

    def __init__(self, name: str, account: str = "acme") -> None:
        self.tap: Tap | None = None
        self._status = LinkStatus(
            link=f"lnk_{name}", account=account, peer="192.0.2.1:40000", local="192.0.2.2:2775",
            state="bound", opened_at=START, alive_at=START,
        )  # fmt: skip

    def status(self) -> LinkStatus:
        return replace(self._status, recording=self.tap is not None)

    def hear(self, times: int = 1) -> None:
        assert self.tap is not None
        self.tap.heard(self.status(), [MESSAGE] * times)

    def end(self) -> None:
        if self.tap is not None:
            self.tap.ended(replace(self._status, state="closed", reason="unbound-by-peer"))


class Disk:
    """How much there is."""

    room = True


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def recorder(recordings: Path, clock: Clock, disk: Disk) -> Recorder:
    accounts = {"acme": Account(name="acme", system_id="acme")}
    return Recorder(recordings, account=accounts.get, has_room=lambda: disk.room, clock=clock)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def in_the_way(path: Path) -> None:
    path.write_text("a file, where a directory should be")


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(recorder.run)
            yield
            nursery.cancel_scope.cancel()


async def until_ended(path: Path) -> str:
    """The view at ``path``, once its last line is there."""
    while not (path.exists() and "\n# ended: " in (text := path.read_text())):  # noqa: ASYNC110, ASYNC240  # a file tells nobody
        await trio.sleep(0.01)
    return text


async def test_links_of_an_account_are_recorded_those_to_come_too(
    recorder: Recorder, recordings: Path
) -> None:
    first, second, other = Link("1"), Link("2"), Link("3", "other")
    recorder.opened(first)
    recorder.opened(other)
    async with running(recorder):
        recorder.obey([ORDER])
        recorder.opened(second)
        first.hear()
        second.hear(2)
        assert other.tap is None

        recorder.obey([])
        assert first.tap is None
        texts = [
            await until_ended(recordings / "ord_1" / f"acme-lnk_{number}.txt") for number in (1, 2)
        ]

    assert [text.splitlines()[-1] for text in texts] == [
        "# ended: the order was ended; 1 PDUs",
        "# ended: the order was ended; 2 PDUs",
    ]
    assert names_in(recordings / "ord_1") == [
        "acme-lnk_1.txt", "acme-lnk_2.txt",
    ]  # fmt: skip
    assert [mode(path) for path in (recordings, recordings / "ord_1")] == [0o700, 0o700]


async def test_one_link_with_a_capture(recorder: Recorder, recordings: Path) -> None:
    wanted, other = Link("1"), Link("2")
    async with running(recorder):
        recorder.obey([replace(ORDER, account="", link="lnk_1", pcap=True)])
        recorder.opened(wanted)
        recorder.opened(other)
        wanted.hear()
        wanted.end()
        recorder.closed(wanted.status())
        await until_ended(recordings / "ord_1" / "acme-lnk_1.txt")

    assert other.tap is None
    assert (recordings / "ord_1" / "acme-lnk_1.pcap").stat().st_size > 100


async def test_a_link_that_had_its_share_is_not_recorded_again(
    recorder: Recorder, recordings: Path
) -> None:
    link = Link("1")
    order = replace(ORDER, pdus=1)
    async with running(recorder):
        recorder.opened(link)
        recorder.obey([order])
        link.hear()
        await until_ended(recordings / "ord_1" / "acme-lnk_1.txt")
        while link.tap is not None:  # noqa: ASYNC110  # the round that wrote it lets go of the link
            await trio.sleep(0.01)

        recorder.obey([order])
        assert link.tap is None

        recorder.obey([order, replace(order, id="ord_2")])
        assert link.tap is not None


async def test_its_time_runs_out_without_anybody_saying_so(
    recorder: Recorder, recordings: Path, clock: Clock
) -> None:
    link = Link("1")
    async with running(recorder):
        recorder.opened(link)
        recorder.obey([ORDER])
        clock.now += MINUTE
        recorder.obey([])
        text = await until_ended(recordings / "ord_1" / "acme-lnk_1.txt")

    assert "# ended: its time was up; 0 PDUs" in text
    assert link.tap is None


async def test_an_order_that_was_replaced_ends_it(recorder: Recorder) -> None:
    link = Link("1")
    recorder.opened(link)
    recorder.obey([ORDER])
    assert link.status().recording

    recorder.obey([replace(ORDER, kind="end-recording")])

    assert not link.status().recording


async def test_without_room_on_the_disk_it_ends(
    recorder: Recorder, recordings: Path, disk: Disk
) -> None:
    link = Link("1")
    async with running(recorder):
        disk.room = False
        recorder.opened(link)
        recorder.obey([ORDER])
        text = await until_ended(recordings / "ord_1" / "acme-lnk_1.txt")

    assert "the disk is nearly full" in text


async def test_where_nothing_can_be_made_the_link_goes_on(
    recorder: Recorder, recordings: Path
) -> None:
    in_the_way(recordings)
    link = Link("1")
    with structlog.testing.capture_logs() as log:
        async with running(recorder):
            recorder.opened(link)
            recorder.obey([ORDER])
            link.hear()
            while link.tap is not None:  # noqa: ASYNC110  # as above
                await trio.sleep(0.01)

    ended = next(event for event in log if event["event"] == "recording.ended")
    assert ended["reason"].startswith("it can't be written: ")


async def test_an_end_of_the_process_is_said(recorder: Recorder, recordings: Path) -> None:
    link = Link("1")
    async with running(recorder):
        recorder.opened(link)
        recorder.obey([ORDER])
        link.hear()

    text = (recordings / "ord_1" / "acme-lnk_1.txt").read_text()
    assert text.endswith("# ended: the gateway ended; 1 PDUs\n")
    assert link.tap is None


async def test_no_more_links_of_an_order_than_a_bound(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LINKS", 2)
    links = [Link(str(number)) for number in range(3)]
    for link in links:
        recorder.opened(link)

    with structlog.testing.capture_logs() as log:
        recorder.obey([ORDER])
        recorder.obey([ORDER])

    assert [link.tap is not None for link in links] == [True, True, False]
    assert [each["event"] for each in log].count("recording.last_link") == 1


async def test_names_of_files_hold_nothing_strange(recorder: Recorder, recordings: Path) -> None:
    link = Link("../../1", "acme")
    async with running(recorder):
        recorder.opened(link)
        recorder.obey([replace(ORDER, id="ord_/../x")])
        link.end()
        await until_ended(recordings / "ord__.._x" / "acme-lnk_.._.._1.txt")


async def test_a_storm_of_links_is_not_remembered(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LINKS", 2)
    recorder.obey([ORDER])
    for number in range(100):
        recorder.opened(Link(str(number)))

    assert {order: len(had) for order, had in recorder._had.items()} == {"ord_1": 2}
    recorder.obey([])
    assert recorder._had == {}


async def test_old_recordings_are_removed_though_nothing_is_recorded(
    recorder: Recorder, recordings: Path
) -> None:
    for name, days in ("ord_0", 8), ("ord_1", 6), ("mine", 8):
        folder = recordings / name
        folder.mkdir(parents=True)
        (folder / "a.txt").touch()
        made = time.time() - days * 86_400
        os.utime(folder, (made, made))
    async with running(recorder):
        assert names_in(recordings) == ["mine", "ord_1"]
