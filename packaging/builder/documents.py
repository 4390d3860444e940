"""The pages of docs/ as they lie in /usr/share/doc: side by side, with links only to what is installed there."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from builder.product import ROOT, Product

UNITS: Final = "/usr/lib/systemd/system"

_LINK: Final = re.compile(r"!?\[([^\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")
_TARGET: Final = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")  # also of a picture that is a link


def documents(product: Product) -> dict[str, bytes]:
    """Content by place below /usr/share/doc/NAME."""
    files = {
        **{name: name for name in ("README.md", "CHANGELOG.md")},
        **{f"docs/{page.name}": page.name for page in (ROOT / "docs").glob("*.md")},
        "docs/README.md": "index.md",  # README.md is that of the whole
        **{
            f"docs/{folder}/{file.name}": f"{folder}/{file.name}"
            for folder in ("images", "monitoring")
            for file in (ROOT / "docs" / folder).iterdir()
        },
        **{
            f"systemd/{file.name}": f"examples/{file.name}" for file in (ROOT / "systemd").glob(f"{product.name}*.conf")
        },
    }
    places = {
        **files,
        **{f"systemd/{unit.name}": f"{UNITS}/{unit.name}" for unit in product.units()},
        "systemd": UNITS,
    }
    made = {}
    for source, place in files.items():
        content = (ROOT / source).read_bytes()
        made[place] = _linked(content.decode(), source, places).encode() if source.endswith(".md") else content
    return made


def _linked(text: str, source: str, places: dict[str, str]) -> str:
    """``text`` with its links led to where their targets lie; of those that are not installed the words are left."""

    def place(target: str) -> str | None:
        return places.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))

    def kept(match: re.Match[str]) -> str:
        return match[0] if place(match[2]) is not None else match[1]

    def led(match: re.Match[str]) -> str:
        return f"]({place(match[1]) or match[1]}{match[2] or ''})"

    return _TARGET.sub(led, _LINK.sub(kept, text))
