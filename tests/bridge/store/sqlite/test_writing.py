import apsw
import pytest

from bridge.store.sqlite.writing import MOST_ROWS, Insert, Octets, json, piece, run


@pytest.fixture
def db() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB)")
    return db


@pytest.mark.parametrize("count", [0, 1, 2, 3, 200, MOST_ROWS, MOST_ROWS + 1, 3_000])
def test_any_number_of_rows_comes_in(db: apsw.Connection, count: int) -> None:
    values: list[object] = []
    for number in range(count):
        values += (number, None, b"\x00" * (number % 3))

    Insert("t", "a, b, c").run(db, values)

    assert db.execute("SELECT count(*), count(DISTINCT a) FROM t").fetchone() == (count, count)
    assert len(values) == 3 * count


def test_values_come_in_as_they_are(db: apsw.Connection) -> None:
    insert = Insert("t", "b, a, c")

    insert.run(db, ['q"\\ü😀\x00x', None, b"\x00\xff", "", 2**63 - 1, b""])

    assert db.execute("SELECT b, a, c FROM t").fetchall() == [
        ('q"\\ü😀\x00x', None, b"\x00\xff"),
        ("", 2**63 - 1, b""),
    ]


def test_a_batch_is_one_statement(db: apsw.Connection) -> None:
    ran: list[str] = []
    db.trace_v2(apsw.SQLITE_TRACE_STMT, lambda told: ran.append(told["sql"]))
    insert = Insert("t", "a, b, c")

    insert.run(db, [1, "x", None] * 200)
    insert.run(db, [1, "x", None] * 201)

    assert len(ran) == 2
    assert ran[0] == ran[1]  # and the same one for about the same number


def test_rows_point_into_octets(db: apsw.Connection) -> None:
    octets = Octets()
    rows = [[1, *octets.put(b"\x00\xff")], [2, *octets.put(b"")], [3, *octets.put(b"[1]")]]

    found = db.execute(f"SELECT {piece(1)} FROM jsonb_each(?1)", (json(rows), octets.join()))

    assert [row[0] for row in found] == [b"\x00\xff", b"", b"[1]"]


def test_no_rows_are_no_statement(db: apsw.Connection) -> None:
    Insert("missing", "a").run(db, [])
    run(db, "no statement", [])


def test_anything_iterable_is_json() -> None:
    assert json([1, 2]) == json((1, 2)) == json(range(1, 3)) == json({1: "a", 2: "b"}) == "[1,2]"
