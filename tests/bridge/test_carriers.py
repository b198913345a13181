"""What carriers' parts need of the machine. That they work together is told by the stories."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bridge import carriers
from bridge.carriers import check_files
from bridge.config import Config
from bridge.errors import ConfigError
from smsc.config import Listener, ListenerTls


def test_all_files_of_listeners_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    missing = ListenerTls(certificate=str(tmp_path / "none.pem"))
    config = Config(listeners=(Listener(), Listener(tls=missing), Listener(tls=missing)))

    with pytest.raises(ConfigError) as caught:
        check_files(config, "here.toml")

    assert caught.value.source == "here.toml"
    assert [problem.path for problem in caught.value.problems] == [
        "listeners[1].tls.certificate", "listeners[2].tls.certificate",
    ]  # fmt: skip
    check_files(replace(config, listeners=(Listener(),)))


def test_room_is_looked_for_where_a_directory_is_to_be_made(tmp_path: Path) -> None:
    to_come = tmp_path / "not" / "yet"

    assert carriers._has_room(to_come, 1.01)
    assert not carriers._has_room(to_come, 0)
    assert not to_come.exists()
