"""TLS on a listener: its files, its handshake, and how it parts."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace

from smsc.config import ListenerTls
from smsc.link.tls import HandshakeFailed, TlsError, TlsStream, context_of, secure
from tests.fix_tls import Certificates

DEADLINE = 15


@asynccontextmanager
async def sockets() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """Ours and the peer's: real ones, since a handshake leaves octets in the kernel."""
    ours, theirs = socket.socketpair()
    with trio.fail_after(DEADLINE):
        async with (
            trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as our,
            trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as their,
        ):
            yield our, their


def dialled(
    stream: trio.SocketStream, context: ssl.SSLContext
) -> "trio.SSLStream[trio.SocketStream]":
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


async def shaken(
    options: ListenerTls, client: ssl.SSLContext, use: Callable[[TlsStream], None] = lambda _: None
) -> str:
    """Shake hands; return what the failure was told as, "" for none."""
    said = [""]
    async with sockets() as (ours, theirs), trio.open_nursery() as nursery:

        async def serve() -> None:
            try:
                use(await secure(ours, context_of(options)))
            except HandshakeFailed as error:
                said[0] = str(error)
            await ours.aclose()

        nursery.start_soon(serve)
        peer = dialled(theirs, client)
        with suppress(trio.BrokenResourceError):
            await peer.do_handshake()
            await peer.receive_some(1)
        await theirs.aclose()
    return said[0]


async def test_r25_a_peer_is_served_over_tls(certificates: Certificates) -> None:
    seen: list[tuple[str, str]] = []

    assert (
        await shaken(
            certificates.options(),
            certificates.trusting(),
            lambda stream: seen.append((stream.version, stream.certificate)),
        )
        == ""
    )
    assert seen == [("TLSv1.3", "")]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_r25_a_client_shows_its_certificate(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    client = certificates.trusting(certificates.client)
    client.maximum_version = version
    seen: list[str] = []

    await shaken(
        certificates.options(mutual=True), client, lambda stream: seen.append(stream.certificate)
    )

    assert seen == [certificates.fingerprint(certificates.client)]


async def test_r25_who_must_show_a_certificate_and_does_not_is_refused(
    certificates: Certificates,
) -> None:
    options = certificates.options(mutual=True)

    assert "showed no certificate" in await shaken(options, certificates.trusting())
    stranger = certificates.trusting(certificates.stranger)
    assert "not vouched for" in await shaken(options, stranger)


async def test_who_does_not_trust_us_is_told_in_words(certificates: Certificates) -> None:
    ours, theirs = socket.socketpair()
    suspicious = ssl.create_default_context()  # trusts the system's authorities alone

    def dial() -> None:  # the standard library's own client: trio's says nothing when it leaves
        with theirs, pytest.raises(ssl.SSLCertVerificationError):
            suspicious.wrap_socket(theirs, server_hostname="localhost")

    with trio.fail_after(DEADLINE):
        async with (
            trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(trio.to_thread.run_sync, dial)
            with pytest.raises(HandshakeFailed, match="does not trust the authority"):
                await secure(stream, context_of(certificates.options()))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_versions_are_refused(certificates: Certificates) -> None:
    old = certificates.trusting()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")

    assert "no TLS version from 1.2 on" in await shaken(certificates.options(), old)


async def test_who_leaves_in_the_middle_is_no_failure(certificates: Certificates) -> None:
    async with sockets() as (ours, theirs):
        await theirs.aclose()
        with pytest.raises(HandshakeFailed, match=r"^$"):
            await secure(ours, context_of(certificates.options()))


@asynccontextmanager
async def conversing(
    certificates: Certificates,
) -> AsyncIterator[tuple[TlsStream, "trio.SSLStream[trio.SocketStream]"]]:
    async with sockets() as (ours, theirs):
        peer = dialled(theirs, certificates.trusting())
        made: list[TlsStream] = []

        async def serve() -> None:
            made.append(await secure(ours, context_of(certificates.options())))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await peer.do_handshake()
        yield made[0], peer


async def test_octets_go_both_ways(certificates: Certificates) -> None:
    async with conversing(certificates) as (ours, peer):
        await peer.send_all(b"ping")
        assert await ours.receive_some(100) == b"ping"
        await ours.wait_send_all_might_not_block()
        await ours.send_all(b"pong")
        assert await peer.receive_some(100) == b"pong"


async def test_the_last_words_arrive_although_the_peer_is_still_talking(
    certificates: Certificates,
) -> None:
    async with conversing(certificates) as (ours, peer):
        await peer.send_all(b"x" * 10_000)
        await ours.send_all(b"bye")
        await ours.send_eof()
        assert await peer.receive_some(100) == b"bye"
        assert await peer.receive_some(100) == b""
        await peer.aclose()
        while await ours.receive_some(100):  # not understood any more, and taken all the same
            pass


async def test_a_peer_that_says_goodbye_is_waited_for(certificates: Certificates) -> None:
    async with conversing(certificates) as (ours, peer), trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_eof)
        assert await peer.receive_some(100) == b""
        await peer.unwrap()


# Files.


def faults(options: ListenerTls) -> list[tuple[str, str]]:
    with pytest.raises(TlsError) as raised:
        context_of(options)
    assert str(raised.value)
    return [(fault.option, fault.detail) for fault in raised.value.faults]


def test_certificate_and_key_may_be_one_file(certificates: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    names = (f"{certificates.server}.pem", f"{certificates.server}.key")
    both.write_text("".join(Path(name).read_text(encoding="ascii") for name in names))

    context_of(ListenerTls(certificate=str(both)))


def test_r25_every_file_that_is_missing_is_named(certificates: Certificates) -> None:
    gone = ListenerTls(certificate="/gone.pem", key="/gone.key", client_ca="/gone.ca")

    assert faults(gone) == [
        ("certificate", "can't read /gone.pem: No such file or directory"),
        ("key", "can't read /gone.key: No such file or directory"),
        ("client_ca", "can't read /gone.ca: No such file or directory"),
    ]
    assert faults(replace(certificates.options(), certificate="")) == [
        ("certificate", "can't read : Is a directory")
    ]


def test_r25_what_is_wrong_with_a_file_is_told_in_words(
    certificates: Certificates, tmp_path: Path
) -> None:
    options = certificates.options()
    junk, locked = tmp_path / "junk", tmp_path / "locked"
    junk.write_text("junk", encoding="ascii")
    key = load_pem_private_key(Path(options.key).read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    other = f"{certificates.other}.key"

    for wrong, option, detail in (
        (replace(options, certificate=str(junk)), "certificate", f"{junk} holds no certificate"),
        (replace(options, certificate=options.key), "certificate", "holds no certificate"),
        (replace(options, key=str(junk)), "key", f"{junk} holds no private key"),
        (replace(options, key=""), "certificate", "holds no private key"),
        (replace(options, key=other), "key", f"{other} is not that of {options.certificate}"),
        (replace(options, key=str(locked)), "key", "is encrypted"),
        (replace(options, client_ca=str(junk)), "client_ca", f"{junk} holds no certificates"),
    ):
        ((found, said),) = faults(wrong)
        assert found == option
        assert detail in said
