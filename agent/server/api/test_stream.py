"""A connection test as server-sent events: each step as it is done, and the whole report at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent.server.api.models.tests import ConnectionTested, StepShown
from agent.server.api.problems import Problem, problem_of
from agent.server.operations.test_progress import Check, TestProgress
from agent.server.server_sent_events import KEEP_ALIVE, MEDIA_TYPE, event_text

FIRST_PATIENCE_S: Final = 1.0
"""So long the status waits for the first step: what cannot be tested at all is a problem, as without a stream."""

KEEP_ALIVE_S: Final = 5.0

Stream = Annotated[
    bool,
    Query(
        description="true: the answer is a stream of server-sent events. `step` holds one layer (StepShown) as it is "
        "done; the last event is `report` (ConnectionTested), or `problem` (ProblemShown) when there will be none. "
        "The test is broken off when the one who asks leaves."
    ),
]
STREAMED: Final[dict[str, Any]] = {
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "string"},
            "example": 'event: step\ndata: {"layer": "dns", ...}\n\nevent: report\ndata: {"ok": true, ...}\n\n',
        }
    }
}
"""What the document says of an answer with ``stream=true``."""


async def stream_test(check: Check) -> StreamingResponse:
    """The stream of ``check``. Raises what it raises before its first step, in the first second."""
    progress = TestProgress(check)
    await progress.news(FIRST_PATIENCE_S)
    if progress.refusal is not None and not progress.steps:
        raise progress.refusal
    return _TestStream(progress)


class _TestStream(StreamingResponse):
    """Breaks the test off when nobody reads any more, also when the stream has not begun."""

    def __init__(self, progress: TestProgress) -> None:
        super().__init__(_events(progress), media_type=MEDIA_TYPE)
        self.headers["X-Accel-Buffering"] = "no"  # nginx would keep the steps until the end
        self._progress = progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._progress.cancel()


async def _events(progress: TestProgress) -> AsyncIterator[str]:
    told = 0
    while True:
        is_over = progress.is_over  # asked first: the last steps come before the end
        for step in progress.steps[told:]:
            told += 1
            yield event_text("step", StepShown.of(step).model_dump_json())
        if is_over:
            break
        if not await progress.news(KEEP_ALIVE_S):
            yield KEEP_ALIVE
    if progress.test is not None:
        yield event_text("report", ConnectionTested.of(progress.test).model_dump_json())
        return
    refusal = progress.refusal
    problem = problem_of(refusal) if refusal is not None else Problem(500, "failed", progress.failure)
    yield event_text("problem", bytes(problem.body).decode())
