"""Ordering recordings from a shell: what is ordered, what is said, when it ends."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from msgspec.structs import replace

from bridge import cli
from bridge.cli import recording as module
from bridge.cli.options import now
from bridge.cli.recording import seconds_of
from bridge.doorbell import ORDERS, Doorbell, directory_for
from bridge.store.contract import LiveObject, Order, ProcessStatus
from bridge.store.sqlite.engine import SqliteStore
from smsc.config import Account
from smsc.status import LinkStatus

PROCESS = ProcessStatus(
    id="prc_1", node="host.example/boot", pid=77, pid_started=0, role="carrier", started_at=0
)
LINK = LinkStatus(
    link="lnk_1", account="one", peer="192.0.2.1:40000", state="bound", opened_at=0, alive_at=0
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "sms.db", clock=now)
    account = Account(name="one", system_id="one")
    made.apply("test", [LiveObject("account", "one", msgspec.json.encode(account))], now())
    made.beat(PROCESS, [LINK], now())
    yield made
    made.close()


@pytest.fixture
def run(store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str, status: int = 0) -> Any:
        assert cli.run(["links", *words, "--store", str(tmp_path / "sms.db")]) == status
        return capsys.readouterr()

    return command


@pytest.fixture
def gateway(store: SqliteStore, tmp_path: Path) -> Iterator[None]:
    """Somebody who records as ordered: one link, over at once."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            for order in store.orders(now()):
                folder = tmp_path / "sms.db-recordings" / order.id
                if not folder.exists():
                    folder.mkdir(parents=True)
                    (folder / "one-lnk_1.pcap").touch()
                    (folder / "one-lnk_1.txt").write_text("# head\n\n# ended: enough; 7 PDUs\n")

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def test_an_order_is_given_and_rung(store: SqliteStore, run: Any, tmp_path: Path) -> None:
    bell = Doorbell(directory_for(tmp_path / "sms.db"), "prc_2", hears=(ORDERS,))

    said = run("record", "one", "--for", "2m", "--pdus", "9", "--unmask", "--pcap", "--detach")

    (order,) = store.orders(now())
    until = order.until - now()
    assert order == Order(
        id=order.id, kind="record", account="one", until=order.until, pdus=9, unmask=True, pcap=True
    )
    assert 110_000 < until <= 120_000
    assert f"sms.db-recordings/{order.id}" in said.out
    assert "numbers and texts in full" in said.err
    assert bell._listener is not None
    assert bell._listener.recv(64) == ORDERS
    bell.close()


def test_one_link_for_a_minute(store: SqliteStore, run: Any) -> None:
    run("record", "lnk_1", "--detach", "--json")

    (order,) = store.orders(now())
    assert (order.link, order.account, order.pdus, order.pcap) == ("lnk_1", "", 0, False)
    assert 50_000 < order.until - now() <= 60_000


def test_it_is_followed_to_its_end(store: SqliteStore, gateway: None, run: Any) -> None:
    lines = run("record", "lnk_1", "--for", "1h").out.splitlines()

    assert lines[0].startswith("recording into ")
    assert lines[0].endswith("one-lnk_1.txt")
    assert lines[1].endswith("one-lnk_1.pcap")
    assert lines[2] == "  enough; 7 PDUs"


def test_an_account_is_followed_until_time_is_up(
    store: SqliteStore, gateway: None, run: Any
) -> None:
    (line,) = run("record", "one", "--for", "1s", "--json").out.splitlines()

    (file,) = json.loads(line)["files"]
    assert file["ended"] == "enough; 7 PDUs"
    assert file["capture"].endswith(".pcap")


def test_it_is_over_when_somebody_ends_it(store: SqliteStore, run: Any) -> None:
    waiting = threading.Event()

    def end() -> None:
        while not (orders := store.orders(now())):
            waiting.wait(0.01)
        store.order(replace(orders[0], kind="end-recording"))

    thread = threading.Thread(target=end)
    thread.start()
    said = run("record", "one", "--for", "1h", status=1)
    thread.join()

    assert "nothing was recorded" in said.err


def test_nobody_to_record_is_said(
    store: SqliteStore, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.1)

    said = run("record", "one", "--for", "1s", status=1)

    assert "no link of one was open in that time" in said.err


def test_ctrl_c_ends_the_recording(
    store: SqliteStore, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bridge.cli.recording.time.sleep", sleep)

    run("record", "one", status=1)

    assert [order.kind for order in store.orders(now())] == ["end-recording"]


def test_what_nobody_knows_is_refused(store: SqliteStore, run: Any) -> None:
    said = run("record", "two", status=1).err
    assert "there is no account two; there are one" in said
    assert "there is no open link lnk_2" in run("record", "lnk_2", status=1).err
    assert store.orders(now()) == []


def test_without_a_gateway_nothing_is_ordered(store: SqliteStore, run: Any) -> None:
    store.leave("prc_1")

    assert "no carrier process is running" in run("record", "one", status=1).err
    assert store.orders(now()) == []


@pytest.mark.parametrize(
    "choose", [lambda _: [], lambda order: [order.id], lambda _: ["one"]], ids=["all", "id", "name"]
)
def test_recordings_are_ended(
    store: SqliteStore, run: Any, choose: Callable[[Order], list[str]]
) -> None:
    run("record", "one", "--detach")
    (order,) = store.orders(now())

    said = run("end-recording", *choose(order))

    assert said.out == f"{order.id} of one ends.\n"
    (ended,) = store.orders(now())
    assert (ended.id, ended.kind) == (order.id, "end-recording")
    assert "nothing is being recorded" in run("end-recording", status=1).err
    assert "of two" in run("end-recording", "two", status=1).err


def test_the_directory_is_the_configurations(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "smsbridge.toml"
    config.write_text(
        f'[store]\npath = "{tmp_path}/sms.db"\n[carrier]\nrecordings = "{tmp_path}/there"\n'
    )

    assert cli.run(["links", "record", "one", "--detach", "--config", str(config)]) == 0
    assert f"{tmp_path}/there/ord_" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("5 min", 300), ("24h", 86_400)]
)
def test_lengths(text: str, seconds: int) -> None:
    option = click.Option(["--for"])
    assert seconds_of(click.Context(cli.smsbridge), option, text) == seconds


@pytest.mark.parametrize("text", ["", "0", "25h", "1d", "-5", "5 5", "five"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="60s, 5m or 2h"):
        seconds_of(click.Context(cli.smsbridge), click.Option(["--for"]), text)
