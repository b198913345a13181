"""What is in quarantine, read again: by the program and the configuration as they are now.

Theory
------
An item is a frame that could not be read, an arrival that could not be stored (as JSON), or a
set whose parts could not be joined (a JSON array). Each is made into the record it would be if
it came now, but for its place in the order of things: it keeps the time and place of its
arrival, and the name it was given. ``qtn_01J…`` becomes ``msg_01J…``: so one that was told to
the carrier is still recognised, and so reading it twice makes nothing twice.

The store puts records in the place of items, each transaction whole or not at all; whoever comes
second finds an item gone. A batch the store rejects is halved until the culprit stands alone,
which then stays, with the new reason. Nothing leaves quarantine before it is durable elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bridge.errors import BatchRejected
from bridge.ids import Ids
from bridge.intake.records import (
    KIND,
    Joiner,
    carrier_id,
    fragment_record,
    message_record,
)
from bridge.intake.routing import RoutingTable
from bridge.store.contract import Store
from bridge.store.listing import QuarantineRow
from bridge.store.records import (
    ArrivalKey,
    FragmentRecord,
    Join,
    QuarantineRecord,
    Record,
    Recorded,
    Reread,
)
from smsc.config import Account
from smsc.content import assembly, reading, whole
from smsc.message import Arrival, Fragment, Message, Millis, Receipt, Unreadable

Became = Literal["message", "receipt", "fragment", "repeat", "stays", "gone"]
"""``repeat``: of something stored, so that nothing new was; ``stays``: it can't be read now
either; ``gone``: somebody else was quicker."""

Read = Callable[[QuarantineRow], Record]


class Result(Struct, frozen=True, kw_only=True):
    """What became of one item."""

    row: QuarantineRow
    became: Became
    id: str = ""
    """Of the message or fragment, the earlier one's for a repeat."""
    source: str = ""
    destination: str = ""
    reason: str = ""
    """Why it stays."""
    delivered: bool = False
    """Whether there are new deliveries, or may be."""


def _kind_of(fields: Mapping[str, object]) -> str:
    """Guess the kind of an arrival kept by an earlier version, which doesn't say it."""
    return "Fragment" if "concat" in fields else "Receipt" if "id_text" in fields else "Message"


class Reader:
    """Makes a record of what is in quarantine; pure but for what it is given."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        table: RoutingTable,
        ids: Ids,
        clock: Callable[[], Millis],
        assembly_timeout: float,
    ) -> None:
        self._accounts = accounts
        self._table = table
        self._ids = ids
        self._clock = clock
        self._assembly_timeout = assembly_timeout
        self.join: Join = Joiner(lambda: table, ids, clock)
        """Joins the sets that become whole."""

    def __call__(self, row: QuarantineRow) -> Record:
        """Return what an item is now: itself with a new reason where it can't be read.

        Never raises: what reading stumbles over is the reason.
        """
        try:
            found = self._arrival(row)
            if isinstance(found, str):
                return _staying(row, found)
            if isinstance(found, Unreadable):
                return _staying(row, found.reason)
            return self._record(row, found)
        except Exception as error:  # noqa: BLE001  # an item that is poison for us stays
            return _staying(row, f"reading it again failed: {type(error).__name__}")

    def _arrival(self, row: QuarantineRow) -> Arrival | str:
        """Return the arrival, or why there is none."""
        raw = row.raw
        # A frame begins with its length, which is far below both.
        if raw.startswith(b"{"):
            fields = msgspec.json.decode(raw)
            kind = fields.get(KIND) or _kind_of(fields)
            if kind == "Fragment":
                return msgspec.json.decode(raw, type=Fragment)
            if kind == "Receipt":
                return msgspec.json.decode(raw, type=Receipt)
            return msgspec.json.decode(raw, type=Message)
        if raw.startswith(b"["):
            return whole.join(msgspec.json.decode(raw, type=list[Fragment]))
        account = self._accounts.get(row.account)
        if account is None:
            return f"there is no account {row.account!r} any more"
        return (
            reading.read(raw, account, link=row.link, place=row.place, received_at=row.received_at)
            or "it is no PDU"
        )

    def _record(self, row: QuarantineRow, arrival: Message | Receipt | Fragment) -> Record:
        now = self._clock()
        _, _, name = row.id.partition("_")
        if isinstance(arrival, Fragment):
            made = fragment_record(arrival, self._ids, self._assembly_timeout, self._accounts)
            # Others of its set may be read only now as well: it waits for them from now on.
            expires_at = assembly.expires_at(now, self._assembly_timeout)
            return replace(made, id="frg_" + name, opens_at=now, expires_at=expires_at)
        told = row.duplicate_of
        named = None
        if isinstance(arrival, Message) and arrival.total == 1:
            named = carrier_id(arrival, 1, self._accounts)
        return message_record(
            arrival,
            self._table,
            self._ids,
            now,
            message_id="msg_" + name,
            duplicate_of=told and "msg_" + told.partition("_")[2],
            carrier_id=named,
        )


def _staying(row: QuarantineRow, reason: str) -> QuarantineRecord:
    arrival = ArrivalKey(row.account, row.link, row.place, b"", row.received_at)
    return QuarantineRecord(id=row.id, key=arrival, raw=row.raw, reason=reason)


def read_again(
    store: Store, rows: Sequence[QuarantineRow], read: Read, join: Join, *, dry: bool = False
) -> list[Result]:
    """Read items again, at most 1,000, and have what can be read leave quarantine; durable on
    return.

    ``dry``: say what would become of them, and change nothing; repeats are not seen then.
    Blocks. Raises :class:`~bridge.errors.StoreError`: some may have been done then, and doing it
    again does the rest.
    """
    items = [Reread(row.number, read(row)) for row in rows]
    if dry:
        return [_result(row, item.record, None) for row, item in zip(rows, items, strict=True)]
    done = _reread(store, items, join)
    return [
        Result(row=row, became="gone") if recorded is None else _result(row, record, recorded)
        for row, (record, recorded) in zip(rows, done, strict=True)
    ]


def _reread(
    store: Store, items: Sequence[Reread], join: Join
) -> list[tuple[Record, Recorded | None]]:
    """Have items read again, by halves where one is rejected; return what each was, and became."""
    try:
        recorded = store.reread(items, join)
    except BatchRejected as error:
        if len(items) > 1:
            half = len(items) // 2
            return _reread(store, items[:half], join) + _reread(store, items[half:], join)
        (item,) = items
        if isinstance(item.record, QuarantineRecord):
            raise
        reason = f"the store rejected it: {type(error).__name__}"
        stays = QuarantineRecord(id=item.record.id, key=item.record.key, raw=b"", reason=reason)
        return _reread(store, [Reread(item.number, stays)], join)
    return [(item.record, one) for item, one in zip(items, recorded, strict=True)]


def _result(row: QuarantineRow, record: Record, recorded: Recorded | None) -> Result:
    """Say what became of an item, or would; ``recorded`` None: that isn't known yet."""
    if isinstance(record, QuarantineRecord):
        return Result(row=row, became="stays", reason=record.reason)
    repeat = recorded is not None and bool(recorded.repeat)
    became: Became
    if isinstance(record, FragmentRecord):
        source, destination = record.fragment.source.value, record.fragment.destination.value
        became, delivered = "fragment", recorded is not None and recorded.whole
    else:
        source, destination, became = record.source, record.destination, record.kind
        delivered = any(event.deliveries for event in record.events)
    return Result(
        row=row,
        became="repeat" if repeat else became,
        id=recorded.id if recorded is not None else record.id,
        source=source,
        destination=destination,
        delivered=delivered and not repeat,
    )
