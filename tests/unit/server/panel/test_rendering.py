"""What pages say of times, numbers and audit entries."""

from __future__ import annotations

import pytest

from agent.server.panel.rendering import age, details, milliseconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "\u2013"), (0.0, "< 0.1 ms"), (0.1, "0.1 ms"), (9.94, "9.9 ms"), (15.4, "15 ms"), (1400, "1.4 s")],
)
def test_milliseconds(value: float | None, shown: str) -> None:
    assert milliseconds(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1, "just now"), (12, "12 s ago"), (200, "3 min ago"), (-172_800, "in 2 days")]
)
def test_age(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


def test_an_audit_entry_is_told_in_words() -> None:
    told = details(
        {
            "methods": ["GET", "HEAD", "POST"],
            "resources": [],
            "plain_ssh": False,
            "expires_at": 1795733752.248586,
            "ends_at": 1e30,
            "store_url": None,
            "target_id": "8f2c",
        }
    )
    assert told == (
        "methods: GET, HEAD and POST, resources: none, plain ssh: no, expires at: 2026-11-26 22:55 UTC, ends at: 1e+30"
    )
