"""What values must satisfy beyond their types: each rule with what it says when broken."""

from ipaddress import ip_network

import pytest
from msgspec.structs import replace

from bridge.config.check import (
    CHARSETS,
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
from bridge.config.read import Problems, Secret
from bridge.model import Endpoint, Number, Route, Tenant
from smsc.config import Account, Dial, Listener, ListenerTls, Timers
from smsc.text import charset

ACCOUNT = Account(name="acme", system_id="acme", carrier="acme")
SECRET = "whsec_" + "QUJD" * 8
ENDPOINT = Endpoint(name="helpdesk", url="https://example.com/", secrets=(SECRET,))


NOT_ASKED = (
    "a.certificates: can't be shown by anybody: no listener asks for them with tls.client_ca"
)
NO_NETWORK = "'lb' does not appear to be an IPv4 or IPv6 network"


def said(declared: Declared, *, allow_http: bool = False) -> list[str]:
    problems = Problems()
    check_live(declared, problems, allow_http=allow_http)
    return [str(problem) for problem in problems.found]


def test_charsets_are_those_the_carrier_side_reads() -> None:
    assert set(CHARSETS) == charset.CHARSETS


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "a b"}, "a.name: must be 1 to 64 letters, digits"),
        ({"system_id": "a b"}, "a.system_id: must be 1 to 63 ASCII"),
        ({"carrier": "/"}, "a.carrier: must be a name"),
        ({"binds": ()}, "a.binds: must allow at least one"),
        ({"allow_from": ("192.0.2.1/24",)}, "a.allow_from[0]: is no network such as 10.1.0.0/16"),
        ({"allow_from": ("0.0.0.0/0", "")}, "a.allow_from[1]: is no network"),
        ({"certificates": ("ab" * 31,)}, "a.certificates[0]: is no SHA-256 fingerprint"),
        ({"certificates": ("",)}, "a.certificates[0]: is no SHA-256 fingerprint"),
        ({"window": 0}, "a.window: must be 1 to 10_000"),
        ({"rate": -1.0}, "a.rate: must be 0 to 1_000_000"),
        ({"rate": float("nan")}, "a.rate: must be 0 to 1_000_000"),
        ({"charsets": {0: "latin-1"}}, "a.charsets.0: 'latin-1' is no known charset; did you mean"),
        ({"charsets": {300: "ucs2"}}, "a.charsets.300: is no data_coding"),
        ({"default_country": "UK"}, "a.default_country: 'UK' is no ISO 3166"),
        ({"time_zone": "Mars/Base"}, "a.time_zone: 'Mars/Base' is no IANA"),
        ({"time_zone": "../etc/passwd"}, "a.time_zone: '../etc/passwd' is no IANA"),
        ({"sent_at_tlv": 70_000}, "a.sent_at_tlv: must be 0 to 65_535"),
        ({"repeats_by_id": 60.0}, "a.repeats_by_id: needs message_id_tlv"),
        ({"repeats_by_id": 1e6, "message_id_tlv": 9}, "a.repeats_by_id: must be 0 to 604_800"),
    ],
)  # fmt: skip
def test_accounts(changes: dict[str, object], problem: str) -> None:
    (found,) = said(Declared(accounts={"a": replace(ACCOUNT, **changes)}))

    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "a/1"}, "e.name: must be 1 to 64 letters"),
        ({"url": "http://example.com/"}, "e.url: must be https://; delivery.allow_http"),
        ({"url": "ftp://example.com/"}, "e.url: a URL starts with https://"),
        ({"url": "https:///x"}, "e.url: the URL names no host"),
        ({"url": "https://u:hunter22@example.com/"}, "e.url: a URL holds no user or password"),
        ({"url": "https://example.com/#x"}, "e.url: a URL sent to has no fragment"),
        ({"url": "https://example.com:0/"}, "e.url: the URL's port is not 1 to 65535"),
        ({"url": "https://example.com:99999/"}, "e.url: not a URL"),
        ({"url": "https://[::1/"}, "e.url: not a URL"),
        ({"url": f"https://{'a' * 64}.example/"}, "e.url: the URL's host is not a valid name"),
        ({"url": "https://example.com:25/"}, "e.url: can't be sent to: port 25 is not"),
        ({"url": "https://10.1.2.3/"}, "e.url: can't be sent to: private address"),
        ({"url": "https://[::1]/"}, "e.url: can't be sent to: loopback address"),
        ({"url": "https://example.com/\r\nx: y"}, "e.url: a URL has no blanks or control"),
        ({"event_types": ()}, "e.event_types: must name at least one"),
        ({"event_types": ("message.sent",)}, "e.event_types[0]: 'message.sent' is no event type"),
        ({"headers": {"Host": "x"}}, "e.headers.Host: this header is the gateway's own"),
        (
            {"headers": {"Webhook-Id": "x"}},
            "e.headers.Webhook-Id: this header is the gateway's own",
        ),
        ({"headers": {"a b": "x"}}, "e.headers.a b: a header's name is letters"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "e.headers.x-a: is given twice"),
        ({"headers": {"x": "y\nz: w"}}, "e.headers.x: a header's value is printable ASCII"),
        ({"headers": {f"x{i}": "y" for i in range(21)}}, "e.headers: has 21 headers; at most 20"),
        ({"connect_timeout": 20.0}, "e.connect_timeout: must not exceed timeout"),
        ({"timeout": 31.0}, "e.timeout: must be 1 to 30"),
        ({"lanes": 0}, "e.lanes: must be 1 to 64"),
        ({"lanes": 9}, "e.lanes: must not exceed max_concurrency"),
        ({"max_concurrency": 0}, "e.max_concurrency: must be 1 to 1_000"),
        ({"retry_schedule": ()}, "e.retry_schedule: must have 1 to 20 steps"),
        ({"retry_schedule": (0.0,) * 21}, "e.retry_schedule: must have 1 to 20 steps"),
        ({"retry_schedule": (5.0, 30.0)}, "e.retry_schedule: must begin with 0"),
        ({"retry_schedule": (0.0, -1.0)}, "e.retry_schedule: must hold seconds"),
        ({"retry_schedule": (0.0, float("inf"))}, "e.retry_schedule: must hold seconds"),
        ({"retry_schedule": (0.0, *(700_000.0,) * 2)}, "e.retry_schedule: must not exceed 14 days"),
        ({"permanent_status_codes": (200,)}, "e.permanent_status_codes[0]: must be 300 to 599"),
    ],
)
def test_endpoints(changes: dict[str, object], problem: str) -> None:
    (found,) = said(Declared(endpoints={"e": replace(ENDPOINT, **changes)}))

    assert found.startswith(problem)
    assert "hunter22" not in found


def test_http_is_fine_where_the_operator_allows_it() -> None:
    plain = replace(ENDPOINT, url="http://example.com/")

    assert said(Declared(endpoints={"e": plain}), allow_http=True) == []


@pytest.mark.parametrize("number", ["+447700900999", "+4477*", "*", "60777", "0779*", "INFO"])
def test_numbers(number: str) -> None:
    assert said(Declared(numbers={"n": Number(number=number)})) == []


@pytest.mark.parametrize("number", ["", "+", "+44*7", "44 77", "**", "+44x", "+" + "1" * 16])
def test_numbers_that_are_none(number: str) -> None:
    (found,) = said(Declared(numbers={"n": Number(number=number)}))

    assert found.startswith("n.number: must be")


def test_names_are_unique() -> None:
    twice = Declared(
        accounts={"a[0]": ACCOUNT, "a[1]": ACCOUNT},
        numbers={"n[0]": Number(number="*"), "n[1]": Number(number="*")},
        tenants={"t[0]": Tenant(name="x"), "t[1]": Tenant(name="x")},
        endpoints={"e[0]": ENDPOINT, "e[1]": ENDPOINT},
        routes={
            "r[0]": Route(name="r", endpoints=("helpdesk",)),
            "r[1]": Route(name="r", endpoints=("helpdesk",)),
        },
    )

    assert said(twice) == [
        "a[1].name: 'acme' is taken by a[0]",
        "a[1].system_id: 'acme' is taken by a[0]",
        "t[1].name: 'x' is taken by t[0]",
        "n[1].number: '*' is taken by n[0]",
        "r[1].name: 'r' is taken by r[0]",
        "e[1].name: 'helpdesk' is taken by e[0]",
    ]


def test_references_are_followed() -> None:
    declared = Declared(
        tenants={"t": Tenant(name="retail")},
        numbers={
            "n[0]": Number(number="1", routes=("support", "support")),
            "n[1]": Number(number="2", routes=("nowhere",)),
            "n[2]": Number(number="3", tenant="retial"),
        },
        routes={
            "r[0]": Route(name="support", endpoints=("helpdesk",)),
            "r[1]": Route(name="empty", endpoints=()),
            "r[2]": Route(name="foreign", endpoints=("helpdesk",), tenant="retail"),
            "r[3]": Route(name="typo", endpoints=("helpdsk",)),
        },
        endpoints={"e": ENDPOINT},
    )

    assert said(declared) == [
        "n[2].tenant: there is no tenant 'retial'; did you mean \"retail\"?",
        "r[1].endpoints: must name at least one endpoint",
        "r[2].endpoints[0]: endpoint 'helpdesk' belongs to another tenant",
        "r[3].endpoints[0]: there is no endpoint 'helpdsk'; did you mean \"helpdesk\"?",
        "n[0].routes[1]: names route 'support' a second time",
        "n[1].routes[0]: there is no route 'nowhere'",
    ]


def test_addresses_the_operator_allows_are_fine() -> None:
    problems = Problems()
    inner = {"e": replace(ENDPOINT, url="https://10.1.2.3/")}

    check_live(
        Declared(endpoints=inner), problems, allow_http=False, networks=(ip_network("10.1.0.0/16"),)
    )

    assert problems.found == []


def test_networks() -> None:
    problems = Problems()

    found = check_networks(("10.0.0.0/8", "::1/128", "10.0.0.1/8", "x"), "d", problems)

    assert found == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert [problem.path for problem in problems.found] == ["d[2]", "d[3]"]


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (
            Listener(),
            [
                NOT_ASKED,
                "a.require_tls: can't be met by anybody: no listener has a tls table",
            ],
        ),
        (
            Listener(tls=ListenerTls(certificate="tls.pem")),
            [
                NOT_ASKED,
            ],
        ),
        (Listener(tls=ListenerTls(certificate="tls.pem", client_ca="ca.pem")), []),
    ],
)
def test_r25_what_accounts_want_some_listener_must_have(
    listener: Listener, expected: list[str]
) -> None:
    account = replace(ACCOUNT, certificates=("ab" * 32,), require_tls=True)
    problems = Problems()

    check_ways_in(Declared(accounts={"a": account}), (Listener(), listener), problems)

    assert [str(problem) for problem in problems.found] == expected


def test_listeners() -> None:
    problems = Problems()
    listeners = (
        Listener(),
        Listener(),
        Listener(port=0, system_id="a b", timers=Timers(response=-1)),
        Listener(port=0, pdu_limit=10),
        Listener(port=0, proxies=("10.0.0.0/8", "lb"), tls=ListenerTls(certificate="")),
        Listener(port=0, bind_rate=-1, binds_per_address=-1),
    )

    check_listeners(listeners, problems)
    check_listeners((), problems)

    assert [str(problem) for problem in problems.found] == [
        "listeners[1].port: is the same as that of listeners[0]",
        "listeners[2].timers.response: must be 0 to 86_400",
        "listeners[2].system_id: must be 1 to 15 ASCII characters, no spaces",
        "listeners[3].pdu_limit: must be 1_024 to 16_777_216",
        f"listeners[4].proxies[1]: is no network such as 10.1.0.0/16: {NO_NETWORK}",
        "listeners[4].tls.certificate: must name a file",
        "listeners[5].binds_per_address: must be 0 to 100_000",
        "listeners[5].bind_rate: must be 0 to 10_000",
        "listeners: needs at least one; leave it out for port 2775",
    ]


def test_no_listener_of_several_processes_has_any_port() -> None:
    problems = Problems()

    check_listeners((Listener(port=0),), problems, processes=2)

    assert [problem.path for problem in problems.found] == ["listeners[0].port"]


def test_pages_have_ports_of_their_own() -> None:
    problems = Problems()

    check_ports(
        (
            ("a", "127.0.0.1", 8_080, 1),
            ("b", "127.0.0.1", 8_079, 2),
            ("c", "127.0.0.2", 8_080, 1),
            ("d", "127.0.0.1", 65_535, 2),
            ("e", "127.0.0.1", 0, 64),
        ),
        problems,
    )

    assert [str(problem) for problem in problems.found] == [
        "b: overlaps with a: each process takes a port of its own",
        "d: leaves no port for the last of 2 processes",
    ]


def test_structs_without_ranges_are_left_alone() -> None:
    problems = Problems()

    check_ranges(Tenant(name="x"), "t", problems)

    assert problems.found == []


ABSENT = Secret(given=False, value="")


@pytest.mark.parametrize(
    ("plain", "hashed", "problem"),
    [
        (ABSENT, ABSENT, "a.password: is required (or password_hash)"),
        (Secret(True, "x"), Secret(True, "y"), "a.password: is given as well as password_hash"),
        (Secret(True, "x" * 65), ABSENT, "a.password: must be at most 64 characters"),
        (ABSENT, Secret(True, "hunter22"), "a.password_hash: is no Argon2id hash"),
        (ABSENT, Secret(True, "$argon2id$hunter22"), "a.password_hash: is no Argon2id hash"),
        (ABSENT, Secret(True, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"), None),
        (Secret(True, "hunter22"), ABSENT, None),
        (Secret(True, ""), ABSENT, None),
    ],
)
def test_an_account_has_one_password(plain: Secret, hashed: Secret, problem: str | None) -> None:
    problems = Problems()

    check_password(plain, hashed, "a", problems)

    found = [str(each) for each in problems.found]
    assert len(found) == (problem is not None)
    assert all(each.startswith(str(problem)) and "hunter22" not in each for each in found)


def test_an_account_that_only_we_dial_needs_none() -> None:
    problems = Problems()
    none = Secret(given=False, value="")

    check_password(none, none, "a", problems, needed=False)

    assert not problems.found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hosts": ("",)}, "a.dial.hosts[0]: '' has no host name"),
        ({"hosts": ("one", "one")}, "a.dial.hosts[1]: names 'one' a second time"),
        ({"hosts": ("one:0",)}, "a.dial.hosts[0]: 'one:0' has a port that is not"),
        ({"hosts": ("2001:db8::1",)}, "a.dial.hosts[0]: '2001:db8::1' is an IPv6 address: put it"),
        ({"hosts": ()}, "a.dial.hosts: needs at least one, unless outbind = true"),
        ({"binds": ()}, "a.dial.binds: must name at least one"),
        ({"binds": ("receiver", "receiver")}, "a.dial.binds: must name at least one"),
        ({"links": 0}, "a.dial.links: must be 1 to 100"),
        ({"version": 0x35}, "a.dial.version: must be 0x33, 0x34 or 0x50"),
        ({"shortest_pause": 0}, "a.dial.shortest_pause: must be 0.01 to"),
        ({"longest_pause": 0.5}, "a.dial.longest_pause: must not be below shortest_pause"),
        ({"password": "p" * 65}, "a.dial.password: must be at most 64 printable ASCII"),
        ({"system_type": "é"}, "a.dial.system_type: must be at most 64 printable ASCII"),
        ({"tls_ca": "ca.pem"}, "a.dial.tls_ca: is of no use without tls = true"),
    ],
)
def test_dialling(changes: dict[str, object], problem: str) -> None:
    dial = replace(Dial(hosts=("smsc.example.com", "[2001:db8::1]:2776")), **changes)

    (found,) = said(Declared(accounts={"a": replace(ACCOUNT, dial=dial)}))

    assert found.startswith(problem)


def test_an_outbind_needs_something_to_bind_back_with() -> None:
    account = replace(ACCOUNT, outbind=True)

    assert said(Declared(accounts={"a": account})) == [
        "a.outbind: needs a dial table, which says what to bind back with"
    ]
    assert said(Declared(accounts={"a": replace(account, dial=Dial())})) == []


def test_endpoint_secrets() -> None:
    def found(*values: str) -> list[str]:
        problems = Problems()
        check_secrets([Secret(True, value) for value in values], "s", problems)
        return [problem.path for problem in problems.found]

    others = ["whsec_" + letter * 40 for letter in "abcdef"]
    assert found(SECRET) == []
    assert found(*others[:5]) == []
    assert found(*others) == ["s"]
    assert found(SECRET, SECRET) == ["s"]
    assert found("QUJD" * 8, "whsec_QUJD", "whsec_!!!!", "whsec_" + "QUJD" * 30) == [
        "s[0]", "s[1]", "s[2]", "s[3]",
    ]  # fmt: skip
