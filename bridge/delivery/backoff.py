"""How long to wait for a store that is away. Pure."""

SHORTEST = 0.1
LONGEST = 5.0


class Backoff:
    """Pauses that double from 0.1 to 5 seconds until something works again."""

    def __init__(self) -> None:
        self._next = SHORTEST

    def pause(self) -> float:
        """Return how long to wait after one more failure, in seconds."""
        pause, self._next = self._next, min(2 * self._next, LONGEST)
        return pause

    def reset(self) -> None:
        """Begin again: it worked."""
        self._next = SHORTEST
