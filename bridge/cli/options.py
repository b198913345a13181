"""What commands share: finding the configuration and the store, and printing lists."""

import os
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.errors import ConfigError, Problem, StoreUnusable
from smsc.message import Millis

if TYPE_CHECKING:
    from bridge.config import Config, LiveFile
    from bridge.store.contract import Store

F = TypeVar("F", bound=Callable[..., Any])

PLACES = (Path("smsbridge.toml"), Path("/etc/smsbridge/smsbridge.toml"))
VARIABLE = "SMSBRIDGE_CONFIG"

GAP = 2
"""Characters between two columns of a table."""
FOLDED = 20
"""Characters to which the last column of a table may be folded."""
UNBOUNDED = 100_000
"""Characters of a line where no terminal ends it."""

config_option = click.option(
    "--config", "-c", type=click.Path(dir_okay=False), metavar="FILE",
    help=f"Configuration file. Default: ${VARIABLE}, {PLACES[0]}, {PLACES[1]}.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
limit_option = click.option(
    "--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="At most so many."
)
unmask_option = click.option("--unmask", is_flag=True, help="Show numbers and texts in full.")


def store_options(command: F) -> F:
    """Add ``--config`` and ``--store`` to a command: see :func:`open_store`."""
    store = click.option(
        "--store", type=click.Path(dir_okay=False), metavar="PATH",
        help="The store itself. Default: what the configuration names.",
    )  # fmt: skip
    return config_option(store(command))


def find_config(given: str | None) -> Path | None:
    """Return the configuration file to use; None: there is none.

    One that was named, by option or variable, must exist: raises ConfigError.
    """
    for name, by in ((given, "--config"), (os.environ.get(VARIABLE), f"${VARIABLE}")):
        if name:
            if not Path(name).exists():
                raise ConfigError(name, (Problem("", f"no such file (named by {by})"),))
            return Path(name)
    return next((place for place in PLACES if place.exists()), None)


def require_config(given: str | None) -> Path:
    """Do the same, and raise ConfigError where there is none."""
    found = find_config(given)
    if found is None:
        looked = ", ".join(str(place) for place in PLACES)
        detail = (
            f"none found: looked for --config, ${VARIABLE}, {looked}. "
            "conf/quickstart.toml is a start; `smsbridge check --full` prints every option."
        )
        raise ConfigError("configuration", (Problem("", detail),))
    return found


def read_text(path: Path) -> str:
    """Read a configuration file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), (Problem("", error.strerror or str(error)),)) from None
    except UnicodeDecodeError as error:
        detail = f"is not UTF-8 text (octet {error.start})"
        raise ConfigError(str(path), (Problem("", detail),)) from None


def load_config(path: Path) -> tuple["Config", "LiveFile"]:
    """Read and check a whole configuration file. Raises ConfigError with every problem."""
    from msgspec.structs import replace

    from bridge import config

    local, live = config.load(
        read_text(path), str(path), os.environ, lambda name: Path(name).read_text(encoding="utf-8")
    )
    # What the store remembers as the owner of its objects is the same from any directory. Links
    # are not followed: where one is switched to the next release or mount, it is still this file.
    return local, replace(live, source=os.path.abspath(path))  # noqa: PTH100  # see above


def store_path(ctx: click.Context) -> Path:
    """Return where the store is, by ``--store`` or configuration, here or of the parent command.

    Of the configuration no more is read than this: who looks at the store need not have the
    secrets in the environment.
    """
    if named := given(ctx, "store"):
        return Path(named)
    file = find_config(given(ctx, "config"))
    if file is not None:
        try:
            document = tomllib.loads(read_text(file))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(str(file), (Problem("", str(error)),)) from None
        table = document.get("store")
        if isinstance(table, dict) and isinstance(path := table.get("path"), str):
            return Path(path)
    from bridge import config

    return Path(config.Store().path)


def given(ctx: click.Context | None, option: str) -> str | None:
    """Return an option's text as it was given to a command, or to one that it belongs to."""
    while ctx is not None:
        if isinstance(value := ctx.params.get(option), str):
            return value
        ctx = ctx.parent
    return None


def refuse_options(ctx: click.Context) -> None:
    """Raise UsageError where a group was given options of its own and a subcommand besides.

    Passing them over would make `dead-letters --endpoint x retry --all` retry everybody's.
    """
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name not in ("config", "store"):
            raise click.UsageError(
                f"{parameter.opts[0]} before `{ctx.invoked_subcommand}` is for the list; give"
                f" what `{ctx.invoked_subcommand}` is to know behind it"
            )


def open_store(ctx: click.Context) -> "Store":
    """Open the store for a command; it is closed when the command ends.

    Raises StoreUnusable where there is none: reading commands make nothing.
    """
    from bridge.store.sqlite.engine import SqliteStore

    path = store_path(ctx)
    if not path.exists() or path.stat().st_size == 0:
        raise StoreUnusable(
            f"there is no store at {path}. `smsbridge serve` makes one; "
            "--config or --store names another."
        )
    store = SqliteStore(path, clock=now)
    ctx.call_on_close(store.close)
    return store


def now() -> Millis:
    """Return the time of day."""
    return time.time_ns() // 1_000_000


def when(moment: Millis | None, *, as_json: bool) -> str | None:
    """Write a time: RFC 3339 UTC for programs, local to the second for people."""
    if moment is None:
        return None
    at = datetime.fromtimestamp(moment / 1_000, UTC)
    if as_json:
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def unknown_account(store: "Store", name: str | None) -> str:
    """Return a sentence where no account has this name: so nothing of it is there to show."""
    live = store.live() if name else None
    if live is None or any(account.name == name for account in live.accounts):
        return ""
    return f"There is no account {name}; `smsbridge check` lists those of a file."


def show_list(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str
) -> None:
    """Print rows: each as a JSON object, or ``columns`` of them as a table.

    Where there are none, ``empty`` says so on standard error.
    """
    shown = False
    if as_json:
        for row in rows:
            show_json(row)
            shown = True
    else:
        listed = list(rows)
        shown = bool(listed)
        if shown:
            show_table(listed, columns)
    if not shown:
        click.echo(empty, err=True)


def show_json(value: Any) -> None:
    """Print a value as one line of JSON, which is UTF-8 whatever the terminal's encoding."""
    import msgspec

    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows in columns; on a terminal too narrow for them a block of lines each.

    Only the last column, which is the one that may be long, is ever folded: an id in pieces
    can't be copied.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    titles = [column.replace("_", " ") for column in columns]
    # Text, not markup: what a carrier sent is never read as a colour.
    lines = [[Text(cell(row.get(column))) for column in columns] for row in rows]
    widths = [
        max(cell_len(title), *(line[at].cell_len for line in lines))
        for at, title in enumerate(titles)
    ]
    watched = sys.stdout.isatty()
    console = Console(width=None if watched else UNBOUNDED)
    if (
        watched
        and sum(widths[:-1]) + GAP * (len(widths) - 1) + min(widths[-1], FOLDED) > console.width
    ):
        for line in lines:
            block = Table(box=None, pad_edge=False, show_header=False)
            block.add_column(style="bold", no_wrap=True)
            block.add_column(overflow="fold")
            for title, value in zip(titles, line, strict=True):
                block.add_row(title, value)
            console.print(block)
            console.print()
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, title in zip(columns, titles, strict=True):
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(
            title,
            overflow="fold",
            no_wrap=column != columns[-1],
            justify="right" if numeric else "left",
        )
    for line in lines:
        table.add_row(*line)
    console.print(table)


def cell(value: object) -> str:
    """Write a value for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # Control characters of somebody else's text must not reach the terminal.
    return "".join(char if char.isprintable() else "·" for char in text)
