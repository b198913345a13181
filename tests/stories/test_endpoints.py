"""One endpoint's trouble is nobody else's, and nothing sent to it is lost."""

import math
from pathlib import Path

import trio

from bridge.customer import Reply, open_customer, scripted
from smsc.simulator.carrier import Carrier
from tests.fix_carriers import SENDER
from tests.fix_gateway import (
    ACCOUNT,
    NUMBER,
    PASSWORD,
    ROTATED_SECRET,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    free_port,
    open_gateway,
    routed,
    to_one,
)

BOUND = 45


def carrier(gateway: Gateway) -> Carrier:
    return Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD)


async def deliver(gateway: Gateway, count: int, *, to: str = NUMBER) -> None:
    async with carrier(gateway) as link:
        for number in range(count):
            (answer,) = await link.send(f"number {number}", source=f"+{SENDER}", destination=to)
            assert answer.ok


async def test_a_dead_endpoint_slows_no_other(tmp_path: Path) -> None:
    silent = Reply(delay=math.inf)
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET], respond=lambda _: silent) as hanging,
            open_customer([SECRET]) as good,
        ):
            live = (
                ACCOUNT
                + routed(NUMBER, "hanging", "refusing", "good")
                + endpoint("hanging", hanging.url, "timeout = 30")
                + endpoint("refusing", f"http://127.0.0.1:{free_port()}")
                + endpoint("good", good.url)
            )
            async with open_gateway(tmp_path, live) as gateway:
                await deliver(gateway, 100)
                # Each of the hanging one's attempts takes 30 s: had the good one to wait for
                # any of them, it would not have everything in ten.
                with trio.fail_after(10):
                    await good.until(lambda: good.count >= 100)

                assert {event.data["content"] for event in good.verified} == {
                    f"number {number}" for number in range(100)
                }
                assert 1 <= hanging.count <= 8
                await gateway.kill()


async def test_failures_are_tried_again_until_they_succeed(tmp_path: Path) -> None:
    respond = scripted([Reply(status=503), Reply(status=404), Reply(status=302)])
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET], respond=respond) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            await deliver(gateway, 1)
            await customer.until(lambda: customer.count == 4)

    tries = list(customer.received)
    assert [received.attempt for received in tries] == [1, 2, 3, 4]
    assert len({received.id for received in tries}) == 1
    assert len({received.body for received in tries}) == 1
    assert all(received.verified for received in tries)


async def test_both_secrets_of_a_rotation_verify(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([ROTATED_SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            await deliver(gateway, 1)
            await customer.until(lambda: customer.verified)


async def test_a_dead_letter_is_listed_and_sent_again_from_the_command_line(
    tmp_path: Path,
) -> None:
    failing = True

    with trio.fail_after(BOUND):
        async with open_customer(
            [SECRET], respond=lambda _: Reply(status=500 if failing else 200)
        ) as customer:
            live = (
                ACCOUNT
                + routed(NUMBER, "customer")
                + endpoint("customer", customer.url, "retry_schedule = [0, 0.1]")
            )
            async with open_gateway(tmp_path, live) as gateway:
                await deliver(gateway, 1)
                await customer.until(lambda: customer.count == 2)
                letters = await gateway.listed("dead-letters")
                while not letters:  # the last attempt is settled behind its answer
                    await trio.sleep(0.05)
                    letters = await gateway.listed("dead-letters")
                (letter,) = letters
                assert letter["endpoint"] == "customer"
                assert letter["attempts"] == 2
                assert letter["last_status"] == 500

                failing = False
                await gateway.cli("dead-letters", "retry", str(letter["id"]))
                await customer.until(lambda: customer.count == 3)
                assert len({received.id for received in customer.received}) == 1

                messages = await gateway.listed("messages")
                while messages[0]["status"] != "delivered":
                    await trio.sleep(0.05)
                    messages = await gateway.listed("messages")
                assert await gateway.listed("dead-letters") == []
                shown = await gateway.listed("messages", "show", str(messages[0]["id"]))
                assert [a["status"] for a in shown[0]["deliveries"][0]["attempts"]] == [
                    500, 500, 200,
                ]  # fmt: skip


async def test_a_private_address_is_not_called(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            port = customer.url.rpartition(":")[2]
            live = (
                ACCOUNT
                + routed(NUMBER, "elsewhere", "customer")
                + endpoint("elsewhere", f"http://127.2:{port}", "retry_schedule = [0]")
                + endpoint("customer", customer.url)
            )
            async with open_gateway(tmp_path, live) as gateway:
                await deliver(gateway, 1)
                await customer.until(lambda: customer.count == 1)
                letters = await gateway.listed("dead-letters")
                while not letters:
                    await trio.sleep(0.05)
                    letters = await gateway.listed("dead-letters")

                assert letters[0]["endpoint"] == "elsewhere"
                assert letters[0]["last_error"] == "egress"
                assert customer.count == 1
