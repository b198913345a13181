"""Recording of links, as ordered: which links, into which files, until when.

Theory
------
An order to record stands in the store until it runs out or is replaced (see
:class:`bridge.store.contract.Order`); every carrier process reads the orders now and then and
hands them to :meth:`Recorder.obey`. What matches of its bound links is recorded as long as its
order stands, and so are links that bind later, from :meth:`Recorder.opened` on. A link is
recorded for one order at a time, and not again for an order that it has had its share of.

One task writes, four times a second and in a thread, what :mod:`smsc.link.recording` has gathered.

*Files* are beside the store by default, in a directory for each order, which nobody else may
read: ``<recordings>/<order>/<account>-<link>.txt``, and ``.pcap`` beside it where asked for.

*Bounds.* :data:`MOST_LINKS` links of an order and process; the bounds of each recording; nothing
is written while the disk is nearly full. Directories of orders are removed :data:`KEPT` after
the last file was made in them, whether or not anything is recorded then, because what is in them
is other people's.
"""

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog
import trio
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from bridge.store.contract import Order
from smsc.config import Account
from smsc.link.recording import Recording
from smsc.link.tap import Tap
from smsc.message import Millis
from smsc.status import LinkStatus

MOST_LINKS: Final = 50
ROUND: Final = 0.25
"""Seconds between two times that what was gathered is written."""
KEPT: Final = 7 * 86_400
"""Seconds after which a recording is removed."""
TIDY: Final = 3_600
"""Seconds between two looks for such."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")

_log: FilteringBoundLogger = structlog.get_logger()


class Recordable(Protocol):
    """A link that can be tapped."""

    tap: Tap | None

    def status(self) -> LinkStatus:
        """Return the link as it is now."""
        ...


class _Running(Struct):
    order: Order
    link: Recordable
    recording: Recording


class Recorder:
    """Records links of one process.

    Everything but the writing is for the event loop, and never raises.
    """

    def __init__(
        self,
        directory: Path,
        *,
        account: Callable[[str], Account | None],
        has_room: Callable[[], bool],
        clock: Callable[[], Millis],
    ) -> None:
        """``account`` gives an account's options by its name; ``has_room``: whether the disk has
        room for recordings; ``clock``: the time of day."""
        self._directory = directory
        self._account = account
        self._has_room = has_room
        self._clock = clock
        self._orders: Mapping[str, Order] = {}
        self._links: dict[str, Recordable] = {}
        self._running: dict[str, _Running] = {}
        self._had: dict[str, set[str]] = {}  # order → links that it began to record
        self._wake = trio.Event()

    # -- what is ordered -----------------------------------------------------------------------

    def obey(self, orders: Sequence[Order]) -> None:
        """Do as the orders that stand say."""
        now = self._clock()
        self._orders = {
            order.id: order for order in orders if order.kind == "record" and order.until > now
        }
        self._had = {id_: had for id_, had in self._had.items() if id_ in self._orders}
        for running in self._running.values():
            if running.order.id not in self._orders:
                over = running.order.until <= now
                self._stop(running, "its time was up" if over else "the order was ended")
        if self._orders:
            for link in self._links.values():
                self._consider(link, link.status())

    def opened(self, link: Recordable) -> None:
        """Take note of a link that was just bound."""
        status = link.status()
        self._links[status.link] = link
        if self._orders:
            self._consider(link, status)

    def closed(self, status: LinkStatus) -> None:
        """Forget a link that has ended."""
        self._links.pop(status.link, None)

    def _consider(self, link: Recordable, status: LinkStatus) -> None:
        if status.state == "closed" or link.tap is not None:
            return
        now = self._clock()
        for order in self._orders.values():
            wanted = status.link == order.link or (
                order.account and status.account == order.account
            )
            if not wanted or order.until <= now:
                continue
            had = self._had.setdefault(order.id, set())
            if status.link not in had and len(had) < MOST_LINKS:
                had.add(status.link)
                if len(had) == MOST_LINKS:
                    _log.warning("recording.last_link", order=order.id, most=MOST_LINKS)
                self._begin(order, link, status)
                return

    def _begin(self, order: Order, link: Recordable, status: LinkStatus) -> None:
        name = _UNSAFE.sub("_", f"{status.account or 'nobody'}-{status.link}")
        stem = self._directory / _UNSAFE.sub("_", order.id) / name
        masked = "in full" if order.unmask else "masked"
        recording = Recording(
            status,
            self._account(status.account),
            view=stem.with_name(name + ".txt"),
            capture=stem.with_name(name + ".pcap") if order.pcap else None,
            head=[f"smsbridge, recording {order.id}; numbers and texts {masked}, no passwords"],
            unmask=order.unmask,
            most=order.pdus,
            clock=lambda: time.time_ns() // 1_000,
        )
        link.tap = recording
        self._running[status.link] = _Running(order, link, recording)
        self._wake.set()
        _log.info(
            "recording.began",
            order=order.id, link=status.link, account=status.account, unmask=order.unmask,
            path=str(recording.view),
        )  # fmt: skip

    def _stop(self, running: _Running, reason: str) -> None:
        running.recording.stop(reason)
        self._untap(running)

    def _untap(self, running: _Running) -> None:
        if running.link.tap is running.recording:
            running.link.tap = None

    # -- the writing ---------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is recorded, until cancelled; then say in each file that this is the end."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._keep_tidy)
                task_status.started()
                while True:
                    if not self._running:
                        self._wake = trio.Event()
                        await self._wake.wait()
                    await self._round()
                    await trio.sleep(ROUND)
        finally:
            with trio.CancelScope(shield=True):
                running = list(self._running.values())
                await trio.to_thread.run_sync(
                    _close, self._directory, [each.recording for each in running]
                )
                for each in running:
                    self._untap(each)

    async def _keep_tidy(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        while True:
            await trio.to_thread.run_sync(_tidy, self._directory)
            task_status.started()
            await trio.sleep(TIDY)

    async def _round(self) -> None:
        now = self._clock()
        running = list(self._running.items())
        has_room = self._has_room()
        for _, each in running:
            if each.order.until <= now:
                self._stop(each, "its time was up")
            elif not has_room:
                self._stop(each, "the disk is nearly full")
        await trio.to_thread.run_sync(
            _write, self._directory, [each.recording for _, each in running]
        )
        for link, each in running:
            recording = each.recording
            if recording.over:
                self._untap(each)
            if recording.done:
                del self._running[link]
                _log.info(
                    "recording.ended",
                    order=each.order.id, link=link, reason=recording.over, pdus=recording.pdus,
                    left_out=recording.left_out,
                )  # fmt: skip


def _write(directory: Path, recordings: Sequence[Recording]) -> None:
    for recording in recordings:
        folder = recording.view.parent
        if not folder.is_dir():
            with suppress(OSError):  # what can't be made can't be written to either
                directory.mkdir(mode=0o700, exist_ok=True)
                folder.mkdir(mode=0o700, exist_ok=True)
        recording.write()


def _close(directory: Path, recordings: Sequence[Recording]) -> None:
    _write(directory, recordings)
    for recording in recordings:
        recording.close()


def _tidy(directory: Path) -> None:
    """Remove what was recorded long ago."""
    with suppress(OSError):  # it isn't there yet, or not ours
        for folder in directory.glob("ord_*"):
            with suppress(OSError):  # another process was quicker
                if time.time() - folder.stat().st_mtime > KEPT:
                    shutil.rmtree(folder, ignore_errors=True)
