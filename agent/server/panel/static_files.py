"""Scripts and styles of the panel, under names that change with their content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from starlette.responses import Response

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEEP: Final = "public, max-age=31536000, immutable"


class StaticFiles:
    """All files below one directory, read once."""

    def __init__(self, directory: Path) -> None:
        self._files: dict[str, tuple[bytes, str]] = {}
        self._urls: dict[str, str] = {}
        for path in sorted(directory.rglob("*")):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                mark = hashlib.sha256(content).hexdigest()[:12]
                name = path.relative_to(directory).as_posix()
                self._urls[name] = f"/static/{mark}/{name}"
                self._files[f"{mark}/{name}"] = (content, _TYPES[path.suffix])

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError for one that is not there."""
        return self._urls[name]

    def answer(self, path: str) -> Response | None:
        """The file at ``<mark>/<name>``; None for another path."""
        found = self._files.get(path)
        if found is None:
            return None
        return Response(found[0], media_type=found[1], headers={"Cache-Control": _KEEP})


STATIC: Final = StaticFiles(Path(__file__).with_name("static"))
