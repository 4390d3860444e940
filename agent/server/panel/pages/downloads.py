"""The agent's packages, for machines in shops' networks: without a login, since those have none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import BinaryIO, Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from agent.server.downloads import Downloads, Package
from agent.server.panel.install import install_choices
from agent.server.panel.rendering import render

router = APIRouter(prefix="/downloads")

AT_ONCE_MAX: Final = 64
_CHUNK_BYTES: Final = 256 * 1024
_TYPES: Final = {"deb": "application/vnd.debian.binary-package", "rpm": "application/x-rpm"}
_BOTH: Final = ["GET", "HEAD"]


@router.api_route("/", methods=_BOTH)
async def listed(request: Request) -> Response:
    """All packages: a page for browsers, else JSON."""
    downloads: Downloads = request.app.state.downloads
    if "text/html" in request.headers.get("accept", ""):
        choices = await install_choices(downloads, request.app.state.plane)
        context = {"scheme": request.cookies.get("scheme", ""), "install": choices}
        return HTMLResponse(render("downloads.html", context))
    found = [asdict(package) | {"path": f"/downloads/{package.name}"} for package in await downloads.packages()]
    return JSONResponse({"packages": found})


@router.api_route("/SHA256SUMS", methods=_BOTH)
async def sums(request: Request) -> Response:
    """The sums of all of them, for ``sha256sum -c --ignore-missing``."""
    downloads: Downloads = request.app.state.downloads
    return PlainTextResponse("".join(f"{each.sha256}  {each.name}\n" for each in await downloads.packages()))


@router.api_route("/{name}", methods=_BOTH)
async def download(name: str, request: Request) -> Response:
    """One package; its sum is its ETag."""
    downloads: Downloads = request.app.state.downloads
    opened = await downloads.open(name)
    if opened is None:
        raise HTTPException(404, "There is no such package here: /downloads/ lists those that there are.")
    package, file = opened
    etag = f'"{package.sha256}"'
    fields = {"ETag": etag, "Cache-Control": "no-cache", "Content-Disposition": f'attachment; filename="{name}"'}
    if etag in request.headers.get("if-none-match", ""):
        file.close()
        return Response(status_code=304, headers=fields)
    fields |= {"Content-Length": str(package.size_bytes), "Content-Type": _TYPES[package.kind]}
    if request.method == "HEAD":
        file.close()
        return Response(headers=fields)
    return _Sent(request, package, file, fields)


class _Sent(StreamingResponse):
    """A package on its way; the file is closed however that ends."""

    def __init__(self, request: Request, package: Package, file: BinaryIO, fields: dict[str, str]) -> None:
        running: set[BinaryIO] = request.app.state.downloading
        if len(running) >= AT_ONCE_MAX:
            file.close()
            raise HTTPException(503, "Too many downloads at once: try again in a while.", {"Retry-After": "30"})
        running.add(file)
        super().__init__(_pieces(file, package.size_bytes, running), headers=fields)


async def _pieces(file: BinaryIO, size_bytes: int, running: set[BinaryIO]) -> AsyncIterator[bytes]:
    """As many bytes as were promised; a file that became shorter meanwhile breaks off, which the reader sees."""
    try:
        while size_bytes > 0 and (piece := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, size_bytes))):
            size_bytes -= len(piece)
            yield piece
    finally:
        running.discard(file)
        file.close()
