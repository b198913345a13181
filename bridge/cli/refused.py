"""``smsbridge links refused``: what carriers were refused, and why."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import (
    cell,
    json_option,
    limit_option,
    open_store,
    show_list,
    store_options,
    unknown_account,
    when,
)
from bridge.cli.read import pages

if TYPE_CHECKING:
    from bridge.store.contract import Store
    from bridge.store.listing import RefusalRow


@click.command()
@store_options
@click.option("--account", metavar="NAME", help='Only of this account; "" for strangers.')
@click.option("--explain", is_flag=True, help="With the PDUs, explained and masked.")
@click.option("--unmask", is_flag=True, help="With --explain: numbers and texts in full.")
@click.option("--before", type=click.IntRange(0), metavar="NUMBER", help="Only older ones.")
@limit_option
@json_option
@click.pass_context
def refused(
    ctx: click.Context,
    /,
    *,
    account: str | None,
    explain: bool,
    unmask: bool,
    before: int | None,
    limit: int,
    as_json: bool,
    **_where: str | None,
) -> None:
    """List what carriers were refused, newest first: connections, binds and PDUs, and why.

    The newest 1,000 of each account are kept, and of those whom no account knows; of a flood a
    part. Binds of ours are among them, with what the carrier, or the network, had against them;
    connections that were turned away before SMPP, because of TLS, a balancer's header or a limit,
    are strangers'. Without a status there was no answer, or it was the carrier's.
    """
    store = open_store(ctx)
    empty = unknown_account(store, account) or _nothing_refused(account)
    found = pages(
        lambda after, size: store.refusals(
            account=account, limit=size, before=before if after is None else after
        ),
        limit,
        key="number",
    )
    if explain and not as_json:
        _explain_all(found, store, unmask=unmask, empty=empty)
        return
    accounts = _accounts(store) if explain else {}
    show_list(
        (_refusal(row, accounts if explain else None, unmask=unmask, as_json=as_json)
         for row in found),
        ("at", "account", "peer", "command", "status_name", "reason"),
        as_json=as_json,
        empty=empty,
    )  # fmt: skip


def _nothing_refused(account: str | None) -> str:
    of = "" if account is None else f" of {account or 'strangers'}"
    return f"Nothing{of} was refused."


def _accounts(store: "Store") -> Mapping[str, Any]:
    live = store.live()
    return {each.name: each for each in live.accounts} if live is not None else {}


def _refusal(
    row: "RefusalRow", accounts: Mapping[str, Any] | None, *, unmask: bool, as_json: bool
) -> dict[str, Any]:
    """Return a refusal as it is shown; with ``accounts`` its PDU is explained."""
    from smsc.inspect import as_dict, status_name

    refusal = row.refusal
    facts: dict[str, Any] = {
        "number": row.number,
        "at": when(refusal.at, as_json=as_json),
        "account": refusal.account if as_json else refusal.account or None,
        "link": refusal.link,
        "peer": refusal.peer,
        "command": refusal.command,
        "status": refusal.status,
        "status_name": status_name(refusal.status) if refusal.status else None,
        "reason": refusal.reason,
    }
    if accounts is not None:
        facts["explained"] = [
            as_dict(each) for each in _explained(row, accounts.get(refusal.account), unmask=unmask)
        ]
    return facts


def _explained(row: "RefusalRow", account: Any, *, unmask: bool) -> Iterator[Any]:
    from smsc.inspect import explain, mask

    if row.refusal.raw:
        for explanation in explain(row.refusal.raw, account, line=0):
            yield explanation if unmask else mask(explanation)


def _explain_all(rows: Iterable["RefusalRow"], store: "Store", *, unmask: bool, empty: str) -> None:
    from smsc.inspect import to_text

    accounts = _accounts(store)
    first = True
    for row in rows:
        refusal = row.refusal
        facts = _refusal(row, None, unmask=unmask, as_json=False)
        words = [facts["at"], facts["account"] or "a stranger", facts["peer"], facts["command"]]
        if facts["status_name"]:
            words.append(facts["status_name"])
        click.echo(("" if first else "\n") + cell("  ".join(words)))
        click.echo(f"  {cell(refusal.reason)}")
        for explanation in _explained(row, accounts.get(refusal.account), unmask=unmask):
            for line in to_text(explanation):
                click.echo(f"  {cell(line)}")
        first = False
    if first:
        click.echo(empty, err=True)
