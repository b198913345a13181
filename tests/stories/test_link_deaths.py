"""Each way a link can die, at each moment that matters, and then the carrier sends again.

A carrier sends a request whose answer it never reads, its link dies, and it sends the same octets
on a new link, as carriers do. What must come of it follows from what the gateway knows:

- it never wrote the answer: the repeat is *absorbed*, the carrier is told the first one's id, and
  the customer gets one event;
- it wrote the answer: whether that was read nobody knows, so the repeat may be a message of its
  own. It is delivered *marked* ``duplicateOf`` the first.

In no case is anything lost that was answered ROK, and one message never has two ids unmarked.
The gateway is a real one, with its processes and its store. That an answer is not written yet is
made sure of by holding the store's lock meanwhile.
"""

import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Literal

import apsw
import pytest
import trio

from bridge.customer import Customer, open_customer
from smsc.simulator.carrier import Answer, BindRefused, Carrier, message
from smsc.simulator.segments import segments
from smsc.wire.pdu import Pdu, encode
from smsc.wire.spec import CommandId, EnquireLink, EnquireLinkResp
from tests.fix_carriers import SENDER
from tests.fix_crash import armed
from tests.fix_gateway import NUMBER, PASSWORD, SECRET, SYSTEM_ID, Gateway, open_gateway, to_one
from tests.fix_peer import Peer, bind

pytestmark = [pytest.mark.slow]

BOUND = 90
TIMERS = "\n[listeners.timers]\nenquire_link = 1\nresponse = 0.5\n"

Moment = Literal["unwritten", "unread"]
"""Whether the answer was written when the link died."""


def request(text: str, sequence: int) -> bytes:
    """A submit_sm, whose answer says an id."""
    (part,) = segments(text)
    frame = message(part, source=f"+{SENDER}", destination=NUMBER, command="submit_sm")
    return frame[:12] + sequence.to_bytes(4, "big") + frame[16:]


def answer_to(sequence: int) -> bytes:
    """What every answer to it has in its header."""
    return struct.pack(">III", CommandId.submit_sm_resp, 0, sequence)


FIRST, SECOND = 7, 8


# -- links, and how they die -------------------------------------------------------------------


class Link:
    """A bound link of a carrier that reads no more than a test wants it to."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.peer = Peer(stream)

    async def begin(self) -> None:
        """Bind, send a first request, and read its answer."""
        await self.peer.bind(SYSTEM_ID, PASSWORD)
        await self.peer.send(request("first", FIRST))
        while (told := await self.peer.told()) != ("submit_sm_resp", 0, FIRST):
            assert told is not None
            assert told[0] == "enquire_link"
            await self.peer.send(Pdu(CommandId.enquire_link_resp, 0, told[2], EnquireLinkResp()))

    async def send(self) -> None:
        """Send the request whose answer isn't read."""
        await self.peer.send(request("second", SECOND))

    async def answered(self) -> None:
        """Return when its answer has reached this machine's kernel, without taking it."""
        while True:
            await trio.lowlevel.wait_readable(self.stream.socket)
            waiting = await self.stream.socket.recv(65_536, socket.MSG_PEEK)
            assert waiting, "the gateway closed the link"
            if answer_to(SECOND) in waiting:
                return
            await trio.sleep(0.01)  # readable it is already: something else came first


@asynccontextmanager
async def direct(gateway: Gateway) -> AsyncIterator[Link]:
    """A link without anything between."""
    stream = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
    try:
        yield Link(stream)
    finally:
        await trio.aclose_forcefully(stream)


async def reset(link: Link) -> None:
    """The carrier's system gives the connection up: RST."""
    link.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.stream.socket.close()


async def half_open(link: Link) -> None:
    """The carrier closes its side, and nobody reads the other."""
    await link.stream.send_eof()


class Relayed(Link):
    """A link through a relay, which stops forwarding: neither side is told anything."""

    def __init__(self, stream: trio.SocketStream, relay: "Relay") -> None:
        super().__init__(stream)
        self.relay = relay

    async def answered(self) -> None:
        """Return when the answer is in the relay."""
        await self.relay.saw(answer_to(SECOND))


class Relay:
    """Forwards between two sockets until it is told to keep still."""

    def __init__(self, near: trio.SocketStream, far: trio.SocketStream) -> None:
        self._ends = near, far
        self._scope = trio.CancelScope()
        self._seen = b""
        self._more = trio.Event()

    async def run(self) -> None:
        near, far = self._ends
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._forward, near, far)
                nursery.start_soon(self._forward, far, near)

    async def _forward(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        async for data in source:
            if target is self._ends[0]:
                self._seen += data
                self._more.set()
                self._more = trio.Event()
                if answer_to(SECOND) in self._seen:
                    continue  # the carrier never gets to see this one
            await target.send_all(data)

    async def saw(self, octets: bytes) -> None:
        """Return when the gateway has said this."""
        while octets not in self._seen:
            await self._more.wait()

    def stop(self) -> None:
        """Keep still from now on: both connections stay open."""
        self._scope.cancel()


@asynccontextmanager
async def relayed(gateway: Gateway) -> AsyncIterator[Link]:
    """A link with a relay between."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    near = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    accepted = await listener.accept()
    far = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
    relay = Relay(accepted, far)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.run)
            yield Relayed(near, relay)
            nursery.cancel_scope.cancel()
    finally:
        for each in (near, accepted, far, listener):
            await trio.aclose_forcefully(each)


async def silent(link: Link) -> None:
    """The way to the carrier is cut: no FIN, no RST, nothing any more."""
    assert isinstance(link, Relayed)
    link.relay.stop()


PROGRAM = """
import socket, sys
port, *frames = sys.argv[1:]
hello, first, second, awaited = map(bytes.fromhex, frames)
link = socket.create_connection(("127.0.0.1", int(port)))
link.sendall(hello)
assert link.recv(65536)[8:12] == bytes(4)
link.sendall(first)
assert link.recv(65536)
for word in sys.stdin:
    if word == "send\\n":
        link.sendall(second)
    while word == "await\\n" and awaited not in link.recv(65536, socket.MSG_PEEK):
        pass
    print("done", flush=True)
"""
"""A carrier in a process of its own. It reads one answer, and looks at another from outside."""


class Process(Link):
    """The link of a carrier that is a process of its own."""

    def __init__(self, gateway: Gateway) -> None:
        frames = [encode(bind(SYSTEM_ID, PASSWORD)), request("first", FIRST)]
        frames += [request("second", SECOND), answer_to(SECOND)]
        self.carrier = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(gateway.smpp_port), *(f.hex() for f in frames)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def _tell(self, word: str) -> None:
        def tell() -> str:
            assert self.carrier.stdin
            assert self.carrier.stdout
            self.carrier.stdin.write(word + "\n")
            self.carrier.stdin.flush()
            return self.carrier.stdout.readline()

        assert await trio.to_thread.run_sync(tell, abandon_on_cancel=True) == "done\n"

    async def begin(self) -> None:
        await self._tell("begin")

    async def send(self) -> None:
        await self._tell("send")

    async def answered(self) -> None:
        await self._tell("await")


@asynccontextmanager
async def process(gateway: Gateway) -> AsyncIterator[Link]:
    """A link of another process."""
    link = Process(gateway)
    try:
        yield link
    finally:
        link.carrier.kill()
        link.carrier.communicate()


async def killed(link: Link) -> None:
    """The carrier's process is killed, as by kill -9."""
    assert isinstance(link, Process)
    link.carrier.send_signal(signal.SIGKILL)


WAYS: dict[
    str,
    tuple[
        Callable[[Gateway], AbstractAsyncContextManager[Link]], Callable[[Link], Awaitable[None]]
    ],
] = {
    "reset": (direct, reset),
    "half-open": (direct, half_open),
    "silent": (relayed, silent),
    "carrier-killed": (process, killed),
}
"""How a link dies: what it goes over, and what happens to it."""


# -- the gateway -------------------------------------------------------------------------------


@contextmanager
def held(gateway: Gateway) -> Iterator[None]:
    """Keep everybody from committing."""
    db = apsw.Connection(str(gateway.store))
    db.set_busy_timeout(5_000)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def closed(gateway: Gateway) -> int:
    """How many bound links the gateway has seen the end of."""
    log = gateway.log_file.read_text(encoding="utf-8").splitlines()
    return sum('"session.closed"' in line and '"bound":true' in line for line in log)


async def taken_in(gateway: Gateway) -> None:
    """Return when the gateway has read what was sent to it before this."""
    # Its event loop reads from all that have something: what comes later is read no earlier.
    stream = await trio.open_tcp_stream("127.0.0.1", gateway.smpp_port)
    async with stream:
        peer = Peer(stream)
        for sequence in (1, 2):
            await peer.send(Pdu(CommandId.enquire_link, 0, sequence, EnquireLink()))
            assert await peer.told() == ("enquire_link_resp", 0, sequence)


async def send_again(gateway: Gateway) -> Answer:
    """Bind again and send the same octets until they are answered ROK, as a carrier does."""
    while True:
        try:
            async with Carrier(
                port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD
            ) as link:
                (answer,) = await link.deliver([request("second", SECOND)])
                if answer.ok:
                    return answer
        except (OSError, BindRefused):
            pass
        await trio.sleep(0.05)  # as long as the gateway is away


async def came_of_it(gateway: Gateway, customer: Customer, answer: Answer) -> str:
    """Say what became of the repeat, having seen that nothing is lost and nothing is unmarked."""
    kept = [row for row in await gateway.listed("messages", "--unmask") if row["text"] == "second"]
    await customer.until(lambda: len(customer.verified) >= 1 + len(kept))
    texts = [got.data["content"] for got in customer.verified]
    assert sorted(texts) == ["first"] + ["second"] * len(kept)
    by_id = {got.data["messageId"]: got.data for got in customer.verified}
    assert answer.message_id in by_id
    first = kept[-1]
    assert first["duplicate_of"] is None
    if len(kept) == 1:
        assert answer.message_id == first["id"]
        return "absorbed"
    (repeat,) = kept[:-1]
    assert repeat["duplicate_of"] == first["id"]
    assert answer.message_id == repeat["id"]
    assert by_id[repeat["id"]]["duplicateOf"] == first["id"]
    return "marked"


@pytest.mark.parametrize(("moment", "expected"), [("unwritten", "absorbed"), ("unread", "marked")])
@pytest.mark.parametrize("way", WAYS)
async def test_r22_a_link_dies(way: str, moment: Moment, expected: str, tmp_path: Path) -> None:
    opening, die = WAYS[way]
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, TIMERS + to_one(customer.url)) as gateway,
            opening(gateway) as link,
        ):
            await link.begin()
            with held(gateway) if moment == "unwritten" else nullcontext():
                await link.send()
                if moment == "unread":
                    await link.answered()
                await taken_in(gateway)
                before = closed(gateway)
                await die(link)
                await gateway.until(lambda: closed(gateway) > before)
            answer = await send_again(gateway)

            assert await came_of_it(gateway, customer, answer) == expected


async def test_r22_a_carrier_that_is_back_before_we_know_that_its_link_is_dead(
    tmp_path: Path,
) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            relayed(gateway) as link,
        ):
            await link.begin()
            await link.send()
            await link.answered()
            await silent(link)

            answer = await send_again(gateway)

            assert closed(gateway) <= 1  # the new one: of the old one nothing is known yet
            assert await came_of_it(gateway, customer, answer) == "marked"


# -- the gateway's own death ---------------------------------------------------------------------


async def kill(gateway: Gateway) -> None:
    """kill -9 of the process that has the links; another one is started in its place."""
    (serving,) = gateway.children("carrier")
    serving.kill()
    await gateway.until(lambda: gateway.children("carrier") not in ([], [serving]))


async def before_the_commit(gateway: Gateway, link: Link) -> None:
    with held(gateway):
        await link.send()
        await taken_in(gateway)
        await kill(gateway)


async def when_the_answer_is_unread(gateway: Gateway, link: Link) -> None:
    await link.send()
    await link.answered()
    await kill(gateway)


async def when_the_store_knows_of_the_answer(gateway: Gateway, link: Link) -> None:
    await link.send()
    await link.answered()
    while True:
        (status,) = await gateway.listed("links")
        if status["answered"] == 2:
            break
    await kill(gateway)


@pytest.mark.crash
@pytest.mark.parametrize(
    ("die", "expected"),
    [
        (before_the_commit, {"absorbed"}),
        # The store hears of answers once a second; those written since count as unwritten.
        (when_the_answer_is_unread, {"absorbed", "marked"}),
        (when_the_store_knows_of_the_answer, {"marked"}),
    ],
)
async def test_r22_the_gateway_dies(
    die: Callable[[Gateway, Link], Awaitable[None]], expected: set[str], tmp_path: Path
) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            direct(gateway) as link,
        ):
            await link.begin()
            await die(gateway, link)
            answer = await send_again(gateway)

            assert await came_of_it(gateway, customer, answer) in expected


@pytest.mark.crash
@pytest.mark.parametrize("point", ["store.after_commit", "carrier.verdict"])
async def test_r22_the_gateway_dies_between_commit_and_answer(point: str, tmp_path: Path) -> None:
    flag = tmp_path / "crashed"
    env = armed(point, flag)
    # Of the one carrier process: the second commit, the second verdict.
    env["SMSBRIDGE_TEST_CRASH"] = f"{point}:2:{flag}"
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url), env=env) as gateway,
            direct(gateway) as link,
        ):
            await link.begin()
            await link.send()
            await gateway.until(flag.exists)
            answer = await send_again(gateway)

            assert await came_of_it(gateway, customer, answer) == "absorbed"
