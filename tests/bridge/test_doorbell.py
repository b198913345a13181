import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bridge.doorbell import DUE, LIVE, Doorbell, directory_for


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # pytest's own directories may be too deep for a socket.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bell-") as name:
        yield Path(name) / "b"


async def heard(bell: Doorbell) -> tuple[bytes, ...]:
    with trio.fail_after(5):
        return await bell.wait()


def ring_often(bell: Doorbell) -> None:
    for _ in range(5_000):
        bell.ring(DUE)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_a_ring_reaches_every_listener_and_itself(directory: Path) -> None:
    bells = [Doorbell(directory, f"prc_{n}") for n in range(3)]
    bells[0].ring(DUE)
    assert [await heard(bell) for bell in bells] == [(DUE,)] * 3
    for bell in bells:
        bell.close()
    assert names(directory) == []


async def test_rings_wait_until_listened_to_and_equal_ones_are_one(directory: Path) -> None:
    bell = Doorbell(directory, "prc_1")
    for _ in range(5):
        bell.ring(DUE)
    assert await heard(bell) == (DUE,)
    bell.ring(LIVE)
    assert await heard(bell) == (LIVE,)
    bell.close()


async def test_a_full_listener_never_makes_ringing_wait(directory: Path) -> None:
    # The deadline of the run tells if it did.
    deaf, bell = Doorbell(directory, "prc_deaf"), Doorbell(directory, "prc_1", hears=())
    await trio.to_thread.run_sync(ring_often, bell)
    assert await heard(deaf) == (DUE,)
    deaf.close()
    bell.close()


async def test_what_a_dead_process_left_is_removed(directory: Path) -> None:
    dead, bell = Doorbell(directory, "prc_dead"), Doorbell(directory, "prc_1")
    assert dead._listener is not None
    dead._listener.close()
    bell.ring(DUE)
    assert await heard(bell) == (DUE,)
    assert names(directory) == ["prc_1.due.live"]
    dead.close()
    bell.close()


async def test_closing_ends_the_listening(directory: Path) -> None:
    bell = Doorbell(directory, "prc_1")

    async def listen() -> None:
        async for _ in bell.listen():
            raise AssertionError("nobody rang")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            bell.close()
            bell.close()


async def test_without_a_directory_it_is_silent_and_harmless(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path / "missing" / "b", "prc_1")
    assert "no doorbell" in bell.silent
    bell.ring(DUE)
    assert [topic async for topic in bell.listen()] == []
    bell.close()


def test_the_directory_is_ours_alone(directory: Path) -> None:
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    Doorbell(directory, "prc_1").close()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_planted_link_is_refused(directory: Path, tmp_path: Path) -> None:
    directory.symlink_to(tmp_path)
    bell = Doorbell(directory, "prc_1")
    assert "no directory" in bell.silent
    bell.close()


def test_the_directory_is_beside_the_store_where_the_path_allows(tmp_path: Path) -> None:
    assert directory_for(Path("/srv/sms.db")) == Path("/srv/sms.db-bell")
    deep = tmp_path / ("d" * 100) / "sms.db"
    short = directory_for(deep)
    assert short == directory_for(deep)
    assert len(os.fsencode(short)) < 80


async def test_only_who_hears_a_topic_is_woken_by_it(directory: Path) -> None:
    both, one = Doorbell(directory, "prc_1"), Doorbell(directory, "prc_2", hears=(LIVE,))

    both.ring(DUE)
    one.ring(LIVE)

    assert await heard(both) == (DUE, LIVE)
    assert await heard(one) == (LIVE,)
    both.close()
    one.close()
