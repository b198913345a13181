"""The shape of the tree: what stands at its top, who imports whom, what stays pure, how large.

The import graph is read from the sources with ``ast``: nothing is imported. Every rule is a row
of a table below; a module that no row names is an error, so that a new one is placed on purpose.
"""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TOP = {"pyproject.toml", "smsc", "bridge", "tests", "conf", "README.md", "LICENSE", "CHANGELOG.md"}

BANNED_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "misc"}

MOST_LINES = 600
DATA_TABLES: set[str] = {"smsc/text/national.py"}
"""Modules that are one table, and may be as long as it is."""

# Who may import whom: module or package → what it may import from this project, besides itself.
# The longest matching row counts.
BASE = ("smsc.message", "smsc.config", "smsc.status", "smsc.peer", "smsc.crashpoint")
CARRIER_VALUES = ("smsc.message", "smsc.status")
MODEL = ("bridge.model", "bridge.errors", *CARRIER_VALUES)
PURE = (
    "bridge.config",
    "bridge.ids",
    "bridge.intake.routing",
    "bridge.delivery.payload",
    "bridge.delivery.signing",
    "bridge.delivery.egress",
    "bridge.delivery.exchange",
    "bridge.delivery.classify",
    "bridge.delivery.retry",
    "bridge.delivery.breaker",
    "bridge.delivery.lanes",
)
STORE = (
    "bridge.store.contract", "bridge.store.listing", "bridge.store.records",
    "bridge.store.threaded",
)  # fmt: skip

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "smsc": (),
    "smsc.message": (),
    "smsc.config": (),
    "smsc.crashpoint": (),
    "smsc.status": ("smsc.message",),
    "smsc.peer": (),
    "smsc.wire": (),
    "smsc.text": ("smsc.wire", *BASE),
    "smsc.content": ("smsc.wire", "smsc.text", *BASE),
    "smsc.capture": ("smsc.wire",),
    "smsc.inspect": ("smsc.wire", "smsc.text", "smsc.content", "smsc.capture", *BASE),
    "smsc.inbox": BASE,
    "smsc.link": ("smsc.inbox", "smsc.content", "smsc.text", "smsc.wire", *BASE),
    "smsc.link.recording": (
        "smsc.link.tap", "smsc.inspect", "smsc.capture", "smsc.content", *BASE,
    ),
    "smsc.simulator": ("smsc.link", "smsc.content", "smsc.text", "smsc.wire", *BASE),
    # -- bridge ----------------------------------------------------------------------------
    "bridge": (),
    "bridge.errors": (),
    "bridge.model": (*CARRIER_VALUES, "smsc.config"),
    "bridge.config": (*MODEL, *PURE, "smsc.config"),
    "bridge.ids": MODEL,
    "bridge.store.contract": (*MODEL, "bridge.store.listing", "bridge.store.records"),
    "bridge.store.listing": (*MODEL, "bridge.store.records"),
    "bridge.store.records": MODEL,
    "bridge.store": (*MODEL, *STORE, "smsc.config", "smsc.crashpoint"),
    "bridge.passwords": MODEL,
    "bridge.live": (
        *MODEL, *PURE, *STORE, "bridge.doorbell", "bridge.passwords", "smsc.config",
    ),
    "bridge.intake": (
        *MODEL, *PURE, *STORE, "bridge.live", "bridge.passwords",
        "smsc.inbox", "smsc.content", "smsc.crashpoint", "smsc.config", "smsc.peer",
    ),
    "bridge.intake.recorder": (
        *MODEL, *STORE, "smsc.config", "smsc.link.recording", "smsc.link.tap",
    ),
    "bridge.delivery": (*MODEL, *PURE, *STORE, "bridge.live", "smsc.crashpoint", "smsc"),
    "bridge.janitor": (*MODEL, *PURE, *STORE, "bridge.live"),
    "bridge.api": (*MODEL, *PURE, *STORE, "bridge.live", "bridge.telemetry"),
    "bridge.telemetry": (*MODEL, "bridge.config", "smsc"),  # the version
    "bridge.doorbell": (),
    "bridge.process": (
        *MODEL, *PURE, *STORE, "bridge.api", "bridge.doorbell", "bridge.intake.vanished",
        "bridge.live", "bridge.telemetry",
    ),
    "bridge.carriers": (
        *MODEL, *PURE, "bridge.doorbell", "bridge.intake", "bridge.process", "smsc.config",
        "smsc.inbox",
        "smsc.link.connection", "smsc.link.dialer", "smsc.link.reaching", "smsc.link.server",
        "smsc.link.tls",
    ),
    "bridge.app": ("bridge", *CARRIER_VALUES),
    "bridge.supervise": ("bridge", *CARRIER_VALUES),
    "bridge.customer": (),
    "bridge.demo": ("bridge", "smsc.simulator", *CARRIER_VALUES),
    "bridge.cli": (
        "bridge", "smsc", "smsc.capture", "smsc.config", "smsc.content.masking", "smsc.inspect",
        "smsc.simulator", *CARRIER_VALUES,
    ),
}  # fmt: skip

PURE_MODULES = (
    "smsc.message", "smsc.config", "smsc.status", "smsc.wire", "smsc.text", "smsc.content",
    "smsc.capture", "smsc.inbox", "smsc.inspect", "smsc.link.session", "smsc.link.timers",
    "smsc.link.limits", "smsc.link.refusing",
    "smsc.link.phases", "smsc.link.events", "smsc.link.requests", "smsc.link.outgoing",
    "smsc.link.answers",
    "smsc.peer", "smsc.link.proxy", "smsc.link.door", "bridge.intake.delays",
    "smsc.simulator.segments", "bridge.model", "bridge.errors", "bridge.config", "bridge.ids",
    "bridge.intake.routing", "bridge.intake.records", "bridge.delivery.payload",
    "bridge.delivery.exchange", "bridge.delivery.signing", "bridge.delivery.classify",
    "bridge.delivery.retry", "bridge.delivery.breaker", "bridge.delivery.lanes",
    "bridge.store.contract", "bridge.store.listing", "bridge.store.records", "bridge.store.rows",
    "bridge.store.sets",
)  # fmt: skip
CONTRACTS = {"smsc.inbox", "bridge.store.contract", "bridge.delivery.exchange"}
"""Contracts declare ``async`` methods without having any of their own."""
IMPURE_IMPORTS = {
    "time", "random", "secrets", "os", "socket", "subprocess", "threading", "logging", "trio",
    "structlog", "sqlite3", "apsw", "httpx", "httptools", "pathlib", "tempfile", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"now", "utcnow", "today", "urandom"}

ONLY_IN = {
    "apsw": ("bridge.store.sqlite",),
    "psycopg": ("bridge.store.postgres",),
    "httpx": ("bridge.delivery.proxied", "bridge.delivery.oauth", "bridge.client", "bridge.demo"),
    "smpplib": (),
    "click": ("bridge.cli",),
    "rich": ("bridge.cli", "bridge.demo", "bridge.customer"),
    "argon2": ("bridge.passwords",),
}
"""Third-party packages and the only modules that may import them."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the two packages, by dotted name."""
    found = {}
    for package in ("smsc", "bridge"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def imports(name: str) -> Iterator[str]:
    """Yield every module that ``name`` imports, wherever in it, as precisely as can be told."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively, line {node.lineno}"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)


def within(name: str, package: str) -> bool:
    """Whether ``name`` is ``package`` or inside it."""
    return name == package or name.startswith(package + ".")


def row(name: str) -> str | None:
    """The row of MAY_IMPORT for a module."""
    named = [key for key in MAY_IMPORT if within(name, key) and key not in ("smsc", "bridge")]
    if name in ("smsc", "bridge"):
        return name
    return max(named, key=len, default=None)


def test_nothing_else_stands_at_the_top() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}

    assert {name for name in top if not name.startswith(".")} - TOP == set()


@pytest.mark.parametrize("name", modules())
def test_imports_follow_the_layers(name: str) -> None:
    own = row(name)
    assert own is not None, f"place {name} in MAY_IMPORT"
    allowed = MAY_IMPORT[own]

    wrong = [
        target
        for target in imports(name)
        if target.split(".")[0] in ("smsc", "bridge")
        and not within(target, own)
        and not any(
            target == permitted if permitted == "smsc" else within(target, permitted)
            for permitted in allowed
        )
    ]

    assert wrong == []


@pytest.mark.parametrize("name", modules())
def test_third_party_packages_stay_in_their_place(name: str) -> None:
    wrong = [
        target
        for target in imports(name)
        for package, places in ONLY_IN.items()
        if target.split(".")[0] == package and not any(within(name, place) for place in places)
    ]

    assert wrong == []


def pure(name: str) -> bool:
    """Whether a module is declared pure."""
    return any(within(name, package) for package in PURE_MODULES)


@pytest.mark.parametrize("name", [name for name in modules() if pure(name)])
def test_pure_modules_stay_pure(name: str) -> None:
    wrong = [
        f"imports {target}" for target in imports(name) if target.split(".")[0] in IMPURE_IMPORTS
    ]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.AsyncFunctionDef) and name not in CONTRACTS:
            wrong.append(f"async def {node.name}, line {node.lineno}")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in IMPURE_CALLS
            and not (node.args or node.keywords)
        ):
            wrong.append(f"{node.func.attr}(), line {node.lineno}")

    assert wrong == []


@pytest.mark.parametrize("name", modules())
def test_modules_are_of_a_size_to_read(name: str) -> None:
    path = modules()[name]
    lines = len(path.read_text(encoding="utf-8").splitlines())

    if str(path.relative_to(ROOT)) not in DATA_TABLES:
        assert lines <= MOST_LINES


@pytest.mark.parametrize("name", modules())
def test_names_say_what_is_inside(name: str) -> None:
    assert not set(name.split(".")) & BANNED_NAMES


def test_no_import_runs_in_a_circle() -> None:
    graph = {
        name: {
            target
            for target in imports(name)
            if target in modules() and target != name and not within(name, target)
        }
        for name in modules()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_every_module_has_a_test_module() -> None:
    tested = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    # They only declare; those who keep the promises are tested, the store's by tests/store_exam.
    exam = {
        "smsc.message",
        "smsc.status",
        "smsc.inbox",
        "bridge.store.contract",
        "bridge.store.listing",
        "bridge.store.records",
    }
    missing = [
        name
        for name, path in modules().items()
        if not path.name.startswith("__") and name not in exam and f"test_{path.stem}" not in tested
    ]

    assert missing == []
