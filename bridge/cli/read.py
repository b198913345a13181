"""``smsbridge messages | unrouted | dead-letters``: looking into the store."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from bridge.cli.options import (
    cell,
    json_option,
    limit_option,
    now,
    open_store,
    refuse_options,
    show_json,
    show_list,
    show_table,
    store_options,
    store_path,
    unmask_option,
    when,
)
from bridge.errors import NotFound

if TYPE_CHECKING:
    from bridge.store.contract import Store
    from bridge.store.listing import DeliveryRow, MessageRow

T = TypeVar("T")

PAGE = 500
"""Rows read at once, however many are asked for."""
MOST_ID = 2**63 - 1
"""Ids are what a column holds."""

COLUMNS = ("id", "received_at", "carrier", "from", "to", "encoding", "parts", "status", "text")
_STATUSES = click.Choice(["pending", "delivered", "dead", "unrouted"])


def pages(read: Callable[[Any, int], list[T]], limit: int, key: str = "id") -> Iterator[T]:
    """Yield at most ``limit`` rows, page by page; ``read`` takes where to go on and how many."""
    before: Any = None
    while limit > 0:
        page = read(before, min(limit, PAGE))
        yield from page
        limit -= len(page)
        if len(page) < PAGE or not page:
            return
        before = getattr(page[-1], key)


def message_row(row: "MessageRow", *, as_json: bool, unmask: bool) -> dict[str, Any]:
    """Return a message as it is shown."""
    from bridge.telemetry import mask_number, mask_text

    text = str(_data(row).get("content") or "")
    return {
        "id": row.id,
        "kind": row.kind,
        "received_at": when(row.received_at, as_json=as_json),
        "account": row.account,
        "carrier": row.carrier,
        "tenant": row.tenant,
        "number": row.number if unmask or row.number in {None, "*"} else mask_number(row.number),
        "from": row.source if unmask else mask_number(row.source),
        "to": row.destination if unmask else mask_number(row.destination),
        "encoding": row.encoding,
        "parts": row.total,
        "complete": row.complete,
        "duplicate_of": row.duplicate_of,
        "status": row.status,
        "text": text if unmask else mask_text(text),
    }


def _data(row: "MessageRow") -> dict[str, Any]:
    event = msgspec.json.decode(row.event)
    return event.get("data", {}) if isinstance(event, dict) else {}


RECEIPT = ("state", "error", "carrierMessageIdText", "carrierMessageIdTlv", "carrierMessageId")
"""What of a receipt's event is shown beside the message; none of it is a person's."""


def reading(row: "MessageRow", *, unmask: bool) -> dict[str, Any]:
    """Return how a message was read, and what came with it, as its event says."""
    from smsc.content import masking

    data = _data(row)
    metadata = {
        name: value if unmask else masking.metadata(_snake(name), value)
        for name, value in data.get("metadata", {}).items()
    }
    receipt = {name: data[name] for name in RECEIPT if data.get(name) is not None}
    return {
        "flags": data.get("flags", []),
        "metadata": metadata,
        **({"receipt": receipt} if row.kind == "receipt" else {}),
    }


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)


def _listed(facts: dict[str, Any] | list[str]) -> str:
    words = facts if isinstance(facts, list) else [f"{name} {facts[name]}" for name in facts]
    return ", ".join(words) or "-"


@click.group(invoke_without_command=True)
@store_options
@click.option("--from", "source", metavar="NUMBER", help="Only from this whole number.")
@click.option("--to", "destination", metavar="NUMBER", help="Only to this whole number.")
@click.option("--status", type=_STATUSES, help="Only those that stand so.")
@click.option("--before", metavar="ID", help="Only older ones: the last id of a page before.")
@limit_option
@unmask_option
@json_option
@click.pass_context
def messages(
    ctx: click.Context,
    /,
    *,
    source: str | None,
    destination: str | None,
    status: str | None,
    before: str | None,
    limit: int,
    unmask: bool,
    as_json: bool,
    **_where: str | None,
) -> None:
    """List messages, newest first; `show` one with its deliveries and attempts."""
    if ctx.invoked_subcommand is not None:
        refuse_options(ctx)
        return
    store = open_store(ctx)
    filtered = any((source, destination, status, before))
    found = pages(
        lambda after, size: store.messages(
            limit=size, before=after or before, source=source, destination=destination,
            status=status,
        ),
        limit,
    )  # fmt: skip
    show_list(
        (message_row(row, as_json=as_json, unmask=unmask) for row in found),
        COLUMNS,
        as_json=as_json,
        empty="No message fits." if filtered
        else "No message yet. `smsbridge links` shows whether a carrier is bound.",
    )  # fmt: skip


@messages.command("show")
@click.argument("message_id", metavar="ID")
@store_options
@unmask_option
@json_option
@click.pass_context
def show_message(
    ctx: click.Context, /, *, message_id: str, unmask: bool, as_json: bool, **_where: str | None
) -> None:
    """Show a message with its deliveries and every attempt.

    Flags are remarks on its reading, metadata what the carrier said beside the text. With
    `--json --unmask` `event` is all that customers get.
    """
    store = open_store(ctx)
    found = store.messages(id=message_id, limit=1)
    if not found:
        raise NotFound(f"there is no message {message_id}")
    row = message_row(found[0], as_json=as_json, unmask=unmask)
    deliveries = [
        _delivery(each, as_json=as_json, unmask=unmask) for each in store.deliveries(message_id)
    ]
    read = reading(found[0], unmask=unmask)
    if as_json:
        event = {"event": msgspec.json.decode(found[0].event)} if unmask else {}
        show_json({**row, **read, "deliveries": deliveries, **event})
        return
    row |= {name: _listed(facts) for name, facts in read.items()}
    width = max(map(len, row))
    for name, value in row.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {cell(value)}")
    if not deliveries:
        click.echo("\nNo route wanted it: there is nothing to deliver.")
    for delivery in deliveries:
        due = f", next attempt {delivery['due_at']}" if delivery["due_at"] else ""
        click.echo(
            f"\ndelivery {delivery['id']} to {delivery['endpoint']}: {delivery['state']}{due}"
        )
        if delivery["attempts"]:
            show_table(
                delivery["attempts"],
                ("number", "started_at", "duration_ms", "status", "error", "remote", "detail"),
            )
        else:
            click.echo("no attempt yet")


def _delivery(row: "DeliveryRow", *, as_json: bool, unmask: bool) -> dict[str, Any]:
    from bridge.telemetry import mask_text

    attempts = []
    for attempt in row.attempts:
        facts = msgspec.structs.asdict(attempt)
        facts["started_at"] = when(attempt.started_at, as_json=as_json)
        facts["duration_ms"] = round(attempt.duration_ms, 1)
        if not unmask and attempt.response:
            # A receiver may quote what it was sent.
            facts["response"] = mask_text(attempt.response)
        attempts.append(facts)
    return {
        "id": row.id,
        "endpoint": row.endpoint,
        "event_id": row.event_id,
        "state": row.state,
        "due_at": when(row.due_at, as_json=as_json),
        "attempts": attempts,
    }


@click.command()
@store_options
@limit_option
@unmask_option
@json_option
@click.pass_context
def unrouted(
    ctx: click.Context, /, *, limit: int, unmask: bool, as_json: bool, **_where: str | None
) -> None:
    """List messages no route wanted: the number is unknown, or has no route with an endpoint."""
    store = open_store(ctx)
    found = pages(
        lambda after, size: store.messages(limit=size, before=after, status="unrouted"), limit
    )
    show_list(
        (message_row(row, as_json=as_json, unmask=unmask) for row in found),
        ("id", "received_at", "carrier", "from", "to", "number", "text"),
        as_json=as_json,
        empty="Nothing is unrouted.",
    )


@click.group("dead-letters", invoke_without_command=True)
@store_options
@click.option("--endpoint", metavar="NAME", help="Only of this endpoint.")
@limit_option
@json_option
@click.pass_context
def dead_letters(
    ctx: click.Context, /, *, endpoint: str | None, limit: int, as_json: bool, **_where: str | None
) -> None:
    """List deliveries given up on, newest first; `retry` sends them again."""
    if ctx.invoked_subcommand is not None:
        refuse_options(ctx)
        return
    store = open_store(ctx)
    found = pages(
        lambda after, size: store.dead_letters(limit=size, before=after, endpoint=endpoint), limit
    )
    show_list(
        ({**msgspec.structs.asdict(row), "died_at": when(row.died_at, as_json=as_json)}
         for row in found),
        ("id", "died_at", "endpoint", "message_id", "attempts", "last_status", "last_error",
         "reason"),
        as_json=as_json,
        empty=f"No dead letters of {endpoint}." if endpoint else "No dead letters.",
    )  # fmt: skip


@dead_letters.command("retry")
@click.argument("ids", nargs=-1, type=click.IntRange(0, MOST_ID))
@store_options
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--endpoint", metavar="NAME", help="All of this endpoint.")
@click.option("--json", "as_json", is_flag=True, help="The count as one JSON object.")
@click.pass_context
def retry(
    ctx: click.Context,
    /,
    *,
    ids: tuple[int, ...],
    everything: bool,
    endpoint: str | None,
    as_json: bool,
    **_where: str | None,
) -> None:
    """Send dead letters again, by id, of an endpoint, or all: at once and with a new schedule."""
    if bool(ids) + everything + bool(endpoint) != 1:
        raise click.UsageError("say which: ids, --endpoint NAME, or --all")
    store = open_store(ctx)
    wanted = tuple(dict.fromkeys(ids))
    done = 0
    for some in _pages_of_ids(store, wanted, endpoint):
        done += store.retry(some, endpoint=None, now=now(), limit=PAGE)
    if done:
        from bridge.doorbell import DUE, Doorbell, directory_for

        bell = Doorbell(directory_for(store_path(ctx)), "", hears=())
        bell.ring(DUE)
        bell.close()
    missing = max(0, len(wanted) - done)
    if as_json:
        show_json({"retried": done, "missing": missing})
    else:
        click.echo(f"{done} sent again.")
        if endpoint and not done:
            click.echo(f"There are no dead letters of an endpoint {endpoint!r}.", err=True)
    if missing:
        raise NotFound(f"{missing} of {len(wanted)} are no dead letters")


def _pages_of_ids(
    store: "Store", wanted: Sequence[int], endpoint: str | None
) -> Iterator[Sequence[int]]:
    """Yield the dead letters that are meant, newest first, each once.

    So one that dies again meanwhile, as all do whose endpoint refuses them for good, is not
    sent again and again.
    """
    if wanted:
        yield from (wanted[at : at + PAGE] for at in range(0, len(wanted), PAGE))
        return
    before: int | None = None
    while page := store.dead_letters(limit=PAGE, before=before, endpoint=endpoint):
        before = page[-1].id
        yield [letter.id for letter in page]
