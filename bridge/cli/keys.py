"""``smsbridge keys …``: secrets are read from a prompt or standard input, never from arguments."""

import base64
import secrets
import sys

import click


@click.group()
def keys() -> None:
    """Hash a bind password; make an endpoint's secret."""


@keys.command("hash-password")
def hash_password() -> None:
    """Print the hash of a bind password, for `password_hash` of an account.

    The password is asked for twice, or read from standard input when that is no terminal.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.ClickException("the password is empty")
    if not (password.isascii() and len(password) <= 64):
        raise click.ClickException("a bind password is ASCII, at most 64 characters")
    if len(password) > 8:
        click.echo(
            f"note: SMPP 3.4 allows 8 characters; this has {len(password)}, which not every "
            "carrier can send.", err=True,
        )  # fmt: skip
    from bridge.passwords import hash_password as hashed

    click.echo(hashed(password))


@keys.command("endpoint-secret")
def endpoint_secret() -> None:
    """Print a new secret for `secrets` of an endpoint; the customer verifies with the same."""
    click.echo("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
