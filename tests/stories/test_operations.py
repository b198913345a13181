"""Starting, changing and ending a gateway, and what it says when it can't."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import trio

from bridge.customer import open_customer
from smsc.simulator.carrier import Answer, Carrier, message
from smsc.simulator.segments import segments
from tests.fix_carriers import SENDER
from tests.fix_gateway import (
    ACCOUNT,
    NUMBER,
    PASSWORD,
    ROOT,
    SECRET,
    SMSBRIDGE,
    SYSTEM_ID,
    Gateway,
    endpoint,
    environment,
    open_gateway,
    routed,
    to_one,
)

BOUND = 60
OTHER_NUMBER = "+447700900888"


def carrier(gateway: Gateway, window: int = 100) -> Carrier:
    return Carrier(port=gateway.smpp_port, system_id=SYSTEM_ID, password=PASSWORD, window=window)


async def send(link: Carrier, text: str, to: str = NUMBER) -> list[Answer]:
    return await link.send(text, source=f"+{SENDER}", destination=to)


async def test_sighup_applies_changes_and_keeps_binds(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            carrier(gateway) as link,
        ):
            children = {process.pid for process in gateway.children()}
            assert (await send(link, "before"))[0].ok
            await customer.until(lambda: customer.count == 1)

            gateway.configure(
                ACCOUNT
                + routed(NUMBER, "customer")
                + routed(OTHER_NUMBER, "customer", route="other", tag="after")
                + endpoint("customer", customer.url)
            )
            gateway.reload()
            # When it is in force can only be seen from what it does.
            while customer.received[-1].data["routingTag"] != "after":
                assert (await send(link, "after", OTHER_NUMBER))[0].ok
                await trio.sleep(0.1)

            gateway.config.write_text("[[numbers]\n")
            gateway.reload()
            await gateway.until(lambda: "smsbridge.toml" in gateway.log())
            count = customer.count
            assert (await send(link, "still", OTHER_NUMBER))[0].ok
            await customer.until(lambda: customer.count > count)
            assert customer.received[-1].data["content"] == "still"

            assert not link.ended.is_set()
            assert {process.pid for process in gateway.children()} == children


async def test_sighup_unbinds_an_account_that_is_gone(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            carrier(gateway) as link,
        ):
            assert (await send(link, "before"))[0].ok
            gateway.configure(
                ACCOUNT.replace('"one"', '"two"').replace(SYSTEM_ID, "somebody")
                + routed(NUMBER, "customer")
                + endpoint("customer", customer.url)
            )
            gateway.reload()

            await link.ended.wait()
            assert link.statistics.requests["unbind"] == 1


async def test_sigterm_answers_what_is_in_flight_and_unbinds(tmp_path: Path) -> None:
    frames = [
        message(segments(f"number {n}")[0], source=f"+{SENDER}", destination=NUMBER)
        for n in range(2_000)
    ]
    answers: list[Answer] = []
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
        ):
            async with carrier(gateway, window=50) as link, trio.open_nursery() as nursery:

                async def pour() -> None:
                    for start in range(0, len(frames), 50):
                        answers.extend(await link.deliver(frames[start : start + 50]))
                        if link.ended.is_set():
                            return

                nursery.start_soon(pour)
                await customer.until(lambda: customer.count > 20)
                status = await gateway.stop()
                nursery.start_soon(link.ended.wait)
            assert status == 0, gateway.log()
            assert link.statistics.requests["unbind"] == 1
            stored = sum(answer.ok for answer in answers)
            assert stored > 20

            await gateway.start()
            await customer.until(lambda: len({e.id for e in customer.verified}) >= stored)
            assert gateway.process is not None


async def test_ctrl_c_ends_it_too(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with open_gateway(tmp_path, to_one("http://127.0.0.1:1025")) as gateway:
            assert gateway.process
            children = gateway.children()
            gateway.process.send_signal(signal.SIGINT)
            assert await gateway.process.wait() == 0
            assert not any(process.is_running() for process in children)


async def test_what_nobody_wants_is_rok_and_listed(tmp_path: Path) -> None:
    live = (
        to_one("http://127.0.0.1:1025") + f'[[numbers]]\nnumber = "{OTHER_NUMBER}"\nroutes = []\n'
    )
    with trio.fail_after(BOUND):
        async with (
            open_gateway(tmp_path, live) as gateway,
            carrier(gateway) as link,
        ):
            assert (await send(link, "no such number", "+447700900111"))[0].ok
            assert (await send(link, "no route", OTHER_NUMBER))[0].ok
            listed = await gateway.listed("unrouted", "--unmask")

    assert [(row["text"], row["to"], row["number"]) for row in listed] == [
        ("no route", OTHER_NUMBER, OTHER_NUMBER),
        ("no such number", "+447700900111", None),
    ]
    assert {row["status"] for row in listed} == {"unrouted"}


async def test_r25_links_are_listed_and_health_and_metrics_answer(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with (
            open_customer([SECRET]) as customer,
            open_gateway(tmp_path, to_one(customer.url)) as gateway,
            carrier(gateway) as link,
        ):
            assert (await send(link, "seen"))[0].ok
            rows = await gateway.listed("links")
            while not (rows and rows[0]["arrivals"]):
                await trio.sleep(0.1)
                rows = await gateway.listed("links")
            (row,) = rows
            assert row["account"] == "one"
            assert row["state"] == "bound"
            assert row["kind"] == "transceiver"
            assert (await gateway.get("/livez"))[0] == 200
            page = ""
            bound = r'^smsbridge_links\{[^}]*account="one"[^}]*\} 1\b'
            while not re.search(bound, page, re.MULTILINE):  # a second behind, as the store is
                status, page = await gateway.get("/metrics")
                assert status == 200
                await trio.sleep(0.1)
            log = gateway.log_file.read_text(encoding="utf-8")

    for secret in (PASSWORD, SECRET, "900123", "900999"):
        assert secret not in page
        assert secret not in log


async def serve(directory: Path, config: str, *words: str) -> tuple[int, str]:
    """Try to start a gateway that can't; its status and what it said."""
    file = directory / "smsbridge.toml"
    file.write_text(config, encoding="utf-8")
    done = await trio.run_process(
        [*SMSBRIDGE, "serve", *words, "--config", str(file)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert "Traceback" not in said
    return done.returncode, said


LOCAL = """\
[store]
path = "{store}"
[api]
port = 0
[carrier]
status_port = 0
[delivery]
status_port = 0
allow_http = true
[[listeners]]
host = "127.0.0.1"
port = {port}
"""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[[accounts]\nname = 1\n", ["line 1"]),
        ("[store]\npth = 'x'\n", ["store", "pth", "path"]),
        ('[[endpoints]]\nname = "a"\nurl = "x"\nsecrets = ["whsec_x"]\n', ["endpoints[0].url"]),
        ('[[numbers]]\nnumber = "*"\nroutes = ["nowhere"]\n', ["numbers[0]", "nowhere"]),
    ],
)
async def test_a_wrong_configuration_names_its_place(
    tmp_path: Path, config: str, words: list[str]
) -> None:
    with trio.fail_after(BOUND):
        status, said = await serve(tmp_path, config)

    assert status == 2
    for word in words:
        assert word in said


async def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        done = await trio.run_process(
            [*SMSBRIDGE, "serve", "--config", str(tmp_path / "nowhere.toml")],
            cwd=ROOT, env=environment(), capture_stderr=True, check=False,
        )  # fmt: skip

    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr.decode()


@pytest.mark.parametrize("role", [(), ("--role", "all")])
async def test_a_taken_port_is_told(tmp_path: Path, role: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, trio.fail_after(BOUND):
        port = taken.getsockname()[1]
        config = LOCAL.format(store=tmp_path / "store.db", port=port)
        status, said = await serve(tmp_path, config, *role)

    assert status == 1
    assert str(port) in said


@pytest.mark.parametrize("what", ["garbage", "a directory", "no directory", "another database"])
async def test_a_store_that_cant_be_used_is_told(tmp_path: Path, what: str) -> None:
    store = tmp_path / "smsbridge.db"
    match what:
        case "garbage":
            store.write_bytes(b"this is no database at all, and quite long. " * 100)
        case "a directory":
            store.mkdir()
        case "no directory":
            store = tmp_path / "nowhere" / "smsbridge.db"
        case _:
            import apsw

            other = apsw.Connection(str(store))
            other.execute("CREATE TABLE somebody (elses); PRAGMA user_version = 4711")
            other.close()
    before = store.read_bytes() if store.is_file() else b""
    with trio.fail_after(BOUND):
        status, said = await serve(tmp_path, LOCAL.format(store=store, port=0))

    assert status == 1
    assert str(store) in said
    assert (store.read_bytes() if store.is_file() else b"") == before
