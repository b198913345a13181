"""What every process of the gateway is, whatever its role: its beginning, its beat, its end.

Theory
------
A process has a role, and a role is one or more *parts*, which :mod:`bridge.app` builds: links and
intake (carrier), lanes and upkeep (delivery), the page over all processes (api). Store, live
view, doorbell, beat and health page are the same for all, and are here.

*Beginning.* Whatever can fail for a reason outside (the store, a taken port) is done before
anything is served, and raises :class:`~bridge.errors.BridgeError` with a sentence. Then the parts
start, the process says in the store that it is ready, and ``on_ready`` is called.

*Beat.* Once a second a process writes its figures and links to the store. That it could is also
its readiness.

*End.* On SIGTERM or SIGINT the parts drain, side by side, up to a deadline that leaves time to
say farewell: carriers stop accepting, answer and unbind; deliveries under way end and leases go
back. Only then the store is told that the process left in good order, so that nothing it did is
in doubt. A guard outside the event loop ends the process if all this takes longer than the
bound: what it left then is found by the others, as after any death.
"""

import errno
import math
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeVar, TypeVarTuple

import psutil
import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.api import health
from bridge.config import Config
from bridge.doorbell import DUE, LIVE, ORDERS, Doorbell, directory_for
from bridge.errors import BridgeError, StoreError
from bridge.ids import Ids
from bridge.intake.vanished import Vanished
from bridge.live import LiveView
from bridge.store.contract import ProcessStatus, Store
from bridge.store.threaded import StoreThreads
from bridge.telemetry import Metrics
from smsc.message import Millis
from smsc.status import LinkStatus

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Role = Literal["carrier", "delivery", "api", "all"]
ROLES: tuple[Role, ...] = ("carrier", "delivery", "api")

HEARS: dict[Role, tuple[bytes, ...]] = {
    "carrier": (LIVE, ORDERS),
    "delivery": (DUE, LIVE),
    "api": (LIVE,),
    "all": (DUE, LIVE, ORDERS),
}
"""What is rung for each role."""

BEAT = 1.0
"""Seconds between two signs of life."""
SILENCE = 5.0
"""Seconds without a beat after which a process is neither ready nor counted."""
FAREWELL = 0.2
"""Share of the shutdown bound, at most 2 s, kept for leaving the store in good order."""
_log: FilteringBoundLogger = structlog.get_logger()


class Part(Protocol):
    """What a role is made of."""

    async def start(self, nursery: trio.Nursery) -> None:
        """Begin to work; return when it does."""
        ...

    def missing(self) -> str:
        """Return what keeps it from working, in words; empty where nothing does."""
        ...

    def links(self) -> Sequence[LinkStatus]:
        """Return what is to be told to the store of links."""
        ...

    def measure(self) -> None:
        """Bring gauges up to date."""
        ...

    def wake(self) -> None:
        """Hear that there may be new deliveries."""
        ...

    def heed(self) -> None:
        """Hear that there may be new orders about links."""
        ...

    def reread(self) -> None:
        """Read files again that options name; called in a thread, and must not raise."""
        ...

    async def drain(self, deadline: float) -> bool:
        """End in good order until ``deadline`` on trio's clock; whether it did."""
        ...


class _CountedThreads(StoreThreads):
    """Counts what fails, whoever asked for it."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        super().__init__(store)
        self._metrics = metrics

    async def write(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await super().write(call, *args)
        except StoreError as error:
            self._metrics.store_errors.labels(type(error).__name__).inc()
            raise

    async def read(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await super().read(call, *args)
        except StoreError as error:
            self._metrics.store_errors.labels(type(error).__name__).inc()
            raise


class Process:
    """What all parts of one process share."""

    def __init__(
        self,
        role: Role,
        number: int,
        config: Config,
        store: Store,
        ids: Ids,
        clock: Callable[[], Millis],
        *,
        process_id: str,
    ) -> None:
        """Take over the store, and open the bell."""
        self.role = role
        self.number = number
        self.id = process_id
        self.config = config
        self.ids = ids
        self.clock = clock
        self.metrics = Metrics()
        self.store = store
        self.threads = _CountedThreads(store, self.metrics)
        self.bell = Doorbell(
            directory_for(Path(config.store.path)),
            process_id,
            hears=HEARS[role],
        )
        if self.bell.silent:
            _log.warning("doorbell.silent", reason=self.bell.silent)
        self.live = LiveView(self.threads)
        self.up = False
        """Whether the parts have begun to work."""
        self.draining = False
        self.in_order = False
        """Whether it ended as it should: nothing cut short, and the store knows."""
        self._beaten_at = -math.inf
        self._store_answers = True
        self._started_at = self.clock()
        self._pid_started = psutil.Process().create_time()
        self._node = node_name()
        self.vanished = Vanished(self.threads, self._node, clock)

    def close(self) -> None:
        """Let go of bell and store."""
        self.bell.close()
        self.store.close()

    def status(self) -> ProcessStatus:
        """Return this process as the store knows it."""
        return ProcessStatus(
            id=self.id,
            node=self._node,
            pid=os.getpid(),
            pid_started=self._pid_started,
            role=self.role,
            started_at=self._started_at,
            seen_at=self.clock(),
            figures=self.metrics.figures(),
        )

    async def announce(self, parts: Sequence[Part]) -> None:
        """Tell the store that we live, and how. Raises StoreError."""
        for part in parts:
            part.measure()
        self.metrics.ready.set(self.up and not self.draining)
        links = [link for part in parts for link in part.links()]
        await self.threads.write(self.store.beat, self.status(), links, self.clock())
        self._beaten_at = trio.current_time()

    async def beat(self, parts: Sequence[Part]) -> None:
        """Do the same; that a store fails is logged when it begins and when it ends."""
        try:
            await self.announce(parts)
        except StoreError as error:
            if self._store_answers:
                _log.warning("store.unavailable", error=str(error))
            self._store_answers = False
        else:
            if not self._store_answers:
                _log.info("store.available")
            self._store_answers = True

    def missing_store(self) -> str:
        """Say how long the store has not taken a beat; empty while that is not long."""
        silence = trio.current_time() - self._beaten_at
        return "" if silence < SILENCE else "the store has not answered for some seconds"


async def run(
    process: Process,
    parts: Sequence[Part],
    page: Callable[[], bytes],
    *,
    on_ready: Callable[[], None],
    on_hangup: Callable[[], None] | None,
) -> None:
    """Run the parts until SIGTERM or SIGINT.

    ``page`` gives the metrics; ``on_ready`` is called once, and ``on_hangup``, in a thread, on
    SIGHUP. Raises BridgeError, in groups of nurseries, where it can't begin. Whether it ended well
    is in :attr:`Process.in_order`.
    """
    status_socket = _listen_status(process)
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, process, parts, on_hangup, nursery.cancel_scope)
        # Known to the others from here on, so that lanes are spread over us too.
        await process.beat(parts)
        for part in parts:
            await part.start(nursery)
        nursery.start_soon(process.live.follow)
        nursery.start_soon(_answer_bell, process, parts)
        await nursery.start(health.serve, _health(process, parts, page), status_socket)
        process.up = True
        await process.beat(parts)
        nursery.start_soon(_keep_beating, process, parts)
        _log.info("process.ready", process=process.id, pid=os.getpid())
        on_ready()


async def _keep_beating(process: Process, parts: Sequence[Part]) -> None:
    while True:
        await trio.sleep(BEAT)
        await process.beat(parts)


async def _answer_bell(process: Process, parts: Sequence[Part]) -> None:
    while topics := await process.bell.wait():
        if LIVE in topics:
            process.live.wake()
        if ORDERS in topics:
            for part in parts:
                part.heed()
        if DUE in topics:
            for part in parts:
                part.wake()


async def _end_on_signal(
    process: Process,
    parts: Sequence[Part],
    on_hangup: Callable[[], None] | None,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number != signal.SIGHUP:
                _log.info("process.ending", signal=signal.Signals(number).name)
                break
            if on_hangup is not None:
                await trio.to_thread.run_sync(on_hangup)
            for part in parts:
                await trio.to_thread.run_sync(part.reread)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_hurry, received, nursery.cancel_scope)
            await _end(process, parts)
            nursery.cancel_scope.cancel()
    _log.info("process.ended")
    scope.cancel()


async def _hurry(received: AsyncIterator[int], scope: trio.CancelScope) -> None:
    """Give up on good order at a second SIGINT: somebody at a keyboard doesn't want to wait."""
    async for number in received:
        if number == signal.SIGINT:
            scope.cancel()


async def _end(process: Process, parts: Sequence[Part]) -> None:
    process.draining = True
    bound = process.config.shutdown_timeout
    guard = threading.Timer(bound, os._exit, (1,))
    guard.daemon = True
    guard.start()
    deadline = trio.current_time() + bound - min(2.0, bound * FAREWELL)
    in_order: list[bool] = []

    async def drain(part: Part) -> None:
        in_order.append(await part.drain(deadline))

    async with trio.open_nursery() as nursery:
        for part in parts:
            nursery.start_soon(drain, part)
    if not all(in_order):
        _log.warning("process.cut_short")
        return
    try:
        await process.threads.write(process.store.leave, process.id)
        process.in_order = True
    except StoreError as error:
        # Not having said farewell, it is buried by others in a while; that costs nothing else.
        _log.warning("store.unavailable", error=str(error))


def _health(process: Process, parts: Sequence[Part], page: Callable[[], bytes]) -> health.Health:
    checks: dict[str, health.Check] = {
        "draining": lambda: "the process is ending" if process.draining else "",
        "store": process.missing_store,
    }
    for part in parts:
        checks[type(part).__name__.lower()] = part.missing

    async def measured() -> bytes:
        await trio.lowlevel.checkpoint()
        for part in parts:
            part.measure()
        return page()

    return health.Health(checks, measured)


def _listen_status(process: Process) -> socket.socket:
    """Bind the port of health and metrics: the api's own, or one for each other process."""
    config = process.config
    if process.role in {"api", "all"}:
        host, port = config.api.host, config.api.port
    else:
        options = config.carrier if process.role == "carrier" else config.delivery
        host, port = options.status_host, options.status_port
        port += process.number if port else 0
    with explained(host, port):
        bound = health.listen(host, port)
    _log.info("status.listening", address="{}:{}".format(*bound.getsockname()[:2]))
    return bound


@contextmanager
def explained(host: str, port: int) -> Iterator[None]:
    """Make an OSError of listening a BridgeError that says what is in the way."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "it is taken by another program",
            errno.EACCES: "no permission to listen there",
            errno.EADDRNOTAVAIL: "this machine has no such address",
        }
        reason = reasons.get(error.errno or 0, error.strerror or str(error))
        raise BridgeError(f"can't listen on {host}:{port}: {reason}") from None


def node_name() -> str:
    """Return host name and boot: pids mean something among processes that share it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = str(int(psutil.boot_time()))
    return f"{socket.gethostname()}/{boot}"
