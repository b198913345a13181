"""``smsbridge check``: what a configuration would do, without doing it."""

from typing import TYPE_CHECKING, Any, get_args

import click

from bridge.cli.options import config_option, load_config, require_config, show_json
from smsc.config import BindKind

if TYPE_CHECKING:
    from bridge.config import Config, LiveFile


@click.command()
@config_option
@click.option("--full", is_flag=True, help="Print every option with its meaning and default.")
@click.option("--json", "as_json", is_flag=True, help="The plan as one JSON object.")
def check(*, config: str | None, full: bool, as_json: bool) -> None:
    """Say what a configuration file would do, or everything that is wrong with it (exit 2)."""
    if full:
        from bridge.config.print import full_toml

        click.echo(full_toml(), nl=False)
        return
    path = require_config(config)
    local, live = load_config(path)
    if any(each.tls for each in local.listeners) or any(
        each.dial is not None and each.dial.tls for each in live.accounts
    ):
        from bridge.carriers import check_files

        check_files(local, str(path), live.accounts)
    if as_json:
        show_json(_plan(str(path), local, live))
        return
    for line in _prose(str(path), local, live):
        click.echo(line)


def _plan(source: str, local: "Config", live: "LiveFile") -> dict[str, object]:
    routes = {route.name: route for route in live.routes}
    return {
        "config": source,
        "store": local.store.path,
        "listeners": [f"{each.host}:{each.port}" for each in local.listeners],
        "api": f"{local.api.host}:{local.api.port}",
        "processes": {
            "carrier": local.carrier.processes, "delivery": local.delivery.processes, "api": 1,
        },
        "accounts": [
            {"name": each.name, "system_id": each.system_id, "carrier": each.carrier or each.name,
             "enabled": each.enabled, "binds": list(each.binds),
             "dials": list(each.dial.hosts) if each.dial else [], "outbind": each.outbind,
             "allow_from": list(each.allow_from), "certificates": len(each.certificates),
             "require_tls": each.require_tls}
            for each in live.accounts
        ],
        "numbers": [
            {"number": each.number, "tenant": each.tenant, "routes": [
                {"route": name, "routing_tag": routes[name].routing_tag,
                 "endpoints": list(routes[name].endpoints)}
                for name in each.routes if name in routes
            ]}
            for each in live.numbers
        ],
        "endpoints": [
            {"name": each.name, "url": _shown(each.url), "enabled": each.enabled,
             "secrets": len(each.secrets), "attempts": len(each.retry_schedule)}
            for each in live.endpoints
        ],
    }  # fmt: skip


def _shown(url: str) -> str:
    """Return a URL without its query, which may hold a token: plans are pasted into tickets."""
    head, mark, _ = url.partition("?")
    return head + (mark and "?…")


def _guarded(account: Any) -> str:
    """Say whose binds are looked at at all."""
    words = []
    if len(account.binds) < len(get_args(BindKind)):
        words.append(f"as {' or '.join(account.binds)}")
    if account.allow_from:
        words.append(f"from {', '.join(account.allow_from)}")
    if account.certificates:
        number = len(account.certificates)
        words.append(f"with one of {number} certificates" if number > 1 else "with its certificate")
    elif account.require_tls:
        words.append("over TLS")
    return f"only {', '.join(words)}" if words else ""


def _dialled(account: Any) -> str:
    """Say whom we dial for an account, and what else we bind by ourselves."""
    dial = account.dial
    if dial is None:
        return ""
    words = []
    if dial.hosts:
        kinds = " and ".join(dial.binds)
        links = f"{dial.links} links" if dial.links > 1 else "one link"
        secured = " over TLS" if dial.tls else ""
        to = ", then ".join(dial.hosts)
        words.append(
            f"we dial {to}{secured} as {dial.system_id or account.system_id}: {links} as {kinds}"
        )
    if account.outbind:
        words.append(f"we bind back as {dial.binds[0]} where it sends an outbind")
    return "; ".join(words)


def _prose(source: str, local: "Config", live: "LiveFile") -> list[str]:
    routes = {route.name: route for route in live.routes}
    endpoints = {endpoint.name: endpoint for endpoint in live.endpoints}
    lines = [f"{source} is fine.", ""]
    shared = f", shared by {local.carrier.processes} processes" * (local.carrier.processes > 1)
    for each in local.listeners:
        mutual = ", with client certificates" if each.tls and each.tls.client_ca else ""
        secured = f" (TLS{mutual})" if each.tls else ""
        balanced = f", behind balancers in {', '.join(each.proxies)}" if each.proxies else ""
        lines.append(f"carriers    {each.host}:{each.port}{secured}{shared}{balanced}")
    lines += [
        f"api         http://{local.api.host}:{local.api.port}",
        f"store       {local.store.path}",
    ]
    lines += ["", "accounts"]
    for account in live.accounts:
        off = "" if account.enabled else "  (disabled)"
        carrier = account.carrier or account.name
        binds = account.password_hash or account.name in live.passwords or account.dial is None
        comes = f"binds as {account.system_id}, " if binds else ""
        lines.append(f"  {account.name}  {comes}carrier {carrier}{off}")
        lines += [f"    {words}" for words in (_guarded(account), _dialled(account)) if words]
    if not live.accounts:
        lines.append("  none: no carrier can bind")
    lines += ["", "numbers"]
    for number in live.numbers:
        lines.append(f"  {number.number}" + ("" if number.routes else "  no route: unrouted"))
        for name in number.routes:
            route = routes[name]
            tag = f"  (tag {route.routing_tag})" if route.routing_tag else ""
            lines.append(f"    {name}{tag}")
            for to in route.endpoints:
                endpoint = endpoints[to]
                off = "" if endpoint.enabled else "  (disabled: collects, sends nothing)"
                lines.append(f"      {to}  {_shown(endpoint.url)}{off}")
    if not live.numbers:
        lines.append("  none: every message will be unrouted")
    used = {name for number in live.numbers for name in number.routes}
    sent = {to for name in used if name in routes for to in routes[name].endpoints}
    idle = [f"route {name}" for name in routes if name not in used]
    idle += [f"endpoint {name}" for name in endpoints if name not in sent]
    if idle:
        lines += ["", f"used by no number: {', '.join(idle)}"]
    return lines
