import pytest

from bridge.errors import StoreUnusable
from bridge.store.migrate import AppliedMigration, Migration, plan, shipped

ONE = Migration(1, "start", "CREATE …", "aa")
TWO = Migration(2, "more", "ALTER …", "bb")


def had(migration: Migration, checksum: str | None = None) -> AppliedMigration:
    return AppliedMigration(migration.version, migration.name, checksum or migration.checksum)


def test_a_new_store_gets_all_in_order() -> None:
    assert plan([], [ONE, TWO], "x.db") == [ONE, TWO]


def test_an_older_store_gets_what_it_lacks() -> None:
    assert plan([had(ONE)], [ONE, TWO], "x.db") == [TWO]
    assert plan([had(ONE), had(TWO)], [ONE, TWO], "x.db") == []


def test_a_newer_store_is_refused_by_name_and_version() -> None:
    with pytest.raises(StoreUnusable, match=r"x\.db has schema version 2.*newer smsbridge"):
        plan([had(ONE), had(TWO)], [ONE], "x.db")


def test_a_store_of_another_build_is_refused() -> None:
    with pytest.raises(StoreUnusable, match=r"x\.db had a migration 001 \(start\)"):
        plan([had(ONE, "cc")], [ONE, TWO], "x.db")


def test_shipped_migrations_are_numbered_without_gaps() -> None:
    migrations = shipped("sqlite")

    assert [one.version for one in migrations] == list(range(1, len(migrations) + 1))
    assert migrations[0].name == "start"
    assert all(len(one.checksum) == 64 and one.sql for one in migrations)
