"""``smsbridge quarantine``: what could not be read or stored, and what to do about it."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import (
    find_config,
    json_option,
    limit_option,
    now,
    open_store,
    read_text,
    refuse_options,
    show_json,
    show_list,
    show_table,
    store_options,
    store_path,
    unknown_account,
    unmask_option,
    when,
)
from bridge.errors import NotFound

if TYPE_CHECKING:
    from bridge.intake.rereading import Reader, Result
    from bridge.store.contract import Store
    from bridge.store.listing import QuarantineRow

PAGE = 200
"""Items read, or read again in one transaction, at once."""

_SCREENED = ("id", "received_at", "account", "became", "as", "from", "to", "reason")

account_option = click.option("--account", metavar="NAME", help="Only what this account brought.")


@click.group(invoke_without_command=True)
@store_options
@account_option
@limit_option
@unmask_option
@json_option
@click.pass_context
def quarantine(
    ctx: click.Context,
    /,
    *,
    account: str | None,
    limit: int,
    unmask: bool,
    as_json: bool,
    **_where: str | None,
) -> None:
    """List what could not be read or stored, newest first; it was answered, and nobody got it.

    After a fix, of the program or of the account's options, `read-again` delivers what can be
    read now. With `--json --unmask` `raw` is all of an item in hex.
    """
    if ctx.invoked_subcommand is not None:
        refuse_options(ctx)
        return
    _list(ctx, account, limit, unmask=unmask, as_json=as_json)


@quarantine.command("list")
@store_options
@account_option
@limit_option
@unmask_option
@json_option
@click.pass_context
def list_items(
    ctx: click.Context,
    /,
    *,
    account: str | None,
    limit: int,
    unmask: bool,
    as_json: bool,
    **_where: str | None,
) -> None:
    """List what is in quarantine, newest first: the same as without `list`."""
    _list(ctx, account, limit, unmask=unmask, as_json=as_json)


def _list(
    ctx: click.Context, account: str | None, limit: int, *, unmask: bool, as_json: bool
) -> None:
    store = open_store(ctx)
    show_list(
        (_shown(row, as_json=as_json, unmask=unmask) for row in _newest(store, account, limit)),
        ("id", "received_at", "account", "octets", "reason", *(("raw",) if unmask else ())),
        as_json=as_json,
        empty=unknown_account(store, account)
        or f"Nothing{f' of {account}' if account else ''} is in quarantine.",
    )


def _newest(store: "Store", account: str | None, limit: int) -> Iterator["QuarantineRow"]:
    before: int | None = None
    while limit > 0:
        page = store.quarantined(limit=min(limit, PAGE), before=before, account=account)
        yield from page
        limit -= len(page)
        if len(page) < PAGE:
            return
        before = page[-1].number


def _shown(row: "QuarantineRow", *, as_json: bool, unmask: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": when(row.received_at, as_json=as_json),
        "account": row.account,
        "reason": row.reason,
        "octets": len(row.raw),
        "raw": row.raw.hex() if unmask else None,
    }


@quarantine.command()
@click.argument("item", metavar="ID")
@store_options
@unmask_option
@json_option
@click.pass_context
def show(
    ctx: click.Context, /, *, item: str, unmask: bool, as_json: bool, **_where: str | None
) -> None:
    """Show one item; with --unmask all of its octets, explained as far as they can be."""
    from smsc.inspect import as_dict, explain, to_text

    store = open_store(ctx)
    (row,) = _named(store, [item])
    is_frame = row.raw[:1] not in (b"{", b"[")
    live = store.live()
    accounts = {each.name: each for each in live.accounts} if live is not None else {}
    explanations = list(explain(row.raw, accounts.get(row.account), line=0)) if is_frame else []
    facts = {
        **_shown(row, as_json=as_json, unmask=unmask),
        "command": as_dict(explanations[0])["command"] if explanations else None,
        "link": row.link or None,
        "place": row.place or None,
        "duplicate_of": row.duplicate_of,
    }
    if as_json:
        show_json(facts)
        return
    if not unmask:
        del facts["raw"]
    show_table(
        [{"": name.replace("_", " "), " ": value} for name, value in facts.items()], ("", " ")
    )
    if not unmask:
        click.echo("\n--unmask shows its octets, and what they say.")
    elif is_frame:
        for explanation in explanations:
            click.echo("\n" + _printable("\n".join(to_text(explanation))))
    else:
        click.echo("\n" + _printable(row.raw.decode("utf-8", "replace")))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "·" for char in text)


@quarantine.command("read-again")
@click.argument("items", nargs=-1, metavar="[ID]…")
@store_options
@click.option("--all", "everything", is_flag=True, help="Everything in quarantine.")
@click.option("--account", metavar="NAME", help="Everything that this account brought.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them; change nothing.")
@unmask_option
@json_option
@click.pass_context
def read_again(
    ctx: click.Context,
    /,
    *,
    items: tuple[str, ...],
    everything: bool,
    account: str | None,
    dry_run: bool,
    unmask: bool,
    as_json: bool,
    **_where: str | None,
) -> None:
    """Read items again by the program and the account's options as they are now.

    What can be read leaves quarantine, oldest first, and is routed and delivered as if it came
    now, with the time it was received at. What can't stays, with the new reason. It may be done
    while the gateway runs, and twice: nothing is delivered twice.
    """
    if bool(items) + (everything or bool(account)) != 1:
        raise click.UsageError("say which: ids, --account NAME, or --all")
    from bridge.intake.rereading import read_again as again

    store = open_store(ctx)
    read = _reader(ctx, store)
    join = read.join
    counts: dict[str, int] = {}
    shown: list[Mapping[str, Any]] = []
    delivered = False
    try:
        for page in _oldest_first(store, items, account):
            results = again(store, page, read, join, dry=dry_run)
            for result in results:
                counts[result.became] = counts.get(result.became, 0) + 1
                delivered = delivered or result.delivered
                line = _told(result, as_json=as_json, unmask=unmask)
                if as_json:
                    show_json(line)
                else:
                    shown.append(line)
    finally:
        # Whatever came in between, what was done is done.
        if delivered and not dry_run:
            _ring(ctx)
    if as_json:
        return
    if shown:
        used = [name for name in _SCREENED if any(line[name] for line in shown)]
        show_table(shown, used)
        click.echo()
    click.echo(_summary(counts, dry_run=dry_run))


def _reader(ctx: click.Context, store: "Store") -> "Reader":
    """Return what reads items by the store's newest revision."""
    import os

    from bridge.ids import Ids
    from bridge.intake.rereading import Reader
    from bridge.intake.routing import RoutingTable
    from bridge.model import Live

    live = store.live() or Live()
    accounts = {account.name: account for account in live.accounts}
    return Reader(accounts, RoutingTable(live), Ids(now, os.urandom), now, _assembly_timeout(ctx))


def _assembly_timeout(ctx: click.Context) -> float:
    """Return the configured time-out, of which no more of a configuration is read than this."""
    from bridge.config import Intake

    file = find_config(_config_of(ctx))
    if file is not None:
        try:
            table = tomllib.loads(read_text(file)).get("intake")
        except tomllib.TOMLDecodeError:
            table = None
        if isinstance(table, dict):
            value = table.get("assembly_timeout")
            if isinstance(value, int | float) and value > 0:
                return float(value)
    return Intake().assembly_timeout


def _config_of(ctx: click.Context | None) -> str | None:
    while ctx is not None:
        if isinstance(value := ctx.params.get("config"), str):
            return value
        ctx = ctx.parent
    return None


def _oldest_first(
    store: "Store", items: Sequence[str], account: str | None
) -> Iterator[Sequence["QuarantineRow"]]:
    """Yield what is meant, page by page, each once."""
    if items:
        rows = _named(store, items)[::-1]
        yield from (rows[at : at + PAGE] for at in range(0, len(rows), PAGE))
        return
    after = 0
    while page := store.quarantined(limit=PAGE, after=after, account=account):
        after = page[-1].number
        yield page


def _named(store: "Store", items: Sequence[str]) -> list["QuarantineRow"]:
    """Return items by id, newest first. Raises NotFound, naming the first that isn't there."""
    rows = store.quarantined(ids=items)
    known = {row.id for row in rows}
    for item in items:
        if item not in known:
            was = "; it was read: see `smsbridge messages show msg_" + item.partition("_")[2] + "`"
            read = store.messages(id="msg_" + item.partition("_")[2], limit=1)
            raise NotFound(f"{item} is not in quarantine{was if read else ''}")
    return rows


def _told(result: "Result", *, as_json: bool, unmask: bool) -> dict[str, Any]:
    from bridge.telemetry import mask_number

    def number(value: str) -> str | None:
        return (value if unmask else mask_number(value)) if value else None

    return {
        "id": result.row.id,
        "received_at": when(result.row.received_at, as_json=as_json),
        "account": result.row.account,
        "became": result.became,
        "as": result.id or None,
        "from": number(result.source),
        "to": number(result.destination),
        "reason": result.reason or None,
    }


_WORDS = {
    "message": ("message", "messages"),
    "receipt": ("receipt", "receipts"),
    "fragment": ("part of a message", "parts of messages"),
    "repeat": ("repeat of what is there", "repeats of what is there"),
    "gone": ("already gone", "already gone"),
}


def _summary(counts: Mapping[str, int], *, dry_run: bool) -> str:
    """Say in a sentence what became of all of them."""
    if not counts:
        return "Nothing is in quarantine."
    stay = counts.get("stays", 0)
    left = [
        f"{counts[name]} {words[counts[name] > 1]}"
        for name, words in _WORDS.items()
        if counts.get(name)
    ]
    read = sum(counts.values()) - stay
    verb = "would be read" if dry_run else "read again"
    parts = [f"{read} {verb}" + (f" ({', '.join(left)})" if left else "")]
    if stay:
        parts.append(f"{stay} {'would stay' if dry_run else 'stay' if stay > 1 else 'stays'}")
    return ", ".join(parts) + "."


def _ring(ctx: click.Context) -> None:
    from bridge.doorbell import DUE, Doorbell, directory_for

    bell = Doorbell(directory_for(store_path(ctx)), "", hears=())
    bell.ring(DUE)
    bell.close()


@quarantine.command()
@click.argument("items", nargs=-1, required=True, metavar="ID…")
@store_options
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.pass_context
def discard(
    ctx: click.Context, /, *, items: tuple[str, ...], yes: bool, **_where: str | None
) -> None:
    """Throw items away for good: what they say is lost."""
    store = open_store(ctx)
    rows = _named(store, items)
    if not yes:
        show_table(
            [_shown(row, as_json=False, unmask=False) for row in rows],
            ("id", "received_at", "account", "octets", "reason"),
        )
        click.confirm(f"\nDiscard {len(rows)} for good?", abort=True)
    done = store.discard([row.number for row in rows])
    click.echo(f"{done} discarded.")
