"""Who gets in: TLS and certificates, address lists, balancers, wrong passwords, and old links in
the way, on a real gateway and with carriers that know nothing of it."""

import shutil
import ssl
import struct
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import smpplib.client
import smpplib.exceptions
import trio
from smpplib.smpp import make_pdu

from bridge.customer import open_customer
from bridge.intake.delays import FIRST
from smsc.simulator.carrier import BindRefused, Carrier
from tests.fix_carriers import SENDER, International
from tests.fix_gateway import (
    NUMBER,
    PASSWORD,
    SECRET,
    SYSTEM_ID,
    Gateway,
    endpoint,
    free_port,
    open_gateway,
    routed,
)
from tests.fix_peer import Peer
from tests.fix_tls import Certificates

BOUND = 60
HOST = "127.0.0.1"
RBINDFAIL, RALYBND, RINVPASWD = 0x0D, 0x05, 0x0E


def account(*options: str) -> str:
    lines = [
        "[[accounts]]",
        'name = "one"',
        f'system_id = "{SYSTEM_ID}"',
        f'password = "{PASSWORD}"',
        *options,
    ]
    return "\n".join(["", *lines, ""])


def listener(port: int, *options: str) -> str:
    return "\n".join(["", "[[listeners]]", f'host = "{HOST}"', f"port = {port}", *options, ""])


@asynccontextmanager
async def serving(
    directory: Path, live: str, *, local: str = "", processes: int = 1
) -> AsyncIterator[tuple[Gateway, Callable[[], Awaitable[None]]]]:
    """A gateway, and a wait until its customer was told of a message."""
    carrier = f"processes = {processes}\nstatus_port = 0"
    async with open_customer([SECRET]) as customer:
        live += routed(NUMBER, "customer") + endpoint("customer", customer.url)
        async with open_gateway(directory, local + live, start=False) as gateway:
            text = gateway.config.read_text(encoding="utf-8")
            gateway.config.write_text(
                text.replace("[carrier]\nstatus_port = 0", f"[carrier]\n{carrier}"),
                encoding="utf-8",
            )
            await gateway.start()

            async def told() -> None:
                await customer.until(lambda: customer.verified)

            yield gateway, told
            assert "Traceback" not in gateway.log_file.read_text(encoding="utf-8")


def smpplib_sends(port: int, context: ssl.SSLContext | None = None) -> int:
    """Bind with smpplib, deliver one message, unbind; the status of the bind or the message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client = smpplib.client.Client(
            HOST, port, timeout=15, ssl_context=context, allow_unknown_opt_params=True
        )
    client.connect()
    try:
        client.bind_transceiver(system_id=SYSTEM_ID, password=PASSWORD)
        pdu = make_pdu(
            "deliver_sm",
            client=client,
            **International,
            source_addr=SENDER,
            destination_addr=NUMBER.lstrip("+"),
            short_message=b"behind the door",
        )
        client.send_pdu(pdu)
        answer = client.read_pdu()
        client.unbind()
        return int(answer.status)
    except smpplib.exceptions.PDUError as error:
        return int(error.args[1])
    finally:
        client.disconnect()


def nameless(context: ssl.SSLContext) -> ssl.SSLContext:
    """As smpplib wants it: it names no host, and so can check none."""
    context.check_hostname = False
    return context


def tls_options(certificates: Certificates, directory: Path, *, mutual: bool) -> list[str]:
    """Options of a listener whose files are copies in the test's own directory."""
    options = certificates.options(mutual=mutual)
    for name, source in (("server.pem", options.certificate), ("server.key", options.key)):
        shutil.copy(source, directory / name)
    return [
        "[listeners.tls]",
        f'certificate = "{directory}/server.pem"',
        f'key = "{directory}/server.key"',
        *([f'client_ca = "{options.client_ca}"'] if mutual else []),
    ]


async def test_r25_a_carrier_binds_over_mutual_tls_with_its_own_certificate(
    tmp_path: Path, certificates: Certificates
) -> None:
    port = free_port()
    pinned = certificates.fingerprint(certificates.client).upper()
    with trio.fail_after(BOUND):
        async with serving(
            tmp_path,
            account("require_tls = true", f'certificates = ["{pinned}"]'),
            local=listener(port, *tls_options(certificates, tmp_path, mutual=True)),
        ) as (gateway, told):

            async def sends(at: int, certificate: str = "") -> int:
                context = nameless(certificates.trusting(certificate)) if certificate else None
                return await trio.to_thread.run_sync(smpplib_sends, at, context)

            assert await sends(port, certificates.client) == 0
            await told()
            assert await sends(port, certificates.other) == RBINDFAIL
            assert await sends(gateway.smpp_port) == RBINDFAIL  # the plain listener
            log = gateway.log_file.read_text(encoding="utf-8")
            assert "the client's certificate is not one of account one's" in log
            assert "account one wants TLS; this link has none" in log


async def test_r25_openssl_finds_nothing_to_complain_of(
    tmp_path: Path, certificates: Certificates
) -> None:
    port = free_port()
    options = tls_options(certificates, tmp_path, mutual=False)
    command = [
        "openssl", "s_client", "-connect", f"{HOST}:{port}", "-CAfile", certificates.ca,
        "-verify_return_error", "-brief",
    ]  # fmt: skip
    with trio.fail_after(BOUND):
        async with serving(tmp_path, account(), local=listener(port, *options)):
            done = await trio.run_process(
                command, capture_stdout=True, stderr=subprocess.STDOUT, stdin=b"", check=False
            )
            said = done.stdout.decode()

    assert done.returncode == 0, said
    assert "Protocol version: TLSv1.3" in said
    assert "Verification: OK" in said


async def test_r25_a_renewed_certificate_is_shown_after_sighup_and_a_broken_one_never(
    tmp_path: Path, certificates: Certificates
) -> None:
    port = free_port()
    options = tls_options(certificates, tmp_path, mutual=False)

    async def shown() -> bytes:
        stream = trio.SSLStream(
            await trio.open_tcp_stream(HOST, port),
            certificates.trusting(),
            server_hostname="localhost",
            https_compatible=True,
        )
        async with stream:
            await stream.do_handshake()
            der: bytes = stream.getpeercert(binary_form=True)
            return der

    with trio.fail_after(BOUND):
        async with serving(tmp_path, account(), local=listener(port, *options)) as (gateway, _):
            old = await shown()
            shutil.copy(f"{certificates.renewed}.pem", tmp_path / "server.pem")
            gateway.reload()
            await gateway.until(lambda: "tls.not_reread" in gateway.log())
            assert "is not that of" in gateway.log()  # the key is still the old one
            assert await shown() == old
            shutil.copy(f"{certificates.renewed}.key", tmp_path / "server.key")
            gateway.reload()
            while await shown() == old:  # noqa: ASYNC110  # in a child: only looking tells
                await trio.sleep(0.05)


async def test_r25_only_permitted_addresses_may_try_and_a_balancer_says_which_it_is(
    tmp_path: Path,
) -> None:
    port = free_port()

    async def from_(address: str) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(HOST, port)
        await stream.send_all(f"PROXY TCP4 {address} {HOST} 5000 {port}\r\n".encode())
        return stream

    with trio.fail_after(BOUND):
        async with serving(
            tmp_path,
            account('allow_from = ["192.0.2.0/24"]'),
            local=listener(port, f'proxies = ["{HOST}/32"]'),
        ) as (gateway, told):
            stream = await from_("192.0.2.7")
            async with Carrier(stream=stream, system_id=SYSTEM_ID, password=PASSWORD) as link:
                (answer,) = await link.send("hi", source=f"+{SENDER}", destination=NUMBER)
                assert answer.ok
                await told()

                def seen() -> bool:
                    return '"peer":"192.0.2.7:5000"' in gateway.log()

            await gateway.until(seen)
            for password in (PASSWORD, "wrong"):  # told the same: nothing of the password
                for stream in (
                    await from_("198.51.100.7"),
                    await trio.open_tcp_stream(HOST, gateway.smpp_port),
                ):
                    with pytest.raises(BindRefused) as caught:
                        async with Carrier(stream=stream, system_id=SYSTEM_ID, password=password):
                            pass
                    assert caught.value.status == RBINDFAIL
            log = gateway.log_file.read_text(encoding="utf-8")
            assert "198.51.100.7 is not within allow_from of account one" in log
            assert f"{HOST} is not within allow_from of account one" in log


async def test_r25_guessing_passwords_takes_longer_and_longer(tmp_path: Path) -> None:
    with trio.fail_after(BOUND):
        async with serving(tmp_path, account()) as (gateway, _):
            times = []
            for number in range(6):
                began = trio.current_time()
                with pytest.raises(BindRefused) as caught:
                    async with carrier(gateway.smpp_port, f"guess-{number}"):
                        pass
                assert caught.value.status == RINVPASWD
                times.append(trio.current_time() - began)
            assert [took >= FIRST * 2**n for n, took in enumerate(times[1:])] == [True] * 5

            elsewhere = trio.socket.socket()
            await elsewhere.bind(("127.0.0.9", 0))
            await elsewhere.connect((HOST, gateway.smpp_port))
            began = trio.current_time()
            async with Carrier(
                stream=trio.SocketStream(elsewhere), system_id=SYSTEM_ID, password=PASSWORD
            ):
                assert trio.current_time() - began < FIRST * 2**5  # what a guesser waits by now


@pytest.mark.parametrize("processes", [1, 2])
async def test_r24_a_carrier_comes_back_while_its_old_links_still_look_open(
    tmp_path: Path, processes: int
) -> None:
    with trio.fail_after(BOUND):
        async with (
            serving(tmp_path, account("max_links = 2"), processes=processes) as (gateway, _),
            AsyncExitStack() as stack,
        ):
            # Its machine is gone without a word: what was bound from there is silent.
            gone = []
            for _ in range(2):
                stream = await trio.open_tcp_stream(HOST, gateway.smpp_port)
                await stack.enter_async_context(stream)
                gone.append(Peer(stream))
                await gone[-1].bind(SYSTEM_ID, PASSWORD)
            await until_bound(gateway, 2)  # what other processes have is known in a second

            links = [await stack.enter_async_context(carrier(gateway.smpp_port)) for _ in range(2)]
            for peer in gone:
                while told := await peer.told():
                    assert told[0] == "enquire_link"
            await until_bound(gateway, 2)
            with pytest.raises(BindRefused) as caught:
                await stack.enter_async_context(carrier(gateway.smpp_port))
            assert caught.value.status == RALYBND  # these answer, and stay
            for link in links:
                assert (await link.enquire()).ok


def carrier(port: int, password: str = PASSWORD) -> Carrier:
    return Carrier(port=port, system_id=SYSTEM_ID, password=password)


async def until_bound(gateway: Gateway, count: int) -> None:
    while len(await bound(gateway)) != count:  # noqa: ASYNC110  # only looking tells
        await trio.sleep(0.1)


async def bound(gateway: Gateway) -> list[str]:
    rows = await gateway.listed("links")
    return [row["link"] for row in rows if row["state"] == "bound"]


async def test_r24_health_checks_leave_nothing_in_the_log(
    tmp_path: Path, certificates: Certificates
) -> None:
    secure, balanced = free_port(), free_port()
    local = listener(balanced, f'proxies = ["{HOST}/32"]') + listener(
        secure, *tls_options(certificates, tmp_path, mutual=False)
    )
    header = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x20, 0, 0)
    with trio.fail_after(BOUND):
        async with serving(tmp_path, account(), local=local) as (gateway, _):
            for port, said in (
                (gateway.smpp_port, b""),
                (secure, b""),
                (balanced, b""),
                (balanced, header),
            ):
                stream = await trio.open_tcp_stream(HOST, port)
                await stream.send_all(said)
                await stream.send_eof()
                assert not await stream.receive_some(1)  # it has seen to it
                await stream.aclose()
            log = gateway.log_file.read_text(encoding="utf-8").splitlines()

    assert [line for line in log if "peer" in line or '"level":"warning"' in line] == []
