"""What every test shares: the fixture modules, the options, and a header that explains a log."""

import platform
import random
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytest_plugins = [f"tests.{path.stem}" for path in sorted(Path(__file__).parent.glob("fix_*.py"))]
pytest.register_assert_rewrite(*pytest_plugins)  # all first: some import others

SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smsbridge")
    group.addoption(
        "--all-crash-points",
        action="store_true",
        help="kill processes at every crash point, not only at those the seed picks",
    )
    group.addoption(
        "--crash-seed",
        type=int,
        default=None,
        help="picks the crash points (default: by chance; the header shows it)",
    )


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--crash-seed")
    config.stash[SEED] = random.SystemRandom().randrange(1_000_000) if seed is None else seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    import apsw

    shown = ("trio", "msgspec", "apsw", "httptools", "smpplib", "standardwebhooks", "hypothesis")
    versions = ", ".join(f"{name} {version(name)}" for name in shown)
    system = f"SQLite {apsw.sqlite_lib_version()}, {platform.system()} {platform.release()}"
    return [
        f"smsbridge: {versions}, {system}",
        f"smsbridge: --crash-seed={config.stash[SEED]}",
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``crash_point`` its values: all of them, or three by the seed."""
    if "crash_point" not in metafunc.fixturenames:
        return
    from tests.fix_crash import POINTS

    points = sorted(POINTS)
    if not metafunc.config.getoption("--all-crash-points"):
        points = sorted(random.Random(metafunc.config.stash[SEED]).sample(points, 3))
    metafunc.parametrize("crash_point", points)


@pytest.fixture
def crash_random(request: pytest.FixtureRequest) -> random.Random:
    """Chance for tests that kill at random, repeatable with ``--crash-seed``."""
    return random.Random(f"{request.config.stash[SEED]} {request.node.name}")


if sys.platform == "win32":
    raise pytest.UsageError("smsbridge runs on POSIX systems")
