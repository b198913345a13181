"""``smsbridge links record | end-recording``: what goes over a link, written down."""

import os
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from bridge.cli.options import (
    find_config,
    given,
    now,
    open_store,
    read_text,
    show_json,
    store_options,
    store_path,
)
from bridge.errors import BridgeError, ConfigError, NotFound, Problem

if TYPE_CHECKING:
    from bridge.store.contract import Order, Store

ALIVE = 10_000
"""Milliseconds within which a carrier process must have been heard of."""
LONGEST = 86_400
"""Seconds a recording may take."""
USUAL = "60s"
GRACE = 2.0
"""Seconds that processes have to end a recording whose time is up."""
POLL = 0.25
END = b"\n# ended: "
"""What the last line of a view begins with."""

_LENGTH = re.compile(r"(\d+)\s*(s|m|min|h)?")
_UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3_600}


def seconds_of(_ctx: click.Context, _option: click.Parameter, value: str) -> int:
    """Return the seconds of a length of time: ``90``, ``90s``, ``5m``, ``1h``."""
    found = _LENGTH.fullmatch(value.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= LONGEST:
        raise click.BadParameter(f"{value!r} is none such as 60s, 5m or 2h; a day at most")
    return seconds


@click.command()
@click.argument("what", metavar="LINK|ACCOUNT")
@store_options
@click.option(
    "--for",
    "seconds",
    callback=seconds_of,
    default=USUAL,
    metavar="LENGTH",
    help="How long: 60s, 5m, 2h. Default: 60s.",
)
@click.option(
    "--pdus",
    type=click.IntRange(1),
    metavar="N",
    help="Of each link so many PDUs, if they come in that time.",
)
@click.option("--unmask", is_flag=True, help="Show numbers and texts in full in the decoded view.")
@click.option(
    "--pcap",
    is_flag=True,
    help="Write a capture for Wireshark too. It holds numbers and texts in full.",
)
@click.option("--detach", is_flag=True, help="Don't wait for it.")
@click.option("--json", "as_json", is_flag=True, help="What was written, as one JSON object.")
@click.pass_context
def record(
    ctx: click.Context,
    /,
    *,
    what: str,
    seconds: int,
    pdus: int | None,
    unmask: bool,
    pcap: bool,
    detach: bool,
    as_json: bool,
    **_where: str | None,
) -> None:
    """Write down what goes over a link, or over all links of an account, those to come too.

    For each link a file for people, every PDU with its fields in words, and with --pcap a capture.
    Passwords are in neither. Ctrl-C ends the recording. A file ends at 64 MiB; files are removed
    after a week.
    """
    from bridge.ids import Ids
    from bridge.store.contract import Order

    store = open_store(ctx)
    folder = recordings_path(ctx)
    link, account = _meant(store, what)
    if not any(p.role in {"carrier", "all"} and now() - p.seen_at < ALIVE
               for p in store.processes()):  # fmt: skip
        raise BridgeError("no carrier process is running: there is nothing to record")
    order = Order(
        id=Ids(now, os.urandom).new("ord"), kind="record", link=link, account=account,
        until=now() + seconds * 1_000, pdus=pdus or 0, unmask=unmask, pcap=pcap,
    )  # fmt: skip
    _give(ctx, store, order)
    target = folder / order.id
    if pcap and not as_json:
        click.echo("The capture will hold numbers and texts in full.", err=True)
    if detach:
        if as_json:
            show_json({"order": order.id, "directory": str(target), "files": []})
        else:
            click.echo(f"recording {what} into {target} for {seconds} s, as {order.id}")
        return
    try:
        _follow(store, order, target, quiet=as_json)
    except KeyboardInterrupt:
        _give(ctx, store, replace(order, kind="end-recording", until=now() + LONGEST * 1_000))
        _await_ends(target)
    _conclude(order, target, what, as_json=as_json)


@click.command("end-recording")
@click.argument("what", metavar="[LINK|ACCOUNT|ORDER]", required=False)
@store_options
@click.pass_context
def end_recording(ctx: click.Context, /, *, what: str | None, **_where: str | None) -> None:
    """End recordings before their time: of a link or account, by their order's id, or all."""
    store = open_store(ctx)
    ended = [
        order
        for order in store.orders(now())
        if order.kind == "record" and what in (None, order.id, order.link, order.account)
    ]
    for order in ended:
        _give(ctx, store, replace(order, kind="end-recording", until=now() + LONGEST * 1_000))
        click.echo(f"{order.id} of {order.link or order.account} ends.")
    if not ended:
        raise NotFound("nothing is being recorded" + (f" of {what}" if what else ""))


def recordings_path(ctx: click.Context) -> Path:
    """Return where recordings are, by ``--store`` or configuration. Raises ConfigError."""
    from bridge.config import recordings_in

    named = ""
    file = None if given(ctx, "store") else find_config(given(ctx, "config"))
    if file is not None:
        try:
            table = tomllib.loads(read_text(file)).get("carrier")
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(str(file), (Problem("", str(error)),)) from None
        if isinstance(table, dict) and isinstance(option := table.get("recordings"), str):
            named = option
    return Path(recordings_in(str(store_path(ctx)), named))


def _meant(store: "Store", what: str) -> tuple[str, str]:
    """Return the link or the account that is meant, the other empty. Raises NotFound."""
    if what.startswith("lnk_"):
        if any(status.link == what for status in store.links(closed=False)):
            return what, ""
        raise NotFound(f"there is no open link {what}; `smsbridge links` lists them")
    live = store.live()
    names = [account.name for account in live.accounts] if live is not None else []
    if what not in names:
        known = f"; there are {', '.join(names[:10])}" if names else ""
        raise NotFound(f"there is no account {what}{known}")
    return "", what


def _give(ctx: click.Context, store: "Store", order: "Order") -> None:
    from bridge.doorbell import ORDERS, Doorbell, directory_for

    store.order(order)
    bell = Doorbell(directory_for(store_path(ctx)), "", hears=())
    bell.ring(ORDERS)
    bell.close()


def _follow(store: "Store", order: "Order", target: Path, *, quiet: bool) -> None:
    """Say which files come to be, until the recording is over or somebody has ended it."""
    known: set[Path] = set()
    watched = sys.stderr.isatty() and not quiet
    while (left := order.until - now()) > -GRACE * 1_000:
        views = list(_views(target))
        for view in views:
            if view not in known and not quiet:
                _clear(watched=watched)
                click.echo(f"recording into {view}")
            known.add(view)
        stands = any(each.id == order.id and each.kind == "record" for each in store.orders(now()))
        if all(map(_ended, views)) and (not stands or (views and order.link)):
            break
        if watched:
            size = sum(_size(view) for view in views)
            progress = f"{max(0, left) // 1_000:4} s left, {len(views)} links, {size:,} octets"
            click.echo(f"\r{progress}", nl=False, err=True)
        time.sleep(POLL)
    _clear(watched=watched)


def _clear(*, watched: bool) -> None:
    if watched:
        click.echo("\r\x1b[2K", nl=False, err=True)


def _await_ends(target: Path) -> None:
    until = time.monotonic() + GRACE
    while time.monotonic() < until and not all(map(_ended, _views(target))):
        time.sleep(POLL)


def _conclude(order: "Order", target: Path, what: str, *, as_json: bool) -> None:
    written = []
    for view in _views(target):
        capture = view.with_suffix(".pcap")
        written.append({
            "view": str(view),
            "capture": str(capture) if capture.exists() else None,
            "ended": _how(view),
        })  # fmt: skip
    if as_json:
        show_json({"order": order.id, "directory": str(target), "files": written})
    for each in written if not as_json else ():
        click.echo("  ".join(filter(None, (each["view"], each["capture"]))))
        click.echo(f"  {each['ended'] or 'it is not closed yet'}")
    if not written:
        raise NotFound(f"no link of {what} was open in that time: nothing was recorded")


def _views(target: Path) -> Iterator[Path]:
    try:
        yield from sorted(target.glob("*.txt"))
    except OSError as error:
        raise BridgeError(f"{target} can't be read: {error.strerror}") from None


def _size(view: Path) -> int:
    try:
        return view.stat().st_size
    except OSError:
        return 0


def _how(view: Path) -> str:
    """Return a view's last line, where it says how the recording ended."""
    try:
        with view.open("rb") as file:
            file.seek(max(0, _size(view) - 400))
            _, mark, words = file.read().rpartition(END)
    except OSError:
        return ""
    return words.decode("utf-8", "replace").strip() if mark else ""


def _ended(view: Path) -> bool:
    return bool(_how(view))
