import apsw
import pytest

from bridge.errors import BatchRejected, StoreError, StoreFull, StoreUnavailable
from bridge.store.sqlite.failures import broken, translate

TABLE: list[tuple[type[apsw.Error], type[StoreError], bool]] = [
    (apsw.FullError, StoreFull, False),
    (apsw.BusyError, StoreUnavailable, False),
    (apsw.LockedError, StoreUnavailable, False),
    (apsw.ConstraintError, BatchRejected, False),
    (apsw.MismatchError, BatchRejected, False),
    (apsw.TooBigError, BatchRejected, False),
    (apsw.IOError, StoreUnavailable, True),
    (apsw.CantOpenError, StoreUnavailable, True),
    (apsw.ReadOnlyError, StoreUnavailable, True),
    (apsw.CorruptError, StoreUnavailable, True),
    (apsw.NotADBError, StoreUnavailable, True),
    (apsw.ProtocolError, StoreUnavailable, True),
    (apsw.SQLError, StoreUnavailable, True),
]


@pytest.mark.parametrize(("raised", "ours", "reopen"), TABLE)
def test_errors_by_consequence(
    raised: type[apsw.Error], ours: type[StoreError], reopen: bool
) -> None:
    error = raised("why")

    assert type(translate(error, "x.db")) is ours
    assert broken(error) is reopen


def test_doubt_is_said_and_otherwise_not() -> None:
    told = translate(apsw.IOError("sync"), "x.db", in_doubt=True)
    other = translate(apsw.IOError("sync"), "x.db")

    assert isinstance(told, StoreUnavailable)
    assert isinstance(other, StoreUnavailable)
    assert (told.in_doubt, other.in_doubt) == (True, False)
    assert "x.db" in str(told)


def test_errors_of_ours_break_nothing() -> None:
    assert not broken(ValueError())
