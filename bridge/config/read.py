"""TOML tables → typed structs, with every problem noted at its path instead of the first raised.

What can't be read is replaced by the option's default, so that the checks that follow speak only
of what is really wrong; a table without one of its required options is left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from bridge.errors import Problem

ReadFile = Callable[[str], str]
"""Path → text; raises :class:`OSError` or :class:`UnicodeDecodeError`."""

S = TypeVar("S", bound=Struct)


class Problems:
    """All that is wrong, in the order it was found."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: str, detail: str) -> None:
        """Note a problem; ``detail`` must not hold a secret."""
        self.found.append(Problem(path, detail))


class Secret(Struct, frozen=True):
    """A secret option as it was resolved. ``repr`` never shows the value."""

    given: bool
    """Whether the file has the option at all."""
    value: str
    """Empty where it isn't given or couldn't be resolved."""

    def __repr__(self) -> str:
        return f"Secret(given={self.given})"


class Secrets:
    """Resolves ``"…"``, ``{env = "NAME"}`` and ``{file = "PATH"}``."""

    def __init__(self, env: Mapping[str, str], read_file: ReadFile, problems: Problems) -> None:
        self._env = env
        self._read_file = read_file
        self._problems = problems

    def take(self, table: dict[str, Any], key: str, path: str) -> Secret:
        """Remove a secret option from its table and resolve it."""
        if key not in table:
            return Secret(given=False, value="")
        return Secret(given=True, value=self._resolve(table.pop(key), at(path, key)))

    def take_list(self, table: dict[str, Any], key: str, path: str) -> list[Secret]:
        """Do the same for an array of secrets; empty where it is missing."""
        given = table.pop(key, None)
        if given is None:
            self._problems.add(at(path, key), "is required")
            return []
        if not isinstance(given, list):
            self._problems.add(at(path, key), 'must be an array, newest first: ["whsec_…"]')
            return []
        if not given:
            self._problems.add(at(path, key), "needs at least one secret")
        return [
            Secret(given=True, value=self._resolve(value, f"{at(path, key)}[{index}]"))
            for index, value in enumerate(given)
        ]

    def resolve_values(self, table: dict[str, Any], key: str, path: str) -> None:
        """Resolve the values of an inner table, any of which may be a secret."""
        inner = table.get(key)
        if isinstance(inner, dict):
            table[key] = {
                name: self._resolve(value, at(at(path, key), name)) for name, value in inner.items()
            }

    def _resolve(self, value: object, path: str) -> str:
        match value:
            case str():
                if not value:
                    self._problems.add(path, "must not be empty")
                return value
            case {"env": str(name), **rest} if not rest:
                if not self._env.get(name):
                    self._problems.add(path, f"environment variable {name} is not set")
                return self._env.get(name, "")
            case {"file": str(name), **rest} if not rest:
                return self._from_file(name, path)
        self._problems.add(path, 'must be a string, {env = "NAME"} or {file = "PATH"}')
        return ""

    def _from_file(self, name: str, path: str) -> str:
        try:
            value = self._read_file(name).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            # Only the reason: a decoding error's text would quote octets of the secret.
            reason = getattr(error, "strerror", None) or "not a text file"
            self._problems.add(path, f"can't read {name}: {reason}")
            return ""
        if not value:
            self._problems.add(path, f"{name} is empty")
        return value


def at(path: str, key: str) -> str:
    """Return the path of ``key`` inside ``path``."""
    return f"{path}.{key}" if path else key


def tables_of(
    document: Mapping[str, Any], key: str, problems: Problems
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each table of an array of tables as a copy, with its path."""
    given = document.get(key, [])
    if not isinstance(given, list):
        problems.add(key, f"must be an array of tables: [[{key}]]")
        return
    for index, table in enumerate(given):
        path = f"{key}[{index}]"
        if isinstance(table, dict):
            yield path, dict(table)
        else:
            problems.add(path, "must be a table")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` – did you mean "…"?`` for the likeliest known name, or nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def read_table(
    kind: type[S], table: Mapping[str, Any], path: str, problems: Problems, also: Iterable[str] = ()
) -> S | None:
    """Read a table as ``kind``; ``also`` are known keys that are read elsewhere.

    None where a required option is missing or wrong.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in fields:
            read = _read_value(fields[key].type, value, at(path, key), problems)
            if read is not None:
                values[fields[key].name] = read
        else:
            hint = did_you_mean(key, (*fields, *also))
            problems.add(at(path, key), f"is no option here{hint}")
    complete = True
    for key, field in fields.items():
        if field.default is NODEFAULT and field.default_factory is NODEFAULT:
            if key not in table:
                problems.add(at(path, key), "is required")
            complete = complete and field.name in values
    return kind(**values) if complete else None


def _read_value(kind: Any, value: object, path: str, problems: Problems) -> object | None:
    inner = _struct_of_array(kind)
    if inner is not None:
        if not isinstance(value, list):
            problems.add(path, f"must be an array of tables: [[{path}]]")
            return None
        read = [_read_value(inner, each, f"{path}[{i}]", problems) for i, each in enumerate(value)]
        return tuple(each for each in read if each is not None)
    if isinstance(kind, type) and issubclass(kind, Struct):
        if not isinstance(value, dict):
            problems.add(path, f"must be a table: [{path}]")
            return None
        return read_table(kind, value, path, problems)
    try:
        converted: object = msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError as error:
        where, detail = _translated(str(error))
        if choices := _choices(kind):
            detail = f"must be one of {', '.join(choices)}"
        problems.add(path + where, detail)
        return None
    return converted


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [f'"{choice}"' for choice in get_args(kind)]
    return [choice for inner in get_args(kind) if inner is not kind for choice in _choices(inner)]


def _struct_of_array(kind: Any) -> type[Struct] | None:
    args = get_args(kind)
    if get_origin(kind) is tuple and args and isinstance(args[0], type):
        return args[0] if issubclass(args[0], Struct) else None
    return None


_MESSAGE = re.compile(r"(?P<detail>.*?)(?: - at (?P<key>`key` in )?`\$(?P<where>.*)`)?")
_WORDS = {
    "int": "an integer", "float": "a number", "str": "a string", "bool": "true or false",
    "array": "an array", "object": "a table", "null": "nothing",
}  # fmt: skip


def _translated(message: str) -> tuple[str, str]:
    """Turn a msgspec message into a path's tail and a sentence that speaks of TOML."""
    found = _MESSAGE.fullmatch(message)
    assert found is not None, "the pattern matches any line"
    detail = found["detail"]
    for word, plain in _WORDS.items():
        detail = detail.replace(f"`{word} | null`", plain).replace(f"`{word}`", plain)
    where = (found["where"] or "").replace("[...]", "")
    return where, ("as a key, " if found["key"] else "") + detail[:1].lower() + detail[1:]
