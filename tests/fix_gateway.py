"""The gateway as a user runs it: ``smsbridge serve`` as processes of their own, on free ports,
with a store and configuration in the test's directory, and always ended."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from bridge.doorbell import directory_for

ROOT = Path(__file__).resolve().parents[1]

SMSBRIDGE = (sys.executable, "-m", "bridge.cli")

SYSTEM_ID, PASSWORD = "carrier-one", "secret-1"
SECRET = "whsec_c3Rvcmllcy1zdG9yaWVzLXN0b3JpZXMtc3Rvcmllcw=="
ROTATED_SECRET = "whsec_b2xkLXN0b3JpZXMtb2xkLXN0b3JpZXMtb2xkLXN0bw=="
NUMBER = "+447700900999"

READY_BOUND = 30.0
"""Seconds a gateway may take to be ready, on a machine that is busy with other tests."""

LOCAL = """\
shutdown_timeout = 10

[store]
path = "{directory}/smsbridge.db"

[api]
host = "127.0.0.1"
port = {api_port}

[carrier]
status_port = 0

[delivery]
status_port = 0
allow_networks = ["127.0.0.1/32"]
allow_http = true

[intake]
{intake}

[[listeners]]
host = "127.0.0.1"
port = {smpp_port}
"""

ACCOUNT = f"""
[[accounts]]
name = "one"
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
carrier = "one"
max_links = 0
default_country = "GB"
"""


def endpoint(name: str, url: str, *options: str) -> str:
    """An endpoint that is tried again quickly, with further lines of TOML."""
    retries = ", ".join(["0"] + ["0.2"] * 19)
    schedule = "" if any(o.startswith("retry_schedule") for o in options) else retries
    lines = [
        "[[endpoints]]",
        f'name = "{name}"',
        f'url = "{url}"',
        f'secrets = ["{SECRET}", "{ROTATED_SECRET}"]',
        *([f"retry_schedule = [{schedule}]"] if schedule else []),
        *options,
    ]
    return "\n".join(["", *lines, ""])


def routed(number: str, *endpoints: str, route: str = "all", tag: str = "stories") -> str:
    """A number with one route to these endpoints."""
    names = ", ".join(f'"{name}"' for name in endpoints)
    return f"""
[[numbers]]
number = "{number}"
routes = ["{route}"]

[[routes]]
name = "{route}"
endpoints = [{names}]
routing_tag = "{tag}"
"""


def to_one(url: str) -> str:
    """The live half most stories need: one account, one number, one endpoint."""
    return ACCOUNT + routed(NUMBER, "customer") + endpoint("customer", url)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Ours, without what would lead the gateway to another configuration."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SMSBRIDGE_")} | dict(more)


class Gateway:
    """A gateway in a directory. Made by :func:`open_gateway`."""

    def __init__(self, directory: Path, live: str, intake: str, env: Mapping[str, str]) -> None:
        self.directory = directory
        self.config = directory / "smsbridge.toml"
        self.store = directory / "smsbridge.db"
        self.log_file = directory / "gateway.log"
        self.smpp_port = free_port()
        self.api_port = free_port()
        self.env = environment(env)
        self.process: trio.Process | None = None
        self._intake = intake
        self.configure(live)

    def configure(self, live: str) -> None:
        """Write the configuration file anew; a running gateway wants SIGHUP then."""
        local = LOCAL.format(
            directory=self.directory,
            api_port=self.api_port,
            smpp_port=self.smpp_port,
            intake=self._intake,
        )
        self.config.write_text(local + live)
        self.config.chmod(0o600)

    async def start(self, *, prefix: tuple[str, ...] = ()) -> None:
        """Start it and wait until it is ready; fails with its log where it isn't.

        ``prefix`` is a command to run it under, such as strace.
        """
        with self.log_file.open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [
                    *prefix,
                    sys.executable,
                    "-m",
                    "bridge.cli",
                    "serve",
                    "--config",
                    str(self.config),
                ],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with trio.move_on_after(READY_BOUND):
            while self.process.poll() is None:
                if await self.ready():
                    return
                await trio.sleep(0.02)
        await self.kill()
        pytest.fail(f"the gateway is not ready (exit {self.process.returncode}):\n{self.log()}")

    async def ready(self) -> bool:
        """Whether /readyz says yes."""
        return (await self.get("/readyz"))[0] == 200

    async def get(self, path: str) -> tuple[int, str]:
        """A status and body of the api role; 0 where nobody answers."""
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", self.api_port)
        except OSError:
            return 0, ""
        async with stream:
            head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            data = b""
            try:
                await stream.send_all(head.encode())
                async for chunk in stream:
                    data += chunk
            except trio.BrokenResourceError:
                return 0, ""
        status, _, body = data.decode().partition("\r\n\r\n")
        return int(status.split(" ")[1]) if status else 0, body

    async def until(self, done: Callable[[], object], bound: float = 15) -> None:
        """Wait for something that only looking can tell; fails with the log after ``bound``."""
        with trio.move_on_after(bound):
            while not done():  # noqa: ASYNC110  # it happens in another process
                await trio.sleep(0.02)
            return
        pytest.fail(f"did not come about within {bound} s; the gateway's log:\n{self.log()}")

    def log(self) -> str:
        """The end of what it logged."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")[-8_000:]

    def children(self, role: str = "") -> list[psutil.Process]:
        """Its live processes, those of one role or all below the supervisor."""
        assert self.process
        if self.process.poll() is not None:
            return []  # its children have other parents now, and its number may be another's
        try:
            below = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        found = []
        for process in below:
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if process.status() != psutil.STATUS_ZOMBIE and (not role or role in words):
                found.append(process)
        return found

    def reload(self) -> None:
        """SIGHUP."""
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    async def stop(self, bound: float = 20) -> int:
        """SIGTERM; the exit status. Fails if it takes longer than ``bound``."""
        assert self.process
        self.process.terminate()
        with trio.move_on_after(bound):
            return await self.process.wait()
        log = self.log()
        await self.kill()
        pytest.fail(f"the gateway did not end within {bound} s:\n{log}")

    async def kill(self) -> None:
        """SIGKILL to every process of it."""
        if self.process is None:
            return
        for process in self.children():
            process.kill()
        if self.process.poll() is None:
            self.process.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()

    async def cli(self, *words: str, status: int = 0) -> str:
        """Run ``smsbridge`` with this gateway's configuration; what it printed."""
        done = await trio.run_process(
            [*SMSBRIDGE, *words, "--config", str(self.config)],
            cwd=ROOT,
            env=self.env,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        said = done.stdout.decode()
        assert done.returncode == status, f"{words}: {said}\n{done.stderr.decode()}"
        return said

    async def listed(self, *words: str) -> list[dict[str, Any]]:
        """The objects of a ``--json`` list."""
        return [json.loads(line) for line in (await self.cli(*words, "--json")).splitlines()]


@asynccontextmanager
async def open_gateway(
    directory: Path,
    live: str,
    *,
    intake: str = "",
    env: Mapping[str, str] = {},
    start: bool = True,
) -> AsyncIterator[Gateway]:
    """A gateway with this live configuration, ready unless ``start`` is false.

    Ended when the block is: every process of it, whatever happened.
    """
    gateway = Gateway(directory, live, intake, env)
    try:
        if start:
            await gateway.start()
        yield gateway
    except BaseException as error:
        if gateway.log_file.exists():
            error.add_note(f"the gateway's log:\n{gateway.log()}")
        raise
    finally:
        await gateway.kill()
        # A test's path is too long for sockets: the bell is elsewhere, and stays after a kill.
        shutil.rmtree(directory_for(gateway.store), ignore_errors=True)


GatewayFactory = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def gateway_in(tmp_path: Path) -> GatewayFactory:
    """:func:`open_gateway` in the test's own directory."""

    def make(live: str, **options: Any) -> AbstractAsyncContextManager[Gateway]:
        return open_gateway(tmp_path, live, **options)

    return make
