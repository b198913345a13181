"""The wait after wrong passwords."""

import pytest

from bridge.intake import delays as module
from bridge.intake.delays import FORGOTTEN_AFTER, Delays

ENOUGH = 60.0
HERE, THERE = "192.0.2.1:5000", "192.0.2.2:5000"


def test_r25_it_doubles_up_to_its_longest() -> None:
    delays = Delays()
    waits = []
    for _ in range(10):
        waits.append(delays.wait("acme", HERE, 0, ENOUGH))
        delays.wrong("acme", HERE, 0)

    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8, 8]


def test_it_leaves_time_to_be_told_what_is_wrong() -> None:
    delays = Delays()
    for _ in range(10):
        delays.wrong("acme", HERE, 0)

    assert delays.wait("acme", HERE, 0, 10) == 5
    assert delays.wait("acme", HERE, 0, 0) == 0


def test_r25_nobody_waits_for_the_failures_of_others() -> None:
    delays = Delays()
    for _ in range(20):
        delays.wrong("acme", HERE, 0)

    assert delays.wait("acme", THERE, 0, ENOUGH) == 0
    assert delays.wait("other", HERE, 0, ENOUGH) == 8
    assert delays.wait("acme", "192.0.2.1:9", 0, ENOUGH) == 8


def test_an_ipv6_site_waits_as_one() -> None:
    delays = Delays()
    delays.wrong("acme", "[2001:db8::1]:5000", 0)

    assert delays.wait("acme", "[2001:db8::2]:5000", 0, ENOUGH) == 0.1


def test_failures_are_forgotten_one_by_one() -> None:
    delays = Delays()
    for _ in range(3):
        delays.wrong("acme", HERE, 0)
    waits = [delays.wait("acme", HERE, n * FORGOTTEN_AFTER, ENOUGH) for n in range(5)]

    assert waits == [0.4, 0.2, 0.1, 0, 0]
    delays.wrong("acme", HERE, 2 * FORGOTTEN_AFTER)
    assert delays.wait("acme", HERE, 2 * FORGOTTEN_AFTER, ENOUGH) == 0.2


def test_a_long_attack_is_forgotten_in_time() -> None:
    delays = Delays()
    for _ in range(10_000):
        delays.wrong("acme", HERE, 0)

    assert delays.wait("acme", HERE, 16 * FORGOTTEN_AFTER, ENOUGH) == 0


def test_a_right_password_forgives_the_account_not_the_address() -> None:
    delays = Delays()
    for account in ("acme", "acme", "acme", "other"):
        delays.wrong(account, HERE, 0)
    delays.right("acme", HERE)

    assert delays._pairs.count("192.0.2.1 acme", 0) == 0
    assert delays._pairs.count("192.0.2.1 other", 0) == 1
    assert delays.wait("acme", HERE, 0, ENOUGH) == 0.8


def test_the_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    delays = Delays()
    for number in (1, 2, 1, 3):  # the second is forgotten
        delays.wrong("acme", f"192.0.2.{number}:1", 0)

    assert [delays.wait("acme", f"192.0.2.{n}:1", 0, ENOUGH) for n in (1, 2, 3)] == [0.2, 0, 0.1]
    assert len(delays._addresses._kept) == len(delays._pairs._kept) == 2
