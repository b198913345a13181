"""Dialling over real sockets, with pauses so short that nothing waits for them."""

import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from msgspec.structs import replace
from structlog.typing import EventDict
from trio.testing import wait_all_tasks_blocked

from smsc.config import Account, Dial, Listener
from smsc.inbox import Refused
from smsc.link import dialer as module
from smsc.link.dialer import Dialer
from smsc.link.reaching import Reached
from smsc.message import Message
from smsc.simulator.carrier import message
from smsc.simulator.segments import segments
from smsc.simulator.smsc import Smsc, SmscLink, open_smsc
from smsc.wire.spec import Bind, BindReceiver, BindTransceiver, Status
from tests.fix_gateway import free_port
from tests.fix_inbox import MemoryGate, MemoryInbox

BOUND = 20


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


def account(*ports: int, **options: object) -> Account:
    """An account that dials these ports of this machine."""
    hosts = tuple(f"127.0.0.1:{port}" for port in ports)
    dial = Dial(
        hosts=hosts, system_id="us", password="pw", shortest_pause=0.001, longest_pause=0.01
    )
    return Account(name="acme", system_id="acme", dial=replace(dial, **options))


class TellingGate(MemoryGate):
    """Has others wait for what is refused."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__(*accounts)
        self.told = trio.lowlevel.ParkingLot()

    def refused(self, refused: Sequence[Refused], more: int = 0) -> None:
        super().refused(refused, more)
        self.told.unpark_all()


class Line:
    """A dialer and all that is around it."""

    def __init__(self, first: Account) -> None:
        self.inbox = MemoryInbox()
        self.gate = TellingGate(first)
        self.prepared = 0
        self.links = 0
        self.dialer = Dialer(
            first,
            listener=Listener(),
            inbox=self.inbox,
            gate=self.gate,
            clock=lambda: int(trio.current_time() * 1000),
            new_link=self.new_link,
            rng=random.Random(1),
            prepare=self.prepare,
        )
        self.ended = trio.Event()

    def new_link(self) -> str:
        self.links += 1
        return f"lnk_{self.links}"

    async def prepare(self) -> None:
        assert self.dialer.newcomers()  # who prepares sees the link that is to come
        self.prepared += 1
        await trio.lowlevel.checkpoint()

    @property
    def failures(self) -> list[Refused]:
        return self.gate.refusals

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait for something about failures."""
        while not reached():
            await self.gate.told.park()

    async def run(self) -> None:
        await self.dialer.run()
        self.ended.set()

    def configure(self, latest: Account | None) -> None:
        """Put another account in force."""
        self.gate.accounts = {} if latest is None else {"acme": latest}
        self.dialer.refresh()


@asynccontextmanager
async def dialling(first: Account) -> AsyncIterator[Line]:
    line = Line(first)
    with trio.fail_after(BOUND):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.run)
            yield line
            nursery.cancel_scope.cancel()


async def bound(smsc: Smsc, number: int = 1) -> SmscLink:
    """The latest link, once so many are bound on our side, too."""
    link = await smsc.link(number)
    for each in smsc.links:
        await each.enquire()  # which is answered behind our bind
    return link


async def deliver(smsc: Smsc, text: str = "hello") -> bool:
    link = await bound(smsc)
    frame = message(segments(text)[0], source="+447700900123", destination="+447700900999")
    (answer,) = await link.deliver([frame])
    return answer.ok


async def test_a_dialled_link_binds_and_is_delivered_to() -> None:
    async with open_smsc("us", "pw") as smsc, dialling(account(smsc.port)) as it:
        assert await deliver(smsc)

        (arrived,) = it.inbox.arrivals
        assert isinstance(arrived, Message)
        assert arrived.content.text == "hello"
        (status,) = it.dialer.statuses()
        assert it.dialer.newcomers() == []
        assert (status.state, status.direction, status.account) == ("bound", "dialled", "acme")
        assert status.peer == f"127.0.0.1:{smsc.port}"
        assert it.prepared == 1
        assert it.failures == []


async def test_as_many_links_of_each_kind_as_are_wanted() -> None:
    async with open_smsc("us", "pw") as smsc:
        wanted = account(smsc.port, links=2, binds=("receiver", "transceiver"))
        async with dialling(wanted):
            await bound(smsc, 4)

            kinds: list[type[Bind] | None] = [
                type(link.bound_as) if link.bound_as else None for link in smsc.links
            ]
            assert kinds.count(BindReceiver) == kinds.count(BindTransceiver) == 2


async def test_a_host_that_is_dead_is_followed_by_the_next_without_a_pause(
    log: list[EventDict],
) -> None:
    dead = free_port()
    async with (
        open_smsc("us", "pw") as smsc,
        dialling(account(dead, smsc.port, shortest_pause=3_600, longest_pause=3_600)) as it,
    ):
        await bound(smsc)

        (failure,) = it.failures
        assert (failure.account, failure.command) == ("acme", "bind_transceiver")
        assert failure.peer == f"127.0.0.1:{dead}"
        assert failure.reason == "we could not bind: Connection refused"
    (told,) = [event for event in log if event["event"] == "dial.failed"]
    assert (told["account"], told["host"]) == ("acme", f"127.0.0.1:{dead}")
    assert (told["reason"], told["next_in"]) == ("Connection refused", 0)


async def test_after_the_last_host_the_first_has_its_turn_again(log: list[EventDict]) -> None:
    dead, late = free_port(), free_port()
    async with dialling(account(late, dead)) as it:
        await it.until(lambda: len(it.failures) > 4)
        async with open_smsc("us", "pw", port=late) as smsc:
            await bound(smsc)

    hosts = [event["host"] for event in log if event["event"] == "dial.failed"]
    assert hosts[:4] == [f"127.0.0.1:{port}" for port in (late, dead, late, dead)]


async def test_r24_pauses_double_up_to_the_longest_and_are_spread(log: list[EventDict]) -> None:
    dead = free_port()
    async with dialling(account(dead, shortest_pause=0.1, longest_pause=0.4)) as it:
        await it.until(lambda: len(it.failures) > 4)

    pauses = [event["next_in"] for event in log if event["event"] == "dial.failed"]
    for pause, whole in zip(pauses, (0.1, 0.2, 0.4, 0.4), strict=False):
        assert 0.4 * whole <= pause <= whole  # half of it, rounded
    assert len(set(pauses)) > 1


@pytest.mark.parametrize("status", [Status.ESME_RINVPASWD, Status.ESME_RBINDFAIL, 0x04AB])
async def test_a_refused_bind_is_told_in_words_and_never_hammers(
    status: int, log: list[EventDict]
) -> None:
    async with open_smsc("us", "pw", refuse=status) as smsc:
        wanted = account(smsc.port, smsc.port, shortest_pause=3_600, longest_pause=3_600)
        async with dialling(wanted) as it:
            await it.until(lambda: it.failures)

            words = f"0x{status:08x}" if status == 0x04AB else Status(status).name
            assert len(it.failures) == 1
            assert it.failures[0].reason.startswith(f"the carrier refused our bind: {words}")
            assert it.gate.closes == []
            assert it.inbox.losses == []
            while not (told := [each for each in log if each["event"] == "dial.failed"]):
                await wait_all_tasks_blocked(0.01)
            assert told[0]["next_in"] >= 1_800  # although there is another host


async def test_after_a_refusal_the_next_host_has_its_turn() -> None:
    async with (
        open_smsc("us", "pw", refuse=Status.ESME_RBINDFAIL) as first,
        open_smsc("us", "pw") as second,
        dialling(account(first.port, second.port)) as it,
    ):
        await bound(second)

        assert len(it.failures) == 1


@pytest.mark.parametrize("unbinds", [True, False])
async def test_a_link_that_is_gone_is_dialled_anew(unbinds: bool) -> None:
    async with open_smsc("us", "pw") as smsc, dialling(account(smsc.port)) as it:
        link = await bound(smsc)
        if unbinds:
            await link.unbind()
        else:
            await trio.aclose_forcefully(link._stream)  # type: ignore[arg-type]  # it has one
        await link.ended.wait()

        assert await bound(smsc) is not link
        assert await deliver(smsc)
        assert len(it.inbox.losses) == (0 if unbinds else 1)


async def test_a_killed_smsc_is_dialled_until_it_is_back() -> None:
    port = free_port()
    async with dialling(account(port)) as it:
        async with open_smsc("us", "pw", port=port) as smsc:
            await bound(smsc)
        await it.until(lambda: it.failures)
        async with open_smsc("us", "pw", port=port) as smsc:
            assert await deliver(smsc)


async def test_a_link_that_lived_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, log: list[EventDict]
) -> None:
    monkeypatch.setattr(module, "LIVED", 0)
    async with (
        open_smsc("us", "pw") as smsc,
        dialling(account(free_port(), smsc.port, shortest_pause=0.001, longest_pause=60)),
    ):
        link = await bound(smsc)
        await link.unbind()
        await bound(smsc)

    told = [event["event"] for event in log if event["event"].startswith("dial.")]
    # The first host is wanted most: it has its turn again.
    assert told == ["dial.failed", "dial.again", "dial.failed"]


async def test_a_gate_that_forgets_the_account_ends_it() -> None:
    async with open_smsc("us", "pw") as smsc, dialling(account(smsc.port)) as it:
        link = await bound(smsc)
        it.configure(None)

        await link.ended.wait()
        assert link.statistics.requests["unbind"] == 1
        await it.ended.wait()
        assert it.gate.closes[0].reason == "account-removed"
        assert it.inbox.losses == []


async def test_an_account_that_dials_no_more_ends_it_even_in_a_pause() -> None:
    async with dialling(account(free_port(), shortest_pause=3_600, longest_pause=3_600)) as it:
        await it.until(lambda: it.failures)
        it.configure(replace(account(), dial=None))

        await it.ended.wait()


async def test_what_has_changed_is_dialled_anew_and_the_rest_stays() -> None:
    async with open_smsc("us", "pw") as one, open_smsc("us", "pw") as two:
        before = account(one.port)
        async with dialling(before) as it:
            first = await bound(one)

            it.configure(replace(before, window=7))
            it.configure(account(two.port, one.port, longest_pause=9, links=2))
            second = await bound(two)
            assert one.links == [first]
            assert it.prepared == 2

            it.configure(account(two.port))  # one link, of another host
            await first.ended.wait()
            await second.ended.wait()
            third = await bound(two)
            assert len(two.links) == 1

            it.configure(account(two.port, system_type="other"))
            await third.ended.wait()
            latest = await bound(two)
            assert latest.bound_as is not None
            assert latest.bound_as.system_type == "other"
            assert it.inbox.losses == []
            assert {status.reason for status in it.gate.closes} == {"dial-changed"}


async def test_a_change_ends_a_pause_and_nothing_else_does() -> None:
    async with open_smsc("us", "right") as smsc:
        slow = account(smsc.port, shortest_pause=3_600, longest_pause=3_600)
        async with dialling(slow) as it:
            await it.until(lambda: it.failures)

            it.configure(replace(slow, window=7))
            it.configure(account(smsc.port, password="right"))

            await bound(smsc)
            assert len(it.failures) == 1


async def test_draining_unbinds_and_ends() -> None:
    async with open_smsc("us", "pw") as smsc, dialling(account(smsc.port, links=3)) as it:
        await bound(smsc, 3)
        links = smsc.links

        await it.dialer.drain(trio.current_time() + 10)

        await it.ended.wait()
        assert [link.statistics.requests["unbind"] for link in links] == [1, 1, 1]
        assert it.inbox.losses == []
        it.dialer.refresh()  # without effect
        assert it.dialer.statuses() == []


async def test_an_account_that_comes_back_while_the_last_link_ends_is_for_another_dialer() -> None:
    first = account(free_port(), shortest_pause=3_600, longest_pause=3_600)

    class Return(trio.abc.Instrument):
        """Brings the account back when the dialer's nursery is closed, and nobody knows yet."""

        def task_exited(self, task: trio.lowlevel.Task) -> None:
            if task.coro.__qualname__ == "Dialer._keep":
                line.configure(first)
                returned.append(line.ended.is_set())

    returned: list[bool] = []
    line = Line(first)
    trio.lowlevel.add_instrument(instrument := Return())
    with trio.fail_after(BOUND):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.run)
            await line.until(lambda: line.failures)
            line.configure(None)
    trio.lowlevel.remove_instrument(instrument)
    assert returned == [False]
    assert line.ended.is_set()


async def test_draining_before_anything_began_has_nothing_dialled() -> None:
    line = Line(account(free_port()))
    await line.dialer.drain(trio.current_time() + 10)
    with trio.fail_after(BOUND):
        await line.run()
    assert line.links == 0


async def test_a_bind_that_we_give_up_is_no_news() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    came = trio.Event()

    async def silent(stream: trio.SocketStream) -> None:
        came.set()
        await trio.sleep_forever()

    port = listeners[0].socket.getsockname()[1]
    async with dialling(account(port)) as it, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, silent, listeners)
        await came.wait()
        await it.dialer.drain(trio.current_time() + 10)
        await it.ended.wait()
        assert it.failures == []
        nursery.cancel_scope.cancel()


async def test_a_fault_while_connecting_costs_one_link(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reach(host: str, dial: Dial) -> Reached:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("boom")

    monkeypatch.setattr(module, "reach", reach)
    async with dialling(account(1)) as it:
        await it.until(lambda: len(it.failures) > 1)
        assert it.failures[0].reason == "we could not bind: internal: RuntimeError"


async def test_draining_waits_no_longer_than_it_may() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    port = listeners[0].socket.getsockname()[1]
    async with dialling(account(port)) as it, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, silent, listeners)
        await it.dialer.drain(trio.current_time() + 0.05)
        await it.ended.wait()
        nursery.cancel_scope.cancel()


async def test_a_dialer_that_never_ran_drains_at_once() -> None:
    await Line(account(1)).dialer.drain(trio.current_time() + 10)


async def test_a_fault_of_ours_costs_one_link(
    monkeypatch: pytest.MonkeyPatch, log: list[EventDict]
) -> None:
    async with open_smsc("us", "pw") as smsc:
        line = Line(account(smsc.port))
        faults = [RuntimeError("boom")]

        async def prepare() -> None:
            await trio.lowlevel.checkpoint()
            if faults:
                raise faults.pop()

        monkeypatch.setattr(line.dialer, "_prepare", prepare)
        with trio.fail_after(BOUND):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.run)
                await bound(smsc)
                nursery.cancel_scope.cancel()
    (told,) = [event for event in log if event["event"] == "dial.failed"]
    assert told["reason"] == "internal: RuntimeError"
