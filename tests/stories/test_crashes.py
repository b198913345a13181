"""Processes die where it hurts most, and at random, while a load runs: nothing ROK'd is lost.

The carrier binds again and sends again what was never answered, as carriers do. Afterwards every
message it was told ROK for is at the receiver, and what came twice carries the same id.
"""

import random
import signal
from collections import defaultdict
from pathlib import Path

import psutil
import pytest
import trio

from bridge.customer import Customer, Received, open_customer
from smsc.simulator.carrier import message
from smsc.simulator.segments import segments
from tests.fix_carriers import SENDER, StubbornCarrier
from tests.fix_crash import armed
from tests.fix_gateway import NUMBER, SECRET, Gateway, open_gateway, to_one

pytestmark = [pytest.mark.crash, pytest.mark.slow]

BOUND = 90
MESSAGES = 300


def load(count: int) -> tuple[list[str], list[bytes]]:
    """Texts no two of which are equal, every fifth in two parts, and their requests."""
    texts, frames = [], []
    for number in range(count):
        text = f"number {number}. " + ("and so on and on. " * 10 if number % 5 == 0 else "")
        texts.append(text)
        frames += [
            message(part, source=f"+{SENDER}", destination=NUMBER)
            for part in segments(text, reference=number, concatenation="udh16")
        ]
    return texts, frames


def all_came(customer: Customer, texts: list[str]) -> bool:
    wanted = len(texts)
    return (
        customer.count >= wanted
        and len({received.data.get("content") for received in customer.received}) >= wanted
    )


def check(customer: Customer, texts: list[str]) -> None:
    """Every text came, whole and verified; what is one message has one id and one body."""
    by_text: dict[str, list[Received]] = defaultdict(list)
    by_id: dict[str, set[bytes]] = defaultdict(set)
    for received in customer.received:
        assert received.verified, received.problem
        by_text[received.data["content"]].append(received)
        by_id[received.id].add(received.body)
    assert set(by_text) == set(texts)
    assert {key for key, bodies in by_id.items() if len(bodies) > 1} == set()
    for text, events in by_text.items():
        first = {(e.id, e.data["messageId"]) for e in events if not e.data["duplicateOf"]}
        assert len(first) == 1, f"{text!r} came under several ids: {first}"
        ((_, message_id),) = first
        # An answer the dying process wrote may never have reached the carrier: what it then
        # sends again is delivered marked as a repeat of that message, never as another one.
        assert {e.data["duplicateOf"] for e in events} <= {None, message_id}


async def finish(
    gateway: Gateway, customer: Customer, carrier: StubbornCarrier, texts: list[str]
) -> None:
    assert carrier.permanent == []
    assert carrier.done
    with trio.move_on_after(BOUND / 2):
        await customer.until(lambda: all_came(customer, texts))
    missing = set(texts) - {received.data.get("content") for received in customer.received}
    assert missing == set(), gateway.log()
    check(customer, texts)


def died(gateway: Gateway, flag: Path) -> bool:
    return flag.exists() and "SIGKILL" in gateway.log_file.read_text(encoding="utf-8")


async def test_nothing_is_lost_at_a_crash_point(crash_point: str, tmp_path: Path) -> None:
    flag = tmp_path / "crashed"
    texts, frames = load(MESSAGES)
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url), env=armed(crash_point, flag)) as gateway,
        ):
            carrier = StubbornCarrier(gateway.smpp_port, frames)
            await carrier.run()
            await finish(gateway, customer, carrier, texts)

            # Late points are reached when everything has arrived, and told of a little later.
            await gateway.until(lambda: died(gateway, flag))


async def test_nothing_is_lost_when_processes_are_killed_at_random(
    tmp_path: Path, crash_random: random.Random
) -> None:
    texts, frames = load(3 * MESSAGES)
    moments = sorted(crash_random.sample(range(20, len(frames) - 100), 4))
    killed: list[tuple[str, int]] = []

    async def kill_now_and_then() -> None:
        for moment in moments:
            role = crash_random.choice(["carrier", "delivery"])
            if role == "carrier":
                await carrier.until(lambda m=moment: len(carrier.answers) >= m)  # type: ignore[misc]  # mypy can't type a default
            else:
                most = len(texts) * moment // len(frames)
                await customer.until(lambda m=most: customer.count >= m)  # type: ignore[misc]  # the same
            await gateway.until(lambda r=role: gateway.children(r))  # type: ignore[misc]  # the same
            for process in gateway.children(role):
                with_pid = process.pid
                try:
                    process.kill()
                except psutil.NoSuchProcess:  # it was on its way out
                    continue
                killed.append((role, with_pid))

    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            carrier = StubbornCarrier(gateway.smpp_port, frames)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_now_and_then)
                await carrier.run()
            await finish(gateway, customer, carrier, texts)

    assert len(killed) >= len(moments)


async def test_nothing_is_lost_when_everything_is_killed_at_once(tmp_path: Path) -> None:
    texts, frames = load(MESSAGES)

    async def kill_and_start_again() -> None:
        await carrier.until(lambda: len(carrier.answers) >= len(frames) // 3)
        await gateway.kill()
        await gateway.start()

    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            carrier = StubbornCarrier(gateway.smpp_port, frames)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_and_start_again)
                await carrier.run()
            await finish(gateway, customer, carrier, texts)


async def test_a_crash_of_native_code_leaves_a_traceback_and_is_survived(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            (carrier,) = gateway.children("carrier")
            carrier.send_signal(signal.SIGSEGV)

            await gateway.until(
                lambda: [each for each in gateway.children("carrier") if each != carrier]
            )
            await gateway.until(lambda: "SIGSEGV" in gateway.log())

            said = gateway.log()
            assert "Fatal Python error: Segmentation fault" in said
            assert "trio/_core/_run.py" in said
