"""What the supervisor does with the configuration file; the program itself is run by
``test_app.py`` and the stories."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from bridge.cli.options import load_config, now
from bridge.cli.serve import ManagedFile, bury, differences
from bridge.config import Config, Store
from bridge.doorbell import LIVE, Doorbell, directory_for
from bridge.store.contract import ProcessStatus
from bridge.store.sqlite.engine import SqliteStore
from bridge.telemetry import set_up_logging

GOOD = """
[store]
path = "{directory}/sms.db"
[[accounts]]
name = "one"
system_id = "carrier-one"
password = "secret-1"
[[numbers]]
number = "+447700900999"
"""


class Managed:
    """A configuration file that is applied, with what was logged of it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "smsbridge.toml"
        self.directory = directory
        self.logged = io.BytesIO()
        set_up_logging(form="json", stream=self.logged)
        self.write(GOOD)
        running, live = load_config(self.path)
        self.file = ManagedFile(running, lambda: load_config(self.path))
        self.file.apply(live)
        self.store = SqliteStore(directory / "sms.db", clock=now)

    def write(self, text: str) -> None:
        self.path.write_text(text.replace("{directory}", str(self.directory)))

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logged.getvalue().splitlines()]


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    made = Managed(tmp_path)
    yield made
    made.store.close()
    structlog.reset_defaults()


def test_at_start_the_store_gets_what_the_file_declares(managed: Managed) -> None:
    live = managed.store.live()
    assert live is not None
    assert [account.name for account in live.accounts] == ["one"]
    assert live.accounts[0].password_hash.startswith("$argon2id$")
    assert "secret-1" not in managed.logged.getvalue().decode()


def test_the_same_file_again_is_no_new_revision(managed: Managed) -> None:
    before = managed.store.live()
    managed.file.reload()
    assert managed.store.live() == before


async def test_a_changed_file_is_a_new_revision_and_rings(managed: Managed) -> None:
    before = managed.store.live()
    assert before is not None
    bell = Doorbell(directory_for(managed.directory / "sms.db"), "prc_1")
    managed.write(GOOD + '[[numbers]]\nnumber = "12345"\n')
    managed.file.reload()
    after = managed.store.live()
    assert after is not None
    assert after.revision == before.revision + 1
    assert len(after.numbers) == 2
    assert after.accounts == before.accounts  # an unchanged password keeps its hash
    assert managed.log()[-1] | {"added": ["number 12345"], "removed": []} == managed.log()[-1]
    assert await bell.wait() == (LIVE,)
    bell.close()


def test_an_invalid_file_changes_nothing_and_every_error_is_logged(managed: Managed) -> None:
    before = managed.store.live()
    managed.write(GOOD.replace("number =", "nummer =").replace("system_id", "sytem_id"))
    managed.file.reload()
    assert managed.store.live() == before
    event = managed.log()[-1]
    assert event["event"] == "config.invalid"
    assert event["config"] == str(managed.path)
    told = " ".join(event["problems"])
    assert "accounts[0].sytem_id" in told
    assert "numbers[0].nummer" in told


def test_a_file_that_is_gone_changes_nothing(managed: Managed) -> None:
    before = managed.store.live()
    managed.path.unlink()
    managed.file.reload()
    assert managed.store.live() == before
    assert managed.log()[-1]["event"] == "config.invalid"


def test_a_file_behind_a_link_that_is_switched_stays_the_same_file(managed: Managed) -> None:
    # As releases and mounted configuration are: a new directory, and a link that leads to it.
    releases = [managed.directory / name for name in ("1", "2")]
    for release, text in zip(releases, (GOOD, GOOD.replace("+447700900999", "60777")), strict=True):
        release.mkdir()
        (release / "smsbridge.toml").write_text(text.replace("{directory}", str(managed.directory)))
    current = managed.directory / "current"
    path = current / "smsbridge.toml"
    for release in releases:
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        managed.file.apply(load_config(path)[1])
    live = managed.store.live()
    assert live is not None
    assert [number.number for number in live.numbers] == ["60777"]


def test_a_fault_of_ours_does_not_end_what_runs(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("bridge.cli.serve.apply_file", fail)
    managed.file.reload()
    assert managed.log()[-1]["event"] == "config.not_applied"


def test_changes_of_the_local_half_are_named(managed: Managed) -> None:
    managed.write("shutdown_timeout = 5\n" + GOOD + "[api]\nport = 9999\n")
    managed.file.reload()
    event = managed.log()[-1]
    assert event["event"] == "config.needs_restart"
    assert event["options"] == ["shutdown_timeout", "api.port"]


def test_differences_are_named_by_their_paths() -> None:
    ours = Config()
    assert differences(ours, Config()) == []
    theirs = replace(ours, store=Store(path="other.db"), listeners=())
    assert differences(ours, theirs) == ["store.path", "listeners"]


def test_a_dead_process_is_forgotten(managed: Managed) -> None:
    status = ProcessStatus(id="prc_1", node="n", pid=1, pid_started=0, role="carrier", started_at=0)
    managed.store.beat(status, [], now())
    managed.store.lease("prc_1", ["customer"], 30)
    bury(str(managed.directory / "sms.db"), "prc_1")
    assert managed.store.processes() == []
    assert [lease.lane for lease in managed.store.lease("prc_2", ["customer"], 30)] == ["customer"]
