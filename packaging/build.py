#!/usr/bin/env python3
"""Build the packages: `build.py [--output DIR]` -> .deb and .rpm of agent and server, and SHA256SUMS."""
# ruff: noqa: T201 - a script that talks to the person who started it

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.debian import build_deb
from builder.product import PRODUCTS, ROOT, BuildError, Product
from builder.red_hat import build_rpm
from builder.tree import build_tree


def main() -> int:
    """Build everything; 1 when something is missing or fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the packages (default: dist)")
    output: Path = parser.parse_args().output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    for old in (*output.glob("*.deb"), *output.glob("*.rpm")):
        old.unlink()
    try:
        made = build_all(output)
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(made))
    (output / "SHA256SUMS").write_text(sums, encoding="ascii")
    return 0


def build_all(output: Path) -> list[Path]:
    """The packages of both products, side by side: most of it is packing, on one core each."""
    with ThreadPoolExecutor() as threads:
        return [file for files in threads.map(lambda product: build(product, output), PRODUCTS) for file in files]


def build(product: Product, output: Path) -> list[Path]:
    """Both packages of ``product``, from one tree in a folder that is removed again."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="packages-") as name:
        work = Path(name)
        tree = build_tree(product, work / "tree")
        made = [build_deb(tree, output), build_rpm(tree, output, work)]
    sizes = ", ".join(f"{file.name} {file.stat().st_size / 1e6:.1f} MB" for file in made)
    print(f"{sizes}; {time.monotonic() - started:.0f} s")
    return made


if __name__ == "__main__":
    sys.exit(main())
