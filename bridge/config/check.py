"""What a configuration's values must satisfy beyond their types, as tables where it is data.

Every check notes problems and raises nothing. No problem's text quotes a value that may hold a
secret: passwords, endpoint secrets, header values, URLs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from msgspec import Struct

from bridge.config.read import Problems, Secret, at, did_you_mean
from bridge.delivery.egress import Network, foreseeable
from bridge.delivery.exchange import aim
from bridge.delivery.signing import MAX_HEADERS, MAX_SECRETS, header_problem, parse_secret
from bridge.model import DEFAULT_TENANT, Endpoint, Number, Route, Tenant
from smsc.config import Account, Dial, Listener, host_and_port

DAY = 86_400

RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "Config": {"shutdown_timeout": (1, 600)},
    "Api": {"port": (0, 65_535)},
    "Carrier": {"processes": (1, 64), "status_port": (0, 65_535)},
    "Delivery": {"processes": (1, 64), "status_port": (0, 65_535)},
    "Intake": {
        "assembly_timeout": (1, 7 * DAY),
        "commit_timeout": (0.1, 60),
        "disk_high_water": (0.1, 1),
        "queue_limit": (1, 1_000_000),
        "parts_limit": (100, 10_000_000),
        "parts_octets": (1_048_576, 17_179_869_184),
    },
    "Listener": {
        "port": (0, 65_535),
        "pdu_limit": (1_024, 16_777_216),
        "unbound_limit": (64, 65_536),
        "max_connections": (1, 100_000),
        "binds_per_address": (0, 100_000),
        "bind_rate": (0, 10_000),
    },
    "Timers": {
        "session_init": (0, DAY),
        "enquire_link": (0, DAY),
        "response": (0, DAY),
        "pdu": (0, DAY),
        "inactivity": (0, 7 * DAY),
    },
    "Account": {
        "max_links": (0, 10_000),
        "window": (1, 10_000),
        "rate": (0, 1_000_000),
        "burst": (0, 1_000_000),
        "pdu_limit": (0, 16_777_216),
        "sent_at_tlv": (0, 0xFFFF),
        "message_id_tlv": (0, 0xFFFF),
        "repeats_by_id": (0, 7 * DAY),
    },
    "Dial": {
        "links": (1, 100),
        "shortest_pause": (0.01, DAY),
        "longest_pause": (0.01, DAY),
    },
    "Endpoint": {
        "max_concurrency": (1, 1_000),
        "lanes": (1, 64),
        "timeout": (1, 30),
        "connect_timeout": (0.1, 30),
        "max_age": (0, 14 * DAY),
        "max_retry_after": (0, DAY),
    },
}
"""Struct → option → smallest and largest value."""

CHARSETS = (
    "gsm7", "ucs2", "ucs2-le", "latin1", "ascii", "binary", "utf-8", "big5", "euc-jp", "euc-kr",
    "gb18030", "iso-2022-jp", "iso-8859-15", "iso-8859-2", "iso-8859-5", "iso-8859-6",
    "iso-8859-7", "iso-8859-8", "iso-8859-9", "koi8-r", "shift_jis", "windows-1251",
    "windows-1252", "x-airwide-ia5", "x-hp-roman8-esc8d", "x-tmobilenl-gsm", "x-vfd2-gsm",
    "x-vftr-gsm",
)  # fmt: skip
"""Those of :mod:`smsc.text.charset`, which the configuration must not import; a test holds both
together."""

EVENT_TYPES = ("*", "message.*", "message.received", "receipt.*", "receipt.received")

DIAL_VERSIONS = (0x33, 0x34, 0x50)

MOST_STEPS = 20
LONGEST_SCHEDULE = 14 * DAY

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER = re.compile(r"\*|\+[0-9]{1,15}\*?|[0-9A-Za-z#]{1,20}\*?")
_ARGON2ID = re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[0-9A-Za-z+/]+\$[0-9A-Za-z+/]+")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}")
_DIAL_STRING = re.compile(r"[\x20-\x7e]{0,64}")
_SYSTEM_ID = re.compile(r"[\x21-\x7e]{1,63}")


class Declared(Struct):
    """What a file declares, by path; tables that can't be read are missing from it."""

    accounts: dict[str, Account] = {}
    passwords: dict[str, str] = {}
    tenants: dict[str, Tenant] = {}
    numbers: dict[str, Number] = {}
    routes: dict[str, Route] = {}
    endpoints: dict[str, Endpoint] = {}
    broken: set[tuple[str, str]] = set()
    """Kind and name of tables that can't be read, so that references to them aren't refused."""

    def __repr__(self) -> str:
        return "Declared(…)"

    def broke(self, kind: str, table: Mapping[str, Any]) -> None:
        """Remember the name of a table that can't be read."""
        if isinstance(table.get("name"), str):
            self.broken.add((kind, table["name"]))


def check_ranges(options: Struct, path: str, problems: Problems) -> None:
    """Check every option of a struct that has a range."""
    for name, (low, high) in RANGES.get(type(options).__name__, {}).items():
        # Written so that a TOML nan fails as well.
        if not low <= getattr(options, name) <= high:
            problems.add(at(path, name), f"must be {low:,} to {high:,}".replace(",", "_"))


def check_listeners(
    listeners: Iterable[Listener], problems: Problems, *, processes: int = 1
) -> None:
    """Check ports carriers connect to, shared by so many processes."""
    seen: dict[tuple[str, int], str] = {}
    for index, listener in enumerate(listeners):
        path = f"listeners[{index}]"
        check_ranges(listener, path, problems)
        check_ranges(listener.timers, at(path, "timers"), problems)
        place = (listener.host, listener.port)
        if listener.port and place in seen:
            problems.add(at(path, "port"), f"is the same as that of {seen[place]}")
        if not listener.port and processes > 1:
            detail = "can't be 0 (any free port) where several processes are to share it"
            problems.add(at(path, "port"), detail)
        seen.setdefault(place, path)
        if not re.fullmatch(r"[\x21-\x7e]{1,15}", listener.system_id):
            problems.add(at(path, "system_id"), "must be 1 to 15 ASCII characters, no spaces")
        check_networks(listener.proxies, at(path, "proxies"), problems)
        if listener.tls is not None and not listener.tls.certificate:
            problems.add(at(path, "tls.certificate"), "must name a file")
    if not seen:
        problems.add("listeners", "needs at least one; leave it out for port 2775")


def check_ports(used: Iterable[tuple[str, str, int, int]], problems: Problems) -> None:
    """Check ports of our own pages, given as path, host, first port and how many; 0 is any."""
    seen: list[tuple[str, str, range]] = []
    for path, host, first, count in used:
        if not first:
            continue
        ports = range(first, first + count)
        if ports[-1] > 65_535:
            problems.add(path, f"leaves no port for the last of {count} processes")
        for other, its_host, taken in seen:
            if host == its_host and ports.start < taken.stop and taken.start < ports.stop:
                problems.add(path, f"overlaps with {other}: each process takes a port of its own")
        seen.append((path, host, ports))


def check_networks(networks: Iterable[str], path: str, problems: Problems) -> tuple[Network, ...]:
    """Return those that are networks in CIDR form, and note the others."""
    found: list[Network] = []
    for index, network in enumerate(networks):
        try:
            found.append(ip_network(network))
        except ValueError as error:
            problems.add(f"{path}[{index}]", f"is no network such as 10.1.0.0/16: {error}")
    return tuple(found)


def check_live(
    declared: Declared,
    problems: Problems,
    *,
    allow_http: bool,
    networks: Sequence[Network] = (),
) -> None:
    """Check all that is declared, each by itself and against the others."""
    for path, account in declared.accounts.items():
        _check_account(account, path, problems)
    for path, tenant in declared.tenants.items():
        _check_name(tenant.name, path, problems)
    for path, endpoint in declared.endpoints.items():
        _check_endpoint(endpoint, path, problems)
        wrong = _wrong_with_url(endpoint.url, allow_http=allow_http, networks=networks)
        if wrong:
            problems.add(at(path, "url"), wrong)
    for path, route in declared.routes.items():
        _check_name(route.name, path, problems)
    for path, number in declared.numbers.items():
        if not _NUMBER.fullmatch(number.number):
            detail = 'must be "+" and digits, a short code or a name; "+4477*" for a prefix; or "*"'
            problems.add(at(path, "number"), detail)
    _unique(declared.accounts, "name", problems)
    _unique(declared.accounts, "system_id", problems)
    _unique(declared.tenants, "name", problems)
    _unique(declared.numbers, "number", problems)
    _unique(declared.routes, "name", problems)
    _unique(declared.endpoints, "name", problems)
    _check_references(declared, problems)


def check_ways_in(declared: Declared, listeners: Sequence[Listener], problems: Problems) -> None:
    """Check that what accounts want of a connection some listener has."""
    secured = any(listener.tls is not None for listener in listeners)
    asked = any(listener.tls is not None and listener.tls.client_ca for listener in listeners)
    for path, account in declared.accounts.items():
        if account.certificates and not asked:
            detail = "can't be shown by anybody: no listener asks for them with tls.client_ca"
            problems.add(at(path, "certificates"), detail)
        if account.require_tls and not secured:
            problems.add(
                at(path, "require_tls"), "can't be met by anybody: no listener has a tls table"
            )


def check_password(
    plain: Secret, hashed: Secret, path: str, problems: Problems, *, needed: bool = True
) -> None:
    """Check that an account has exactly one password, hashed or not; or none where it is not
    needed, because we dial the carrier."""
    if plain.given and hashed.given:
        problems.add(at(path, "password"), "is given as well as password_hash; keep one")
    elif needed and not plain.given and not hashed.given:
        problems.add(at(path, "password"), "is required (or password_hash)")
    elif plain.given and plain.value and len(plain.value) > 64:
        problems.add(at(path, "password"), "must be at most 64 characters")
    elif hashed.value and not _ARGON2ID.fullmatch(hashed.value):
        detail = "is no Argon2id hash; `smsbridge keys hash-password` makes one"
        problems.add(at(path, "password_hash"), detail)


def check_secrets(secrets: list[Secret], path: str, problems: Problems) -> None:
    """Check an endpoint's secrets; those that couldn't be resolved were noted before."""
    if len(secrets) > MAX_SECRETS:
        problems.add(path, f"has {len(secrets)} secrets; at most {MAX_SECRETS} may be live")
    values = [secret.value for secret in secrets if secret.value]
    if len(set(values)) < len(values):
        problems.add(path, "has the same secret twice")
    for index, secret in enumerate(secrets):
        if secret.value and not _is_endpoint_secret(secret.value):
            detail = (
                "must be whsec_ and base64 of 24 to 64 octets;"
                " `smsbridge keys endpoint-secret` makes one"
            )
            problems.add(f"{path}[{index}]", detail)


def _is_endpoint_secret(value: str) -> bool:
    try:
        parse_secret(value)
    except ValueError:
        return False
    return True


def _check_name(name: str, path: str, problems: Problems) -> None:
    if not _NAME.fullmatch(name):
        detail = "must be 1 to 64 letters, digits, dots, hyphens and underscores"
        problems.add(at(path, "name"), detail)


def _check_account(account: Account, path: str, problems: Problems) -> None:
    _check_name(account.name, path, problems)
    check_ranges(account, path, problems)
    if account.carrier and not _NAME.fullmatch(account.carrier):
        problems.add(at(path, "carrier"), "must be a name like the account's")
    if not _SYSTEM_ID.fullmatch(account.system_id):
        problems.add(at(path, "system_id"), "must be 1 to 63 ASCII characters, no spaces")
    if not account.binds:
        problems.add(at(path, "binds"), "must allow at least one kind of bind")
    _check_door(account, path, problems)
    for coding, charset in account.charsets.items():
        where = at(at(path, "charsets"), str(coding))
        if not 0 <= coding <= 255:
            problems.add(where, "is no data_coding; those are 0 to 255")
        if charset not in CHARSETS:
            hint = did_you_mean(charset, CHARSETS) or f"; known are {', '.join(CHARSETS)}"
            problems.add(where, f"{charset!r} is no known charset{hint}")
    if account.repeats_by_id and not account.message_id_tlv:
        detail = "needs message_id_tlv, which says where the carrier's id is"
        problems.add(at(path, "repeats_by_id"), detail)
    _check_dialling(account, path, problems)
    country = account.default_country
    if country and country not in phonenumbers.SUPPORTED_REGIONS:
        detail = f"{country!r} is no ISO 3166 country code such as GB"
        problems.add(at(path, "default_country"), detail)
    if not _is_time_zone(account.time_zone):
        detail = f"{account.time_zone!r} is no IANA time zone such as Europe/London"
        problems.add(at(path, "time_zone"), detail)


def _check_door(account: Account, path: str, problems: Problems) -> None:
    check_networks(account.allow_from, at(path, "allow_from"), problems)
    for index, certificate in enumerate(account.certificates):
        if not _FINGERPRINT.fullmatch(certificate):
            detail = "is no SHA-256 fingerprint: 64 hexadecimal digits, colons between pairs or not"
            problems.add(f"{at(path, 'certificates')}[{index}]", detail)


def _check_dialling(account: Account, path: str, problems: Problems) -> None:
    if account.dial is not None:
        _check_dial(account.dial, at(path, "dial"), problems)
        if not (account.dial.hosts or account.outbind):
            detail = "needs at least one, unless outbind = true"
            problems.add(at(path, "dial.hosts"), detail)
    elif account.outbind:
        detail = "needs a dial table, which says what to bind back with"
        problems.add(at(path, "outbind"), detail)


def _check_dial(dial: Dial, path: str, problems: Problems) -> None:
    check_ranges(dial, path, problems)
    _check_hosts(dial.hosts, at(path, "hosts"), problems)
    if not dial.binds or len(set(dial.binds)) < len(dial.binds):
        problems.add(at(path, "binds"), "must name at least one kind of bind, and none twice")
    if dial.version not in DIAL_VERSIONS:
        problems.add(at(path, "version"), "must be 0x33, 0x34 or 0x50")
    if dial.longest_pause < dial.shortest_pause:
        problems.add(at(path, "longest_pause"), "must not be below shortest_pause")
    for option in ("system_id", "password", "system_type", "address_range"):
        if not _DIAL_STRING.fullmatch(getattr(dial, option)):
            problems.add(at(path, option), "must be at most 64 printable ASCII characters")
    for option in ("tls_ca", "tls_certificate"):
        if getattr(dial, option) and not dial.tls:
            problems.add(at(path, option), "is of no use without tls = true")


def _check_hosts(hosts: tuple[str, ...], path: str, problems: Problems) -> None:
    for index, host in enumerate(hosts):
        try:
            host_and_port(host)
        except ValueError as error:
            problems.add(f"{path}[{index}]", f"{host!r} {error}")
        if host in hosts[:index]:
            problems.add(f"{path}[{index}]", f"names {host!r} a second time")


def _is_time_zone(name: str) -> bool:
    if name == "UTC":
        return True  # known even where the machine has no zone data
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _check_endpoint(endpoint: Endpoint, path: str, problems: Problems) -> None:
    _check_name(endpoint.name, path, problems)
    check_ranges(endpoint, path, problems)
    if 1 <= endpoint.max_concurrency < endpoint.lanes <= 64:
        detail = "must not exceed max_concurrency: each lane has a request under way"
        problems.add(at(path, "lanes"), detail)
    if not endpoint.event_types:
        problems.add(at(path, "event_types"), 'must name at least one; ["*"] for all')
    for index, event_type in enumerate(endpoint.event_types):
        if event_type not in EVENT_TYPES:
            known = ", ".join(EVENT_TYPES)
            detail = f"{event_type!r} is no event type; known are {known}"
            problems.add(f"{at(path, 'event_types')}[{index}]", detail)
    _check_headers(endpoint.headers, at(path, "headers"), problems)
    if endpoint.connect_timeout > endpoint.timeout:
        detail = "must not exceed timeout, the limit of the whole attempt"
        problems.add(at(path, "connect_timeout"), detail)
    _check_schedule(endpoint.retry_schedule, at(path, "retry_schedule"), problems)
    for index, code in enumerate(endpoint.permanent_status_codes):
        if not 300 <= code <= 599:
            problems.add(f"{at(path, 'permanent_status_codes')}[{index}]", "must be 300 to 599")


def _check_schedule(schedule: tuple[float, ...], path: str, problems: Problems) -> None:
    if not 1 <= len(schedule) <= MOST_STEPS:
        problems.add(path, f"must have 1 to {MOST_STEPS} steps")
    elif schedule[0]:
        problems.add(path, "must begin with 0: the first attempt is made at once")
    elif not all(0 <= step <= LONGEST_SCHEDULE for step in schedule):
        problems.add(path, "must hold seconds, none negative and none above 14 days")
    elif sum(schedule) > LONGEST_SCHEDULE:
        problems.add(path, f"must not exceed 14 days ({LONGEST_SCHEDULE} s) in all")


def _wrong_with_url(url: str, *, allow_http: bool, networks: Sequence[Network]) -> str:
    try:
        target = aim(url)
    except ValueError as error:
        return str(error)
    if not (target.tls or allow_http):
        return "must be https://; delivery.allow_http = true permits http://"
    refusal = foreseeable(target, networks)
    return f"can't be sent to: {refusal} (see delivery.allow_networks)" if refusal else ""


def _check_headers(headers: Mapping[str, str], path: str, problems: Problems) -> None:
    if len(headers) > MAX_HEADERS:
        problems.add(path, f"has {len(headers)} headers; at most {MAX_HEADERS}")
    seen: set[str] = set()
    for name, value in headers.items():
        problem = header_problem(name, value)
        if problem:
            problems.add(at(path, name), problem)
        elif name.lower() in seen:
            problems.add(at(path, name), "is given twice")
        seen.add(name.lower())


def _unique(tables: Mapping[str, Struct], key: str, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for path, table in tables.items():
        value = getattr(table, key)
        if value in seen:
            problems.add(at(path, key), f"{value!r} is taken by {seen[value]}")
        else:
            seen[value] = path


def _check_references(declared: Declared, problems: Problems) -> None:
    tenants = {DEFAULT_TENANT, *(tenant.name for tenant in declared.tenants.values())}
    owned: tuple[Mapping[str, Endpoint | Route | Number], ...] = (
        declared.endpoints, declared.routes, declared.numbers,
    )  # fmt: skip
    for tables in owned:
        for path, table in tables.items():
            if table.tenant not in tenants and ("tenants", table.tenant) not in declared.broken:
                hint = did_you_mean(table.tenant, tenants)
                problems.add(at(path, "tenant"), f"there is no tenant {table.tenant!r}{hint}")
    endpoints = {endpoint.name: endpoint.tenant for endpoint in declared.endpoints.values()}
    for path, route in declared.routes.items():
        if not route.endpoints:
            problems.add(at(path, "endpoints"), "must name at least one endpoint")
        where = at(path, "endpoints")
        _refer(declared, "endpoint", route.endpoints, endpoints, route.tenant, where, problems)
    routes = {route.name: route.tenant for route in declared.routes.values()}
    for path, number in declared.numbers.items():
        where = at(path, "routes")
        _refer(declared, "route", number.routes, routes, number.tenant, where, problems)


def _refer(
    declared: Declared,
    kind: str,
    names: Iterable[str],
    known: Mapping[str, str],
    tenant: str,
    path: str,
    problems: Problems,
) -> None:
    """Check that each name is known and of the same tenant, and given once."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        where = f"{path}[{index}]"
        if name in seen:
            problems.add(where, f"names {kind} {name!r} a second time")
        seen.add(name)
        if name not in known:
            if (f"{kind}s", name) not in declared.broken:
                problems.add(where, f"there is no {kind} {name!r}{did_you_mean(name, known)}")
        elif known[name] != tenant:
            # Without the other tenant's name: who writes this file may not know it.
            problems.add(where, f"{kind} {name!r} belongs to another tenant")
