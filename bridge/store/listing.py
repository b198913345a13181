"""What lists show of what is stored: rows of the store contract that people read."""

from typing import Literal

from msgspec import Struct

from bridge.model import Attempt
from bridge.store.records import Refusal
from smsc.message import Millis


class MessageRow(Struct, frozen=True, kw_only=True):
    """A message as lists show it."""

    id: str
    kind: str
    received_at: Millis
    account: str
    carrier: str
    tenant: str
    number: str | None
    source: str
    destination: str
    encoding: str
    total: int
    complete: bool
    duplicate_of: str | None
    status: Literal["pending", "delivered", "dead", "unrouted"]
    """The least settled of its deliveries."""
    event: bytes
    """Canonical bytes of its (latest) event."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A delivery given up on."""

    id: int
    endpoint: str
    event_id: str
    event_type: str
    message_id: str
    died_at: Millis
    attempts: int
    reason: str
    last_status: int | None
    last_error: str | None


class QuarantineRow(Struct, frozen=True, kw_only=True):
    """Something in quarantine as lists show it."""

    number: int
    """Its place in the store: where a page of the list goes on."""
    id: str
    account: str
    received_at: Millis
    reason: str
    raw: bytes
    """A frame that could not be read, or the arrival as JSON."""
    link: str = ""
    """The link that brought it; empty where an earlier version stored it."""
    place: int = 0
    """Its place among the arrivals of that link."""
    duplicate_of: str | None = None
    """Id of what it may repeat."""


class DeliveryRow(Struct, frozen=True, kw_only=True):
    """A delivery of one message with its attempts."""

    id: int
    endpoint: str
    event_id: str
    state: str
    due_at: Millis | None
    attempts: tuple[Attempt, ...]


class RefusalRow(Struct, frozen=True, kw_only=True):
    """A refusal as lists show it."""

    number: int
    """Its place in the store: where a page of the list goes on."""
    refusal: Refusal
