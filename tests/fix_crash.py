"""Crash points: where a test may have a process of the gateway kill itself.

Production code calls :func:`smsc.crashpoint.reached` at these places, which does nothing. A test
starts the gateway with :func:`armed`'s environment: Python then loads ``crash_site`` in each of
its processes, and the one that gets there ends by SIGKILL.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

POINTS = {
    # after arriving, between the steps of being read and answered
    "carrier.decoded": 8,
    "carrier.interpreted": 8,
    "carrier.verdict": 5,
    "carrier.answered": 5,
    # between arrival and commit, and around the second transaction of a set
    "intake.taken": 8,
    "store.before_commit": 5,
    "store.after_commit": 5,
    "intake.recorded": 5,
    "intake.complete.before": 2,
    "intake.complete.after": 2,
    # between what is due and what is settled
    "delivery.read": 3,
    "delivery.signed": 8,
    "delivery.sent": 8,
    "delivery.settle.before": 3,
    "delivery.settle.after": 3,
}
"""Crash point → how often it is reached before the process dies there: in the midst of the load,
whether the point is passed once a message or once a batch."""


def armed(point: str, flag: Path) -> dict[str, str]:
    """The environment in which the gateway dies once at ``point``; ``flag`` then exists."""
    path = [str(ROOT / "tests" / "crash_site"), str(ROOT)]
    if already := os.environ.get("PYTHONPATH"):
        path.append(already)
    return {
        "SMSBRIDGE_TEST_CRASH": f"{point}:{POINTS[point]}:{flag}",
        "PYTHONPATH": os.pathsep.join(path),
    }
