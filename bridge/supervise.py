"""Keep one child process a seat running, for as long as the parent lives and is not told to stop.

Theory
------
A *seat* is a role with a number: what should run. A child is a process sitting on it. Parent and
child hold the two ends of a socket pair:

* the parent first sends the child its charge (length, then octets): a child never reads the
  configuration file itself, so a file that was broken meanwhile can't stop a restart;
* the child sends ``ready`` when it listens; until a seat was ready once, its child's death is a
  failure to start: everything is stopped, with the child's exit status;
* whichever end closes tells the other side that its peer is gone. The kernel closes a dead
  process's end however it died, so children end with the parent, portably, even after SIGKILL:
  :func:`follow_parent` watches in a thread of its own and needs no event loop that still turns.

A child that dies later is replaced after a pause: short for the first death, doubling up to
:data:`LONGEST_PAUSE` while its successors die young, jittered so that several don't march in
step. Before that, ``buried`` is told its process id, so that its doubtful arrivals are known and
its lanes free at once.

Stopping is SIGTERM to all, and SIGKILL to those left after the bound. Children sit in process
groups of their own: a terminal's Ctrl-C reaches the parent alone, which passes it on in order.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import structlog
import trio
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
OLD_AGE = 60.0
"""A child that lived this long was healthy: the pauses begin anew."""

_log: FilteringBoundLogger = structlog.get_logger()


class Seat(Struct, frozen=True):
    """What should run."""

    role: str
    number: int = 0
    """Counted from 0 within the role."""


class Charge(Struct, frozen=True):
    """How to start a child for a seat."""

    command: Sequence[str]
    """Its arguments may hold ``{fd}``: the number of the socket it inherits."""
    data: bytes = b""
    """What it is sent before anything else."""


def pause(deaths: int, rng: Random) -> float:
    """Seconds to wait before replacing a child, after so many young deaths in a row (≥ 1)."""
    return float(
        min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(deaths - 1, 16)) * rng.uniform(0.5, 1.5)
    )


class Supervisor:
    """All the seats.

    ``charge`` makes a child's start for a new process id; ``buried`` is called in a thread with
    the id of each child that died unasked, and its errors are logged.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        charge: Callable[[Seat, str], Charge],
        *,
        new_id: Callable[[], str],
        buried: Callable[[str], None],
        rng: Random,
        bound: float,
    ) -> None:
        self.status = 0
        """What to exit with: 0 where every child that was ready ended in good order."""
        self._seats = seats
        self._charge = charge
        self._new_id = new_id
        self._buried = buried
        self._rng = rng
        self._bound = bound
        self._children: dict[Seat, trio.Process] = {}
        self._ready: set[Seat] = set()
        self._all_ready = trio.Event()
        self._stopping = trio.Event()
        self._all_gone = trio.Event()
        self._killing = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until :meth:`stop`, or until a seat fails to start; see :attr:`status`.

        Reports started once every seat is ready, or there is no more hope of it. No child is
        left when this returns or raises; cancelled, it kills them at once.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end)
                async with trio.open_nursery() as seats:
                    for seat in self._seats:
                        seats.start_soon(self._keep, seat)
                    await self._all_ready.wait()
                    task_status.started()
                self._all_gone.set()
        finally:
            for child in self._children.values():
                child.kill()

    def stop(self, *, at_once: bool = False) -> None:
        """End all children in good order; ``at_once`` kills them."""
        self._stopping.set()
        self._all_ready.set()
        if at_once:
            self._killing.cancel()

    def pass_on(self, number: int) -> None:
        """Send all children a signal. They ignore SIGHUP until they know what to do with it."""
        for child in self._children.values():
            child.send_signal(number)

    async def _end(self) -> None:
        await self._stopping.wait()
        for child in self._children.values():
            child.terminate()
        with self._killing:
            self._killing.deadline = trio.current_time() + self._bound
            await self._all_gone.wait()
        for seat, child in self._children.items():
            _log.warning("child.killed", child=_name(seat), pid=child.pid, after=self._bound)
            child.kill()

    async def _keep(self, seat: Seat) -> None:
        deaths = 0
        while not self._stopping.is_set():
            process_id = self._new_id()
            began = trio.current_time()
            try:
                code = await self._sit(seat, process_id)
            except OSError as error:  # no more processes or files just now: it may pass
                _log.error("child.not_started", child=_name(seat), error=str(error))
                code = 1
            ready = seat in self._ready
            self._ready.discard(seat)
            if self._stopping.is_set():
                if code and ready:
                    _log.warning("child.cut_short", child=_name(seat), ended=_how(code))
                    self.status = self.status or 1
                return
            if not (ready or deaths):
                _log.error("child.failed", child=_name(seat), ended=_how(code))
                self.status = code if code in {1, 2} else 1
                self.stop()
                return
            deaths = 1 if trio.current_time() - began >= OLD_AGE else deaths + 1
            wait = pause(deaths, self._rng)
            _log.error("child.died", child=_name(seat), ended=_how(code), again_in=round(wait, 2))
            await self._bury(process_id)
            with trio.move_on_after(wait):
                await self._stopping.wait()

    async def _sit(self, seat: Seat, process_id: str) -> int:
        """Run one child to its end; return its exit status."""
        charge = self._charge(seat, process_id)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                child = await trio.lowlevel.open_process(
                    [part.replace("{fd}", str(theirs.fileno())) for part in charge.command],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    process_group=0,
                )
            self._children[seat] = child
            if self._stopping.is_set():
                child.terminate()
            try:
                async with trio.open_nursery() as nursery:
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
                    nursery.start_soon(self._converse, seat, child, stream, charge.data)
                    code = await child.wait()
                    nursery.cancel_scope.cancel()
            finally:
                if child.poll() is None:
                    child.kill()
                    with trio.CancelScope(shield=True):
                        await child.wait()
                del self._children[seat]
        return code

    async def _converse(
        self, seat: Seat, child: trio.Process, stream: trio.SocketStream, data: bytes
    ) -> None:
        # A child that closes its end early is about to die: its death is seen by who waits for it.
        with suppress(trio.BrokenResourceError):
            await stream.send_all(struct.pack("!I", len(data)) + data)
            if not await stream.receive_some(16):
                return
            self._ready.add(seat)
            _log.info("child.ready", child=_name(seat), pid=child.pid)
            if len(self._ready) == len(self._seats):
                self._all_ready.set()
            await stream.receive_some(16)

    async def _bury(self, process_id: str) -> None:
        try:
            await trio.to_thread.run_sync(self._buried, process_id)
        except Exception:  # noqa: BLE001  # whatever it was, the child must be replaced
            # The janitor of another process does it later.
            _log.exception("child.not_buried", process=process_id)


def _name(seat: Seat) -> str:
    return f"{seat.role}/{seat.number}"


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def receive_charge(fd: int) -> tuple[socket.socket, bytes]:
    """Take what the parent sends first. Raises EOFError if it is gone already."""
    parent = socket.socket(fileno=fd)
    parent.setblocking(True)
    (size,) = struct.unpack("!I", _exactly(parent, 4))
    return parent, _exactly(parent, size)


def _exactly(parent: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = parent.recv(size - len(data))
        if not chunk:
            raise EOFError("the parent process is gone")
        data += chunk
    return data


def say_ready(parent: socket.socket) -> None:
    """Tell the parent that this child listens. Never raises: a parent that is gone is noticed."""
    with suppress(OSError):
        parent.sendall(b"ready\n")


def follow_parent(parent: socket.socket, bound: float) -> None:
    """End this process when its parent is gone: by SIGTERM, and the hard way after ``bound``."""

    def watch() -> None:
        with suppress(OSError):
            while parent.recv(16):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(bound)
        sys.stderr.flush()
        os._exit(1)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def probe_port(host: str, port: int) -> None:
    """Raise OSError if nobody could listen there now.

    Made without SO_REUSEPORT, so that somebody else's listening on the port is noticed, which
    sharing it would hide.
    """
    if port == 0:
        return
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)
