"""A carrier sends while an engineer records: what both files say, with Wireshark as the judge."""

import json
import subprocess
from pathlib import Path
from typing import Any

import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import Carrier
from tests.fix_gateway import (
    NUMBER,
    PASSWORD,
    SECRET,
    SMSBRIDGE,
    SYSTEM_ID,
    Gateway,
    open_gateway,
    to_one,
)

BOUND = 60
SENDER, TEXT = "447700900123", "see you at nine"
DAMAGE = ("Malformed", "[Checksum Status: Bad]", "previous segment", "Retransmission", "unseen")
"""What tshark says of a capture that is wrong."""


async def sends(carrier: Carrier, times: int = 1) -> None:
    for _ in range(times):
        (answer,) = await carrier.send(TEXT, source=SENDER, destination=NUMBER)
        assert answer.ok


async def until_recorded(gateway: Gateway) -> None:
    while True:
        rows = await gateway.listed("links")
        if rows and all(row["recording"] for row in rows):
            return


def judged(tshark: str, capture: str) -> str:
    """All that tshark makes of a capture, every checksum looked at."""
    return subprocess.run(
        [
            tshark, "-r", capture, "-V", "-d", "tcp.port==2775,smpp",
            "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
        ],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip


def explained(capture: str) -> list[dict[str, Any]]:
    """What our own reader makes of it."""
    done = subprocess.run([*SMSBRIDGE, "decode", "--json", capture], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_links_of_an_account_are_recorded(tmp_path: Path, tshark: str) -> None:
    written = ""
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD) as carrier,
            trio.open_nursery() as nursery,
        ):

            async def record() -> None:
                nonlocal written
                written = await gateway.cli(
                    "links", "record", "one", "--for", "1m", "--pcap", "--json"
                )

            nursery.start_soon(record)
            await until_recorded(gateway)
            await sends(carrier, 20)
            # One that binds meanwhile is recorded, too.
            async with Carrier(
                port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD
            ) as second:
                await sends(second, 5)
            await gateway.cli("links", "end-recording", "one")
    files = json.loads(written)["files"]

    sent = 0
    for file in files:
        view = await trio.Path(file["view"]).read_text()
        assert "[15 characters]" in view
        assert TEXT not in view
        assert SENDER not in view
        sent += view.count("\ndeliver_sm, ")
        words = judged(tshark, file["capture"])
        assert [sign for sign in DAMAGE if sign in words] == []
        pdus = explained(file["capture"])
        assert len(pdus) == view.count("\n\n")
        assert words.count("Operation: Deliver_sm (0x00000005)") == sum(
            pdu["command"] == "deliver_sm" for pdu in pdus
        )
        assert {pdu["octets_missing_before"] for pdu in pdus} == {0}
        assert {pdu["target"] for pdu in pdus if pdu["command"] == "deliver_sm"} == {
            f"127.0.0.1:{gateway.smpp_port}"
        }
    assert len(files) == 2
    assert sent == 25
    ended = sorted(file["ended"].partition(";")[0] for file in files)
    assert ended == ["the link ended: unbound-by-peer", "the order was ended"]


async def test_one_link_for_so_many_pdus(tmp_path: Path) -> None:
    written = ""
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD) as carrier,
            trio.open_nursery() as nursery,
        ):
            (row,) = await gateway.listed("links")

            async def record() -> None:
                nonlocal written
                written = await gateway.cli(
                    "links", "record", row["link"], "--pdus", "7", "--unmask", "--json"
                )

            nursery.start_soon(record)
            await until_recorded(gateway)
            await sends(carrier, 10)
    (file,) = json.loads(written)["files"]

    view = await trio.Path(file["view"]).read_text()
    assert file["ended"] == "so many PDUs were asked for; 7 PDUs"
    assert file["capture"] is None
    assert view.count("\n\n") == 7
    assert TEXT in view
    assert SENDER in view
    assert PASSWORD not in view
