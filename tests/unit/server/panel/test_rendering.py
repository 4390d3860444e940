"""What templates say of values."""

from __future__ import annotations

import pytest

from agent.server.panel.rendering import age, details, milliseconds


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ({}, ""),
        ({"agent_id": "x", "peer": None}, ""),
        ({"plain_ssh": False, "ok": True}, "plain ssh: no; ok: yes"),
        (
            {"grace_period_s": 86400.0, "expires_at": 1798761600.0},
            "grace period: 86400 s; expires: 2027-01-01 00:00 UTC",
        ),
        ({"methods": ["GET", "HEAD"], "connections": "all"}, "methods: GET, HEAD; connections: all"),
        ({"expires_at": 1e30}, "expires: 1e+30"),
        ({"count": 3}, "count: 3"),
    ],
)
def test_details_of_an_audit_line_are_read_as_words(detail: dict[str, object], text: str) -> None:
    assert details(detail) == text


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
