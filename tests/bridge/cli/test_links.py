"""The list of links, on stores filled as processes fill them."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from bridge import cli
from bridge.cli.links import Look, length, table
from bridge.cli.options import now
from bridge.store.contract import LiveObject, ProcessStatus
from bridge.store.sqlite.engine import SqliteStore
from smsc.config import Account, Dial
from smsc.status import LinkStatus

ACCOUNT = Account(name="one", system_id="one", window=50)
PROCESS = ProcessStatus(
    id="prc_1", node="host.example/boot", pid=77, pid_started=0, role="carrier", started_at=0
)


def link(name: str = "1", **facts: Any) -> LinkStatus:
    given = {
        "link": f"lnk_{name}", "account": "one", "peer": "192.0.2.1:40000", "state": "bound",
        "kind": "receiver", "version": 0x34, "opened_at": now() - 7_200_000, "alive_at": now(),
        "at": now(), "window": 3, "pdus": 100, **facts,
    }  # fmt: skip
    return LinkStatus(**given)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "sms.db", clock=now)
    made.apply("test", [LiveObject("account", "one", msgspec.json.encode(ACCOUNT))], now())
    yield made
    made.close()


@pytest.fixture
def run(store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str, status: int = 0) -> Any:
        assert cli.run(["links", *words, "--store", str(tmp_path / "sms.db")]) == status
        said = capsys.readouterr()
        if "--json" in words:
            return [json.loads(line) for line in said.out.splitlines()]
        return said

    return command


@pytest.fixture
def beating(store: SqliteStore) -> Iterator[None]:
    """A process that tells of one link now and then: five PDUs come each time, 100 ms apart."""
    over = threading.Event()
    begun = threading.Event()
    begin = now()

    def beat() -> None:
        for count in itertools.count():
            store.beat(PROCESS, [link(at=begin + count * 100, pdus=5 * count)], now())
            begun.set()
            if over.wait(0.05):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    assert begun.wait(10)
    yield
    over.set()
    thread.join()


def test_without_links_it_says_what_to_do(store: SqliteStore, run: Any) -> None:
    said = run().err
    assert "No carrier process is running" in said
    assert "No link is open; --all shows" in said
    assert "`smsbridge links refused`" in said
    assert "Carriers bind to the listeners" in run("--all").err
    assert "`smsbridge links refused --account one`" in run("--account", "one").err
    assert "There is no account two" in run("--account", "two").err


def test_accounts_that_we_dial_in_vain_are_named(store: SqliteStore, run: Any) -> None:
    dial = Dial(hosts=("smpp.example.com",))
    accounts = [replace(ACCOUNT, name=name, system_id=name, dial=dial) for name in ("up", "down")]
    accounts += [replace(accounts[0], name="off", system_id="off", enabled=False), ACCOUNT]
    store.apply(
        "test",
        [LiveObject("account", each.name, msgspec.json.encode(each)) for each in accounts],
        now(),
    )
    store.beat(PROCESS, [link(at=0, account="up"), link("2", account="down", state="open")], now())

    in_vain = "We dial down and have no link: `smsbridge links refused` says why."
    assert in_vain in run().err
    assert in_vain in run("--account", "down").err
    assert "We dial" not in run("--account", "up").err


def test_links_as_programs_see_them(store: SqliteStore, run: Any) -> None:
    store.beat(PROCESS, [link(at=0), link("2", state="closed", reason="unbound")], now())

    (row,) = run("--json")

    assert row | {
        "link": "lnk_1", "account": "one", "version": "3.4", "direction": "accepted", "pdus": 100,
        "window": 3, "window_limit": 50, "pdus_per_second": None, "stale": False,
        "peer": "192.0.2.1:40000", "enquired_at": None,
    } == row  # fmt: skip
    assert row["opened_at"].endswith("Z")
    assert [row["link"] for row in run("--json", "--all")] == ["lnk_1", "lnk_2"]
    assert run("--json", "--account", "two") == []


def test_links_as_people_see_them(store: SqliteStore, run: Any) -> None:
    store.beat(
        PROCESS,
        [
            link(at=0, tls="TLSv1.3", enquired_at=now() - 5_000, recording=True, errors=4),
            link("2", state="closed", reason="unbound"),
        ],
        now(),
    )

    said = run()
    head, row = said.out.splitlines()
    for words in ("bound, recorded", "3/50", "TLSv1.3", "5 s", "2 h", "lnk_1", "3.4"):
        assert words in row
    assert "last enquiry" in head
    assert said.err == ""
    assert "unbound" in run("--all").out


def test_pdus_a_second_are_told_from_two_beats(beating: None, run: Any) -> None:
    (row,) = run("--json")

    assert row["pdus_per_second"] == 50.0


def test_a_process_not_heard_of_is_said(store: SqliteStore, run: Any) -> None:
    long_ago = now() - 43_000
    store.beat(PROCESS, [link(at=long_ago)], long_ago)
    assert "No carrier process is running" in run().err

    store.beat(replace(PROCESS, id="prc_2"), [], now())
    said = run()

    assert "A carrier process (pid 77 on host.example) was last heard of 43 s ago" in said.err
    assert "bound when last heard of, 43 s ago" in said.out
    assert run("--json")[0]["stale"] is True


def test_no_more_links_than_asked(store: SqliteStore, run: Any) -> None:
    store.beat(PROCESS, [link(str(number), at=0) for number in range(5)], now())

    assert len(run("--json", "--limit", "2")) == 2


def test_what_is_left_out_is_counted(store: SqliteStore, run: Any) -> None:
    store.beat(PROCESS, [link(str(number), at=0) for number in range(3)], now())

    assert "… and 1 more; --limit 3 shows all." in run("--limit", "2").err
    assert "more" not in run("--limit", "3").err


def test_watching_shows_them_again_until_stopped(
    store: SqliteStore, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[float] = []

    def sleep(seconds: float) -> None:
        moments.append(seconds)
        store.beat(PROCESS, [link(at=2_000, pdus=120)], now())
        if len(moments) == 2:
            raise KeyboardInterrupt

    store.beat(PROCESS, [link(at=1_000, pdus=100)], now())
    monkeypatch.setattr("bridge.cli.links.time.sleep", sleep)

    rows = run("--watch", "--json")

    assert [row["pdus_per_second"] for row in rows] == [None, 20.0]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["account", "state", "peer"]),
        (80, ["account", "state", "peer", "window", "errors"]),
        (200, ["account", "state", "kind", "peer", "window", "errors", "throttled", "link"]),
    ],
)
def test_the_watched_table_has_the_columns_there_is_room_for(
    store: SqliteStore, width: int, columns: list[str]
) -> None:
    store.beat(PROCESS, [link("1"), link("2")], now())
    look = Look(store, account=None, everything=False)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table(list(look.once()), width))

    lines = captured.get().splitlines()
    known = {"account", "state", "kind", "peer", "window", "errors", "throttled", "link"}
    assert [word for word in lines[0].split() if word in known] == columns
    assert all(len(line) <= width and "…" not in line for line in lines)
    assert all("192.0.2.1:40000" in line for line in lines[1:])


def test_a_silent_link_is_shown_in_the_narrowest_terminal(store: SqliteStore) -> None:
    store.beat(PROCESS, [link("1", at=now() - 60_000)], now())
    console = Console(width=40)
    with console.capture() as captured:
        rows = list(Look(store, account=None, everything=False).once())
        console.print(table(rows, 40))

    head, line = captured.get().splitlines()
    assert head.split() == ["account", "state"]
    assert line.split()[:2] == ["one", "bound"]
    assert len(line) <= 40


@pytest.mark.parametrize(
    ("passed", "written"),
    [(0, "0 s"), (-5, "0 s"), (119_000, "119 s"), (120_000, "2 min"), (7_199_000, "119 min"),
     (7_200_000, "2 h"), (200_000_000, "2 d")],
)  # fmt: skip
def test_lengths_of_time(passed: int, written: str) -> None:
    assert length(passed) == written
