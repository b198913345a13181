"""Named points at which a test may kill the process, to count what survives.

Production code calls :func:`reached` where losing the process would hurt most: before and after
each thing that others rely on. It does nothing. A test process sets :data:`hook` to a function
that sends itself SIGKILL at the point it was told, and somebody else then counts.

Points are ``part.what-has-just-happened``; on the carrier side, per chunk of a link's octets:

====================  ===========================================================
carrier.decoded       the chunk's PDUs are decoded
carrier.interpreted   its arrivals are about to be handed to the inbox
carrier.verdict       the inbox has decided; no answer is encoded yet
carrier.answered      answers were written to the socket
====================  ===========================================================
"""

from collections.abc import Callable


def _nothing(_name: str) -> None:
    """Do nothing: the hook of every process but a test's."""


hook: Callable[[str], None] = _nothing
"""Called with the name of each point reached."""


def reached(name: str) -> None:
    """Say that the process has come to a point. At most one call a batch, not one a message."""
    hook(name)
