"""``smsbridge links``: carriers' links as they are now."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
    store_options,
    unknown_account,
    when,
)
from bridge.cli.recording import end_recording, record
from bridge.cli.refused import refused
from bridge.errors import StoreError
from smsc.message import Millis
from smsc.status import LinkStatus

if TYPE_CHECKING:
    from rich.table import Table

    from bridge.store.contract import Store

STALE = 10_000
"""Milliseconds without a sign after which a process, or what it said of a link, is past."""
BEAT = 1.0
"""Seconds between two times that a process tells of its links."""
PATIENCE = 1.5
"""Seconds to wait for the next such time."""
MOST_WATCHED = 200
"""Links shown by ``--watch``: more fit no terminal."""

COLUMNS = (
    "account", "state", "kind", "direction", "peer", "version", "tls", "window", "pdus_per_second",
    "errors", "throttled", "last_enquiry", "age", "link",
)  # fmt: skip

IMPORTANCE = (
    "account", "state", "peer", "pdus_per_second", "window", "errors", "last_enquiry", "age",
    "throttled", "kind", "link", "direction", "version", "tls",
)  # fmt: skip
"""Which columns ``--watch`` shows first where there is no room for all."""
MOST_NAMED = 10
"""Accounts named in one sentence."""
LEAST = 2
GAP = 2
"""Spaces between columns."""


@click.group(invoke_without_command=True)
@store_options
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option("--all", "everything", is_flag=True, help="Those that ended within a day, too.")
@click.option("--watch", is_flag=True, help="Refresh every second, until Ctrl-C.")
@limit_option
@json_option
@click.pass_context
def links(
    ctx: click.Context,
    /,
    *,
    account: str | None,
    everything: bool,
    watch: bool,
    limit: int,
    as_json: bool,
    **_where: str | None,
) -> None:
    """Show carriers' links, of all processes: what state they are in and how busy they are.

    The window is requests without an answer yet and how many there may be; last enquiry: since an
    enquire_link of the carrier, or its answer to ours, last came. PDUs a second are those of the
    last second. `record` writes down what goes over links, `refused` lists what carriers were
    refused, and why.
    """
    if ctx.invoked_subcommand is not None:
        refuse_options(ctx)
        return
    store = open_store(ctx)
    look = Look(store, account=account, everything=everything)
    if watch:
        try:
            _watch(look, as_json=as_json)
        except KeyboardInterrupt:
            return
    rows = look.twice()
    look.warn()
    show_list(
        [shown(row, as_json=as_json) for row in rows[:limit]],
        (*COLUMNS, *(("reason",) if everything else ())),
        as_json=as_json,
        empty=look.empty(),
    )
    if len(rows) > limit:
        click.echo(f"… and {len(rows) - limit} more; --limit {len(rows)} shows all.", err=True)


links.add_command(record)
links.add_command(end_recording)
links.add_command(refused)


class Row(msgspec.Struct, frozen=True):
    """A link, and what two looks at it tell."""

    status: LinkStatus
    rate: float | None
    """PDUs a second; None where there was only one look."""
    window: int
    """How many requests may be open; 0: not known."""
    at: Millis
    """The time of the look."""

    @property
    def silence(self) -> Millis:
        """How long its process has said nothing of it, if that is too long; else 0."""
        if self.status.state == "closed" or not self.status.at:
            return 0
        silence = self.at - self.status.at
        return silence if silence > STALE else 0


class Look:
    """Looks at links, and remembers the look before."""

    def __init__(self, store: "Store", *, account: str | None, everything: bool) -> None:
        self._store = store
        self._account = account
        self._everything = everything
        self._before: dict[str, LinkStatus] = {}
        self._rates: dict[str, float] = {}
        self._accounts: Mapping[str, Any] = {}
        self._revision = -1

    def once(self) -> Iterator[Row]:
        """Yield links as they are now. Raises StoreError."""
        live = self._store.live(self._revision)
        if live is not None:
            self._revision = live.revision
            self._accounts = {each.name: each for each in live.accounts}
        at = now()
        found = [
            status
            for status in self._store.links(closed=self._everything)
            if self._account in (None, status.account)
        ]
        for status in found:
            before = self._before.get(status.link)
            if before is not None and status.at > before.at:
                passed = (status.at - before.at) / 1_000
                self._rates[status.link] = (status.pdus - before.pdus) / passed
        self._before = {status.link: status for status in found}
        self._rates = {link: rate for link, rate in self._rates.items() if link in self._before}
        for status in found:
            account = self._accounts.get(status.account)
            window = account.window if account is not None else 0
            live_now = status.state != "closed"
            yield Row(status, self._rates.get(status.link) if live_now else None, window, at)

    def twice(self) -> list[Row]:
        """Return links as they are now, having waited for their next beat, where they have one."""
        rows = list(self.once())
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(
            row.rate is None and row.status.state != "closed" and row.status.at and not row.silence
            for row in rows
        ):
            time.sleep(BEAT / 8)
            rows = list(self.once())
        return rows

    def warn(self) -> None:
        """Say on standard error what makes the list less than it seems."""
        for sentence in self.warnings():
            click.echo(sentence, err=True)

    def warnings(self) -> list[str]:
        """Return the same as sentences."""
        said = []
        carriers = [each for each in self._store.processes() if each.role in {"carrier", "all"}]
        at = now()
        alive = [each for each in carriers if at - each.seen_at < STALE]
        if not alive:
            said.append("No carrier process is running: links are as it last saw them.")
        else:
            said += self._missing()
            said += [
                f"A carrier process (pid {each.pid} on {each.node.partition('/')[0]}) was last"
                f" heard of {length(at - each.seen_at)} ago: its links are as they were then."
                for each in carriers
                if each not in alive
            ]
        return said

    def _missing(self) -> list[str]:
        """Say which accounts we dial in vain: those without any link that is bound.

        To be asked after a look, which finds them.
        """
        bound = {each.account for each in self._before.values() if each.state == "bound"}
        names = sorted(
            name
            for name, account in self._accounts.items()
            if account.enabled and account.dial is not None and account.dial.hosts
            and name not in bound and self._account in (None, name)
        )  # fmt: skip
        if not names:
            return []
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        whom = ", ".join(names[:MOST_NAMED]) + more
        return [f"We dial {whom} and have no link: `smsbridge links refused` says why."]

    def empty(self) -> str:
        """Say why there is nothing to show, and what to do about it."""
        if unknown := unknown_account(self._store, self._account):
            return unknown
        of = f" of {self._account}" if self._account else ""
        refused = f"`smsbridge links refused{f' --account {self._account}' if of else ''}`"
        if self._everything:
            return (
                f"No link{of}. Carriers bind to the listeners of `smsbridge serve`;"
                f" {refused} lists binds that were refused."
            )
        return (
            f"No link{of} is open; --all shows those that ended within a day,"
            f" {refused} binds that were refused."
        )


def _watch(look: Look, *, as_json: bool) -> None:
    """Show links again every second. Ends by KeyboardInterrupt only."""
    if as_json or not sys.stdout.isatty():
        while True:
            for row in look.once():
                show_json(shown(row, as_json=True))
            sys.stdout.flush()
            time.sleep(BEAT)
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            try:
                rows = list(look.once())
                said = [*look.warnings(), *([] if rows else [look.empty()])]
                parts = [Text(sentence, style="yellow") for sentence in said]
                left = len(rows) - MOST_WATCHED
                more = [Text(f"… and {left} more")] if left > 0 else []
                screen.update(
                    Group(*parts, table(rows[:MOST_WATCHED], console.width), *more), refresh=True
                )
            except StoreError as error:
                screen.update(Text(str(error), style="red"), refresh=True)
            time.sleep(BEAT)


def table(rows: Sequence[Row], width: int) -> "Table":
    """Return links as a table with those columns that there is room for in full, and at least
    the :data:`LEAST` that matter most."""
    from rich.table import Table
    from rich.text import Text

    lines = [{name: cell(value) for name, value in shown(row, as_json=False).items()}
             for row in rows]  # fmt: skip
    left = width
    widths: dict[str, int] = {}
    for column in IMPORTANCE:
        wanted = max([len(column), *(len(line[column]) for line in lines)])
        if wanted > left and len(widths) >= LEAST:
            break
        widths[column] = max(1, min(wanted, left))
        left -= wanted + GAP
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    columns = [column for column in COLUMNS if column in widths]
    for column in columns:
        title = column.replace("_", " ")
        made.add_column(title, no_wrap=True, overflow="ellipsis", width=widths[column])
    for row, line in zip(rows, lines, strict=True):
        style = "red" if row.silence else "" if row.status.state == "bound" else "dim"
        made.add_row(*(Text(line[column]) for column in columns), style=style)
    return made


def shown(row: Row, *, as_json: bool) -> dict[str, Any]:
    """Return a link as it is shown."""
    status = row.status
    facts: dict[str, Any] = msgspec.structs.asdict(status)
    for name in ("opened_at", "bound_at", "alive_at", "enquired_at", "at"):
        facts[name] = when(facts[name] or None, as_json=as_json)
    facts["version"] = f"{status.version >> 4}.{status.version & 15}" if status.version else None
    facts["pdus_per_second"] = None if row.rate is None else round(row.rate, 1)
    since = status.bound_at or status.opened_at
    if as_json:
        facts["window_limit"] = row.window or None
        facts["stale"] = bool(row.silence)
        return facts
    facts["account"] = status.account or None
    facts["tls"] = status.tls or None
    facts["window"] = f"{status.window}/{row.window}" if row.window else str(status.window)
    facts["age"] = length(row.at - since)
    facts["last_enquiry"] = length(row.at - status.enquired_at) if status.enquired_at else None
    if status.recording:
        facts["state"] += ", recorded"
    if row.silence:
        facts["state"] += f" when last heard of, {length(row.silence)} ago"
    return facts


def length(passed: Millis) -> str:
    """Write how long something took or is ago, in its largest unit: ``42 s``, ``3 h``."""
    seconds = max(0, passed) // 1_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
