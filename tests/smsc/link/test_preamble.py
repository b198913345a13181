"""What comes before SMPP: a balancer's header, octet by octet, and the first look at TLS."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio

from smsc.link.preamble import TurnedAway, announced, secured
from smsc.link.proxy import Header
from smsc.link.tls import context_of
from tests.fix_tls import Certificates

DEADLINE = 15
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 2775\r\n"

Ends = tuple[trio.SocketStream, trio.SocketStream]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Ours and the peer's."""
    ours, theirs = (
        trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair()
    )
    with trio.fail_after(DEADLINE):
        async with ours, theirs:
            yield ours, theirs


@pytest.mark.parametrize("step", [1, 7, 1_000])
async def test_a_header_is_taken_to_its_last_octet_however_it_comes(ends: Ends, step: int) -> None:
    ours, theirs = ends
    found: list[Header] = []

    async def take() -> None:
        found.append(await announced(ours))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        data = LINE + b"SMPP"
        for start in range(0, len(data), step):
            await theirs.send_all(data[start : start + step])
            await trio.testing.wait_all_tasks_blocked()

    assert found == [Header(len(LINE), "192.0.2.1:5000")]
    rest = b""
    while len(rest) < 4:
        rest += await ours.receive_some(10)
    assert rest == b"SMPP"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", ""),
        (b"PROXY TCP4 192", "it left in the middle of its PROXY header"),
        (
            b"\x16\x03\x01\x00\x05",
            "does not begin with a PROXY protocol header: this looks like TLS",
        ),
        (b"\x00\x00\x00\x2f\x00\x00\x00\x09", "this looks like SMPP"),
    ],
)
async def test_who_has_no_header_is_turned_away(ends: Ends, said: bytes, why: str) -> None:
    ours, theirs = ends
    await theirs.send_all(said)
    await theirs.send_eof()

    with pytest.raises(TurnedAway) as raised:
        await announced(ours)

    assert why in str(raised.value)
    assert bool(str(raised.value)) == bool(why)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", ""),
        (b"\x16\x03\x01\x00\xff\x01", "it left in the middle of the TLS handshake"),
        (b"\x16\x03\x01\x00\x04\x05\x00\x00\x00", "the handshake failed"),
        (b"\x00\x00\x00\x2f\x00\x00\x00\x09", "does not speak TLS, and this listener does: this"),
        (b"GET / HTTP/1.1\r\n\r\n", "this looks like HTTP"),
    ],
)
async def test_r25_who_does_not_speak_tls_is_turned_away(
    ends: Ends, certificates: Certificates, said: bytes, why: str
) -> None:
    ours, theirs = ends
    await theirs.send_all(said)
    await theirs.send_eof()

    with pytest.raises(TurnedAway) as raised:
        await secured(ours, context_of(certificates.options()))

    assert why in str(raised.value)
    assert bool(str(raised.value)) == bool(why)


async def test_a_connection_that_was_reset_only_left(ends: Ends) -> None:
    ours, theirs = ends
    await theirs.aclose()

    with pytest.raises(TurnedAway, match=r"^$"):
        await announced(ours)
