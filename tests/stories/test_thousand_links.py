"""A thousand links, two hundred of them hostile: the honest eight hundred lose nothing.

Figures are printed and not judged: what a quarter of a shared machine does in ten seconds proves
nothing. ``p99`` of the honest links' answers is taken without and with hostile ones in one run.
"""

import math
import resource
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import Carrier, message
from smsc.simulator.segments import segments
from smsc.wire.pdu import encode
from tests.fix_gateway import (
    NUMBER,
    PASSWORD,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    open_gateway,
    routed,
)
from tests.fix_peer import bind, deliver

HOST = "127.0.0.1"
BOUND = 150
HONEST, HOSTILE = 800, 200
EVERY = 4.0
"""Seconds between two messages of one honest link."""
CALM, STORM = 8.0, 12.0
"""Seconds of each half."""
FILES = 4_096
"""Descriptors this process and the gateway need, with room to spare."""

LISTENER = """
binds_per_address = 10
bind_rate = 1

[listeners.timers]
session_init = 10
enquire_link = 5
response = 3
"""

ACCOUNTS = f"""
[[accounts]]
name = "honest"
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
max_links = 0

[[accounts]]
name = "hostile"
system_id = "hostile"
password = "hostile1"
max_links = 0
window = 10
rate = 1
"""


class Honest:
    """All honest links: what they sent, and how long the answers took."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.up = 0
        self.all_up = trio.Event()
        self.began = math.inf
        """When sending begins."""
        self.sent: set[str] = set()
        self.answers: list[tuple[float, float]] = []
        """When a message was sent, since the beginning, and seconds to its answer."""
        self.lags: list[tuple[float, float]] = []
        self.wrong: Counter[str] = Counter()

    async def run(self, number: int) -> None:
        """One link, which sends for as long as both halves last."""
        stream = await dial(self.port, f"127.1.0.{1 + number // 8}")
        async with Carrier(stream=stream, system_id=SYSTEM_ID, password=PASSWORD) as carrier:
            self.up += 1
            if self.up == HONEST:
                self.began = trio.current_time() + 0.5
                self.all_up.set()
            await self.all_up.wait()
            offset = EVERY * number / HONEST
            count = 0
            while offset + count * EVERY < CALM + STORM:
                await trio.sleep_until(self.began + offset + count * EVERY)
                await self._send(carrier, f"message {count} of link {number}")
                count += 1

    async def _send(self, carrier: Carrier, text: str) -> None:
        (part,) = segments(text)
        since = trio.current_time() - self.began
        self.sent.add(text)
        frame = message(part, source="+447700900123", destination=NUMBER)
        (answer,) = await carrier.deliver([frame])
        self.answers.append((since, answer.seconds))
        if not answer.ok:
            self.wrong[str(answer.status)] += 1

    async def watch(self) -> None:
        """Note how late this very process is, which is part of what it measures."""
        await self.all_up.wait()
        while True:
            due = trio.current_time() + 0.01
            await trio.sleep_until(due)
            now = trio.current_time()
            self.lags.append((now - self.began, now - due))

    def figures(self, begin: float, end: float) -> str:
        """What was measured of messages sent in this time."""
        p50, p99 = percentiles(self.answers, begin, end)
        own50, own99 = percentiles(self.lags, begin, end)
        return (
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            f" (this process itself is late by {own50:.1f} and {own99:.1f} ms)"
        )


def percentiles(samples: list[tuple[float, float]], begin: float, end: float) -> list[float]:
    """Milliseconds that half, and 99 of 100, of what began in this time stayed within."""
    times = sorted(took for since, took in samples if begin <= since < end)
    return [times[max(0, math.ceil(share * len(times)) - 1)] * 1e3 for share in (0.5, 0.99)]


async def dial(port: int, address: str) -> trio.SocketStream:
    """Connect from an address of one's own: all of 127.0.0.0/8 is here."""
    sock = trio.socket.socket()
    try:
        await sock.bind((address, 0))
        await sock.connect((HOST, port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


class Hostile:
    """All hostile links, of five kinds; each comes again when it was cut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.done: Counter[str] = Counter()

    async def run(self, number: int) -> None:
        """One of them, for ever."""
        kinds: tuple[Callable[[trio.SocketStream], Awaitable[None]], ...] = (
            self.garbage,
            self.slow,
            self.flood,
            self.half_open,
            self.guess,
        )
        attack = kinds[number % len(kinds)]
        await trio.sleep(number / HOSTILE)
        while True:
            with suppress(OSError, trio.BrokenResourceError):
                async with await dial(self.port, f"127.2.0.{1 + number}") as stream:
                    self.done[attack.__name__] += 1
                    await attack(stream)
            await trio.sleep(0.5)

    async def garbage(self, stream: trio.SocketStream) -> None:
        """Octets that are no PDUs, and lengths that are none."""
        for octets in (b"\xff" * 4_096, struct.pack(">IIII", 0x7FFFFFFF, 5, 0, 1)):
            await stream.send_all(octets)
        await to_the_end(stream)

    async def slow(self, stream: trio.SocketStream) -> None:
        """A bind, an octet every now and then."""
        for octet in encode(bind("hostile", "hostile1")):
            await stream.send_all(bytes((octet,)))
            await trio.sleep(0.5)

    async def flood(self, stream: trio.SocketStream) -> None:
        """Messages far above window and rate."""
        await bound(stream)
        burst = elsewhere(25)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, stream)
            while True:
                await stream.send_all(burst)
                await trio.sleep(0.5)

    async def half_open(self, stream: trio.SocketStream) -> None:
        """Bound, then deaf: it neither reads answers nor says that it is there."""
        await bound(stream)
        await stream.send_all(elsewhere(200))
        await trio.sleep(30)

    async def guess(self, stream: trio.SocketStream) -> None:
        """A password of somebody else's account."""
        await stream.send_all(encode(bind(SYSTEM_ID, "guess")))
        await to_the_end(stream)


def elsewhere(count: int) -> bytes:
    """Messages to a number that is nobody's."""
    frames = b"".join(encode(deliver(sequence)) for sequence in range(2, 2 + count))
    return frames.replace(b"447700900999", b"447700900001")


async def bound(stream: trio.SocketStream) -> None:
    await stream.send_all(encode(bind("hostile", "hostile1")))
    await stream.receive_some(16)


async def to_the_end(stream: trio.SocketStream) -> None:
    while await stream.receive_some(65_536):
        pass


def cpu(gateway: Gateway) -> float:
    """Seconds of processor time its carrier process has had."""
    times = gateway.children("carrier")[0].cpu_times()
    return float(times.user + times.system)


@pytest.fixture
def descriptors() -> None:
    """Enough of them; children have as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        if hard != resource.RLIM_INFINITY and hard < FILES:
            pytest.skip(f"needs {FILES} file descriptors; this process may have {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


@pytest.mark.usefixtures("descriptors")
async def test_r25_a_thousand_links_two_hundred_of_them_hostile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET], kept=20_000) as customer,
            open_gateway(
                tmp_path,
                LISTENER
                + ACCOUNTS
                + routed(NUMBER, "customer")
                + endpoint("customer", customer.url, "max_concurrency = 32"),
            ) as gateway,
        ):
            honest, hostile = Honest(gateway.smpp_port), Hostile(gateway.smpp_port)
            began = trio.current_time()
            async with trio.open_nursery() as hostiles:
                hostiles.start_soon(honest.watch)
                async with trio.open_nursery() as links:
                    for number in range(HONEST):
                        links.start_soon(honest.run, number)
                    await honest.all_up.wait()
                    up = trio.current_time() - began
                    used = [cpu(gateway)]
                    await trio.sleep_until(honest.began + CALM)
                    used.append(cpu(gateway))
                    for number in range(HOSTILE):
                        hostiles.start_soon(hostile.run, number)
                used.append(cpu(gateway))
                hostiles.cancel_scope.cancel()
            expected = honest.sent

            def texts() -> Counter[str]:
                return Counter(received.data["content"] for received in customer.verified)

            with trio.move_on_after(30):
                await customer.until(lambda: customer.count >= len(expected))
            told = texts()
            rows = await gateway.listed("dead-letters")
            log = gateway.log_file.read_text(encoding="utf-8")

    with capsys.disabled():
        print()
        print(f"  {HONEST} honest links were up after {up:.1f} s")
        print(f"  alone:               {honest.figures(0, CALM)}")
        print(f"  among {HOSTILE} hostile:   {honest.figures(CALM + 1, CALM + STORM)}")
        alone, among = (used[1] - used[0]) / CALM, (used[2] - used[1]) / STORM
        print(f"  carrier process:     {alone:.0%} of a core alone, {among:.0%} among hostile ones")
        print(f"  hostile connections: {dict(hostile.done)}")
    assert honest.wrong == {}
    assert len(honest.answers) == len(expected)
    assert rows == []
    assert {text: told[text] for text in expected} == dict.fromkeys(expected, 1)
    assert "Traceback" not in log
    assert set(hostile.done) == {"garbage", "slow", "flood", "half_open", "guess"}
