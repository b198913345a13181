"""The file with every option is made from the program, and never falls behind it."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from bridge.config import Config, load
from bridge.config.print import _docstrings, full_toml
from smsc.config import Account, Dial, Listener, ListenerTls, Timers

FULL = Path(__file__).parents[3] / "conf" / "full.toml"


def test_the_file_we_ship_is_the_one_we_print() -> None:
    assert FULL.read_text(encoding="utf-8") == full_toml(), (
        "after changing an option: python -c 'from bridge.config.print import full_toml;"
        ' print(full_toml(), end="")\' > conf/full.toml'
    )


def test_what_it_says_are_the_defaults() -> None:
    env = {"ACME_PASSWORD": "secret08", "HELPDESK_SECRET": "whsec_" + "QUJD" * 8}

    config, live = load(full_toml(), "full.toml", env, str)

    assert config == Config()
    assert live.accounts[0].max_links == 8
    assert live.endpoints[0].retry_schedule[:3] == (0, 5, 30)


@pytest.mark.parametrize("kind", [Account, Dial, Listener, ListenerTls, Timers])
def test_every_option_of_the_carrier_side_is_documented_where_it_is_defined(
    kind: type[Struct],
) -> None:
    documented = set(_docstrings(kind))

    assert {field.name for field in msgspec.structs.fields(kind)} - documented == set()


def test_every_option_has_its_documentation() -> None:
    text = full_toml()

    assert "# Seconds from SIGTERM to the end: what is in flight is answered first.\n" in text
    assert "``" not in text
    assert ":class:" not in text
    assert "repr" not in text
