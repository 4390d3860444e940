"""What docs/notices.md says a receiver should do, done with what is really sent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.server.notice_delivery import GIVEN_UP_AFTER_S, WAITS_S
from agent.server.operations.notice_address import read_webhook_url
from agent.server.operations.notice_message import NoticeMessage
from agent.server.operations.notice_vault import new_secret
from agent.server.operations.notices import EVENTS
from agent.server.webhook import request_of

PAGE = (Path(__file__).parents[3] / "docs" / "notices.md").read_text()
SECRET = new_secret()
Genuine = Callable[[str, Mapping[str, str], bytes], bool]


@pytest.fixture
def is_genuine() -> Genuine:
    """The function of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Genuine = names["is_genuine"]
    return found


def sent(sentence: str = 'L\'agent "lyon" est d\u00e9connect\u00e9', ago_s: float = 0) -> tuple[dict[str, str], bytes]:
    """Header fields and body of a notice."""
    message = NoticeMessage("n_1", 17, "agent.offline", 1.7e9, "agent/1", sentence, {"name": "lyon"})
    request = request_of(read_webhook_url("https://a.example/x?t=1"), SECRET, message, int(time.time() - ago_s))
    head, _, body = request.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


def test_the_receiver_of_the_page_takes_what_is_sent_and_nothing_else(is_genuine: Genuine) -> None:
    headers, body = sent()
    assert is_genuine(SECRET, headers, body)
    assert not is_genuine(new_secret(), headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    assert not is_genuine(SECRET, headers | {"webhook-id": "n_2"}, body)
    assert not is_genuine(SECRET, *sent(ago_s=400))
    for name in headers:
        if name.startswith("webhook-"):
            assert not is_genuine(SECRET, {**headers, name: "soon"}, body)
            assert not is_genuine(SECRET, {key: value for key, value in headers.items() if key != name}, body)
    two = headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
    assert is_genuine(SECRET, two, body)


def test_the_page_names_every_event_and_the_waits() -> None:
    assert [event for event in EVENTS if f"| `{event}` |" not in PAGE] == []
    assert list(WAITS_S) == [30, 120, 600, 1800, 3600]
    assert "again after 30 s, 2 min, 10 min, 30 min, then every hour" in PAGE
    assert GIVEN_UP_AFTER_S == 24 * 3600
