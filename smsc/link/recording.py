"""A link's octets, written to files: a view for people, and a capture for Wireshark.

Theory
------
A :class:`Recording` is the :class:`~smsc.link.tap.Tap` of one link. What the link's tasks tell it
is only put into a queue; somebody else calls :meth:`Recording.write`, in a thread, now and then.
So the event loop does nothing that takes longer than appending to a list, and a disk that is slow
or full costs the recording, never the link.

*Bounds.* :data:`WAITING` octets in the queue, :data:`FILE` octets a file, :data:`AT_ONCE` PDUs a
call of ``write``, of which :data:`EXPLAINED` are explained (0.2 ms each, of an interpreter that the
links need as well) and the others have one line in the view. What the queue has no room for is
left out: the view says so, and the capture has a gap.

*End.* A recording is :attr:`~Recording.over` when enough PDUs are written, a file is full, writing
failed, the link ended or :meth:`Recording.stop` was called; the view's last line says which.

*Privacy.* In the view numbers and texts are masked unless asked for, after
:mod:`smsc.content.masking`; the capture holds them in full. Passwords are in neither.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from smsc.capture.packets import Place
from smsc.capture.writing import Conversation
from smsc.config import Account
from smsc.content.masking import without_password
from smsc.inspect import Seen, explain_seen, mask, to_line, to_text
from smsc.status import LinkStatus

WAITING: Final = 4 << 20
FILE: Final = 64 << 20
AT_ONCE: Final = 1_500
EXPLAINED: Final = 100

END: Final = "# ended: "
"""What the view's last line begins with."""

_HEARD, _SAID = "heard", "said"


class _Entry(Struct, gc=False):
    at: int
    way: str
    frames: Sequence[bytes]
    missing: int = 0
    """Octets left out, instead of frames."""


class Recording:
    """What goes over one link, from now on.

    :meth:`write` and :meth:`close` are for one thread at a time; all else is for the event loop.
    """

    def __init__(
        self,
        link: LinkStatus,
        account: Account | None,
        *,
        view: Path,
        capture: Path | None,
        head: Sequence[str],
        unmask: bool,
        most: int,
        clock: Callable[[], int],
    ) -> None:
        """Make a recording; nothing is written yet.

        ``view`` and ``capture``: files to be made; ``head``: lines for the view's beginning;
        ``most``: PDUs after which it is over, 0 for no limit; ``clock``: microseconds since the
        epoch.
        """
        self.view = view
        self.capture = capture
        self.over = ""
        """Why nothing more is recorded, in words; empty while it is."""
        self.pdus = 0
        """PDUs written."""
        self.left_out = 0
        """Octets there was no room for."""
        self._link = link
        self._account = account
        self._head = head
        self._unmask = unmask
        self._most = most
        self._clock = clock
        self._queue: deque[_Entry] = deque()
        # Octets put into the queue, and taken out of it: one thread adds to each.
        self._come = self._gone = 0
        self._gaps: dict[str, int] = {}  # octets left out since the latest entry, by way
        self._files: list[BinaryIO] = []
        self._conversation: Conversation | None = None
        self._closed = False
        self._explained = 0  # by this call of write

    # -- the tap -----------------------------------------------------------------------------

    def heard(self, link: LinkStatus, frames: Sequence[bytes]) -> None:
        """Take PDUs of the peer's."""
        self._put(_HEARD, frames, link)

    def said(self, link: LinkStatus, octets: bytes) -> None:
        """Take octets of ours: whole PDUs."""
        self._put(_SAID, (octets,), link)

    def ended(self, link: LinkStatus) -> None:
        """Note that the link has ended."""
        self._link = link
        self.stop(f"the link ended: {link.reason}")

    def stop(self, reason: str) -> None:
        """Record nothing more; what waits is still written."""
        self.over = self.over or reason

    def _put(self, way: str, frames: Sequence[bytes], link: LinkStatus) -> None:
        if self.over:
            return
        self._link = link
        size = sum(map(len, frames))
        if self._come - self._gone + size > WAITING:
            self.left_out += size
            self._gaps[way] = self._gaps.get(way, 0) + size
            return
        self._come += size
        now = self._clock()
        while self._gaps:
            missed, missing = self._gaps.popitem()
            self._queue.append(_Entry(now, missed, (), missing))
        self._queue.append(_Entry(now, way, frames))

    # -- the writer --------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether it is over and all is written, or lost."""
        return self._closed

    def write(self) -> None:
        """Write what waits, at most :data:`AT_ONCE` PDUs and a bit; close when it is over.

        Never raises: a write that fails ends the recording.
        """
        if self._closed:
            return
        try:
            if not self._files:
                self._open()
            self._explained = written = 0
            while self._queue and written < AT_ONCE:
                entry = self._queue.popleft()
                self._gone += sum(map(len, entry.frames))
                written += self._write(entry)
                if self._full():
                    self._queue.clear()
            if self.over and not self._queue:
                self.close()
            else:
                for file in self._files:
                    file.flush()
        except (OSError, ValueError) as error:
            # What can't be written has no end to say either.
            self.over = f"it can't be written: {_words(error)}"
            self._queue.clear()
            self._close_files()

    def close(self) -> None:
        """Say how it ended, and close the files. What waits is not written."""
        if self._closed:
            return
        self.stop("the gateway ended")
        left = f", {self.left_out} octets left out" if self.left_out else ""
        try:
            if self._files:
                self._files[0].write(f"{END}{self.over}; {self.pdus} PDUs{left}\n".encode())
                if self._conversation is not None:
                    peer_dialled = self._link.direction != "dialled"
                    last = self._conversation.end(self._clock(), dialler=peer_dialled)
                    self._files[1].write(last)
        except OSError as error:
            self.over = f"it can't be written: {_words(error)}"
        self._close_files()

    def _close_files(self) -> None:
        self._closed = True
        for file in self._files:
            try:
                file.close()
            except OSError as error:
                self.over = f"it can't be written: {_words(error)}"

    def _open(self) -> None:
        link = self._link
        self._files.append(_make(self.view))
        lines = [*self._head, *_about(link)]
        if self.capture is not None:
            # Two addresses of ours where nobody knows them: a capture has to have some.
            ends = place(link.peer), place(link.local)
            dialler, dialled = ends if link.direction != "dialled" else ends[::-1]
            self._conversation = Conversation(dialler, dialled)
            self._files.append(_make(self.capture))
            self._files[1].write(self._conversation.begin(self._clock()))
            lines.append("in the capture the octets are real, and the packets made up around them")
        self._files[0].write("".join(f"# {line}\n" for line in lines).encode())

    def _write(self, entry: _Entry) -> int:
        """Write one entry; return how many PDUs that were."""
        heard = entry.way == _HEARD
        dialler = heard == (self._link.direction != "dialled")
        if entry.missing:
            words = f"# {entry.missing} octets {entry.way} are left out: too much at once\n"
            self._files[0].write(b"\n" + words.encode())
            if self._conversation is not None:
                self._conversation.miss(entry.missing, dialler=dialler)
            return 1
        count = 0
        ends = self._link.peer, self._link.local or "here"
        source, target = ends if heard else ends[::-1]
        for octets in entry.frames:
            for frame in (octets,) if heard else _pdus(octets):
                if self._most and self.pdus >= self._most:
                    self.stop("so many PDUs were asked for")
                    return count
                count += 1
                self.pdus += 1
                lines = self._explain(frame, Seen(entry.at, source, target))
                self._files[0].write(("\n" + "\n".join(lines) + "\n").encode())
                if self._conversation is not None:
                    bare = without_password(frame)
                    self._files[1].write(self._conversation.say(entry.at, bare, dialler=dialler))
        return count

    def _explain(self, frame: bytes, seen: Seen) -> list[str]:
        self._explained += 1
        if self._explained > EXPLAINED:
            return to_line(frame, seen)
        explanation = explain_seen(frame, seen, self._account)
        return list(map(_line, to_text(explanation if self._unmask else mask(explanation))))

    def _full(self) -> bool:
        """Whether it is over by what was written."""
        if self._most and self.pdus >= self._most:
            self.stop("so many PDUs were asked for")
            return True
        if any(file.tell() > FILE for file in self._files):
            self.stop(f"a file has its {FILE >> 20} MiB")
            return True
        return False


def place(written: str) -> Place:
    """Return address and port of ``address:port``; made up ones where there are none."""
    host, _, port = written.rpartition(":")
    try:
        return str(ip_address(host.strip("[]").partition("%")[0])), int(port)
    except ValueError:
        return "0.0.0.0", 2_775  # noqa: S104  # no address to listen on


def _about(link: LinkStatus) -> Iterator[str]:
    version = f", SMPP {link.version >> 4}.{link.version & 15}" if link.version else ""
    secured = f", {link.tls}" if link.tls else ""
    yield f"link {link.link} of account {link.account}, {link.direction}, peer {link.peer}{secured}"
    began = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=link.opened_at)
    yield f"{link.kind or 'not bound'}{version}, connected since {began:%Y-%m-%d %H:%M:%S}Z"


def _make(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _pdus(octets: bytes) -> Iterator[bytes]:
    """Cut octets of ours, which are whole PDUs."""
    at = 0
    while at < len(octets):
        size = max(16, int.from_bytes(octets[at : at + 4], "big"))
        yield octets[at : at + size]
        at += size


def _line(line: str) -> str:
    """Leave no control character of a PDU's to whoever prints the view."""
    return (
        line
        if line.isprintable()
        else "".join(char if char.isprintable() else "·" for char in line)
    )


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
