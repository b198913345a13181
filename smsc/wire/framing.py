"""Octets of a stream → frames (SMPP 3.4 §3.2: each PDU begins with its own length).

The Framer is in one of two states. While *framed* it holds at most one incomplete PDU: fewer
octets than its ``command_length``, which is at most the limit. Once the length of a PDU is found
to be impossible the stream is *lost*: SMPP has no mark to find the next PDU by. That is seen as
soon as four octets are there, before anything is stored for it, and it is final.

However a stream is cut into chunks, the frames are the same, and the work is linear in its
length: an octet is appended once and cut out once.
"""

from struct import Struct as Packer

from smsc.wire.errors import WireError
from smsc.wire.spec import Status

__all__ = ["Framer"]

_LENGTH = Packer(">I")
_HEADER_SIZE = 16

_STRANGERS = (
    (b"\x16\x03", "looks like a TLS ClientHello"),
    (b"GET ", "looks like HTTP"),
    (b"HEAD", "looks like HTTP"),
    (b"POST", "looks like HTTP"),
    (b"PUT ", "looks like HTTP"),
    (b"OPTI", "looks like HTTP"),
    (b"PRI ", "looks like HTTP/2"),
    (b"PROX", "looks like the PROXY protocol"),
    (b"\r\n\r\n", "looks like line ends, or the PROXY protocol"),
    (b"SSH-", "looks like SSH"),
)
"""What else is sent to an SMPP port. As lengths these are all above any limit."""


class Framer:
    """Cuts a stream into frames.

    At most `limit` octets are held, besides the chunk being fed.
    """

    __slots__ = ("_buffer", "_length", "limit", "lost")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Largest ``command_length`` accepted, in octets. May be raised at any time, and then
        holds for each PDU whose length has not been read yet."""
        self.lost: WireError | None = None
        """Why framing is lost, once it is: to be answered ``generic_nack`` and closed."""
        self._buffer = bytearray()
        self._length = 0  # command_length of the PDU in the buffer; 0: not known yet

    @property
    def pending(self) -> int:
        """How many octets of an incomplete PDU are held."""
        return len(self._buffer)

    def pending_prefix(self) -> bytes:
        """Return the first octets held, at most 16: of an incomplete PDU, or of what was lost."""
        return bytes(self._buffer[:_HEADER_SIZE])

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """Take octets and return the frames completed by them, in order.

        Frames before the place where framing is lost are returned; after it, nothing ever is.
        """
        if self.lost is not None:
            return []
        if not self._buffer:
            return self._cut(bytes(data))
        self._buffer += data
        size = len(self._buffer)
        if self._length == 0 and size >= 4:
            (self._length,) = _LENGTH.unpack_from(self._buffer)
            if not _HEADER_SIZE <= self._length <= self.limit:
                self._lose(self._buffer[:_HEADER_SIZE])
                return []
        if self._length == 0 or size < self._length:
            return []
        whole = bytes(self._buffer)
        self._buffer = bytearray()
        return self._cut(whole)

    def _cut(self, data: bytes) -> list[bytes]:
        """Cut frames from the front of `data`, and hold what is left of it."""
        frames: list[bytes] = []
        at = 0
        size = len(data)
        limit = self.limit
        self._length = 0
        while size - at >= 4:
            (length,) = _LENGTH.unpack_from(data, at)
            if not _HEADER_SIZE <= length <= limit:
                self._length = length
                self._lose(data[at : at + _HEADER_SIZE])
                return frames
            behind = at + length
            if behind > size:
                self._length = length
                break
            frames.append(data[at:behind])
            at = behind
        if at < size:
            self._buffer += data[at:]
        return frames

    def _lose(self, prefix: bytes | bytearray) -> None:
        length = self._length
        if length < _HEADER_SIZE:
            detail = f"command_length {length} < {_HEADER_SIZE}"
        else:
            detail = f"command_length {length} > limit {self.limit}"
        for begin, words in _STRANGERS:
            if prefix.startswith(begin):
                detail += f": {words}"
                break
        self.lost = WireError("close", Status.ESME_RINVCMDLEN, "command_length", 0, detail)
        self._buffer = bytearray(prefix)
