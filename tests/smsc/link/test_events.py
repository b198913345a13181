from smsc.link.events import BindAsked, OutbindAsked


def test_passwords_show_in_no_repr() -> None:
    events = [BindAsked("receiver", "acme", "hunter2", "", 0x34), OutbindAsked("acme", "hunter2")]

    assert "acme" in repr(events)
    assert "hunter2" not in repr(events)
