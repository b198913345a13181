"""``smsbridge …``: the commands, and how any of them ends.

Exit status: 0 fine, 1 failed, 2 wrong usage or configuration. What went wrong is said in a
sentence on standard error. Each command's module is imported when the command is asked for, so
that ``--help`` is quick.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

import click

import smsc
from bridge.errors import BridgeError, ConfigError

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("bridge.cli.serve:serve", "Run the gateway."),
    "check": ("bridge.cli.check:check",
              "Say what a configuration would do, or what is wrong with it."),
    "keys": ("bridge.cli.keys:keys", "Hash a bind password; make an endpoint's secret."),
    "links": ("bridge.cli.links:links",
              "Show carriers' links; record them; list what was refused."),
    "messages": ("bridge.cli.read:messages", "List messages; show one with all attempts."),
    "unrouted": ("bridge.cli.read:unrouted", "List messages no route wanted."),
    "dead-letters": ("bridge.cli.read:dead_letters", "List deliveries given up on; retry them."),
    "quarantine": ("bridge.cli.quarantine:quarantine",
                   "List what could not be read or stored; read it again after a fix."),
    "decode": ("bridge.cli.decode:decode",
               "Explain PDUs in hex, a dump or a capture: every field in words."),
    "simulate": ("bridge.cli.simulate:simulate", "Play the carrier's or the customer's side."),
    "demo": ("bridge.cli.simulate:demo", "See it work: one command, no configuration."),
}  # fmt: skip
"""Name → where it is, and what ``--help`` says of it without importing it."""


class Commands(click.Group):
    """Commands that are imported when they are wanted."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order they are shown."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `smsbridge demo`. Configuration: --config, $SMSBRIDGE_CONFIG, "
    "./smsbridge.toml, /etc/smsbridge/smsbridge.toml.",
)
@click.version_option(smsc.__version__, "-V", "--version", message="smsbridge %(version)s")
def smsbridge() -> None:
    """An inbound SMS gateway: carriers deliver over SMPP, customers receive signed webhooks."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status, having said what went wrong."""
    if isinstance(sys.stdout, TextIOWrapper):
        # What the terminal's encoding lacks is no reason to show nothing at all.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        ended = smsbridge.main(arguments, prog_name="smsbridge", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except click.Abort:
        return _say("stopped.", 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BridgeError as error:
        return _say(str(error), 2 if isinstance(error, ConfigError) else 1)
    except BrokenPipeError:
        # Who reads us has seen enough (`| head`). What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except UnicodeEncodeError:
        # Only of what came by the command line: octets there that are no text (PEP 383).
        return _say("what was given is no text in this system's encoding", 2)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _say(f"{what}{error.strerror or error}", 1)
    return ended if isinstance(ended, int) else 0


def _say(sentence: str, status: int) -> int:
    click.echo(f"smsbridge: {sentence}", err=True)
    return status
