import pytest

from smsc import crashpoint


def test_reaching_a_point_does_nothing_unless_a_hook_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crashpoint.reached("carrier.decoded")

    passed: list[str] = []
    monkeypatch.setattr(crashpoint, "hook", passed.append)
    crashpoint.reached("carrier.answered")
    assert passed == ["carrier.answered"]
