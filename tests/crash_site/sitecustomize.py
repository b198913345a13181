"""Loaded by Python itself in every process whose PYTHONPATH names this folder: arms a crash point.

``SMSBRIDGE_TEST_CRASH=point:n:flag`` makes the first process of the gateway that reaches
``point`` for the ``n``-th time create the file ``flag`` and kill itself with SIGKILL there; once
``flag`` exists nobody does so again. Only tests set it: the gateway itself knows no such variable.
"""

import os
import signal


def arm(point: str, count: int, flag: str) -> None:
    from smsc import crashpoint

    reached = 0

    def hook(name: str) -> None:
        nonlocal reached
        if name != point:
            return
        reached += 1
        if reached < count:
            return
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    crashpoint.hook = hook


if "SMSBRIDGE_TEST_CRASH" in os.environ:
    where, times, path = os.environ["SMSBRIDGE_TEST_CRASH"].split(":", 2)
    arm(where, int(times), path)
