from smpplib import consts

from smsc.wire.statuses import STATUS_NAMES, STATUS_TEXT, Status, status_name

THEIRS = {
    name.removeprefix("SMPP_"): value
    for name, value in vars(consts).items()
    if name.startswith("SMPP_ESME_")
}


def test_statuses_agree_with_an_independent_table() -> None:
    ours = {status.name: int(status) for status in Status}

    assert ours == THEIRS


def test_every_status_is_explained() -> None:
    assert set(Status) == set(STATUS_TEXT)
    assert all(STATUS_TEXT.values())


def test_any_status_has_a_name() -> None:
    assert status_name(Status.ESME_RTHROTTLED) == "ESME_RTHROTTLED"
    assert status_name(0x42E) == "0x0000042e"
    assert len(STATUS_NAMES) == len(Status)
