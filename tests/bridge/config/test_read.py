"""Tables become structs; what is wrong is noted at its path and the rest is still read."""

from typing import Literal

import pytest
from msgspec import Struct

from bridge.config.read import Problems, Secret, Secrets, did_you_mean, read_table, tables_of


class Inner(Struct, frozen=True):
    size: int = 1


class Sample(Struct, frozen=True, kw_only=True):
    name: str
    kind: Literal["one", "two"] = "one"
    kinds: tuple[Literal["one", "two"], ...] = ()
    limit: float = 1
    codes: dict[int, str] = {}
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    on: bool = True


def outcome(**table: object) -> tuple[Sample | None, list[str]]:
    problems = Problems()
    read = read_table(Sample, table, "here[0]", problems)
    return read, [str(problem) for problem in problems.found]


def test_types_are_converted() -> None:
    read, found = outcome(
        name="x", limit=3, codes={"8": "y"}, inner={"size": 2}, inners=[{"size": 3}, {}]
    )

    assert found == []
    assert read == Sample(
        name="x", limit=3.0, codes={8: "y"}, inner=Inner(2), inners=(Inner(3), Inner())
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"kind": "tow"}, 'here[0].kind: must be one of "one", "two"'),
        ({"kinds": ["one", "x"]}, 'here[0].kinds[1]: must be one of "one", "two"'),
        ({"limit": "1"}, "here[0].limit: expected a number, got a string"),
        ({"on": 1}, "here[0].on: expected true or false, got an integer"),
        ({"codes": {"x": "y"}}, "here[0].codes: as a key, expected an integer, got a string"),
        ({"codes": {"1": 2}}, "here[0].codes: expected a string, got an integer"),
        ({"inner": 1}, "here[0].inner: must be a table: [here[0].inner]"),
        ({"inner": {"sise": 1}}, 'here[0].inner.sise: is no option here; did you mean "size"?'),
        ({"inners": {}}, "here[0].inners: must be an array of tables: [[here[0].inners]]"),
        ({"inners": [1]}, "here[0].inners[0]: must be a table: [here[0].inners[0]]"),
        ({"zzzzz": 1}, "here[0].zzzzz: is no option here"),
    ],
)
def test_what_is_wrong_is_noted_and_its_default_taken(
    table: dict[str, object], problem: str
) -> None:
    read, found = outcome(name="x", **table)

    assert found == [problem]
    assert read == Sample(name="x")


def test_a_table_without_what_it_requires_is_left_out() -> None:
    assert outcome() == (None, ["here[0].name: is required"])
    assert outcome(name=3) == (None, ["here[0].name: expected a string, got an integer"])


def test_tables_come_with_their_paths() -> None:
    problems = Problems()

    found = list(tables_of({"a": [{"x": 1}, 2], "b": {}}, "a", problems))
    found += list(tables_of({"b": {}}, "b", problems))

    assert found == [("a[0]", {"x": 1})]
    assert [str(problem) for problem in problems.found] == [
        "a[1]: must be a table",
        "b: must be an array of tables: [[b]]",
    ]


def files(path: str) -> str:
    match path:
        case "there":
            return "kept\r\n"
        case "empty":
            return "\n"
        case "octets":
            return b"hunter22\xff".decode()
    raise PermissionError(13, "Permission denied", path)


@pytest.mark.parametrize(
    ("given", "value", "problem"),
    [
        ("plain", "plain", None),
        ({"env": "SET"}, "from-env", None),
        ({"file": "there"}, "kept", None),
        ("", "", "t.key: must not be empty"),
        ({"env": "UNSET"}, "", "t.key: environment variable UNSET is not set"),
        ({"file": "closed"}, "", "t.key: can't read closed: Permission denied"),
        ({"file": "octets"}, "", "t.key: can't read octets: not a text file"),
        ({"file": "empty"}, "", "t.key: empty is empty"),
        (7, "", 't.key: must be a string, {env = "NAME"} or {file = "PATH"}'),
        (
            {"env": "SET", "file": "there"},
            "",
            't.key: must be a string, {env = "NAME"} or {file = "PATH"}',
        ),
    ],
)
def test_a_secret_is_resolved(given: object, value: str, problem: str | None) -> None:
    problems = Problems()
    table = {"key": given, "other": 1}

    secret = Secrets({"SET": "from-env"}, files, problems).take(table, "key", "t")

    assert secret == Secret(given=True, value=value)
    assert table == {"other": 1}
    assert [str(each) for each in problems.found] == ([problem] if problem else [])
    assert value not in repr(secret) or not value


def test_secrets_come_as_an_array() -> None:
    problems = Problems()
    secrets = Secrets({}, files, problems)

    found = secrets.take_list({"key": ["a", {"file": "there"}]}, "key", "t")
    without: tuple[dict[str, object], ...] = ({}, {"key": []}, {"key": "a"})
    for given in without:
        assert secrets.take_list(given, "key", "t") == []

    assert [secret.value for secret in found] == ["a", "kept"]
    assert [str(each) for each in problems.found] == [
        "t.key: is required",
        "t.key: needs at least one secret",
        't.key: must be an array, newest first: ["whsec_…"]',
    ]


def test_values_of_an_inner_table_may_be_secrets() -> None:
    inner = {"authorization": {"env": "SET"}, "x": "y"}
    table: dict[str, object] = {"headers": inner}

    Secrets({"SET": "from-env"}, files, Problems()).resolve_values(table, "headers", "t")

    assert table == {"headers": {"authorization": "from-env", "x": "y"}}


def test_a_name_that_is_close_is_suggested() -> None:
    assert did_you_mean("prot", ["port", "host"]) == '; did you mean "port"?'
    assert did_you_mean("zzz", ["port", "host"]) == ""
