"""The composition root: the only place that builds the parts, reads clocks and entropy, and
orders a process's beginning and end.

Theory
------
A process has a role, and a role is one or more *parts*: links and intake (carrier), lanes and
upkeep (delivery), the page over all processes (api). Everything else is the same for all: store,
live view, doorbell, beat, health page.

*Beginning.* Whatever can fail for a reason outside (the store, a taken port) is done before
anything is served, and raises :class:`~bridge.errors.BridgeError` with a sentence. Then the parts
start, the first beat is written, and ``on_ready`` is called.

*Beat.* Once a second a process writes its figures and links to the store. That it could is also
its readiness.

*End.* On SIGTERM or SIGINT the parts drain, side by side, up to a deadline that leaves time to
say farewell: carriers stop accepting, answer and unbind; deliveries under way end and leases go
back. Only then the store is told that the process left in good order, so that nothing it did is
in doubt. A guard outside the event loop ends the process if all this takes longer than the
bound: what it left then is found by the others, as after any death.
"""

import errno
import gc
import math
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Protocol

import psutil
import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.api import health
from bridge.api.overview import Overview
from bridge.config import Config
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.egress import Policy, Resolver
from bridge.delivery.exchange import Facts
from bridge.delivery.sender import DirectSender
from bridge.doorbell import DUE, LIVE, Doorbell, directory_for
from bridge.errors import BridgeError, StoreError
from bridge.ids import Ids
from bridge.intake.gate import Gate
from bridge.intake.ingest import Ingest
from bridge.intake.records import Joiner
from bridge.intake.vanished import Vanished
from bridge.janitor import Janitor
from bridge.live import LiveView
from bridge.model import Outcome
from bridge.store.contract import Due, ProcessStatus, Store
from bridge.store.sqlite.engine import SqliteStore
from bridge.store.threaded import StoreThreads
from bridge.telemetry import Metrics
from smsc.link.server import Server, open_listeners
from smsc.message import Millis
from smsc.status import LinkStatus

Role = Literal["carrier", "delivery", "api", "all"]
ROLES: tuple[Role, ...] = ("carrier", "delivery", "api")

BEAT = 1.0
"""Seconds between two signs of life."""
SILENCE = 5.0
"""Seconds without a beat after which a process is neither ready nor counted."""
FAREWELL = 0.2
"""Share of the shutdown bound, at most 2 s, kept for leaving the store in good order."""
KEPT = 3 * BEAT
MOST_ENDED = 1_000
"""How long, and how many, links that ended are told to the store; it can miss some beats."""
SWITCH_INTERVAL = 0.0002
"""Seconds a thread may keep the interpreter when another wants it. The store's thread gives it
up at every wait for the disk; with Python's 5 ms it would wait that long to have it back from a
busy event loop, for each commit (68,000 rows/s against 18,600, measured)."""

_log: FilteringBoundLogger = structlog.get_logger()


def clock() -> Millis:
    """Return the time of day."""
    return time.time_ns() // 1_000_000


def new_ids() -> Ids:
    """Return a maker of ids from this machine's clock and entropy."""
    return Ids(clock, os.urandom)


def node_name() -> str:
    """Return host name and boot: pids mean something among processes that share it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = str(int(psutil.boot_time()))
    return f"{socket.gethostname()}/{boot}"


def open_store(path: str) -> Store:
    """Open the store, making it if it is not there. Raises StoreError."""
    return SqliteStore(Path(path), clock=clock)


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

    async def drain(self, deadline: float) -> bool:
        """End in good order until ``deadline`` on trio's clock; whether it did."""
        ...


class Process:
    """What all parts of one process share."""

    def __init__(self, role: Role, number: int, process_id: str, config: Config) -> None:
        """Open the store and the bell. Raises StoreError."""
        self.role = role
        self.number = number
        self.id = process_id
        self.config = config
        self.ids = new_ids()
        self.rng = random.Random(os.urandom(16))  # noqa: S311  # spreads retries, hides nothing
        self.metrics = Metrics()
        self.store = open_store(config.store.path)
        self.threads = StoreThreads(self.store)
        self.bell = Doorbell(directory_for(Path(config.store.path)), process_id)
        if self.bell.silent:
            _log.warning("doorbell.silent", reason=self.bell.silent)
        self.live = LiveView(self.threads)
        self.up = False
        """Whether the parts have begun to work."""
        self.draining = False
        self._beaten_at = -math.inf
        self._store_answers = True
        self._started_at = clock()
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
            seen_at=clock(),
            figures=self.metrics.figures(),
        )

    async def announce(self, parts: Sequence[Part]) -> None:
        """Tell the store that we live, and how. Raises StoreError."""
        for part in parts:
            part.measure()
        self.metrics.ready.set(self.up and not self.draining)
        links = [link for part in parts for link in part.links()]
        await self.threads.write(self.store.beat, self.status(), links, clock())
        self._beaten_at = trio.current_time()

    async def beat(self, parts: Sequence[Part]) -> None:
        """Do the same; a store that fails is counted, and logged when that begins and ends."""
        try:
            await self.announce(parts)
        except StoreError as error:
            self.metrics.store_errors.labels(type(error).__name__).inc()
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


async def run_role(
    role: Role,
    config: Config,
    *,
    process_id: str,
    number: int = 0,
    on_ready: Callable[[], None] = lambda: None,
    on_hangup: Callable[[], None] | None = None,
) -> None:
    """Run one process of a role until SIGTERM or SIGINT.

    ``number`` counts the processes of the role, from 0; ``on_hangup`` is called in a thread on
    SIGHUP (which is else ignored). Raises BridgeError where it can't begin.
    """
    if role in {"carrier", "all"}:
        sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with ExitStack() as stack:
            process = Process(role, number, process_id, config)
            stack.callback(process.close)
            await _run(process, on_ready, on_hangup)
    except BaseExceptionGroup as group:
        # What could not begin is told as it is, whatever nurseries it came through.
        known, others = group.split(BridgeError)
        if known is None or others is not None:
            raise
        raise _first(known) from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(
    process: Process, on_ready: Callable[[], None], on_hangup: Callable[[], None] | None
) -> None:
    await process.live.load()
    names = ROLES if process.role == "all" else (process.role,)
    parts = [PARTS[name](process) for name in names]
    status_socket = _listen_status(process)
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, process, parts, on_hangup, nursery.cancel_scope)
        # Known to the others from here on, so that lanes are spread over us too.
        await process.beat(parts)
        for part in parts:
            await part.start(nursery)
        nursery.start_soon(process.live.follow)
        nursery.start_soon(_answer_bell, process, parts)
        await nursery.start(health.serve, _health(process, parts), status_socket)
        process.up = True
        await process.beat(parts)
        nursery.start_soon(_keep_beating, process, parts)
        _settle_memory()
        _log.info("process.ready", process=process.id, pid=os.getpid())
        on_ready()


class _Gate(Gate):
    """The gate, which remembers for a while how links ended, so that the store is told."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ended_links: deque[tuple[float, LinkStatus]] = deque(maxlen=MOST_ENDED)

    def closed(self, status: LinkStatus) -> None:
        """Stop counting a link that has ended."""
        super().closed(status)
        self._ended_links.append((trio.current_time() + KEPT, status))

    def ended(self) -> list[LinkStatus]:
        """Return links that ended lately. The store doesn't mind hearing of them again."""
        now = trio.current_time()
        while self._ended_links and self._ended_links[0][0] < now:
            self._ended_links.popleft()
        return [status for _, status in self._ended_links]


class Carriers:
    """Links and intake."""

    def __init__(self, process: Process) -> None:
        self._process = process
        config = process.config
        metrics = process.metrics
        self.ingest = Ingest(
            process.threads,
            process.live,
            process.ids,
            clock,
            ring=partial(process.bell.ring, DUE),
            assembly_timeout=config.intake.assembly_timeout,
            commit_timeout=config.intake.commit_timeout,
            queue_limit=config.intake.queue_limit,
            disk=partial(_disk_in_use, Path(config.store.path).resolve().parent),
            disk_high_water=config.intake.disk_high_water,
            told=lambda kind, count: metrics.arrivals[kind].inc(count),
            committed=metrics.commit_seconds.observe,
        )
        self._gate = _Gate(
            process.threads,
            process.live,
            clock,
            doubt_vanished=process.vanished.doubt,
            announce=lambda: process.announce([self]),
        )
        self._servers = [
            Server(
                listener, self.ingest, self._gate, clock=clock,
                new_link=partial(process.ids.new, "lnk"),
            )
            for listener in config.listeners
        ]  # fmt: skip
        self._up = False
        process.live.subscribe(self._reconfigured)

    async def start(self, nursery: trio.Nursery) -> None:
        """Listen, or raise BridgeError naming the address that can't be had."""
        shared = self._process.config.carrier.processes > 1
        sockets = []
        for listener in self._process.config.listeners:
            with explained(listener.host, listener.port):
                sockets.append(
                    await open_listeners(listener.host, listener.port, reuse_port=shared)
                )
        await nursery.start(self.ingest.run)
        for server, listening in zip(self._servers, sockets, strict=True):
            await nursery.start(server.serve, listening)
            for each in listening:
                host, port, *_ = each.socket.getsockname()
                _log.info("carrier.listening", address=f"{host}:{port}", shared=shared)
        self._up = True

    def missing(self) -> str:
        """Say whether carriers can connect."""
        return "" if self._up else "not listening"

    def links(self) -> list[LinkStatus]:
        """Return open links, and those that ended since this was asked last."""
        now = [status for server in self._servers for status in server.statuses()]
        return [*now, *self._gate.ended()]

    def measure(self) -> None:
        """Bring the gauges of links and intake up to date."""
        metrics = self._process.metrics
        metrics.intake_queue.set(self.ingest.waiting)
        statuses = [status for server in self._servers for status in server.statuses()]
        metrics.connections.set(len(statuses))
        bound = Counter(status.account for status in statuses if status.state == "bound")
        metrics.links.clear()
        for account, number in bound.items():
            metrics.links.labels(account).set(number)

    async def drain(self, deadline: float) -> bool:
        """Part from all carriers, then make what they sent durable."""
        self._up = False
        async with trio.open_nursery() as nursery:
            for server in self._servers:
                nursery.start_soon(server.drain, deadline)
        with trio.move_on_at(deadline + 1):
            await self.ingest.stop()
            return True
        return False

    def _reconfigured(self) -> None:
        """Unbind the links of accounts that are gone."""
        for server in self._servers:
            server.refresh()


class Deliveries:
    """Lanes, sending and upkeep."""

    def __init__(self, process: Process) -> None:
        self._process = process
        options = process.config.delivery
        policy = Policy(
            allow_networks=tuple(map(ip_network, options.allow_networks)),
            allow_http=options.allow_http,
        )
        self.dispatcher = Dispatcher(
            process.threads,
            process.live,
            DirectSender(Resolver(policy)),
            clock,
            process.rng,
            process.id,
            watch=self._watch,
        )
        self._janitor = Janitor(
            process.threads,
            process.live,
            Joiner(lambda: process.live.table, process.ids, clock),
            clock,
            ring=partial(process.bell.ring, DUE),
            doubt_vanished=process.vanished.doubt,
        )
        metrics = process.metrics
        self._outcomes = {each: metrics.attempts.labels(each.value) for each in Outcome}
        process.live.subscribe(self.dispatcher.reconfigured)

    async def start(self, nursery: trio.Nursery) -> None:
        """Begin to take lanes."""
        await nursery.start(self.dispatcher.run)
        nursery.start_soon(self._janitor.run)

    def missing(self) -> str:
        """Return nothing: delivery needs nothing but the store."""
        return ""

    def links(self) -> list[LinkStatus]:
        """Return none: it has no links."""
        return []

    def measure(self) -> None:
        """Bring the gauges of lanes up to date."""
        for name, value in self.dispatcher.figures().items():
            self._process.metrics.lanes.labels(name).set(value)

    async def drain(self, deadline: float) -> bool:
        """End attempts under way, settle, give leases back."""
        return await self.dispatcher.stop(deadline)

    def _watch(self, due: Due, facts: Facts, outcome: Outcome, now: Millis) -> None:
        metrics = self._process.metrics
        self._outcomes[outcome].inc()
        metrics.attempt_seconds.observe(facts.duration_ms / 1_000)
        if outcome is Outcome.DELIVERED:
            metrics.delivered_seconds.observe((now - due.created_at) / 1_000)


def _overview(process: Process) -> Overview:
    return Overview(process.threads, process.metrics, clock, process.id)


PARTS: dict[Role, Callable[[Process], Part]] = {
    "carrier": Carriers,
    "delivery": Deliveries,
    "api": _overview,
}


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
    except StoreError as error:
        # Not having said farewell, it is buried by others in a while; that costs nothing else.
        _log.warning("store.unavailable", error=str(error))


async def _answer_bell(process: Process, parts: Sequence[Part]) -> None:
    while topics := await process.bell.wait():
        if LIVE in topics:
            process.live.wake()
        if DUE in topics:
            for part in parts:
                if isinstance(part, Deliveries):
                    part.dispatcher.ring()


async def _keep_beating(process: Process, parts: Sequence[Part]) -> None:
    while True:
        await trio.sleep(BEAT)
        await process.beat(parts)


def _settle_memory() -> None:
    """Keep the collector away from what was made at start, and from running all the time.

    Everything alive now stays alive: frozen, it is never walked again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _health(process: Process, parts: Sequence[Part]) -> health.Health:
    checks: dict[str, health.Check] = {
        "draining": lambda: "the process is ending" if process.draining else "",
        "store": process.missing_store,
    }
    for part in parts:
        checks[type(part).__name__.lower()] = part.missing

    async def page() -> bytes:
        await trio.lowlevel.checkpoint()
        for part in parts:
            part.measure()
        for part in parts:
            if isinstance(part, Overview):
                return part.page()
        return process.metrics.page()

    return health.Health(checks, page)


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


def _disk_in_use(directory: Path) -> float:
    """Return the share of the disk that is in use, 0 to 1, as ``df`` counts it."""
    usage = shutil.disk_usage(directory)
    return 1 - usage.free / max(1, usage.used + usage.free)
