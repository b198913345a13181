"""Endpoint URLs, taken apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.exchange import Request, Target, aim


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example", Target(True, "a.example", 443, "/", "a.example")),
        ("https://A.Example:443/x?y=1", Target(True, "a.example", 443, "/x?y=1", "a.example")),
        ("https://a.example:8443/", Target(True, "a.example", 8443, "/", "a.example:8443")),
        ("http://127.0.0.1:8080/h", Target(False, "127.0.0.1", 8080, "/h", "127.0.0.1:8080")),
        ("https://[2001:DB8::1]/h", Target(True, "2001:db8::1", 443, "/h", "[2001:db8::1]")),
        ("http://[::1]:80/", Target(False, "::1", 80, "/", "[::1]")),
        (
            "https://bücher.example/grüße",
            Target(True, "xn--bcher-kva.example", 443, "/gr%C3%BC%C3%9Fe", "xn--bcher-kva.example"),
        ),
        ("https://a.example?q=%20a", Target(True, "a.example", 443, "/?q=%20a", "a.example")),
    ],
)
def test_urls_are_taken_apart(url: str, target: Target) -> None:
    assert aim(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "ftp://a.example/", "https://", "https:///x", "https://user@a.example/",
        "https://user:t0ken@a.example/", "https://a.example/#t0ken", "https://a.example:0/",
        "https://a.example:70000/", "https://a.example:x/", "https://a b.example/",
        "https://a.example/\r\nx: y", "https://[fe80::1%25eth0]/", "https://[::1/", "file:///etc",
        "https://a..example/", f"https://{'a' * 64}.example/", "https://a\\b.example/",
        f"https://{'.'.join(['a' * 50] * 6)}/",
    ],
)  # fmt: skip
def test_what_cannot_be_sent_to_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        aim(url)
    assert "t0ken" not in str(caught.value)


@settings(deadline=None)  # a busy machine is not a bug
@given(st.text(), st.text())
def test_no_url_puts_a_line_end_or_blank_into_the_request(host: str, path: str) -> None:
    try:
        target = aim(f"https://{host}.example/{path}")
    except ValueError:
        return
    for part in (target.host, target.path, target.authority):
        assert part.isascii()
        assert not any(ord(char) <= 32 or ord(char) == 127 for char in part)


def test_a_request_shows_neither_headers_nor_body() -> None:
    request = Request("crm", aim("https://a.example/"), b"x-key: s3cret\r\n", b"s3cret text")

    assert "s3cret" not in repr(request)
