"""Testing a connection from its page or from its form, with each layer shown as it is done."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.policy import METHODS
from agent.server.operations.checks import ConnectionTest, OnStep
from agent.server.operations.connections import get_connection
from agent.server.operations.failures import InvalidError, OperationError
from agent.server.operations.principal import Permission
from agent.server.operations.testing import check_by_person, check_unsaved
from agent.server.panel.connection_form import values_sent, wish_of
from agent.server.panel.test_runs import TestRun, TestRuns
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor

router = APIRouter()

_TESTS = Depends(Sees(Permission.CONNECTIONS_TEST))
_TEST = Depends(Changes(Permission.CONNECTIONS_TEST))
_TRY = Depends(Changes(Permission.CONNECTIONS_WRITE))


@router.post("/connections/try")
async def try_connection(submitted: Submitted = _TRY) -> Response:
    """Test what is typed in the form, before it is saved; nothing of it is kept."""
    visitor = submitted.visitor
    key = submitted.text("api_key")
    try:
        if not key:
            raise InvalidError("Enter the API key: the test needs it. It is not kept.", field="api_key")
        wish = wish_of(values_sent(submitted))
    except OperationError as error:
        return visitor.page("connections/run.html", run=TestRun(refusal=str(error)), methods=METHODS)

    async def check(on_step: OnStep) -> ConnectionTest:
        return await check_unsaved(visitor.plane, visitor.principal, wish, key, on_step=on_step)

    return await _started(visitor, await _runs(visitor).start(visitor.session.person_id, check))


@router.post("/connections/{slug}/test")
async def test_connection(slug: str, submitted: Submitted = _TEST) -> Response:
    """Test a saved connection with its stored key."""
    visitor = submitted.visitor
    connection = await get_connection(visitor.plane, slug)

    async def check(on_step: OnStep) -> ConnectionTest:
        return await check_by_person(visitor.plane, connection.id, on_step=on_step)

    run = await _runs(visitor).start(visitor.session.person_id, check)
    if visitor.is_htmx:
        return await _started(visitor, run)
    await run.wait()  # without JavaScript the answer comes when the test is over
    return visitor.go(f"/connections/{slug}")


@router.get("/test-runs/{run_id}")
async def test_run(run_id: str, visitor: Visitor = _TESTS) -> Response:
    """How far a test is."""
    run = _runs(visitor).find(run_id, visitor.session.person_id)
    if run is None:
        run = TestRun(refusal="This test is not known any more: start it again.")
    return visitor.page("connections/run.html", run=run, methods=METHODS)


def _runs(visitor: Visitor) -> TestRuns:
    runs: TestRuns = visitor.request.app.state.test_runs
    return runs


async def _started(visitor: Visitor, run: TestRun) -> Response:
    if not visitor.is_htmx:
        await run.wait()
    return visitor.page("connections/run.html", run=run, methods=METHODS)
