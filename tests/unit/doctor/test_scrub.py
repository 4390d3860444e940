"""What must not leave the machine is taken out of any text, and nothing else is."""

from __future__ import annotations

import pytest

from agent.doctor.scrub import scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("token psa1_AAAA-bb_CC end", "token (redacted) end"),
        ("key ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 end", "key (redacted) end"),
        ("Authorization: Basic QUJDREVGRw==", "Authorization: Basic (redacted)"),
        ("authorization=Bearer abc.def-ghi x", "authorization=Bearer (redacted) x"),
        ('{"api_key": "short-secret", "n": 1}', '{"api_key": "(redacted)", "n": 1}'),
        ("password=hunter22&x=1", "password=(redacted)&x=1"),
        ("http://me:pass@proxy.example.com:3128/", "http://proxy.example.com:3128/"),
        ("socks5h://me@proxy:1080", "socks5h://proxy:1080"),
        ("GET https://shop.example.com/api/x?filter[email]=a@b.c done", "GET https://shop.example.com/api/x?... done"),
        ('"url": "https://a/?x=1", "next": 2', '"url": "https://a/?...", "next": 2'),
        ("SHA256:7jXZ+UA+u7A8mpbxt4LxKhPmXOg9gFKtUDeQ+BOyyNo", "SHA256:7jXZ+UA+u7A8mpbxt4LxKhPmXOg9gFKtUDeQ+BOyyNo"),
        ("3940d8cc-bfea-4e0f-9046-490fffe9261b", "3940d8cc-bfea-4e0f-9046-490fffe9261b"),
        ('"token_file": "/etc/prestashop-agent/token"', '"token_file": "/etc/prestashop-agent/token"'),
        ("exchange.ended status=200 elapsed_ms=12.5", "exchange.ended status=200 elapsed_ms=12.5"),
    ],
)
def test_what_looks_like_a_secret(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize("form", ["pa ss/w+rd", "pa%20ss%2Fw%2Brd", "cGEgc3MvdytyZA"])
def test_a_known_secret_in_each_of_its_forms(form: str) -> None:
    assert form not in scrub(f"x {form} y", ["pa ss/w+rd"])


def test_a_short_word_is_not_looked_for() -> None:
    assert scrub("a test is a test", ["test"]) == "a test is a test"
