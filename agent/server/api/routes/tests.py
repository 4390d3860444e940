"""Connection tests: ``/v1/connections/.../test`` and their history. To be included before the greedy paths."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from agent.server.api.gate import Needs, Plane
from agent.server.api.leaving import unless_gone
from agent.server.api.models.connections import ConnectionAsked
from agent.server.api.models.page import Limit, Offset, Page
from agent.server.api.models.tests import ConnectionTested, TestShown
from agent.server.api.problems import problems
from agent.server.api.test_stream import STREAMED, Stream, stream_test
from agent.server.operations.connections import get_connection
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.test_history import list_tests
from agent.server.operations.testing import check_by_person, check_unsaved

router = APIRouter(prefix="/v1", tags=["connections"])

Reader = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_READ))]
Tester = Annotated[Principal, Depends(Needs(Permission.CONNECTIONS_TEST))]


@router.post("/connections/test", response_model=ConnectionTested, responses={200: STREAMED, **problems(404, 409, 422)})
async def try_connection(
    request: Request, plane: Plane, asker: Tester, asked: ConnectionAsked, stream: Stream = False
) -> ConnectionTested | StreamingResponse:
    """Test a connection that is not saved, with the key that is given; nothing of it is kept.

    The test is broken off when the caller hangs up.
    """
    wish, key = asked.wish(), asked.api_key.get_secret_value()
    if stream:
        return await stream_test(lambda on_step: check_unsaved(plane, asker, wish, key, on_step=on_step))
    return ConnectionTested.of(await unless_gone(request, check_unsaved(plane, asker, wish, key)))


@router.post(
    "/connections/{reference:path}/test",
    response_model=ConnectionTested,
    responses={200: STREAMED, **problems(404, 409)},
)
async def test_connection(
    request: Request, plane: Plane, _asker: Tester, reference: str, stream: Stream = False
) -> ConnectionTested | StreamingResponse:
    """Test a connection layer by layer, with its stored key, along the real way.

    The test is broken off when the caller hangs up.
    """
    found = await get_connection(plane, reference)
    if stream:
        return await stream_test(lambda on_step: check_by_person(plane, found.id, on_step=on_step))
    return ConnectionTested.of(await unless_gone(request, check_by_person(plane, found.id)))


@router.get("/connections/{reference:path}/tests", responses=problems(404, 422))
async def list_connection_tests(
    plane: Plane, _asker: Reader, reference: str, limit: Limit = 100, offset: Offset = 0
) -> Page[TestShown]:
    """The tests that were made of a connection, by whomever, newest first."""
    connection = await get_connection(plane, reference)
    found = await list_tests(plane, connection.id, Paging(limit, offset))
    return Page(items=[TestShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)
