"""Kannel's bearerbox as the carrier: what is given to its HTTP interface comes out as a webhook.

It binds as it pleases, splits long texts itself, chooses codings, asks for receipts, keeps what
we throttle, and reports the message id we answered with.
"""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
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
    free_port,
    open_gateway,
    routed,
)
from tests.fix_http import listening
from tests.fix_peers import events_of, link_closed

BOUND = 60

CORE = """
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {box}
box-allow-ip = "127.0.0.1"
dlr-storage = internal
sms-resend-freq = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {http}
global-sender = 1

group = sendsms-user
username = user
password = secret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
text = "none"
max-messages = 0
"""

SMSC = f"""
group = smsc
smsc = smpp
smsc-id = {{id}}
host = 127.0.0.1
{{bind}}
smsc-username = {SYSTEM_ID}
smsc-password = {PASSWORD}
system-type = ""
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 1
reconnect-delay = 1
wait-ack = 10
"""

TRANSCEIVER = "port = {port}\ntransceiver-mode = true"


class Kannel:
    """Both of its boxes, the gateway it binds to, and a customer."""

    def __init__(
        self, http: int, gateway: Gateway, customer: Customer, bearerbox: trio.Process
    ) -> None:
        self.gateway = gateway
        self.customer = customer
        self.bearerbox = bearerbox
        self._url = f"http://127.0.0.1:{http}/cgi-bin/sendsms"

    async def send(self, text: str | bytes, **options: str) -> None:
        """Give it one message, to be sent as it sees fit."""
        query: dict[str, str | bytes] = {
            "username": "user",
            "password": "secret",
            "from": SENDER,
            "to": NUMBER.lstrip("+"),
            "text": text,
            **options,
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(self._url, params=query)
        assert response.status_code == 202, response.text

    async def events(self, new: int, before: int = 0) -> list[dict[str, Any]]:
        """The data of the events that came of what was sent."""
        found = await events_of(self.gateway, self.customer, before=before, new=new)
        assert [event["type"] for event in found] == ["message.received"] * new
        return [event["data"] for event in found]

    async def text(self, text: str, **options: str) -> dict[str, Any]:
        """Send this; the data of the one event that comes of it."""
        before = self.customer.count
        await self.send(text, charset="UTF-8", **options)
        (data,) = await self.events(1, before)
        assert data["fromNumber"] == f"+{SENDER}"
        assert data["toNumber"] == NUMBER
        assert data["complete"] is True
        return data


@asynccontextmanager
async def process(directory: Path, name: str, *command: str) -> AsyncIterator[trio.Process]:
    """A program in a directory of its own, ended with the block; its log is in ``name``.log."""
    with (directory / f"{name}.log").open("wb") as log:
        running = await trio.lowlevel.open_process(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield running
    except BaseException as error:
        text = (directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        error.add_note(f"the log of {name}:\n{text[-5000:]}")
        raise
    finally:
        if running.poll() is None:
            running.kill()
        with trio.CancelScope(shield=True):
            await running.wait()


@asynccontextmanager
async def open_kannel(
    directory: Path,
    boxes: Sequence[str],
    *,
    binds: Sequence[str] = (TRANSCEIVER,),
    account: str = "",
    timers: str = "",
) -> AsyncIterator[Kannel]:
    """Kannel whose only SMSC is the gateway; ``binds`` says how it connects to it."""
    bearerbox, smsbox = boxes
    with trio.fail_after(BOUND):
        async with AsyncExitStack() as stack:
            customer = await stack.enter_async_context(open_customer([SECRET]))
            live = f"\n[listeners.timers]\n{timers}\n{ACCOUNT}{account}{routed(NUMBER, 'customer')}"
            live += endpoint("customer", customer.url)
            gateway = await stack.enter_async_context(open_gateway(directory, live))
            box, http = free_port(), free_port()
            groups = [CORE.format(admin=free_port(), box=box, http=http)]
            for number, bind in enumerate(binds):
                groups.append(SMSC.format(id=number, bind=bind.format(port=gateway.smpp_port)))
            (directory / "kannel.conf").write_text("".join(groups))
            bearer = await stack.enter_async_context(
                process(directory, "bearerbox", bearerbox, "-v", "0", "kannel.conf")
            )
            await until_listening(box, bearer)  # smsbox doesn't wait for it
            sms = await stack.enter_async_context(
                process(directory, "smsbox", smsbox, "-v", "0", "kannel.conf")
            )
            await until_listening(http, sms)
            yield Kannel(http, gateway, customer, bearer)


async def until_listening(port: int, program: trio.Process) -> None:
    """Return when a program has got so far."""
    while program.poll() is None:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(0.05)
        else:
            await stream.aclose()
            return
    pytest.fail(f"it has ended with status {program.returncode}")


async def test_every_coding_and_long_texts(tmp_path: Path, kannel: Sequence[str]) -> None:
    async with open_kannel(tmp_path, kannel) as carrier:
        gsm = "The @-sign costs €1 {really}, says Ångström \\ Δ^2 ~ [ñ|ü]!"
        ucs2 = "Grüße 你好 שלום \N{GRINNING FACE}"

        short = await carrier.text(gsm, coding="0")
        assert (short["content"], short["encoding"], short["partCount"]) == (gsm, "gsm7", 1)
        short = await carrier.text(ucs2, coding="2")
        assert (short["content"], short["encoding"], short["partCount"]) == (ucs2, "ucs2", 1)

        long = await carrier.text(gsm * 8, coding="0")
        assert (long["content"], long["partCount"]) == (gsm * 8, 4)
        long = await carrier.text(ucs2 * 15, coding="2")
        assert long["content"] == ucs2 * 15
        assert long["partCount"] > 3


async def test_a_transmitter_beside_a_receiver(tmp_path: Path, kannel: Sequence[str]) -> None:
    binds = [f"{way}port = {{port}}\ninterface-version = 33" for way in ("", "receive-")]
    async with open_kannel(tmp_path, kannel, binds=binds) as carrier:
        assert (await carrier.text("by two links"))["content"] == "by two links"

        carrier.bearerbox.terminate()
        assert await carrier.bearerbox.wait() == 0
        for kind in ("transmitter", "receiver"):
            link = await link_closed(carrier.gateway, kind, reason="unbound-by-peer")
            assert link["version"] == 0x33


async def test_receipts_asked_for_and_ids_understood(tmp_path: Path, kannel: Sequence[str]) -> None:
    """Kannel tells the id in our answer to whoever asked for an acknowledgement."""
    async with open_kannel(tmp_path, kannel) as carrier, listening() as asker:
        url = asker.url("/told?id=%F&kind=%d")

        data = await carrier.text("receipt, please", **{"dlr-mask": "31", "dlr-url": url})
        (told,) = await asker.wait_for(1)

        assert data["content"] == "receipt, please"
        assert told.path == f"/told?id={data['messageId']}&kind=8"


async def test_what_is_throttled_comes_again(tmp_path: Path, kannel: Sequence[str]) -> None:
    async with open_kannel(tmp_path, kannel, account="rate = 2\nburst = 1\n") as carrier:
        texts = [f"number {n}" for n in range(3)]
        for text in texts:
            await carrier.send(text)

        came = await carrier.events(len(texts))

        assert sorted(data["content"] for data in came) == texts
        carrier.bearerbox.terminate()
        link = await link_closed(carrier.gateway, "transceiver", reason="unbound-by-peer")
        assert link["throttled"] > 0


async def test_both_sides_enquire(tmp_path: Path, kannel: Sequence[str]) -> None:
    timers = "enquire_link = 0.2\nresponse = 5"
    async with open_kannel(tmp_path, kannel, timers=timers) as carrier:
        log = tmp_path / "bearerbox.log"
        await carrier.text("before")
        both = {"type_name: enquire_link", "type_name: enquire_link_resp"}
        await carrier.gateway.until(
            lambda: both <= {line.partition("DEBUG:   ")[2] for line in log.read_text().split("\n")}
        )
        await carrier.text("after")


async def test_a_gateway_that_was_killed_is_dialled_again(
    tmp_path: Path, kannel: Sequence[str]
) -> None:
    async with open_kannel(tmp_path, kannel) as carrier:
        await carrier.text("before")
        await carrier.gateway.kill()
        texts = [f"meanwhile {n}" for n in range(5)]
        for text in texts:
            await carrier.send(text)
        await carrier.gateway.start()

        received = carrier.customer.received
        await carrier.customer.until(
            lambda: set(texts) <= {each.data.get("content") for each in received}
        )

        # What was not settled when it was killed is sent again, as the same event.
        assert len({each.id for each in received}) == 1 + len(texts)
        assert all(each.verified for each in received)
