"""Real sockets on this machine, with a deadline on each test."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from smsc.config import Dial
from smsc.link.reaching import Reached, Unreachable, context_of, reach
from tests.fix_gateway import free_port
from tests.fix_tls import Certificates

BOUND = 20
PLAIN = Dial()


@asynccontextmanager
async def listening(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port; every connection to it is answered with eight octets, through TLS if wanted."""

    async def serve(stream: trio.SocketStream) -> None:
        over: trio.abc.Stream = stream
        if context is not None:
            over = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await over.send_all(b"!" * 8)
            await over.receive_some()
        except trio.BrokenResourceError:
            pass

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(BOUND):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, listeners)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


def joined(name: str, directory: Path) -> str:
    """A file that holds certificate and key."""
    both = directory / "both.pem"
    both.write_text("".join(Path(f"{name}.{part}").read_text() for part in ("pem", "key")))
    return str(both)


async def reached(host: str, dial: Dial) -> Reached:
    """Reach a host and read the octets."""
    found = await reach(host, dial)
    assert await found.stream.receive_some() == b"!" * 8
    await trio.aclose_forcefully(found.stream)
    return found


async def test_a_plain_host_is_reached() -> None:
    async with listening() as port:
        found = await reached(f"127.0.0.1:{port}", PLAIN)

    assert found.peer == f"127.0.0.1:{port}"
    assert found.tls == ""


async def test_a_host_over_tls_is_checked_and_named(certificates: Certificates) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(f"{certificates.server}.pem", f"{certificates.server}.key")
    trusting = Dial(tls=True, tls_ca=certificates.ca)
    async with listening(server) as port:
        for name in ("localhost", "127.0.0.1"):
            found = await reached(f"{name}:{port}", trusting)
            assert found.tls.startswith("TLSv1.")

        with pytest.raises(Unreachable, match="its certificate is not accepted"):
            await reach(f"127.0.0.1:{port}", Dial(tls=True))


async def test_a_certificate_for_another_name_is_refused(certificates: Certificates) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(f"{certificates.other}.pem", f"{certificates.other}.key")
    async with listening(server) as port:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            await reach(f"127.0.0.1:{port}", Dial(tls=True, tls_ca=certificates.ca))


async def test_our_own_certificate_is_shown(certificates: Certificates, tmp_path: Path) -> None:
    both = joined(certificates.client, tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    server.load_cert_chain(f"{certificates.server}.pem", f"{certificates.server}.key")
    server.verify_mode = ssl.CERT_REQUIRED
    async with listening(server) as port:
        dial = Dial(tls=True, tls_ca=certificates.ca, tls_certificate=both)
        await reached(f"127.0.0.1:{port}", dial)


async def test_what_is_no_tls_is_told_in_words() -> None:
    async with listening() as port:
        with pytest.raises(Unreachable, match="the TLS handshake failed: WRONG_VERSION_NUMBER"):
            await reach(f"127.0.0.1:{port}", Dial(tls=True))


async def test_where_nobody_listens_is_told_in_words() -> None:
    with trio.fail_after(BOUND), pytest.raises(Unreachable, match="Connection refused"):
        await reach(f"127.0.0.1:{free_port()}", PLAIN)


async def test_a_name_that_does_not_exist_is_told_in_words() -> None:
    with trio.fail_after(BOUND), pytest.raises(Unreachable, match="can't be looked up"):
        await reach("no-such-name.invalid", PLAIN)


async def test_a_host_that_is_none_is_told_in_words() -> None:
    with pytest.raises(Unreachable, match="port that is not 1 to 65535"):
        await reach("smsc.example.com:0", PLAIN)


async def test_a_name_that_cannot_even_be_asked_for_is_told_in_words() -> None:
    with pytest.raises(Unreachable, match="it is no host name"):
        await reach("\ud800.example.com", PLAIN)


def test_files_that_cannot_be_used_are_named(certificates: Certificates, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    with pytest.raises(Unreachable, match=r"tls_ca .*missing.pem: No such file"):
        context_of(Dial(tls=True, tls_ca=str(tmp_path / "missing.pem")))
    with pytest.raises(Unreachable, match=r"tls_ca .*nothing.pem: it does not hold"):
        context_of(Dial(tls=True, tls_ca=str(nothing)))
    with pytest.raises(Unreachable, match=r"tls_certificate .*nothing.pem: it does not hold"):
        context_of(Dial(tls=True, tls_certificate=str(nothing)))
    assert context_of(Dial(tls=True, tls_ca=certificates.ca)).check_hostname
