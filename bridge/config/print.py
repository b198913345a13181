"""``conf/full.toml``: every option with its documentation and default, made from the structs.

The documentation is the docstring under each option, read from the sources, so that the file
can't say anything the program doesn't.
"""

import ast
import inspect
import re
import textwrap
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from bridge.config import Config
from bridge.model import Endpoint, Number, Route, Tenant
from smsc.config import Account, Listener, Timers

_HEAD = """\
# Every option of smsbridge with its meaning and default; made by the program itself.
# A real file needs only what differs: see quickstart.toml.
#
# Secrets are "…", { env = "NAME" } or { file = "PATH" }. Durations are seconds.
"""

_HOW_TO_BIND = """\
# The bind password: "…", { env = "NAME" } or { file = "PATH" }. Or give password_hash, an
# Argon2id hash made by `smsbridge keys hash-password`."""

_SAMPLES: dict[str, dict[str, str]] = {
    "accounts": {
        "name": '"acme"',
        "system_id": '"acme"',
        "carrier": '"acme"',
        "password_hash": '{ env = "ACME_PASSWORD" }',
    },
    "accounts.dial": {
        "hosts": '["smpp.example.com:2775"]',
        "password": '{ env = "ACME_DIAL_PASSWORD" }',
    },
    "listeners.tls": {"certificate": '"/etc/smsbridge/tls.pem"'},
    "tenants": {"name": '"retail"'},
    "numbers": {"number": '"+447700900999"', "routes": '["support"]'},
    "routes": {"name": '"support"', "endpoints": '["helpdesk"]', "routing_tag": '"support"'},
    "endpoints": {
        "name": '"helpdesk"',
        "url": '"https://example.com/sms"',
        "secrets": '[{ env = "HELPDESK_SECRET" }]',
    },
}
"""Values for options that have no default, or whose default shows nothing."""

_SECTIONS: tuple[tuple[str, type[Struct]], ...] = (
    ("accounts", Account), ("tenants", Tenant), ("numbers", Number), ("routes", Route),
    ("endpoints", Endpoint),
)  # fmt: skip


def full_toml() -> str:
    """Return the text of ``conf/full.toml``."""
    defaults = Config()
    sections: list[str] = [_HEAD]
    scalars: list[str] = []
    for field in msgspec.structs.fields(Config):
        value = getattr(defaults, field.name)
        if isinstance(value, Struct):
            kind = type(value)
            sections.append(_section(f"[{field.name}]", kind, _options(kind, {})))
        elif _array_of_structs(field.type) is None:
            scalars.extend(_option(Config, field, {}))
    sections.insert(1, "\n".join(scalars).lstrip() + "\n")
    sections.append(_section("[[listeners]]", Listener, _options(Listener, {})))
    sections.append(_section("[listeners.timers]", Timers, _options(Timers, {})))
    sections.extend(_optional_sections("listeners", Listener))
    for name, kind in _SECTIONS:
        sections.append(_section(f"[[{name}]]", kind, _options(kind, _SAMPLES[name])))
        sections.extend(_optional_sections(name, kind))
    return "\n".join(sections)


def _optional_sections(name: str, kind: type[Struct]) -> list[str]:
    """Return the tables that may be left out, commented out as a whole."""
    sections = []
    for field in msgspec.structs.fields(kind):
        if (inner := _optional_struct(field.type)) is not None:
            about = _comment(_docstrings(kind).get(field.name, ""))
            samples = _SAMPLES.get(f"{name}.{field.name}", {})
            text = _section(f"[{name}.{field.name}]", inner, _options(inner, samples))
            lines = (line if line.startswith("#") else f"# {line}".rstrip()
                     for line in text.splitlines())  # fmt: skip
            sections.append("\n".join([about, *lines]) + "\n")
    return sections


def _section(header: str, kind: type[Struct], options: list[str]) -> str:
    about = inspect.cleandoc(kind.__doc__ or "").partition(" ``repr``")[0]
    return "\n".join([_comment(about), header, *options]) + "\n"


def _options(kind: type[Struct], samples: dict[str, str]) -> list[str]:
    lines: list[str] = []
    for field in msgspec.structs.fields(kind):
        a_table = isinstance(field.type, type) and issubclass(field.type, Struct)
        if not (a_table or _optional_struct(field.type)):
            lines.extend(_option(kind, field, samples))
    return lines


def _option(kind: type[Struct], field: Any, samples: dict[str, str]) -> list[str]:
    about = _docstrings(kind).get(field.name, "")
    lines = [_comment(about)] if about else []
    if field.name == "password_hash":
        return ["", _HOW_TO_BIND, f"password = {samples['password_hash']}"]
    if field.name in samples:
        lines.append(f"{field.name} = {samples[field.name]}")
    else:
        default = field.default
        if default is msgspec.NODEFAULT:
            default = field.default_factory()
        lines.append(f"{field.name} = {_toml(default)}")
    return ["", *lines]


def _optional_struct(kind: Any) -> type[Struct] | None:
    """Return what a ``Struct | None`` may be."""
    args = get_args(kind)
    if type(None) not in args:
        return None
    return next((a for a in args if isinstance(a, type) and issubclass(a, Struct)), None)


def _array_of_structs(kind: Any) -> type[Struct] | None:
    args = get_args(kind)
    found = args and isinstance(args[0], type) and issubclass(args[0], Struct)
    return args[0] if found else None


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:_}" if value >= 10_000 else f"{value}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    raise TypeError(f"no TOML for {value!r}")


def _comment(text: str) -> str:
    # Cross references and literals are for readers of the sources.
    plain = re.sub(r":[a-z]+:`~?([^`]*)`", r"\1", text).replace("``", "`")
    return textwrap.indent(plain, "# ", lambda _: True)


@cache
def _docstrings(kind: type[Struct]) -> dict[str, str]:
    """Return the docstring under each option of a struct."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    option = ""
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            option = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and option:
            found[option] = inspect.cleandoc(str(node.value.value))
            option = ""
    return found
