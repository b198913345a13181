"""What fuzzing found once is read on every run, with or without a fuzzer."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_saved_input_keeps_the_promises(target: str) -> None:
    saved = sorted((CORPUS / target).iterdir())
    assert saved, f"no corpus for {target}"

    for path in saved:
        try:
            TARGETS[target](path.read_bytes())
        except Exception as error:
            error.add_note(f"input: {path}")
            raise
