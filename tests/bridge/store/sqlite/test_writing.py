import apsw

from bridge.store.sqlite.writing import Octets, insert, json, run


def test_rows_and_octets_come_in_with_one_statement() -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d BLOB)")
    octets = Octets()
    rows = [
        (1, 'q"\\ü😀', *octets.put(b"\x00\xff"), *octets.put(b"")),
        (None, "", *octets.put(b""), *octets.put(b"[1]")),
    ]

    run(db, insert("t", "a, b, c, d", octets=2), rows, octets)

    assert db.execute("SELECT * FROM t").fetchall() == [
        (1, 'q"\\ü😀', b"\x00\xff", b""),
        (None, "", b"", b"[1]"),
    ]


def test_no_rows_are_no_statement() -> None:
    run(apsw.Connection(":memory:"), insert("missing", "a"), [])


def test_anything_iterable_is_json() -> None:
    assert json([1, 2]) == json((1, 2)) == json(range(1, 3)) == json({1: "a", 2: "b"}) == "[1,2]"
