"""The program itself, on real sockets: processes of one role and of all, their beginning and end.

Each test has a deadline. What the gateway does with traffic is told by the stories.
"""

import os
import signal
import socket

import apsw
import psutil
import pytest
import trio

from bridge.cli.options import now
from bridge.store.sqlite.engine import SqliteStore
from smsc.simulator.carrier import BindRefused, Carrier
from tests.fix_gateway import (
    NUMBER,
    PASSWORD,
    ROOT,
    SMSBRIDGE,
    SYSTEM_ID,
    Gateway,
    GatewayFactory,
    to_one,
)

BOUND = 60
NOWHERE = "http://127.0.0.1:1025/sms"


def bound(gateway: Gateway) -> Carrier:
    return Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD)


async def becomes_ready(gateway: Gateway) -> None:
    while not await gateway.ready():  # noqa: ASYNC110  # another process says it
        await trio.sleep(0.05)


async def run_alone(gateway: Gateway, role: str) -> trio.Process:
    with gateway.log_file.open("ab") as log:
        return await trio.lowlevel.open_process(
            [*SMSBRIDGE, "serve", "--role", role, "--config", str(gateway.config)],
            cwd=ROOT, env=gateway.env, stderr=log,
        )  # fmt: skip


async def test_a_hangup_while_it_begins_ends_nothing(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            store = SqliteStore(gateway.store, clock=now)
            store.close()
            other = apsw.Connection(str(gateway.store))
            other.execute("BEGIN IMMEDIATE")  # so that it can't apply its file yet
            gateway.process = await run_alone(gateway, "api")
            await gateway.until(lambda: "gateway.starting" in gateway.log())
            gateway.process.send_signal(signal.SIGHUP)
            other.close()
            await gateway.until(lambda: "process.ready" in gateway.log())
            assert await gateway.stop() == 0


async def test_all_roles_in_one_process_take_a_message(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            gateway.process = await run_alone(gateway, "all")
            await gateway.until(lambda: "process.ready" in gateway.log())
            await becomes_ready(gateway)
            async with bound(gateway) as link:
                (answer,) = await link.send("hello", source="+447700900123", destination=NUMBER)
                assert answer.ok
            (row,) = await gateway.listed("messages")
            assert row["status"] == "pending"
            page = (await gateway.get("/metrics"))[1]
            assert 'smsbridge_arrivals_total{verdict="stored"} 1.0' in page


async def test_a_refused_bind_is_listed_with_its_reason(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            gateway.process = await run_alone(gateway, "carrier")
            await gateway.until(lambda: "process.ready" in gateway.log())
            for system_id in (SYSTEM_ID, "nobody"):
                with pytest.raises(BindRefused):
                    async with Carrier(
                        port=gateway.smpp_port, system_id=system_id, password="hunter2"
                    ):
                        pass
            while len(rows := await gateway.listed("links", "refused")) < 2:  # noqa: ASYNC110  # as above
                await trio.sleep(0.05)
            (its_own,) = await gateway.listed("links", "refused", "--account", "one")

    assert {row["command"] for row in rows} == {"bind_transceiver"}
    by_status = {row["status_name"]: row for row in rows}
    stranger = by_status["ESME_RINVSYSID"]
    assert (stranger["account"], stranger["reason"]) == (
        "", "no account has the system_id 'nobody'",
    )  # fmt: skip
    assert its_own == by_status["ESME_RINVPASWD"]
    assert its_own["reason"].startswith("the password is not that of account ")
    assert "hunter2" not in repr(rows)


async def test_a_process_that_dies_is_replaced_and_buried(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE)) as gateway:
            for role in ("carrier", "delivery", "api"):
                (child,) = gateway.children(role)
                os.kill(child.pid, signal.SIGKILL)
                await gateway.until(
                    lambda role=role, pid=child.pid: any(  # type: ignore[misc]  # bound now
                        process.pid != pid for process in gateway.children(role)
                    )
                )
            await becomes_ready(gateway)
            async with bound(gateway) as link:
                assert (await link.enquire()).ok
            assert gateway.log().count("process.buried") == 3


async def test_children_end_when_the_supervisor_is_killed(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE)) as gateway:
            assert gateway.process
            children = gateway.children()
            assert len(children) == 3
            gateway.process.kill()
            await gateway.process.wait()
            await gateway.until(lambda: not any(map(_lives, children)))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_several_carrier_processes_share_a_port(gateway_in: GatewayFactory) -> None:
    with trio.fail_after(BOUND):
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            text = gateway.config.read_text()
            gateway.config.write_text(text.replace("[carrier]", "[carrier]\nprocesses = 2"))
            await gateway.start()
            assert len(gateway.children("carrier")) == 2
            for _ in range(8):
                async with bound(gateway) as link:
                    assert (await link.enquire()).ok
            assert await gateway.stop() == 0


async def test_a_taken_port_is_noticed_where_the_port_is_shared(
    gateway_in: GatewayFactory,
) -> None:
    with trio.fail_after(BOUND), socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        async with gateway_in(to_one(NOWHERE), start=False) as gateway:
            taken.bind(("127.0.0.1", gateway.smpp_port))
            taken.listen()
            text = gateway.config.read_text()
            gateway.config.write_text(text.replace("[carrier]", "[carrier]\nprocesses = 2"))
            done = await trio.run_process(
                [*SMSBRIDGE, "serve", "--config", str(gateway.config)],
                cwd=ROOT, env=gateway.env, capture_stderr=True, check=False,
            )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last == (
        f"smsbridge: can't listen on 127.0.0.1:{gateway.smpp_port}: it is taken by another program"
    )
