"""The control API, described for people from its OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from agent.server.panel.visitor import AnyVisitor

router = APIRouter()

_METHODS = ("get", "post", "put", "patch", "delete")


@router.get("/docs")
async def docs(visitor: AnyVisitor) -> Response:
    """The page; it needs no script, so that the Content-Security-Policy stays closed."""
    document = visitor.request.app.openapi()
    return HTMLResponse(visitor.text("docs.html", groups=_groups(document), document=document))


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, in the order of the document."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_shown(document, method, path, operation))
    return groups


def _shown(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "method": method.upper(),
        "path": path.replace(":path}", "}"),
        "summary": operation.get("summary", ""),
        "text": operation.get("description", "").replace("``", ""),  # the marks of docstrings
        "parameters": operation.get("parameters", []),
        "fields": _fields(document, body),
        "answers": {
            status: (answer.get("description", ""), _name(answer)) for status, answer in operation["responses"].items()
        },
    }


def _name(answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        schema = content.get("schema", {})
        return str(schema.get("$ref", "").rpartition("/")[2] or schema.get("title", ""))
    return ""


def _fields(document: dict[str, Any], schema: dict[str, Any] | None) -> list[dict[str, Any]]:
    if schema is None:
        return []
    found = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    required = set(found.get("required", ()))
    return [
        {
            "name": name,
            "kind": _kind(field),
            "required": name in required,
            "default": field.get("default"),
            "text": field.get("description", ""),
        }
        for name, field in found.get("properties", {}).items()
    ]


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(each) for each in field["anyOf"])
    if "enum" in field:
        return " | ".join(str(each) for each in field["enum"])
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return str(field.get("const") or field.get("type", "value"))
