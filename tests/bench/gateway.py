"""A gateway to measure: its configuration, how it starts and ends, and which processes it is.

    python tests/bench/gateway.py start|stop DIRECTORY [--smpp-port N] [--url URL]

starts one in the background and writes ``name pid`` lines to ``DIRECTORY/pids``; stop ends it.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_ID, PASSWORD = "load", "secret"
SECRET = "whsec_YmVuY2htYXJrLXNlY3JldC1iZW5jaG1hcms="

CONFIG = """\
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

[[listeners]]
host = "127.0.0.1"
port = {smpp_port}

[[accounts]]
name = "load"
system_id = "load"
password = "secret"
max_links = 0

[[numbers]]
number = "*"
routes = ["bench"]

[[routes]]
name = "bench"
endpoints = ["sink"]

[[endpoints]]
name = "sink"
url = "{url}"
secrets = ["{secret}"]
max_concurrency = 32
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Gateway:
    """``smsbridge serve`` as a user would start it, in a directory of its own."""

    def __init__(self, directory: Path, url: str, smpp_port: int = 0) -> None:
        self.directory = directory
        self.smpp_port = smpp_port or free_port()
        self.api_port = free_port()
        self.config = directory / "smsbridge.toml"
        self.config.write_text(
            CONFIG.format(
                directory=directory,
                api_port=self.api_port,
                smpp_port=self.smpp_port,
                url=url,
                secret=SECRET,
            )
        )
        self.config.chmod(0o600)
        self.log = directory / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, detached: bool = False) -> None:
        """Start it and wait until it says it is ready; RuntimeError with its log if it isn't."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge.cli", "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                start_new_session=detached,
            )
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/readyz", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        code = self.process.poll()
        self.stop()
        raise RuntimeError(f"not ready (exit status {code}):\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End it, politely for 35 seconds."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(35)
            except subprocess.TimeoutExpired:
                for process in tree(self.process.pid).values():
                    process.kill()
                self.process.wait()


def tree(pid: int) -> dict[str, psutil.Process]:
    """The gateway's processes by role; the supervisor is ``supervisor``."""
    root = psutil.Process(pid)
    found = {"supervisor": root}
    for child in root.children(recursive=True):
        words = child.cmdline()
        role = words[words.index("--role") + 1] if "--role" in words else child.name()
        while role in found:
            role += "'"
        found[role] = child
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("verb", choices=["start", "stop"])
    p.add_argument("directory", type=Path)
    p.add_argument("--smpp-port", type=int, default=2775)
    p.add_argument("--url", default="http://127.0.0.1:8099/x")
    p.add_argument("--keep", action="store_true", help="keep what an earlier run left in the store")
    arguments = p.parse_args()
    directory = arguments.directory.resolve()
    pids = directory / "pids"
    if arguments.verb == "start":
        if directory.exists() and not arguments.keep:
            shutil.rmtree(directory)
        directory.mkdir(parents=True, exist_ok=True)
        gateway = Gateway(directory, arguments.url, arguments.smpp_port)
        gateway.start(detached=True)
        assert gateway.process
        found = tree(gateway.process.pid)
        pids.write_text("".join(f"{name} {process.pid}\n" for name, process in found.items()))
        return
    if pids.exists():
        processes = [int(line.split()[1]) for line in pids.read_text().splitlines()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = [psutil.Process(pid) for pid in processes if psutil.pid_exists(pid)]
            for process in alive if number == signal.SIGKILL else alive[:1]:
                os.kill(process.pid, number)
            psutil.wait_procs(alive, 35)
        pids.unlink()


if __name__ == "__main__":
    main()
