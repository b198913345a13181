"""``smsbridge simulate carrier|customer`` and ``smsbridge demo``: either side, and both at once.

Secrets come from a prompt, the environment or a file, never from the command line, where every
user of the machine could read them.
"""

import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TextIO, get_args

import click
import msgspec
import trio
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.cli.simulate_customer import address, customer
from smsc.config import Dial
from smsc.simulator.carrier import BindRefused, Carrier, MessageCommand, message
from smsc.simulator.segments import LANGUAGE_NUMBERS, Concatenation, Encoding, segments

PASSWORD_VARIABLE = "SMSBRIDGE_CARRIER_PASSWORD"  # noqa: S105  # its name, not its value

BindKind = Literal["receiver", "transmitter", "transceiver"]

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


@click.group()
def simulate() -> None:
    """Play the carrier's or the customer's side, to test against."""


simulate.add_command(customer)


class Tally(Struct):
    """What became of the requests of all links."""

    statuses: Counter[str]
    """Answers by status."""
    latencies: list[float]
    """Seconds to the answer, of each link's latest 100,000."""
    seconds: float = 0.0


class Traffic(Struct, frozen=True, kw_only=True):
    """What a simulated carrier sends."""

    texts: tuple[str, ...]
    """Sent in turn; ``{n}`` in one is the message's number."""
    count: int
    source: str
    destination: str
    encoding: Encoding = "auto"
    concatenation: Concatenation = "udh8"
    command: MessageCommand = "deliver_sm"
    locking: int = 0
    single: int = 0
    packed: bool = False
    data_coding: int | None = None
    receipt: bool = False
    shuffle: random.Random | None = None
    """Puts the segments of each message in another order."""

    def messages(self) -> Iterator[list[bytes]]:
        """Yield the requests of each message. Raises ValueError for a text that can't be sent."""
        # Where references begin is left to chance: two runs within the assembly time-out would
        # otherwise send parts of different messages under one reference.
        first = random.randrange(0x10000)  # noqa: S311  # nothing secret
        for number, text in enumerate(itertools.islice(itertools.cycle(self.texts), self.count), 1):
            parts = segments(
                text.replace("{n}", str(number)),
                encoding=self.encoding,
                concatenation=self.concatenation,
                reference=first + number,
                locking=self.locking,
                single=self.single,
                packed=self.packed,
                data_coding=self.data_coding,
            )
            if self.shuffle is not None:
                self.shuffle.shuffle(parts)
            yield [
                message(
                    part,
                    source=self.source,
                    destination=self.destination,
                    command=self.command,
                    receipt=self.receipt,
                )
                for part in parts
            ]


@simulate.command()
@click.argument("target", metavar="HOST:PORT", type=address)
@click.option("--system-id", required=True, help="What to bind with.")
@click.option(
    "--password-env", metavar="NAME", default=PASSWORD_VARIABLE, show_default=True,
    help="Environment variable that holds the password.",
)  # fmt: skip
@click.option(
    "--password-file", type=click.Path(dir_okay=False), metavar="FILE",
    help="File that holds it. With neither it is asked for.",
)  # fmt: skip
@click.option("--tls", is_flag=True, help="Connect with TLS.")
@click.option(
    "--tls-ca", type=click.Path(dir_okay=False), metavar="FILE", default="",
    help="PEM file of authorities that vouch for the server. Default: the system's.",
)  # fmt: skip
@click.option(
    "--tls-certificate", type=click.Path(dir_okay=False), metavar="FILE", default="",
    help="PEM file of our own certificate and key.",
)  # fmt: skip
@click.option(
    "--bind", "kind", type=click.Choice(get_args(BindKind)), default="transceiver",
    show_default=True,
)  # fmt: skip
@click.option("--from", "source", default="+447700900123", show_default=True, help="Sender.")
@click.option("--to", "destination", default="+447700900999", show_default=True, help="Recipient.")
@click.option(
    "--text", "texts", multiple=True,
    help="What to send; {n} is the message's number. Several are sent in turn.",
)  # fmt: skip
@click.option(
    "--file", type=click.File(encoding="utf-8"),
    help="A text a line; - is standard input.",
)  # fmt: skip
@click.option("--count", "-n", type=click.IntRange(1), help="Messages. Default: each text once.")
@click.option("--rate", type=click.FloatRange(0), default=0, help="Messages a second; 0: no limit.")
@click.option(
    "--window", type=click.IntRange(1), default=10, show_default=True,
    help="Unanswered requests a link.",
)  # fmt: skip
@click.option("--links", type=click.IntRange(1, 1_000), default=1, show_default=True)
@click.option(
    "--encoding", type=click.Choice(get_args(Encoding)), default="auto", show_default=True,
    help="auto: gsm7 where it has all characters of the text, else ucs2.",
)  # fmt: skip
@click.option(
    "--locking", type=click.Choice(tuple(LANGUAGE_NUMBERS)),
    help="With gsm7: the locking shift table of this language.",
)  # fmt: skip
@click.option(
    "--single", type=click.Choice(tuple(LANGUAGE_NUMBERS)),
    help="With gsm7: the single shift table of this language.",
)  # fmt: skip
@click.option("--packed", is_flag=True, help="With gsm7: eight septets in seven octets.")
@click.option(
    "--data-coding", type=click.IntRange(0, 255), metavar="NUMBER",
    help="What to call the encoding, whatever it is. Default: as the specification does.",
)  # fmt: skip
@click.option("--receipt", is_flag=True, help="Mark the text as a delivery receipt (esm_class).")
@click.option(
    "--concat", "concatenation", type=click.Choice(get_args(Concatenation)), default="udh8",
    show_default=True, help="How segments of a long text say that they belong together.",
)  # fmt: skip
@click.option(
    "--command", type=click.Choice(get_args(MessageCommand)), default="deliver_sm",
    show_default=True,
)  # fmt: skip
@click.option("--shuffle", is_flag=True, help="Send the segments of a message in any order.")
@click.option("--timeout", type=click.FloatRange(0.1), default=60, show_default=True,
              help="Seconds without any answer after which to give up.")  # fmt: skip
@click.option(
    "--progress/--no-progress", default=None, help="A bar. Default: where a person watches."
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one line of JSON.")
def carrier(
    target: tuple[str, int],
    system_id: str,
    password_env: str,
    password_file: str | None,
    tls: bool,
    tls_ca: str,
    tls_certificate: str,
    kind: BindKind,
    source: str,
    destination: str,
    texts: tuple[str, ...],
    file: TextIO | None,
    count: int | None,
    rate: float,
    window: int,
    links: int,
    encoding: Encoding,
    locking: str | None,
    single: str | None,
    packed: bool,
    data_coding: int | None,
    receipt: bool,
    concatenation: Concatenation,
    command: MessageCommand,
    shuffle: bool,
    timeout: float,
    progress: bool | None,
    as_json: bool,
) -> int:
    """Bind to an SMPP server as a carrier does and deliver messages to it.

    Exit status 0 if every request was answered ESME_ROK, 1 if any wasn't, 2 for wrong usage.
    """
    if (tls_ca or tls_certificate) and not tls:
        raise click.UsageError("--tls-ca and --tls-certificate are of no use without --tls")
    if encoding not in ("auto", "gsm7") and (locking or single or packed):
        raise click.UsageError(f"--locking, --single and --packed are for gsm7, not {encoding}")
    lines = [line.rstrip("\r\n") for line in file] if file else []
    wanted = (*texts, *(line for line in lines if line))
    if file and not wanted:
        raise click.UsageError("--file holds no text")
    wanted = wanted or ("Hello from a simulated carrier, number {n}",)
    traffic = Traffic(
        texts=wanted,
        count=count or len(wanted),
        source=source,
        destination=destination,
        encoding=encoding,
        concatenation=concatenation,
        command=command,
        locking=LANGUAGE_NUMBERS[locking] if locking else 0,
        single=LANGUAGE_NUMBERS[single] if single else 0,
        packed=packed,
        data_coding=data_coding,
        receipt=receipt,
        shuffle=random.Random() if shuffle else None,  # noqa: S311  # nothing secret
    )
    once_each = msgspec.structs.replace(traffic, count=len(wanted))
    try:
        requests = [len(frames) for frames in once_each.messages()]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    password = _password(password_env, password_file)
    rounds, rest = divmod(traffic.count, len(wanted))
    total = rounds * sum(requests) + sum(requests[:rest])
    dial = Dial(tls=True, tls_ca=tls_ca, tls_certificate=tls_certificate) if tls else None
    carriers = [
        Carrier(*target, system_id=system_id, password=password, kind=kind, window=window, tls=dial)
        for _ in range(links)
    ]
    visible = sys.stderr.isatty() if progress is None else progress
    try:
        tally = trio.run(partial(_pour, carriers, traffic, rate, total, timeout, visible=visible))
    except BaseExceptionGroup as group:
        cause = _first(group)
        if isinstance(cause, BindRefused):
            raise click.ClickException(_refused(cause)) from None
        if isinstance(cause, OSError):
            raise click.ClickException(_in_words(cause)) from None
        if isinstance(cause, KeyboardInterrupt):
            raise click.Abort from None
        raise
    return _report(tally, total, as_json=as_json)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refused(error: BindRefused) -> str:
    if error.status is not None:
        return f"the bind was refused: {error}"
    return (
        "no answer to the bind. `smsbridge links refused` and the gateway's log say why: it may"
        " want TLS, a certificate or a PROXY protocol header, or may not"
    )


def _in_words(error: OSError) -> str:
    """Say what the system said. Where several addresses were tried, that is one step further."""
    cause: BaseException | None = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = _first(cause)
    if isinstance(cause, OSError) and cause.errno:
        return f"{error}: {os.strerror(cause.errno)}"
    return error.strerror or str(error)


def _password(variable: str, file: str | None) -> str:
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").strip("\r\n")
        except OSError as error:
            raise click.UsageError(f"--password-file: {file}: {error.strerror}") from None
    if variable in os.environ:
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise click.UsageError(f"no password: set ${variable} or name a --password-file")
    return str(click.prompt("Password", hide_input=True, default="", show_default=False, err=True))


async def _pour(
    carriers: Sequence[Carrier],
    traffic: Traffic,
    rate: float,
    total: int,
    patience: float,
    *,
    visible: bool,
) -> Tally:
    """Send everything over all links; give up after ``patience`` seconds without an answer."""
    tally = Tally(Counter(), [])
    messages = traffic.messages()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not visible
    )
    began = 0.0
    with bar:
        task = bar.add_task("answered", total=total)

        async def link(carrier: Carrier, bound: trio.Event, start: trio.Event) -> None:
            async with carrier:
                bound.set()
                await start.wait()
                # A message's segments stay on one link; whichever has room takes the next.
                frames = itertools.chain.from_iterable(messages)
                try:
                    await carrier.pour(frames, rate=rate / len(carriers))
                finally:  # now: the unbind to come is no message
                    tally.statuses += carrier.statistics.statuses
                    tally.latencies += carrier.statistics.latencies
                    tally.seconds = trio.current_time() - began

        async def watch() -> None:
            done, at = -1, trio.current_time()
            while True:
                answered = sum(carrier.statistics.answered for carrier in carriers)
                bar.update(task, completed=answered)
                if answered != done:
                    done, at = answered, trio.current_time()
                elif trio.current_time() - at > patience:
                    nursery.cancel_scope.cancel()
                await trio.sleep(0.1)

        async with trio.open_nursery() as watching:
            async with trio.open_nursery() as nursery:
                start = trio.Event()
                for carrier in carriers:
                    bound = trio.Event()
                    nursery.start_soon(link, carrier, bound, start)
                    await bound.wait()
                began = trio.current_time()
                watching.start_soon(watch)
                start.set()
            watching.cancel_scope.cancel()
        bar.update(task, completed=tally.statuses.total())
    return tally


def _report(tally: Tally, total: int, *, as_json: bool) -> int:
    """Print what became of the requests; return the exit status."""
    statuses, latencies, seconds = tally.statuses, sorted(tally.latencies), tally.seconds
    answered = statuses.total()
    at = {
        name: round(latencies[int(share * (len(latencies) - 1))] * 1000, 2) if latencies else None
        for name, share in SHARES.items()
    }
    if as_json:
        summary = {
            "requests": total,
            "answered": answered,
            "unanswered": total - answered,
            "statuses": dict(statuses.most_common()),
            "seconds": round(seconds, 3),
            "perSecond": round(answered / seconds, 1) if seconds else None,
            "latencyMs": at,
        }
        click.echo(json.dumps(summary))
    else:
        for status, count in statuses.most_common():
            click.echo(f"{count:>9,}  {status}")
        if total > answered:
            click.echo(f"{total - answered:>9,}  not answered")
        if answered:
            shown = ", ".join(f"{name} {ms:,.1f}" for name, ms in at.items())
            click.echo(f"{answered / seconds:>9,.0f}  answers a second; ms to the answer: {shown}")
    return 0 if statuses["ESME_ROK"] == total else 1


@click.command()
@click.option("--once", is_flag=True, help="End after the three messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a step.")
def demo(once: bool, as_json: bool) -> int:
    """See it work: the gateway, a carrier and a customer on this machine, nothing to configure.

    Sends a GSM-7 message, one with an emoji and one in three parts out of order, shows each
    step, and stays up until Ctrl-C. With `--once` the exit status is 0 only if all three arrived
    with a right signature.
    """
    from bridge.demo import run_demo

    return trio.run(partial(run_demo, once=once, as_json=as_json, console=Console()))
