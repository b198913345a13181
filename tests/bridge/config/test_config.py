"""A configuration file: what it declares, or everything that is wrong with it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.config import Config, LiveFile, load
from bridge.errors import ConfigError
from smsc.config import Listener, Timers

CONF = Path(__file__).parents[3] / "conf"
SECRET = "whsec_" + "QUJD" * 8

WHOLE = f"""
[store]
path = "/var/lib/smsbridge/store.db"

[[listeners]]
port = 2776
[listeners.timers]
enquire_link = 15

[[accounts]]
name = "acme"
system_id = "acme"
password = "hunter22"
charsets = {{ 0 = "latin1", 8 = "ucs2" }}

[[numbers]]
number = "+447700900999"
routes = ["support"]

[[routes]]
name = "support"
endpoints = ["helpdesk"]

[[endpoints]]
name = "helpdesk"
url = "https://example.com/sms"
secrets = ["{SECRET}"]
"""


def nothing_to_read(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def read(text: str, env: Mapping[str, str] = {}) -> tuple[Config, LiveFile]:
    return load(text, "test.toml", env, nothing_to_read)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_gives_the_documented_defaults() -> None:
    config, live = read("")

    assert config == Config()
    assert [(each.host, each.port) for each in config.listeners] == [("0.0.0.0", 2775)]
    assert (config.api.host, config.api.port) == ("127.0.0.1", 8080)
    assert config.store.path == "./smsbridge.db"
    assert config.shutdown_timeout == 30
    assert (config.intake.assembly_timeout, config.intake.commit_timeout) == (1800, 5)
    assert config.intake.disk_high_water == 0.90
    assert config.listeners[0].timers == Timers(
        session_init=10, enquire_link=30, response=10, inactivity=300
    )
    assert live == LiveFile(source="test.toml")


def test_both_halves_are_read() -> None:
    config, live = read(WHOLE)

    assert config.store.path == "/var/lib/smsbridge/store.db"
    assert config.listeners == (Listener(port=2776, timers=Timers(enquire_link=15)),)
    assert live.accounts[0].charsets == {0: "latin1", 8: "ucs2"}
    assert live.accounts[0].carrier == "acme"
    assert live.passwords == {"acme": "hunter22"}
    assert live.numbers[0].routes == ("support",)
    assert live.routes[0].endpoints == ("helpdesk",)
    assert live.endpoints[0].secrets == (SECRET,)


def test_every_problem_is_listed_with_its_path() -> None:
    text = WHOLE.replace('routes = ["support"]', 'routes = ["suport"]')
    text = text.replace('"https://example.com/sms"', '"ftp://example.com"')
    text = text.replace("port = 2776", 'prot = 2776\npdu_limit = "big"')

    assert problems(text) == [
        'listeners[0].prot: is no option here; did you mean "port"?',
        "listeners[0].pdu_limit: expected an integer, got a string",
        "endpoints[0].url: a URL starts with https:// (or http:// where that is allowed)",
        "numbers[0].routes[0]: there is no route 'suport'; did you mean \"support\"?",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = [1,\n b", "line 2, column 2"),
        ('[store]\npath = "x', "end of document"),
        ("[store]\n[store]\n", "line 2, column 7"),
    ],
)
def test_a_syntax_error_names_its_place(text: str, place: str) -> None:
    (problem,) = problems(text)

    assert problem.startswith(f"{place}: ")


def test_a_file_nested_without_end_is_refused_too() -> None:
    assert problems("a = " + "[" * 5000) == ["is nested too deeply"]


def test_a_broken_table_is_not_reported_again_by_those_that_refer_to_it() -> None:
    text = WHOLE.replace('url = "https://example.com/sms"', "")

    assert problems(text) == ["endpoints[0].url: is required"]


def test_no_secret_is_ever_shown() -> None:
    text = WHOLE.replace("port = 2776", "port = -1").replace(SECRET, "whsec_c3VwZXJzZWNyZXQ=")
    with pytest.raises(ConfigError) as caught:
        read(text)
    config, live = read(WHOLE)

    shown = f"{caught.value} {caught.value!r} {config!r} {live!r} {live.endpoints!r}"

    assert "c3VwZXJz" not in shown
    assert "hunter22" not in shown
    assert SECRET not in shown


def test_an_error_reads_as_a_list() -> None:
    with pytest.raises(ConfigError) as caught:
        read("api = 3\nqueue = 1\n")

    assert str(caught.value) == (
        "test.toml:\n  api: must be a table: [api]\n  queue: is no option here"
    )


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.toml")), ids=lambda path: path.name)
def test_every_file_we_ship_loads(path: Path) -> None:
    names = re.findall(r'env = "(\w+)"', path.read_text(encoding="utf-8"))
    env = {name: SECRET if name.endswith("SECRET") else "secret08" for name in names}

    load(path.read_text(encoding="utf-8"), path.name, env, lambda _: "secret08\n")
