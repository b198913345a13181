import subprocess
import sys
from pathlib import Path

import pytest

import smsc
from bridge import cli
from bridge.errors import ConfigError, NotFound, Problem, StoreUnusable
from bridge.store.contract import ProcessStatus
from bridge.store.sqlite.engine import SqliteStore
from smsc.status import LinkStatus

SMSBRIDGE = (sys.executable, "-m", "bridge.cli")


def smsbridge(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SMSBRIDGE, *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command() -> None:
    done = smsbridge("--help")
    assert done.returncode == 0
    for name in cli.COMMANDS:
        assert f"  {name} " in done.stdout


def test_help_imports_no_command() -> None:
    program = "import sys; from bridge import cli; cli.run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    for heavy in ("trio", "rich", "apsw", "structlog", "bridge.cli.serve"):
        assert f"'{heavy}'" not in done.stdout


def test_version() -> None:
    assert smsbridge("--version").stdout == f"smsbridge {smsc.__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: smsbridge {name}")


@pytest.mark.parametrize("words", [["no-such"], ["messages", "--limit", "0"], ["serve", "--bad"]])
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigError("f.toml", (Problem("a.b", "is wrong"),)), 2, "f.toml:\n  a.b: is wrong"),
        (StoreUnusable("x.db is not a store"), 1, "smsbridge: x.db is not a store"),
        (NotFound("there is no message msg_1"), 1, "there is no message"),
        (OSError(28, "No space left on device", "x.db"), 1, "x.db: No space left on device"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_how_a_command_ends(
    error: BaseException,
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli.smsbridge, "main", fail)
    assert cli.run([]) == status
    assert said in capsys.readouterr().err


def test_octets_that_are_no_text_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    SqliteStore(tmp_path / "sms.db", clock=lambda: 0).close()
    for words in (["messages", "--from", "\udcff"], ["messages", "show", "\udcff"]):
        assert cli.run([*words, "--store", str(tmp_path / "sms.db")]) == 2
        assert capsys.readouterr().err.startswith("smsbridge: what was given is no text")


def test_what_a_terminal_lacks_is_escaped_and_json_is_utf_8(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sms.db", clock=lambda: 0)
    status = ProcessStatus(id="prc_1", node="n", pid=1, pid_started=0, role="carrier", started_at=0)
    link = LinkStatus(
        link="lnk_1", account="snow-\u2603", peer="", state="bound", opened_at=0, alive_at=0
    )
    store.beat(status, [link], 0)
    store.close()
    for words, shown in (([], b"snow-\\u2603"), (["--json"], "snow-\u2603".encode())):
        done = subprocess.run(
            [*SMSBRIDGE, "links", "--store", str(tmp_path / "sms.db"), *words],
            capture_output=True, timeout=60, check=False, env={"PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert done.returncode == 0
        assert shown in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    pdu = "00000010000000150000000000000001\n" * 20_000
    head = subprocess.run(
        f"{sys.executable} -m bridge.cli decode | head -1",
        shell=True, input=pdu, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert head.stdout.startswith("enquire_link")
    assert head.stderr == ""
