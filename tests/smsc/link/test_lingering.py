import trio
from trio.testing import MockClock, memory_stream_pair

from smsc.link.lingering import linger


async def test_what_still_comes_is_read_until_the_peer_closes(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(linger, ours, 5)
        assert await theirs.receive_some() == b""
        await theirs.send_all(b"more")
        await trio.sleep(1)
        await theirs.send_eof()
    assert trio.current_time() - began == 1


async def test_a_peer_that_stays_is_not_waited_for_for_long(autojump_clock: MockClock) -> None:
    ours, _theirs = memory_stream_pair()
    began = trio.current_time()

    await linger(ours, 5)

    assert trio.current_time() - began == 5


async def test_a_peer_that_is_gone_is_fine(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.aclose()

    await linger(ours, 5)
