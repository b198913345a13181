"""kill -9 proves no fsync, since the page cache survives it; what the kernel was asked does."""

import os
import re
import shutil
from pathlib import Path

import pytest
import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import Carrier
from tests.fix_carriers import SENDER
from tests.fix_gateway import NUMBER, PASSWORD, SECRET, SYSTEM_ID, open_gateway, to_one

COUNT = 20

ASKED = re.compile(
    r"(?:recvfrom|read|recvmsg)(?:\(| resumed>)"
    r'.*"(?:\\x[0-9a-f]{2}){4}\\x00\\x00\\x00\\x05\\x00\\x00\\x00\\x00'
)
"""A deliver_sm was read: its length, command_id and command_status are the first 12 octets."""
ANSWERED = re.compile(r'(?:sendto|write|sendmsg)\(.*"(?:\\x[0-9a-f]{2}){4}\\x80\\x00\\x00\\x05')
"""The call that writes a deliver_sm_resp began."""
LOG = re.escape("".join(f"\\x{octet:02x}" for octet in b"smsbridge.db-wal"))
"""SQLite's write-ahead log, as strace writes its path."""
SYNCED = re.compile(rf"(?:fdatasync|fsync)\(\d+<[^>]*{LOG}>\)\s+= 0")
SYNC_BEGAN = re.compile(rf"(?:fdatasync|fsync)\(\d+<[^>]*{LOG}> <unfinished")
SYNC_ENDED = re.compile(r"<\.\.\. (?:fdatasync|fsync) resumed>\)\s+= 0")


def steps(trace: str) -> list[str]:
    """What happened in a trace of system calls, one word each, in order of time."""
    found, syncing = [], set()
    for line in trace.splitlines():
        thread = line.split(" ", 1)[0]
        if SYNC_BEGAN.search(line):
            syncing.add(thread)
        elif SYNCED.search(line) or (thread in syncing and SYNC_ENDED.search(line)):
            syncing.discard(thread)
            found.append("synced")
        elif ANSWERED.search(line):
            found.append("answered")
        elif ASKED.search(line):
            found.append("asked")
    return found


async def test_the_disk_is_synced_before_each_answer(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing, and needed where CI is set")
        pytest.skip("strace is missing: apt-get install strace")
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-y", "-xx", "-s", "16", "-o", str(trace), "-e",
              "trace=fdatasync,fsync,recvfrom,read,recvmsg,sendto,write,sendmsg")  # fmt: skip
    with trio.fail_after(60):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url), start=False) as gateway,
        ):
            await gateway.start(prefix=strace)
            async with Carrier(
                port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD
            ) as carrier:
                for number in range(COUNT):
                    # One after the other: nothing else syncs for somebody else's answer.
                    (answer,) = await carrier.send(
                        f"number {number}", source=f"+{SENDER}", destination=NUMBER
                    )
                    assert answer.ok
    happened = steps(trace.read_text(encoding="utf-8", errors="replace"))

    assert happened.count("asked") == COUNT
    assert happened.count("answered") == COUNT
    words = [word for word in happened if word != "synced"]
    assert words == ["asked", "answered"] * COUNT
    for index, word in enumerate(happened):
        if word == "answered":
            before = happened[:index]
            since = before[len(before) - before[::-1].index("asked") :]
            assert "synced" in since, f"answer {happened[:index].count('answered') + 1} came early"
