"""The store is locked, full or restarted: carriers are told so, links stay, and it heals."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import Carrier, message
from smsc.simulator.segments import segments
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, PASSWORD, SECRET, SYSTEM_ID, Gateway, open_gateway, to_one

BOUND = 60
ROK, QUEUE_FULL, TEMPORARY = 0x00, 0x14, 0x64


def carrier(gateway: Gateway) -> Carrier:
    return Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD)


def frames(text: str) -> list[bytes]:
    return [
        message(part, source=f"+{SENDER}", destination=NUMBER)
        for part in segments(text, reference=7, concatenation="udh16")
    ]


async def status(link: Carrier, frame: bytes) -> int | None:
    (answer,) = await link.deliver([frame])
    return answer.status


async def again(link: Carrier, frame: bytes) -> int | None:
    """Send, and send again, as a carrier does that is told to; the first other answer."""
    while (answer := await status(link, frame)) in (QUEUE_FULL, TEMPORARY):  # noqa: ASYNC110  # healing happens in another process
        await trio.sleep(0.1)
    return answer


async def test_a_locked_store_is_a_temporary_error_and_heals(tmp_path: Path) -> None:
    first, second, third = (frames(text)[0] for text in ("one", "two", "three"))
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url), intake="commit_timeout = 1") as gateway,
            carrier(gateway) as link,
        ):
            assert await status(link, first) == ROK
            other = apsw.Connection(str(gateway.store))
            try:
                other.execute("BEGIN IMMEDIATE")
                assert await status(link, second) == TEMPORARY
                assert (await link.enquire()).ok
            finally:
                other.close()

            # A carrier sends again what it was told to; stored or not, it is delivered once.
            assert await again(link, second) == ROK
            assert await status(link, third) == ROK
            assert not link.ended.is_set()
            await customer.until(lambda: len({e.id for e in customer.verified}) >= 3)

            texts = sorted(event.data["content"] for event in customer.verified)
            assert texts == ["one", "three", "two"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room, which only root can make."""
    directory = tmp_path / "small"
    directory.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "smsbridge-test", str(directory)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"a small file system can't be mounted here: {made.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.mark.parametrize("how_full", [0.96, 1.0])
async def test_a_full_disk_is_told_and_heals(small_disk: Path, how_full: float) -> None:
    before, while_full, after = (frames(text)[0] for text in ("before", "full", "after"))
    # 1.0: the figure of the disk's use is ignored, so that the store itself runs into its end.
    intake = "" if how_full < 1 else "disk_high_water = 1.0"
    ballast = small_disk / "ballast"
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(small_disk, to_one(customer.url), intake=intake) as gateway,
            carrier(gateway) as link,
        ):
            assert await status(link, before) == ROK
            await customer.until(lambda: customer.count == 1)
            fill(ballast, how_full)
            answer: int | None = ROK
            for number in range(5_000):
                answer = await status(link, frames(f"filling {number}")[0])
                if answer != ROK:
                    break
            assert answer in (QUEUE_FULL, TEMPORARY)
            if how_full < 1:
                assert answer == QUEUE_FULL
            assert await status(link, while_full) in (QUEUE_FULL, TEMPORARY)
            assert (await link.enquire()).ok

            ballast.unlink()
            assert await again(link, after) == ROK
            assert not link.ended.is_set()
            await customer.until(
                lambda: any(e.data["content"] == "after" for e in customer.verified)
            )


def fill(ballast: Path, share: float) -> None:
    """Leave ``1 - share`` of the file system's room."""
    room = os.statvfs(ballast.parent)
    size = room.f_blocks * room.f_frsize
    left = int(size * (1 - share))
    wanted = room.f_bavail * room.f_frsize - left
    with suppress(OSError), ballast.open("wb", buffering=0) as file:  # others write there, too
        file.write(bytes(max(0, wanted)))


async def test_parts_are_joined_across_a_restart(tmp_path: Path) -> None:
    text = "A text of several parts, sent before and after a restart. " * 6
    one, two, three = frames(text)
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            async with carrier(gateway) as link:
                assert await status(link, three) == ROK
                assert await status(link, one) == ROK
            assert await gateway.stop() == 0
            await gateway.start()
            async with carrier(gateway) as link:
                assert await status(link, two) == ROK
            await customer.until(lambda: customer.verified)

    (event,) = customer.verified
    assert event.data["content"] == text
    assert event.data["partCount"] == 3
    assert event.data["complete"] is True


async def test_what_never_becomes_whole_is_delivered_with_its_gap(tmp_path: Path) -> None:
    one, _, three = frames("A text of several parts, one of which never comes. " * 7)
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url), intake="assembly_timeout = 1") as gateway,
        ):
            async with carrier(gateway) as link:
                assert await status(link, three) == ROK
                assert await status(link, one) == ROK
            await customer.until(lambda: customer.verified)

    (event,) = customer.verified
    assert event.data["complete"] is False
    assert event.data["content"].count("[…]") == 1
    assert event.data["content"].startswith("A text of several parts")
