"""Ids: unique, in order, readable as ULIDs."""

import threading

from ulid import ULID

from bridge.ids import Ids

NOW = 1_795_000_000_123


def constant(length: int) -> bytes:
    return b"\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34"[:length]


def test_an_id_is_a_prefix_and_a_ulid_of_its_time() -> None:
    made = Ids(lambda: NOW, constant).new("msg")

    prefix, _, text = made.partition("_")
    ulid = ULID.from_str(text)

    assert prefix == "msg"
    assert ulid.milliseconds == NOW
    assert ulid.bytes[6:] == bytes.fromhex("123456789abcdef01234")[:8] + b"\x12\x34"


def test_ids_sort_by_birth_within_a_millisecond_and_beyond() -> None:
    times = iter([NOW] * 5_000 + [NOW + 1] * 5_000)
    ids = Ids(lambda: next(times), constant)

    made = [ids.new("evt") for _ in range(10_000)]

    assert made == sorted(set(made))


def test_a_clock_set_back_is_not_followed() -> None:
    times = iter([NOW, NOW - 3_600_000, NOW - 1, NOW + 1])
    ids = Ids(lambda: next(times), constant)

    made = [ids.new("evt") for _ in range(4)]

    assert made == sorted(set(made))


def test_a_millisecond_that_is_used_up_draws_anew() -> None:
    draws = iter([b"\x00" * 7 + b"\x07\xff\xff", b"\x01" * 10])
    ids = Ids(lambda: NOW, lambda _: next(draws))

    made = {ids.new("evt") for _ in range((1 << 20) - 0x7FFFF + 5)}

    assert len(made) == (1 << 20) - 0x7FFFF + 5


def test_entropy_is_asked_once_a_millisecond() -> None:
    asked: list[int] = []

    def entropy(length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    ids = Ids(lambda: NOW, entropy)
    for _ in range(1_000):
        ids.new("evt")

    assert asked == [10]


def test_threads_never_share_an_id() -> None:
    import os
    import time

    ids = Ids(lambda: time.time_ns() // 1_000_000, os.urandom)
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(ids.new("evt") for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({each for into in made for each in into}) == 20_000
