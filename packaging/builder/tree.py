"""The tree of files of one package, as it will lie on the disk; the same for Debian and for rpm."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder import completions, libraries, man_pages
from builder.product import PYTHON, ROOT, Product, epoch, run, version

PACKAGED: Final = "packaged"
"""The folder below the program's home that the package owns; what runs is a copy by hard links (see scripts/)."""

_LAUNCHER: Final = """#!/usr/bin/{python} -IS
# Runs {name} with its own libraries only: no site-packages, no PYTHONPATH, nothing of the current folder.
import sys
from os.path import realpath

home = "/{home}/"
current = realpath(home + "current")  # the release itself: an upgrade changes the link, not what already runs
if current == home + "current":  # not configured: a container, or between unpacking and setting up
    current, sys.dont_write_bytecode = home + "{packaged}", True
sys.path.insert(0, current)

from {module} import main

main()
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """Where the tree lies, and what was learned while it was made."""

    product: Product
    root: Path
    glibc: str
    conffiles: tuple[str, ...]

    def files(self) -> list[str]:
        """Every file and link, without the leading slash."""
        return sorted(
            str(file.relative_to(self.root))
            for file in self.root.rglob("*")
            if (file.is_file() or file.is_symlink()) and "DEBIAN" not in file.relative_to(self.root).parts
        )

    def add(self, name: str, text: str) -> None:
        """One more file, with the mode and time of the others."""
        _write(self.root / name, text)
        _normalise(self.root / name)

    def add_gzip(self, name: str, text: str) -> None:
        """The same, compressed."""
        _write_gzip(self.root / name, text)
        _normalise(self.root / name)


def build_tree(product: Product, root: Path, *, zsh_folder: str = completions.ZSH_DEBIAN) -> Tree:
    """Make the tree of ``product`` in the empty or new folder ``root``."""
    packaged = root / product.home / PACKAGED
    packaged.mkdir(parents=True)
    libraries.install(product.lock, packaged)
    licences = libraries.licences(packaged)
    libraries.slim(packaged)
    _copy_code(product, packaged)
    _write(root / "usr/bin" / product.name, _LAUNCHER.format(
        python=PYTHON, name=product.name, home=product.home, packaged=PACKAGED, module=product.module
    ))  # fmt: skip
    _copy_units(product, root)
    settings = f"etc/{product.name}/{product.settings_file}"
    _write(root / settings, (ROOT / "packaging/settings" / product.settings_file).read_text(encoding="utf-8"))
    _write_docs(product, root, licences)
    for name, page in man_pages.pages(product).items():
        _write_gzip(root / "usr/share/man" / f"man{name[-1]}" / f"{name}.gz", page)
    for file, text in completions.scripts(product.name, zsh_folder).items():
        _write(root / file, text)
    for path in (root, *root.rglob("*")):
        _normalise(path, executable=path == root / "usr/bin" / product.name)
    return Tree(product, root, libraries.glibc_needed(packaged), (f"/{settings}",))


def _copy_code(product: Product, packaged: Path) -> None:
    listed = run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "agent"])
    for name in listed.splitlines():
        if not name.startswith(product.left_out) and (ROOT / name).is_file():
            (packaged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, packaged / name)


def _copy_units(product: Product, root: Path) -> None:
    for unit in product.units():
        text = unit.read_text(encoding="utf-8").replace("/usr/local/bin/", "/usr/bin/")
        _write(root / "usr/lib/systemd/system" / unit.name, text)
    for users in sorted((ROOT / "systemd").glob(f"{product.name}*.sysusers")):
        _write(root / "usr/lib/sysusers.d" / f"{users.stem}.conf", users.read_text(encoding="utf-8"))


def _write_docs(product: Product, root: Path, licences: list[tuple[str, str, str]]) -> None:
    folder = root / "usr/share/doc" / product.name
    for source in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = source.read_text(encoding="utf-8")
        # Side by side here, so that their links to each other lose the folder.
        _write(folder / source.name, text.replace("](docs/", "](").replace("](../README.md", "](README.md"))
    for example in sorted((ROOT / "systemd").glob(f"{product.name}*.conf")):
        _write(folder / "examples" / example.name, example.read_text(encoding="utf-8"))
    own = (
        f"{product.name} {version()}, licensed under the Apache License, Version 2.0.\n"
        "On Debian systems its text is in /usr/share/common-licenses/Apache-2.0.\n"
        "\nCopyright: the authors of prestashop-agent.\n"
        f"\nThe folder /{product.home} holds these libraries with it, each under its own licence:\n\n"
    )
    table = "".join(f"  {name}: {licence}\n" for name, licence, _ in licences)
    texts = "".join(f"\n\n{'=' * 78}\n{name}\n{'=' * 78}\n\n{text}\n" for name, _, text in licences if text)
    _write(folder / "copyright", own + table + texts)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _write_gzip(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _normalise(path: Path, *, executable: bool = False) -> None:
    """Mode and time that do not depend on who built it, and when."""
    if not path.is_symlink():
        path.chmod(0o755 if path.is_dir() or executable else 0o644)
    os.utime(path, (epoch(), epoch()), follow_symlinks=False)
