"""One process on real sockets: how it begins, what it tells of itself, how it ends.

Each test has a deadline.
"""

import errno
import socket

import apsw
import httpx
import pytest
import trio

from bridge.cli.options import now
from bridge.errors import BridgeError
from bridge.process import explained, node_name
from bridge.store.sqlite.engine import SqliteStore
from tests.fix_gateway import ROOT, SMSBRIDGE, Gateway, GatewayFactory, free_port, to_one

BOUND = 60
NOWHERE = "http://127.0.0.1:1025/sms"


async def run_alone(gateway: Gateway, role: str) -> trio.Process:
    with gateway.log_file.open("ab") as log:
        return await trio.lowlevel.open_process(
            [*SMSBRIDGE, "serve", "--role", role, "--config", str(gateway.config)],
            cwd=ROOT, env=gateway.env, stderr=log,
        )  # fmt: skip


@pytest.mark.parametrize("role", ["carrier", "delivery", "api", "all"])
async def test_a_role_alone_begins_beats_and_leaves(role: str, gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            gateway.process = await run_alone(gateway, role)
            await gateway.until(lambda: "process.ready" in gateway.log())
            store = SqliteStore(gateway.store, clock=now)
            try:
                (status,) = store.processes()
                assert (status.role, status.pid) == (role, gateway.process.pid)
                assert status.figures["smsbridge_ready"] == 1
                assert await gateway.stop() == 0
                assert store.processes() == []
            finally:
                store.close()


@pytest.mark.parametrize("role", [(), ("--role", "all")])
async def test_a_taken_port_of_the_api_ends_everything(
    gateway_in: GatewayFactory, role: tuple[str, ...]
) -> None:
    with trio.fail_after(BOUND), socket.socket() as taken:
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            taken.bind(("127.0.0.1", gateway.api_port))
            taken.listen()
            done = await trio.run_process(
                [*SMSBRIDGE, "serve", *role, "--config", str(gateway.config)],
                cwd=ROOT, env=gateway.env, capture_stderr=True, check=False,
            )  # fmt: skip
    said = done.stderr.decode()
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{gateway.api_port}" in said
    assert "Traceback" not in said


async def test_every_process_has_a_page_of_its_own(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            port = free_port()
            text = gateway.config.read_text()
            gateway.config.write_text(text.replace("status_port = 0", f"status_port = {port}", 1))
            await gateway.start()
            async with httpx.AsyncClient(trust_env=False) as client:
                for path in ("livez", "readyz", "metrics"):
                    answer = await client.get(f"http://127.0.0.1:{port}/{path}")
                    assert answer.status_code == 200
                assert "smsbridge_ready 1.0" in answer.text


async def test_what_cannot_end_is_ended_by_the_guard(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            text = gateway.config.read_text()
            gateway.config.write_text(text.replace("shutdown_timeout = 10", "shutdown_timeout = 1"))
            gateway.process = await run_alone(gateway, "delivery")
            await gateway.until(lambda: "process.ready" in gateway.log())
            other = apsw.Connection(str(gateway.store))
            other.execute("BEGIN IMMEDIATE")  # nobody else can write now, so nothing can end
            began = trio.current_time()
            assert await gateway.stop() == 1
            assert trio.current_time() - began < 4  # the store would wait for 5
            other.close()


@pytest.mark.parametrize("role", ["delivery", "carrier"])
async def test_an_end_the_store_did_not_hear_of_is_told_by_the_status(
    gateway_in: GatewayFactory, role: str
) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            gateway.process = await run_alone(gateway, role)
            await gateway.until(lambda: "process.ready" in gateway.log())
            aside = gateway.store.rename(gateway.store.with_name("aside.db"))
            assert await gateway.stop() == 1
            assert "Traceback" not in gateway.log()
            aside.rename(gateway.store)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EADDRINUSE, "taken by another program"),
        (errno.EACCES, "no permission"),
        (errno.EADDRNOTAVAIL, "no such address"),
        (errno.ENOBUFS, "No buffer space"),
    ],
)
def test_why_nobody_can_listen_there(code: int, words: str) -> None:
    with pytest.raises(BridgeError, match=words) as caught, explained("192.0.2.1", 25):
        raise OSError(code, "No buffer space")
    assert "192.0.2.1:25" in str(caught.value)


def test_processes_of_one_boot_share_a_node() -> None:
    assert node_name() == node_name()
    assert socket.gethostname() in node_name()
