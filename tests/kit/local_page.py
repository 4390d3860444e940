"""A page of a running agent's own socket."""

from __future__ import annotations

import asyncio
from pathlib import Path


async def local_page(runtime_dir: Path, name: str) -> str:
    """What ``/name`` answers with 200."""
    reader, writer = await asyncio.open_unix_connection(runtime_dir / "agent.sock")
    writer.write(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 "), head
    return body.decode()
