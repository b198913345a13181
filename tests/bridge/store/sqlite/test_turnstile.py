import time
from pathlib import Path

from bridge.store.sqlite.turnstile import LONGEST_PAUSE, PAUSE, Turnstile, pause


def past() -> float:
    return time.monotonic() - 1


def test_one_is_inside_at_a_time(tmp_path: Path) -> None:
    one, other = (Turnstile(tmp_path / "turn", beside=tmp_path) for _ in range(2))

    assert one.enter(past())
    assert not other.enter(past())
    assert not other.enter(time.monotonic() + 0.002)
    one.leave()
    assert other.enter(past())
    assert not one.enter(past())

    other.close()  # as the kernel does for a process that dies
    assert one.enter(past())
    one.close()


def test_only_the_owner_may_stand_in_the_way(tmp_path: Path) -> None:
    Turnstile(tmp_path / "turn", beside=tmp_path).close()

    assert (tmp_path / "turn").stat().st_mode & 0o777 == 0o600


def test_pauses_are_about_as_long_as_a_commit() -> None:
    begun = time.monotonic()
    pause(0)
    pause(1_000)

    assert time.monotonic() - begun >= PAUSE + LONGEST_PAUSE
