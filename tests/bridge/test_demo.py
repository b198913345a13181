import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
from rich.console import Console

from bridge import demo
from bridge.demo import Sample, run_demo, samples
from smsc.simulator.segments import segments

DEMO = [sys.executable, "-m", "bridge.cli", "demo"]


def steps(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


async def told(**options: Any) -> tuple[int, list[dict[str, Any]]]:
    """Run it here, telling in JSON."""
    output = io.StringIO()
    with trio.fail_after(90):
        status = await run_demo(once=True, as_json=True, console=Console(file=output), **options)
    return status, steps(output.getvalue())


def gateways() -> list[int]:
    """Processes of ours, below this one, that look like a gateway."""
    below = psutil.Process().children(recursive=True)
    return [process.pid for process in below if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a path as short as a user's would be: sockets' paths have a limit."""
    with tempfile.TemporaryDirectory(prefix="d-") as name:
        yield Path(name)


@pytest.mark.slow
async def test_all_three_messages_arrive_verified() -> None:
    status, happened = await told()

    assert status == 0, happened
    names = [step["step"] for step in happened]
    assert names[:3] == ["customer", "ready", "bound"]
    assert names.count("submitted") == names.count("answered") == 5
    webhooks = [step for step in happened if step["step"] == "webhook"]
    assert {webhook["content"] for webhook in webhooks} == {sample.text for sample in samples()}
    assert all(webhook["verified"] for webhook in webhooks)
    assert [webhook["data"]["partCount"] for webhook in webhooks] == [1, 1, 3]
    assert [step["part"] for step in happened if step["step"] == "submitted"][2:] == [3, 1, 2]
    assert happened[-1]["step"] == "summary"
    assert happened[-1]["ok"] is True
    assert gateways() == []


@pytest.mark.slow
def test_it_stays_up_for_people_and_leaves_nothing_behind(short_path: Path) -> None:
    process = subprocess.Popen(
        [*DEMO, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(short_path)},
    )
    try:
        assert process.stdout
        for line in process.stdout:
            step = json.loads(line)
            if step["step"] == "waiting":
                break
        more = step["send"].split(" ", 1)[1].replace("'Hello again'", "again")
        children = psutil.Process(process.pid).children(recursive=True)
        sent = subprocess.run(
            [sys.executable, "-m", "bridge.cli", *more.split(" "), "--json"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert json.loads(sent.stdout)["statuses"] == {"ESME_ROK": 1}
        for line in process.stdout:
            step = json.loads(line)
            if step["step"] == "webhook":
                break
        assert step["content"] == "again"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()

    assert len(children) >= 4
    assert not any(child.is_running() for child in children)
    assert list(short_path.iterdir()) == []


@pytest.mark.slow
def test_people_read_each_step() -> None:
    done = subprocess.run([*DEMO, "--once"], capture_output=True, text=True, timeout=90)

    assert done.returncode == 0, done.stdout
    for words in ("gateway ready", "bound as", "ESME_ROK after", "signature verified", "€35"):
        assert words in done.stdout
    assert "What arrived" in done.stdout
    assert "missing" not in done.stdout


async def test_a_gateway_that_ends_is_told_with_its_log() -> None:
    serve = (sys.executable, "-c", "print('no such luck'); raise SystemExit(3)")

    status, happened = await told(serve=serve)

    assert status == 1
    assert happened[-1]["step"] == "failed"
    assert "status 3" in happened[-1]["error"]
    assert "no such luck" in happened[-1]["error"]


async def test_a_gateway_that_is_never_ready_is_given_up_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "READY_BOUND", 0.3)

    status, happened = await told(serve=(sys.executable, "-c", "import time; time.sleep(60)"))

    assert status == 1
    assert "not ready" in happened[-1]["error"]
    assert gateways() == []


async def test_cancelling_it_leaves_nothing_behind(tmp_path: Path) -> None:
    serve = (sys.executable, "-c", "import time; time.sleep(60)")
    with trio.move_on_after(0.5) as scope:
        await told(serve=serve)

    assert scope.cancelled_caught
    assert gateways() == []


def test_the_samples_are_what_they_say() -> None:
    gsm7, ucs2, three = samples()

    assert [part.data_coding for part in segments(gsm7.text)] == [0]
    assert [part.data_coding for part in segments(ucs2.text)] == [8]
    assert len(segments(three.text)) == 3
    assert sorted(three.order) == [0, 1, 2]
    assert list(three.order) != [0, 1, 2]


@pytest.mark.parametrize(
    ("sample", "missing"),
    [
        (Sample("a", "t"), "not answered"),
        (Sample("a", "t", refused="ESME_RTHROTTLED", answered_at=1.0), "answered ESME_RTHROTTLED"),
        (Sample("a", "t", answered_at=1.0), "no verified webhook with this text"),
        (Sample("a", "t", answered_at=1.0, arrived_at=2.0), ""),
    ],
)
def test_what_is_missing_is_said_in_words(sample: Sample, missing: str) -> None:
    assert sample.missing == missing


@pytest.mark.parametrize(
    ("started_as", "found", "program"),
    [
        ("/opt/env/bin/smsbridge", None, "/opt/env/bin/smsbridge"),
        ("/opt/env/bin/smsbridge", "/opt/env/bin/smsbridge", "smsbridge"),
        ("/opt/env/bin/smsbridge", "/usr/bin/smsbridge", "/opt/env/bin/smsbridge"),
        ("/opt/my env/bin/smsbridge", None, "'/opt/my env/bin/smsbridge'"),
        ("/opt/env/lib/bridge/cli/__main__.py", None, "smsbridge"),
    ],
)
def test_what_it_tells_to_type_starts_this_very_program(
    started_as: str, found: str | None, program: str
) -> None:
    assert demo._program(started_as, found) == program
