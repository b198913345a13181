from typing import get_args

import msgspec
import pytest

from smsc.wire.errors import Consequence, WireError
from smsc.wire.spec import Status


def test_an_error_is_a_value() -> None:
    error = WireError("answer", Status.ESME_RINVMSGLEN, "sm_length", 53, "too long")

    assert error == WireError("answer", 1, "sm_length", 53, "too long")
    with pytest.raises(AttributeError):
        error.status = 0  # type: ignore[misc]  # that it is frozen is the point


def test_an_error_says_its_consequence_in_json() -> None:
    for consequence in get_args(Consequence):
        error = WireError(consequence, 1, "f", 0, "d")
        assert msgspec.json.decode(msgspec.json.encode(error), type=WireError) == error
