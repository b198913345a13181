"""``smsbridge quarantine``, run in this process on a store that was filled as the gateway would."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from bridge import cli
from bridge.cli.options import now
from bridge.doorbell import DUE, Doorbell, directory_for
from bridge.model import Endpoint, Number, Route
from bridge.store.contract import LiveObject
from bridge.store.records import ArrivalKey, QuarantineRecord
from bridge.store.sqlite.engine import SqliteStore
from smsc.config import Account
from smsc.wire.pdu import encode
from tests.fix_peer import deliver

SENDER, NUMBER = "+447700900123", "+447700900999"
ENDPOINT = Endpoint(name="customer", url="https://example.com/", secrets=("whsec_x",))
FRAME = encode(deliver(7))
UNTERMINATED = b"\0\0\0\x18" + FRAME[4:20] + b"4477"


class Filled:
    """A store whose quarantine a test fills."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path, clock=now)
        objects = (
            ("account", "one", Account(name="one", system_id="one")),
            ("number", NUMBER, Number(number=NUMBER, routes=("all",))),
            ("route", "all", Route(name="all", endpoints=("customer",))),
            ("endpoint", "customer", ENDPOINT),
        )
        self.store.apply(
            "test",
            [LiveObject(kind, name, msgspec.json.encode(each)) for kind, name, each in objects],  # type: ignore[arg-type]  # the words above are of its Literal
            now(),
        )
        self.place = 0

    def quarantine(self, *frames: bytes, account: str = "one") -> None:
        for frame in frames:
            self.place += 1
            key = ArrivalKey(
                account, "lnk_1", self.place, self.place.to_bytes(32, "big"), now() - 60_000
            )
            record = QuarantineRecord(
                id=f"qtn_{self.place}", key=key, raw=frame, reason="bad length"
            )
            self.store.record([record])


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filled]:
    monkeypatch.chdir(tmp_path)
    made = Filled(tmp_path / "sms.db")
    yield made
    made.store.close()


@pytest.fixture
def run(filled: Filled, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str, status: int = 0) -> Any:
        assert cli.run(["quarantine", *words, "--store", str(filled.path)]) == status
        said = capsys.readouterr()
        if "--json" in words:
            return [json.loads(line) for line in said.out.splitlines()]
        return said

    return command


def test_the_list(filled: Filled, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run().err == "Nothing is in quarantine.\n"
    monkeypatch.setattr("bridge.cli.quarantine.PAGE", 2)
    filled.quarantine(b"secret", b"secret", b"secret")
    rows = run("--json")
    assert [row["id"] for row in rows] == ["qtn_3", "qtn_2", "qtn_1"]
    assert rows[0] | {"account": "one", "reason": "bad length", "octets": 6} == rows[0]
    assert rows[0]["raw"] is None
    assert run("list", "--json", "--unmask")[0]["raw"] == b"secret".hex()
    assert b"secret".hex() not in run().out
    assert "bad length" in run("list").out
    assert [row["id"] for row in run("list", "--json", "--limit", "1")] == ["qtn_3"]
    assert run("--account", "two").err.startswith("There is no account two; ")


def test_one_item_in_full(filled: Filled, run: Any) -> None:
    filled.quarantine(FRAME, b'{"kind": "Message"}')

    said = run("show", "qtn_1").out
    assert "deliver_sm" in said
    assert "447700900123" not in said
    assert "--unmask" in said
    said = run("show", "qtn_1", "--unmask").out
    assert "447700900123" in said
    assert FRAME.hex() in said.replace("\n", "").replace(" ", "")
    (row,) = run("show", "qtn_1", "--json")
    assert row | {"command": "deliver_sm", "link": "lnk_1", "place": 1, "raw": None} == row
    assert '"kind": "Message"' in run("show", "qtn_2", "--unmask").out
    assert "qtn_9 is not in quarantine" in run("show", "qtn_9", status=1).err


async def test_reading_again_says_what_became_of_each(filled: Filled, run: Any) -> None:
    filled.quarantine(FRAME, UNTERMINATED)
    bell = Doorbell(directory_for(filled.path), "prc_1", hears=(DUE,))
    try:
        said = run("read-again", "--all").out
        assert "1 read again (1 message), 1 stays." in said
        assert "+4477…123" in said
        assert SENDER not in said
        assert "unterminated" in said
        with trio.fail_after(5):
            assert await bell.wait() == (DUE,)
    finally:
        bell.close()
    assert [row.id for row in filled.store.messages()] == ["msg_1"]
    assert [due.event_type for due in filled.store.due("customer", now(), 9)] == [
        "message.received"
    ]
    assert [row.id for row in filled.store.quarantined()] == ["qtn_2"]
    assert run("read-again", "--all").out.endswith("0 read again, 1 stays.\n")


def test_reading_some_again(filled: Filled, run: Any) -> None:
    filled.quarantine(FRAME, FRAME, FRAME)
    filled.quarantine(FRAME, account="gone")

    (row,) = run("read-again", "qtn_2", "--json", "--unmask")
    assert row | {"became": "message", "as": "msg_2", "from": SENDER, "to": NUMBER} == row
    assert row["received_at"] < row["received_at"][:4] + "9"
    said = run("read-again", "qtn_2", "qtn_3", status=1).err
    assert "qtn_2 is not in quarantine; it was read: see `smsbridge messages show msg_2`" in said
    assert len(filled.store.quarantined()) == 3  # a mistake in what is named reads nothing
    (row,) = run("read-again", "--account", "gone", "--json")
    assert (row["became"], row["as"]) == ("stays", None)
    assert "no account 'gone'" in row["reason"]
    assert [row["became"] for row in run("read-again", "--account", "one", "--json")] == [
        "message"
    ] * 2


def test_a_dry_run(filled: Filled, run: Any) -> None:
    filled.quarantine(FRAME, UNTERMINATED)
    said = run("read-again", "--all", "--dry-run").out

    assert "1 would be read (1 message), 1 would stay." in said
    assert len(filled.store.quarantined()) == 2
    assert filled.store.messages() == []


def test_what_reading_again_must_be_told(filled: Filled, run: Any) -> None:
    assert "say which: ids, --account NAME, or --all" in run("read-again", status=2).err
    assert "say which" in run("read-again", "qtn_1", "--all", status=2).err
    assert run("read-again", "--all").out == "Nothing is in quarantine.\n"
    assert "before `read-again` is for the list" in run("-n", "3", "read-again", status=2).err


def test_discarding_asks_first(filled: Filled, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.quarantine(FRAME, FRAME)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "n")
    assert "stopped" in run("discard", "qtn_1", status=1).err
    assert len(filled.store.quarantined()) == 2

    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "y")
    assert "1 discarded." in run("discard", "qtn_1").out
    assert run("discard", "qtn_2", "--yes").out == "1 discarded.\n"
    assert "is not in quarantine" in run("discard", "qtn_2", "--yes", status=1).err


def test_the_assembly_timeout_is_the_configurations(
    filled: Filled, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    from bridge.intake import rereading

    class Spy(rereading.Reader):
        def __init__(self, *args: Any) -> None:
            waited.append(args[4])
            super().__init__(*args)

    monkeypatch.setattr(rereading, "Reader", Spy)
    run("read-again", "--all")
    config = tmp_path / "sms.toml"
    config.write_text("[intake]\nassembly_timeout = 60\n")
    run("read-again", "--all", "--config", str(config))

    assert waited == [1_800, 60]
