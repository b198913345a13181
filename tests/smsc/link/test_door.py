"""Limits before a bind."""

import pytest

from smsc.config import Listener
from smsc.link import door as module
from smsc.link.door import Door, Sparing, recognised

HERE, THERE = "192.0.2.1:5000", "192.0.2.2:5000"


def test_without_limits_everybody_enters() -> None:
    door = Door(Listener())

    assert [door.enter(f"lnk_{n}", HERE, 0) for n in range(1_000)] == [""] * 1_000


def test_r25_an_address_may_have_so_many_connections_before_a_bind() -> None:
    door = Door(Listener(binds_per_address=2))
    for link in ("lnk_1", "lnk_2"):
        assert door.enter(link, HERE, 0) == ""

    assert door.enter("lnk_3", HERE, 0) == "192.0.2.1 has 2 connections that are not bound"
    assert door.enter("lnk_3", THERE, 0) == ""
    door.settle("lnk_1")
    door.settle("lnk_1")
    assert door.enter("lnk_4", HERE, 0) == ""
    assert door.enter("lnk_5", HERE, 0) != ""


def test_r24_an_address_may_open_so_many_connections_a_second() -> None:
    door = Door(Listener(bind_rate=0.5))
    for number in range(5):  # ten seconds' worth
        assert door.enter(f"lnk_{number}", HERE, 100) == ""
        door.settle(f"lnk_{number}")

    assert door.enter("lnk_6", HERE, 101) == "192.0.2.1 opens more than 0.5 connections a second"
    assert door.enter("lnk_6", THERE, 101) == ""
    assert door.enter("lnk_6", HERE, 102) == ""


def test_who_is_turned_away_for_the_count_costs_no_token() -> None:
    door = Door(Listener(binds_per_address=1, bind_rate=0.1))
    assert door.enter("lnk_1", HERE, 0) == ""
    assert "not bound" in door.enter("lnk_2", HERE, 10)
    door.settle("lnk_1")

    assert door.enter("lnk_3", HERE, 10) == ""


def test_an_ipv6_site_is_one_address() -> None:
    door = Door(Listener(binds_per_address=1))

    assert door.enter("lnk_1", "[2001:db8::1]:5000", 0) == ""
    assert door.enter("lnk_2", "[2001:db8::2]:5000", 0).startswith("2001:db8::/64 has 1")


def test_the_table_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ADDRESSES", 2)
    door = Door(Listener(bind_rate=0.1))
    peers = [f"192.0.2.{n}:1" for n in range(1, 5)]
    for peer in (*peers[:2], peers[0], peers[2]):  # the second is forgotten
        door.enter(peer, peer, 0)
        door.settle(peer)

    assert door.enter("again", peers[0], 0) != ""
    assert door.enter("again", peers[1], 0) == ""
    assert len(door._buckets) == 2
    assert dict(door._unbound) == {"192.0.2.2": 1}


def test_balancers_are_known_by_their_network() -> None:
    door = Door(Listener(proxies=("10.0.0.0/8", "2001:db8::/32")))

    assert door.is_proxy("10.1.2.3:1")
    assert door.is_proxy("[2001:db8::7]:1")
    assert not door.is_proxy(HERE)
    assert not door.is_proxy("unknown")
    assert not Door(Listener()).is_proxy("10.1.2.3:1")


def test_lines_anybody_can_cause_are_spared_and_counted() -> None:
    sparing = Sparing(0)

    assert [sparing.may(0) for _ in range(12)] == [0] * 10 + [None] * 2
    assert sparing.may(0.5) is None
    assert sparing.may(1.5) == 3
    assert sparing.may(2.6) == 0


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (b"\x16\x03\x01\x02\x00", "TLS"),
        (b"\x15\x03\x03\x00\x02", "TLS"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"PROXY TCP4 192.0.", "a PROXY protocol header"),
        (b"\r\n\r\n\0\r\nQUIT\n!", "a PROXY protocol header"),
        (b"SSH-2.0-x", "SSH"),
        (b"\x00\x00\x00\x2f\x00\x00\x00\x09", "SMPP"),
        (b"\r\n\r\n", ""),
        (b"\x00", ""),
        (b"", ""),
    ],
)
def test_r04_what_a_stranger_speaks_is_recognised(prefix: bytes, said: str) -> None:
    assert recognised(prefix) == said
