"""The configuration file: TOML text in, typed options out, or everything that is wrong with it.

A file has two halves. The *local* half (:class:`Config`) is read at start and belongs to this
node. The *live* half (:class:`LiveFile`) declares accounts, tenants, numbers, routes and
endpoints; it is applied to the store, which owns them: see :mod:`bridge.live`.

Each option is documented under itself; ``conf/full.toml`` is made from these docstrings by
:mod:`bridge.config.print`. Octets and counts are plain integers, durations are seconds.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from bridge.config.check import (
    Declared,
    check_listeners,
    check_live,
    check_networks,
    check_password,
    check_ports,
    check_ranges,
    check_secrets,
    check_ways_in,
)
from bridge.config.read import Problems, ReadFile, Secrets, at, read_table, tables_of
from bridge.delivery.egress import Network
from bridge.errors import ConfigError, Problem
from bridge.model import Endpoint, Number, Route, Tenant
from smsc.config import Account, Listener


class Store(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where everything is durable."""

    path: str = "./smsbridge.db"
    """SQLite file; created (0600) if it isn't there. Needs a local disk."""


class Api(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP side for people and monitoring."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free port."""


class Carrier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes of the carrier role: links, reading of PDUs, intake."""

    processes: int = 1
    """How many share the listeners' ports, 1 to 64."""
    status_host: str = "127.0.0.1"
    """Address of each process's own /metrics, /livez and /readyz."""
    status_port: int = 8100
    """Port of the first process; each further one takes the next. 0: any free port."""
    recordings: str = ""
    """Directory for what `smsbridge links record` writes (0700, its files 0600); made where it is
    missing, and emptied of what is older than a week. Empty: beside the store, with
    ``-recordings`` behind its name."""


class Delivery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes of the delivery role: lanes, sending, upkeep."""

    processes: int = 1
    """How many share the lanes, 1 to 64."""
    status_host: str = "127.0.0.1"
    """Address of each process's own /metrics, /livez and /readyz."""
    status_port: int = 8200
    """Port of the first process; each further one takes the next. 0: any free port."""
    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) webhooks may go to although they are not public, such as ``10.1.0.0/16``
    or ``127.0.0.1/32``. Everything else that is private, loopback or reserved is refused."""
    allow_http: bool = False
    """Whether an endpoint's URL may be ``http://``: its events then cross the network in clear."""


class Intake(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From arrival to commit."""

    assembly_timeout: float = 1_800
    """Seconds after which a message is delivered with gaps where its missing parts belong."""
    commit_timeout: float = 5
    """Seconds a carrier waits for a commit before it is told to send again later."""
    disk_high_water: float = 0.90
    """Share of the store's disk in use above which nothing more is taken in (0.1 to 1)."""
    queue_limit: int = 10_000
    """Arrivals of one process waiting for their commit; more are throttled."""
    parts_limit: int = 100_000
    """Parts of one carrier that may wait for the rest of their messages, over all processes. Above
    it the oldest messages are delivered at once, with gaps where parts are missing."""
    parts_octets: int = 134_217_728
    """The same for the octets they take in the store."""


class Logging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to standard error."""

    format: Literal["auto", "json", "console"] = "auto"
    """``json``: one object a line; ``console``: for people; ``auto``: for people where standard
    error is a terminal."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    unmask: bool = False
    """Whether phone numbers are logged in full. Texts never are."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local half: one node's own options."""

    shutdown_timeout: float = 30
    """Seconds from SIGTERM to the end: what is in flight is answered first."""
    store: Store = Store()
    api: Api = Api()
    carrier: Carrier = Carrier()
    delivery: Delivery = Delivery()
    intake: Intake = Intake()
    logging: Logging = Logging()
    listeners: tuple[Listener, ...] = (Listener(),)


class LiveFile(Struct, frozen=True, kw_only=True):
    """The live half as one file declares it. ``repr`` never shows a password."""

    source: str = ""
    """Name of the file, as the store remembers who manages an object."""
    accounts: tuple[Account, ...] = ()
    """Without a hash where the file gives the password in plain: then it is in ``passwords``."""
    passwords: dict[str, str] = {}
    """Account name → plain password, to be hashed when the file is applied."""
    tenants: tuple[Tenant, ...] = ()
    numbers: tuple[Number, ...] = ()
    routes: tuple[Route, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    def __repr__(self) -> str:
        return (
            f"LiveFile({self.source!r}, accounts={len(self.accounts)}, "
            f"tenants={len(self.tenants)}, numbers={len(self.numbers)}, "
            f"routes={len(self.routes)}, endpoints={len(self.endpoints)})"
        )


def recordings_in(store: str, recordings: str) -> str:
    """Return the directory for recordings of links, by the options that say where it is."""
    return recordings or f"{store}-recordings"


LIVE_TABLES = ("accounts", "tenants", "numbers", "routes", "endpoints")

_PLACE = re.compile(r"^(?P<detail>.*) \(at (?P<place>.*)\)$", re.DOTALL)


def load(
    text: str, source: str, env: Mapping[str, str], read_file: ReadFile
) -> tuple[Config, LiveFile]:
    """Read a configuration file's text.

    ``env`` answers ``{env = "NAME"}``; ``read_file`` takes the path of ``{file = "PATH"}`` and
    returns its text or raises :class:`OSError`. Raises :class:`~bridge.errors.ConfigError` with
    every problem there is, each with its path; no problem's text holds a secret.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.match(str(error))
        problem = Problem(found["place"], found["detail"]) if found else Problem("", str(error))
        raise ConfigError(source, (problem,)) from None
    except RecursionError:
        raise ConfigError(source, (Problem("", "is nested too deeply"),)) from None
    problems = Problems()

    local = {key: value for key, value in document.items() if key not in LIVE_TABLES}
    config = read_table(Config, local, "", problems, also=LIVE_TABLES)
    assert config is not None, "no option of Config is required"
    networks = _check_local(config, problems)

    declared = _declared(document, Secrets(env, read_file, problems), problems)
    check_live(declared, problems, allow_http=config.delivery.allow_http, networks=networks)
    if not any(problem.path.startswith("listeners") for problem in problems.found):
        check_ways_in(declared, config.listeners, problems)
    if problems.found:
        raise ConfigError(source, tuple(problems.found))
    return config, LiveFile(
        source=source,
        accounts=tuple(declared.accounts.values()),
        passwords=declared.passwords,
        tenants=tuple(declared.tenants.values()),
        numbers=tuple(declared.numbers.values()),
        routes=tuple(declared.routes.values()),
        endpoints=tuple(declared.endpoints.values()),
    )


def _check_local(config: Config, problems: Problems) -> tuple[Network, ...]:
    """Return the networks webhooks may go to."""
    check_ranges(config, "", problems)
    for section in ("store", "api", "carrier", "delivery", "intake", "logging"):
        check_ranges(getattr(config, section), section, problems)
    api, carrier, delivery = config.api, config.carrier, config.delivery
    check_ports(
        (
            ("api.port", api.host, api.port, 1),
            ("carrier.status_port", carrier.status_host, carrier.status_port, carrier.processes),
            (
                "delivery.status_port",
                delivery.status_host,
                delivery.status_port,
                delivery.processes,
            ),
        ),
        problems,
    )
    check_listeners(config.listeners, problems, processes=carrier.processes)
    if not config.store.path:
        problems.add("store.path", "must name a file")
    return check_networks(delivery.allow_networks, "delivery.allow_networks", problems)


def _declared(document: dict[str, Any], secrets: Secrets, problems: Problems) -> Declared:
    """Read what can be read of the live half; the rest is noted as broken."""
    declared = Declared()
    for path, table in tables_of(document, "accounts", problems):
        plain = secrets.take(table, "password", path)
        hashed = secrets.take(table, "password_hash", path)
        dial = table.get("dial")
        # A carrier that only we dial never shows a password: without one nobody may bind.
        dialled = isinstance(dial, dict) and bool(dial.get("hosts")) and not table.get("outbind")
        check_password(plain, hashed, path, problems, needed=not dialled)
        if isinstance(dial, dict):
            dial["password"] = secrets.take(dial, "password", at(path, "dial")).value
        account = read_table(Account, table, path, problems, also=("password", "password_hash"))
        if account is not None:
            carrier = account.carrier or account.name
            declared.accounts[path] = replace(account, carrier=carrier, password_hash=hashed.value)
            if plain.value:
                declared.passwords[account.name] = plain.value
    for path, table in tables_of(document, "endpoints", problems):
        found = secrets.take_list(table, "secrets", path)
        check_secrets(found, at(path, "secrets"), problems)
        secrets.resolve_values(table, "headers", path)
        # Without the secrets: a message of the reader might quote them.
        endpoint = read_table(Endpoint, {**table, "secrets": []}, path, problems)
        if endpoint is not None:
            values = tuple(secret.value for secret in found)
            declared.endpoints[path] = replace(endpoint, secrets=values)
        else:
            declared.broke("endpoints", table)
    plain_tables: tuple[tuple[str, type[Struct], dict[str, Any]], ...] = (
        ("tenants", Tenant, declared.tenants),
        ("routes", Route, declared.routes),
        ("numbers", Number, declared.numbers),
    )
    for key, kind, into in plain_tables:
        for path, table in tables_of(document, key, problems):
            read = read_table(kind, table, path, problems)
            if read is not None:
                into[path] = read
            else:
                declared.broke(key, table)
    return declared
