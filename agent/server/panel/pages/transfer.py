"""Export and import: agents, connections and client keys as a file without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.datastructures import UploadFile
from starlette.responses import Response

from agent.server.api.models.transfer import TransferDocument, document_of
from agent.server.operations.connection_wish import ConnectionWish
from agent.server.operations.connections import list_connections
from agent.server.operations.failures import AddressMissingError
from agent.server.operations.principal import Permission
from agent.server.operations.transfer import Imported, export_all, import_all
from agent.server.operations.transfer_keys import KeyWish
from agent.server.operations.transfer_preview import Outcome, plan_import
from agent.server.panel.import_file import FILE_MAX_BYTES, ImportFileError, pack, read_import, unpack
from agent.server.panel.shown_once import Kind
from agent.server.panel.visitor import Changes, Sees, Submitted, Visitor, errors_of

router = APIRouter(prefix="/transfer")

_READS = Depends(Sees(Permission.CONNECTIONS_READ))
_IMPORT = Depends(Changes(Permission.AGENTS_MINT))


@router.get("")
async def transfer_page(visitor: Visitor = _READS) -> Response:
    """The page."""
    return _page(visitor)


@router.get("/export")
async def export(visitor: Visitor = _READS) -> Response:
    """The file."""
    document = document_of(await export_all(visitor.plane, visitor.principal)).model_dump(mode="json")
    name = f"integration-server-{datetime.fromtimestamp(visitor.plane.clock(), UTC):%Y-%m-%d}.json"
    return Response(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post("/preview")
async def preview(submitted: Submitted = _IMPORT) -> Response:
    """What the file would do; nothing is made."""
    visitor = submitted.visitor
    visitor.principal.require(Permission.CONNECTIONS_WRITE)
    content = await _uploaded(submitted)
    try:
        document = read_import(content)
    except ImportFileError as error:
        return _page(visitor, error.sentences, 422)
    return await _preview(visitor, content, document, {})


@router.post("/import")
async def import_(submitted: Submitted = _IMPORT) -> Response:
    """Do it, and show the tokens of new agents this once."""
    visitor = submitted.visitor
    visitor.principal.require(Permission.CONNECTIONS_WRITE)
    try:
        content = unpack(submitted.text("document"))
        document = read_import(content)
    except ImportFileError as error:
        return _page(visitor, error.sentences, 422)
    agents, wishes, keys = _records(document)
    address = submitted.text("public_ssh_address")
    if address:
        agents = [{**agent, "public_ssh_address": address} for agent in agents]
    try:
        made = await import_all(visitor.plane, visitor.principal, agents, wishes, keys)
    except AddressMissingError as error:
        return await _preview(visitor, content, document, errors_of(error), 422)
    return _imported(visitor, made)


def _records(
    document: TransferDocument,
) -> tuple[list[dict[str, Any]], list[tuple[str, ConnectionWish]], list[KeyWish]]:
    agents = [agent.model_dump() for agent in document.agents]
    connections = [(each.slug, each.wish()) for each in document.connections]
    return agents, connections, [each.wish() for each in document.client_keys]


async def _uploaded(submitted: Submitted) -> bytes:
    file = submitted.fields.get("file")
    return await file.read(FILE_MAX_BYTES + 1) if isinstance(file, UploadFile) else b""


def _page(visitor: Visitor, wrong: Sequence[str] = (), status: int = 200) -> Response:
    return visitor.page("transfer/page.html", wrong=wrong, max_kib=FILE_MAX_BYTES // 1024, status=status)


async def _preview(
    visitor: Visitor, content: bytes, document: TransferDocument, errors: Mapping[str, str], status: int = 200
) -> Response:
    plane = visitor.plane
    agents, wishes, keys = _records(document)
    return visitor.page(
        "transfer/preview.html",
        plan=await plan_import(plane, visitor.principal, agents, wishes, keys),
        outcomes=Outcome,
        packed=pack(content),
        known_address=plane.facts.public_ssh_address or await plane.remembered("public_ssh_address"),
        errors=errors,
        status=status,
    )


def _imported(visitor: Visitor, made: Imported) -> Response:
    plane, slugs = visitor.plane, frozenset(made.connections)

    async def fresh() -> dict[str, Any]:
        there = (await list_connections(plane)).items
        mine = [each for each in there if each.slug in slugs]
        return {"connections": mine, "install": await visitor.install()}

    return visitor.show_once(Kind.IMPORT, Permission.AGENTS_MINT, "transfer/done.html", fresh=fresh, made=made)
