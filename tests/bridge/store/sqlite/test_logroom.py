"""The log is grown ahead, and SQLite neither minds nor loses anything."""

from pathlib import Path

import apsw

from bridge.store.sqlite.logroom import STEP, make_room


def opened(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").fetchall()
    return db


def test_it_grows_by_steps_up_to_what_is_wanted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"abc")

    assert make_room(log, STEP + 100) == STEP
    assert make_room(log, STEP + 100) == 97
    assert make_room(log, STEP + 100) == 0
    assert log.read_bytes() == b"abc" + bytes(STEP + 97)


def test_no_log_needs_no_room(tmp_path: Path) -> None:
    assert make_room(tmp_path / "log", STEP) == 0


def test_a_disk_without_room_to_spare_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")

    assert make_room(log, 1 << 60) == 0
    assert log.stat().st_size == 0


def test_rows_survive_room_made_between_writes(tmp_path: Path) -> None:
    path, log = tmp_path / "store", tmp_path / "store-wal"
    db = opened(path)
    db.execute("CREATE TABLE t (x)")
    for number in range(50):
        db.execute("INSERT INTO t VALUES (?)", (number,))
        make_room(log, number << 16)
    image = tmp_path / "copy"
    image.write_bytes(path.read_bytes())
    (tmp_path / "copy-wal").write_bytes(log.read_bytes())  # as after a crash: no shared memory

    for there in (path, image):
        found = opened(there).execute("SELECT x FROM t ORDER BY x").fetchall()
        assert [row[0] for row in found] == list(range(50))


def test_a_log_started_over_uses_its_room(tmp_path: Path) -> None:
    db = opened(tmp_path / "store")
    db.execute("CREATE TABLE t (x)")
    make_room(tmp_path / "store-wal", STEP)
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    for number in range(50):
        db.execute("INSERT INTO t VALUES (?)", (number,))

    assert (tmp_path / "store-wal").stat().st_size == STEP
    assert db.execute("SELECT count(*) FROM t").fetchone() == (50,)
