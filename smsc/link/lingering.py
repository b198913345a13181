"""Closing a stream so that the peer still reads what it was sent last.

Closing a socket that holds unread octets resets the connection, and the peer may then never see
the answers on their way to it. So our side is closed first, and what still comes is read and
thrown away until the peer has closed its own, or for a time.
"""

import trio

_CHUNK = 65_536


async def linger(stream: trio.abc.Stream, seconds: float) -> None:
    """Close our side of a stream, then wait up to ``seconds`` for the peer to close its own.

    Does nothing where a stream has no sides. The caller closes it afterwards in any case.
    """
    if not isinstance(stream, trio.abc.HalfCloseableStream):
        return
    with trio.move_on_after(seconds):
        try:
            await stream.send_eof()
            while await stream.receive_some(_CHUNK):
                pass
        except trio.BrokenResourceError:
            pass
