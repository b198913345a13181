"""Links and intake: what a process for carriers does.

Here the parts of intake meet those of the carrier side: listeners and dialled links
(:mod:`smsc.link`) ask the gate who may bind and hand the inbox what arrives; the recorder listens
to links where that is ordered, and what was refused is kept.
"""

import random
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.config import Config, recordings_in
from bridge.doorbell import DUE, ORDERS
from bridge.errors import ConfigError, Problem
from bridge.intake.gate import Gate
from bridge.intake.ingest import Ingest
from bridge.intake.orders import Orders
from bridge.intake.recorder import Recorder
from bridge.intake.refusals import Refusals
from bridge.intake.silence import Silence
from bridge.process import Process, explained
from smsc.config import Account
from smsc.inbox import LiveLink, Refused
from smsc.link.connection import Connection
from smsc.link.dialer import Dialer
from smsc.link.reaching import Unreachable
from smsc.link.reaching import context_of as files_of
from smsc.link.server import Server, open_listeners
from smsc.link.tls import TlsError, context_of
from smsc.status import LinkStatus

KEPT = 3.0
MOST_ENDED = 1_000
"""How many seconds, and how many, links that ended are told to the store."""
RESERVED = 0.05
"""Share of the disk that recordings leave below the mark above which nothing is taken in."""

_log: FilteringBoundLogger = structlog.get_logger()


def check_files(
    config: Config, source: str = "configuration", accounts: Sequence[Account] = ()
) -> None:
    """Read the files that listeners' options name, as a start does; and those of accounts that
    we dial, as each connection does. Raises ConfigError with all problems."""
    problems: list[Problem] = []
    for index, listener in enumerate(config.listeners):
        if listener.tls is not None:
            try:
                context_of(listener.tls)
            except TlsError as error:
                problems += [
                    Problem(f"listeners[{index}].tls.{fault.option}", fault.detail)
                    for fault in error.faults
                ]
    for index, account in enumerate(accounts):
        if account.dial is not None and account.dial.tls:
            try:
                files_of(account.dial)
            except Unreachable as error:
                problems.append(Problem(f"accounts[{index}].dial", str(error)))
    if problems:
        raise ConfigError(source, tuple(problems))


class _Gate(Gate):
    """The gate, which has others hear of links too, and remembers for a while how links ended,
    so that the store is told."""

    def __init__(self, *args: Any, refusals: Refusals, recorder: Recorder, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refusals = refusals
        self._recorder = recorder
        self._ended_links: deque[tuple[float, LinkStatus]] = deque(maxlen=MOST_ENDED)

    def opened(self, link: LiveLink) -> None:
        """Count a link that is now bound; record it where that is ordered."""
        super().opened(link)
        self._recorder.opened(cast("Connection", link))

    def closed(self, status: LinkStatus) -> None:
        """Stop counting a link that has ended."""
        super().closed(status)
        self._recorder.closed(status)
        self._ended_links.append((trio.current_time() + KEPT, status))

    def refused(self, refused: Sequence[Refused], more: int = 0) -> None:
        """Keep what was refused."""
        self._refusals.note(refused, more)

    def ended(self) -> list[LinkStatus]:
        """Return links that ended lately. The store doesn't mind hearing of them again."""
        now = trio.current_time()
        while self._ended_links and self._ended_links[0][0] < now:
            self._ended_links.popleft()
        return [status for _, status in self._ended_links]


class Carriers:
    """Links and intake."""

    def __init__(self, process: Process, *, new_rng: Callable[[], random.Random]) -> None:
        """Build the parts; ``new_rng`` spreads the pauses of a dialler.

        Raises :class:`~bridge.errors.ConfigError` where a listener's files can't be used.
        """
        self._process = process
        self._new_rng = new_rng
        config = process.config
        metrics = process.metrics
        self.ingest = Ingest(
            process.threads,
            process.live,
            process.ids,
            process.clock,
            ring=partial(process.bell.ring, DUE),
            assembly_timeout=config.intake.assembly_timeout,
            commit_timeout=config.intake.commit_timeout,
            queue_limit=config.intake.queue_limit,
            disk=partial(_disk_in_use, Path(config.store.path).resolve().parent),
            disk_high_water=config.intake.disk_high_water,
            told=lambda kind, count: metrics.arrivals[kind].inc(count),
            committed=metrics.commit_seconds.observe,
        )
        self._refusals = Refusals(
            process.threads,
            lambda system_id: process.live.by_system_id.get(system_id),  # noqa: PLW0108  # replaced with each revision
        )
        full = config.intake.disk_high_water
        recordings = Path(recordings_in(config.store.path, config.carrier.recordings))
        self._recorder = Recorder(
            recordings,
            account=lambda name: process.live.accounts.get(name),  # noqa: PLW0108  # replaced with each revision
            has_room=lambda: _has_room(recordings.resolve(), full - RESERVED),
            clock=process.clock,
        )
        self._gate = _Gate(
            process.threads,
            process.live,
            process.clock,
            new_id=partial(process.ids.new, "ord"),
            ring=partial(process.bell.ring, ORDERS),
            doubt_vanished=process.vanished.doubt,
            announce=self._announce_newcomers,
            owe=self.ingest.first,
            see_to_silent=Silence(
                lambda account: self._gate.links_of(account),  # noqa: PLW0108  # being made
                self.ingest.lost,
                process.clock,
            ).look,
            refusals=self._refusals,
            recorder=self._recorder,
        )
        self._orders = Orders(
            process.threads,
            process.clock,
            self._gate.links,
            heed=self._recorder.obey,
            announce=self._announce,
        )
        check_files(config)
        self._servers = [
            Server(
                listener, self.ingest, self._gate, clock=process.clock,
                new_link=partial(process.ids.new, "lnk"),
            )
            for listener in config.listeners
        ]  # fmt: skip
        self._dialers: dict[str, Dialer] = {}
        self._nursery: trio.Nursery | None = None  # once dialling may begin
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
        await nursery.start(self._refusals.run)
        await nursery.start(self._recorder.run)
        nursery.start_soon(self._orders.run)
        for server, listening in zip(self._servers, sockets, strict=True):
            await nursery.start(server.serve, listening)
            for each in listening:
                host, port, *_ = each.socket.getsockname()
                _log.info("carrier.listening", address=f"{host}:{port}", shared=shared)
        self._nursery = nursery
        self._dial()
        self._up = True

    def missing(self) -> str:
        """Say whether carriers can connect."""
        return "" if self._up else "not listening"

    def links(self) -> list[LinkStatus]:
        """Return open links, and those that ended lately."""
        return [*self._statuses(), *self._gate.ended()]

    def measure(self) -> None:
        """Bring the gauges of links and intake up to date."""
        metrics = self._process.metrics
        metrics.intake_queue.set(self.ingest.waiting)
        metrics.connections.set(sum(each.count() for each in self._ends()))
        metrics.links.clear()
        for account, number in self._gate.by_account().items():
            metrics.links.labels(account).set(number)

    def wake(self) -> None:
        """Do nothing: deliveries are made elsewhere."""

    def heed(self) -> None:
        """See what is ordered about links."""
        self._orders.ring()

    def reread(self) -> None:
        """Read the listeners' files again; one that can't be used leaves the old in force."""
        for index, server in enumerate(self._servers):
            try:
                server.reread()
            except TlsError as error:
                _log.error("tls.not_reread", listener=index, error=str(error))

    async def drain(self, deadline: float) -> bool:
        """Part from all carriers, then make what they sent durable."""
        self._up = False
        async with trio.open_nursery() as nursery:
            for each in self._ends():
                nursery.start_soon(each.drain, deadline)
        with trio.move_on_at(deadline + 1):
            await self.ingest.stop()
            return True
        return False

    def _reconfigured(self) -> None:
        """Unbind the links of accounts that are gone, and dial those that are new."""
        for each in self._ends():
            each.refresh()
        self._dial()

    def _dial(self) -> None:
        """Have each account that we are to dial dialled, by one process of the node."""
        if self._nursery is None or not self._up_to_dial():
            return
        for account in self._process.live.accounts.values():
            if (
                account.enabled
                and account.dial is not None
                and account.dial.hosts
                and account.name not in self._dialers
            ):
                self._dialers[account.name] = dialer = Dialer(
                    account,
                    listener=self._process.config.listeners[0],
                    inbox=self.ingest,
                    gate=self._gate,
                    clock=self._process.clock,
                    new_link=partial(self._process.ids.new, "lnk"),
                    rng=self._new_rng(),
                    prepare=partial(self._gate.prepare, account.name),
                )
                self._nursery.start_soon(self._keep_dialling, account.name, dialer)

    async def _keep_dialling(self, name: str, dialer: Dialer) -> None:
        try:
            await dialer.run()
        finally:
            del self._dialers[name]
        self._dial()  # it may be wanted again since

    def _up_to_dial(self) -> bool:
        """Whether it is this process that dials: the node's first one for carriers."""
        return self._process.number == 0 and not self._process.draining

    async def _announce_newcomers(self) -> None:
        await self._announce(*(each for end in self._ends() for each in end.newcomers()))

    async def _announce(self, *links: LinkStatus) -> None:
        process = self._process
        await process.threads.write(process.store.announce, process.id, links, process.clock())

    def _ends(self) -> list[Server | Dialer]:
        return [*self._servers, *self._dialers.values()]

    def _statuses(self) -> list[LinkStatus]:
        return [status for each in self._ends() for status in each.statuses()]


def _has_room(directory: Path, most: float) -> bool:
    """Whether less than a share of the disk is in use, of a directory that may not be there yet."""
    while not directory.is_dir():
        directory = directory.parent
    return _disk_in_use(directory) < most


def _disk_in_use(directory: Path) -> float:
    """Return the share of the disk that is in use, 0 to 1, as ``df`` counts it."""
    usage = shutil.disk_usage(directory)
    return 1 - usage.free / max(1, usage.used + usage.free)
