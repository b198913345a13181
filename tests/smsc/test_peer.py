"""Addresses of peers."""

import pytest

from smsc.peer import address_of, is_permitted, is_within, neighbourhood, networks_of, shown


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("192.0.2.1", "192.0.2.1:5000"),
        ("2001:db8::1", "[2001:db8::1]:5000"),
        ("2001:0db8:0:0::0001", "[2001:db8::1]:5000"),
        ("::ffff:192.0.2.1", "192.0.2.1:5000"),
        ("fe80::1%eth0", "[fe80::1]:5000"),
        ("/tmp/socket", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_peer_is_shown_one_way(host: str, text: str) -> None:
    assert shown(host, 5000) == text


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1:5000", "192.0.2.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("[::ffff:192.0.2.1]:5000", "192.0.2.1"),
    ],
)
def test_its_address_can_be_read_again(peer: str, address: str) -> None:
    assert str(address_of(peer)) == address


@pytest.mark.parametrize("peer", ["unknown", "", ":", "192.0.2.1", "192.0.2.256:1", "host:1"])
def test_what_is_no_address_is_none(peer: str) -> None:
    assert address_of(peer) is None
    assert neighbourhood(peer) == "unknown"


def test_an_ipv6_site_counts_as_one() -> None:
    assert neighbourhood("[2001:db8:1:2:3::4]:1") == "2001:db8:1:2::/64"
    assert neighbourhood("[2001:db8:1:2:ffff::]:9") == "2001:db8:1:2::/64"
    assert neighbourhood("[2001:db8:1:3::]:9") != "2001:db8:1:2::/64"
    assert neighbourhood("192.0.2.1:1") == neighbourhood("192.0.2.1:2") == "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "networks", "permitted"),
    [
        ("192.0.2.1:1", ("192.0.2.0/24",), True),
        ("192.0.2.1:1", ("198.51.100.0/24", "192.0.2.1/32"), True),
        ("192.0.3.1:1", ("192.0.2.0/24",), False),
        ("[::ffff:192.0.2.1]:1", ("192.0.2.0/24",), True),
        ("192.0.2.1:1", ("::ffff:192.0.2.0/120",), True),
        ("192.0.3.1:1", ("::ffff:192.0.2.0/120",), False),
        ("[2001:db8::1]:1", ("2001:db8::/32",), True),
        ("[2001:db8::1]:1", ("192.0.2.0/24",), False),
        ("192.0.2.1:1", ("::/0",), False),
        ("unknown", ("0.0.0.0/0", "::/0"), False),
        ("192.0.2.1:1", ("192.0.2.0/24", "garbage"), False),
        ("192.0.2.1:1", (), False),
    ],
)
def test_r25_a_list_of_networks_fails_closed(
    peer: str, networks: tuple[str, ...], *, permitted: bool
) -> None:
    assert is_permitted(peer, networks) is permitted


def test_networks_are_read_once_where_they_are_asked_often() -> None:
    networks = networks_of(("192.0.2.0/24", "2001:db8::/32"))

    assert is_within("192.0.2.7:1", networks)
    assert not is_within("unknown", networks)
    with pytest.raises(ValueError, match="garbage"):
        networks_of(("garbage",))
