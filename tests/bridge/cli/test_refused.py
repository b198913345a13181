"""The list of what was refused, on stores filled as processes fill them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge import cli
from bridge.cli.options import now
from bridge.store.contract import LiveObject
from bridge.store.records import Refusal
from bridge.store.sqlite.engine import SqliteStore
from smsc.config import Account
from smsc.wire.pdu import encode
from tests.fix_peer import deliver

ACCOUNT = Account(name="one", system_id="one", window=50)


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


def refusal(**facts: Any) -> Refusal:
    given = {
        "at": now(), "account": "one", "link": "lnk_1", "peer": "192.0.2.1:40000",
        "command": "deliver_sm", "status": 0x58, "reason": "above the window", **facts,
    }  # fmt: skip
    return Refusal(**given)


MESSAGE = encode(deliver(9, b"hello"))


def test_what_was_refused_newest_first(store: SqliteStore, run: Any) -> None:
    assert run("refused").err == "Nothing was refused.\n"
    store.refuse([refusal(), refusal(account="", command="bind_receiver", status=0xF)])

    first, second = run("refused", "--json")
    assert (first["account"], first["status_name"]) == ("", "ESME_RINVSYSID")
    assert second | {
        "account": "one", "command": "deliver_sm", "status": 0x58, "reason": "above the window",
        "status_name": "ESME_RTHROTTLED", "peer": "192.0.2.1:40000",
    } == second  # fmt: skip
    assert "explained" not in second
    table = run("refused").out
    assert "ESME_RTHROTTLED" in table
    assert "above the window" in table


def test_refusals_of_an_account_and_by_pages(
    store: SqliteStore, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.read.PAGE", 2)
    store.refuse([refusal(reason=str(number)) for number in range(5)] + [refusal(account="")])

    assert len(run("refused", "--json", "--account", "one")) == 5
    assert len(run("refused", "--json", "--account", "")) == 1
    rows = run("refused", "--json", "--limit", "3")
    assert [row["reason"] for row in rows[1:]] == ["4", "3"]
    more = run("refused", "--json", "--before", str(rows[-1]["number"]))
    assert [row["reason"] for row in more] == ["2", "1", "0"]
    assert "There is no account two" in run("refused", "--account", "two").err
    assert "--limit before `refused`" in run("--limit", "2", "refused", status=2).err


def test_pdus_explained_masked(store: SqliteStore, run: Any) -> None:
    store.refuse([refusal(raw=MESSAGE), refusal(command="bind_receiver", status=0xE)])

    said = run("refused", "--explain").out
    assert "  deliver_sm, 62 octets\n" in said
    assert "[5 characters]" in said
    assert "hello" not in said
    assert "447700900123" not in said
    assert "hello" in run("refused", "--explain", "--unmask").out
    bind, message = run("refused", "--explain", "--json")
    assert bind["explained"] == []
    assert message["explained"][0]["text"] == "[5 characters]"
