"""The reading commands, run in this process on a store that was filled as the gateway would."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from bridge import cli
from bridge.cli.options import now
from bridge.doorbell import DUE, Doorbell, directory_for
from bridge.model import Attempt, Endpoint
from bridge.store.contract import LiveObject, Settlement
from bridge.store.records import ArrivalKey, DeliveryRecord, EventRecord, MessageRecord
from bridge.store.sqlite.engine import SqliteStore

SENDER, NUMBER = "+447700900123", "+447700900999"


class Filled:
    """A store, and how to fill it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path, clock=now)
        endpoint = Endpoint(name="customer", url="https://example.com/", secrets=("whsec_x",))
        live = LiveObject("endpoint", "customer", msgspec.json.encode(endpoint))
        self.store.apply("test", [live], now())
        self.place = 0

    def message(
        self,
        text: str,
        *endpoints: str,
        kind: Literal["message", "receipt"] = "message",
        **said: Any,
    ) -> str:
        self.place += 1
        place = self.place
        key = ArrivalKey("one", "lnk_1", place, place.to_bytes(32, "big"), now())
        data = {"content": text, **said}
        body = msgspec.json.encode({"type": f"{kind}.received", "data": data})
        event = EventRecord(
            f"evt_{place:04}", f"{kind}.received", "default", body, now(),
            tuple(DeliveryRecord(name, name) for name in endpoints),
        )  # fmt: skip
        record = MessageRecord(
            id=f"msg_{place:04}", key=key, carrier="acme", tenant="default",
            number=NUMBER if endpoints else None, source=SENDER, destination=NUMBER,
            encoding="gsm7", raw=b"{}", events=(event,), kind=kind,
        )  # fmt: skip
        self.store.record([record])
        return record.id

    def kill(self, response: str = "") -> int:
        """Make what is due dead letters."""
        (lease,) = self.store.lease("prc_1", ["customer"], 30)
        dues = self.store.due("customer", now(), 100)
        attempt = Attempt(
            number=1, started_at=now(), duration_ms=3.5, status=500, remote="1.2.3.4",
            response=response,
        )  # fmt: skip
        self.store.settle(
            "customer", lease.token,
            [Settlement(delivery=due.id, attempt=attempt, state="dead", reason="HTTP 500")
             for due in dues],
        )  # fmt: skip
        return len(dues)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    made = Filled(tmp_path / "sms.db")
    yield made
    made.store.close()


@pytest.fixture
def run(filled: Filled, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str, status: int = 0) -> Any:
        assert cli.run([*words, "--store", str(filled.path)]) == status
        said = capsys.readouterr()
        if "--json" in words:
            return [json.loads(line) for line in said.out.splitlines()]
        return said

    return command


def test_messages_newest_first_and_masked(filled: Filled, run: Any) -> None:
    filled.message("first", "customer")
    filled.message("second")
    rows = run("messages", "--json")
    assert [row["id"] for row in rows] == ["msg_0002", "msg_0001"]
    assert rows[0] | {
        "from": "+4477…123", "to": "+4477…999", "text": "[6 characters]", "status": "unrouted",
        "number": None,
    } == rows[0]  # fmt: skip
    assert rows[1]["number"] == "+4477…999"
    assert rows[1]["received_at"].endswith("Z")
    table = run("messages").out
    assert table.splitlines()[0].split()[:2] == ["id", "received"]
    assert SENDER not in table
    assert "first" not in table


def test_messages_in_full(filled: Filled, run: Any) -> None:
    filled.message("first \x1b[31m", "customer")
    (row,) = run("messages", "--json", "--unmask")
    assert (row["from"], row["to"], row["text"]) == (SENDER, NUMBER, "first \x1b[31m")
    assert "\x1b" not in run("messages", "--unmask").out


def test_filters(filled: Filled, run: Any) -> None:
    for text in "abc":
        filled.message(text, "customer")
    filled.message("d")
    assert len(run("messages", "--json", "--from", SENDER)) == 4
    assert run("messages", "--json", "--to", SENDER) == []
    assert len(run("messages", "--json", "--status", "pending")) == 3
    assert len(run("messages", "--json", "--limit", "2")) == 2
    rows = run("messages", "--json", "--before", "msg_0003")
    assert [row["id"] for row in rows] == ["msg_0002", "msg_0001"]
    assert run("messages", "--to", "+1").err == "No message fits.\n"


def test_more_than_a_page(filled: Filled, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cli.read.PAGE", 2)
    for text in "abcde":
        filled.message(text)
    assert len(run("messages", "--json")) == 5
    assert len(run("messages", "--json", "--limit", "3")) == 3
    assert len(run("unrouted", "--json")) == 5


def test_one_message_with_its_attempts(filled: Filled, run: Any) -> None:
    name = filled.message("hello", "customer")
    assert "no attempt yet" in run("messages", "show", name).out
    filled.kill()
    said = run("messages", "show", name).out
    assert "to customer: dead" in said
    assert "500" in said
    assert "hello" not in said
    (row,) = run("messages", "show", name, "--json")
    assert row["deliveries"][0]["attempts"][0]["status"] == 500
    (row,) = run("messages", "show", name, "--json", "--unmask")
    assert row["text"] == "hello"


def test_how_a_message_was_read_is_shown(filled: Filled, run: Any) -> None:
    metadata = {"lockingShift": "turkish", "messageClass": 0, "replyAddress": "+447700900456"}
    name = filled.message(
        "x", "customer", flags=["undecodable-octets", "bad-udh"], metadata=metadata
    )

    said = run("messages", "show", name).out
    assert "flags         undecodable-octets, bad-udh\n" in said
    assert "lockingShift turkish, messageClass 0, replyAddress [13 characters]\n" in said
    assert "receipt" not in said
    (row,) = run("messages", "show", name, "--json")
    assert row["flags"] == ["undecodable-octets", "bad-udh"]
    assert "event" not in row
    (row,) = run("messages", "show", name, "--json", "--unmask")
    assert row["metadata"] == metadata
    assert row["event"]["data"]["content"] == "x"


def test_what_a_receipt_says_is_shown(filled: Filled, run: Any) -> None:
    name = filled.message(
        "id:0a3f", "customer", kind="receipt", state="DELIVRD", error=None,
        carrierMessageIdText="0a3f", carrierMessageIdTlv=None, carrierMessageId="2623",
    )  # fmt: skip

    said = run("messages", "show", name).out
    assert "state DELIVRD, carrierMessageIdText 0a3f, carrierMessageId 2623\n" in said


def test_a_message_that_is_not_there(run: Any) -> None:
    assert "there is no message msg_9" in run("messages", "show", "msg_9", status=1).err


def test_unrouted(filled: Filled, run: Any) -> None:
    assert run("unrouted").err == "Nothing is unrouted.\n"
    filled.message("a", "customer")
    name = filled.message("b")
    assert [row["id"] for row in run("unrouted", "--json")] == [name]


def test_dead_letters_and_sending_them_again(filled: Filled, run: Any) -> None:
    assert run("dead-letters").err == "No dead letters.\n"
    for text in "abcd":
        filled.message(text, "customer")
    assert filled.kill() == 4
    rows = run("dead-letters", "--json")
    assert [row["endpoint"] for row in rows] == ["customer"] * 4
    assert rows[0]["reason"] == "HTTP 500"
    assert rows[0]["last_status"] == 500
    assert run("dead-letters", "--json", "--endpoint", "other") == []
    ids = [str(row["id"]) for row in rows]
    assert run("dead-letters", "retry", ids[0], ids[1]).out == "2 sent again.\n"
    said = run("dead-letters", "retry", ids[0], ids[2], status=1)
    assert said.out == "1 sent again.\n"
    assert "1 of 2 are no dead letters" in said.err
    assert run("dead-letters", "retry", "--endpoint", "other").out == "0 sent again.\n"
    assert run("dead-letters", "retry", "--all").out == "1 sent again.\n"
    assert run("dead-letters", "--json") == []


def test_sending_all_again_ends_though_they_die_again_at_once(
    filled: Filled, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in "abc":
        filled.message(text, "customer")
    filled.kill()
    monkeypatch.setattr("bridge.cli.read.PAGE", 2)
    retry = SqliteStore.retry

    def refused(store: SqliteStore, *given: Any, **named: Any) -> int:
        count = retry(store, *given, **named)
        filled.kill()
        return count

    monkeypatch.setattr(SqliteStore, "retry", refused)
    assert run("dead-letters", "retry", "--all", "--json") == [{"retried": 3, "missing": 0}]
    assert len(run("dead-letters", "--json")) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("dead-letters", "--endpoint", "customer", "retry", "--all"),
        ("messages", "--unmask", "show", "msg_0001"),
    ],
)
def test_options_of_the_list_do_not_vanish_before_a_subcommand(
    filled: Filled, run: Any, words: tuple[str, ...]
) -> None:
    filled.message("a", "customer")
    filled.kill()
    assert f"{words[1]} before `{words[-2]}`" in run(*words, status=2).err
    assert len(run("dead-letters", "--json")) == 1


def test_what_an_endpoint_answered_is_masked_too(filled: Filled, run: Any) -> None:
    name = filled.message("hello", "customer")
    filled.kill(response=f"no such customer {SENDER}: hello")
    (row,) = run("messages", "show", name, "--json")
    assert row["deliveries"][0]["attempts"][0]["response"] == "[37 characters]"
    (row,) = run("messages", "show", name, "--json", "--unmask")
    assert SENDER in row["deliveries"][0]["attempts"][0]["response"]


async def test_sending_again_wakes_the_gateway(filled: Filled, run: Any) -> None:
    filled.message("a", "customer")
    filled.kill()
    bell = Doorbell(directory_for(filled.path), "prc_1")
    run("dead-letters", "retry", "--all")
    assert await bell.wait() == (DUE,)
    bell.close()


def test_an_endpoint_without_dead_letters_is_named(filled: Filled, run: Any) -> None:
    filled.message("a", "customer")
    filled.kill()
    said = run("dead-letters", "retry", "--endpoint", "costumer")
    assert said.out == "0 sent again.\n"
    assert "'costumer'" in said.err


@pytest.mark.parametrize("words", [(), ("1", "--all"), ("--all", "--endpoint", "x")])
def test_sending_again_wants_to_know_which(run: Any, words: tuple[str, ...]) -> None:
    assert "say which" in run("dead-letters", "retry", *words, status=2).err


def test_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["messages"], ["unrouted"], ["dead-letters"], ["quarantine"], ["links"]):
        assert cli.run([*words, "--store", str(tmp_path / "no.db")]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "there is no store at" in said
    assert not (tmp_path / "no.db").exists()


def test_an_empty_file_is_no_store_and_stays_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.db").touch()
    assert cli.run(["links", "--store", str(tmp_path / "empty.db")]) == 1
    assert "there is no store at" in capsys.readouterr().err
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [0]


def test_a_store_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.db").write_bytes(b"not a database at all" * 1_000)
    assert cli.run(["messages", "--store", str(tmp_path / "bad.db")]) == 1
    said = capsys.readouterr().err
    assert "bad.db" in said
    assert "Traceback" not in said


def test_the_store_of_the_configuration(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The endpoint's secret is in nobody's environment: looking needs none.
    file = tmp_path / "smsbridge.toml"
    file.write_text(
        f'[store]\npath = "{filled.path}"\n[[endpoints]]\nname = "x"\n'
        'secrets = [{ env = "NOT_SET" }]\n'
    )
    name = filled.message("a")
    assert cli.run(["messages", "--config", str(file), "show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == name
