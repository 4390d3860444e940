"""What a test of a connection is worth telling: it broke, it works again, a certificate nears its end.

The newest notice of a connection is its state, so that nothing is told twice, not even after a restart.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from agent.server.operations.checks import ConnectionTest
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.notices import Notice, NoticeEvent, give_notice, newest_notice
from agent.server.operations.paging import Paging
from agent.server.operations.test_history import Cause, TestRecord, list_tests, record_test

STATES: Final[tuple[NoticeEvent, ...]] = ("connection.key_failed", "connection.failed", "connection.recovered")
_CERTIFICATE: Final[tuple[NoticeEvent, ...]] = ("connection.certificate_ends",)
FAIL_AGAIN_AFTER_S: Final = 3600.0
"""A connection that comes and goes is told of as failing once in so long."""

_LAST_DAYS: Final = (7, 3, 1)
_DAY_S: Final = 86_400.0
_LOOKED_AT: Final = 20


async def keep_test(plane: ControlPlane, test: ConnectionTest, cause: Cause) -> None:
    """Record a test of a saved connection, and give the notices that it calls for."""
    await record_test(plane, test, cause)
    subject = f"connection/{test.connection_id}"
    tests = (await list_tests(plane, test.connection_id, Paging(_LOOKED_AT))).items
    state = await newest_notice(plane, subject, STATES)
    event = event_of(tests, state, plane.clock())
    report = test.report
    if event == "connection.recovered":
        sentence = f"The connection {test.slug} works again: its test is good. Nothing needs to be done."
        await give_notice(plane, event, subject, sentence, slug=test.slug, verdict=report.verdict)
    elif event is not None:
        sentence = f"The connection {test.slug} failed its test: {report.finding} {report.remedy}".strip()
        await give_notice(plane, event, subject, sentence, slug=test.slug, verdict=report.verdict)
    await _certificate(plane, test, subject)


def event_of(tests: tuple[TestRecord, ...], state: Notice | None, now: float) -> NoticeEvent | None:
    """What the newest of ``tests`` (newest first) changes; None when it is nothing new.

    A key is told of at once, when the connection has worked before; anything else after two failures in a row. That an
    agent is away is not the connection's failure: the agent is told of.
    """
    told = [test for test in tests if not test.report.verdict.startswith("agent_")]
    if not told or told[0] is not tests[0]:
        return None
    verdict = told[0].report.verdict
    fails = state is not None and state.event != "connection.recovered"
    if told[0].report.ok:
        return "connection.recovered" if fails else None
    if state is not None and not fails and now - state.at < FAIL_AGAIN_AFTER_S:
        return None
    if verdict.startswith("key_"):
        worked = state is not None or any(test.report.ok for test in told)
        return "connection.key_failed" if worked and (state is None or state.event != "connection.key_failed") else None
    return "connection.failed" if not fails and len(told) > 1 and not told[1].report.ok else None


def threshold_of(days: float, warning_days: int) -> int | None:
    """The smallest of ``warning_days``, 7, 3 and 1 that ``days`` has come below; None while it is far off."""
    steps = [step for step in (warning_days, *_LAST_DAYS) if step <= warning_days and days <= step]
    return min(steps, default=None)


async def _certificate(plane: ControlPlane, test: ConnectionTest, subject: str) -> None:
    ends_at = test.report.certificate_ends_at
    if ends_at is None:
        return
    days = (ends_at - plane.clock()) / _DAY_S
    threshold = threshold_of(days, plane.facts.certificate_warning_days)
    if threshold is None:
        return
    told = await newest_notice(plane, subject, _CERTIFICATE)
    if told is not None and told.detail.get("ends_at") == ends_at and told.detail.get("days", 0) <= threshold:
        return
    when = datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    verb = "ended" if days <= 0 else "ends"
    sentence = (
        f"The certificate of the store of connection {test.slug} {verb} at {when}: renew it on the store's web server; "
        "without a valid one no request gets through."
    )
    await give_notice(
        plane, "connection.certificate_ends", subject, sentence, slug=test.slug, ends_at=ends_at, days=threshold
    )
