"""URLs of webhooks and e-mail addresses: what is taken, what is shown, what no refusal repeats."""

from __future__ import annotations

import pytest

from agent.server.operations.failures import InvalidError
from agent.server.operations.notice_address import read_email, read_webhook_url


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Hooks.Example.com/services/T0/B0?x=%20", "https://hooks.example.com", "/services/T0/B0?x=%20"),
        ("  https://hooks.example.com:8443\n", "https://hooks.example.com:8443", "/"),
        ("https://hooks.example.com:443/a", "https://hooks.example.com", "/a"),
        ("https://[2001:DB8::1]:444?q", "https://[2001:db8::1]:444", "/?q"),
        ("https://192.0.2.7:/", "https://192.0.2.7", "/"),
    ],
)
def test_a_url_is_taken_apart(text: str, origin: str, target: str) -> None:
    url = read_webhook_url(text)
    assert (url.origin, url.target) == (origin, target)
    assert read_webhook_url(url.text) == url
    assert url.target == "/" or url.target not in repr(url)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("https://hooks.example.com/" + "CANARY" * 400, "longer"),
        ("https://hooks.example.com/CANARY x", "blanks"),
        ("https://hooks.example.com/CANARY\r\nX: y", "blanks"),
        ("https://hooks.example.com/CANARYé", "ASCII"),
        ("http://hooks.example.com/CANARY", "https://"),
        ("ftp://hooks.example.com/CANARY", "https://"),
        ("hooks.example.com/CANARY", "https://"),
        ("https://user:CANARY@hooks.example.com/", "user name"),
        ("https://hooks.example.com/#CANARY", "behind"),
        ("https:///CANARY", "host"),
        ("https://2130706433/CANARY", "host"),
        ("https://[::1%25eth0]/CANARY", "host"),
        ("https://[::1/CANARY", "read"),
        ("https://hooks.example.com:99999/CANARY", "read"),
        ("https://hooks.example.com:0/CANARY", "port 0"),
    ],
)
def test_what_is_no_https_url_is_refused_and_not_repeated(text: str, word: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_webhook_url(text)
    assert word in str(refused.value)
    assert "CANARY" not in str(refused.value)
    assert refused.value.field == "address"


def test_an_email_address_is_taken() -> None:
    assert read_email(" Ops+shop@Example.COM ") == "Ops+shop@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "ops@",
        "@example.com",
        "a b@example.com",
        "ops@exa mple.com",
        "Ops <ops@example.com>",
        "ops@example.com\r\nBcc: x@example.com",
        "ops@example.com,b@example.com",
        "a..b@example.com",
        f"{'a' * 65}@example.com",
        f"ops@{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.example",
    ],
)
def test_what_is_no_email_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="e-mail address"):
        read_email(text)
