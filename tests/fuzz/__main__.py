"""``python -m tests.fuzz TARGET [--seconds N] [--grow]``: look for octets that break a promise.

Coverage-guided, by atheris; needs the dependency group ``fuzz``. Begins from the saved corpus and
prints libFuzzer's own figures. What it finds wrong is written to ``crash-…`` and its exit status
is not 0. ``--grow`` adds inputs that reach new code to the corpus in the tree; without it they
stay in a temporary directory.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    with atheris.instrument_imports(include=["smsc"]):
        from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=30, help="how long to look (30)")
    parser.add_argument("--grow", action="store_true", help="keep what reaches new code")
    given = parser.parse_args()

    saved = CORPUS / given.target
    with tempfile.TemporaryDirectory(prefix="smsbridge-fuzz-") as scratch:
        where = [str(saved)] if given.grow else [scratch, str(saved)]
        atheris.Setup(
            [
                sys.argv[0],
                *where,
                f"-max_total_time={given.seconds}",
                "-max_len=1024",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
            ],
            TARGETS[given.target],
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
