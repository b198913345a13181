"""Everything carriers are known to do has a test that names it, and a row in the README."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = range(1, 26)


@pytest.fixture(scope="module")
def tests_by_requirement() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {number: [] for number in REQUIREMENTS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"def (test_r\d\d_\w+)", path.read_text(encoding="utf-8")):
            found[int(name[6:8])].append(f"{path.relative_to(ROOT)}::{name}")
    return found


@pytest.mark.parametrize("number", REQUIREMENTS)
def test_it_is_tested(number: int, tests_by_requirement: dict[int, list[str]]) -> None:
    assert tests_by_requirement[number], f"no test is named test_r{number:02}_…"


@pytest.mark.parametrize("number", REQUIREMENTS)
def test_the_readme_says_what_happens(number: int) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert re.search(rf"^\| R{number} \|", readme, re.MULTILINE)
