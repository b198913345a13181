"""The composition root: where parts get stores, clocks and entropy, and nowhere else.

What a process does with its parts is told in :mod:`bridge.process`; how links and intake are put
together in :mod:`bridge.carriers`.
"""

import gc
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import structlog
import trio
from structlog.typing import FilteringBoundLogger

from bridge.api.overview import Overview
from bridge.carriers import Carriers
from bridge.config import Config
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.egress import Policy, Resolver
from bridge.delivery.exchange import Facts
from bridge.delivery.sender import DirectSender
from bridge.doorbell import DUE
from bridge.errors import BridgeError
from bridge.ids import Ids
from bridge.intake.records import Joiner
from bridge.janitor import Janitor
from bridge.model import Outcome
from bridge.process import ROLES, Part, Process, Role, run
from bridge.store.contract import Due, Store
from bridge.store.records import Room
from bridge.store.sqlite.engine import SqliteStore
from smsc.message import Millis
from smsc.status import LinkStatus

FIGURES = {
    "lanes": "lanes served",
    "lanes_open": "lanes with an open breaker",
    "under_way": "requests under way",
    "held": "deliveries held",
}
"""What a dispatcher calls its figures → what the metric says."""
MOST_WATCHED = 1_000
"""Attempts whose figures wait to be counted: one by one a metric costs more than it measures."""
BEHIND_CARRIERS = 5
"""How much nicer (in ``nice``'s sense) other roles are than carrier processes: where processors
are short, a carrier that waits for its answer goes first, and a webhook is sent a little later."""
SWITCH_INTERVAL = 0.00005
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


def new_rng() -> random.Random:
    """Return what spreads retries and pauses; it hides nothing."""
    return random.Random(os.urandom(16))  # noqa: S311  # as the docstring says


def open_store(path: str) -> Store:
    """Open the store, making it if it is not there. Raises StoreError."""
    return SqliteStore(Path(path), clock=clock)


async def run_role(
    role: Role,
    config: Config,
    *,
    process_id: str,
    number: int = 0,
    on_ready: Callable[[], None] = lambda: None,
    on_hangup: Callable[[], None] | None = None,
) -> bool:
    """Run one process of a role until SIGTERM or SIGINT; return whether it ended in good order.

    ``number`` counts the processes of the role, from 0; ``on_hangup`` is called in a thread on
    SIGHUP (which is else ignored). Raises BridgeError where it can't begin.
    """
    if role in {"carrier", "all"}:
        sys.setswitchinterval(SWITCH_INTERVAL)
    else:
        os.nice(BEHIND_CARRIERS)
    try:
        store = open_store(config.store.path)
        process = Process(role, number, config, store, new_ids(), clock, process_id=process_id)
        with closing(process):
            await process.live.load()
            names = ROLES if role == "all" else (role,)
            parts = [PARTS[name](process) for name in names]
            pages = [part.page for part in parts if isinstance(part, Overview)]
            _settle_memory()
            await run(
                process,
                parts,
                pages[0] if pages else process.metrics.page,
                on_ready=on_ready,
                on_hangup=on_hangup,
            )
        return process.in_order
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
            new_rng(),
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
            room=Room(
                parts=process.config.intake.parts_limit,
                octets=process.config.intake.parts_octets,
            ),
        )
        metrics = process.metrics
        self._watched: list[tuple[Outcome, float, int]] = []
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
        """Bring the figures of attempts and lanes up to date."""
        self._count_watched()
        for name, value in self.dispatcher.figures().items():
            self._process.metrics.lanes.labels(FIGURES[name]).set(value)

    def wake(self) -> None:
        """Have what is due read."""
        self.dispatcher.ring()

    def heed(self) -> None:
        """Do nothing: it has no links."""

    def reread(self) -> None:
        """Do nothing: no option of it names a file."""

    async def drain(self, deadline: float) -> bool:
        """End attempts under way, settle, give leases back."""
        return await self.dispatcher.stop(deadline)

    def _watch(self, due: Due, facts: Facts, outcome: Outcome, now: Millis) -> None:
        self._watched.append((outcome, facts.duration_ms, now - due.created_at))
        if len(self._watched) >= MOST_WATCHED:
            self._count_watched()

    def _count_watched(self) -> None:
        metrics = self._process.metrics
        watched, self._watched = self._watched, []
        for outcome, count in Counter(outcome for outcome, _, _ in watched).items():
            self._outcomes[outcome].inc(count)
        for outcome, duration_ms, age_ms in watched:
            metrics.attempt_seconds.observe(duration_ms / 1_000)
            if outcome is Outcome.DELIVERED:
                metrics.delivered_seconds.observe(age_ms / 1_000)


def _carriers(process: Process) -> Carriers:
    return Carriers(process, new_rng=new_rng)


def _overview(process: Process) -> Overview:
    return Overview(process.threads, process.metrics, clock, process.id)


PARTS: dict[Role, Callable[[Process], Part]] = {
    "carrier": _carriers,
    "delivery": Deliveries,
    "api": _overview,
}


def _settle_memory() -> None:
    """Keep the collector away from what was made at start, and from running all the time.

    Everything alive now stays alive: frozen, it is never walked again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
