"""The live half of the configuration as a process sees it, and how a file becomes part of it.

Theory
------
The store owns the live configuration, in numbered revisions. A process holds one revision at a
time, as a value that is never changed, only replaced: who took :attr:`LiveView.current` or
:attr:`LiveView.table` into a local variable works on one revision to the end of a batch.

A change is seen within a second: the doorbell wakes the reader, and a poll makes up for a lost
ring. While the store is away the last revision stays in force.

A file is applied as the whole of what its source declares: the store works out the difference.
Objects of other sources are left alone.
"""

from collections.abc import Callable

import msgspec
import structlog
import trio
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from bridge.config import LiveFile
from bridge.errors import StoreError
from bridge.intake.routing import RoutingTable
from bridge.model import Live
from bridge.passwords import hash_password, verify
from bridge.store.contract import Applied, LiveObject, Store
from bridge.store.threaded import StoreThreads
from smsc.config import Account
from smsc.message import Millis

POLL = 1.0
"""Seconds between two looks for a new revision that nobody rang for."""

_log: FilteringBoundLogger = structlog.get_logger()


class LiveView:
    """The newest revision this process knows."""

    def __init__(self, threads: StoreThreads, live: Live | None = None) -> None:
        """Begin with ``live``, or with nothing configured at all."""
        self._threads = threads
        self._set(live if live is not None else Live())
        self._subscribers: list[Callable[[], None]] = []
        self._rung = trio.Event()
        self._known = -1
        self._away = False
        self._loading = trio.Lock()

    def _set(self, live: Live) -> None:
        table = RoutingTable(live)
        accounts = {account.name: account for account in live.accounts}
        by_system_id = {account.system_id: account for account in live.accounts}
        self.current = live
        """The revision in force."""
        self.table = table
        """Where its numbers lead."""
        self.accounts = accounts
        """Its accounts by name."""
        self.by_system_id = by_system_id
        """Its accounts by what they bind with."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after each new revision; it must neither wait nor raise."""
        self._subscribers.append(callback)

    def wake(self) -> None:
        """Look for a new revision now rather than at the next poll."""
        self._rung.set()

    async def load(self) -> None:
        """Read the newest revision. Raises :class:`~bridge.errors.StoreError`."""
        async with self._loading:  # of two readings the later one must not be overtaken
            live = await self._threads.read(self._threads.store.live, self._known)
            if live is None:
                return
            self._set(live)
            self._known = live.revision
        for callback in self._subscribers:
            try:
                callback()
            except Exception:  # noqa: BLE001  # one subscriber's bug must not keep the others uninformed
                _log.exception("live.subscriber_failed", revision=live.revision)

    async def follow(self) -> None:
        """Keep up with the store, forever."""
        while True:
            with trio.move_on_after(POLL):
                await self._rung.wait()
            self._rung = trio.Event()
            try:
                await self.load()
            except StoreError as error:
                if not self._away:
                    _log.warning("live.stale", revision=self._known, error=str(error))
                self._away = True
            else:
                self._away = False


def apply_file(store: Store, file: LiveFile, now: Millis) -> Applied:
    """Make what a file declares part of the store's configuration, as a difference.

    Blocks, for some 20 ms besides for each plain password. Raises
    :class:`~bridge.errors.StoreError`; then nothing has changed.
    """
    current = store.live()
    return store.apply(file.source, declared(file, current or Live()), now)


def declared(file: LiveFile, current: Live) -> list[LiveObject]:
    """Return everything a file declares, as the store keeps it.

    Plain passwords are hashed; where the hash in force is that of the same password it is kept,
    so that applying a file again changes nothing.
    """
    hashes = {account.name: account.password_hash for account in current.accounts}
    encode = msgspec.json.encode
    objects = [
        LiveObject("account", account.name, encode(_with_hash(account, file, hashes)))
        for account in file.accounts
    ]
    objects += [LiveObject("tenant", each.name, encode(each)) for each in file.tenants]
    objects += [LiveObject("number", each.number, encode(each)) for each in file.numbers]
    objects += [LiveObject("route", each.name, encode(each)) for each in file.routes]
    objects += [LiveObject("endpoint", each.name, encode(each)) for each in file.endpoints]
    return objects


def _with_hash(account: Account, file: LiveFile, hashes: dict[str, str]) -> Account:
    password = file.passwords.get(account.name)
    if password is None:
        return account
    hashed = hashes.get(account.name, "")
    if not hashed or not verify(hashed, password):
        hashed = hash_password(password)
    return replace(account, password_hash=hashed)
