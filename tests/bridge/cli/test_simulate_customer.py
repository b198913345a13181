import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import click
import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook

from bridge.cli.simulate_customer import SECRET_VARIABLE, address
from bridge.cli.simulate_customer import customer as command

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_c2Vjb25kLXNlY3JldC1zZWNvbmQtc2VjcmV0"
BODY = json.dumps({
    "type": "message.received",
    "data": {
        "messageId": "msg_1",
        "fromNumber": "+447700900123",
        "toNumber": "+447700900999",
        "content": "Good day",
        "encoding": "gsm7",
        "complete": True,
    },
})  # fmt: skip
PROGRAM = """
import sys
from bridge.cli.simulate_customer import customer
sys.exit(customer.main(standalone_mode=False))
"""


@contextmanager
def receiving(*words: str, env: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command in a process of its own, as signals end it; where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--listen", "127.0.0.1:0", *words],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        yield process.stderr.readline().removeprefix("listening on ").strip(), process
    finally:
        process.kill()
        process.communicate()


def post(url: str, secret: str = SECRET) -> int:
    at = int(time.time())
    signature = Webhook(secret).sign("evt_1", datetime.fromtimestamp(at, UTC), BODY)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }
    try:
        with urlopen(Request(url, BODY.encode(), headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_shows_what_came_masked_and_ends_by_signal() -> None:
    with receiving(env={SECRET_VARIABLE: SECRET}) as (url, process):
        status = post(url)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=10)

    assert status == 200
    assert process.returncode == 0
    assert "message.received evt_1" in said
    assert "900123" not in said
    assert "Good day" not in said


def test_shows_everything_when_asked() -> None:
    with receiving("--unmask", "--count", "1", env={SECRET_VARIABLE: SECRET}) as (url, process):
        post(url)
        said, _ = process.communicate(timeout=10)

    assert "+447700900123" in said
    assert "Good day" in said


@pytest.mark.parametrize("unmask", [False, True])
def test_tells_programs_in_json(unmask: bool, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n", encoding="utf-8")
    words = ["--json", "--count", "1", "--secret-env", "A", "--secret-file", str(file)]
    with receiving(*words, *(["--unmask"] if unmask else []), env={"A": OTHER}) as (url, process):
        post(url)
        said, _ = process.communicate(timeout=10)

    told = json.loads(said)
    assert told["verified"] is True
    assert told["answered"] == 200
    assert told["data"]["messageId"] == "msg_1"
    assert ("Good day" in said) is unmask
    assert ("+447700900123" in said) is unmask


def test_a_wrong_signature_is_refused_and_fails_the_command() -> None:
    with receiving("--count", "1", env={SECRET_VARIABLE: SECRET}) as (url, process):
        status = post(url, OTHER)
        said, _ = process.communicate(timeout=10)

    assert status == 401
    assert process.returncode == 1
    assert "REFUSED" in said


def test_fails_as_told_and_then_recovers() -> None:
    words = ("--status", "503", "--first", "2", "--delay", "0.01", "--count", "3")
    with receiving(*words, env={SECRET_VARIABLE: SECRET}) as (url, process):
        assert [post(url) for _ in range(3)] == [503, 503, 200]
        process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ((), {}),
        (("--secret-env", "NOWHERE"), {}),
        (("--secret-file", "/nonexistent"), {}),
        ((), {SECRET_VARIABLE: "!"}),
    ],
)
def test_without_a_usable_secret_it_does_not_start(
    words: tuple[str, ...], env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)

    result = CliRunner().invoke(
        command, ["--listen", "127.0.0.1:0", *words], env=env, standalone_mode=False
    )

    assert isinstance(result.exception, click.UsageError)
    assert "secret" in result.exception.message


def test_a_taken_port_is_told() -> None:
    with receiving(env={SECRET_VARIABLE: SECRET}) as (url, _):
        result = CliRunner().invoke(
            command,
            ["--listen", url.removeprefix("http://")],
            env={SECRET_VARIABLE: SECRET},
            standalone_mode=False,
        )

    assert isinstance(result.exception, click.ClickException)
    assert "can't listen" in result.exception.message


def test_an_address_may_be_short() -> None:
    assert address("8099") == ("127.0.0.1", 8099)
    assert address("[::1]:80") == ("::1", 80)
    assert address("localhost:80") == ("localhost", 80)
