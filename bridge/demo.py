"""``smsbridge demo``: the whole line on one machine, with nothing to configure.

Starts the gateway as a user would (``smsbridge serve``, processes of its own) with a temporary
store on free local ports, a simulated carrier and the sample customer beside it; sends three
messages and shows each step as it happens. Everything waits with a bound, and nothing is left
behind, however it ends.
"""

import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Any

import httpx
import trio
from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.customer import Customer, Received, Reply, open_customer, printable
from smsc.simulator.carrier import BindRefused, Carrier, message, status_text
from smsc.simulator.segments import Segment, segments

READY_BOUND = 30.0
"""Seconds the gateway may take to be ready."""
ARRIVAL_BOUND = 20.0
"""Seconds all messages together may take, from the first PDU to the last webhook."""
END_BOUND = 35.0
"""Seconds the gateway may take to end; then it is killed."""

INTERRUPTED = 130
"""Exit status where a signal came before the result was known."""

SYSTEM_ID = "demo"
SENDER, NUMBER = "+447700900123", "+447700900999"

SERVE = (sys.executable, "-m", "bridge.cli", "serve")
"""The command line that starts the gateway; ``--config FILE`` is added."""

CONFIG = """\
# Written by `smsbridge demo`.
[store]
path = "{directory}/smsbridge.db"

[api]
port = {api_port}

[carrier]
status_port = 0

[delivery]
status_port = 0
allow_networks = ["127.0.0.1/32"]
allow_http = true

[[listeners]]
host = "127.0.0.1"
port = {smpp_port}

[[accounts]]
name = "demo"
system_id = "demo"
password = {{ file = "{directory}/password" }}
default_country = "GB"

[[numbers]]
number = "*"
routes = ["demo"]

[[routes]]
name = "demo"
endpoints = ["customer"]
routing_tag = "demo"

[[endpoints]]
name = "customer"
url = "{url}/sms"
secrets = [{{ file = "{directory}/webhook-secret" }}]
"""


class Sample(Struct):
    """One message of the demonstration and what has become of it. Times: ``time.monotonic()``."""

    title: str
    text: str
    order: tuple[int, ...] = (0,)
    """Which segment is sent when."""
    sent_at: float = 0.0
    answered_at: float = 0.0
    refused: str = ""
    arrived_at: float = 0.0

    @property
    def missing(self) -> str:
        """What is not as it should be, in words; empty where all is well."""
        if self.refused:
            return f"answered {self.refused}"
        if not self.answered_at:
            return "not answered"
        return "" if self.arrived_at else "no verified webhook with this text"

    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        return bool(self.arrived_at or self.refused)

    @property
    def answer_ms(self) -> float:
        """From the first PDU to the last answer."""
        return (self.answered_at - self.sent_at) * 1000 if self.answered_at else 0.0

    @property
    def webhook_ms(self) -> float:
        """From the first PDU to the webhook."""
        return (self.arrived_at - self.sent_at) * 1000 if self.arrived_at else 0.0


def samples() -> list[Sample]:
    """The messages that are sent: one GSM-7, one UCS-2, one in three parts out of order."""
    long = (
        "A long message comes in parts, and the parts come in any order. The gateway keeps each "
        "of them on disk before it answers, waits for the others, puts them together again and "
        "tells the customer once. This one was sent in three segments, the last one first, then "
        "the first, then the second; if you read this sentence behind the others, all is well."
    )
    return [
        Sample("GSM-7", "Your table is booked for 8 this evening; the menu is €35 {all in}."),
        Sample("UCS-2 with an emoji", "До встречи вечером \N{GRINNING FACE} 再见!"),
        Sample("three parts, out of order", long, (2, 0, 1)),
    ]


class Teller:
    """Shows each step: a line for people, or a line of JSON."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json

    def tell(self, step: str, markup: str, **facts: Any) -> None:
        """Show one step. ``markup`` is rich's; what came from outside is escaped in it."""
        if self._as_json:
            line = json.dumps({"step": step, **facts}, ensure_ascii=False)
            self._console.out(line, highlight=False)
        elif markup:
            self._console.print(markup, highlight=False, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Show a table, to people only."""
        if not self._as_json:
            self._console.print(table)


class Failed(Exception):
    """The demonstration can't go on; says why."""


class Demo:
    """One demonstration."""

    def __init__(self, directory: Path, teller: Teller, serve: Sequence[str]) -> None:
        self.status = INTERRUPTED
        """What to exit with, as far as it is known by now."""
        self._directory = directory
        self._tell = teller.tell
        self._teller = teller
        self._serve = serve
        self._samples = samples()
        self._smpp_port, self._api_port = _free_ports(2)
        self._log = directory / "gateway.log"
        self._password = token_urlsafe(6)[:8]  # a bind's password has at most 8 octets

    async def run(self, *, once: bool) -> None:
        """Show everything; then stay until cancelled unless ``once``. See :attr:`status`."""
        began = time.monotonic()
        secret = "whsec_" + b64encode(token_bytes(32)).decode()
        async with AsyncExitStack() as stack:
            customer = await stack.enter_async_context(
                open_customer([secret], on_received=self._received)
            )
            self._tell(
                "customer",
                f"[green]✓[/] customer listens on [bold]{customer.url}[/]"
                " and verifies with the public [bold]standardwebhooks[/] library",
                url=customer.url,
            )
            self._configure(customer, secret)
            async with trio.open_nursery() as nursery:
                gateway = await nursery.start(self._gateway)
                try:
                    await self._wait_ready(gateway)
                    took = (time.monotonic() - began) * 1000
                    self._tell(
                        "ready",
                        f"[green]✓[/] gateway ready after {took:,.0f} ms, listens on"
                        f" [bold]127.0.0.1:{self._smpp_port}[/] for carriers",
                        ms=round(took, 1),
                        smpp=f"127.0.0.1:{self._smpp_port}",
                    )
                    await self._send(customer)
                    self.status = self._summary()
                    if not once:
                        self._hints()
                        await trio.sleep_forever()
                finally:
                    nursery.cancel_scope.cancel()

    def _configure(self, customer: Customer, secret: str) -> None:
        files = {
            "password": self._password,
            "webhook-secret": secret,
            "smsbridge.toml": CONFIG.format(
                directory=self._directory,
                smpp_port=self._smpp_port,
                api_port=self._api_port,
                url=customer.url,
            ),
        }
        for name, text in files.items():
            path = self._directory / name
            path.touch(mode=0o600)
            path.write_text(text)

    async def _gateway(self, task_status: trio.TaskStatus[trio.Process]) -> None:
        """Run the gateway until cancelled, then end it in good order."""
        with self._log.open("wb") as log:
            process = await trio.lowlevel.open_process(
                [*self._serve, "--config", str(self._directory / "smsbridge.toml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # a Ctrl-C is ours alone; we end it in order
            )
        try:
            task_status.started(process)
            await process.wait()
            raise Failed(f"the gateway ended with status {process.returncode}:\n{self._tail()}")
        finally:
            with trio.move_on_after(END_BOUND) as scope:
                scope.shield = True
                if process.poll() is None:
                    process.terminate()
                await process.wait()
            if process.poll() is None:
                process.kill()  # its children end with it
                with trio.CancelScope(shield=True):
                    await process.wait()

    async def _wait_ready(self, gateway: trio.Process) -> None:
        url = f"http://127.0.0.1:{self._api_port}/readyz"
        with trio.move_on_after(READY_BOUND):
            async with httpx.AsyncClient(trust_env=False) as client:
                while gateway.poll() is None:
                    try:
                        if (await client.get(url)).status_code == 200:
                            return
                    except httpx.HTTPError:
                        pass
                    await trio.sleep(0.03)
                await trio.sleep_forever()  # whoever waits for the process says how it ended
        raise Failed(f"the gateway was not ready within {READY_BOUND:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-4_000:]

    async def _send(self, customer: Customer) -> None:
        began = time.monotonic()
        try:
            carrier = Carrier(
                "127.0.0.1", self._smpp_port, system_id=SYSTEM_ID, password=self._password
            )
            with trio.fail_after(ARRIVAL_BOUND):
                async with carrier:
                    took = (time.monotonic() - began) * 1000
                    self._tell(
                        "bound",
                        f"[green]✓[/] carrier bound as “{SYSTEM_ID}” after {took:.1f} ms",
                        ms=round(took, 1),
                    )
                    for sample in self._samples:
                        await self._send_one(carrier, sample)
                        await customer.until(sample.settled)
        except (BindRefused, OSError) as error:
            raise Failed(f"the carrier could not bind: {error}\n{self._tail()}") from None
        except trio.TooSlowError:
            pass  # the summary says what is missing

    async def _send_one(self, carrier: Carrier, sample: Sample) -> None:
        parts = segments(sample.text, reference=len(sample.text))
        self._tell("submitting", f"\n[bold]{sample.title}[/]", title=sample.title, parts=len(parts))
        sample.sent_at = time.monotonic()
        answered = True
        for index in sample.order if len(sample.order) == len(parts) else range(len(parts)):
            answered = await self._send_part(carrier, sample, parts, index) and answered
        if answered:
            sample.answered_at = time.monotonic()

    async def _send_part(
        self, carrier: Carrier, sample: Sample, parts: Sequence[Segment], index: int
    ) -> bool:
        part = parts[index]
        what = f"part {index + 1} of {len(parts)}" if len(parts) > 1 else "whole"
        frame = message(part, source=SENDER, destination=NUMBER)
        self._tell(
            "submitted",
            f"  [blue]→[/] deliver_sm {SENDER} → {NUMBER}, {what},"
            f" data_coding {part.data_coding}, {len(part.octets)} octets",
            part=index + 1,
            of=len(parts),
            octets=len(part.octets),
        )
        (answer,) = await carrier.deliver([frame])
        status = "no answer" if answer.status is None else status_text(answer.status)
        if not answer.ok:
            sample.refused = status
        ms = answer.seconds * 1000
        self._tell(
            "answered",
            f"  [{'green' if answer.ok else 'red'}]←[/] {status} after {ms:.1f} ms",
            status=status,
            ms=round(ms, 2),
        )
        return answer.ok

    def _received(self, received: Received, reply: Reply) -> None:
        """Show a webhook as it comes, and note which sample it is."""
        now = received.at
        if not received.verified:
            self._tell(
                "refused",
                f"  [red]✗[/] webhook refused: {escape(printable(received.problem))}",
                problem=received.problem,
                status=reply.status,
            )
            return
        text = str(received.data.get("content", ""))
        after = ""
        for sample in self._samples:
            if sample.text == text and sample.sent_at and not sample.arrived_at:
                sample.arrived_at = now
                after = f" {sample.webhook_ms:.1f} ms after submission"
        self._tell(
            "webhook",
            f"  [green]✓[/] webhook {escape(received.id)}, signature verified,{after or ' now'}:\n"
            f"    [bold]{escape(printable(text))}[/]",
            id=received.id,
            type=received.type,
            verified=True,
            content=text,
            data={name: received.data.get(name) for name in ("encoding", "partCount", "complete")},
        )

    def _summary(self) -> int:
        table = Table(title="\nWhat arrived", title_justify="left")
        table.add_column("message")
        for name in ("answered, ms", "webhook, ms", "verified"):
            table.add_column(name, justify="right")
        for sample in self._samples:
            table.add_row(
                sample.title,
                f"{sample.answer_ms:.1f}" if sample.answered_at else "-",
                f"{sample.webhook_ms:.1f}" if sample.arrived_at else "-",
                "[green]yes[/]" if not sample.missing else f"[red]{sample.missing}[/]",
            )
        self._teller.show(table)
        missing = {s.title: s.missing for s in self._samples if s.missing}
        self._tell(
            "summary",
            "\n".join(f"[red]missing[/] {title}: {why}" for title, why in missing.items())
            + (f"\n{escape(self._tail())}" if missing else ""),
            ok=not missing,
            missing=missing,
            messages=[
                {
                    "title": sample.title,
                    "answerMs": round(sample.answer_ms, 2),
                    "webhookMs": round(sample.webhook_ms, 2),
                    "arrived": bool(sample.arrived_at),
                }
                for sample in self._samples
            ],
        )
        return 1 if missing else 0

    def _hints(self) -> None:
        config = self._directory / "smsbridge.toml"
        program = _program(sys.argv[0], shutil.which("smsbridge"))
        more = (
            f"{program} simulate carrier 127.0.0.1:{self._smpp_port} --system-id {SYSTEM_ID}"
            f" --password-file {self._directory}/password"
            f" --from {SENDER} --to {NUMBER} --text 'Hello again'"
        )
        look = f"{program} messages --config {config}"
        metrics = f"http://127.0.0.1:{self._api_port}/metrics"
        self._tell(
            "waiting",
            "\nIt stays up until Ctrl-C; whatever arrives is shown here.\n\n"
            f"  send more   [bold]{escape(more)}[/]\n"
            f"  look        [bold]{escape(look)}[/]\n"
            f"  metrics     [bold]{metrics}[/]\n"
            f"  store, log  {self._directory}\n",
            send=more,
            look=look,
            metrics=metrics,
            directory=str(self._directory),
        )


async def run_demo(
    *, once: bool, as_json: bool = False, console: Console, serve: Sequence[str] = SERVE
) -> int:
    """Run the demonstration; return its exit status.

    ``once``: end after the three messages, with 0 only if all of them arrived verified. Else stay
    until SIGINT or SIGTERM; a signal before all three arrived ends it with 130. The gateway and
    the temporary directory are gone when this returns, raises or is cancelled.
    """
    teller = Teller(console, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="smsbridge-demo-") as name:
        demo = Demo(Path(name), teller, serve)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_cancel_on_signal, nursery.cancel_scope)
                await demo.run(once=once)
                nursery.cancel_scope.cancel()
        except* Failed as group:
            demo.status = 1
            for error in _leaves(group):
                teller.tell("failed", f"[red]✗[/] {escape(str(error))}", error=str(error))
        return demo.status


async def _cancel_on_signal(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    """Cancel the demonstration at the first SIGINT or SIGTERM; later ones change nothing."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _program(started_as: str, found: str | None) -> str:
    """Return what to type to start this program from anywhere.

    ``found``: what `smsbridge` means to the shell. After the README's first command that is
    nothing: the program lies in a virtual environment that nobody has activated.
    """
    path = Path(started_as).absolute()
    if path.name != "smsbridge" or (found is not None and path == Path(found).absolute()):
        return "smsbridge"
    return shlex.quote(str(path))


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
