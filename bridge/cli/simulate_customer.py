"""``smsbridge simulate customer``: a webhook receiver to point an endpoint at."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import trio

from bridge.customer import Received, Reply, describe, open_customer, scripted
from bridge.telemetry import mask_number

SECRET_VARIABLE = "SMSBRIDGE_WEBHOOK_SECRET"  # noqa: S105  # its name, not its value


def address(value: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, ``[V6]:PORT`` or a port alone; the host is 127.0.0.1 by default."""
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65_536):
        raise click.BadParameter(f"{value!r} is not HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


@click.command()
@click.option(
    "--listen", metavar="HOST:PORT", type=address, default="127.0.0.1:8099", show_default=True,
)  # fmt: skip
@click.option(
    "--secret-env", metavar="NAME", multiple=True,
    help=f"Environment variable with a whsec_ secret; may be given several times. "
    f"Default: {SECRET_VARIABLE}.",
)  # fmt: skip
@click.option(
    "--secret-file", type=click.Path(dir_okay=False), metavar="FILE", multiple=True,
    help="File with one; may be given several times.",
)  # fmt: skip
@click.option("--status", type=click.IntRange(200, 599), default=200, show_default=True,
              help="What to answer.")  # fmt: skip
@click.option("--delay", type=click.FloatRange(0), default=0, help="Seconds before the answer.")
@click.option(
    "--first", type=click.IntRange(1), metavar="N",
    help="Do so for the first N requests only; later ones are answered 200 at once.",
)  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(1, 300), default=300, show_default=True,
              help="Seconds a signature may be old.")  # fmt: skip
@click.option("--count", "-n", type=click.IntRange(1), help="End after so many requests.")
@click.option("--unmask", is_flag=True, help="Show numbers and texts in full.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a request.")
def customer(
    listen: tuple[str, int],
    secret_env: tuple[str, ...],
    secret_file: tuple[str, ...],
    status: int,
    delay: float,
    first: int | None,
    tolerance: float,
    count: int | None,
    unmask: bool,
    as_json: bool,
) -> int:
    """Receive webhooks, verify each with the public library, and show what came.

    Runs until Ctrl-C or `--count`. Exit status 1 if any request did not verify.
    """
    secrets = _secrets(secret_env, secret_file)
    reply = Reply(status=status, delay=delay)
    respond = scripted([reply] * first) if first else scripted([], reply)

    def show(received: Received, reply: Reply) -> None:
        if as_json:
            click.echo(json.dumps(_facts(received, reply, unmask=unmask), ensure_ascii=False))
        else:
            line = describe(received, None if unmask else mask_number)
            click.echo(f"{reply.status}  {line}")

    async def receive() -> bool:
        async with open_customer(
            secrets,
            host=listen[0],
            port=listen[1],
            tolerance=tolerance,
            respond=respond,
            on_received=show,
        ) as receiver:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async with trio.open_nursery() as nursery:

                    async def until_signal() -> None:
                        await anext(aiter(signals))
                        nursery.cancel_scope.cancel()

                    click.echo(f"listening on {receiver.url}", err=True)
                    nursery.start_soon(until_signal)
                    await receiver.until(lambda: count is not None and receiver.count >= count)
                    # The last answer is still to be written.
                    await trio.sleep(delay + 0.05)
                    nursery.cancel_scope.cancel()
            return all(received.verified for received in receiver.received)

    try:
        return 0 if trio.run(receive) else 1
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        where = f"{listen[0]}:{listen[1]}"
        raise click.ClickException(f"can't listen on {where}: {error.strerror}") from None


def _secrets(variables: Sequence[str], files: Sequence[str]) -> list[str]:
    found = []
    for variable in variables or ([] if files else [SECRET_VARIABLE]):
        if variable not in os.environ:
            raise click.UsageError(
                f"no webhook secret: ${variable} is not set; "
                "name others with --secret-env or --secret-file"
            )
        found.append(os.environ[variable])
    for file in files:
        try:
            found.append(Path(file).read_text(encoding="utf-8").strip())
        except OSError as error:
            raise click.UsageError(f"--secret-file: {file}: {error.strerror}") from None
    return found


def _facts(received: Received, reply: Reply, *, unmask: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "verified": received.verified,
        "problem": received.problem or None,
        "answered": reply.status,
        "id": received.id,
        "attempt": received.attempt,
        "type": received.type,
    }
    if received.verified:
        data = dict(received.data)
        if not unmask:
            data = {
                "messageId": data.get("messageId"),
                "fromNumber": mask_number(str(data.get("fromNumber", ""))),
                "toNumber": mask_number(str(data.get("toNumber", ""))),
                "characters": len(str(data.get("content", ""))),
                "encoding": data.get("encoding"),
                "complete": data.get("complete"),
            }
        facts["data"] = data
    return facts
