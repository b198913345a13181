"""What SQLite's errors mean to callers: a table, read by class."""

import apsw

from bridge.errors import BatchRejected, StoreError, StoreFull, StoreUnavailable

REJECTED = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError)
"""The rows are at fault, whatever the store's state."""

PASSING = (apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.InterruptError)
"""The connection is as good as before; everything else makes us open the file anew."""


def translate(error: apsw.Error, where: str, *, in_doubt: bool = False) -> StoreError:
    """Return the error of ours that tells callers what to do."""
    if isinstance(error, apsw.FullError):
        return StoreFull(f"no room left for the store {where}")
    if isinstance(error, REJECTED):
        return BatchRejected(f"{type(error).__name__}: {error}")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreUnavailable(f"the store {where} is locked by another process")
    text = f"the store {where} fails: {type(error).__name__}: {error}"
    return StoreUnavailable(text, in_doubt=in_doubt)


def broken(error: BaseException) -> bool:
    """Whether the connections are not to be trusted any more."""
    return isinstance(error, apsw.Error) and not isinstance(error, (*REJECTED, *PASSING))
