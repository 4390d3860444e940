"""A tree of files becomes a Debian package, by dpkg-deb."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Final

from builder.product import MAINTAINER, PYTHON, Product, debian_architecture, epoch, run, version
from builder.scripts import script
from builder.tree import Tree

_OVERRIDES: Final = """\
# The compiled libraries are for this version of Python, which is not always the one that python3 is.
{name}: unusual-interpreter /usr/bin/{python} [usr/bin/{name}]
# Which instances of a template unit there are is known to systemctl only; each call is made under systemd only.
{name}: maintainer-script-calls-systemctl *
""".replace("{python}", PYTHON)


def build_deb(tree: Tree, folder: Path) -> Path:
    """Write ``NAME_VERSION_ARCH.deb`` to ``folder``; the tree has a folder ``DEBIAN`` meanwhile."""
    _add_debian_files(tree)
    control = tree.root / "DEBIAN"
    control.mkdir(mode=0o755)
    _write(control / "control", _control(tree))
    _write(control / "conffiles", "".join(f"{file}\n" for file in tree.conffiles))
    _write(control / "md5sums", _md5sums(tree))
    for name in ("postinst", "prerm", "postrm"):
        _write(control / name, script(f"deb-{name}", tree.product), mode=0o755)
    os.utime(control, (epoch(), epoch()))
    file = folder / f"{tree.product.name}_{version()}_{debian_architecture()}.deb"
    # One thread: the bytes of xz depend on how many there are.
    options = ["--root-owner-group", "-Zxz", "-z4", "--threads-max=1"]
    run(["dpkg-deb", *options, "--build", str(tree.root), str(file)], environ={"SOURCE_DATE_EPOCH": str(epoch())})
    shutil.rmtree(control)
    return file


def _add_debian_files(tree: Tree) -> None:
    """What Debian's policy wants at fixed places, and the reasons for what lintian finds unusual."""
    name = tree.product.name
    moment = datetime.datetime.fromtimestamp(epoch(), datetime.UTC)
    changes = f"  * All changes: /usr/share/doc/{name}/CHANGELOG.md"
    signed = f" -- {MAINTAINER}  {moment:%a, %d %b %Y %H:%M:%S} +0000"
    tree.add_gzip(
        f"usr/share/doc/{name}/changelog.gz",
        f"{name} ({version()}) stable; urgency=medium\n\n{changes}\n\n{signed}\n",
    )
    tree.add(f"usr/share/lintian/overrides/{name}", _OVERRIDES.format(name=name))


def _control(tree: Tree) -> str:
    product: Product = tree.product
    major, minor = sys.version_info[:2]
    size_kib = sum(-(-(tree.root / file).lstat().st_size // 1024) for file in tree.files())
    python = f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1}~)"
    lines = [
        f"Package: {product.name}",
        f"Version: {version()}",
        f"Architecture: {debian_architecture()}",
        f"Maintainer: {MAINTAINER}",
        f"Installed-Size: {size_kib}",
        f"Depends: {python}, libc6 (>= {tree.glibc}), passwd",
        "Recommends: systemd",
        "Suggests: bash-completion",
        "Section: net",
        "Priority: optional",
        f"Description: {product.summary}",
    ]
    paragraphs = ["\n".join(textwrap.wrap(text, 76)) for text in product.description]
    lines += [f" {line}" if line else " ." for line in "\n\n".join(paragraphs).split("\n")]
    return "\n".join(lines) + "\n"


def _md5sums(tree: Tree) -> str:
    """dpkg's own check of what lies on the disk (`dpkg --verify`); conffiles are not in it."""
    return "".join(
        f"{hashlib.md5((tree.root / file).read_bytes(), usedforsecurity=False).hexdigest()}  {file}\n"
        for file in tree.files()
        if f"/{file}" not in tree.conffiles
    )


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    os.utime(file, (epoch(), epoch()))
