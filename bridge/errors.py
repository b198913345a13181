"""Errors of the bridge, by consequence.

::

    BridgeError
     ├── ConfigError        the configuration is wrong: every error with its path; exit 2
     ├── StoreError         the store could not do it
     │    ├── StoreUnavailable   away, locked or failing; try again later
     │    ├── StoreFull          no room left: nothing was stored
     │    ├── BatchRejected      a row of the batch can't be stored: nothing was; bisect it
     │    ├── StaleLease         another process owns the lane by now: nothing was settled
     │    └── StoreUnusable      not ours, corrupt, or of a newer version: start is refused
     └── NotFound           what a command named does not exist
"""

from msgspec import Struct


class BridgeError(Exception):
    """Base of all errors with a message for people."""


class Problem(Struct, frozen=True):
    """One thing wrong with a configuration."""

    path: str
    """Where, e.g. ``endpoints[1].url``."""
    detail: str
    """What is wrong and what would be right. Never contains a secret."""

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}" if self.path else self.detail


class ConfigError(BridgeError):
    """A configuration that can't be used."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([f"{self.source}:", *(f"  {problem}" for problem in self.problems)])


class StoreError(BridgeError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Away, locked or failing. Nothing of the call was stored, unless it is in doubt."""

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt
        """The commit was begun and its end is not known: it may be stored."""


class StoreFull(StoreError):
    """No room left on the device. Nothing of the call was stored."""


class BatchRejected(StoreError):
    """A row can't be stored whatever the store's state. Nothing of the batch was stored."""


class StaleLease(StoreError):
    """The lane's fencing token is no longer the current one. Nothing was settled."""


class StoreUnusable(StoreError):
    """Not a store, corrupt, or written by a newer version."""


class NotFound(BridgeError):
    """What was named does not exist."""
