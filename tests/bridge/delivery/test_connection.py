"""One connection: a stream of our own, and responses cut anywhere."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.connection import KEEP_LIMIT, Connection, ExchangeFailed, PlainStream

RESPONSE = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 503 Unavailable\r\nRetry-After: 9\r\nWebhook-Delivery: disable\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"
)

Ends = tuple[Connection, trio.SocketStream]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """A connection and its peer."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sock = trio.socket.from_stdlib_socket(ours)
    peer = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    connection = Connection(PlainStream(ours), sock, "peer")
    with trio.fail_after(10):
        yield connection, peer
    connection.close()
    await peer.aclose()


async def test_a_request_larger_than_any_buffer_gets_through(ends: Ends) -> None:
    connection, peer = ends
    octets = bytes(range(256)) * 20_000
    got = bytearray()

    async def read() -> None:
        while len(got) < len(octets):
            got.extend(await peer.receive_some())
        await peer.send_all(b"HTTP/1.1 204 -\r\n\r\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert await connection.ask(octets)

    assert bytes(got) == octets
    assert (connection.status, connection.reusable) == (204, True)


async def test_an_answer_given_before_the_request_was_read_counts(ends: Ends) -> None:
    connection, peer = ends

    async def refuse() -> None:
        await peer.receive_some(100)
        await peer.send_all(b"HTTP/1.1 413 -\r\nContent-Length: 3\r\n\r\nbig")
        await peer.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        try:
            answered = await connection.ask(bytes(10_000_000))
        except ExchangeFailed:
            answered = False  # the system may throw away what came before a reset

    assert connection.status == (413 if answered else 0)


async def test_a_peer_that_is_gone_says_nothing(ends: Ends) -> None:
    connection, peer = ends
    assert connection.quiet()
    await peer.aclose()

    assert not connection.quiet()
    assert not await connection.ask(b"POST")
    connection.close()
    connection.close()


async def test_waiting_for_room_ends_when_there_is_some(ends: Ends) -> None:
    connection, _peer = ends

    await connection._stream.send_all(b"")
    assert isinstance(connection._stream, PlainStream)
    await connection._stream.wait_send_all_might_not_block()
    await connection._stream.aclose()


@settings(deadline=None)  # a busy machine is not a bug
@given(st.lists(st.integers(1, len(RESPONSE) - 1), max_size=8))
def test_a_response_reads_the_same_wherever_it_is_cut(cuts: list[int]) -> None:
    pieces = [
        RESPONSE[start:end]
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(RESPONSE)], strict=True)
        if start < end
    ]

    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        with socket.socket() as unused:
            sock = trio.socket.from_stdlib_socket(unused)
            connection = Connection(ours, sock, "peer")

            async def answer() -> None:
                await theirs.receive_some()
                for piece in pieces:
                    await theirs.send_all(piece)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                assert await connection.ask(b"POST")
            assert connection.status == 503
            assert (connection.retry_after, connection.directive) == ("9", "disable")
            assert connection.body == b"hello there"
            assert connection.reusable

    trio.run(main)


@settings(deadline=None)  # a busy machine is not a bug
@given(st.binary(max_size=400))
def test_any_octets_are_a_response_or_a_named_failure(octets: bytes) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        with socket.socket() as unused:
            connection = Connection(ours, trio.socket.from_stdlib_socket(unused), "peer")
            if octets:
                await theirs.send_all(octets)
            await theirs.aclose()
            error = None
            answered = False
            try:
                answered = await connection.ask(b"POST")
            except ExchangeFailed as failed:
                error = failed.error
            assert error in {None, "protocol", "reset"}
            assert answered == bool(connection.status)
            assert len(connection.body) <= KEEP_LIMIT

    trio.run(main)
