"""What a carrier sent and nobody could read: accepted, kept, and delivered after a fix, once."""

from collections import Counter
from pathlib import Path

import trio

from bridge.cli.options import now
from bridge.customer import Customer, open_customer
from bridge.store.sqlite.engine import SqliteStore
from smsc.simulator.carrier import Carrier, message
from smsc.simulator.segments import segments
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, PASSWORD, SECRET, SYSTEM_ID, Gateway, open_gateway, to_one

BOUND = 60
OVERRUN = b"\x14\x01\x00\x09abc"
"""An optional parameter that is shorter than it says."""


def frame(text: str, tail: bytes = b"", *, reference: int = 1) -> list[bytes]:
    """A text's submit_sm requests, each with a tail."""
    whole = [
        message(part, source=f"+{SENDER}", destination=NUMBER, command="submit_sm") + tail
        for part in segments(text, reference=reference, concatenation="udh16")
    ]
    return [len(each).to_bytes(4, "big") + each[4:] for each in whole]


def unreadable() -> bytes:
    """A request without an end to its first addresses."""
    (one,) = frame("lost")
    return b"\0\0\0\x18" + one[4:20] + b"4477"


def strict(url: str) -> str:
    return to_one(url).replace('carrier = "one"', 'carrier = "one"\ntails = "reject"')


def carrier(gateway: Gateway) -> Carrier:
    return Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD)


async def fix(gateway: Gateway, customer: Customer) -> None:
    """Have the account take broken tails from now on."""
    gateway.configure(to_one(customer.url))
    gateway.reload()
    store = SqliteStore(gateway.store, clock=now)

    def fixed() -> bool:
        live = store.live()
        return live is not None and live.accounts[0].tails == "accept"

    try:
        await gateway.until(fixed)
    finally:
        store.close()


async def test_r03_what_could_not_be_read_is_accepted_and_delivered_after_a_fix(
    tmp_path: Path,
) -> None:
    text = "in two parts. " * 20
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            async with open_gateway(tmp_path, strict(customer.url)) as gateway:
                async with carrier(gateway) as link:
                    told = await link.deliver(
                        [
                            *frame("with a bad tail", OVERRUN),
                            unreadable(),
                            *frame(text, OVERRUN, reference=2),
                            *frame("sound"),
                        ]
                    )
                assert [answer.ok for answer in told] == [True] * 5
                assert [answer.message_id[:4] for answer in told] == [*["qtn_"] * 4, "msg_"]
                await customer.until(lambda: customer.verified)
                assert [got.data["content"] for got in customer.received] == ["sound"]
                kept = await gateway.listed("quarantine")
                assert [row["id"] for row in kept] == [a.message_id for a in told[3::-1]]
                assert all(row["reason"].startswith("submit_sm: ") for row in kept)

                (row,) = [r for r in kept if r["id"] == told[0].message_id]
                said = await gateway.cli("quarantine", "read-again", row["id"])
                assert "0 read again, 1 stays." in said
                await fix(gateway, customer)
                said = await gateway.cli("quarantine", "read-again", "--all")
                assert "3 read again (1 message, 2 parts of messages), 1 stays." in said

                await customer.until(lambda: len(customer.verified) >= 3)
                by_text = {got.data["content"]: got for got in customer.received}
                assert set(by_text) == {"sound", "with a bad tail", text}
                late = by_text["with a bad tail"].data
                assert late["messageId"] == told[0].message_id.replace("qtn_", "msg_")
                assert late["receivedAt"] == row["received_at"]
                assert [r["id"] for r in await gateway.listed("quarantine")] == [told[1].message_id]
                said = await gateway.cli("quarantine", "read-again", "--all")
                assert "0 read again, 1 stays." in said
                await gateway.cli("quarantine", "discard", "--yes", told[1].message_id)
                assert await gateway.listed("quarantine") == []
            assert customer.count == 3


async def test_r03_reading_again_twice_at_once_delivers_once(tmp_path: Path) -> None:
    texts = [f"number {number}" for number in range(300)]
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, strict(customer.url)) as gateway,
        ):
            async with carrier(gateway) as link:
                frames = [each for text in texts for each in frame(text, OVERRUN)]
                assert all(answer.ok for answer in await link.deliver(frames))
                await fix(gateway, customer)

                async with trio.open_nursery() as nursery:
                    for _ in range(2):
                        nursery.start_soon(gateway.cli, "quarantine", "read-again", "--all")
                    await link.deliver(frame("meanwhile"))

            await customer.until(lambda: len(customer.verified) >= len(texts) + 1)
            counted = Counter(got.data["content"] for got in customer.received)
            assert counted == Counter([*texts, "meanwhile"])
            assert await gateway.listed("quarantine") == []


async def test_an_account_may_have_what_can_not_be_read_refused(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with open_customer([SECRET]) as customer:
            live = strict(customer.url).replace(
                'tails = "reject"', 'tails = "reject"\nunreadable = "reject"'
            )
            async with open_gateway(tmp_path, live) as gateway, carrier(gateway) as link:
                bad, worse, good = await link.deliver(
                    [*frame("with a bad tail", OVERRUN), unreadable(), *frame("sound")]
                )

                assert (bad.status, good.ok) == (0xC2, True)  # ESME_RINVPARLEN
                assert worse.status
                assert await gateway.listed("quarantine") == []
