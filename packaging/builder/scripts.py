"""The maintainer scripts: the files of ``packaging/maintainer/`` with the product's names put in."""

from __future__ import annotations

from typing import Final

from builder.product import PYTHON, ROOT, Product
from builder.tree import PACKAGED

_FOLDER: Final = ROOT / "packaging/maintainer"


def script(name: str, product: Product) -> str:
    """The script ``name``: first what all of them share, then its own part."""
    shared = (_FOLDER / "shared.sh").read_text(encoding="utf-8")
    text = shared + (_FOLDER / f"{name}.sh").read_text(encoding="utf-8")
    services = " ".join(unit.name for unit in product.units() if unit.suffix == ".service" and "@." not in unit.name)
    sockets = " ".join(unit.name for unit in product.units() if unit.suffix == ".socket")
    words = {"NAME": product.name, "PYTHON": PYTHON, "PACKAGED": PACKAGED, "SERVICES": services, "SOCKETS": sockets}
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
