"""No way into private networks: the table walked, and names that change their mind."""

import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.egress import (
    TABLE,
    Network,
    Policy,
    Refused,
    Resolver,
    Tier,
    Unresolved,
    canonical,
    permitted,
    vet,
)

PUBLIC = ["8.8.8.8", "1.1.1.1", "193.0.14.129", "2001:4860:4860::8888", "2a00:1450::1"]


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert vet(address, 443) is None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "100.100.100.200", "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:2::1",
        "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1", "200::1",
        "", "localhost", "127.1", "0x7f000001", "1.2.3.4.5", "::ffff:0:127.0.0.1",
    ],
)  # fmt: skip
def test_everything_that_is_not_public_is_refused(address: str) -> None:
    assert vet(address, 443)


@pytest.mark.parametrize(("network", "tier", "name"), TABLE)
def test_each_row_of_the_table_refuses_its_first_and_last_address(
    network: str, tier: Tier, name: str
) -> None:
    block = ip_network(network)
    for address in (block[0], block[-1]):
        assert vet(str(address), 443)


@pytest.mark.parametrize(("network", "tier", "name"), TABLE)
def test_each_row_opens_as_its_tier_says(network: str, tier: Tier, name: str) -> None:
    address = str(ip_network(network)[-1])
    everything = networks("0.0.0.0/0", "::/0")

    assert (vet(address, 443, everything) is None) == (tier is Tier.PRIVATE)
    assert (vet(address, 443, networks(network)) is None) == (tier is not Tier.SENSELESS)


def test_an_entry_opens_no_more_than_itself() -> None:
    assert vet("127.0.0.1", 8080, networks("127.0.0.1/32")) is None
    assert vet("127.0.0.2", 8080, networks("127.0.0.1/32"))
    assert vet("::1", 8080, networks("127.0.0.0/8"))
    assert vet("::ffff:127.0.0.1", 8080, networks("127.0.0.0/8")) is None
    assert vet("fd00:ec2::254", 80, networks("fd00::/8"))
    assert vet("169.254.169.254", 80, networks("10.0.0.0/8"))


@pytest.mark.parametrize("port", [80, 443, 1024, 8443, 65535])
def test_ports_that_may_be_used(port: int) -> None:
    assert vet("8.8.8.8", port) is None


@pytest.mark.parametrize("port", [-1, 0, 21, 22, 25, 79, 81, 442, 1023, 65536])
def test_ports_that_may_not(port: int) -> None:
    assert vet("8.8.8.8", port)
    assert vet("127.0.0.1", port, networks("127.0.0.0/8"))


@settings(deadline=None)  # a busy machine is not a bug
@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_it_is(address: object) -> None:
    assert vet(f"::ffff:{address}", 443) == vet(str(address), 443)
    assert str(canonical(f"::ffff:{address}")) == str(address)


@settings(deadline=None)  # a busy machine is not a bug
@given(st.ip_addresses())
def test_no_private_address_is_ever_public(address: object) -> None:
    parsed = canonical(str(address))
    if parsed.is_private or parsed.is_loopback or parsed.is_link_local or parsed.is_multicast:
        assert vet(str(address), 443)


def test_plain_http_goes_to_allowed_networks_or_by_option() -> None:
    inside = Policy(networks("10.0.0.0/8"))

    assert permitted(inside, "10.0.0.1", 80, tls=False) is None
    assert permitted(inside, "8.8.8.8", 80, tls=False)
    assert permitted(inside, "8.8.8.8", 80, tls=True) is None
    assert permitted(Policy(allow_http=True), "8.8.8.8", 80, tls=False) is None
    assert permitted(Policy(allow_http=True), "10.0.0.1", 80, tls=False)


class Names:
    """A name server in memory: each lookup of a name gives the next of its answers."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        await trio.lowlevel.checkpoint()
        answers = self.answers.get(host.partition(".")[0])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def test_forbidden_addresses_are_dropped_and_the_others_kept_in_order() -> None:
    names = Names(mixed=[["10.0.0.1", "8.8.8.8", "::1", "2a00:1450::1", "8.8.8.8"]])

    found = await Resolver(Policy(), lookup=names).resolve("mixed.example", 443, tls=True)

    assert found == ["8.8.8.8", "2a00:1450::1"]


async def test_a_name_of_private_addresses_only_is_refused() -> None:
    resolver = Resolver(Policy(), lookup=Names(inner=[["10.0.0.1", "fd00::1"]]))

    with pytest.raises(Refused):
        await resolver.resolve("inner.example", 443, tls=True)


async def test_a_name_that_rebinds_is_judged_each_time() -> None:
    resolver = Resolver(Policy(), lookup=Names(rebinding=[["8.8.8.8"], ["127.0.0.1"]]))

    assert await resolver.resolve("rebinding.example", 443, tls=True) == ["8.8.8.8"]
    with pytest.raises(Refused, match="loopback"):
        await resolver.resolve("rebinding.example", 443, tls=True)


async def test_an_unknown_name_is_said_to_be_unknown() -> None:
    with pytest.raises(Unresolved, match="not known"):
        await Resolver(Policy(), lookup=Names()).resolve("unknown.example", 443, tls=True)
    with pytest.raises(Unresolved):
        await Resolver(Policy(), lookup=Names(empty=[[]])).resolve("empty.example", 443, tls=True)


async def test_a_lookup_that_fails_in_a_way_of_its_own_fails_alone() -> None:
    async def no_threads(_host: str, _port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("can't start new thread")

    with pytest.raises(Unresolved, match="RuntimeError"):
        await Resolver(Policy(), lookup=no_threads).resolve("any.example", 443, tls=True)


async def test_addresses_are_not_looked_up() -> None:
    names = Names()
    resolver = Resolver(Policy(), lookup=names)

    assert await resolver.resolve("8.8.8.8", 443, tls=True) == ["8.8.8.8"]
    with pytest.raises(Refused):
        await resolver.resolve("::ffff:127.0.0.1", 443, tls=True)
    assert names.asked == []


async def test_the_systems_resolver_reads_odd_forms_of_addresses_and_they_are_vetted() -> None:
    with trio.fail_after(10):
        for odd in ("127.1", "2130706433", "0x7f000001", "localhost"):
            with pytest.raises((Refused, Unresolved)):
                await Resolver(Policy()).resolve(odd, 443, tls=True)


async def test_lookups_of_one_name_are_shared_and_outlive_who_asked() -> None:
    started, answer = trio.Event(), trio.Event()
    asked = 0

    async def slow(_host: str, _port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        started.set()
        await answer.wait()
        return ["8.8.8.8"]

    resolver = Resolver(Policy(), lookup=slow)
    found: list[list[str]] = []

    async def ask() -> None:
        found.append(await resolver.resolve("slow.example", 443, tls=True))

    with trio.fail_after(5):
        async with trio.open_nursery() as impatient:
            impatient.start_soon(ask)
            await started.wait()
            impatient.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            answer.set()

    assert found == [["8.8.8.8"], ["8.8.8.8"]]
    assert asked == 1
