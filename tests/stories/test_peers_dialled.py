"""Links that the gateway binds itself, to SMSCs played by npm's ``smpp`` and Perl's ``Net::SMPP``:
it dials them, or they dial it and send ``outbind``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from bridge.customer import Customer, open_customer
from tests.fix_carriers import SENDER
from tests.fix_gateway import (
    ACCOUNT,
    NUMBER,
    PASSWORD,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    open_gateway,
    routed,
)
from tests.fix_peers import (
    Addresses,
    Driver,
    Relay,
    dissect,
    events_of,
    octets,
    open_driver,
    open_relay,
)

BOUND = 60


class Line:
    """A gateway that binds, a customer, and an SMSC."""

    def __init__(self, gateway: Gateway, customer: Customer, smsc: Driver) -> None:
        self.gateway = gateway
        self.customer = customer
        self.smsc = smsc

    async def bound(self, kind: str) -> None:
        """Return when the gateway has bound, as it should."""
        (bind,) = await self.smsc.asked(f"bind_{kind}")
        assert bind["system_id"] == SYSTEM_ID
        assert bind["password"] == "for-them"
        assert bind["interface_version"] == 0x34

    async def delivers(self, *texts: str) -> None:
        """Have the SMSC send these, and the customer get them."""
        before = self.customer.count
        answers = await self.smsc.send(
            *(
                ("deliver_sm", Addresses | {"data_coding": 0, "short_message": octets(it.encode())})
                for it in texts
            )
        )
        assert {(it["command"], it["status"]) for it in answers} == {("deliver_sm_resp", 0)}
        events = await events_of(self.gateway, self.customer, before=before, new=len(texts))
        assert sorted(it["data"]["content"] for it in events) == sorted(texts)
        assert {it["data"]["fromNumber"] for it in events} == {f"+{SENDER}"}


@pytest.fixture(params=["node_smpp", "net_smpp"])
def library(request: pytest.FixtureRequest) -> Sequence[str]:
    command: Sequence[str] = request.getfixturevalue(request.param)
    return command


@asynccontextmanager
async def open_line(
    directory: Path,
    library: Sequence[str],
    *,
    bind: str = "transceiver",
    relays: list[Relay] | None = None,
    outbind: bool = False,
) -> AsyncIterator[Line]:
    """``relays``: gets the relay between the two, where one is wanted."""
    with trio.fail_after(BOUND):
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            customer = await enter(open_customer([SECRET]))
            smsc = await enter(open_driver(library))
            hosts = ""
            if not outbind:
                port = await smsc.listen()
                if relays is not None:
                    relays.append(await enter(open_relay(port, ours=True)))
                    port = relays[0].port
                hosts = f'hosts = ["127.0.0.1:{port}"], shortest_pause = 0.1, '
            account = f'dial = {{ {hosts}binds = ["{bind}"], password = "for-them" }}\n'
            account += f"outbind = {str(outbind).lower()}\n"
            timers = "\n[listeners.timers]\nenquire_link = 0.3\nresponse = 5\n"
            live = ACCOUNT + account + routed(NUMBER, "customer")
            live += endpoint("customer", customer.url)
            gateway = await enter(open_gateway(directory, timers + live))
            if outbind and relays is not None:
                relays.append(await enter(open_relay(gateway.smpp_port)))
            yield Line(gateway, customer, smsc)


@pytest.mark.parametrize("kind", ["transceiver", "receiver"])
async def test_an_smsc_we_dial(tmp_path: Path, library: Sequence[str], kind: str) -> None:
    async with open_line(tmp_path, library, bind=kind) as line:
        await line.bound(kind)
        await line.delivers("one", "two", "three")
        await line.smsc.asked("enquire_link", 2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.smsc.asked, "unbind")
            assert await line.gateway.stop() == 0


async def test_an_smsc_that_unbinds_is_dialled_again(
    tmp_path: Path, node_smpp: Sequence[str]
) -> None:
    async with open_line(tmp_path, node_smpp) as line:
        await line.bound("transceiver")
        (unbound,) = await line.smsc.send(("unbind", {}))
        assert (unbound["command"], unbound["status"]) == ("unbind_resp", 0)

        await line.smsc.asked("bind_transceiver", 2)
        await line.delivers("once more")


async def test_an_smsc_that_dials_us_and_sends_outbind(
    tmp_path: Path, library: Sequence[str]
) -> None:
    async with open_line(tmp_path, library, bind="receiver", outbind=True) as line:
        await line.smsc.dial(line.gateway.smpp_port)
        await line.smsc.tell(("outbind", {"system_id": SYSTEM_ID, "password": PASSWORD}))

        await line.bound("receiver")
        await line.delivers("over there", "and here")


@pytest.mark.parametrize("outbind", [False, True])
async def test_tshark_has_nothing_against_our_binds(
    tmp_path: Path, node_smpp: Sequence[str], tshark: str, *, outbind: bool
) -> None:
    relays: list[Relay] = []
    async with open_line(tmp_path, node_smpp, relays=relays, outbind=outbind) as line:
        (relay,) = relays
        if outbind:
            await line.smsc.dial(relay.port)
            await line.smsc.tell(("outbind", {"system_id": SYSTEM_ID, "password": PASSWORD}))
        await line.bound("transceiver")
        await line.delivers("one")
        await line.smsc.asked("enquire_link")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.smsc.asked, "unbind")
            assert await line.gateway.stop() == 0

        seen = await dissect(tshark, tmp_path / "dialled.pcap", relay.conversations)

    assert [each for each in seen if each.marks] == []
    assert {each.command for each in seen} == {0x09, 0x15, 0x80000005, 0x06}
