"""Passwords of accounts."""

import pytest
import trio
import trio.testing

from bridge import passwords
from bridge.passwords import Busy, Passwords, hash_password, verify

HASH = hash_password("secret08")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hashes that were really computed, by hash."""
    computed: list[str] = []

    def counting(hashed: str, password: str) -> bool:
        computed.append(hashed)
        return verify(hashed, password)

    monkeypatch.setattr(passwords, "verify", counting)
    return computed


def test_a_hash_is_argon2id_with_our_parameters_and_a_salt_of_its_own() -> None:
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password("secret08") != HASH


def test_verify_tells_right_from_wrong_and_never_raises() -> None:
    assert verify(HASH, "secret08")
    assert not verify(HASH, "secret09")
    assert not verify("", "")
    assert not verify("garbage", "garbage")
    assert not verify("$argon2id$v=19$m=19456,t=2,p=1$broken", "x")
    assert not verify(HASH, "\ud800")


def test_hashes_with_other_parameters_are_verified_too() -> None:
    from argon2 import PasswordHasher

    other = PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=2).hash("secret08")

    assert verify(other, "secret08")


async def test_only_successes_are_remembered(counted: list[str]) -> None:
    checks = Passwords()
    with trio.fail_after(30):
        assert await checks.check(HASH, "secret08")
        assert await checks.check(HASH, "secret08")
        assert not await checks.check(HASH, "wrong")
        assert not await checks.check(HASH, "wrong")

    assert len(counted) == 3


async def test_r24_a_storm_of_equal_binds_costs_one_hash(counted: list[str]) -> None:
    checks = Passwords()
    found: list[bool] = []

    async def check(password: str) -> None:
        found.append(await checks.check(HASH, password))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(1_000):
                nursery.start_soon(check, "secret08")
                nursery.start_soon(check, "guess")

    assert len(counted) == 2
    assert (found.count(True), found.count(False)) == (1_000, 1_000)


async def test_who_gives_up_leaves_the_check_to_the_next() -> None:
    checks = Passwords()
    found: list[bool] = []

    async def check(scope: trio.CancelScope) -> None:
        with scope:
            found.append(await checks.check(HASH, "secret08"))

    first = trio.CancelScope()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for scope in (first, trio.CancelScope(), trio.CancelScope()):
                nursery.start_soon(check, scope)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()

    assert found == [True, True]


async def test_a_new_hash_is_not_taken_for_the_old_one(counted: list[str]) -> None:
    checks = Passwords()
    changed = hash_password("secret09")
    with trio.fail_after(30):
        assert await checks.check(HASH, "secret08")
        assert not await checks.check(changed, "secret08")


async def test_nobodys_password_costs_a_hash_as_well(counted: list[str]) -> None:
    with trio.fail_after(30):
        assert not await Passwords().check("", "secret08")

    assert counted == [""]
    assert not verify(passwords._NOBODYS, "")


async def test_the_cache_forgets_the_one_not_used_for_longest(
    counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_CACHED", 2)
    one, two, three = (hash_password("x") for _ in range(3))
    checks = Passwords()
    with trio.fail_after(30):
        for hashed in (one, two, one, three, one, two):
            assert await checks.check(hashed, "x")

    assert counted == [one, two, three, two]


async def test_more_checks_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    with pytest.raises(Busy):
        await Passwords().check(HASH, "wrong")


def test_nothing_shows_the_key() -> None:
    checks = Passwords()

    assert checks._key.hex() not in repr(checks)
    assert repr(checks._key) not in repr(checks)
