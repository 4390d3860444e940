"""Requests that must succeed, one for each operation of the API: nothing is left to the luck of generated ones."""

from __future__ import annotations

from typing import Any, Final

from tests.kit.control_plane import API_KEY, ControlApi

CONNECTION: Final = {"name": "Fuzzed", "mode": "cloud", "store_url": "https://fuzz.example/api/", "api_key": API_KEY}

REFERENCES: Final = {
    "/v1/agents/": "warehouse",
    "/v1/connections/": "shop-lyon",
    "/v1/client-keys/": "erp",
    "/v1/people/": "victor",
    "/v1/api-tokens/": "spare",
    "/v1/notice-targets/": "chat",
}
"""What stands for ``reference`` in a path that begins so."""

BODIES: Final[dict[str, Any]] = {
    "POST /v1/agents": {"name": "seeded"},
    "PATCH /v1/agents/{reference}": {"description": "seeded"},
    "POST /v1/agents/{reference}/clone": {"name": "cloned"},
    "POST /v1/agents/{reference}/rotate": {},
    "POST /v1/connections": CONNECTION,
    "POST /v1/connections/test": {**CONNECTION, "store_url": "https://shop.example.com/api/"},
    "POST /v1/connections/preview": {"store_url": "https://shop.example.com/admin123abc/", "name": "x"},
    "PATCH /v1/connections/{reference}": {"concurrency": 4, "api_key": API_KEY},
    "PUT /v1/connections/{reference}": {
        **CONNECTION,
        "name": "Shop Lyon",
        "store_url": "https://shop.example.com/api/",
    },
    "POST /v1/connections/{reference}/clone": {"name": "Cloned", "api_key": API_KEY},
    "POST /v1/client-keys": {"all_connections": True},
    "PATCH /v1/client-keys/{reference}": {"methods": ["GET"]},
    "POST /v1/client-keys/{reference}/clone": {"name": "cloned"},
    "POST /v1/people": {"name": "seeded", "role": "viewer"},
    "PATCH /v1/people/{reference}": {"role": "editor"},
    "POST /v1/api-tokens": {"name": "seeded", "role": "viewer"},
    "POST /v1/notice-targets": {"name": "seeded", "kind": "webhook", "address": "https://hooks.example.com/seeded"},
    "PATCH /v1/notice-targets/{reference}": {"events": ["agent.offline"]},
    "POST /v1/import": {"format": "integration-server/1"},
}

LAST: Final = (
    "POST /v1/agents/{reference}/revoke",
    "POST /v1/client-keys/{reference}/revoke",
    "POST /v1/api-tokens/{reference}/revoke",
    "DELETE /v1/connections/{reference}",
    "DELETE /v1/agents/{reference}",
    "DELETE /v1/client-keys/{reference}",
    "DELETE /v1/people/{reference}",
    "DELETE /v1/notice-targets/{reference}",
)
"""What ends a record comes after everything else, in this order."""


async def seed(api: ControlApi) -> None:
    """A record of each kind, under the names in ``REFERENCES``."""
    await api.agent()
    await api.connection()
    await api.created("client-keys", connections=["shop-lyon"], name="erp")
    await api.created("people", name="victor", role="viewer")
    await api.created("api-tokens", name="spare", role="viewer")
    await api.created("notice-targets", name="chat", kind="webhook", address="https://hooks.example.com/chat")


def name_of(method: str, path: str) -> str:
    """``GET /v1/agents/{reference}``."""
    return f"{method.upper()} {path.replace(':path}', '}')}"
