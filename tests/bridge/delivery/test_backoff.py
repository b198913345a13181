"""Pauses while the store is away."""

from bridge.delivery.backoff import Backoff


def test_pauses_double_up_to_a_bound_and_begin_again() -> None:
    backoff = Backoff()

    assert [backoff.pause() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    assert backoff.pause() == 0.1
