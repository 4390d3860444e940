"""No 5xx, no answer that the document does not tell of, at least one success of each operation; a viewer is refused.

More examples: API_FUZZ_EXAMPLES=200.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from agent.doctor.answer import ProbeAnswer
from agent.server.operations.api_tokens import create_api_token
from agent.server.operations.notice_message import Destination, NoticeMessage
from agent.server.operations.principal import Principal, Role
from agent.server.routes import Route
from agent.server.traffic import Traffic
from tests.api_fuzz.seeds import BODIES, LAST, REFERENCES, name_of, seed
from tests.kit.control_plane import control_api
from tests.kit.panel import panel_of
from tests.kit.postgres import new_database

EXAMPLES = int(os.environ.get("API_FUZZ_EXAMPLES", "8"))
LISTING = b'<prestashop><api><products get="true" head="true" post="false"/></api></prestashop>'
COMPARED = ("agents", "connections", "client-keys", "people", "notice-targets")
READS_OF_VIEWERS = {
    *("GET /v1/status", "GET /v1/agents", "GET /v1/agents/{reference}", "GET /v1/connections", "GET /v1/export"),
    *("GET /v1/connections/{reference}", "GET /v1/connections/{reference}/tests", "GET /v1/client-keys"),
    *("GET /v1/client-keys/{reference}", "GET /v1/exchanges", "GET /v1/traffic", "GET /v1/session"),
    *("GET /v1/notices", "GET /v1/notice-targets", "GET /v1/notice-targets/{reference}"),
    "POST /v1/connections/preview",
}


async def webservice(_route: Route, _rest: bytes) -> ProbeAnswer:
    """A store that is all right."""
    return ProbeAnswer(200, ((b"PSWS-Version", b"8.2.4"),), LISTING, elapsed_s=0.01)


async def taken(_destination: Destination, _message: NoticeMessage) -> None:
    """A receiver that takes every notice."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_whatever_is_asked_is_answered_as_documented(tmp_path: Path, kind: str) -> None:
    url = await new_database() if kind == "postgresql" else None
    async with control_api(tmp_path / "data", exchange=webservice, database_url=url) as api:
        api.plane.traffic = Traffic()
        api.plane.send_notice = taken
        await seed(api)
        admin = await create_api_token(api.plane, Principal("test", Role.ADMIN), name="fuzz", role=Role.ADMIN)
        viewer = await create_api_token(api.plane, Principal("test", Role.ADMIN), name="look", role=Role.VIEWER)
        async with panel_of(api) as panel:
            url = f"http://127.0.0.1:{panel.port}"
            schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{url}/v1/openapi.json")
            assert schema.raw_schema["openapi"].startswith("3.1")
            before = [await api.call("GET", path) for path in COMPARED]
            refused = await asyncio.to_thread(_as_viewer, schema, url, viewer.secret)
            assert [await api.call("GET", path) for path in COMPARED] == before
            statuses = await asyncio.to_thread(_fuzz, schema, url, admin.secret)
    assert {name for name, status in refused.items() if status == 403} == set(statuses) - READS_OF_VIEWERS
    assert {name for name, status in refused.items() if status < 300} >= READS_OF_VIEWERS - {
        "POST /v1/connections/preview"
    }
    without = {name for name, seen in statuses.items() if not any(200 <= status < 300 for status in seen)}
    assert without == set(), f"never succeeded: {without}; {statuses}"


def _operations(schema: Any) -> Iterator[tuple[str, Any]]:
    found = {name_of(each.ok().method, each.ok().path): each.ok() for each in schema.get_all_operations()}
    for name, operation in found.items():
        if name not in LAST:
            yield name, operation
    for name in LAST:
        yield name, found[name]


def _as_viewer(schema: Any, url: str, token: str) -> dict[str, int]:
    """Each operation once, with a request that an admin's would succeed with."""
    return {name: _seeded(operation, name, url, token).status_code for name, operation in _operations(schema)}


def _fuzz(schema: Any, url: str, token: str) -> dict[str, set[int]]:
    statuses: dict[str, set[int]] = defaultdict(set)
    for name, operation in _operations(schema):
        if name not in LAST:
            _generated(operation, name, url, token, statuses[name].add)
        answer = _seeded(operation, name, url, token)
        statuses[name].add(answer.status_code)
        assert answer.status_code < 500, (name, answer.text)
    return dict(statuses)


def _seeded(operation: Any, name: str, url: str, token: str) -> requests.Response:
    path = name.partition(" ")[2].replace("{reference}", _reference(operation.path))
    return requests.request(
        operation.method, url + path, json=BODIES.get(name), headers=_fields(token), timeout=20, allow_redirects=False
    )


def _generated(operation: Any, name: str, url: str, token: str, note: Callable[[int], None]) -> None:
    """Requests as the document allows them, each answer held against it."""
    reference = _reference(operation.path)
    turn = itertools.count()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        if case.path_parameters and reference and next(turn) % 4:  # the others ask for what is not there
            case.path_parameters["reference"] = reference
        answer = case.call(base_url=url, headers=_fields(token), timeout=20)
        note(answer.status_code)
        assert answer.status_code < 500, (name, answer.text)
        case.validate_response(answer, checks=[schemathesis.checks.CHECKS.get_one(each) for each in CHECKED])

    run()


CHECKED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


def _reference(path: str) -> str:
    return next((name for start, name in REFERENCES.items() if path.startswith(start)), "")


def _fields(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
